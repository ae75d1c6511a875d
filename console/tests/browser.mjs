// The console in a real browser against a real server: walks every page, changes targets through
// the pages and sees the fleet follow. It needs the address of a server in ATOLL_URL, and there the
// deployment shop.prod with three instances; it leaves it as it was found.
import { browse, ELSEWHERE, line, must, open, Tests, until } from "./stage.mjs";

const base = process.env.ATOLL_URL;
if (!base) {
  console.error("browser: set ATOLL_URL to the address of a server");
  process.exit(2);
}

const DEPLOYMENT = "/deployments/shop.prod";
const PLACES = [
  "/",
  "/applications",
  "/hosts",
  "/releases",
  "/freezes",
  "/decisions",
  "/alerts",
  "/alerts?tab=rules",
  "/alerts?tab=silences",
  "/alerts?tab=receivers",
  "/objectives",
  "/query?q=vector(1)",
  "/logs",
  "/pipelines",
  "/environments",
  "/configs",
  "/delivery",
  "/standards",
  "/standards?tab=findings",
  "/standards?tab=standards",
  "/standards/health-declared",
  "/jobs",
  "/inventory",
  "/inventory?tab=findings",
  "/inventory?tab=topology",
  "/inventory?tab=quality",
  "/audit",
  "/people",
  "/capacity",
  "/capacity?times=3",
  "/capacities/shop.prod",
  "/capacities/shop.prod?tab=manifest",
  "/budgets",
  "/budgets?by=host&per=month",
  "/pools",
  "/migrations",
  "/rehearsal",
  "/board",
];

const browser = await browse();
const { page, complaints } = await open(browser, base);
const tests = new Tests();
const test = (name, run) => tests.test(name, run);

const see = (text, options) => page.getByText(text, options).first().waitFor();
const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
const button = (name) => page.getByRole("button", { name, exact: true });
const dialog = () => page.locator("dialog[open]");
const closed = () => dialog().waitFor({ state: "detached" });

/** Follows a link of the pages themselves, as people do, rather than loading anew. */
async function go(path) {
  await page.evaluate((to) => {
    history.pushState({}, "", to);
    dispatchEvent(new PopStateEvent("popstate"));
  }, path);
}

/** Asks the API as the console does, for what the console has no page for. */
function ask(method, path, body, type = "application/json") {
  return page.evaluate(
    async ([m, p, b, t]) => {
      const headers = { "x-atoll-console": "1", "content-type": t };
      const answer = await fetch(p, { method: m, headers, body: b && JSON.stringify(b) });
      return { status: answer.status, body: await answer.json().catch(() => null) };
    },
    [method, path, body, type],
  );
}

const ready = (count) => see(`of ${count} ready`).then(() => cells(count));
const cells = (count) =>
  until(
    async () => (await page.locator(".cell-grid .cell.ok").count()) === count,
    `no ${count} cells became ready`,
  );

async function setInstances(count) {
  await page.keyboard.press("e");
  await page.getByLabel("Instances", { exact: true }).fill(String(count));
}

await test("the overview comes up and says how things stand", async () => {
  await page.goto("/");
  await page.locator("main h1").waitFor();
  await see("live", { exact: true });
  await see("Deployments settled");
  await see("Instances ready");
});

await test("keys go from place to place", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("a");
  await heading("Applications");
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await heading("Hosts");
  await page.keyboard.press("g");
  await page.keyboard.press("o");
  await see("Deployments settled");
});

await test("the help opens by ? and closes by Esc", async () => {
  await page.keyboard.press("?");
  await dialog().getByText("this help").waitFor();
  await page.keyboard.press("Escape");
  await closed();
});

await test("a search narrows the list, and Esc takes it back", async () => {
  await page.goto("/applications");
  await page.locator(".deployment-row").first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("nothing is named like this");
  await see("Nothing matches");
  await page.keyboard.press("Escape");
  await page.locator(".deployment-row").first().waitFor();
});

await test("j walks to a deployment and Enter opens it", async () => {
  await page.goto("/applications?q=shop.prod");
  await page.locator(".deployment-row").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await heading("shop.prod");
  await ready(3);
});

await test("the address of a deployment can be loaded anew", async () => {
  const answer = await page.goto(DEPLOYMENT);
  must(answer.status() === 200, `${DEPLOYMENT} was answered with ${answer.status()}`);
  await heading("shop.prod");
});

await test("anything is found by its name", async () => {
  await page.goto("/");
  await page.locator("main h1").waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("shop.prod");
  await dialog()
    .getByRole("option", { name: /deployment\s*shop\.prod$/ })
    .waitFor();
  await page.keyboard.press("Enter");
  await heading("shop.prod");
});

await test("Enter goes to what was typed last, however fast", async () => {
  await page.goto("/hosts");
  await page.locator("main h1").waitFor();
  await page.keyboard.press("Control+k");
  // In one task of the page, so that nothing is drawn between the letters and the Enter.
  await dialog()
    .getByRole("combobox")
    .evaluate(async (field) => {
      const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
      set.call(field, "shop.prod");
      field.dispatchEvent(new InputEvent("input", { bubbles: true }));
      await Promise.resolve();
      field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    });
  await heading("shop.prod");
});

await test("an edit shows what it would do before it is done", async () => {
  await setInstances(5);
  await see("Can be done");
  await see("spec.instances");
  await until(
    async () => (await dialog().locator(".op.create").count()) === 2,
    "the two instances that would follow are not told",
  );
});

await test("Esc leaves an edit without doing it", async () => {
  await page.keyboard.press("Escape");
  await closed();
  await see("of 3 ready");
});

await test("what makes no sense cannot be applied", async () => {
  await setInstances("-2");
  await see("A whole number from 0");
  must(await dialog().getByRole("button", { name: "Apply" }).isDisabled(), "it can be applied");
  await page.keyboard.press("Escape");
  await closed();
});

await test("none at all, or more than autoscaling may reach, is remarked and can be done", async () => {
  for (const [count, remark] of [
    [0, "nothing serves then"],
    [11, "scales to 10 at most"],
  ]) {
    await setInstances(count);
    await see(remark);
    await dialog().locator(".verdict.warn", { hasText: "Can be done" }).waitFor();
    must(await dialog().getByRole("button", { name: "Apply" }).isEnabled(), "it is refused");
    await page.keyboard.press("Escape");
    await closed();
  }
});

await test("an applied edit is seen live, instance by instance", async () => {
  await setInstances(5);
  await see("Can be done");
  await dialog().getByRole("button", { name: "Apply" }).click();
  await closed();
  await ready(5);
});

await test("the table tells of every instance, and sorts", async () => {
  const rows = page.locator(".table-body .tr");
  await until(async () => (await rows.count()) === 5, "the table has not five rows");
  await page.getByRole("columnheader", { name: "Instance" }).getByRole("button").click();
  await until(
    async () => /shop\.prod\.0/.test(await rows.first().textContent()),
    "it is not sorted",
  );
});

await test("an instance opens at the side with its log", async () => {
  await page.locator(".cell-grid .cell").first().click();
  await dialog().getByText("reached at").waitFor();
  await dialog().locator(".log-state.following").waitFor();
  must(new URL(page.url()).searchParams.has("instance"), "the address does not name it");
  await page.keyboard.press("Escape");
  await closed();
});

await test("the history tells the edit, and rolls it back after showing what that does", async () => {
  await page.keyboard.press("h");
  await see("current target");
  const entry = page.locator(".entry", { hasText: "spec.instances" }).first();
  await entry.getByText("5", { exact: true }).waitFor();
  await button("Roll back to this").first().click();
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Roll back", exact: true }).click();
  await closed();
  await page.getByRole("link", { name: /^Instances/ }).click();
  await ready(3);
});

const runs = () =>
  page.locator(".standing .fact", { hasText: /^runs/ }).locator("dd").textContent();
const settles = (release) =>
  until(async () => {
    const state = await page.locator(".page-head .state").first().textContent();
    return state === "settled" && (await runs()) === release;
  }, `it does not settle on ${release}`);

async function chooseRelease(name) {
  await page.keyboard.press("e");
  await page.getByLabel("Release").selectOption(name);
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Apply" }).click();
  await closed();
}

await test("a new release is rolled out, and another chosen, before one's eyes", async () => {
  const former = await runs();
  const env = { GREETING: `hello ${Date.now()}` };
  const merge = "application/merge-patch+json";
  const answer = await ask("PATCH", "/v1/applications/shop", { spec: { run: { env } } }, merge);
  must(answer.status === 200, `the application was not changed: ${JSON.stringify(answer.body)}`);
  let newest = former;
  await until(async () => {
    newest = (await ask("GET", "/v1/applications/shop")).body.status.release;
    return newest !== former;
  }, "no release was made");
  await settles(newest);
  await ready(3);
  await chooseRelease(former);
  await settles(former);
  await chooseRelease("");
  await settles(newest);
  await ready(3);
});

await test("a freeze stops an edit, and says why", async () => {
  const reason = "the browser test asks for quiet";
  const freeze = {
    apiVersion: "atoll/v1",
    kind: "Freeze",
    metadata: { name: "browser" },
    spec: { environments: ["prod"], reason },
  };
  const made = await ask("PUT", "/v1/freezes/browser", freeze);
  must(made.status === 200, `the freeze was not made: ${JSON.stringify(made.body)}`);
  try {
    await setInstances(4);
    await dialog().getByText(reason).first().waitFor();
    await dialog().locator(".verdict.warn, .verdict.bad").waitFor();
    must(await dialog().getByRole("button", { name: "Apply" }).isDisabled(), "it can be applied");
    await page.keyboard.press("Escape");
    await closed();
    await go("/freezes");
    await see("in force", { exact: true });
    await go("/");
    await see("changes are held in prod");
  } finally {
    await ask("DELETE", "/v1/freezes/browser");
  }
  await page.getByText("changes are held in prod").waitFor({ state: "detached" });
});

await test("a host is closed and opened again", async () => {
  await go("/hosts");
  await heading("Hosts");
  await page.locator(".table-body .tr a").first().click();
  await button("Cordon").click();
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Cordon" }).click();
  await closed();
  await page.locator(".page-head .state", { hasText: "cordoned" }).waitFor();
  await button("Uncordon").click();
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Uncordon" }).click();
  await closed();
  await page.locator(".page-head .state", { hasText: "ready" }).waitFor();
});

await test("an application, a release and a manifest have their pages", async () => {
  await go("/applications/shop");
  await heading("shop");
  await page.locator(".of-application .deployment-row").first().waitFor();
  await see("apiVersion: atoll/v1");
  await go("/releases/shop-1");
  await heading("shop-1");
  await go(`${DEPLOYMENT}?tab=manifest`);
  await see("apiVersion: atoll/v1");
});

const editor = () => page.getByRole("textbox", { name: "PromQL" });

async function typeQuery(text) {
  await editor().click();
  await page.keyboard.press("Control+a");
  await page.keyboard.type(text);
}

await test("a query is completed while it is typed, and its faults are told", async () => {
  await go("/query");
  await heading("Query");
  await typeQuery("absent_o");
  await page.getByRole("option", { name: /absent_over_time/ }).waitFor();
  await page.keyboard.press("Escape");
  await typeQuery("vector(1) + ");
  await see("something to measure was expected");
});

await test("a query is run, drawn, and stands in the address", async () => {
  await typeQuery("vector(7)");
  await page.keyboard.press("Enter");
  await page.locator(".chart-box canvas").waitFor();
  must(new URL(page.url()).searchParams.get("q") === "vector(7)", "the address has no query");
  await button("Table").click();
  await page.locator(".table-body .tr", { hasText: "7" }).waitFor();
  await page.reload();
  await page.locator(".table-body .tr", { hasText: "7" }).waitFor();
  await button("Graph").click();
  await page.locator(".chart-box canvas").waitFor();
});

/** An answer of 100 series of 1,000 points each, whatever is asked for. */
function manyPoints(route) {
  const fields = new URL(route.request().url()).searchParams;
  const [start, end] = [Number(fields.get("start")), Number(fields.get("end"))];
  const step = Number(fields.get("step"));
  const count = Math.min(1000, Math.floor((end - start) / step) + 1);
  const result = Array.from({ length: 100 }, (_, k) => ({
    metric: { __name__: "many", series: `s${k}` },
    values: Array.from({ length: count }, (_, i) => [
      start + i * step,
      String(k + Math.sin(i / (9 + k)) * 5),
    ]),
  }));
  const atoll = { series: 100, expected: 1e5, seen: 1e5, completeness: 1, freshness_seconds: 1 };
  return route.fulfill({
    json: { status: "success", data: { resultType: "matrix", result }, atoll },
  });
}

/** Counts frames and the longest that anything kept the page from drawing, until it is ended. */
function watchFrames() {
  window.seen = { frames: 0, longest: 0, ended: false };
  const count = () => {
    window.seen.frames += 1;
    if (!window.seen.ended) requestAnimationFrame(count);
  };
  requestAnimationFrame(count);
  const observer = new PerformanceObserver((list) => {
    for (const task of list.getEntries()) {
      window.seen.longest = Math.max(window.seen.longest, task.duration);
    }
  });
  observer.observe({ type: "longtask" });
}

async function drawMany() {
  await page.evaluate(watchFrames);
  await go("/query?q=many&range=5h&step=18s");
  await see(/^100 lines, 100,\d00 points/);
  const over = page.locator(".chart-box .u-over");
  await over.waitFor();
  const box = await over.boundingBox();
  const at = (share) => [box.x + box.width * share, box.y + box.height / 2];
  await page.mouse.move(...at(0.3));
  await page.locator(".chart-tip").waitFor();
  await page.mouse.down();
  await page.mouse.move(...at(0.5), { steps: 8 });
  await page.mouse.up();
  await page.getByRole("button", { name: "Zoom out" }).waitFor();
  const { from, to } = Object.fromEntries(new URL(page.url()).searchParams);
  const hours = (Number(to) - Number(from)) / 3_600_000;
  must(hours > 0.9 && hours < 1.1, `a fifth of five hours was chosen, ${hours} are shown`);
  const before = await page.evaluate(() => window.seen.frames);
  await until(
    async () => (await page.evaluate(() => window.seen.frames)) > before + 5,
    "no frames come any more",
  );
  const { longest } = await page.evaluate(() => {
    window.seen.ended = true;
    return window.seen;
  });
  console.log(`        the longest task took ${Math.round(longest)} ms`);
}

await test("100,000 points are drawn, and a zoom answers", async () => {
  await page.route("**/api/v1/query_range*", manyPoints);
  try {
    await drawMany();
  } finally {
    await page.unroute("**/api/v1/query_range*");
  }
});

await test("a line of a chart is shown alone by its name", async () => {
  await go("/query?q=label_replace(vector(1),%22a%22,%22x%22,%22%22,%22%22)%20or%20vector(2)");
  const names = page.locator(".chart-name");
  await until(async () => (await names.count()) === 2, "there are not two lines");
  await names.first().click();
  await page.locator(".chart-name[aria-pressed='true']").waitFor();
  must((await page.locator(".chart-name.dim").count()) === 1, "the other is not dimmed");
});

await test("a host, a deployment and an instance have their metrics", async () => {
  for (const path of [DEPLOYMENT, "/hosts/local"]) {
    await go(`${path}?tab=metrics`);
    await page.locator(".dashboard-grid").first().scrollIntoViewIfNeeded();
    await page.locator(".metric canvas, .dashboard-missing").first().waitFor();
  }
  await go(DEPLOYMENT);
  await page.locator(".cell-grid .cell").first().click();
  await dialog().getByRole("button", { name: "Metrics" }).click();
  await dialog().locator(".metric canvas, .dashboard-missing").first().waitFor();
  await page.keyboard.press("Escape");
  await closed();
});

await test("alerts, rules and receivers have their places", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await heading("Alerts");
  for (const name of [/^Rules/, /^Receivers/, /^Alerts/]) {
    await page.locator("main").getByRole("link", { name }).click();
    await page.locator("main .panel").first().waitFor();
  }
});

await test("a silence is made and ended, each shown before it is done", async () => {
  await go("/alerts?tab=silences");
  await button("New silence").click();
  await dialog().getByRole("textbox", { name: "condition 1" }).fill('alertname="Browser');
  await dialog().getByText("is no condition like").waitFor();
  await dialog().getByRole("textbox", { name: "condition 1" }).fill('alertname="BrowserTest"');
  await dialog().getByLabel("Why").fill("the browser test is on");
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Silence", exact: true }).click();
  await closed();
  const row = page.locator(".silence", { hasText: "the browser test is on" });
  await row.getByText("in force").waitFor();
  const name = await row.locator("a").first().textContent();
  await row.getByRole("button", { name: "End" }).click();
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "End it" }).click();
  await closed();
  await row.getByText("over", { exact: true }).waitFor();
  const gone = await ask("DELETE", `/v1/silences/${name}`);
  must(gone.status === 200, `the silence was not deleted: ${JSON.stringify(gone.body)}`);
});

await test("objectives say what is promised, or that nothing is", async () => {
  await go("/objectives");
  await heading("Objectives");
  await page.locator(".objective, .empty").first().waitFor();
});

await test("logs are searched, and what was searched for is marked", async () => {
  await go("/logs?subject=deployment/shop.prod");
  await heading("Logs");
  await page.locator(".log-lines li, .empty").first().waitFor();
  const first = page.locator(".log-lines li code").first();
  if ((await first.count()) > 0) {
    const [word] = (await first.textContent()).match(/[a-z]{4,}/i) ?? [];
    if (word) {
      await page.getByLabel("Text in the line").fill(word);
      await page.keyboard.press("Enter");
      await page.locator(".log-lines mark").first().waitFor();
    }
  }
  await page.getByLabel("Text in the line").fill("no line is written like this");
  await page.keyboard.press("Enter");
  await see("No line matches");
});

const HOSTILE = "<img src=x onerror=window.hacked=1>";
const PIPELINE = {
  apiVersion: "atoll/v1",
  kind: "Pipeline",
  metadata: { name: "browser" },
  spec: {
    params: { word: { description: HOSTILE, default: HOSTILE } },
    steps: [
      { name: "build", run: HOSTILE, matrix: { axes: { os: ["a", "b"] } } },
      { name: "unit", needs: ["build"], run: "true" },
      { name: "lint", run: "true" },
      { name: "release", needs: ["unit", "lint", "build"], run: "true" },
    ],
  },
};

await test("a pipeline's steps are a graph, each right of what it needs", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("p");
  await heading("Pipelines");
  const made = await ask("PUT", "/v1/pipelines/browser", PIPELINE);
  must(made.status === 200, `no pipeline was made: ${JSON.stringify(made.body)}`);
  await page.locator(".pipeline-row a", { hasText: "browser" }).first().click();
  await heading("browser");
  await page.locator("main").getByRole("link", { name: "Steps" }).click();
  const left = (name) =>
    page
      .locator(".step-field li", { hasText: name })
      .boundingBox()
      .then((box) => box.x);
  await page.locator(".step-field li", { hasText: "release" }).waitFor();
  must((await left("build")) < (await left("unit")), "unit is not right of build");
  must((await left("unit")) < (await left("release")), "release is not right of unit");
  // What another need implies has no line of its own.
  must((await page.locator(".step-field path").count()) === 3, "there are not three lines");
  await button("Run").click();
  await dialog().getByText(HOSTILE).waitFor();
  await page.keyboard.press("Escape");
  await closed();
  must(!(await page.evaluate(() => window.hacked)), "what was typed has run");
  const gone = await ask("DELETE", "/v1/pipelines/browser");
  must(gone.status === 200, `the pipeline was not deleted: ${JSON.stringify(gone.body)}`);
});

await test("the board shows what runs in each environment, a release its journey", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await heading("Environments");
  const stop = page.locator(".board tr", { hasText: "shop" });
  await stop.locator("td a").first().click();
  await page.locator(".journey .leg").first().waitFor();
  await page.locator(".journey .leg", { hasText: "prod" }).getByText("runs there").waitFor();
});

await test("what is delivered is told in figures, or that nothing is recorded", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await heading("Delivery");
  await page.locator(".delivery-figures, .empty").first().waitFor();
});

await test("a switch is turned, seen before it is done", async () => {
  await go("/configs");
  await heading("Configuration");
  const spec = {
    switches: { fast: { default: false, owner: "team/trade", description: HOSTILE } },
  };
  const config = { apiVersion: "atoll/v1", kind: "Config", metadata: { name: "browser" }, spec };
  const made = await ask("PUT", "/v1/configs/browser", config);
  // A server that knows no configurations yet has a page that says there are none.
  if (made.status === 404) return see("No configuration is pushed at run time yet");
  await page.locator(".config-row a", { hasText: "browser" }).click();
  await page.getByRole("switch", { name: "fast" }).click();
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Turn fast on" }).click();
  await closed();
  await page.locator("[role='switch'][aria-checked='true']").waitFor();
  must(!(await page.evaluate(() => window.hacked)), "what was typed has run");
  await ask("DELETE", "/v1/configs/browser");
});

await test("a command is run on hosts, seen before it is done, and what it says is text", async () => {
  await go("/jobs");
  await heading("Jobs");
  await page.getByRole("button", { name: "Run a command" }).click();
  const line = `sh -c 'echo "${HOSTILE}"; exit 3'`;
  await dialog().getByRole("textbox", { name: "Command" }).fill("echo 'open");
  await dialog().getByText("A quote is left open.").waitFor();
  await dialog().getByRole("textbox", { name: "Command" }).fill(line);
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Run", exact: true }).click();
  await closed();
  await page.getByRole("button", { name: "Retry" }).waitFor();
  await page.locator(".job-lines code", { hasText: HOSTILE }).waitFor();
  await page.locator(".job-hosts button", { hasText: "failed" }).first().waitFor();
  must(!(await page.evaluate(() => window.hacked)), "what a command said has run");
});

await test("the inventory is searched, and standards have a score", async () => {
  await go("/inventory");
  await heading("Inventory");
  await page.getByLabel("Filter").fill("kind = host");
  await page.getByRole("button", { name: "Find", exact: true }).click();
  await page
    .getByRole("link", { name: /^host\// })
    .first()
    .click();
  await page.getByText("History", { exact: true }).first().waitFor();
  await go("/standards");
  await heading("Standards");
  await see("the fleet’s score");
});

await test("what the fleet can carry is told, and what it would with more load", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("k");
  await heading("Capacity");
  const table = (name) => page.getByRole("table", { name });
  const row = table("deployments").getByRole("row", { name: /shop\.prod/ });
  // Capacities are planned each half a minute, and the page asks for them now and then.
  await row.getByText("120").waitFor({ timeout: 70_000 });
  await row.getByText("enough", { exact: true }).waitFor();
  await button("10×").click();
  await row.getByText(/^\d+ lacking/).waitFor();
  must(new URL(page.url()).searchParams.get("times") === "10", "the address does not say so");
  await page.getByLabel("Without").selectOption("zone/default");
  await page.getByText("taken to be lost").waitFor();
  await button("As it is").click();
  await row.getByText("enough", { exact: true }).waitFor();
  await table("sizes").getByText("not known yet").first().waitFor();
  await table("deployments").getByRole("link", { name: "shop.prod" }).click();
  await heading("shop.prod");
  await page.getByText("The days ahead are not known").waitFor();
  await page.locator(".score-line", { hasText: "a week ago" }).getByText("not known").waitFor();
});

await test("the words of a capacity are whole, however many they are", async () => {
  const wordy = async (route) => {
    const response = await route.fetch();
    const json = await response.json();
    const more = { load: 30, each: 12.5, known: "bounded", missing: 12, placed: 0 };
    json.deployments = json.deployments.map((row) => ({ ...row, ...more }));
    await route.fulfill({ response, json });
  };
  await page.route("**/v1/capacity?*", wordy);
  try {
    await go("/capacity?times=2");
    const row = page.getByRole("table", { name: "deployments" }).getByRole("row").nth(1);
    await row.getByText("an objective broke with more").waitFor();
    const cut = await row
      .getByRole("cell")
      .evaluateAll((cells) =>
        cells
          .filter(
            (c) => c.scrollWidth > c.clientWidth || c.scrollHeight > c.parentElement.clientHeight,
          )
          .map((c) => c.textContent),
      );
    must(cut.length === 0, `cut: ${cut.join("; ")}`);
  } finally {
    await page.unroute("**/v1/capacity?*");
  }
});

await test("what it costs whom is told with budgets, and what has no price", async () => {
  await go("/budgets");
  await heading("Budgets");
  await see("Nobody has a budget yet");
  await see("There is no price");
  const from = "2026-01-01T00:00:00Z";
  const object = (kind, name, spec) => ({ apiVersion: "atoll/v1", kind, metadata: { name }, spec });
  const objects = [
    object("Price", "browser", { from, currency: "EUR", cpuHour: "0.02", memoryGiBHour: "0.01" }),
    object("Budget", "browser", {
      application: "shop",
      month: { limit: "500", currency: "EUR" },
      resources: { cpu: { guaranteed: "500m", ceiling: 1 } },
      exceed: "refuse",
    }),
  ];
  const made = await ask("POST", "/v1/apply", { objects });
  must(made.status === 200, `no budget was made: ${JSON.stringify(made.body)}`);
  const budget = page.getByLabel("browser", { exact: true });
  await budget.getByText(/of 500\.00 EUR/).waitFor();
  await budget.getByText("what breaks it is refused").waitFor();
  await budget.getByText("500m guaranteed").or(budget.getByText("0.5 guaranteed")).waitFor();
  const total = page.locator(".costs-table tfoot td.strong");
  await until(async () => Number(await total.textContent()) > 0, "nothing costs anything");
  await page.locator(".costs-table").getByRole("link", { name: "shop" }).waitFor();
  await page.getByRole("button", { name: "host", exact: true }).click();
  await page.locator(".costs-table th", { hasText: "host" }).first().waitFor();
  await ask("DELETE", "/v1/budgets/browser");
  await ask("DELETE", "/v1/prices/browser");
  await see("Nobody has a budget yet");
});

await test("a pool tells of its machines, and is asked for more after showing what that does", async () => {
  await go("/pools");
  await heading("Pools");
  await see("No hosts come and go by themselves");
  const spec = { count: 0, max: 4, provider: { static: { hosts: ["no.such-1", "no.such-2"] } } };
  const pool = { apiVersion: "atoll/v1", kind: "Pool", metadata: { name: "browser" }, spec };
  const made = await ask("PUT", "/v1/pools/browser", pool);
  must(made.status === 200, `no pool was made: ${JSON.stringify(made.body)}`);
  await page.getByRole("link", { name: "browser" }).click();
  await heading("browser");
  await see("It has no machines");
  await see("of 0 hosts ready");
  await button("How many").click();
  await dialog().getByRole("button", { name: "one more" }).click();
  await see("Can be done");
  await dialog().getByRole("button", { name: "Apply" }).click();
  await closed();
  await see("of 1 host ready");
  const gone = await ask("DELETE", "/v1/pools/browser");
  must(gone.status === 200, `the pool was not deleted: ${JSON.stringify(gone.body)}`);
  await see("There is no pool named browser");
});

await test("what a migration would do is told before it begins; it is paused, and cancelled", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("m");
  await heading("Migrations");
  await see("Nothing is moved, and nothing was");
  await button("Move something").click();
  await dialog().getByLabel("Zone").selectOption("default");
  await dialog().getByLabel("forecast").getByText("3 instances", { exact: true }).waitFor();
  await dialog().getByText("3 instances would find no room").waitFor();
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Begin" }).click();
  await closed();
  await page.locator(".migration-row a").first().click();
  // There is nowhere to go: whatever is moved stays where it is until somebody cancels.
  await button("Pause").click();
  await button("Resume").click();
  await button("Pause").waitFor();
  await button("Cancel").click();
  await dialog().getByText("Can be done").waitFor();
  await dialog().getByRole("button", { name: "Cancel the migration" }).click();
  await closed();
  await page
    .locator(".page-head .state", { hasText: /^(ends with this wave|cancelled)$/ })
    .waitFor();
  must((await button("Pause").count()) === 0, "what ends can be paused");
  const name = await page.locator("h1").textContent();
  await ask("DELETE", `/v1/migrations/${name}`);
  await see(`There is no migration named ${name}`);
});

await test("a scenario is rehearsed, and what came of it played over its time", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("y");
  await heading("Rehearsal");
  const scenario = page.getByLabel("Scenario");
  const example = await scenario.inputValue();
  await scenario.fill("spec: { lasts: 1h");
  await button("Rehearse").click();
  await page
    .getByRole("alert")
    .getByText(/^scenario:\d+:\d+: /)
    .waitFor();
  await scenario.fill(example.replace("kind: Rehearsal", "kind: Pool"));
  await button("Rehearse").click();
  await page
    .getByRole("alert")
    .getByText(/not Rehearsal/)
    .waitFor();
  // The browser itself writes down both answers.
  const told = complaints.splice(0).filter((text) => !text.includes("status of 422"));
  must(told.length === 0, told.join("\n"));
  await scenario.fill(example.replace("name: bad-release", "name: browser"));
  await button("Rehearse").click();
  await page.getByRole("heading", { name: "browser" }).waitFor();
  await see("every check held");
  await see("all of it", { exact: true });
  await page.getByLabel("time", { exact: true }).fill("0");
  await see("Nothing yet.");
  await page.locator(".player-now").getByText("not known").waitFor();
  await button("fast").click();
  await button("Play").click();
  await page.locator(".told-entry", { hasText: "one request in five to it fails" }).waitFor();
  await button("To the end").click();
  await see("all of it", { exact: true });
  await page.locator(".told-entry", { hasText: "serves everything again" }).first().waitFor();
  await page.getByLabel("time", { exact: true }).fill("0");
  await see("Nothing yet.");
  await page.locator(".when-not button").first().click();
  await page.locator(".player-now", { hasText: "shop.prod in trouble" }).waitFor();
});

await test("the board tells what is recorded, and of the rest that it is not known", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await heading("Board");
  const tile = (name) =>
    page.locator(".board-tile").filter({
      has: page.getByRole("heading", { name, exact: true }),
    });
  await tile("Health").getByText("100 %").waitFor();
  await tile("Health").getByText("3 of 3 ready").waitFor();
  await tile("Cost").locator(".board-value", { hasText: "not known" }).waitFor();
  await tile("Decisions").locator(".board-value", { hasText: "not known" }).waitFor();
  await tile("Automation").getByText("of changes and repairs").waitFor();
  await button("7d").click();
  must(new URL(page.url()).searchParams.get("days") === "7", "the address does not say so");
});

await test("what a policy decided that is deleted tells so, and leads nowhere", async () => {
  const name = "browser-gone";
  const spec = {
    subjects: { kind: "Deployment" },
    when: "subject.spec.instances > 0",
    for: "0s",
    action: "rollBack",
    mode: "observe",
  };
  const policy = { apiVersion: "atoll/v1", kind: "Policy", metadata: { name }, spec };
  const made = await ask("POST", "/v1/apply", { objects: [policy] });
  must(made.status === 200, `no policy was made: ${JSON.stringify(made.body)}`);
  await go("/decisions?tab=all");
  const row = page.locator("li.decision", { hasText: name }).first();
  await row.locator("summary").click();
  const link = row.getByRole("link", { name, exact: true });
  await link.waitFor();
  await ask("DELETE", `/v1/policies/${name}`);
  await row.getByText(`${name} (deleted)`).first().waitFor();
  await link.waitFor({ state: "detached" });
});

await test("what is not there is said so", async () => {
  await go("/nowhere/at/all");
  await see("There is no such page");
  await go("/deployments/no.such");
  await see("There is no deployment named no.such");
});

await test("dark is chosen by t and remembered", async () => {
  const ground = () =>
    page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.goto("/");
  await page.locator("main h1").waitFor();
  const light = await ground();
  await page.keyboard.press("t");
  await until(async () => (await ground()) !== light, "nothing has changed");
  const dark = await ground();
  await page.reload();
  await page.locator("main h1").waitFor();
  must((await ground()) === dark, "it is forgotten");
  await page.keyboard.press("t");
});

await test("nothing was complained of", async () => {
  must(complaints.length === 0, complaints.join("\n"));
});

await test("on a telephone nothing is wider than the page, light or dark", async () => {
  for (const dark of [false, true]) {
    const small = await open(browser, base, { width: 390, height: 844, dark });
    const tabs = ["", "?tab=metrics", "?tab=logs", "?tab=history", "?tab=manifest"].map(
      (tab) => DEPLOYMENT + tab,
    );
    await small.page.goto("/");
    for (const path of [...PLACES, "/applications/shop", ...tabs]) {
      await small.page.evaluate((to) => {
        history.pushState({}, "", to);
        dispatchEvent(new PopStateEvent("popstate"));
      }, path);
      await small.page.locator("main h1").waitFor();
      // There may be several.
      await small.page.waitForFunction(() => !document.querySelector(".skeleton"));
      const over = await small.page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return scrollWidth - clientWidth;
      });
      must(over <= 0, `${path} is ${over} pixels too wide`);
      const cut = await small.page
        .locator(".tabs, pre.command")
        .evaluateAll((all) => all.some((one) => one.scrollWidth > one.clientWidth));
      must(!cut, `${path} has tabs or commands that end at the edge`);
    }
    must(small.complaints.length === 0, small.complaints.join("\n"));
    await small.page.context().close();
  }
});

await test("while the server is away the page says so, and goes on by itself", async () => {
  const wire = await line(base);
  const far = await open(browser, wire.url);
  try {
    await far.page.goto("/applications");
    await far.page.locator(".deployment-row").first().waitFor();
    wire.cut();
    await far.page.getByText("The server is away.").waitFor();
    must(await far.page.locator(".deployment-row").first().isVisible(), "what was seen is gone");
    wire.mend();
    await far.page.getByText("The server is away.").waitFor({ state: "detached" });
    await far.page.getByText("live", { exact: true }).waitFor();
  } finally {
    await far.page.context().close();
    wire.close();
  }
});

await test("who is not known signs in with a token, and may do what it lets", async () => {
  const made = await ask("POST", "/v1/tokens/create", { role: "viewer", owner: "browser" });
  must(made.status === 200, `no token was made: ${JSON.stringify(made.body)}`);
  // By another name than this machine's own, the server takes nobody for its user.
  const stranger = await open(browser, base.replace("127.0.0.1", ELSEWHERE));
  const { page: far } = stranger;
  await far.goto("/hosts");
  await far.getByLabel("Token").fill("not a token");
  await far.getByRole("button", { name: "Sign in" }).click();
  await far.getByRole("alert").waitFor();
  await far.getByLabel("Token").fill(made.body.token);
  await far.getByRole("button", { name: "Sign in" }).click();
  await far.getByRole("heading", { level: 1, name: "Hosts" }).waitFor();
  await far.goto("/applications");
  await far.locator(".deployment-row a", { hasText: "prod" }).first().click();
  await far.getByText("You may look, not change.").waitFor();
  await far.getByRole("button", { name: "sign out" }).click();
  await far.getByLabel("Token").waitFor();
  await far.context().close();
  await ask("DELETE", `/v1/tokens/${made.body.name}`);
});

await test("a user signs in with a password, and the audit knows it", async () => {
  const name = "browser-anna";
  const password = "a good long password";
  const user = { apiVersion: "atoll/v1", kind: "User", metadata: { name }, spec: {} };
  const role = {
    apiVersion: "atoll/v1",
    kind: "Role",
    metadata: { name: "browser" },
    spec: {
      description: "<img src=x onerror=alert(1)>",
      to: [`user/${name}`],
      rules: [
        { verbs: ["read"] },
        { verbs: ["read"], kinds: ["User", "Team", "Role"] },
        { verbs: ["write"], kinds: ["Freeze"] },
      ],
    },
  };
  const applied = await ask("POST", "/v1/apply", { objects: [user, role] });
  must(applied.status === 200, `not applied: ${JSON.stringify(applied.body)}`);
  const set = await ask("PUT", `/v1/users/${name}/password`, { password });
  must(set.status === 204, `no password: ${JSON.stringify(set.body)}`);
  const stranger = await open(browser, base.replace("127.0.0.1", ELSEWHERE));
  const { page: far } = stranger;
  await far.goto("/people");
  await far.getByLabel("Name").fill(name);
  await far.getByLabel("Password").fill("wrong");
  await far.getByRole("button", { name: "Sign in" }).click();
  await far.getByRole("alert").waitFor();
  await far.getByLabel("Password").fill(password);
  await far.getByRole("button", { name: "Sign in" }).click();
  await far.getByRole("heading", { level: 1, name: "People" }).waitFor();
  await far.getByText("<img src=x onerror=alert(1)>").waitFor();
  await far.goto("/audit?kind=audit");
  await far.locator(".audit li").filter({ hasText: name }).first().waitFor();
  await far.getByRole("button", { name: "Verify" }).click();
  await far.getByText(/all \d+ records fit/).waitFor();
  await far.getByRole("button", { name: "sign out" }).click();
  await far.getByLabel("Password").waitFor();
  await far.context().close();
  await ask("DELETE", `/v1/users/${name}`);
  await ask("DELETE", "/v1/roles/browser");
});

await browser.close();
process.exit(tests.end());

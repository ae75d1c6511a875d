// Pretended pipelines: their runs of the last days, one that goes on before one's eyes, logs and
// tests. What a real run does is elsewhere.
import { world } from "./fleet.mjs";

const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const hash = () =>
  Array.from({ length: 40 }, () => "0123456789abcdef"[Math.floor(Math.random() * 16)]).join("");

const step = (name, needs = [], more = {}) => ({ name, needs, run: `make ${name}`, ...more });

const SHOP = [
  step("checkout"),
  step("lint", ["checkout"]),
  step("build", ["checkout"], {
    matrix: { axes: { os: ["bookworm", "trixie"], rust: ["1.95", "stable", "nightly"] } },
    artifacts: [{ name: "shop", paths: ["target/shop"] }],
  }),
  step("unit", ["build"], { tests: [{ junit: "report.xml", suite: "unit" }] }),
  step("integration", ["build"], {
    services: [{ name: "postgres" }],
    tests: [{ junit: "report.xml", suite: "integration" }],
  }),
  step("audit", ["lint"], { mayFail: true }),
  step("docs", ["lint"]),
  step("package", ["unit", "integration", "audit"], {
    artifacts: [{ name: "tree", paths: ["out"] }],
  }),
  step("system", ["package"], { tests: [{ junit: "report.xml", suite: "system" }] }),
  step("release", ["system", "docs"], { release: { package: "out" } }),
  step("clean-up", ["release"], { always: true, when: 'branch == "main"' }),
];

/** Forty steps, as a pipeline over many modules has them. */
const MODULES = ["index", "query", "rank", "crawl", "store", "suggest", "spell", "admin"];
const SEARCH = [
  step("checkout"),
  step("toolchain", ["checkout"]),
  ...MODULES.map((m) =>
    step(`build-${m}`, m === "rank" ? ["toolchain", "build-index"] : ["toolchain"]),
  ),
  ...MODULES.map((m) => step(`lint-${m}`, ["checkout"])),
  ...MODULES.map((m) => step(`unit-${m}`, [`build-${m}`])),
  step(
    "link",
    MODULES.map((m) => `build-${m}`),
  ),
  ...["index", "query", "rank", "crawl", "store", "suggest"].map((m) =>
    step(`integration-${m}`, ["link", `unit-${m}`]),
  ),
  step("load", ["integration-query", "integration-rank"]),
  step("package", ["integration-index", "integration-crawl", "integration-store", "unit-spell"]),
  step("system", ["package", "load"]),
  step("sign", ["package"]),
  step("release", ["system", "sign", ...MODULES.map((m) => `lint-${m}`)], {
    release: { image: {} },
  }),
  step("notify", ["release"], { always: true }),
];

const SMALL = [step("build"), step("test", ["build"]), step("release", ["test"], { release: {} })];

const PIPELINES = [
  ["shop", SHOP, "https://git.example/trade/shop.git"],
  ["search", SEARCH, "https://git.example/find/search.git"],
  ["checkout", SMALL, "https://git.example/trade/checkout.git"],
  ["images", SMALL, undefined],
  [
    "nightly-restore",
    [step("restore", [], { matrix: { axes: { database: ["ledger", "stock"] } } })],
  ],
];

const SUBJECTS = [
  "Retry the payment once with the same key",
  "Prices are rounded as the law asks",
  "Fewer allocations while a basket is read",
  "The address of the warehouse is configuration",
  "Drop the old column once nobody reads it",
  "Say which voucher was refused, and why",
];
const AUTHORS = ["anna", "ben", "chidi", "dara", "mia"];

function cellsOf({ matrix }) {
  const axes = Object.entries(matrix?.axes ?? {});
  return axes.reduce(
    (cells, [name, values]) => cells.flatMap((c) => values.map((v) => ({ ...c, [name]: v }))),
    [{}],
  );
}

const commit = (seconds) => ({
  id: hash(),
  subject: pick(SUBJECTS),
  author: pick(AUTHORS),
  at: ago(seconds + 180),
});

const totals = (failed = 0) => ({
  unit: { passed: 412 - failed, failed, skipped: 3, millis: 8_200 },
  integration: { passed: 58, failed: 0, skipped: 0, millis: 41_000 },
  system: { passed: 11, failed: 0, skipped: 1, millis: 96_000 },
});

function run(pipeline, number, { began, took, phase, failing, branch = "main", cause = "push" }) {
  const { steps } = world.get("pipelines", pipeline).spec;
  const name = `${pipeline}.${number}`;
  const bad = new Set(failing ? [failing] : []);
  const cells = steps.flatMap((s) => {
    const skipped = s.needs?.some((n) => bad.has(n));
    if (skipped && !s.always) bad.add(s.name);
    return cellsOf(s).map((values, k) => ({
      step: s.name,
      values,
      phase:
        phase === "running" || phase === "pending"
          ? "waiting"
          : s.name === failing && k === 0
            ? "failed"
            : skipped
              ? "skipped"
              : "succeeded",
      task: skipped || phase === "running" ? undefined : `${name}.${s.name}.${k}`,
      retries: s.name === "integration" && number % 5 === 0 ? 1 : 0,
    }));
  });
  const made = phase === "succeeded" && steps.some((s) => s.release);
  const object = world.put("Run", name, {
    actor: "controller/run",
    spec: { pipeline, number, cause, key: `${cause}/${number}`, branch, commit: undefined },
    status: {
      phase,
      commit: commit(began),
      definition: { steps },
      cells,
      tests: phase === "succeeded" || failing ? totals(failing === "unit" ? 2 : 0) : {},
      made: made
        ? { version: `1.${number}`, content: { type: "files", digest: hash() } }
        : undefined,
      startedAt: ago(began),
      endedAt: phase === "running" ? undefined : ago(began - took),
      reasons: failing
        ? [
            {
              code: "step-failed",
              message: `${failing} failed with exit code 1`,
              hint: `atoll logs task/${name}.${failing}.0`,
            },
          ]
        : [],
    },
  });
  object.metadata.createdAt = ago(began + 3);
  let at = began - 2;
  for (const [k, cell] of cells.entries()) {
    if (!cell.task) continue;
    const long = (took / cells.length) * (0.6 + Math.random());
    task(cell, k, name, ago(at), ago(Math.max(0, at - long)), cell.phase);
    at -= took / cells.length;
  }
}

function task({ step: of, task: name }, cell, of_run, startedAt, endedAt, phase) {
  world.put("Task", name, {
    actor: "controller/task",
    spec: {
      run: of_run,
      step: of,
      cell,
      host: `h${1 + (cell % 19)}`,
      on: "",
      work: { command: ["make"] },
    },
    status: {
      phase,
      since: endedAt ?? startedAt,
      exitCode: phase === "failed" ? 1 : phase === "succeeded" ? 0 : undefined,
      startedAt,
      endedAt,
      log: endedAt ? hash() : undefined,
      artifacts: of === "build" ? { shop: { digest: hash(), size: 18_400_000, entries: 1 } } : {},
      cacheHits: of === "build" ? ["cargo-9f2c"] : [],
      reasons:
        phase === "failed"
          ? [{ code: "exit", message: "its command exited with 1 after 38s" }]
          : [],
    },
  });
}

/** The run that goes on: cells that may begin do, those that have gone on long enough end. */
function advance(name) {
  const it = world.get("runs", name);
  if (it?.status.phase !== "running") return;
  const steps = it.status.definition.steps;
  const over = (s) =>
    it.status.cells
      .filter((c) => c.step === s)
      .every((c) => ["succeeded", "skipped"].includes(c.phase));
  let going = it.status.cells.filter((c) => c.phase === "going").length;
  const cells = it.status.cells.map((cell, k) => {
    const needs = steps.find((s) => s.name === cell.step).needs ?? [];
    if (cell.phase === "waiting" && going < 6 && needs.every(over)) {
      going += 1;
      const next = { ...cell, phase: "going", task: `${name}.${cell.step}.${k}` };
      task(next, k, name, new Date().toISOString(), undefined, "running");
      return next;
    }
    if (cell.phase === "going" && Math.random() < 0.16) {
      world.status("Task", cell.task, {
        phase: "succeeded",
        exitCode: 0,
        endedAt: new Date().toISOString(),
      });
      return { ...cell, phase: "succeeded" };
    }
    return cell;
  });
  const done = cells.every((c) => c.phase === "succeeded");
  world.status("Run", name, {
    cells,
    ...(done ? { phase: "succeeded", endedAt: new Date().toISOString(), tests: totals() } : {}),
  });
}

export function startPipelines() {
  for (const [name, steps, git] of PIPELINES) {
    world.put("Pipeline", name, {
      actor: "user/anna",
      intent: "edit",
      spec: {
        source: git ? { git, branch: "main", file: "atoll.yaml" } : undefined,
        triggers: name === "nightly-restore" ? { schedules: [{ cron: "0 3 * * *" }] } : {},
        params: { profile: { type: "string", default: "release", oneOf: ["release", "debug"] } },
        timeout: "1h",
        steps,
      },
      status: { lastRun: 60, heads: { main: hash() }, reasons: [] },
    });
    const failing = { shop: "unit", search: "integration-rank", checkout: "test" }[name];
    for (let k = 24; k > 0; k -= 1) {
      const bad = failing && [7, 16].includes(k);
      const branch = k % 4 === 3 ? "retry-payments" : "main";
      const began = k * 8_100 + 400;
      const took = name === "search" ? 540 + k * 4 : 170 + ((k * 37) % 60);
      const cause = name === "nightly-restore" ? "schedule" : "push";
      run(name, 60 - k, {
        began,
        took,
        phase: bad ? "failed" : "succeeded",
        failing: bad && failing,
        branch,
        cause,
      });
    }
  }
  run("shop", 60, { began: 40, took: 0, phase: "running", branch: "main", cause: "webhook" });
  run("search", 60, { began: 70, took: 0, phase: "running", branch: "main", cause: "push" });
  world.put("Run", "checkout.60", {
    actor: "controller/run",
    spec: { pipeline: "checkout", number: 60, cause: "manual", key: "m", branch: "main" },
    status: {
      phase: "waiting",
      commit: commit(20),
      cells: [],
      reasons: [
        { code: "concurrency", message: "it waits for shop.60: both are of the group deploy-main" },
      ],
    },
  });
  setInterval(() => ["shop.60", "search.60"].forEach(advance), 900);
}

const LINES = [
  "   Compiling shop-core v1.4.2 (/workspace/core)",
  "warning: unused variable: `basket`",
  "   Compiling shop-http v1.4.2 (/workspace/http)",
  "test basket::tests::a_voucher_is_taken_once ... ok",
  "test basket::tests::prices_are_rounded ... ok",
  "GET https://registry.example/index token=***",
  "\u001b[32m    Finished\u001b[0m `test` profile in 21.4s",
];

export function taskLog(name) {
  const lines = Array.from({ length: 1_800 }, (_, k) =>
    LINES[k % LINES.length].replace("_", `_${k}_`),
  );
  if (name.includes("unit") && world.get("tasks", name)?.status.phase === "failed") {
    lines.push(
      "test prices::tests::half_a_cent_goes_up ... FAILED",
      "thread 'half_a_cent_goes_up' panicked at core/src/prices.rs:118:9:",
      "assertion `left == right` failed\n  left: 1004\n right: 1005",
      "error: test failed, to rerun pass `-p shop-core`",
    );
  }
  return `${lines.join("\n")}\n`;
}

export function runTests(name) {
  const { status } = world.get("runs", name);
  const failed = (status.tests?.unit?.failed ?? 0) > 0;
  const one = (suite, group, test, more = {}) => ({
    task: `${name}.${suite}.0`,
    suite,
    group,
    name: test,
    outcome: "passed",
    millis: Math.floor(Math.random() * 300),
    flaky: false,
    ...more,
  });
  const tests = [
    ...(failed
      ? ["half_a_cent_goes_up", "vouchers <b>are</b> kept"].map((t) =>
          one("unit", "prices::tests", t, {
            outcome: "failed",
            message:
              "assertion `left == right` failed\n  left: 1004\n right: 1005\n   at core/src/prices.rs:118:9",
          }),
        )
      : []),
    one("integration", "postgres", "a_basket_survives_a_restart", { flaky: true, millis: 4_210 }),
    one("system", "browser", "somebody_buys_something", { millis: 18_400 }),
    one("system", "browser", "a_card_is_refused", { outcome: "skipped", millis: 0 }),
    ...Array.from({ length: 120 }, (_, k) => one("unit", `basket::tests`, `case_${k}`)),
    ...Array.from({ length: 30 }, (_, k) =>
      one("integration", "postgres", `query_${k}`, { millis: 300 + k }),
    ),
  ];
  return {
    totals: status.tests ?? {},
    tests: status.phase === "running" ? [] : tests,
    truncated: false,
  };
}

export function pipelineTests(name) {
  const runs = world
    .all("runs")
    .filter((r) => r.spec.pipeline === name)
    .map((r) => r.metadata.name)
    .reverse();
  const one = (suite, group, test, passed, failed, flaky) => ({
    suite,
    group,
    name: test,
    passed,
    failed,
    flaky,
    lastFailed: runs[7],
  });
  return {
    runs,
    tests: [
      one("integration", "postgres", "a_basket_survives_a_restart", 21, 4, 4),
      one("system", "browser", "somebody_buys_something", 22, 2, 1),
      one("unit", "prices::tests", "half_a_cent_goes_up", 22, 2, 0),
    ],
  };
}

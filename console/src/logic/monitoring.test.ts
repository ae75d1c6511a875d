import assert from "node:assert/strict";
import { test } from "node:test";
import { type Kinds, pluralOf, singular } from "../api/objects";
import { grouped, matchersFor, matches, parseMatcher, quietBy, silenceState } from "./alerts";
import { deploymentPanels, hostPanels, instancePanels } from "./dashboards";
import { compared, effectWords, signalOf } from "./guard";
import { literalOf, logQuery, parseFields, pieces } from "./loglines";
import { budgetQuery, burnQuery, leftWords, promiseWords, spentIn, targetOf } from "./objectives";
import { parse } from "./promql";

const metadata = { name: "x", revision: 1 } as never;

function alert(labels: Record<string, string>, phase = "firing", firedAt = "2026-01-01T00:00:00Z") {
  return {
    apiVersion: "atoll/v1",
    kind: "Alert",
    metadata: { name: JSON.stringify(labels) },
    spec: { rule: "r", group: "g", labels },
    status: { phase, activeAt: firedAt, firedAt, value: "1" },
  } as unknown as Kinds["alerts"];
}

function silence(spec: Partial<Kinds["silences"]["spec"]>) {
  return {
    apiVersion: "atoll/v1",
    kind: "Silence",
    metadata,
    spec: { matchers: [], reason: "r", ...spec },
    status: {},
  } as Kinds["silences"];
}

test("conditions are read as the server reads them", () => {
  assert.deepEqual(parseMatcher('a="b c"'), { name: "a", operator: "=", value: "b c" });
  assert.deepEqual(parseMatcher("a=~b.*"), { name: "a", operator: "=~", value: "b.*" });
  for (const wrong of ["a", "=b", "1a=b", 'a="b', 'a=~"("'])
    assert.equal(parseMatcher(wrong), undefined);
  assert.ok(matches(['a="b"', 'c!="d"', 'e=~"f|g"', 'h!~"i"'], { a: "b", e: "g" }));
  assert.ok(!matches(['e=~"f"'], { e: "ff" }));
  assert.ok(!matches(["broken"], {}));
});

test("a silence begins with the alert's own labels, and holds it", () => {
  const one = alert({ severity: "page", host: 'h"1', alertname: "Down" });
  assert.deepEqual(matchersFor(one), ['alertname="Down"', 'host="h\\"1"']);
  assert.ok(matches(matchersFor(one), one.spec.labels));
});

test("an alert is quiet by a silence in its time, or while another fires", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  const [one, down] = [
    alert({ alertname: "Slow", host: "h1" }),
    alert({ alertname: "Down", host: "h1" }),
  ];
  const over = silence({ matchers: ['host="h1"'], until: "2026-01-01T00:00:00Z" });
  const ahead = silence({ matchers: ['host="h1"'], from: "2026-01-03T00:00:00Z" });
  const inhibits = silence({
    matchers: ['alertname="Slow"'],
    whileFiring: ['alertname="Down"'],
    equal: ["host"],
  });
  assert.equal(silenceState(over, now), "over");
  assert.equal(silenceState(ahead, now), "ahead");
  assert.deepEqual(quietBy(one, [over, ahead, inhibits], [one, down], now), [inhibits]);
  assert.deepEqual(
    quietBy(one, [inhibits], [one, alert({ alertname: "Down", host: "h2" })], now),
    [],
  );
});

test("groups that fire come first, and pages among them", () => {
  const list = [
    alert({ alertname: "Ended" }, "resolved"),
    alert({ alertname: "Ticket", severity: "ticket" }),
    alert({ alertname: "Page", severity: "page" }),
    alert({ alertname: "Waits" }, "pending"),
  ];
  assert.deepEqual(
    grouped(list, "alertname").map((g) => g.name),
    ["Page", "Ticket", "Waits", "Ended"],
  );
  assert.deepEqual(
    grouped(list, "deployment").map((g) => g.alerts.length),
    [4],
  );
});

function objective(promise: object, status: object = {}) {
  return {
    apiVersion: "atoll/v1",
    kind: "Objective",
    metadata,
    spec: { deployment: "shop.prod", promise: { name: "up", window: "30d", ...promise } },
    status: { phase: "kept", ...status },
  } as unknown as Kinds["objectives"];
}

test("budgets are worked out from the recorded series", () => {
  const one = objective({ target: "99.9%" });
  assert.equal(targetOf(one.spec.promise), 0.999);
  assert.match(
    budgetQuery(one),
    /objective:bad:window\{deployment="shop.prod", objective="up"\} \/ \(.* \* 0.001\)$/,
  );
  for (const query of [budgetQuery(one), burnQuery(one)])
    assert.equal(parse(query).fault, undefined);
  assert.equal(promiseWords(one.spec.promise), "99.9 % good over 30d");
  assert.equal(promiseWords({ below: "300ms", window: "7d" }), "below 300ms for 99 % of 7d");
  assert.equal(
    spentIn(objective({ target: "99%" }, { budgetLeft: 0.5, burnRate: 2 })),
    7.5 * 86_400_000,
  );
  assert.equal(spentIn(objective({}, { budgetLeft: -0.1, burnRate: 2 })), undefined);
  assert.equal(
    leftWords(objective({ target: "99.9%" }, { budgetLeft: 0.5 })),
    "50 % left: 21m 36s of nothing but errors".replace("21m 36s", "21m"),
  );
  assert.equal(leftWords(objective({}, { budgetLeft: -0.24 })), "overspent by 24 %");
});

test("every query of a dashboard is PromQL", () => {
  const all = [
    ...hostPanels("h1"),
    ...instancePanels("a.b.0", 1024),
    ...deploymentPanels('we"ird'),
  ];
  for (const panel of all.flatMap((s) => s.panels)) {
    const query = panel.query(15_000);
    assert.equal(parse(query).fault, undefined, `${panel.title}: ${query}`);
  }
});

test("signals are asked for on their deployment only", () => {
  const application = {
    spec: {
      objectives: [{ name: "fast", query: "avg(lat[{{window}}])", below: "300ms" }],
      rollout: { guard: { signals: [{ name: "queue", query: "queue_length" }] } },
    },
  } as never;
  for (const name of [
    "errors",
    "latency",
    "cpu",
    "memory",
    "requests",
    "restarts",
    "error-lines",
    "queue",
    "fast",
  ]) {
    const view = signalOf(name, application, "shop.prod");
    assert.ok(view, name);
    const { fault, selectors } = parse(view.query);
    assert.equal(fault, undefined, view.query);
    assert.ok(
      selectors.length > 0 && selectors.every((s) => s.labels.includes("deployment")),
      view.query,
    );
  }
  assert.equal(signalOf("fast", application, "x")?.unit, "seconds");
  assert.equal(signalOf("gone", application, "x"), undefined);
});

test("changed instances are those that ever ran the new release", () => {
  const times = [0, 15, 30];
  const line = (labels: Record<string, string>, values: (number | null)[]) => ({ labels, values });
  const signal = {
    times,
    lines: [line({ instance: "a" }, [1, 1, 9]), line({ instance: "b" }, [2, 2, 2])],
  };
  const releases = {
    times,
    lines: [
      line({ instance: "a", release: "r1" }, [1, 1, null]),
      line({ instance: "a", release: "r2" }, [null, null, 1]),
      line({ instance: "b", release: "r1" }, [1, 1, 1]),
    ],
  };
  const { grid, names, changedAt } = compared(signal, releases, "r2");
  assert.deepEqual(names, ["changed", "unchanged"]);
  assert.deepEqual(
    grid.lines.map((l) => l.values),
    [
      [1, 1, 9],
      [2, 2, 2],
    ],
  );
  assert.equal(changedAt, 30);
  assert.deepEqual([0.3, -0.12, 10.5, 0.001, undefined].map(effectWords), [
    "+30 %",
    "−12 %",
    "×11.5",
    "–",
    "–",
  ]);
});

test("a search of logs is written as the server takes it", () => {
  assert.deepEqual(parseFields('status=502, path="/a b" nonsense'), [
    ["status", "502"],
    ["path", "/a b"],
  ]);
  const asked = { subject: "host/h1", contains: "a b", level: "error", fields: "a=b c=d" };
  assert.equal(
    logQuery(asked, { kind: "last", ms: 3_600_000 }, 10),
    "subject=host%2Fh1&since=1h&limit=10&contains=a+b&level=error&field=a%3Db&field=c%3Dd",
  );
  const between = new URLSearchParams(logQuery(asked, { kind: "between", from: 0, to: 1000 }, 10));
  assert.equal(between.get("until"), "1970-01-01T00:00:01.000Z");
});

test("what was searched for is found again in the line", () => {
  assert.deepEqual(
    pieces("aXbxc", "x")
      .map((p) => (p.hit ? `[${p.text}]` : p.text))
      .join(""),
    "a[X]b[x]c",
  );
  assert.deepEqual(pieces("abc", ""), [{ text: "abc", hit: false }]);
  assert.equal(
    literalOf("payment <id> refused: upstream answered <num>"),
    "refused: upstream answered",
  );
  assert.equal(literalOf("<num>"), "");
});

test("kinds are known by their words, one or many", () => {
  assert.equal(pluralOf("analysis"), "analyses");
  assert.equal(pluralOf("Objective"), "objectives");
  assert.equal(pluralOf("hosts"), "hosts");
  assert.equal(singular("analyses"), "analysis");
  assert.equal(singular("silences"), "silence");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tables } from "../api/store";
import { rangeOf } from "../parts/window";
import { changedTarget, diffLines, valueWords } from "./diff";
import { candidates, scoreOf } from "./find";
import { sequences } from "./keys";
import { isCommand, readable } from "./prose";
import {
  counted,
  countedRange,
  cpuWords,
  exactCpu,
  listed,
  memoryWords,
  parseCpu,
  parseMemory,
  percent,
  portionOf,
  ranged,
} from "./quantity";
import { countdown, parseSpan, spanShort, spanWords } from "./time";
import { toYaml } from "./yaml";

test("spans are read as the server writes them", () => {
  assert.equal(parseSpan("1m30s"), 90_000);
  assert.equal(parseSpan("250ms"), 250);
  assert.equal(parseSpan("2d"), 172_800_000);
  assert.equal(parseSpan(undefined), 0);
});

test("spans are told in at most two units", () => {
  assert.equal(spanWords(250), "0s");
  assert.equal(spanWords(59_999), "59s");
  assert.equal(spanWords(250_000), "4m 10s");
  assert.equal(spanWords(7_200_000), "2h");
  assert.equal(spanWords(45_000_000), "12h");
  assert.equal(spanShort(250_000), "4m");
  assert.equal(spanWords(-5), "0s");
});

test("countdowns run to zero and no further", () => {
  assert.equal(countdown(64_000), "1:04");
  assert.equal(countdown(1), "0:01");
  assert.equal(countdown(-1), "0:00");
  assert.equal(countdown(7_260_000), "2h 1m");
});

test("from one number to the same is that one, and many names are not all told", () => {
  assert.equal(ranged(2, 5), "2 to 5");
  assert.equal(ranged(3, 3), "3");
  assert.equal(countedRange(1, 1, "host"), "1 host");
  assert.equal(countedRange(0, 3, "host"), "0 to 3 hosts");
  assert.equal(counted(1_234_567, "line"), "1,234,567 lines");
  assert.equal(counted(1e300, "line"), "1e300 lines");
  assert.equal(listed(["a", "b", "c"], 3), "a, b, c");
  assert.equal(listed(["a", "b", "c"], 1), "a and 2 more");
});

test("amounts are read and told", () => {
  assert.deepEqual(["500m", "2", "1.5"].map(parseCpu), [500, 2000, 1500]);
  assert.deepEqual(["256Mi", "1Gi", "1k", "12"].map(parseMemory), [2 ** 28, 2 ** 30, 1000, 12]);
  assert.equal(cpuWords(12_100), "12.1");
  assert.equal(cpuWords(50), "50m");
  assert.deepEqual([0, 150, 1250, 16_000].map(exactCpu), ["0", "150m", "1250m", "16"]);
  assert.equal(memoryWords(3 * 2 ** 29), "1.5 GiB");
  assert.equal(memoryWords(100), "100 B");
});

test("percentages say nothing and everything only where it is so", () => {
  assert.equal(percent(1, 100_000), 1);
  assert.equal(percent(99_999, 100_000), 99);
  assert.equal(percent(0, 5), 0);
  assert.equal(percent(5, 5), 100);
  assert.equal(percent(6, 5), 120);
  assert.equal(percent(1, 0), 0);
});

test("portions are rounded up, as the planner does", () => {
  assert.equal(portionOf("25%", 77), 20);
  assert.equal(portionOf("10%", 10), 1);
  assert.equal(portionOf("3", 10), 3);
});

test("a diff tells what came, went and changed, and what is only reported", () => {
  const lines = diffLines([
    { path: "spec.instances", from: 3, to: 5 },
    { path: "spec.release", to: "shop-2" },
    { path: "status.phase", from: "settled" },
  ]);
  assert.deepEqual(
    lines.map((l) => [l.kind, l.from, l.to, l.target]),
    [
      ["changed", "3", "5", true],
      ["added", undefined, "shop-2", true],
      ["removed", "settled", undefined, false],
    ],
  );
});

test("values are written as in a manifest", () => {
  assert.equal(valueWords("shop-1"), "shop-1");
  assert.equal(valueWords("a: b\n"), '"a: b\\n"');
  assert.equal(valueWords(["a", 1]), '["a",1]');
  assert.equal(valueWords("x".repeat(1000)).length, 401);
});

test("reports are no changes of the target", () => {
  const entry = {
    revision: 1,
    at: "",
    kind: "Deployment",
    name: "",
    actor: "",
    intent: "",
    reasons: [],
  } as const;
  const diff = [{ path: "status.ready", from: 1, to: 2 }];
  assert.equal(changedTarget({ ...entry, reasons: [], op: "update", diff }), false);
  assert.equal(changedTarget({ ...entry, reasons: [], op: "create", diff }), true);
});

test("what is typed finds names, the nearer the sooner", () => {
  const score = (name: string) => scoreOf(name, ["shop"]) ?? Number.POSITIVE_INFINITY;
  assert.ok(score("shop") < score("shop.prod"));
  assert.ok(score("shop.prod") < score("my-shop.prod"));
  assert.ok(score("my-shop") < score("workshop"));
  assert.equal(scoreOf("stock", ["shop"]), undefined);
});

test("g and a further key make a sequence, unless it takes too long", () => {
  const join = sequences("g", 1000);
  assert.equal(join("g", 0), "g");
  assert.equal(join("o", 500), "g o");
  assert.equal(join("o", 600), "o");
  join("g", 1000);
  assert.equal(join("o", 2500), "o");
});

test("only rows near what is seen are drawn, and never fewer than are seen", () => {
  const range = rangeOf(34 * 1000, 34 * 1020, 3000, 34);
  assert.ok(range.first <= 1000 && range.first > 950);
  assert.ok(range.last >= 1020 && range.last < 1070);
  assert.deepEqual(rangeOf(-500, 400, 5, 34), { first: 0, last: 5 });
  assert.deepEqual(rangeOf(1e6, 1e6 + 900, 5, 34), { first: 5, last: 5 });
});

test("objects are written as the YAML one would apply", () => {
  const object = {
    kind: "Application",
    metadata: { name: "shop", labels: {} },
    spec: {
      run: { command: ["./shop", "{{ports.http}}"], env: { ON: "true", N: "8" } },
      steps: [{ instances: "1", soak: "2m" }, { instances: "25%" }],
      note: "a: b",
      none: [],
    },
  };
  assert.equal(
    toYaml(object),
    `kind: Application
metadata:
  name: shop
  labels: {}
spec:
  run:
    command: [./shop, "{{ports.http}}"]
    env:
      "ON": "true"
      N: "8"
  steps:
    - instances: "1"
      soak: 2m
    - instances: 25%
  note: "a: b"
  none: []
`,
  );
});

test("sentences of the server are rounded as people read them", () => {
  const now = Date.parse("2026-11-26T19:20:00Z");
  const said = readable("8 instances take 280m of 2 cpu; heard 1m7s919ms ago, in 250ms", now);
  assert.equal(said, "8 instances take 280m of 2 cpu; heard 1m 7s ago, in 250ms");
  assert.equal(readable("512Mi of 24731708Ki", now), "512Mi of 23.6 GiB");
  assert.match(readable("since 2026-11-26T19:15:49.156Z,", now), /^since \d\d:15:49,$/);
  assert.equal(readable("0.04 -> 0.06 EUR an hour", now), "0.04 → 0.06 EUR an hour");
  const long = `a load of 1${"0".repeat(300)}, ${0.1 + 0.2} of it; host-0123456789012345678901`;
  assert.equal(readable(long, now), "a load of 1e300, 0.3 of it; host-0123456789012345678901");
});

test("peaks and decisions are found by their names, decisions once something is typed", () => {
  const none = new Proxy({}, { get: () => new Map() });
  const peaks = new Map([["shop-sale", {}]]);
  const decisions = new Map([["deployment.shop.prod.1", {}]]);
  const tables = Object.assign(Object.create(none), { peaks, decisions }) as Tables;
  const found = (typed: string) => candidates(tables, typed, 9).map((hit) => hit.plural);
  assert.deepEqual(found("shop"), ["peaks", "decisions"]);
  assert.deepEqual(found(""), ["peaks"]);
});

test("what is typed is told from what is applied: it breaks where it does not fit", () => {
  assert.ok(isCommand("atoll migrate off zone/a --dry-run     # waves\natoll migrate balance"));
  assert.ok(!isCommand("apiVersion: atoll/v1\nkind: Pool"));
});

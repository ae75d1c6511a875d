import assert from "node:assert/strict";
import { test } from "node:test";
import type { Application, Deployment, Environment, Promotion, Run } from "../api/objects";
import { firstOf, sortedTests, stepPhase, stepsOf, tookWords, usualMs } from "./ci";
import {
  contentDiff,
  fieldsOf,
  isBeyond,
  mergePatch,
  readValues,
  stepWords,
  valueAt,
  withValue,
} from "./configs";
import { board, figures, packageObject, releaseNumbers, road, weekly } from "./delivery";
import { hitsIn, jobLines } from "./joblog";

const object = <T>(name: string, spec: object, status: object = {}): T =>
  ({ metadata: { name }, spec, status }) as T;
const NOW = Date.parse("2026-11-26T12:00:00Z");
const at = (hours: number) => new Date(NOW - hours * 3_600_000).toISOString();

const promotion = (release: string, status: Promotion["status"]) =>
  object<Promotion>(
    `${release}.prod`,
    { application: "shop", release, environment: "prod" },
    status,
  );

test("environments stand in the order releases go through them", () => {
  const of = (name: string, after?: string) => object<Environment>(name, { after });
  const all = [of("prod", "staging"), of("staging", "dev"), of("dev"), of("lone")];
  assert.deepEqual(
    road(all).map((e) => e.metadata.name),
    ["dev", "lone", "staging", "prod"],
  );
  const circle = [of("a", "b"), of("b", "a")];
  assert.equal(road(circle).length, 2);
});

test("the board shows the newest that is on its way, not what was passed over", () => {
  const lanes = board(
    [object<Application>("shop", { owner: "team/trade" })],
    [object<Environment>("prod", {})],
    [
      object<Deployment>(
        "shop.prod",
        { application: "shop", environment: "prod" },
        { release: "shop-8" },
      ),
    ],
    [
      promotion("shop-7", { phase: "failed" }),
      promotion("shop-9", { phase: "waiting" }),
      promotion("shop-10", { phase: "waiting" }),
      promotion("shop-11", { phase: "superseded" }),
    ],
    releaseNumbers([]),
  );
  assert.equal(lanes[0]?.stops[0]?.release, "shop-8");
  assert.equal(lanes[0]?.stops[0]?.next?.spec.release, "shop-10");
});

test("figures are of what is recorded, and unknown where nothing is", () => {
  const none = figures([promotion("shop-1", { phase: "waiting" })], 0, NOW);
  assert.deepEqual([none.deliveries, none.leadTime, none.failureRate], [0, undefined, undefined]);
  const commit = (hours: number) => ({ id: "c", subject: "", author: "", at: at(hours) });
  const all = [
    promotion("shop-1", { commit: commit(6), goodAt: at(4) }),
    promotion("shop-2", { commit: commit(8), goodAt: at(2), byHand: true }),
    promotion("shop-3", { commit: commit(3), failedAt: at(2), restoredAt: at(1) }),
  ];
  const told = figures(all, NOW - 7 * 86_400_000, NOW);
  assert.equal(told.deliveries, 3);
  assert.equal(told.leadTime, 4 * 3_600_000);
  assert.equal(told.restore, 3_600_000);
  // What failed on its way in did harm since its rollout began; what had been good, since it failed.
  const since = (status: object) => figures([promotion("shop-4", status)], 0, NOW).restore;
  assert.equal(since({ beganAt: at(3), failedAt: at(2), restoredAt: at(2) }), 3_600_000);
  assert.equal(since({ beganAt: at(9), goodAt: at(8), failedAt: at(2), restoredAt: at(2) }), 0);
  assert.equal(told.unaided, 2 / 3);
  assert.equal(told.failureRate, 1 / 3);
  const weeks = weekly(all, 2, NOW);
  assert.deepEqual(
    weeks.map((w) => w.deliveries),
    [0, 3],
  );
});

test("packages are found by the names of their objects", () => {
  assert.equal(packageObject("shop", "42"), "shop.42");
  assert.match(packageObject("shop", "1.4"), /^shop\.1-4-[0-9a-f]{8}$/);
});

test("a step is as bad as its worst cell, and goes on while one does", () => {
  const cell = (phase: string) => ({ step: "a", phase }) as never;
  assert.equal(stepPhase([cell("succeeded"), cell("failed"), cell("going")]), "failed");
  assert.equal(stepPhase([cell("succeeded"), cell("waiting")]), "going");
  assert.equal(stepPhase([cell("skipped"), cell("skipped")]), "skipped");
  const run = object<Run>(
    "shop.1",
    {},
    {
      definition: { steps: [{ name: "a" }, { name: "b" }] },
      cells: [
        { step: "a", phase: "succeeded", task: "t" },
        { step: "b", phase: "failed" },
      ],
    },
  );
  const views = stepsOf(run, undefined);
  assert.deepEqual(
    views.map((v) => v.phase),
    ["succeeded", "failed"],
  );
  assert.equal(firstOf(views)?.step, "b");
});

test("how long runs took is told, and nothing where they have not begun", () => {
  assert.equal(tookWords({}, NOW), "–");
  assert.equal(tookWords({ startedAt: at(1), endedAt: null }, NOW), "1h");
  const run = (hours: number, phase: string) =>
    object<Run>("r", {}, { phase, startedAt: at(hours), endedAt: at(0) });
  assert.equal(usualMs([run(1, "succeeded"), run(9, "failed")]), 3_600_000);
  assert.equal(usualMs([]), undefined);
});

test("tests that failed come first, then those that may fail", () => {
  const one = (name: string, outcome: string, flaky = false) =>
    ({ name, group: "g", outcome, flaky }) as never;
  const sorted = sortedTests([one("a", "passed"), one("b", "passed", true), one("c", "failed")]);
  assert.deepEqual(
    sorted.map((t) => t.name),
    ["c", "b", "a"],
  );
});

test("lines tell their times and what is wrong, and are searched", () => {
  const lines = jobLines(["2026-11-26T12:00:01.5Z error: it broke", "errors: 0", "warning: x"], 10);
  assert.deepEqual(lines[0], {
    number: 11,
    time: "2026-11-26T12:00:01.5Z",
    text: "error: it broke",
    tone: "bad",
  });
  assert.equal(lines[1]?.tone, undefined);
  assert.equal(lines[2]?.tone, "warn");
  assert.deepEqual(hitsIn(lines, "IT BROKE"), [0]);
  assert.deepEqual(hitsIn(lines, ""), []);
});

test("a schema becomes fields, what a form cannot show is raw", () => {
  const fields = fieldsOf({
    required: ["pool"],
    properties: {
      pool: { type: "object", properties: { size: { type: "integer", minimum: 1, maximum: 9 } } },
      level: { enum: ["a", "b"] },
      odd: { anyOf: [{ type: "string" }, { type: "number" }] },
      names: { type: "array", items: { type: "string" } },
    },
  });
  assert.deepEqual(
    fields.map((f) => [f.label, f.kind, f.bounds]),
    [
      ["pool.size", "integer", "1 to 9"],
      ["level", "choice", ""],
      ["odd", "raw", ""],
      ["names", "list", ""],
    ],
  );
  assert.deepEqual(fieldsOf(undefined), []);
  const [size, level] = fields;
  assert.ok(size && level);
  assert.deepEqual(
    [0, 1, 9, 10, undefined, "x"].map((value) => isBeyond(size, value)),
    [true, false, false, true, false, false],
  );
  assert.equal(isBeyond(level, 99), false);
});

test("values are changed by their path, and told apart field by field", () => {
  const values = { pool: { size: 1, wait: "1s" }, level: "a" };
  const next = withValue(values, ["pool", "size"], 2);
  assert.deepEqual(next, { pool: { size: 2, wait: "1s" }, level: "a" });
  assert.equal(valueAt(next, ["pool", "size"]), 2);
  assert.deepEqual(withValue({ a: { b: 1 } }, ["a", "b"], undefined), {});
  assert.deepEqual(contentDiff({ values }, { values: next }), [
    { path: "pool.size", from: 1, to: 2 },
  ]);
  assert.deepEqual(mergePatch(values, { pool: { size: 2 }, fresh: true }), {
    level: null,
    pool: { wait: null, size: 2 },
    fresh: true,
  });
});

test("raw values that cannot be read say so", () => {
  assert.ok("wrong" in readValues("{"));
  assert.deepEqual(readValues("[]"), { wrong: "values are an object: { … }" });
  assert.deepEqual(readValues('{"a":1}'), { values: { a: 1 } });
  assert.equal(stepWords({ instances: "10%" }), "10% of instances");
  assert.equal(stepWords({ instances: 1 }), "1 instance");
  assert.equal(stepWords({ where: "zone=a" }), "where zone=a");
});

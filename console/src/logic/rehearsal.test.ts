import assert from "node:assert/strict";
import { test } from "node:test";
import type { RehearsalReport } from "../api/objects";
import {
  brokenAt,
  elapsed,
  gridOf,
  isChosen,
  partsAt,
  playOf,
  shownOf,
  spentSoFar,
  valueAt,
} from "./rehearsal";

const fleet = { step: "10m", hosts: [2, 2, 4, 4], instances: [5, 5, 6, 7], errors: [0, 0, 0.5, 0] };
const report = {
  name: "r",
  from: "2026-01-05T00:00:00.000Z",
  lasts: "40m",
  fleet,
  events: [{ at: "20m", what: "zone a is lost" }],
  decisions: [
    { first: "20m", last: "30m", times: 3, by: "deployment", what: "moved", why: "" },
    { first: "1m", last: "1m", times: 1, by: "autoscaler", what: "number", why: "because" },
  ],
  deployments: [
    { deployment: "shop.prod", broken: [{ from: "20m", to: "25m", worst: 0.5, why: "lost" }] },
  ],
  cost: { amount: 12, currency: "EUR" },
} as unknown as RehearsalReport;

test("what is told comes in its order: the fault, what it broke, and what was done", () => {
  const { entries, lasts, from } = playOf(report);
  assert.equal(lasts, 2_400_000);
  assert.equal(from, Date.parse("2026-01-05T00:00:00Z"));
  assert.deepEqual(
    entries.map((e) => [e.kind, e.at / 60_000]),
    [
      ["decision", 1],
      ["fault", 20],
      ["broken", 20],
      ["decision", 20],
      ["mended", 25],
    ],
  );
  assert.match(entries[2]?.what ?? "", /50\.0 %/);
});

test("what is not yet over is a gap", () => {
  const parts = partsAt(fleet, 25 * 60_000, 2_400_000);
  assert.equal(parts, 2);
  assert.equal(partsAt(fleet, 2_400_000, 2_400_000), 4);
  const grid = gridOf(fleet, ["instances"], 0, parts);
  assert.deepEqual(grid.times, [0, 600, 1200, 1800]);
  assert.deepEqual(grid.lines[0]?.values, [5, 5, null, null]);
  assert.equal(valueAt(fleet, "hosts", 3), 4);
  assert.equal(valueAt(fleet, "load", 3), undefined);
  assert.equal(valueAt(fleet, "hosts", 0), undefined);
});

test("costs are spread by hosts that were up, and are not made up without prices", () => {
  assert.deepEqual(spentSoFar(report), [2, 4, 8, 12]);
  assert.equal(spentSoFar({ ...report, cost: null }), undefined);
});

test("what does not serve everything is known at each time", () => {
  assert.deepEqual(brokenAt(report, 20 * 60_000), ["shop.prod"]);
  assert.deepEqual(brokenAt(report, 25 * 60_000), []);
});

test("times after the beginning are told exactly, however late", () => {
  const told = [0, 57_922, 1_980_000, 3_615_000, 44_115_000, 86_400_000].map(elapsed);
  assert.deepEqual(told, ["0s", "57s", "33m", "1h 0m 15s", "12h 15m", "24h"]);
});

test("what is broken to the end is broken at the end, and never mended", () => {
  const broken = [{ from: "30m", to: "40m", worst: 1, why: "" }];
  const deployments = [{ deployment: "pay.prod", broken }] as RehearsalReport["deployments"];
  const lost = { ...report, deployments };
  assert.deepEqual(brokenAt(lost, 2_400_000), ["pay.prod"]);
  assert.ok(!playOf(lost).entries.some((entry) => entry.kind === "mended"));
});

test("what was wrong with a scenario or an object is not said of another", () => {
  const scenario = {};
  assert.equal(isChosen(scenario, "scenario", undefined), true);
  assert.equal(isChosen(scenario, "object", undefined), false);
  assert.equal(isChosen(scenario, "object", "peak/sale"), false);
  const object = { of: "peak/sale" };
  assert.equal(isChosen(object, "scenario", "peak/sale"), false);
  assert.equal(isChosen(object, "object", "peak/sale"), true);
  assert.equal(isChosen(object, "object", undefined), true);
  assert.equal(isChosen(object, "object", "peak/other"), false);
});

test("the report that is shown is of what is chosen, and no other", () => {
  const object = { of: "peak/sale" };
  assert.equal(shownOf("scenario", undefined, {}, report, {}), report);
  assert.equal(shownOf("object", undefined, {}, report, {}), undefined);
  assert.equal(shownOf("object", "peak/sale", object, report, {}), report);
  assert.equal(shownOf("scenario", "peak/sale", object, report, {}), undefined);
  assert.equal(shownOf("object", "peak/other", object, report, {}), undefined);
  // What came last is shown until something else is asked or chosen.
  assert.equal(shownOf("object", "peak/sale", null, undefined, { report, ...object }), report);
  assert.equal(shownOf("scenario", "peak/sale", null, undefined, { report, ...object }), undefined);
  assert.equal(shownOf("scenario", undefined, null, undefined, { report }), report);
  assert.equal(shownOf("object", undefined, null, undefined, { report }), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Autoscaler, CapacityReport, CapacityRow } from "../api/objects";
import type { Score } from "../api/types";
import {
  capacityLead,
  forecastUse,
  noForecast,
  rowState,
  scoreOf,
  simplest,
  supposes,
  takenBy,
  usedWords,
  wrongDemand,
} from "./capacity";
import { moneyWords, priceWords } from "./money";
import { precise, share, wholeShare } from "./units";

const row = (part: Partial<CapacityRow>): CapacityRow => ({
  deployment: "shop.prod",
  each: 10,
  known: "declared",
  ready: 4,
  left: 4,
  needed: 2,
  spare: 0,
  missing: 0,
  placed: 0,
  room: 9,
  ...part,
});

test("what lacks and finds no room is worst; what is not measured is not enough", () => {
  assert.equal(rowState(row({ load: 1, missing: 3, placed: 1 })).tone, "bad");
  assert.equal(rowState(row({ load: 1, missing: 3, placed: 3 })).tone, "warn");
  assert.equal(rowState(row({})).tone, "unknown");
  assert.equal(rowState(row({ load: 1 })).tone, "ok");
});

test("what serves is enough without the spare, and how much of that is short is told", () => {
  const bare = row({ load: 90, left: 9, needed: 10, spare: 1 });
  assert.deepEqual(rowState(bare), { word: "enough, spare 1 short", tone: "ok" });
  assert.equal(rowState({ ...bare, left: 10 }).word, "enough");
  assert.equal(takenBy(bare), "9");
});

test("where nothing is measured nothing is said to be well, and what is not measured is counted", () => {
  const lead = (deployments: CapacityRow[], undeclared: string[] = [], unplaced = 0) =>
    capacityLead({ deployments, undeclared, unplaced } as unknown as CapacityReport, false);
  assert.equal(lead([]), "nothing is measured yet");
  assert.equal(lead([row({})], ["web.dev"]), "nothing is measured yet");
  assert.equal(lead([row({ load: 1 })]), "1 deployment measured, none lacks instances");
  assert.equal(
    lead([row({ load: 1 }), row({ load: 9, missing: 2 }), row({})], ["web.dev"], 1),
    "1 of 2 deployments lacks instances; no host has room for 1 instance; 2 not measured",
  );
});

test("the simplest forecasts are measured over what there is, gaps left out", () => {
  const days = [10, 20, 10, 20, 10, null, 10, 20];
  const score = simplest(days, 2, 1, 100);
  assert.equal(score.dayAgo, 0);
  assert.equal(score.weekAgo, undefined);
  assert.equal(score.points, 5);
  assert.equal(score.last, (10 * 5) / (20 + 10 + 20 + 10 + 20));
  assert.deepEqual(simplest([], 2, 1, 100).last, undefined);
});

test("a forecast is used while it is there, new, and its autoscaler acts", () => {
  const of = (status: object) => ({ status }) as unknown as Autoscaler;
  const at = new Date(0).toISOString();
  const points = [{ at, expected: 1, low: 1, high: 1 }];
  assert.ok(
    forecastUse(of({ phase: "acting", forecast: { at, method: "", points } }), 60_000).used,
  );
  const old = forecastUse(of({ phase: "acting", forecast: { at, method: "", points } }), 2e6);
  assert.match(old.why, /old/);
  const none = forecastUse(of({ forecast: { at, method: "none: too short" } }), 0);
  assert.deepEqual(none, { used: false, why: "too short" });
  assert.ok(!forecastUse(of({ phase: "observing", forecast: { at, method: "", points } }), 0).used);
  assert.ok(!forecastUse(undefined, 0).used);
});

test("an autoscaler of which nothing was measured has no score", () => {
  const score = (part: object) =>
    scoreOf({ seconds: 0, short: 0, wasShort: 0, instances: 0, were: 0, ...part } as Score);
  assert.equal(score({}), undefined);
  assert.equal(score({ seconds: 30 }), undefined);
  assert.deepEqual(score({ seconds: 120, short: 30, wasShort: 12, instances: 180, were: 360 }), {
    of: 120_000,
    short: 0.25,
    wasShort: 0.1,
    times: 0.5,
  });
  assert.equal(score({ seconds: 120 })?.times, undefined);
});

test("once the load and nothing lost is nothing supposed", () => {
  assert.ok(!supposes({ times: 1, peak: undefined }));
  assert.ok(supposes({ times: 2 }));
  assert.ok(supposes({ without: "zone/a" }));
});

test("small amounts of money are not said to be zero", () => {
  assert.equal(moneyWords(0.00031, "EUR"), "0.00031 EUR");
  assert.equal(moneyWords(0.0375, "EUR"), "0.0375 EUR");
  assert.equal(moneyWords(1234.5, "EUR"), "1,234.50 EUR");
  assert.equal(moneyWords(123456.7), "123,457");
  assert.equal(moneyWords(0), "0.00");
  assert.equal(moneyWords(1e300, "EUR"), "1e300 EUR");
});

test("whole percents do not say nothing or all where it is not so", () => {
  const told = [0, 0.002, 0.214, 0.999, 1, -0.27].map(wholeShare);
  assert.deepEqual(told, ["0 %", "<1 %", "21 %", ">99 %", "100 %", "−27 %"]);
  assert.deepEqual([-1e298, 12_345].map(wholeShare), ["−1e300 %", "1.23M %"]);
  assert.deepEqual([1e15, 12.34].map(share), ["100P %", "1234 %"]);
});

test("what is used and what is left are a hundred together, and left is as the CLI has it", () => {
  const told = (headroom: number) => {
    const { used, left } = usedWords(headroom);
    return [used, left];
  };
  assert.deepEqual(told(0.135), ["86 %", "14 %"]);
  assert.deepEqual(told(-0.105), ["110 %", "−10 %"]);
  assert.deepEqual(told(0), ["100 %", "0 %"]);
  assert.deepEqual(told(1), ["0 %", "100 %"]);
  assert.deepEqual(told(0.004), [">99 %", "<1 %"]);
  assert.deepEqual(told(0.996), ["<1 %", ">99 %"]);
  assert.deepEqual(told(-0.004), ["101 %", "−1 %"]);
});

test("a price keeps its digits", () => {
  assert.equal(priceWords("0.3333", "EUR"), "0.3333 EUR");
  assert.equal(priceWords("12", "EUR"), "12.00 EUR");
});

test("a demand is names with how many a second, and what is none is told as it was typed", () => {
  assert.equal(wrongDemand(undefined), undefined);
  assert.equal(wrongDemand("orders=500, returns=20.5"), undefined);
  assert.match(wrongDemand("orders=abc") ?? "", /^“orders=abc” is not like orders=500/);
  assert.match(wrongDemand("orders=5,returns") ?? "", /^“returns” is/);
});

test("why the days ahead are not known is told with since when there is a load", () => {
  const none = "none: no whole hour of its load was measured yet";
  const made = "A forecast is made once an hour, from at least 50 hours of load.";
  assert.equal(
    noForecast(none, "02:10"),
    `No whole hour of its load was measured yet. It is measured since about 02:10. ${made}`,
  );
  assert.equal(noForecast("", undefined), `Its load was not looked at yet. ${made}`);
});

test("what was compared with a bound keeps four digits, and never has hundreds of them", () => {
  const told = [0.99942, 0.5, 0, 1234.56, 123_456, 1e300, 0.00001234].map(precise);
  assert.deepEqual(told, ["0.9994", "0.5", "0", "1235", "123k", "1e300", "0.000012"]);
});

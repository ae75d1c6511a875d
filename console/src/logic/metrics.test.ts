import assert from "node:assert/strict";
import { test } from "node:test";
import { sparkPath } from "../parts/spark";
import { periodOf, searchOf, spanOf, stepOf, writeSpan } from "./period";
import { readKept, remembered } from "./recent";
import { between, decimate, frameOf, medians, shortNames, stacked } from "./series";
import { tick } from "./ticks";
import { trustOf } from "./trust";
import { guessUnit, measured, share } from "./units";

const period = { from: 0, to: 60_000, step: 15_000 };

test("series come onto the grid, and what is missing stays a gap", () => {
  const values = [
    [0, "1"],
    [30, "NaN"],
    [45, "+Inf"],
    [60, "2.5"],
  ] as [number, string][];
  const { times, lines } = frameOf(
    [
      { metric: { a: "b" }, values },
      { metric: {}, values: [] },
    ],
    period,
  );
  assert.deepEqual(times, [0, 15, 30, 45, 60]);
  assert.deepEqual(
    lines.map((l) => l.values),
    [[1, null, null, null, 2.5]],
  );
});

const grid = (values: (number | null)[]) => ({
  times: values.map((_, i) => i),
  lines: [{ labels: {}, values }],
});

test("no peak and no gap is lost where points are left out", () => {
  const values: (number | null)[] = Array.from({ length: 10_000 }, (_, i) => i % 7);
  values[4321] = 900;
  values[7000] = -900;
  for (let i = 2000; i < 3000; i += 1) values[i] = null;
  const small = decimate(grid(values), 400);
  const row = small.lines[0]?.values ?? [];
  assert.ok(row.length <= 400 && row.length === small.times.length);
  assert.equal(Math.max(...row.filter((v) => v !== null)), 900);
  assert.equal(Math.min(...row.filter((v) => v !== null)), -900);
  const gap = row.filter(
    (v, i) => v === null && (small.times[i] as number) >= 2050 && (small.times[i] as number) < 2950,
  );
  assert.ok(gap.length > 20);
  for (let i = 1; i < small.times.length; i += 1) {
    assert.ok((small.times[i] as number) > (small.times[i - 1] as number), `time ${i}`);
  }
});

test("few points are left as they are, and odd numbers of them have no twin", () => {
  const few = grid([1, 2, 3]);
  assert.equal(decimate(few, 100), few);
  for (const count of [11, 101, 1001, 4999]) {
    const { times } = decimate(grid(new Array(count).fill(1)), 10);
    assert.equal(new Set(times).size, times.length, `${count}`);
  }
});

test("a part of a grid has a point to spare at both ends", () => {
  const part = between(grid([0, 1, 2, 3, 4, 5, 6]), 2, 4);
  assert.deepEqual(part.times, [1, 2, 3, 4, 5]);
  assert.deepEqual(part.lines[0]?.values, [1, 2, 3, 4, 5]);
});

test("stacked series are sums, and a gap adds nothing", () => {
  const lines = [
    [1, null, 3],
    [10, 20, null],
    [100, 100, 100],
  ].map((values) => ({ labels: {}, values }));
  assert.deepEqual(
    stacked(lines).map((l) => l.values),
    [
      [1, null, 3],
      [11, 20, null],
      [111, 120, 103],
    ],
  );
});

test("the middle of several lines leaves out what is missing", () => {
  const lines = [
    [1, null],
    [5, null],
    [3, 4],
  ].map((values) => ({ labels: {}, values }));
  assert.deepEqual(medians(lines, 2), [3, 4]);
});

test("names are short, and never the same for two", () => {
  assert.deepEqual(
    shortNames([
      { host: "a", x: "1" },
      { host: "b", x: "1" },
    ]),
    ["a", "b"],
  );
  assert.deepEqual(
    shortNames([
      { a: "1", b: "2" },
      { a: "2", b: "2" },
      { a: "2", b: "3" },
    ]),
    ["a=1 b=2", "a=2 b=2", "a=2 b=3"],
  );
  assert.deepEqual(shortNames([{ a: "x" }, { b: "x" }]), ['{a="x"}', '{b="x"}']);
  assert.deepEqual(shortNames([{ __name__: "up", job: "a" }]), ['up{job="a"}']);
});

test("spans stand in addresses and come back", () => {
  assert.deepEqual(spanOf({ range: "6h" }), { kind: "last", ms: 21_600_000 });
  assert.deepEqual(spanOf({ range: "nonsense" }), { kind: "last", ms: 3_600_000 });
  assert.deepEqual(spanOf({ from: 2000, to: 1000 }), { kind: "last", ms: 3_600_000 });
  const between = { kind: "between", from: 10_000, to: 90_000 } as const;
  assert.deepEqual(spanOf(searchOf(between)), between);
  assert.deepEqual(spanOf(searchOf({ kind: "last", ms: 5_400_000 })), {
    kind: "last",
    ms: 5_400_000,
  });
  assert.equal(writeSpan(5_400_000), "1h30m");
  assert.equal(writeSpan(0), "1s");
});

test("steps are round, and never more points than a server answers", () => {
  assert.equal(stepOf(3_600_000), 15_000);
  assert.equal(stepOf(30 * 86_400_000), 7_200_000);
  const { from, to, step } = periodOf(
    { kind: "last", ms: 86_400_000 },
    1_000_000_007,
    undefined,
    1000,
  );
  assert.ok((to - from) / step <= 11_000);
  assert.equal(from % step, 0);
  assert.equal(to % step, 0);
});

test("values have their unit and the digits that count", () => {
  const all = [
    measured(0.1234, "share"),
    measured(1536, "bytes"),
    measured(-1536, "bytes"),
    measured(0.0421, "seconds"),
    measured(5400, "seconds"),
    measured(12_345),
    measured(0.05, "cores"),
    measured(999.9),
    measured(null),
    measured(Number.NaN),
  ];
  assert.deepEqual(all, [
    "12.3 %",
    "1.5 KiB",
    "−1.5 KiB",
    "42.1 ms",
    "90 min",
    "12.3k",
    "50m",
    "1k",
    "–",
    "NaN",
  ]);
  assert.equal(share(0.99996), "99.996 %");
  const large = [2e19, -1.234e21, 5e17, 2 ** 70].map((value) => measured(value));
  assert.deepEqual(large, ["2e19", "−1.23e21", "500P", "1.18e21"]);
  assert.equal(share(1), "100 %");
  assert.equal(guessUnit("rate(x_bytes_total[5m])"), "bytes/s");
  assert.equal(guessUnit("sum(x_bytes)"), "bytes");
});

test("an answer says how far it can be relied on", () => {
  const quality = {
    series: 3,
    expected: 1000,
    seen: 999,
    completeness: 0.999,
    freshness_seconds: 4.4,
  };
  assert.deepEqual(trustOf(quality, 15_000, false)?.words, "99 % of samples · 4s old");
  assert.equal(trustOf(quality, 15_000, false)?.tone, "ok");
  assert.equal(trustOf({ ...quality, completeness: 0.94 }, 15_000, false)?.tone, "warn");
  assert.equal(trustOf({ ...quality, freshness_seconds: 31 }, 15_000, false)?.tone, "warn");
  // What is worked out every two minutes is not late after one.
  const slow = { ...quality, freshness_seconds: 60, interval_seconds: 120 };
  assert.equal(trustOf(slow, 15_000, false)?.tone, "ok");
  assert.equal(trustOf({ ...slow, freshness_seconds: 241 }, 15_000, false)?.tone, "warn");
  assert.equal(
    trustOf({ ...quality, freshness_seconds: 31 }, 15_000, true)?.words,
    "99 % of samples",
  );
  assert.equal(trustOf({ ...quality, completeness: null }, 15_000, true)?.words, "3 series");
  assert.equal(trustOf({ ...quality, series: 0 }, 15_000, true)?.words, "no samples");
  assert.equal(trustOf(undefined, 15_000, true), undefined);
});

test("recent queries are few, newest first, none twice", () => {
  assert.deepEqual(remembered(["a", "b"], " b "), ["b", "a"]);
  assert.equal(
    remembered(
      Array.from({ length: 40 }, (_, i) => `${i}`),
      "x",
    ).length,
    30,
  );
  assert.deepEqual(readKept('["a", 1, null]'), ["a"]);
  assert.deepEqual(readKept("{broken"), []);
});

test("a small line lifts its pen over a gap", () => {
  assert.equal((sparkPath([1, 2, null, 3, 4]).match(/M/g) ?? []).length, 2);
  assert.equal(sparkPath([null, null]), "");
});

test("times under a chart tell the day at midnight", () => {
  const midnight = new Date(2026, 10, 24).getTime() / 1000;
  assert.equal(tick(midnight, 3600), "24 Nov");
  assert.equal(tick(midnight + 3600, 3600), "01:00");
  assert.equal(tick(midnight + 61, 1), "00:01:01");
});

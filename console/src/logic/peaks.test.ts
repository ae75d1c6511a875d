import assert from "node:assert/strict";
import { test } from "node:test";
import type { Peak } from "../api/objects";
import { farOf, hasEnded, whenOf } from "./peaks";

const [starts, ends] = ["2027-11-10T16:00:00Z", "2027-11-11T16:00:00Z"];
const peak = (timeZone?: string) =>
  ({
    spec: { starts, ends, timeZone },
    status: { phase: "live", times: { starts, ends } },
  }) as unknown as Peak;
const at = (written: string) => Date.parse(written);

test("a peak is told on the clocks of its own zone, else on those of UTC", () => {
  const there = "2027-11-11 00:00 +08:00 to 2027-11-12 00:00 +08:00 (Asia/Shanghai)";
  assert.equal(whenOf(peak("Asia/Shanghai")), there);
  assert.equal(whenOf(peak()), "2027-11-10 16:00 +00:00 to 2027-11-11 16:00 +00:00");
  assert.equal(
    whenOf(peak("Mars/Base")),
    "2027-11-10 16:00 +00:00 to 2027-11-11 16:00 +00:00 (Mars/Base)",
  );
});

test("how far a peak is does not read like a time of the day", () => {
  assert.equal(farOf(peak(), at(starts) - 498_000), "starts in 8m 18s");
  assert.equal(farOf(peak(), at(ends) - 7_200_000), "ends in 2h");
  assert.equal(farOf(peak(), at(ends) + 60_000), "ended 1m ago");
});

test("a peak has ended from its end on, though it is still given back", () => {
  assert.equal(hasEnded(peak(), at(ends) - 1), false);
  assert.equal(hasEnded(peak(), at(ends)), true);
});

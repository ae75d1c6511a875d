import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert, Decision, Peak, PeakCheck } from "../api/objects";
import { countedOf, dueOf, farOf, hasEnded, promisedOf, roomOf, takesOf, whenOf } from "./peaks";

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

test("times of its calendar are counted from its start, to the second", () => {
  const of = (ms: number) =>
    countedOf({ due: new Date(at(starts) - ms).toISOString() } as unknown as PeakCheck, peak());
  assert.deepEqual([0, 175_000, 750_000, 1_800_000, 1_209_600_000].map(of), [
    "T",
    "T-2m55s",
    "T-12m30s",
    "T-30m",
    "T-14d",
  ]);
});

test("what is due within the last hour is told to the second, on the clocks of the peak", () => {
  const of = (ms: number, timeZone?: string) =>
    dueOf({ due: new Date(at(starts) - ms).toISOString() } as unknown as PeakCheck, peak(timeZone));
  assert.equal(of(190_000), "2027-11-10 15:56:50 +00:00");
  assert.equal(of(100_000, "Asia/Shanghai"), "2027-11-10 23:58:20 +08:00");
  assert.equal(of(1_800_000), "2027-11-10 15:30 +00:00");
  assert.equal(of(4_100_000), "2027-11-10 14:51 +00:00");
});

test("a peak has ended from its end on, though it is still given back", () => {
  assert.equal(hasEnded(peak(), at(ends) - 1), false);
  assert.equal(hasEnded(peak(), at(ends)), true);
});

test("the watch room has what is of the peak and its time, after its end what its report names", () => {
  const createdAt = "2027-11-10T12:00:00Z";
  const decision = (name: string, subject: string, made: string) => [
    name,
    { metadata: { name, createdAt: made }, spec: { subject }, status: {} } as unknown as Decision,
  ];
  const alert = (name: string, phase: string, deployment?: string, subject?: string) => [
    name,
    { metadata: { name }, spec: { labels: { deployment }, subject }, status: { phase } },
  ];
  const decisions = new Map([
    decision("before", "deployment/shop.prod", "2027-11-10T11:00:00Z"),
    decision("then", "instance/shop.prod.3", "2027-11-10T17:00:00Z"),
    decision("other", "deployment/shop.prod2", "2027-11-10T17:00:00Z"),
    decision("after", "deployment/shop.prod", "2027-11-11T17:00:00Z"),
  ] as [string, Decision][]);
  const alerts = new Map([
    alert("then", "resolved", "shop.prod"),
    alert("late", "firing", undefined, "instance/shop.prod.3"),
    alert("other", "firing", "pay.prod"),
  ] as unknown as [string, Alert][]);
  const report = {
    applications: { "shop.prod": {} },
    alerts: ["then", "gone"],
    decisions: ["then"],
  };
  const of = (now: string, more: object = {}) => {
    const status = { phase: "live", times: { starts, ends, scale: createdAt } };
    const applications = [{ deployment: "shop.prod" }];
    const one = { metadata: { createdAt }, spec: {}, status: { ...status, applications, ...more } };
    const room = roomOf(one as unknown as Peak, alerts, decisions, at(now));
    const names = (all: readonly (Alert | Decision)[]) => all.map((thing) => thing.metadata.name);
    return room && [names(room.alerts), names(room.decisions), room.gone];
  };
  assert.deepEqual(of("2027-11-10T18:00:00Z"), [["late"], ["then", "after"], 0]);
  assert.deepEqual(of("2027-11-11T18:00:00Z", { report }), [["then"], ["then"], 1]);
  assert.equal(of("2027-11-11T18:00:00Z"), undefined);
  assert.equal(of("2027-11-10T18:00:00Z", { phase: "planned" }), undefined);
});

test("what a peak takes is told of what is known, with of whom it is not known", () => {
  const of = (...rows: [name: string, have: number, needed?: number][]) =>
    takesOf({
      status: {
        applications: rows.map(([deployment, have, needed]) => ({ deployment, have, needed })),
      },
    } as unknown as Peak);
  assert.deepEqual(of(["a", 3, 2], ["b", 1, 2]), { words: "3 of 4", unknown: [] });
  assert.deepEqual(of(["a", 2, 4], ["b", 5], ["c", 1]), { words: "2 of 4", unknown: ["b", "c"] });
  assert.deepEqual(of(["b", 5], ["c", 1]), { words: "6 serve", unknown: ["b", "c"] });
  assert.deepEqual(of(), { words: "not known yet", unknown: [] });
  assert.equal(of(["a", 2, 2 ** 32 - 1]).words, "2 of 4.29G");
});

test("where nothing is promised, nobody says that nothing broke", () => {
  const of = (names: readonly string[], broken: Record<string, number>) => {
    const applications = Object.fromEntries(names.map((name) => [name, {}]));
    return promisedOf({ applications, broken } as unknown as Parameters<typeof promisedOf>[0]);
  };
  assert.deepEqual(of(["shop.prod"], {}), ["nothing is promised: nobody sees what breaks"]);
  assert.deepEqual(of(["shop.prod"], { "shop.prod.success": 0 }), ["no objective was broken"]);
  assert.deepEqual(of(["pay.prod", "shop.prod"], { "shop.prod.success": 60_000 }), [
    "nothing is promised by 1 of 2 applications",
  ]);
});

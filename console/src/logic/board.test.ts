import assert from "node:assert/strict";
import { test } from "node:test";
import type { Decision, Promotion } from "../api/objects";
import { automation, judged, weeksOf } from "./board";

const T = Date.parse("2026-03-10T00:00:00Z");
const time = (back: number) => new Date(T - back * 86_400_000).toISOString();
const promotion = (status: object) => ({ spec: {}, status }) as unknown as Promotion;
const decision = (status: object, feedback?: object, back = 1) =>
  ({ metadata: { createdAt: time(back) }, spec: { feedback }, status }) as unknown as Decision;

test("what nobody had a hand in is counted of changes and repairs together", () => {
  const promotions = [
    promotion({ goodAt: time(1) }),
    promotion({ goodAt: time(2), byHand: true }),
    promotion({ failedAt: time(3) }),
    promotion({ goodAt: time(40) }),
    promotion({ phase: "waiting" }),
  ];
  const decisions = [
    decision({ actedAt: time(1) }),
    decision({ actedAt: time(1), approvedBy: ["user/anna"] }),
    decision({}),
  ];
  const healed = [
    { at: T - 8 * 86_400_000, count: 7 },
    { at: T - 3_600_000, count: 1.02 },
    { at: T, count: 3.9 },
  ];
  const restarted = [
    { at: T - 8 * 86_400_000, count: 5 },
    { at: T, count: 2.01 },
  ];
  const repaired = { healed, restarted };
  const told = automation(promotions, decisions, repaired, T - 7 * 86_400_000, T);
  assert.deepEqual(told.changes, { part: 2, all: 3 });
  assert.deepEqual(told.repairs, { part: 8, all: 9 });
  assert.equal(told.restarts, 2);
  assert.equal(told.ratio, 10 / 12);
});

test("where nothing was done, nothing is known", () => {
  assert.equal(automation([], [], { healed: [], restarted: [] }, 0, T).ratio, undefined);
  const none = judged([decision({})], 0, T);
  assert.equal(none.made, 1);
  assert.equal(none.rightShare, undefined);
  assert.equal(none.helpedShare, undefined);
});

test("decisions are right or wrong as people said, and helped or not as measured", () => {
  const all = [
    decision({ effect: { verdict: "helped" } }, { right: true }),
    decision({ effect: { verdict: "unknown" } }, { right: false }),
    decision({ effect: { verdict: "didNot" } }),
    decision({ effect: { verdict: "helped" } }, { right: true }, 30),
  ];
  const told = judged(all, T - 7 * 86_400_000, T);
  assert.deepEqual([told.made, told.right, told.wrong, told.helped, told.didNot], [3, 1, 1, 1, 1]);
  assert.equal(told.rightShare, 0.5);
});

test("weeks come the oldest first, each beginning where the one before ends", () => {
  const weeks = weeksOf(3, T, (from, to) => [from, to] as const);
  assert.equal(weeks[2]?.[1], T);
  assert.equal(weeks[0]?.[1], weeks[1]?.[0]);
});

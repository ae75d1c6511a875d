import assert from "node:assert/strict";
import { test } from "node:test";
import type { Budget, Decision, Migration, Peak, Pool } from "../api/objects";
import { attention, headline } from "./attention";
import { tables } from "./examples";
import { arrange } from "./fleet";

const NOW = Date.parse("2026-11-23T12:00:00Z");
const at = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();

const one = <T>(kind: string, name: string, spec: object, status: object) =>
  ({ apiVersion: "atoll/v1", kind, metadata: { name }, spec, status }) as unknown as T;

const seen = (...objects: Parameters<typeof tables>) =>
  attention(arrange(tables(...objects)), NOW).map(({ name, rank, state }) => [name, rank, state]);

test("a peak that is there is told, and one that is only planned is not", () => {
  const times = { starts: at(-60), ends: at(3600) };
  const check = { name: "hosts", state: "late", due: at(-600), message: "2 hosts are missing" };
  assert.deepEqual(
    seen(
      one<Peak>("Peak", "sale", {}, { phase: "live", times }),
      one<Peak>("Peak", "late", {}, { phase: "planned", times, checks: [check] }),
      one<Peak>("Peak", "far", {}, { phase: "planned", times }),
      one<Peak>("Peak", "past", {}, { phase: "over", times }),
    ),
    [
      ["late", "waiting", "planned, ends in 1h, 1 late"],
      ["sale", "moving", "there, ends in 1h"],
    ],
  );
});

test("what waits for a person is told apart from what goes by itself", () => {
  const subject = { subject: "deployment/shop.prod" };
  const given = [
    one<Migration>("Migration", "away", {}, { phase: "moving", moved: 1, left: 2 }),
    one<Migration>("Migration", "done", {}, { phase: "done", moved: 3, left: 0 }),
    one<Pool>("Pool", "web", { count: 3 }, { phase: "stuck", wanted: 3, counts: { ready: 1 } }),
    one<Pool>("Pool", "rest", { count: 1 }, { phase: "settled", wanted: 1 }),
    one<Decision>("Decision", "d-1", subject, { phase: "waiting", action: "restart" }),
    one<Decision>("Decision", "d-2", subject, { phase: "acting", action: "restart" }),
    one<Decision>("Decision", "d-3", subject, { phase: "waiting", endedAt: at(-5) }),
    one<Budget>("Budget", "trade", {}, { phase: "over" }),
    one<Budget>("Budget", "well", {}, { phase: "within" }),
  ];
  assert.deepEqual(seen(...given), [
    ["trade", "broken", "over"],
    ["web", "broken", "stuck, 1 of 3 hosts ready"],
    ["d-1", "waiting", "restart deployment/shop.prod: waits for approval"],
    ["away", "moving", "moving, 1 instance moved, 2 left"],
  ]);
  const concerns = attention(arrange(tables(...given)), NOW);
  assert.equal(headline(concerns), "2 broken, 1 waiting, 1 moving");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Decision, Freeze, Policy } from "../api/objects";
import {
  actionWord,
  becauseOf,
  deedOf,
  farWord,
  helpedOf,
  ordered,
  rightOf,
  stateOf,
  stoodWords,
  stopOf,
} from "./decisions";

const decision = (name: string, createdAt: string, status: Partial<Decision["status"]>): Decision =>
  ({
    apiVersion: "atoll/v1",
    kind: "Decision",
    metadata: { name, createdAt },
    spec: { subject: "instance/web.prod.1" },
    status,
  }) as Decision;

test("what asks for somebody comes first, then the latest", () => {
  const all = [
    decision("old", "2026-01-01T00:00:00Z", { phase: "measured", endedAt: "2026-01-01T00:01:00Z" }),
    decision("new", "2026-01-03T00:00:00Z", { phase: "measured", endedAt: "2026-01-03T00:01:00Z" }),
    decision("said", "2026-01-02T00:00:00Z", { phase: "advised" }),
    decision("asks", "2026-01-01T00:00:00Z", { phase: "waiting" }),
  ];
  assert.deepEqual(
    ordered(all).map((d) => d.metadata.name),
    ["asks", "said", "new", "old"],
  );
});

test("what is not measured is never said to have helped", () => {
  const at = "2026-01-01T00:00:00Z";
  const effect = { verdict: "unknown", at, message: "not measured" } as const;
  const state = stateOf(decision("d", at, { phase: "measured", effect, endedAt: at }));
  assert.deepEqual(state, { word: "effect not known", tone: "unknown" });
  const policy = { status: { record: { unknown: 3 } } } as unknown as Policy;
  assert.equal(helpedOf(policy), "–");
  assert.equal(rightOf(policy), "–");
});

test("what is in the way is told while it is not done, and what spoke for it afterwards", () => {
  const votes = [{ message: "it hangs" }] as Decision["status"]["votes"];
  const reasons = [{ code: "stopped", message: "stopped" }];
  const at = "2026-01-01T00:00:00Z";
  assert.equal(becauseOf(decision("d", at, { phase: "skipped", votes, reasons })), "stopped");
  const acted = decision("d", at, { phase: "acting", actedAt: at, votes, reasons });
  assert.equal(becauseOf(acted), "it hangs");
});

test("votes of what was done or is over are told as they stood then, and count no further", () => {
  const at = "2026-01-01T00:00:00Z";
  const since = "2025-12-31T23:55:00Z";
  const mode = "advise";
  const open = decision("d", at, { phase: "advised", mode });
  assert.equal(stoodWords(since, open), undefined);
  assert.equal(farWord(open), "advises");
  const acted = decision("d", at, { actedAt: at, mode: "act" });
  assert.equal(stoodWords(since, acted), "for 5m when it was done");
  const later = { endedAt: "2026-01-01T00:02:00Z" };
  const over = decision("d", at, { ...later, mode });
  assert.equal(stoodWords(since, over), "for 7m when it ended");
  assert.equal(farWord(over), "advised");
  const done = decision("d", at, { actedAt: at, ...later });
  assert.equal(stoodWords(since, done), "for 5m when it was done");
});

test("a policy is not said to have done what was not done", () => {
  const at = "2026-01-01T00:00:00Z";
  const far = (status: Partial<Decision["status"]>) => farWord(decision("d", at, status));
  assert.equal(far({ mode: "act", phase: "open" }), "acts");
  assert.equal(far({ mode: "act", phase: "skipped" }), "would act");
  assert.equal(far({ mode: "act", phase: "skipped", endedAt: at }), "would have acted");
  assert.equal(far({ mode: "act", phase: "escalated", endedAt: at }), "would have acted");
  assert.equal(far({ mode: "act", phase: "measured", actedAt: at, endedAt: at }), "acted");
  assert.equal(far({ mode: "approve", phase: "waiting", endedAt: at }), "asked for approval");
  assert.equal(
    far({ mode: "approve", phase: "skipped", endedAt: at }),
    "would have asked for approval",
  );
});

test("only a freeze of decisions stops them", () => {
  const freeze = (holds?: "decisions") =>
    ({ metadata: { name: "f" }, spec: { reason: "x", holds } }) as unknown as Freeze;
  assert.equal(stopOf([freeze()], 0), undefined);
  assert.ok(stopOf([freeze("decisions")], 0));
});

test("actions are told in words", () => {
  const on = (subject: string, action: Decision["status"]["action"]) =>
    deedOf({ spec: { subject }, status: { action } } as Decision);
  assert.equal(actionWord("rollBack"), "roll back");
  assert.equal(actionWord({ raise: { by: "25%" } }), "raise by 25%");
  assert.equal(on("deployment/a.b", { lower: { by: "1" } }), "lower deployment/a.b by 1");
  assert.equal(on("host/h1", "drain"), "drain host/h1");
  const setting = { switch: { key: "degraded", value: true } };
  assert.equal(on("deployment/a.b", setting), "switch degraded to true for deployment/a.b");
  assert.equal(actionWord({ giveBack: { decision: "deployment.shop.prod.1" } }), "give back");
});

test("where no vote is followed, what its policy votes for is told", () => {
  const votes = [
    { policy: "other", action: "drain" },
    { policy: "own", action: "restart" },
  ] as Decision["status"]["votes"];
  const of = (status: Partial<Decision["status"]>) =>
    deedOf(decision("d", "2026-01-01T00:00:00Z", { policy: "own", ...status }));
  assert.equal(of({ votes }), "restart instance/web.prod.1");
  assert.equal(of({ votes, action: "rollBack" }), "roll back instance/web.prod.1");
  assert.equal(of({}), "instance/web.prod.1");
});

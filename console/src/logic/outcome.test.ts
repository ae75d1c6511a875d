import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment, Instance, Outcome, Release } from "../api/objects";
import { butOf, remarksOf, withUnplaced } from "./outcome";

const you = (to: number) => ({
  op: "update",
  kind: "Deployment",
  name: "shop.prod",
  diff: [{ path: "spec.instances", from: 3, to }],
  by: "you",
});

const created = (n: number) => ({
  op: "create",
  kind: "Instance",
  name: `shop.prod.${n}`,
  diff: [],
  by: "deployment",
});

const outcome = (writes: object[], reasons: object[] = []) =>
  ({ verdict: "commit", writes, reasons }) as unknown as Outcome;

const deployment = (status: object = {}, spec: object = {}) =>
  ({
    kind: "Deployment",
    metadata: { name: "shop.prod" },
    spec: { instances: 3, ...spec },
    status: { release: "shop-1", ...status },
  }) as unknown as Deployment;

const there = [0, 1, 2].map(
  (n) => ({ metadata: { name: `shop.prod.${n}` } }) as unknown as Instance,
);
const release = {
  spec: { run: { resources: { cpu: "1500m", memory: "2Gi" } } },
} as unknown as Release;
const with3 = { instances: there, release };

test("instances a preview does not create have found no host", () => {
  const seen = withUnplaced(outcome([you(6), created(3)]), deployment(), with3);
  assert.deepEqual(seen.reasons, [
    {
      code: "unplaceable",
      message: "2 instances of 3 more would find no host now",
      hint: "each needs 1.5 cores and 2 GiB: add hosts, free some, or ask for less",
    },
  ]);
  assert.equal(butOf(remarksOf(seen)), "but not all of it finds room now");
  const all = withUnplaced(outcome([you(4), created(3)]), deployment(), with3);
  assert.deepEqual(all.reasons, []);
  assert.deepEqual(withUnplaced(outcome([you(1)]), deployment(), with3).reasons, []);
});

test("nothing is said of room where more than room decides", () => {
  const asked = outcome([you(6)]);
  for (const busy of [
    deployment({ rollout: { to: "shop-2" } }),
    deployment({ scaled: { instances: 3 } }),
    deployment({}, { paused: true }),
  ]) {
    assert.equal(withUnplaced(asked, busy, with3), asked);
  }
  const held = { ...asked, verdict: "hold" } as Outcome;
  assert.equal(withUnplaced(held, deployment(), with3), held);
});

test("what planners would note is among the remarks of a preview, once", () => {
  const reason = { code: "unplaceable", message: "1 instance has no host" };
  const noted = { ...created(0), op: "update", diff: [{ path: "status.reasons", to: [reason] }] };
  assert.deepEqual(remarksOf(outcome([noted, noted])), [reason]);
  assert.equal(butOf([{ code: "cost-unknown", message: "" }]), "with 1 remark");
  assert.equal(butOf([]), undefined);
});

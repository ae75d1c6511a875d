import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../api/objects";
import { butOf, remarksOf } from "./outcome";

const created = (n: number) => ({
  op: "create",
  kind: "Instance",
  name: `shop.prod.${n}`,
  diff: [],
  by: "deployment",
});

const outcome = (writes: object[], reasons: object[] = []) =>
  ({ verdict: "commit", writes, reasons }) as unknown as Outcome;

test("what planners would note is among the remarks of a preview, once", () => {
  const reason = { code: "unplaceable", message: "1 instance has no host" };
  const noted = { ...created(0), op: "update", diff: [{ path: "status.reasons", to: [reason] }] };
  assert.deepEqual(remarksOf(outcome([noted, noted])), [reason]);
  assert.equal(butOf([reason]), "but not all of it finds room now");
  assert.equal(butOf([{ code: "cost-unknown", message: "" }]), "with 1 remark");
  assert.equal(butOf([]), undefined);
});

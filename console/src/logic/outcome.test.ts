import assert from "node:assert/strict";
import { test } from "node:test";
import type { MigrationForecast, Outcome } from "../api/objects";
import { butOf, butOfForecast, markOf, remarksOf } from "./outcome";

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

test("a preview is marked as the worst of what it says", () => {
  const said = (code: string) => [{ code, message: "" }];
  const fine = outcome([created(0)]);
  assert.equal(markOf(fine, []), "ok");
  assert.equal(markOf(fine, said("revert")), "ok");
  assert.equal(markOf(fine, said("unplaceable")), "warn");
  assert.equal(markOf(fine, [...said("revert"), ...said("budget")]), "warn");
  assert.equal(markOf(outcome([{ ...created(0), op: "unchanged" }]), []), "off");
  assert.equal(markOf({ ...fine, verdict: "hold" }, []), "warn");
  assert.equal(markOf({ ...fine, verdict: "deny" }, said("budget")), "bad");
});

test("what the forecast of a migration warns of stands beside what the gate says", () => {
  const of = (unplaced: number, risks: string[]) =>
    butOfForecast({ unplaced, risks } as unknown as MigrationForecast);
  assert.equal(of(0, []), undefined);
  assert.equal(of(0, ["one waits"]), "with 1 risk");
  assert.equal(of(8, ["8 find no room"]), "but not all of it finds room now");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Approval, Budget, Price } from "../api/objects";
import { approvers, bar, moneyOf, ofWhat, orderedBudgets, priceState, rowName } from "./budgets";

const budget = (name: string, part: object = {}, status: object = {}): Budget =>
  ({ metadata: { name }, spec: part, status }) as unknown as Budget;

test("what is over comes first, what is not known before what is well", () => {
  const all = ["within", "unknown", "over", "tight"].map((phase) => budget(phase, {}, { phase }));
  assert.deepEqual(
    orderedBudgets(all).map((b) => b.metadata.name),
    ["over", "tight", "unknown", "within"],
  );
});

test("money is told only where it is counted", () => {
  const month = { limit: "60", currency: "EUR" };
  assert.equal(moneyOf(budget("a", { month })), undefined);
  const spend = { currency: "EUR", spent: "1.5", forecast: "3", rate: "0.01" };
  const told = moneyOf(budget("a", { month }, { spend, phase: "within" }));
  const [blind, priced] = [false, true];
  assert.deepEqual(told, {
    currency: "EUR",
    limit: 60,
    spent: 1.5,
    forecast: 3,
    rate: 0.01,
    blind,
    priced,
  });
  assert.ok(!moneyOf(budget("a", { month }, { spend, phase: "unknown" }))?.priced);
  const nothing = { currency: "EUR", spent: "0", forecast: "0", rate: "0" };
  const seen = (status: object) => moneyOf(budget("a", { month }, { spend: nothing, ...status }));
  assert.ok(seen({ phase: "unknown", instances: 3 })?.blind);
  assert.ok(!seen({ phase: "unknown", instances: 0 })?.blind);
  assert.ok(!seen({ phase: "within", instances: 3 })?.blind);
});

test("an approval of a budget holds in the month it was given in, which is one of UTC", () => {
  const given = (subject: string, by: string, createdAt: string) =>
    ({ metadata: { createdAt }, spec: { subject, by } }) as unknown as Approval;
  const all = [
    given("budget/a", "user/anna", "2026-11-01T00:00:00Z"),
    given("budget/a", "user/ben", "2026-10-31T23:59:59Z"),
    given("budget/b", "user/carl", "2026-11-02T00:00:00Z"),
  ];
  const now = Date.parse("2026-11-30T23:00:00Z");
  const asks = budget("a", { exceed: "approve" });
  assert.deepEqual(approvers(all, asks, now), ["user/anna"]);
  assert.deepEqual(approvers(all, asks, Date.parse("2026-12-01T00:00:00Z")), []);
  for (const exceed of ["refuse", "warn", undefined]) {
    assert.deepEqual(approvers(all, budget("a", { exceed }), now), []);
  }
});

test("a bar is as long as the largest of what is spent, comes and may be", () => {
  assert.deepEqual(bar(10, 40, 100), { spent: 10, forecast: 40, limit: 100 });
  assert.deepEqual(bar(100, 200, 50), { spent: 50, forecast: 100, limit: 25 });
  assert.deepEqual(bar(0, 0, 0), { spent: 0, forecast: 0, limit: 0 });
});

test("a budget says of what it is, and a row whose", () => {
  assert.equal(
    ofWhat(budget("a", { team: "trade", environment: "prod" })),
    "team trade, environment prod",
  );
  assert.equal(rowName("-"), "nobody’s");
  assert.equal(rowName("shop"), "shop");
});

test("a price holds from its day to its day", () => {
  const price = { spec: { from: "2026-01-01T00:00:00Z", until: "2026-02-01T00:00:00Z" } };
  const at = (time: string) => priceState(price as Price, Date.parse(time)).word;
  assert.equal(at("2025-12-31T00:00:00Z"), "ahead");
  assert.equal(at("2026-01-01T00:00:00Z"), "holds");
  assert.equal(at("2026-02-01T00:00:00Z"), "over");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Watched } from "../api/objects";
import { standingOf } from "./standing";

const object = (kind: string, status: object, spec: object = {}) =>
  ({ kind, metadata: { name: "one" }, spec, status }) as unknown as Watched;

test("what has a phase is told by it, and what is only declared by none", () => {
  assert.equal(standingOf(object("Budget", { phase: "over" }), 0)?.tone, "bad");
  assert.equal(standingOf(object("Policy", {}), 0)?.word, "quiet");
  assert.equal(standingOf(object("Autoscaler", { phase: "blind" }), 0)?.tone, "unknown");
  assert.equal(standingOf(object("Application", {}), 0), undefined);
});

test("what holds for a time is told by the time", () => {
  const spec = { from: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z" };
  const at = (time: string) => standingOf(object("Freeze", {}, spec), Date.parse(time))?.word;
  assert.equal(at("2025-12-31T00:00:00Z"), "ahead");
  assert.equal(at("2026-01-01T12:00:00Z"), "in force");
  assert.equal(at("2026-01-03T00:00:00Z"), "over");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Task } from "../api/objects.ts";
import { type Cell, cellLook } from "./ci.ts";

const cell = (phase: Cell["phase"]) => ({ step: "unit", phase, retries: 0 }) as Cell;
const task = (phase: Task["status"]["phase"]) => ({ status: { phase } }) as Task;

test("a step that failed says how", () => {
  const failed = (phase: Task["status"]["phase"]) => cellLook(cell("failed"), task(phase));
  assert.deepEqual(failed("timedOut"), { word: "timed out", tone: "bad" });
  assert.deepEqual(failed("overLimit"), { word: "used more than it may", tone: "bad" });
  assert.equal(failed("failed").word, "failed");
  assert.equal(cellLook(cell("failed"), undefined).word, "failed");
  assert.equal(cellLook(cell("going"), task("running")).word, "running");
});

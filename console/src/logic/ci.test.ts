import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run, Task } from "../api/objects.ts";
import { type Cell, cellLook, runLook, wellOf } from "./ci.ts";

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

test("a run whose tests failed is not good, though no step failed", () => {
  const run = (phase: Run["status"]["phase"], failed: number) =>
    ({
      status: { phase, tests: { unit: { passed: 3, failed, skipped: 0, millis: 1 } } },
    }) as unknown as Run;
  const runs = [run("succeeded", 0), run("succeeded", 2), run("failed", 1)];
  assert.deepEqual(wellOf(runs), { good: 1, doubtful: 1 });
  assert.deepEqual(
    runs.map((each) => runLook(each).tone),
    ["ok", "warn", "bad"],
  );
});

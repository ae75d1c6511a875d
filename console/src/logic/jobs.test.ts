import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job, Task } from "../api/objects";
import { hostsOf, lineOf, progressWords, wordsOf, worstFirst } from "./jobs";

test("a command line is read as a shell reads words, and nothing more", () => {
  assert.deepEqual(wordsOf("systemctl  restart nginx"), ["systemctl", "restart", "nginx"]);
  assert.deepEqual(wordsOf(`sh -c 'echo "a b"; true'`), ["sh", "-c", 'echo "a b"; true']);
  assert.deepEqual(wordsOf(`a "" 'b c'd\\ e`), ["a", "", "b cd e"]);
  assert.deepEqual(wordsOf("  "), []);
  assert.equal(wordsOf("echo 'open"), undefined);
});

test("a command that is written comes back as it was", () => {
  for (const command of [["true"], ["sh", "-c", "echo it's; ls *"], ["a", "", "b c"]]) {
    assert.deepEqual(wordsOf(lineOf(command)), command);
  }
});

const job = (status: object) =>
  ({ metadata: { name: "j" }, spec: {}, status: { phase: "running", ...status } }) as Job;
const task = (host: string, step: string, phase: string, run = "j") =>
  ({ metadata: {}, spec: { run, step, host }, status: { phase } }) as unknown as Task;

test("each host shows its newest round, the worst first", () => {
  const rows = hostsOf(job({ targets: ["h1", "h2", "h3", "h4"], done: ["h3"] }), [
    task("h1", "r10", "running"),
    task("h1", "r9", "failed"),
    task("h2", "r2", "lost"),
    task("h4", "r2", "succeeded", "other"),
  ]);
  const words = worstFirst(rows).map((row) => `${row.host} ${row.look.word}`);
  assert.deepEqual(words, ["h2 lost", "h1 running", "h4 not told yet", "h3 succeeded before"]);
});

test("progress names what went wrong and nothing that did not", () => {
  assert.equal(progressWords(job({})), "no hosts yet");
  const status = { targets: ["a", "b", "c"], succeeded: 1, failed: 1, lost: 0 };
  assert.equal(progressWords(job(status)), "1 of 3 succeeded, 1 failed");
});

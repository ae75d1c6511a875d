// Pipelines and their runs in words: states, times, what is of what.
import type { TestRun, TestTotals } from "../api/ci";
import type { Pipeline, Run, Task } from "../api/objects";
import { order } from "./fleet";
import type { Tone } from "./phases";
import { parseTime, spanWords, type Written } from "./time";

export type RunPhase = Run["status"]["phase"];
export type Cell = NonNullable<Run["status"]["cells"]>[number];
export type CellPhase = Cell["phase"];
export type Step = NonNullable<Pipeline["spec"]["steps"]>[number];

export interface Look {
  readonly word: string;
  readonly tone: Tone;
}

const RUN: Readonly<Record<RunPhase, Look>> = {
  pending: { word: "pending", tone: "held" },
  waiting: { word: "waiting", tone: "held" },
  running: { word: "running", tone: "move" },
  succeeded: { word: "succeeded", tone: "ok" },
  failed: { word: "failed", tone: "bad" },
  timedOut: { word: "timed out", tone: "bad" },
  cancelled: { word: "cancelled", tone: "off" },
};

/** How a run is; one that succeeded though tests failed is not simply well. */
export function runLook(run: Run): Look {
  const { phase } = run.status;
  const doubtful = phase === "succeeded" && totalsOf(run).failed > 0;
  return doubtful ? { word: "succeeded, tests failed", tone: "warn" } : RUN[phase];
}

export const CELL: Readonly<Record<CellPhase, Look>> = {
  waiting: { word: "waiting", tone: "held" },
  going: { word: "going", tone: "move" },
  succeeded: { word: "succeeded", tone: "ok" },
  failed: { word: "failed", tone: "bad" },
  skipped: { word: "left out", tone: "off" },
  cancelled: { word: "cancelled", tone: "off" },
};

export const TASK: Readonly<Record<Task["status"]["phase"], Look>> = {
  pending: { word: "waits for a host", tone: "held" },
  preparing: { word: "preparing", tone: "move" },
  running: { word: "running", tone: "move" },
  keeping: { word: "keeping what it left", tone: "move" },
  succeeded: { word: "succeeded", tone: "ok" },
  failed: { word: "failed", tone: "bad" },
  timedOut: { word: "timed out", tone: "bad" },
  overLimit: { word: "used more than it may", tone: "bad" },
  cancelled: { word: "cancelled", tone: "off" },
  lost: { word: "lost", tone: "warn" },
};

/** How a cell is: where it failed, in the word of how its task ended. */
export function cellLook(cell: Cell, task: Task | undefined): Look {
  if (task && cell.phase === "going") return TASK[task.status.phase];
  const ended = task?.status.phase;
  const told = ended === "timedOut" || ended === "overLimit" || ended === "lost";
  return told && cell.phase === "failed" ? { ...TASK[ended], tone: "bad" } : CELL[cell.phase];
}

export const isOver = (phase: RunPhase): boolean =>
  phase === "succeeded" || phase === "failed" || phase === "timedOut" || phase === "cancelled";

/** What a step is when its cells are looked at together: the worst, or what still goes on. */
export function stepPhase(cells: readonly Cell[]): CellPhase {
  const has = (phase: CellPhase) => cells.some((cell) => cell.phase === phase);
  if (has("failed")) return "failed";
  if (has("going")) return "going";
  if (has("waiting")) return has("succeeded") ? "going" : "waiting";
  if (has("cancelled")) return "cancelled";
  return has("succeeded") ? "succeeded" : "skipped";
}

export interface StepView {
  readonly step: Step;
  readonly cells: readonly Cell[];
  readonly phase: CellPhase;
}

/** The steps of a run as its commit declares them, each with its cells. */
export function stepsOf(run: Run, pipeline: Pipeline | undefined): StepView[] {
  const steps =
    run.status.definition?.steps ?? run.spec.definition?.steps ?? pipeline?.spec.steps ?? [];
  const cells = new Map<string, Cell[]>();
  for (const cell of run.status.cells ?? []) {
    cells.set(cell.step, [...(cells.get(cell.step) ?? []), cell]);
  }
  return steps.map((step) => {
    const mine = cells.get(step.name) ?? [];
    return { step, cells: mine, phase: mine.length === 0 ? "waiting" : stepPhase(mine) };
  });
}

/** `os=trixie rust=stable`; nothing for a step without a matrix. */
export const valuesWords = (cell: Cell): string =>
  Object.entries(cell.values ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");

/** The runs of each pipeline, the newest first. */
export function runsOf(runs: Iterable<Run>): Map<string, Run[]> {
  const byPipeline = new Map<string, Run[]>();
  for (const run of runs) {
    const list = byPipeline.get(run.spec.pipeline);
    if (list) list.push(run);
    else byPipeline.set(run.spec.pipeline, [run]);
  }
  for (const list of byPipeline.values()) list.sort((a, b) => b.spec.number - a.spec.number);
  return byPipeline;
}

export interface Timed {
  readonly startedAt?: Written;
  readonly endedAt?: Written;
}

/** How long something took, or has taken up to now. */
export function tookMs(status: Timed, now: number): number | undefined {
  const began = parseTime(status.startedAt);
  if (began === undefined) return undefined;
  return Math.max(0, (parseTime(status.endedAt) ?? now) - began);
}

export function tookWords(status: Timed, now: number): string {
  const took = tookMs(status, now);
  if (took === undefined) return "–";
  return took < 10_000 ? `${(took / 1000).toFixed(1)}s` : spanWords(took);
}

/** The middle of how long the runs that succeeded took. */
export function usualMs(runs: readonly Run[]): number | undefined {
  const good = runs.filter((r) => r.status.phase === "succeeded");
  const times = good.map((r) => tookMs(r.status, 0)).filter((t) => t !== undefined);
  times.sort((a, b) => a - b);
  return times[times.length >> 1];
}

export const commitOf = (run: Run): string | undefined =>
  (run.status.commit?.id ?? run.spec.commit)?.slice(0, 8);

export const CAUSES: Readonly<Record<Run["spec"]["cause"], string>> = {
  webhook: "a webhook",
  poll: "a commit that was found",
  push: "a push",
  schedule: "its time",
  manual: "by hand",
};

/** Unit, integration and system tests promise different things, so they are told apart. */
export const SUITES = ["unit", "integration", "system"] as const;

export function totalsOf(run: Run): { passed: number; failed: number; skipped: number } {
  const all = Object.values(run.status.tests ?? {}) as TestTotals[];
  return {
    passed: all.reduce((sum, t) => sum + t.passed, 0),
    failed: all.reduce((sum, t) => sum + t.failed, 0),
    skipped: all.reduce((sum, t) => sum + t.skipped, 0),
  };
}

/** How many of these runs ended well, and of how many more that succeeded tests had failed. */
export function wellOf(runs: readonly Run[]): { good: number; doubtful: number } {
  const succeeded = runs.filter((r) => r.status.phase === "succeeded");
  const good = succeeded.filter((r) => totalsOf(r).failed === 0).length;
  return { good, doubtful: succeeded.length - good };
}

const OUTCOMES = ["failed", "passed", "skipped"];

/** Those that failed first, then the flaky, then by their names. */
export function sortedTests(tests: readonly TestRun[]): TestRun[] {
  const rank = (t: TestRun) =>
    t.outcome === "passed" && t.flaky ? 0.5 : OUTCOMES.indexOf(t.outcome);
  return [...tests].sort(
    (a, b) => rank(a) - rank(b) || order(a.group, b.group) || order(a.name, b.name),
  );
}

/** Where the next run of a page's keys leads: failed cells first, else what goes on, else the first. */
export function firstOf(views: readonly StepView[]): Cell | undefined {
  const cells = views.flatMap((view) => view.cells);
  return (
    cells.find((c) => c.phase === "failed") ??
    cells.find((c) => c.phase === "going") ??
    cells.find((c) => c.task) ??
    cells[0]
  );
}

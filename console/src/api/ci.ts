// What the server answers of pipelines beside their objects: tests, logs, and that a run has begun.
import { call } from "./http";

export type Suite = "unit" | "integration" | "system";

export interface TestTotals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly millis: number;
}

/** One test, as one task ran it. */
export interface TestRun {
  readonly task: string;
  readonly suite: Suite;
  readonly group: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly millis: number;
  readonly message?: string | null;
  /** It both passed and failed on this commit. */
  readonly flaky: boolean;
}

export interface RunTests {
  readonly totals: Readonly<Partial<Record<Suite, TestTotals>>>;
  readonly tests: readonly TestRun[];
  readonly truncated: boolean;
}

/** How one test went over several runs. */
export interface TestRecord {
  readonly suite: Suite;
  readonly group: string;
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  /** On so many commits it both passed and failed. */
  readonly flaky: number;
  readonly lastFailed?: string | null;
}

export interface PipelineTests {
  readonly runs: readonly string[];
  readonly tests: readonly TestRecord[];
}

const of = (path: string, name: string) => `/v1/${path}/${encodeURIComponent(name)}`;

export const runTests = (run: string, signal: AbortSignal): Promise<RunTests> =>
  call("GET", `${of("runs", run)}/tests`, { signal });

export const pipelineTests = (pipeline: string, signal: AbortSignal): Promise<PipelineTests> =>
  call("GET", `${of("pipelines", pipeline)}/tests`, { signal });

export interface RunRequest {
  readonly key: string;
  readonly branch?: string;
  readonly params?: Record<string, unknown>;
}

/** Begins a run; the same key begins one, however often it is sent. */
export const beginRun = (pipeline: string, body: RunRequest): Promise<{ run: string }> =>
  call("POST", `${of("pipelines", pipeline)}/runs`, { body });

/** Where the archive of what a task left is. */
export const artifactPath = (task: string, artifact: string): string =>
  `${of("tasks", task)}/artifacts/${encodeURIComponent(artifact)}`;

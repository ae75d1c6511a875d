// Jobs as the pages show them: how each host does, and what a command line means. Not what jobs
// are: that is the server's.
import type { Job, Task } from "../api/objects";
import { type Look, TASK } from "./ci";
import { order } from "./fleet";

export const JOB: Readonly<Record<Job["status"]["phase"], Look>> = {
  pending: { word: "pending", tone: "held" },
  running: { word: "running", tone: "move" },
  paused: { word: "waits for a person", tone: "held" },
  succeeded: { word: "succeeded", tone: "ok" },
  failed: { word: "failed", tone: "bad" },
  cancelled: { word: "cancelled", tone: "off" },
};

export const isJobOver = ({ status }: Job): boolean =>
  status.phase === "succeeded" || status.phase === "failed" || status.phase === "cancelled";

/** How one host of a job does. */
export interface HostRow {
  readonly host: string;
  readonly look: Look;
  readonly task: Task | undefined;
}

const WAITS: Look = { word: "not told yet", tone: "off" };
const DONE: Look = { word: "succeeded before", tone: "ok" };

/** Its step is `r2` in the second round. */
const roundOf = (task: Task): number => Number(task.spec.step.slice(1));

/** The hosts of the present round in their order, each with its newest task. */
export function hostsOf(job: Job, tasks: Iterable<Task>): HostRow[] {
  const newest = new Map<string, Task>();
  for (const task of tasks) {
    const { run, host } = task.spec;
    if (run !== job.metadata.name || !host) continue;
    const other = newest.get(host);
    if (!other || roundOf(other) < roundOf(task)) newest.set(host, task);
  }
  const done = new Set(job.status.done ?? []);
  return (job.status.targets ?? []).map((host) => {
    const task = newest.get(host);
    const look = task ? TASK[task.status.phase] : done.has(host) ? DONE : WAITS;
    return { host, look, task };
  });
}

/** What went wrong first, then what goes on, then the rest. */
const RANK: Readonly<Record<string, number>> = { bad: 0, warn: 1, move: 2, held: 3, off: 4, ok: 5 };

export function worstFirst(rows: readonly HostRow[]): HostRow[] {
  const rank = (row: HostRow) => RANK[row.look.tone] ?? 3;
  return [...rows].sort((a, b) => rank(a) - rank(b) || order(a.host, b.host));
}

/** How far it is, in words. */
export function progressWords({ status }: Job): string {
  const all = status.targets?.length ?? 0;
  const parts = [`${status.succeeded ?? 0} of ${all} succeeded`];
  const more = [
    [status.failed, "failed"],
    [status.lost, "lost"],
    [status.cancelled, "ended"],
  ] as const;
  for (const [count, word] of more) if (count) parts.push(`${count} ${word}`);
  return all === 0 ? "no hosts yet" : parts.join(", ");
}

/**
 * The words of a command line: blanks part them, quotes keep them together, and a backslash takes
 * the next character as it is, but within single quotes. Nothing where a quote is left open.
 */
export function wordsOf(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < line.length; i += 1) {
    const c = line.charAt(i);
    if (c === "\\" && quote !== "'" && i + 1 < line.length) {
      i += 1;
      word = (word ?? "") + line.charAt(i);
    } else if (quote) {
      if (c === quote) quote = "";
      else word = (word ?? "") + c;
    } else if (c === "'" || c === '"') {
      quote = c;
      word ??= "";
    } else if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + c;
    }
  }
  if (quote) return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

/** A command as one would type it. */
export function lineOf(command: readonly string[]): string {
  const plain = /^[\w@%+=:,./-]+$/;
  return command.map((w) => (plain.test(w) ? w : `'${w.replaceAll("'", "'\\''")}'`)).join(" ");
}

// The figures of the board that are worked out of records: how much is done with no person, and how
// often what was decided by itself was right. What is not recorded is not known, and no zero.
import type { Decision, Promotion } from "../api/objects";
import { endOf } from "./delivery";
import { parseTime } from "./time";

const WEEK = 7 * 86_400_000;

export interface Share {
  readonly part: number;
  readonly all: number;
}

export interface Automation {
  /** Releases that went in, well or ill. */
  readonly changes: Share;
  /** Decisions that were carried out, and what deployments and hosts mended by themselves. */
  readonly repairs: Share;
  /** Of the repairs, those that hosts did by starting an instance again. */
  readonly restarts: number;
  /** The share of both together nobody had a hand in; none where there was nothing. */
  readonly ratio: number | undefined;
}

const within = (at: number | undefined, from: number, to: number) =>
  at !== undefined && at >= from && at < to;

/** How often something happened, by the end of the time that is counted over, in milliseconds. */
export type Counts = readonly { readonly at: number; readonly count: number }[];

/** What was repaired with neither a decision nor a person. */
export interface Repaired {
  /** By deployments, which made instances anew. */
  readonly healed: Counts;
  /** By hosts, which started instances again where they were. */
  readonly restarted: Counts;
}

/** How much was done in some time, and how much of it with no person. */
export function automation(
  promotions: readonly Promotion[],
  decisions: readonly Decision[],
  { healed, restarted }: Repaired,
  from: number,
  to: number,
): Automation {
  const done = promotions.filter((p) => within(endOf(p), from, to));
  const acted = decisions.filter((d) => within(parseTime(d.status.actedAt), from, to));
  const countOf = (counts: Counts) => {
    const counted = counts.filter(({ at }) => at > from && at <= to);
    return Math.round(counted.reduce((sum, { count }) => sum + count, 0));
  };
  const restarts = countOf(restarted);
  const alone = countOf(healed) + restarts;
  const changes = { part: done.filter((p) => !p.status.byHand).length, all: done.length };
  const repairs = {
    part: acted.filter((d) => (d.status.approvedBy ?? []).length === 0).length + alone,
    all: acted.length + alone,
  };
  const all = changes.all + repairs.all;
  const ratio = all > 0 ? (changes.part + repairs.part) / all : undefined;
  return { changes, repairs, restarts, ratio };
}

export interface Judged {
  readonly made: number;
  readonly right: number;
  readonly wrong: number;
  readonly helped: number;
  readonly didNot: number;
  /** The share people called right, of those they judged; none where they judged none. */
  readonly rightShare: number | undefined;
  /** The share that helped, of those of which it is known; none where it is of none. */
  readonly helpedShare: number | undefined;
}

/** How decisions made in some time turned out. */
export function judged(decisions: readonly Decision[], from: number, to: number): Judged {
  const made = decisions.filter((d) => within(parseTime(d.metadata.createdAt), from, to));
  const count = (of: (d: Decision) => boolean) => made.filter(of).length;
  const right = count((d) => d.spec.feedback?.right === true);
  const wrong = count((d) => d.spec.feedback?.right === false);
  const helped = count((d) => d.status.effect?.verdict === "helped");
  const didNot = count((d) => d.status.effect?.verdict === "didNot");
  const share = (part: number, other: number) =>
    part + other > 0 ? part / (part + other) : undefined;
  return {
    made: made.length,
    right,
    wrong,
    helped,
    didNot,
    rightShare: share(right, wrong),
    helpedShare: share(helped, didNot),
  };
}

/** Something of each week, the oldest first. */
export function weeksOf<T>(weeks: number, now: number, of: (from: number, to: number) => T): T[] {
  return Array.from({ length: weeks }, (_, k) => {
    const to = now - (weeks - 1 - k) * WEEK;
    return of(to - WEEK, to);
  });
}

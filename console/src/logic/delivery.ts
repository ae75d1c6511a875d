// Deliveries worked out of promotions: where each release is, what waits, and the figures of how
// fast and how safely changes reach their last environment. What was not recorded is no zero.
import type { Check, PromotionPhase } from "../api/delivery";
import { rulesOf } from "../api/delivery";
import type { Application, Deployment, Environment, Promotion, Release } from "../api/objects";
import { order } from "./fleet";
import type { Tone } from "./phases";
import { parseTime } from "./time";

export const PROMOTION: Readonly<Record<PromotionPhase, { word: string; tone: Tone }>> = {
  waiting: { word: "waiting", tone: "held" },
  admitted: { word: "let in", tone: "move" },
  rolling: { word: "rolling out", tone: "move" },
  good: { word: "good", tone: "ok" },
  failed: { word: "failed", tone: "bad" },
  refused: { word: "refused", tone: "bad" },
  superseded: { word: "passed over", tone: "off" },
};

export const CHECK: Readonly<Record<Check["state"], { word: string; tone: Tone }>> = {
  passed: { word: "there", tone: "ok" },
  waiting: { word: "waiting", tone: "held" },
  refused: { word: "cannot come", tone: "bad" },
  skipped: { word: "passed over", tone: "warn" },
};

export const phaseOf = (promotion: Promotion): PromotionPhase =>
  promotion.status.phase ?? "waiting";

/** Environments in the order releases go through them; ephemeral ones and patterns are left out. */
export function road(environments: Iterable<Environment>): Environment[] {
  const all = [...environments].filter((e) => !rulesOf(e).ephemeral && !rulesOf(e).template);
  const byName = new Map(all.map((e) => [e.metadata.name, e]));
  const depth = (e: Environment, seen: number): number => {
    const before = e.spec.after ? byName.get(e.spec.after) : undefined;
    return before && seen < all.length ? 1 + depth(before, seen + 1) : 0;
  };
  return all.sort((a, b) => depth(a, 0) - depth(b, 0) || order(a.metadata.name, b.metadata.name));
}

/** Whether releases of an application that names these environments go to one: to all, if none. */
export function goesTo(named: readonly string[] | null | undefined, to: Environment): boolean {
  return !named || named.includes(to.metadata.name);
}

export interface Stop {
  readonly environment: string;
  readonly deployment: Deployment | undefined;
  /** What runs there. */
  readonly release: string | undefined;
  /** The newest release that is on its way in, if one is. */
  readonly next: Promotion | undefined;
}

export interface Lane {
  readonly application: string;
  readonly owner: string | undefined;
  readonly stops: readonly Stop[];
}

const OPEN: readonly PromotionPhase[] = ["waiting", "admitted", "rolling", "refused", "failed"];

/** For each application: its release in each environment, and what comes next there. */
export function board(
  applications: readonly Application[],
  environments: readonly Environment[],
  deployments: readonly Deployment[],
  promotions: Iterable<Promotion>,
  numberOf: (release: string) => number,
): Lane[] {
  const at = new Map(deployments.map((d) => [`${d.spec.application} ${d.spec.environment}`, d]));
  const open = new Map<string, Promotion>();
  for (const promotion of promotions) {
    if (!OPEN.includes(phaseOf(promotion))) continue;
    const { application, environment, release } = promotion.spec;
    const key = `${application} ${environment}`;
    const known = open.get(key);
    if (!known || numberOf(known.spec.release) < numberOf(release)) open.set(key, promotion);
  }
  return applications
    .map((application) => {
      const name = application.metadata.name;
      const stops = environments.map((environment): Stop => {
        const key = `${name} ${environment.metadata.name}`;
        const deployment = at.get(key);
        const release = deployment?.status.release ?? undefined;
        const next = open.get(key);
        const newer = next && numberOf(next.spec.release) > numberOf(release ?? "");
        return {
          environment: environment.metadata.name,
          deployment,
          release,
          next: newer ? next : undefined,
        };
      });
      return { application: name, owner: application.spec.owner ?? undefined, stops };
    })
    .filter((lane) => lane.stops.some((stop) => stop.deployment || stop.next));
}

/** `shop-43` is 43: releases of one application in the order they were made. */
export function releaseNumbers(releases: Iterable<Release>): (name: string) => number {
  const known = new Map([...releases].map((r) => [r.metadata.name, r.spec.number ?? 0]));
  return (name) => known.get(name) ?? Number(/-(\d+)$/.exec(name)?.[1] ?? 0);
}

/** How changes reached an environment in some time. Absent: nothing is recorded to tell it from. */
export interface Figures {
  readonly deliveries: number;
  readonly perWeek: number | undefined;
  /** From the commit until it had proved itself, in milliseconds, in the middle. */
  readonly leadTime: number | undefined;
  readonly failureRate: number | undefined;
  /** From a failure until the deployment was whole again, in the middle. */
  readonly restore: number | undefined;
  /** The share nobody had a hand in. */
  readonly unaided: number | undefined;
}

const WEEK = 7 * 86_400_000;

const middle = (values: readonly number[]): number | undefined => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[half];
  const [a, b] = [sorted[half - 1], sorted[half]];
  return a === undefined || b === undefined ? undefined : (a + b) / 2;
};

/** When a promotion was decided, well or ill; those that were not are no deliveries yet. */
export function endOf(promotion: Promotion): number | undefined {
  const { goodAt, failedAt } = promotion.status;
  return parseTime(failedAt) ?? parseTime(goodAt);
}

/** Since when what failed did harm: since its rollout began, unless it had been good. */
export function harmedAt(promotion: Promotion): string | undefined {
  const { beganAt, goodAt, failedAt } = promotion.status;
  const [began, good, failed] = [beganAt, goodAt, failedAt].map((at) => parseTime(at));
  if (failed === undefined) return undefined;
  const wasGood = good !== undefined && good < failed;
  return (began !== undefined && began < failed && !wasGood ? beganAt : failedAt) ?? undefined;
}

export function figures(promotions: readonly Promotion[], from: number, to: number): Figures {
  const done = promotions.filter((p) => {
    const at = endOf(p);
    return at !== undefined && at >= from && at < to;
  });
  const between = (a: string | null | undefined, b: string | null | undefined) => {
    const [start, end] = [parseTime(a), parseTime(b)];
    return start === undefined || end === undefined ? [] : [Math.max(0, end - start)];
  };
  const failed = done.filter((p) => p.status.failedAt);
  const share = (part: number) => (done.length === 0 ? undefined : part / done.length);
  return {
    deliveries: done.length,
    perWeek: to > from ? done.length / ((to - from) / WEEK) : undefined,
    leadTime: middle(done.flatMap((p) => between(p.status.commit?.at, p.status.goodAt))),
    failureRate: share(failed.length),
    restore: middle(failed.flatMap((p) => between(harmedAt(p), p.status.restoredAt))),
    unaided: share(done.filter((p) => !p.status.byHand).length),
  };
}

/** The figures of each week, the oldest first. */
export function weekly(promotions: readonly Promotion[], weeks: number, now: number): Figures[] {
  return Array.from({ length: weeks }, (_, k) => {
    const to = now - (weeks - 1 - k) * WEEK;
    return figures(promotions, to - WEEK, to);
  });
}

/** The name of the object that holds a version of a package, which may hold what names may not. */
export function packageObject(name: string, version: string): string {
  const plain = version.replaceAll(/[^a-z0-9]/g, "-").replaceAll(/^-+|-+$/g, "");
  if (plain === version) return `${name}.${plain}`;
  let sum = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(version)) {
    sum = BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x0100000001b3n);
  }
  const joined = `${plain}-${(sum >> 32n).toString(16).padStart(8, "0")}`;
  return `${name}.${joined.replace(/^-+/, "")}`;
}

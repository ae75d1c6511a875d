// Promises: what they say, how much of their budget is left, and the series that tell how it got
// there. When a budget counts as spent is the server's.
import type { Objective, ObjectivePhase, Promised } from "../api/objects";
import type { Tone } from "./phases";
import { parseSpan, parseTime, spanWords } from "./time";
import { share } from "./units";

export const OBJECTIVE: Readonly<Record<ObjectivePhase, { word: string; tone: Tone }>> = {
  kept: { word: "kept", tone: "ok" },
  burning: { word: "burning", tone: "warn" },
  spent: { word: "spent", tone: "bad" },
  noData: { word: "no data", tone: "unknown" },
};

/** What asks for somebody comes first. */
export const OBJECTIVE_ORDER: readonly ObjectivePhase[] = ["spent", "burning", "noData", "kept"];

/** The share that must be good, 0 to 1; 99 % of the time where only a bound is given. */
export function targetOf(promise: Promised): number {
  const text = promise.target?.trim() ?? "";
  const value = Number.parseFloat(text) / (text.endsWith("%") ? 100 : 1);
  return Number.isFinite(value) ? round(value) : 0.99;
}

export const allowed = (promise: Promised): number => round(1 - targetOf(promise));

/** Without what counting in twos leaves at the end. */
const round = (value: number) => Number(value.toPrecision(12));

/** A promise in words: `99.9 % good over 30d`. */
export function promiseWords(promise: Pick<Promised, "below" | "target" | "window">): string {
  const window = promise.window ?? "30d";
  const target = promise.target?.replace(/\s*%/, " %") ?? "99 %";
  if (promise.below) return `below ${promise.below} for ${target} of ${window}`;
  return `${target} good over ${window}`;
}

function selector({ spec }: Objective): string {
  const [deployment, name] = [spec.deployment, spec.promise.name].map((v) => JSON.stringify(v));
  return `{deployment=${deployment}, objective=${name}}`;
}

/** How much of the budget was left at each time, from 1 down to 0 and below. */
export function budgetQuery(objective: Objective): string {
  const of = selector(objective);
  const whole = `objective:events:expected${of} * ${allowed(objective.spec.promise)}`;
  return `1 - objective:bad:window${of} / (${whole})`;
}

/** How fast it was spent: 1 spends it exactly over the window. */
export function burnQuery(objective: Objective): string {
  return `objective:bad:ratio_rate1h${selector(objective)} / ${allowed(objective.spec.promise)}`;
}

export const windowOf = (promise: Promised): number => parseSpan(promise.window ?? "30d");

const LEAST_SHOWN = 3_600_000;

/** For how long a budget is worth showing: its window, or as long as it has been recorded. */
export function recordedFor({ metadata, spec }: Objective, now: number): number {
  const age = now - (parseTime(metadata.createdAt) ?? 0);
  return Math.min(windowOf(spec.promise), Math.max(LEAST_SHOWN, age));
}

/** When the budget is gone if it is spent on at this pace, in milliseconds from now. */
export function spentIn(objective: Objective): number | undefined {
  const { budgetLeft, burnRate } = objective.status;
  if (typeof budgetLeft !== "number" || typeof burnRate !== "number") return undefined;
  if (budgetLeft <= 0 || burnRate <= 0) return undefined;
  return (budgetLeft / burnRate) * windowOf(objective.spec.promise);
}

/** What is left in the time it stands for: `13m` of downtime, where all is bad. */
export function leftWords(objective: Objective): string {
  const { budgetLeft } = objective.status;
  if (typeof budgetLeft !== "number") return "not known";
  if (budgetLeft < 0) return `overspent by ${share(-budgetLeft)}`;
  const bad = budgetLeft * allowed(objective.spec.promise) * windowOf(objective.spec.promise);
  return `${share(budgetLeft)} left: ${spanWords(bad)} of nothing but errors`;
}

// Budgets as pages show them: how much of a month's money is spent and will be, and how much of the
// hosts is taken of what is guaranteed and what may be had. What has no price is not free.
import type { Approval, Budget, CostRow, Price } from "../api/objects";
import { parseMoney } from "./money";
import type { Tone } from "./phases";
import { parseTime } from "./time";

type Phase = NonNullable<Budget["status"]["phase"]>;

export const BUDGET: Readonly<Record<Phase, { word: string; tone: Tone }>> = {
  unknown: { word: "not wholly known", tone: "unknown" },
  within: { word: "within", tone: "ok" },
  tight: { word: "tight", tone: "warn" },
  over: { word: "over", tone: "bad" },
};

export const EXCEED = {
  warn: "what breaks it is done, and told",
  approve: "what breaks it waits for approval",
  refuse: "what breaks it is refused",
} as const;

const RANK: readonly Phase[] = ["over", "tight", "unknown", "within"];

/** What asks for somebody first. */
export function orderedBudgets(budgets: Iterable<Budget>): Budget[] {
  const rank = (budget: Budget) => RANK.indexOf(budget.status.phase ?? "unknown");
  return [...budgets].sort(
    (a, b) => rank(a) - rank(b) || a.metadata.name.localeCompare(b.metadata.name),
  );
}

export function ofWhat({ spec }: Budget): string {
  const parts = [
    spec.team && `team ${spec.team}`,
    spec.application && `application ${spec.application}`,
    spec.environment && `environment ${spec.environment}`,
  ];
  return parts.filter(Boolean).join(", ");
}

/**
 * Who has approved that a budget may be broken in the month of a time; months are those of UTC.
 * Nobody has where it does not ask: what was given while it did lets nothing through.
 */
export function approvers(approvals: Iterable<Approval>, budget: Budget, now: number): string[] {
  if (budget.spec.exceed !== "approve") return [];
  const today = new Date(now);
  const begins = Date.UTC(today.getUTCFullYear(), today.getUTCMonth());
  return [...approvals]
    .filter(({ spec }) => spec.subject === `budget/${budget.metadata.name}`)
    .filter(({ metadata }) => (parseTime(metadata.createdAt) ?? 0) >= begins)
    .map(({ spec }) => spec.by);
}

export interface Money {
  readonly currency: string;
  readonly limit: number;
  readonly spent: number;
  readonly forecast: number;
  readonly rate: number;
  /** Nothing of it has a price: what would be told as zero is not known. */
  readonly blind: boolean;
  /** All of it has a price, so that it is known where the month ends. */
  readonly priced: boolean;
}

/** Money of the month; none where nothing is counted yet. */
export function moneyOf({ spec, status }: Budget): Money | undefined {
  if (!spec.month || !status.spend) return undefined;
  const { spent, forecast, rate, currency } = status.spend;
  const priced = (status.phase ?? "unknown") !== "unknown";
  return {
    currency,
    priced,
    limit: parseMoney(spec.month.limit),
    spent: parseMoney(spent),
    forecast: parseMoney(forecast),
    rate: parseMoney(rate),
    blind:
      !priced && (status.instances ?? 0) > 0 && parseMoney(spent) === 0 && parseMoney(rate) === 0,
  };
}

/** How wide each part of a bar is, in hundredths of the longest that is to be shown. */
export function bar(spent: number, forecast: number, limit: number) {
  const whole = Math.max(spent, forecast, limit);
  const part = (value: number) => (whole > 0 ? (value / whole) * 100 : 0);
  return { spent: part(spent), forecast: part(Math.max(spent, forecast)), limit: part(limit) };
}

export interface Parts {
  readonly used: number;
  readonly shared: number;
  readonly idle: number;
  readonly total: number;
}

export const partsOf = (row: CostRow): Parts => ({
  used: parseMoney(row.used),
  shared: parseMoney(row.shared),
  idle: parseMoney(row.idle),
  total: parseMoney(row.total),
});

/** The name of a row in words: the wire has signs for what is nobody's and what is hidden. */
export function rowName(name: string): string {
  if (name === "-") return "nobody’s";
  return name === "others" ? "others, which you may not see" : name;
}

/** Whether a price holds now, will, or did. */
export function priceState(price: Price, now: number): { word: string; tone: Tone } {
  const [from, until] = [parseTime(price.spec.from), parseTime(price.spec.until)];
  if (from !== undefined && now < from) return { word: "ahead", tone: "held" };
  if (until !== undefined && now >= until) return { word: "over", tone: "off" };
  return { word: "holds", tone: "ok" };
}

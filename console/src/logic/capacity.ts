// What deployments can carry in words, and how good forecasts are beside the simplest ones. What is
// not measured is not counted as zero.
import type { Autoscaler, Capacity, CapacityReport, CapacityRow } from "../api/objects";
import type { Score } from "../api/types";
import type { Tone } from "./phases";
import { amount, counted } from "./quantity";
import type { Values } from "./series";
import { wholeShare } from "./units";

type Phase = NonNullable<Capacity["status"]["phase"]>;

export const CAPACITY: Readonly<Record<Phase, { word: string; tone: Tone }>> = {
  unknown: { word: "load not measured", tone: "unknown" },
  ample: { word: "ample", tone: "ok" },
  tight: { word: "runs out", tone: "warn" },
  short: { word: "short", tone: "bad" },
};

/** How much is used, and what is left of it: whole percents that are a hundred together. */
export function usedWords(headroom: number): { share: number; used: string; left: string } {
  const ends = Math.abs(headroom) < 0.01 || (headroom > 0.99 && headroom < 1);
  // Near the ends it is told that it is not quite nothing, or all.
  const left = !ends ? Math.round(headroom * 100) / 100 : headroom < 0 ? -0.01 : headroom;
  return { share: 1 - left, used: wholeShare(1 - left), left: wholeShare(left) };
}

export const KNOWN: Readonly<Record<CapacityRow["known"], string>> = {
  declared: "as declared",
  set: "set by a person",
  proven: "proven",
  bounded: "an objective broke with more",
};

/** How a row stands: what lacks and finds no room is worst. */
export function rowState(row: CapacityRow): { word: string; tone: Tone } {
  if (typeof row.load !== "number") return CAPACITY.unknown;
  if (row.missing > row.placed) {
    return {
      word: `${amount(row.missing)} lacking, ${amount(row.missing - row.placed)} without room`,
      tone: "bad",
    };
  }
  if (row.missing > 0) return { word: `${amount(row.missing)} lacking`, tone: "warn" };
  const less = row.needed - row.left;
  return { word: less > 0 ? `enough, spare ${amount(less)} short` : "enough", tone: "ok" };
}

/** How many the load takes, the spare not among them. */
export const takenBy = ({ needed, spare }: Pick<CapacityRow, "needed" | "spare">): string =>
  amount(needed - spare);

export const isMeasured = ({ load }: CapacityRow): boolean => typeof load === "number";

/** What a report comes to; where nothing is measured, nothing is said to be well. */
export function capacityLead(report: CapacityReport, supposed: boolean): string {
  const { deployments, undeclared = [], unplaced } = report;
  const rows = deployments.filter(isMeasured);
  if (rows.length === 0) return "nothing is measured yet";
  const lacking = rows.filter((row) => row.missing > 0).length;
  const verb = supposed ? "would lack" : lacking > 1 ? "lack" : "lacks";
  const all = counted(rows.length, "deployment");
  const silent = deployments.length - rows.length + undeclared.length;
  const told = [
    lacking === 0
      ? `${all} measured, none ${verb} instances`
      : `${lacking} of ${all} ${verb} instances`,
    unplaced > 0 && `no host has room for ${counted(unplaced, "instance")}`,
    silent > 0 && `${silent} not measured`,
  ];
  return told.filter(Boolean).join("; ");
}

/** Why the days ahead are not known; `since` says since when its load is measured, if it is. */
export function noForecast(method: string, since: string | undefined): string {
  const why = method.replace(/^none: /, "") || "its load was not looked at yet";
  const load = since ? ` It is measured since about ${since}.` : "";
  const made = "A forecast is made once an hour, from at least 50 hours of load.";
  return `${why.charAt(0).toUpperCase()}${why.slice(1)}.${load} ${made}`;
}

/** How wrong forecasts are, each as a share of the load. */
export interface Wrongness {
  readonly last: number | undefined;
  readonly dayAgo: number | undefined;
  readonly weekAgo: number | undefined;
  /** How many values were compared. */
  readonly points: number;
}

/**
 * How wrong it would have been to say the last value again, that of a day before and that of a week
 * before, `lead` steps ahead, over the last `most` values. Values without the one they are compared
 * with are left out.
 */
export function simplest(values: Values, day: number, lead: number, most: number): Wrongness {
  const from = Math.max(0, values.length - most);
  const wrong = (back: number) => {
    let [error, load, points] = [0, 0, 0];
    for (let i = Math.max(from, back); i < values.length; i += 1) {
      const [is, said] = [values[i], values[i - back]];
      if (typeof is !== "number" || typeof said !== "number") continue;
      error += Math.abs(is - said);
      load += Math.abs(is);
      points += 1;
    }
    return { share: load > 0 ? error / load : undefined, points };
  };
  const last = wrong(lead);
  return {
    last: last.share,
    dayAgo: wrong(day).share,
    weekAgo: wrong(7 * day).share,
    points: last.points,
  };
}

/** Whether the forecast may raise the number of instances, and why not where it may not. */
export function forecastUse(
  autoscaler: Autoscaler | undefined,
  now: number,
): { used: boolean; why: string } {
  const forecast = autoscaler?.status.forecast;
  if (!forecast)
    return { used: false, why: "no forecast is asked for: scaling.predict is not set" };
  const { points = [], method } = forecast;
  if (points.length === 0) return { used: false, why: method.replace(/^none: /, "") };
  if (now - Date.parse(String(forecast.at)) > 1_800_000) {
    return { used: false, why: "it is more than half an hour old" };
  }
  if (autoscaler.status.phase === "observing") {
    return { used: false, why: "its autoscaler only observes" };
  }
  return { used: true, why: "it may raise the number of instances, and never lowers it" };
}

/**
 * How an autoscaler that observes would have done, as shares of the time (in milliseconds) of which
 * it is known what was needed; none where that is not known of a minute: that nothing was too few
 * then is no merit.
 */
export function scoreOf({ seconds, short, wasShort, instances, were }: Score) {
  if (!(seconds >= 60)) return undefined;
  return {
    of: seconds * 1000,
    short: short / seconds,
    wasShort: wasShort / seconds,
    times: were > 0 ? instances / were : undefined,
  };
}

/** Whether something is supposed. */
export const supposes = (asked: object): boolean =>
  Object.values(asked).some((value) => value !== undefined && value !== false && value !== 1);

/** What is wrong with a demand as it is typed, `orders=500,returns=20`; none where it can be asked for. */
export function wrongDemand(demand: string | undefined): string | undefined {
  const parts = (demand ?? "").split(",").map((part) => part.trim());
  const wrong = parts.find((part) => !/^[^\s=:]+[=:]\d+(\.\d+)?$/.test(part));
  if (!demand || wrong === undefined) return undefined;
  return `“${wrong}” is not like orders=500: a name, and how many a second.`;
}

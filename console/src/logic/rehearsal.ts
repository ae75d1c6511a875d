// The report of a rehearsal as it is played: what is known of it at each moment of its own time.
// What would come of a scenario is worked out by the server.
import type { RehearsalReport } from "../api/objects";
import type { Grid, Line } from "./series";
import { parseSpan, parseTime } from "./time";

type Course = RehearsalReport["fleet"];
type Field = "hosts" | "instances" | "load" | "capacity" | "errors";

/** Something that is told when its time comes. */
export interface Entry {
  readonly key: string;
  /** Milliseconds after the beginning. */
  readonly at: number;
  readonly kind: "fault" | "decision" | "broken" | "mended";
  readonly what: string;
  readonly why?: string;
  readonly by?: string;
  /** Until when it went on, and how often, where that is more than once. */
  readonly last?: number;
  readonly times?: number;
}

export interface Play {
  readonly report: RehearsalReport;
  /** When it begins by its own clock, in milliseconds since 1970. */
  readonly from: number;
  readonly lasts: number;
  readonly entries: readonly Entry[];
}

/** A time after the beginning, to the second, past ten hours to the minute: `12h 15m`. */
export function elapsed(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0 && h < 10 && s > 0) return `${h}h ${m}m ${s}s`;
  if (h > 0) return m > 0 ? `${h}h ${m}m` : `${h}h`;
  if (m > 0) return s > 0 ? `${m}m ${s}s` : `${m}m`;
  return `${s}s`;
}

const worst = (share: number) => `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`;

export function playOf(report: RehearsalReport): Play {
  const lasts = Math.max(1, parseSpan(report.lasts));
  const entries: Entry[] = [
    ...report.events.map((event, i) => ({
      key: `event ${i}`,
      at: parseSpan(event.at),
      kind: "fault" as const,
      what: event.what,
    })),
    ...report.decisions.map((decided, i) => ({
      key: `decision ${i}`,
      at: parseSpan(decided.first),
      kind: "decision" as const,
      what: decided.what,
      why: decided.why || undefined,
      by: decided.by,
      last: parseSpan(decided.last),
      times: decided.times,
    })),
    ...report.deployments.flatMap((served) =>
      served.broken.flatMap((broken, i) => [
        {
          key: `broken ${served.deployment} ${i}`,
          at: parseSpan(broken.from),
          kind: "broken" as const,
          what: `${served.deployment} does not serve everything, ${worst(broken.worst)} at worst`,
          why: broken.worstAt ? `at ${broken.worstAt}: ${broken.why}` : broken.why,
        },
        // What is broken to the end is not mended by it.
        ...(parseSpan(broken.to) < lasts
          ? [
              {
                key: `mended ${served.deployment} ${i}`,
                at: parseSpan(broken.to),
                kind: "mended" as const,
                what: `${served.deployment} serves everything again`,
              },
            ]
          : []),
      ]),
    ),
  ];
  const rank = { fault: 0, broken: 1, decision: 2, mended: 3 };
  return {
    report,
    from: parseTime(report.from) ?? 0,
    lasts,
    entries: entries.sort((a, b) => a.at - b.at || rank[a.kind] - rank[b.kind]),
  };
}

/** How many parts of a course are over at a time after the beginning. */
export function partsAt(course: Course, at: number, lasts: number): number {
  const step = Math.max(1, parseSpan(course.step));
  const all = course.instances.length;
  return at >= lasts ? all : Math.max(0, Math.min(all, Math.floor(at / step)));
}

/** Some values of a course as lines over its whole time; what is not yet over is a gap. */
export function gridOf(
  course: Course,
  fields: readonly Field[],
  from: number,
  parts: number,
): Grid {
  const step = parseSpan(course.step);
  const count = course.instances.length;
  const times = Array.from({ length: count }, (_, i) => (from + i * step) / 1000);
  const lines = fields.map((field): Line => {
    const values = course[field] ?? [];
    return { labels: {}, values: times.map((_, i) => (i < parts ? (values[i] ?? null) : null)) };
  });
  return { times, lines };
}

/** The last value of a course that is over; none before the first, or where it is not told. */
export function valueAt(course: Course, field: Field, parts: number): number | undefined {
  return parts > 0 ? course[field]?.[parts - 1] : undefined;
}

/**
 * What was spent by the end of each part: the report tells the sum only, so it is spread by how many
 * hosts were up. None where there are no prices.
 */
export function spentSoFar({ cost, fleet }: RehearsalReport): number[] | undefined {
  const hosts = fleet.hosts ?? [];
  const all = hosts.reduce((sum, count) => sum + count, 0);
  if (!cost || all <= 0) return undefined;
  let sum = 0;
  return hosts.map((count) => {
    sum += count;
    return (sum / all) * cost.amount;
  });
}

/** What fails to serve everything at a time; at the end, what did until then. */
export function brokenAt(report: RehearsalReport, time: number): string[] {
  const at = Math.min(time, parseSpan(report.lasts) - 1);
  return report.deployments
    .filter(({ broken }) => broken.some((b) => parseSpan(b.from) <= at && at < parseSpan(b.to)))
    .map((served) => served.deployment);
}

/** What is to be played: a scenario as it is written, or an object by its name. */
export type Way = "scenario" | "object";

/** Whether what was asked is what is chosen now: what was wrong with one is not with another. */
export function isChosen(asked: { of?: string }, way: Way, of: string | undefined): boolean {
  if (way === "scenario") return asked.of === undefined;
  return asked.of !== undefined && (of === undefined || of === asked.of);
}

/** What came of it last. */
export interface Played {
  readonly report?: RehearsalReport;
  readonly of?: string;
}

/** The report that is shown: never that of something else than what is chosen now. */
export function shownOf(
  way: Way,
  of: string | undefined,
  asked: { of?: string } | null,
  data: RehearsalReport | undefined,
  last: Played,
): RehearsalReport | undefined {
  if (asked) return isChosen(asked, way, of) ? data : undefined;
  return last.of === of && isChosen(last, way, of) ? last.report : undefined;
}

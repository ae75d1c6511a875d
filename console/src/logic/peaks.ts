// Peaks as pages show them: how far one is, when it is, and what is expected at a time. What it
// takes and whether it is ready is the server's to say.
import type { Alert, Decision, Peak, PeakApplication, PeakCheck, PeakPhase } from "../api/objects";
import { writeSpan } from "./period";
import type { Tone } from "./phases";
import { amount, counted } from "./quantity";
import { momentIn, parseTime, spanShort, spanWords } from "./time";

type PeakReport = NonNullable<Peak["status"]["report"]>;

const PHASE: Readonly<Record<PeakPhase, { word: string; tone: Tone }>> = {
  planned: { word: "planned", tone: "held" },
  procuring: { word: "making hosts", tone: "move" },
  fetching: { word: "fetching packages", tone: "move" },
  scaling: { word: "making instances", tone: "move" },
  frozen: { word: "releases held", tone: "soak" },
  live: { word: "there", tone: "warn" },
  givingBack: { word: "giving back", tone: "move" },
  over: { word: "over", tone: "off" },
};

const CHECK: Readonly<Record<PeakCheck["state"], { word: string; tone: Tone }>> = {
  done: { word: "done", tone: "ok" },
  open: { word: "open", tone: "held" },
  late: { word: "late", tone: "bad" },
};

export const phaseOf = (peak: Peak) => PHASE[peak.status.phase ?? "planned"];
export const checkOf = (check: PeakCheck) => CHECK[check.state];
export const isOver = (peak: Peak) => peak.status.phase === "over";

/** When it starts or ends; none before it was planned. */
const timeOf = ({ status }: Peak, which: "starts" | "ends") =>
  parseTime(status.times?.[which]) || undefined;

/** Whether its end is past: it may still be given back. */
export function hasEnded(peak: Peak, now: number): boolean {
  const ends = timeOf(peak, "ends");
  return isOver(peak) || (ends !== undefined && ends <= now);
}

/** From when to when it is, on the clocks of its own zone; nothing before that is known. */
export function whenOf(peak: Peak): string {
  const [starts, ends] = [timeOf(peak, "starts"), timeOf(peak, "ends")];
  if (starts === undefined || ends === undefined) return "";
  const { timeZone } = peak.spec;
  const span = `${momentIn(starts, timeZone)} to ${momentIn(ends, timeZone)}`;
  return timeZone ? `${span} (${timeZone})` : span;
}

/** Those that are next come first, those that are over last. */
export function ordered(peaks: Iterable<Peak>): Peak[] {
  const starts = (peak: Peak) => parseTime(peak.status.times?.starts) ?? 0;
  return [...peaks].sort(
    (a, b) =>
      Number(isOver(a)) - Number(isOver(b)) ||
      (isOver(a) ? starts(b) - starts(a) : starts(a) - starts(b)),
  );
}

/** How far away it is, in words. */
export function farOf(peak: Peak, now: number): string {
  const [starts, ends] = [timeOf(peak, "starts"), timeOf(peak, "ends")];
  if (starts === undefined || ends === undefined) return "not planned for yet";
  if (now < starts) return `starts in ${spanWords(starts - now)}`;
  return now < ends ? `ends in ${spanWords(ends - now)}` : `ended ${spanShort(now - ends)} ago`;
}

/** That no objective was broken, where none was; and who promises nothing, of whom nobody sees it. */
export function promisedOf({ applications, broken }: PeakReport): string[] {
  const all = Object.keys(applications ?? {});
  const objectives = Object.entries(broken ?? {});
  const without = all.filter((of) => !objectives.some(([name]) => name.startsWith(`${of}.`)));
  if (without.length === all.length) return ["nothing is promised: nobody sees what breaks"];
  const none = objectives.every(([, time]) => time === 0);
  return [
    ...(none ? ["no objective was broken"] : []),
    ...(without.length > 0
      ? [
          `nothing is promised by ${amount(without.length)} of ${counted(all.length, "application")}`,
        ]
      : []),
  ];
}

/** How many instances there are of those it is known to take, and of whom that is not known. */
export function takesOf({ status }: Peak): { words: string; unknown: readonly string[] } {
  const rows = status.applications ?? [];
  const known = rows.flatMap(({ have, needed }) =>
    typeof needed === "number" ? { have: Math.min(have, needed), needed } : [],
  );
  const unknown = rows.filter((row) => typeof row.needed !== "number");
  const sum = (all: readonly number[]) => amount(all.reduce((sum, one) => sum + one, 0));
  const words =
    rows.length === 0
      ? "not known yet"
      : known.length === 0
        ? `${sum(unknown.map((row) => row.have))} serve`
        : `${sum(known.map((row) => row.have))} of ${sum(known.map((row) => row.needed))}`;
  return { words, unknown: unknown.map((row) => row.deployment) };
}

/** A time of its calendar, counted from the start, to the second. */
export function countedOf(check: PeakCheck, peak: Peak): string {
  const due = parseTime(check.due);
  const starts = timeOf(peak, "starts");
  if (due === undefined || starts === undefined || due >= starts) return "T";
  return `T-${writeSpan(starts - due)}`;
}

/** When that is, on the clocks of its zone; to the second within the last hour before it. */
export function dueOf(check: PeakCheck, peak: Peak): string {
  const [due, starts] = [parseTime(check.due), timeOf(peak, "starts")];
  const near = due !== undefined && starts !== undefined && starts - due < 3_600_000;
  return momentIn(check.due, peak.spec.timeZone, near);
}

/** What is expected of an application now; the most there will be, before it starts. */
export function expectedOf(row: PeakApplication, now: number): number | undefined {
  const past = (row.course ?? []).filter((slot) => (parseTime(slot.at) ?? 0) <= now);
  return past.at(-1)?.expected ?? row.expected ?? undefined;
}

/** What its watch room has: what fires and was decided about what is of it. */
export interface Room {
  readonly alerts: readonly Alert[];
  readonly decisions: readonly Decision[];
  /** So many that its report names are no longer kept. */
  readonly gone: number;
}

/** After its end it is what the report has: what came later is none of it. Nothing before it begins. */
export function roomOf(
  peak: Peak,
  alerts: ReadonlyMap<string, Alert>,
  decisions: ReadonlyMap<string, Decision>,
  now: number,
): Room | undefined {
  const { applications = [], report, times, phase = "planned" } = peak.status;
  if (phase === "planned" || isOver(peak)) return undefined;
  if (hasEnded(peak, now)) {
    if (!report || Object.keys(report.applications ?? {}).length === 0) return undefined;
    const fired = kept(report.alerts ?? [], alerts);
    const decided = kept(report.decisions ?? [], decisions);
    return {
      alerts: fired.there,
      decisions: decided.there,
      gone: fired.gone + decided.gone,
    };
  }
  const mine = (name: string | undefined) =>
    applications.some(({ deployment: of }) => name === of || name?.startsWith(`${of}.`));
  const about = (subject: string | null | undefined) => mine(subject?.replace(/^[^/]*\//, ""));
  const since = Math.max(parseTime(times?.scale) ?? 0, parseTime(peak.metadata.createdAt) ?? 0);
  return {
    alerts: [...alerts.values()].filter(
      ({ spec, status }) =>
        status.phase === "firing" && (mine(spec.labels.deployment) || about(spec.subject)),
    ),
    decisions: [...decisions.values()].filter(
      ({ spec, metadata }) => about(spec.subject) && (parseTime(metadata.createdAt) ?? 0) >= since,
    ),
    gone: 0,
  };
}

function kept<T>(names: readonly string[], table: ReadonlyMap<string, T>) {
  const there = names.flatMap((name) => table.get(name) ?? []);
  return { there, gone: names.length - there.length };
}

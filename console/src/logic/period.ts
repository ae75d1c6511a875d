// Spans of time that are looked at: the last so long, or from one moment to another; how they are
// written in addresses, and how finely they are asked for. Never reads a clock.
import { parseSpan, spanWords } from "./time";

export type Span =
  | { readonly kind: "last"; readonly ms: number }
  | { readonly kind: "between"; readonly from: number; readonly to: number };

/** A span at a certain time, with the distance of its points; all in milliseconds. */
export interface Period {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** How a span stands in an address. */
export interface SpanSearch {
  range?: string;
  /** Milliseconds since 1970. */
  from?: number;
  to?: number;
}

export const PRESETS = ["15m", "1h", "6h", "1d", "7d", "30d"] as const;
const HOUR = 3_600_000;
const LONGEST = 400 * 24 * HOUR;

export const lengthOf = (span: Span): number =>
  span.kind === "last" ? span.ms : span.to - span.from;

/** Reads a span from an address; what makes no sense is the last hour. */
export function spanOf(search: SpanSearch, usual = HOUR): Span {
  const [from, to] = [Number(search.from), Number(search.to)];
  if (search.from && search.to && to - from >= 1000 && to - from <= LONGEST) {
    return { kind: "between", from, to };
  }
  const ms = parseSpan(search.range);
  return { kind: "last", ms: ms >= 60_000 && ms <= LONGEST ? ms : usual };
}

export function searchOf(span: Span): SpanSearch {
  if (span.kind === "last") return { range: writeSpan(span.ms), from: undefined, to: undefined };
  return { range: undefined, from: Math.round(span.from), to: Math.round(span.to) };
}

/** A span as PromQL and manifests write it: `90s` is `1m30s`. */
export function writeSpan(ms: number): string {
  let left = Math.max(1, Math.round(ms / 1000));
  let text = "";
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ] as const) {
    if (left >= size) text += `${Math.floor(left / size)}${unit}`;
    left %= size;
  }
  return text;
}

const STEPS = [
  1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400,
];
/** A server answers no more points a series than this. */
const MOST_POINTS = 11_000;

/** The distance of points that gives about `points` of them, in milliseconds: a round one. */
export function stepOf(length: number, points = 500): number {
  const wanted = length / 1000 / points;
  // Collected once in fifteen seconds: nothing is to be seen between, but for very short spans.
  const least = length < 120_000 ? 1 : 15;
  const step = STEPS.find((s) => s >= wanted && s >= least) ?? 86_400;
  return step * 1000;
}

/** The least step a server would answer for, for steps people choose. */
export function allowedStep(length: number, step: number): number {
  return Math.max(step, Math.ceil(length / MOST_POINTS / 1000) * 1000);
}

/** Its ends at multiples of the step, so that the same points are asked for again and again. */
export function periodOf(span: Span, now: number, points?: number, step?: number): Period {
  const length = lengthOf(span);
  const size = step ? allowedStep(length, step) : stepOf(length, points);
  const [from, to] = span.kind === "last" ? [now - span.ms, now] : [span.from, span.to];
  const first = Math.floor(from / size) * size;
  return { from: first, to: Math.max(first, Math.floor(to / size) * size), step: size };
}

/** The window of `rate(…)` for points so far apart: never less than four collections. */
export function rateWindow(step: number): string {
  return writeSpan(Math.max(60_000, step * 2));
}

const pad = (n: number) => String(n).padStart(2, "0");

/** As `<input type="datetime-local">` takes it, in the reader's own time zone. */
export function localInput(at: number): string {
  const d = new Date(at);
  const day = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  return `${day}T${pad(d.getHours())}:${pad(d.getMinutes())}`;
}

export function spanLabel(span: Span): string {
  if (span.kind === "last") return `last ${spanWords(span.ms)}`;
  const words = (at: number) => localInput(at).replace("T", " ");
  return `${words(span.from)} – ${words(span.to).slice(words(span.from).slice(0, 10) === words(span.to).slice(0, 10) ? 11 : 0)}`;
}

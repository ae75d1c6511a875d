// Series as a chart needs them: values on one grid of times, gaps as gaps, and no more of them than
// there are pixels. It draws nothing.
import type { Quality } from "../api/metrics";
import type { Period } from "./period";

export type Labels = Readonly<Record<string, string>>;

/** As the server writes a series. */
export interface RawSeries {
  readonly metric: Labels;
  readonly values: readonly (readonly [number, string])[];
}

/** `null` where nothing was measured. */
export type Values = readonly (number | null)[];

export interface Line {
  readonly labels: Labels;
  readonly values: Values;
}

export interface Grid {
  /** Seconds since 1970, ever the same distance apart. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
}

export interface Frame extends Grid {
  readonly period: Period;
  readonly quality: Quality | undefined;
  readonly warnings: readonly string[];
}

/** A value as PromQL prints it. */
export function parseValue(text: string): number {
  if (text === "+Inf" || text === "Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  return text === "NaN" ? Number.NaN : Number(text);
}

/**
 * Puts series on the grid of a period. What cannot be drawn (NaN, infinities) is a gap as well, and
 * a series of nothing else is left out.
 */
export function frameOf(series: readonly RawSeries[], period: Period): Grid & { period: Period } {
  const { from, to, step } = period;
  const count = Math.floor((to - from) / step) + 1;
  const times = Array.from({ length: count }, (_, i) => (from + i * step) / 1000);
  const lines = series.map(({ metric, values }) => {
    const row: (number | null)[] = new Array(count).fill(null);
    for (const [at, text] of values) {
      const slot = Math.round((at * 1000 - from) / step);
      const value = parseValue(text);
      if (slot >= 0 && slot < count && Number.isFinite(value)) row[slot] = value;
    }
    return { labels: metric, values: row };
  });
  return { times, lines: lines.filter((line) => line.values.some((v) => v !== null)), period };
}

/**
 * Leaves of every bucket of points its least and its greatest, in the order in which they came, so
 * that no peak is lost. A bucket without a value stays a gap.
 */
export function decimate(grid: Grid, most: number): Grid {
  const count = grid.times.length;
  const size = Math.ceil((count * 2) / Math.max(2, most));
  if (size <= 2) return grid;
  const buckets = Math.ceil(count / size);
  const times: number[] = new Array(buckets * 2);
  for (let b = 0; b < buckets; b += 1) {
    const last = Math.min(count, (b + 1) * size) - 1;
    times[b * 2] = grid.times[b * size] as number;
    const middle = Math.min(last, b * size + (size >> 1));
    times[b * 2 + 1] = grid.times[middle] as number;
  }
  if (buckets > 1 && times[buckets * 2 - 1] === times[buckets * 2 - 2]) {
    // A last bucket of one point: its second slot must not stand before or on its first.
    times.pop();
  }
  const lines = grid.lines.map(({ labels, values }) => {
    const row: (number | null)[] = new Array(times.length).fill(null);
    for (let b = 0; b < buckets; b += 1)
      extremes(values, b * size, Math.min(count, (b + 1) * size), row, b * 2);
    return { labels, values: row };
  });
  return { times, lines };
}

function extremes(values: Values, from: number, to: number, row: (number | null)[], at: number) {
  let [low, high] = [-1, -1];
  for (let i = from; i < to; i += 1) {
    const value = values[i];
    if (value === null || value === undefined) continue;
    if (low < 0 || value < (values[low] as number)) low = i;
    if (high < 0 || value > (values[high] as number)) high = i;
  }
  if (low < 0) return;
  row[at] = values[Math.min(low, high)] as number;
  if (at + 1 < row.length) row[at + 1] = values[Math.max(low, high)] as number;
}

/** The part of a grid between two times in seconds, with a point to spare at both ends. */
export function between(grid: Grid, from: number, to: number): Grid {
  const first = Math.max(0, grid.times.findIndex((t) => t >= from) - 1);
  const end = grid.times.findIndex((t) => t > to);
  const last = end < 0 ? grid.times.length : end + 1;
  const cut = <T>(list: readonly T[]) => list.slice(first, last);
  return {
    times: cut(grid.times),
    lines: grid.lines.map((l) => ({ ...l, values: cut(l.values) })),
  };
}

/** Sums from below upwards; where a series has no value, it adds nothing and stays a gap. */
export function stacked(lines: readonly Line[]): Line[] {
  const sums: number[] = [];
  return lines.map(({ labels, values }) => ({
    labels,
    values: values.map((value, i) => {
      if (value === null) return null;
      sums[i] = (sums[i] ?? 0) + value;
      return sums[i] as number;
    }),
  }));
}

export function lastValue(values: Values): number | undefined {
  for (let i = values.length - 1; i >= 0; i -= 1) {
    const value = values[i];
    if (value !== null && value !== undefined) return value;
  }
  return undefined;
}

/** The middle of several values. */
export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2
    ? sorted[half]
    : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
}

/** At every time the middle of all lines that have a value there. */
export function medians(lines: readonly Line[], count: number): (number | null)[] {
  return Array.from({ length: count }, (_, i) => {
    const there = lines.flatMap((l) => (typeof l.values[i] === "number" ? [l.values[i]] : []));
    return median(there as number[]) ?? null;
  });
}

/** A series' name as PromQL writes it. */
export function seriesName(labels: Labels): string {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? name || "{}" : `${name}{${pairs.join(", ")}}`;
}

/**
 * Short names of series among others: only the values of labels that differ, or the whole name
 * where nothing does.
 */
export function shortNames(all: readonly Labels[]): string[] {
  const first = all[0];
  if (!first || all.length === 1) return all.map(seriesName);
  const keys = [...new Set(all.flatMap((labels) => Object.keys(labels)))];
  const differing = keys.filter((key) => all.some((labels) => labels[key] !== first[key]));
  const short = all.map((labels) => {
    const there = differing.filter((key) => labels[key]);
    if (there.length === 0) return seriesName(labels);
    if (there.length === 1) return labels[there[0] as string] as string;
    return there
      .map((key) => (key === "__name__" ? labels[key] : `${key}=${labels[key]}`))
      .join(" ");
  });
  return new Set(short).size === short.length ? short : all.map(seriesName);
}

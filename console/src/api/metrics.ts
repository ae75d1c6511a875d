// The metrics store as pages ask it: Prometheus' HTTP API, and what the server adds to every
// answer about how complete and how fresh it is. How series are drawn is not its matter.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type Period, periodOf, type Span } from "../logic/period";
import { type Frame, frameOf, type RawSeries } from "../logic/series";
import { call, clockSkew, type Problem } from "./http";

/** How far an answer can be relied on. */
export interface Quality {
  readonly series: number;
  readonly expected: number;
  readonly seen: number;
  /** 0 to 1; none where nothing was expected. */
  readonly completeness: number | null;
  readonly freshness_seconds?: number | null;
  /** How far apart its samples come. */
  readonly interval_seconds?: number | null;
}

interface Answer<T> {
  readonly data: T;
  readonly atoll?: Quality;
  readonly warnings?: readonly string[];
}

export interface VectorItem {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

interface Told {
  readonly resultType: "matrix" | "vector" | "scalar" | "string";
  readonly result: unknown;
}

export interface Vector {
  readonly items: readonly VectorItem[];
  readonly quality: Quality | undefined;
  readonly warnings: readonly string[];
}

/** Past this a request goes in the body: addresses are not of any length. */
const LONGEST_ADDRESS = 1500;

function ask<T>(path: string, fields: Record<string, string>, signal?: AbortSignal) {
  const form = new URLSearchParams(fields).toString();
  if (form.length < LONGEST_ADDRESS) {
    return call<Answer<T>>("GET", `/api/v1/${path}?${form}`, { signal });
  }
  return call<Answer<T>>("POST", `/api/v1/${path}`, { form, signal });
}

/** The server's time in milliseconds. */
export const serverNow = (): number => Date.now() + clockSkew();

/** A query over a period. Values that are not there stay gaps. */
export async function queryRange(
  query: string,
  period: Period,
  signal?: AbortSignal,
): Promise<Frame> {
  const { from, to, step } = period;
  const fields = { query, start: `${from / 1000}`, end: `${to / 1000}`, step: `${step / 1000}` };
  const answer = await ask<Told>("query_range", fields, signal);
  const series = answer.data.resultType === "matrix" ? (answer.data.result as RawSeries[]) : [];
  return {
    ...frameOf(series, period),
    quality: answer.atoll,
    warnings: answer.warnings ?? [],
  };
}

export async function queryOnce(query: string, at: number, signal?: AbortSignal): Promise<Vector> {
  const answer = await ask<Told>("query", { query, time: `${at / 1000}` }, signal);
  const { resultType, result } = answer.data;
  const quality = answer.atoll;
  const warnings = answer.warnings ?? [];
  if (resultType === "vector") return { items: result as VectorItem[], quality, warnings };
  if (resultType === "matrix") {
    const items = (result as RawSeries[]).map(({ metric, values }) => ({
      metric,
      value: values.at(-1) ?? ([at / 1000, "NaN"] as const),
    }));
    return { items, quality, warnings };
  }
  return { items: [{ metric: {}, value: result as [number, string] }], quality, warnings };
}

interface Asked {
  /** Whether it is to be asked at all: what is not seen is not. */
  readonly on?: boolean;
  /** Milliseconds until it is asked again; only while the page is seen. */
  readonly every?: number;
  readonly points?: number;
  /** The distance of points in milliseconds, where people choose it. */
  readonly step?: number;
}

/** How often what is on the screen is asked for anew. */
export const REFRESH = 15_000;

/** A query over a span, asked again and again while it goes up to now. */
export function useRange(query: string, span: Span, asked: Asked = {}) {
  const { on = true, every = REFRESH, points, step } = asked;
  return useQuery<Frame, Problem>({
    queryKey: ["range", query, span, points, step],
    queryFn: ({ signal }) => queryRange(query, periodOf(span, serverNow(), points, step), signal),
    enabled: on && query !== "",
    refetchInterval: span.kind === "last" && on ? every : false,
    placeholderData: keepPreviousData,
    gcTime: 60_000,
    staleTime: every,
  });
}

/** A query of one moment: now, or the end of the span. */
export function useVector(query: string, span: Span, { on = true, every = REFRESH }: Asked = {}) {
  return useQuery<Vector, Problem>({
    queryKey: ["vector", query, span],
    queryFn: ({ signal }) => queryOnce(query, span.kind === "last" ? serverNow() : span.to, signal),
    enabled: on && query !== "",
    refetchInterval: span.kind === "last" && on ? every : false,
    placeholderData: keepPreviousData,
    gcTime: 60_000,
    staleTime: every,
  });
}

export interface About {
  readonly type: string;
  readonly help: string;
}

/** What the store knows of its metrics, for completion; kept for a while, failures are silence. */
export class Vocabulary {
  private readonly kept = new Map<string, { at: number; value: Promise<unknown> }>();

  private once<T>(path: string, fields: [string, string][], otherwise: T): Promise<T> {
    const address = `/api/v1/${path}?${new URLSearchParams(fields)}`;
    const known = this.kept.get(address);
    if (known && performance.now() - known.at < 60_000) return known.value as Promise<T>;
    const value = call<Answer<T>>("GET", address).then(
      (answer) => answer.data,
      () => otherwise,
    );
    this.kept.set(address, { at: performance.now(), value });
    return value;
  }

  names(): Promise<string[]> {
    return this.once("label/__name__/values", [], []);
  }

  async about(): Promise<ReadonlyMap<string, About>> {
    const told = await this.once<Record<string, About[]>>("metadata", [], {});
    return new Map(
      Object.entries(told).flatMap(([name, [first]]) => (first ? [[name, first]] : [])),
    );
  }

  labels(metrics: readonly string[]): Promise<string[]> {
    return this.once(
      "labels",
      metrics.map((m) => ["match[]", m]),
      [],
    );
  }

  values(label: string, metric: string | undefined): Promise<string[]> {
    const path = `label/${encodeURIComponent(label)}/values`;
    return this.once(path, metric ? [["match[]", metric]] : [], []);
  }
}

export const vocabulary = new Vocabulary();

// What is asked for once rather than watched: who one is, history, explanations.
import { keepPreviousData, QueryClient, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { changedTarget } from "../logic/diff";
import { call, type Problem } from "./http";
import type { Audit, Explanation, History, HistoryEntry, Plural, Whoami } from "./objects";

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Number.POSITIVE_INFINITY,
      retry: false,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      networkMode: "always",
    },
  },
});

export function useWhoami() {
  return useQuery<Whoami, Problem>({
    queryKey: ["whoami"],
    queryFn: ({ signal }) => call("GET", "/v1/whoami", { signal }),
  });
}

/** Follows a value, but at most once in `every` milliseconds. */
function useCalm<T>(value: T, every: number): T {
  const [calm, setCalm] = useState(value);
  const last = useRef(0);
  useEffect(() => {
    const wait = Math.max(0, last.current + every - performance.now());
    const timer = setTimeout(() => {
      last.current = performance.now();
      setCalm(value);
    }, wait);
    return () => clearTimeout(timer);
  }, [value, every]);
  return calm;
}

const PAGE = 200;
const MOST_PAGES = 10;

export interface Past {
  readonly entries: readonly HistoryEntry[];
  /** Whether there is more before these. */
  readonly more: boolean;
}

/** Reads back until `enough` of the rows are wanted, or there are no more. */
async function readBack(
  path: string,
  wanted: (entry: HistoryEntry) => boolean,
  enough: number,
  signal: AbortSignal,
): Promise<Past> {
  const entries: HistoryEntry[] = [];
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query = { limit: PAGE, before: entries.at(-1)?.revision };
    const { entries: rows } = await call<History>("GET", path, { query, signal });
    entries.push(...rows);
    if (rows.length < PAGE) return { entries, more: false };
    if (entries.filter(wanted).length >= enough) break;
  }
  return { entries, more: true };
}

/**
 * The history of an object, read again when `version` (a revision or generation) moves on: so far
 * back that it holds `enough` changes of the target, or with `all` so many writes of any kind.
 */
export function useHistory(plural: Plural, name: string, ask: Asked) {
  const calm = useCalm(ask.version, 1000);
  const path = `/v1/history/${plural}/${encodeURIComponent(name)}`;
  return useQuery<Past, Problem>({
    queryKey: ["history", plural, name, ask.all, ask.enough, calm],
    queryFn: ({ signal }) =>
      readBack(path, ask.all ? () => true : changedTarget, ask.enough, signal),
    placeholderData: keepPreviousData,
    gcTime: 30_000,
  });
}

export interface Asked {
  readonly all: boolean;
  readonly enough: number;
  readonly version: number;
}

/** Why an object is as it is, read again when it changes. */
export function useWhy(plural: Plural, name: string, revision: number) {
  const calm = useCalm(revision, 1500);
  return useQuery<Explanation, Problem>({
    queryKey: ["why", plural, name, calm],
    queryFn: ({ signal }) =>
      call("GET", `/v1/why/${plural}/${encodeURIComponent(name)}`, { signal }),
    placeholderData: keepPreviousData,
    gcTime: 30_000,
  });
}

/** What was written before this page was opened; what is written later, the watch tells. */
export function useAudit(limit: number) {
  return useQuery<Audit, Problem>({
    queryKey: ["audit", limit],
    queryFn: ({ signal }) => call("GET", "/v1/audit", { query: { limit }, signal }),
  });
}

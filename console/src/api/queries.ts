// What is asked for once rather than watched: who one is, history, explanations.
import { keepPreviousData, QueryClient, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { call, type Problem } from "./http";
import type { Explanation, History, Plural, Whoami } from "./objects";

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

/** The history of an object, read again when `version` (a revision or generation) moves on. */
export function useHistory(plural: Plural, name: string, limit: number, version: number) {
  const calm = useCalm(version, 1000);
  return useQuery<History, Problem>({
    queryKey: ["history", plural, name, limit, calm],
    queryFn: ({ signal }) =>
      call("GET", `/v1/history/${plural}/${encodeURIComponent(name)}`, {
        query: { limit },
        signal,
      }),
    placeholderData: keepPreviousData,
    gcTime: 30_000,
  });
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
  return useQuery<History, Problem>({
    queryKey: ["audit", limit],
    queryFn: ({ signal }) => call("GET", "/v1/audit", { query: { limit }, signal }),
  });
}

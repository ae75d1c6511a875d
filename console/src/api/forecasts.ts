// What the server works out when it is asked: capacity as it would be, costs, what a migration
// would do, what would come of a scenario. What it keeps of these as objects is watched.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { call, type Problem } from "./http";
import { REFRESH } from "./metrics";
import type {
  CapacityReport,
  CostReport,
  MigrationForecast,
  RehearsalReport,
  SizeReport,
  WhatIf,
} from "./objects";
import { pluralOf } from "./objects";

/** What the fleet can carry, supposing something, or as it is. */
export function useCapacityReport(asked: WhatIf) {
  const { times, without, peak, demand } = asked;
  return useQuery<CapacityReport, Problem>({
    queryKey: ["capacity", times, without, peak, demand],
    queryFn: ({ signal }) =>
      call("GET", "/v1/capacity", {
        query: { times, without, peak: peak || undefined, demand: demand?.replaceAll("=", ":") },
        signal,
      }),
    refetchInterval: REFRESH,
    placeholderData: keepPreviousData,
    staleTime: 0,
    gcTime: 60_000,
  });
}

/** What instances ask for beside what they used over a while; it reads days of measurements. */
export function useSizes(over: string) {
  return useQuery<SizeReport, Problem>({
    queryKey: ["sizes", over],
    queryFn: ({ signal }) => call("GET", "/v1/capacity/sizes", { query: { over }, signal }),
    placeholderData: keepPreviousData,
    staleTime: 300_000,
    gcTime: 300_000,
  });
}

/** What the fleet costs an hour, by whose it is. */
export function useCosts(by: string, currency: string | undefined) {
  return useQuery<CostReport, Problem>({
    queryKey: ["costs", by, currency],
    queryFn: ({ signal }) => call("GET", "/v1/costs", { query: { by, currency }, signal }),
    refetchInterval: REFRESH,
    placeholderData: keepPreviousData,
    staleTime: 0,
    gcTime: 60_000,
  });
}

/** What a migration would do; asked anew when what it is told of changes. */
export function useMigrationForecast(spec: Record<string, unknown> | undefined) {
  return useQuery<MigrationForecast, Problem>({
    queryKey: ["migration-forecast", JSON.stringify(spec)],
    queryFn: ({ signal }) => call("POST", "/v1/forecast/migrations", { body: spec, signal }),
    enabled: spec !== undefined,
    placeholderData: keepPreviousData,
    staleTime: 10_000,
    gcTime: 60_000,
  });
}

/**
 * Plays a scenario on a twin of the fleet; takes up to ten minutes. It is sent as it was written,
 * so that what is wrong in it is told with its lines.
 */
export function rehearse(scenario: string, signal: AbortSignal): Promise<RehearsalReport> {
  return call("POST", "/v1/rehearse", { yaml: scenario, signal });
}

/** The same for one object: `deployment/NAME`, `migration/NAME`, `peak/NAME` or `pool/NAME`. */
export function rehearseObject(of: string, signal: AbortSignal): Promise<RehearsalReport> {
  const [kind = "", name = ""] = of.split("/");
  const path = `${pluralOf(kind) ?? kind}/${encodeURIComponent(name)}`;
  return call("POST", `/v1/rehearse/${path}`, { signal });
}

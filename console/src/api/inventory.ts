// What the inventory says when it is asked: it is not watched, since there may be very many things.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { call, type Problem } from "./http";
import type { Meta, Reason } from "./objects";

export interface Thing {
  readonly kind: string;
  readonly metadata: Meta;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export interface Facet {
  readonly path: string;
  readonly values: readonly { readonly value: string; readonly count: number }[];
  readonly more: number;
}

export interface Found {
  readonly items: readonly Thing[];
  readonly total: number;
  readonly facets?: readonly Facet[];
  /** Names in the filter that nothing has, where nothing passes. */
  readonly notes?: readonly { readonly message: string }[];
  readonly revision: number;
  readonly continue?: string | null;
}

export type Standing = "agrees" | "differs" | "unseen" | "stale" | "unusable" | "undeclared";

export interface Observed {
  readonly value: unknown;
  readonly source: string;
  readonly at: string;
}

export interface Used {
  readonly value: unknown;
  readonly consumer: string;
  readonly works: boolean;
  readonly message?: string;
  readonly at: string;
}

export interface Attribute {
  readonly name: string;
  readonly should?: unknown;
  readonly is?: readonly Observed[];
  readonly seen?: string | null;
  readonly used?: Used | null;
  readonly standing: Standing;
}

export interface Relation {
  readonly from: string;
  readonly relation: string;
  readonly to: string;
  readonly source: "declared" | "discovered";
}

export interface ThingView {
  readonly subject: string;
  readonly attributes: readonly Attribute[];
  readonly identity: readonly string[];
  readonly relations: readonly Relation[];
  readonly drift: readonly string[];
}

export interface Loss {
  readonly subject: string;
  readonly word: "lost" | "degraded";
  readonly why: string;
  readonly left?: number | null;
}

export interface ClassFigures {
  readonly class: string;
  readonly things: number;
  readonly coverage: number;
  readonly freshness?: number | null;
  readonly correctness?: number | null;
  readonly drift: number;
}

export interface Drift {
  readonly apiVersion: "atoll/v1";
  readonly kind: "Drift";
  readonly metadata: Meta;
  readonly spec: { readonly subject: string; readonly attribute: string };
  readonly status: {
    readonly cause?: "differs" | "missing" | "unusable" | "stale" | "unfit" | "twin";
    readonly should?: unknown;
    readonly is?: Observed | null;
    readonly used?: Used | null;
    readonly since?: string | null;
    readonly owner?: string | null;
    readonly reasons?: Reason[];
  };
}

const CALM = 15_000;

/** What a filter lets through, and how many have which value at some paths. */
export function useFound(filter: string, at: string | undefined, facets: string, limit: number) {
  return useQuery<Found, Problem>({
    queryKey: ["inventory", filter, at, facets, limit],
    queryFn: ({ signal }) =>
      call("GET", "/v1/inventory", {
        query: { filter: filter || undefined, at, facets, limit },
        signal,
      }),
    placeholderData: keepPreviousData,
    refetchInterval: at ? false : CALM,
  });
}

/** One thing in full; `version` has it asked again. */
export function useThing(plural: string, name: string, version: number) {
  return useQuery<ThingView, Problem>({
    queryKey: ["thing", plural, name, version],
    queryFn: ({ signal }) =>
      call("GET", `/v1/inventory/things/${plural}/${encodeURIComponent(name)}`, { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: CALM,
  });
}

/** Who suffers when something is lost. */
export function useImpact(of: string) {
  return useQuery<{ readonly losses: readonly Loss[]; readonly hidden?: boolean }, Problem>({
    queryKey: ["impact", of],
    queryFn: ({ signal }) => call("GET", "/v1/inventory/impact", { query: { of }, signal }),
    refetchInterval: CALM,
  });
}

/** What has to do with what. */
export function useRelations() {
  return useQuery<{ readonly relations: readonly Relation[] }, Problem>({
    queryKey: ["relations"],
    queryFn: ({ signal }) => call("GET", "/v1/inventory/graph", { signal }),
    refetchInterval: CALM,
  });
}

/** How good the inventory is, class by class. */
export function useQuality() {
  return useQuery<{ readonly classes: readonly ClassFigures[] }, Problem>({
    queryKey: ["inventory-figures"],
    queryFn: ({ signal }) => call("GET", "/v1/inventory/figures", { signal }),
    refetchInterval: CALM,
  });
}

/** One object of a kind that is not watched. */
export function useUnwatched(plural: string, name: string) {
  return useQuery<Thing, Problem>({
    queryKey: ["object", plural, name],
    queryFn: ({ signal }) => call("GET", `/v1/${plural}/${encodeURIComponent(name)}`, { signal }),
    refetchInterval: CALM,
  });
}

/** The next free address of a network. */
export function useNextFree(network: string) {
  return useQuery<{ readonly next: string }, Problem>({
    queryKey: ["next", network],
    queryFn: ({ signal }) =>
      call("GET", `/v1/inventory/networks/${encodeURIComponent(network)}/next`, { signal }),
    refetchInterval: CALM,
    retry: false,
  });
}

/** Mends a finding: takes what is, or has the world match. */
export const mend = (drift: string, how: "accept" | "mend") =>
  call("POST", `/v1/drifts/${encodeURIComponent(drift)}/${how}`);

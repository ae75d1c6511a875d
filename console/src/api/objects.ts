// The kinds as the pages use them: the wire's types with a status that is always there. It is not
// the wire's description, which is generated into types.ts.
import type * as wire from "./types";

type Whole<T extends { status?: unknown }> = Omit<T, "status"> & {
  status: NonNullable<T["status"]>;
};

export type Application = Whole<wire.Application>;
export type Environment = Whole<wire.Environment>;
export type Release = Whole<wire.Release>;
export type Package = Whole<wire.Package>;
export type Deployment = Whole<wire.Deployment>;
export type Instance = Whole<wire.Instance>;
export type Host = Whole<wire.Host>;
export type Zone = Whole<wire.Zone>;
export type Freeze = Whole<wire.Freeze>;

/** What the console watches, by the name of the kind in paths. */
export interface Kinds {
  applications: Application;
  environments: Environment;
  releases: Release;
  deployments: Deployment;
  instances: Instance;
  hosts: Host;
  zones: Zone;
  freezes: Freeze;
}

export type Plural = keyof Kinds;
export type Watched = Kinds[Plural];

export const PLURALS = [
  "applications",
  "environments",
  "releases",
  "deployments",
  "instances",
  "hosts",
  "zones",
  "freezes",
] as const satisfies readonly Plural[];

const BY_KIND: Readonly<Record<string, Plural>> = {
  Application: "applications",
  Environment: "environments",
  Release: "releases",
  Deployment: "deployments",
  Instance: "instances",
  Host: "hosts",
  Zone: "zones",
  Freeze: "freezes",
};

/** The plural of a kind, whichever way it is written; none for kinds the console does not watch. */
export function pluralOf(kind: string): Plural | undefined {
  const name = kind.charAt(0).toUpperCase() + kind.slice(1).replace(/s$/, "");
  return BY_KIND[kind] ?? BY_KIND[name];
}

/** The kind as it is typed before the slash: `deployment`. */
export function singular(plural: Plural): string {
  return plural.slice(0, -1);
}

export type {
  Explanation,
  FieldDiff,
  History,
  HistoryEntry,
  HostPhase,
  InstancePhase,
  Meta,
  Outcome,
  Phase,
  ProblemJson,
  Reason,
  Resources,
  Rollout,
  Step,
  VerdictWord,
  WatchEvent,
  Whoami,
  WriteView,
} from "./types";

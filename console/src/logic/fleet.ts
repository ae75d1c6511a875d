// The watched objects, arranged as pages ask for them: by deployment, by host, by application.
// Groups that have not changed stay the very same arrays, so that only what changed is drawn again.
import type {
  Application,
  Deployment,
  Freeze,
  Host,
  Instance,
  Objective,
  Release,
} from "../api/objects";
import type { Tables } from "../api/store";
import { parseCpu, parseMemory } from "./quantity";

export const NO_INSTANCES: readonly Instance[] = [];

export const NO_OBJECTIVES: readonly Objective[] = [];

export interface Use {
  readonly cpu: number;
  readonly memory: number;
  readonly instances: number;
}

export interface Fleet {
  readonly applications: readonly Application[];
  readonly deployments: readonly Deployment[];
  readonly hosts: readonly Host[];
  readonly releases: readonly Release[];
  readonly freezes: readonly Freeze[];
  readonly instances: readonly Instance[];
  readonly byDeployment: ReadonlyMap<string, readonly Instance[]>;
  readonly byHost: ReadonlyMap<string, readonly Instance[]>;
  readonly deploymentsOf: ReadonlyMap<string, readonly Deployment[]>;
  /** By the deployment that keeps them. */
  readonly objectivesOf: ReadonlyMap<string, readonly Objective[]>;
  /** What the instances on each host have reserved. */
  readonly use: ReadonlyMap<string, Use>;
  readonly tables: Tables;
}

const byName = <T extends { metadata: { name: string } }>(a: T, b: T) =>
  order(a.metadata.name, b.metadata.name);

const collator = new Intl.Collator("en", { numeric: true });

/** Names in the order people expect: h2 before h10. */
export const order = (a: string, b: string): number => collator.compare(a, b);

/** The zone of a host; hosts without the label are in `default`. */
export function zoneOf(host: Host | undefined): string {
  return host?.metadata.labels?.zone ?? "default";
}

/** Whether an instance takes part of its host: it does until nothing of it runs. */
export function reserves(instance: Instance): boolean {
  return instance.status.phase !== "stopped";
}

function sorted<T extends { metadata: { name: string } }>(table: ReadonlyMap<string, T>): T[] {
  return [...table.values()].sort(byName);
}

function grouped<T>(
  items: Iterable<T>,
  key: (item: T) => string,
  before: ReadonlyMap<string, readonly T[]> | undefined,
  compare: (a: T, b: T) => number,
): Map<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  const stable = new Map<string, readonly T[]>();
  for (const [name, group] of groups) {
    group.sort(compare);
    const old = before?.get(name);
    const same = old?.length === group.length && group.every((item, i) => item === old[i]);
    stable.set(name, same ? old : group);
  }
  return stable;
}

function uses(byHost: ReadonlyMap<string, readonly Instance[]>): Map<string, Use> {
  const use = new Map<string, Use>();
  for (const [host, instances] of byHost) {
    let [cpu, memory, count] = [0, 0, 0];
    for (const instance of instances) {
      if (!reserves(instance)) continue;
      cpu += parseCpu(instance.spec.resources?.cpu);
      memory += parseMemory(instance.spec.resources?.memory);
      count += 1;
    }
    use.set(host, { cpu, memory, instances: count });
  }
  return use;
}

/** Arranges the tables, taking over from `before` whatever its tables are still the source of. */
export function arrange(tables: Tables, before?: Fleet): Fleet {
  const kept = <K extends keyof Tables>(kind: K) => before?.tables[kind] === tables[kind];
  if (before && (Object.keys(tables) as (keyof Tables)[]).every(kept)) return { ...before, tables };

  const instances = tables.instances.values();
  const byDeployment =
    before && kept("instances")
      ? before.byDeployment
      : grouped(
          instances,
          (i) => i.spec.deployment,
          before?.byDeployment,
          (a, b) => a.spec.ordinal - b.spec.ordinal,
        );
  const byHost =
    before && kept("instances")
      ? before.byHost
      : grouped(tables.instances.values(), (i) => i.spec.host, before?.byHost, byName);
  return {
    tables,
    applications:
      before && kept("applications") ? before.applications : sorted(tables.applications),
    deployments: before && kept("deployments") ? before.deployments : sorted(tables.deployments),
    hosts: before && kept("hosts") ? before.hosts : sorted(tables.hosts),
    releases: before && kept("releases") ? before.releases : sorted(tables.releases),
    freezes: before && kept("freezes") ? before.freezes : sorted(tables.freezes),
    instances: before && kept("instances") ? before.instances : [...tables.instances.values()],
    byDeployment,
    byHost,
    deploymentsOf:
      before && kept("deployments")
        ? before.deploymentsOf
        : grouped(
            tables.deployments.values(),
            (d) => d.spec.application,
            before?.deploymentsOf,
            byName,
          ),
    objectivesOf:
      before && kept("objectives")
        ? before.objectivesOf
        : grouped(
            tables.objectives.values(),
            (o) => o.spec.deployment,
            before?.objectivesOf,
            byName,
          ),
    use: before && kept("instances") ? before.use : uses(byHost),
  };
}

/** How many of the items are in each state. */
export function tally<T, K extends string>(
  items: Iterable<T>,
  state: (item: T) => K,
): Map<K, number> {
  const counts = new Map<K, number>();
  for (const item of items) counts.set(state(item), (counts.get(state(item)) ?? 0) + 1);
  return counts;
}

// Objects for the tests: whole, with only what a test is about being given.
import {
  type Deployment,
  type Freeze,
  type Host,
  type Instance,
  PLURALS,
  pluralOf,
  type Watched,
} from "../api/objects";
import type { Tables } from "../api/store";

type Given<T extends { spec: object; status: object }> = {
  spec?: Partial<T["spec"]>;
  status?: Partial<T["status"]>;
  revision?: number;
  generation?: number;
};

const meta = (name: string, given: { revision?: number; generation?: number }) => ({
  name,
  revision: given.revision ?? 1,
  generation: given.generation ?? 1,
});

export function deployment(name: string, given: Given<Deployment> = {}): Deployment {
  const [application = "", environment = ""] = name.split(".");
  return {
    apiVersion: "atoll/v1",
    kind: "Deployment",
    metadata: meta(name, given),
    spec: { application, environment, instances: 3, ...given.spec },
    status: {
      observedGeneration: 1,
      phase: "settled",
      instances: 3,
      ready: 3,
      updated: 3,
      unavailable: 0,
      release: `${application}-1`,
      ...given.status,
    },
  } as Deployment;
}

export function instance(name: string, host: string, given: Given<Instance> = {}): Instance {
  const parts = name.split(".");
  const ordinal = Number(parts.pop());
  return {
    apiVersion: "atoll/v1",
    kind: "Instance",
    metadata: meta(name, given),
    spec: {
      deployment: parts.join("."),
      ordinal,
      release: "shop-1",
      host,
      resources: { cpu: "500m", memory: "256Mi" },
      ...given.spec,
    },
    status: { observedGeneration: 1, phase: "ready", restarts: 0, ...given.status },
  } as Instance;
}

export function host(name: string, given: Given<Host> = {}): Host {
  const none = { cpu: "0", memory: "0", instances: 0 };
  return {
    apiVersion: "atoll/v1",
    kind: "Host",
    metadata: meta(name, given),
    spec: { ...given.spec },
    status: { phase: "ready", capacity: none, allocated: none, agent: {}, ...given.status },
  } as Host;
}

export function freeze(name: string, spec: Partial<Freeze["spec"]>): Freeze {
  return {
    apiVersion: "atoll/v1",
    kind: "Freeze",
    metadata: meta(name, {}),
    spec: { reason: "because", ...spec },
    status: {},
  } as Freeze;
}

export function tables(...objects: Watched[]): Tables {
  const all = Object.fromEntries(PLURALS.map((plural) => [plural, new Map<string, Watched>()]));
  for (const o of objects) all[pluralOf(o.kind) ?? ""]?.set(o.metadata.name, o);
  return all as unknown as Tables;
}

type Rollout = NonNullable<Deployment["status"]["rollout"]>;
type Failed = NonNullable<Deployment["status"]["failed"]>;

export const rollout = (given: Partial<Rollout>): Rollout =>
  ({ to: "shop-2", back: false, step: 0, proven: 0, ...given }) as Rollout;

export const failed = (given: Partial<Failed>): Failed => given as Failed;

// Written by hand until docs/openapi.json is there; `npm run types` replaces this file.
export type Cpu = string;
export type Memory = string;
export type Portion = string;
export type Span = string;
export type Timestamp = string;

export type Kind =
  | "Application"
  | "Environment"
  | "Release"
  | "Package"
  | "Deployment"
  | "Instance"
  | "Host"
  | "Zone"
  | "Freeze"
  | "Token";

export interface Reason {
  code: string;
  message: string;
  hint?: string | null;
}

export interface Meta {
  name: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  generation?: number;
  revision?: number;
  createdAt?: Timestamp | null;
  deletedAt?: Timestamp | null;
}

export interface Resources {
  cpu: Cpu;
  memory: Memory;
}

export interface Step {
  instances: Portion;
  soak: Span;
}

export interface Rollout {
  strategy: "rolling" | "canary" | "blue-green" | "recreate";
  steps?: Step[];
  maxUnavailable: Portion;
  maxSurge: Portion;
  healthyFor: Span;
  deadline: Span;
  failureRatio: Portion;
  onFailure: "rollback" | "pause";
}

export interface Run {
  command: string[];
  env?: Record<string, string>;
  ports?: Record<string, number>;
  resources: Resources;
  health?: unknown;
  stop?: unknown;
  restart?: unknown;
  logs?: unknown;
}

export interface ApplicationSpec {
  owner?: string | null;
  source?: { git: string; branch: string } | null;
  package?: string | null;
  run: Run;
  rollout: Rollout;
  spread: ("zone" | "host")[];
  needs?: string[];
  environments?: string[] | null;
}

export interface ApplicationStatus {
  observedGeneration: number;
  release?: string | null;
  reasons?: Reason[];
}

export interface Environment {
  apiVersion: "atoll/v1";
  kind: "Environment";
  metadata: Meta;
  spec: { after?: string | null; hosts?: unknown; runtime?: string; engine?: string };
  status?: Record<string, never> | null;
}

export interface Application {
  apiVersion: "atoll/v1";
  kind: "Application";
  metadata: Meta;
  spec: ApplicationSpec;
  status?: ApplicationStatus | null;
}

export type Phase =
  | "waiting"
  | "settled"
  | "rolling"
  | "soaking"
  | "paused"
  | "rollingBack"
  | "failed";

export interface RolloutStatus {
  to: string;
  back: boolean;
  step: number;
  soakingSince?: Timestamp | null;
  since: Timestamp;
  progressAt: Timestamp;
  proven: number;
}

export interface Failed {
  release: string;
  at: Timestamp;
  reason: Reason;
}

export interface DeploymentStatus {
  observedGeneration: number;
  phase: Phase;
  instances: number;
  ready: number;
  updated: number;
  unavailable: number;
  release?: string | null;
  lastGood?: string | null;
  failed?: Failed | null;
  rollout?: RolloutStatus | null;
  reasons?: Reason[];
}

export interface Deployment {
  apiVersion: "atoll/v1";
  kind: "Deployment";
  metadata: Meta;
  spec: {
    application: string;
    environment: string;
    release?: string | null;
    instances: number;
    paused?: boolean;
    promoted?: string | null;
    aborted?: string | null;
  };
  status?: DeploymentStatus | null;
}

export type InstancePhase =
  | "pending"
  | "fetching"
  | "starting"
  | "ready"
  | "unready"
  | "stopping"
  | "stopped"
  | "crashLoop"
  | "unknown";

export interface InstanceStatus {
  observedGeneration: number;
  phase: InstancePhase;
  since?: Timestamp | null;
  host?: string;
  address?: string;
  ports?: Record<string, number>;
  pid?: number | null;
  release?: string | null;
  restarts: number;
  startedAt?: Timestamp | null;
  prefetched?: string | null;
  reasons?: Reason[];
}

export interface Instance {
  apiVersion: "atoll/v1";
  kind: "Instance";
  metadata: Meta;
  spec: {
    deployment: string;
    ordinal: number;
    release: string;
    host: string;
    ports?: Record<string, number>;
    resources: Resources;
    prefetch?: string | null;
  };
  status?: InstanceStatus | null;
}

export interface Amount {
  cpu: Cpu;
  memory: Memory;
  instances: number;
}

export type HostPhase = "unknown" | "ready" | "draining" | "drained" | "cordoned";

export interface HostStatus {
  phase: HostPhase;
  lastSeen?: Timestamp | null;
  since?: Timestamp | null;
  capacity: Amount;
  allocated: Amount;
  address?: string;
  agent: { version?: string; system?: string; isolation?: string[] };
  takenPorts?: number[];
  reasons?: Reason[];
}

export interface Host {
  apiVersion: "atoll/v1";
  kind: "Host";
  metadata: Meta;
  spec: { cordon?: boolean; drain?: boolean; reserve?: Resources | null };
  status?: HostStatus | null;
}

export interface Zone {
  apiVersion: "atoll/v1";
  kind: "Zone";
  metadata: Meta;
  spec: { description?: string; maxDisturbed: Portion };
  status?: Record<string, never> | null;
}

export interface Freeze {
  apiVersion: "atoll/v1";
  kind: "Freeze";
  metadata: Meta;
  spec: {
    from?: Timestamp | null;
    until?: Timestamp | null;
    environments?: string[];
    applications?: string;
    reason: string;
  };
  status?: Record<string, never> | null;
}

export interface Release {
  apiVersion: "atoll/v1";
  kind: "Release";
  metadata: Meta;
  spec: {
    application: string;
    number: number;
    package?: { name: string; version: string; digest: string } | null;
    run: Run;
    config?: Record<string, string>;
    notes?: string;
  };
  status?: { reasons?: Reason[] } | null;
}

export interface Package {
  apiVersion: "atoll/v1";
  kind: "Package";
  metadata: Meta;
  spec: { name: string; version: string; digest: string; size: number; entries: number };
  status?: Record<string, never> | null;
}

export interface Token {
  apiVersion: "atoll/v1";
  kind: "Token";
  metadata: Meta;
  spec: { role: string; hash: string; host?: string | null; owner?: string | null; expires?: Timestamp | null };
  status?: Record<string, never> | null;
}

export type Object =
  | Application
  | Environment
  | Release
  | Package
  | Deployment
  | Instance
  | Host
  | Zone
  | Freeze
  | Token;

export type VerdictWord = "commit" | "hold" | "deny";

export interface FieldDiff {
  path: string;
  from?: unknown;
  to?: unknown;
}

export interface WriteView {
  op: string;
  kind: Kind;
  name: string;
  diff: FieldDiff[];
  by: string;
}

export interface Outcome {
  verdict: VerdictWord;
  writes: WriteView[];
  reasons: Reason[];
  cost?: string | null;
  revision?: number | null;
  objects?: Object[];
}

export interface ProblemJson {
  type: string;
  title: string;
  status: number;
  code: string;
  reasons?: Reason[];
}

export interface WatchEvent {
  event: string;
  revision: number;
  object?: Object | null;
}

export interface HistoryEntry {
  revision: number;
  at: Timestamp;
  kind: Kind;
  name: string;
  op: string;
  actor: string;
  intent: string;
  reasons: Reason[];
  diff?: FieldDiff[];
  object?: Object | null;
}

export interface History {
  entries: HistoryEntry[];
}

export interface Explanation {
  subject: string;
  state: string;
  reasons: Reason[];
  waitingFor: string[];
  next: string[];
  lately: HistoryEntry[];
  see: string[];
}

export interface Whoami {
  name: string;
  role: "join" | "host" | "viewer" | "operator" | "admin";
  serverVersion: string;
}

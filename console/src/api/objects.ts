// The kinds as the pages use them: the wire's types with a status that is always there. It is not
// the wire's description, which is generated into types.ts.
import type { Config } from "./config";
import type { Approval, Promotion } from "./delivery";
import type { Drift } from "./inventory";
import type * as wire from "./types";

type Whole<T extends { status?: unknown }> = Omit<T, "status"> & {
  status: NonNullable<T["status"]>;
};

type Schemas = wire.components["schemas"];

/** The object of a kind, where something else on the wire bears the name of the kind. */
type OfKind<K extends string> = Extract<Schemas[keyof Schemas], { kind: K; metadata: unknown }>;

export type Application = Whole<wire.Application>;
export type Environment = Whole<wire.Environment>;
export type Release = Whole<wire.Release>;
export type Package = Whole<wire.Package>;
export type Deployment = Whole<wire.Deployment>;
export type Instance = Whole<wire.Instance>;
export type Host = Whole<wire.Host>;
export type Zone = Whole<wire.Zone>;
export type Freeze = Whole<wire.Freeze>;
export type Monitor = Whole<wire.Monitor>;
export type Objective = Whole<wire.Objective>;
export type Rule = Whole<wire.Rule>;
export type Alert = Whole<wire.Alert>;
export type Silence = Whole<wire.Silence>;
export type Receiver = Whole<wire.Receiver>;
export type Notification = Whole<wire.Notification>;
export type Analysis = Whole<wire.Analysis>;
export type Pipeline = Whole<wire.Pipeline>;
export type Run = Whole<OfKind<"Run">>;
export type Task = Whole<wire.Task>;
export type Job = Whole<wire.Job>;
export type Runbook = Whole<wire.Runbook>;
export type Standard = Whole<wire.Standard>;
export type Waiver = Whole<wire.Waiver>;
export type Scorecard = Whole<wire.Scorecard>;
export type Policy = Whole<wire.Policy>;
export type Decision = Whole<wire.Decision>;
export type Autoscaler = Whole<OfKind<"Autoscaler">>;
export type Capacity = Whole<OfKind<"Capacity">>;
export type Budget = Whole<OfKind<"Budget">>;
export type Price = Whole<OfKind<"Price">>;
export type Pool = Whole<OfKind<"Pool">>;
export type Migration = Whole<OfKind<"Migration">>;
export type Peak = Whole<OfKind<"Peak">>;
export type { Config } from "./config";
export type { Approval, Promotion } from "./delivery";
export type { Drift } from "./inventory";
export type { Action, ActMode, DecisionPhase, PolicyPhase } from "./types";

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
  monitors: Monitor;
  objectives: Objective;
  rules: Rule;
  alerts: Alert;
  silences: Silence;
  receivers: Receiver;
  notifications: Notification;
  analyses: Analysis;
  pipelines: Pipeline;
  runs: Run;
  tasks: Task;
  jobs: Job;
  runbooks: Runbook;
  promotions: Promotion;
  approvals: Approval;
  configs: Config;
  standards: Standard;
  waivers: Waiver;
  scorecards: Scorecard;
  policies: Policy;
  decisions: Decision;
  autoscalers: Autoscaler;
  capacities: Capacity;
  budgets: Budget;
  prices: Price;
  pools: Pool;
  migrations: Migration;
  peaks: Peak;
  drifts: Drift;
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
  "monitors",
  "objectives",
  "rules",
  "alerts",
  "silences",
  "receivers",
  "notifications",
  "analyses",
  "pipelines",
  "runs",
  "tasks",
  "jobs",
  "runbooks",
  "promotions",
  "approvals",
  "configs",
  "standards",
  "waivers",
  "scorecards",
  "policies",
  "decisions",
  "autoscalers",
  "capacities",
  "budgets",
  "prices",
  "pools",
  "migrations",
  "peaks",
  "drifts",
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
  Monitor: "monitors",
  Objective: "objectives",
  Rule: "rules",
  Alert: "alerts",
  Silence: "silences",
  Receiver: "receivers",
  Notification: "notifications",
  Analysis: "analyses",
  Pipeline: "pipelines",
  Run: "runs",
  Task: "tasks",
  Job: "jobs",
  Runbook: "runbooks",
  Promotion: "promotions",
  Approval: "approvals",
  Config: "configs",
  Standard: "standards",
  Waiver: "waivers",
  Scorecard: "scorecards",
  Policy: "policies",
  Decision: "decisions",
  Autoscaler: "autoscalers",
  Capacity: "capacities",
  Budget: "budgets",
  Price: "prices",
  Pool: "pools",
  Migration: "migrations",
  Peak: "peaks",
  Drift: "drifts",
};

/** The plural of a kind, whichever way it is written; none for kinds the console does not watch. */
export function pluralOf(kind: string): Plural | undefined {
  const name = kind.charAt(0).toUpperCase() + kind.slice(1);
  return BY_KIND[name] ?? BY_KIND[name.replace(/s$/, "")];
}

/** The kind as it is typed before the slash: `deployment`. */
export function singular(plural: Plural): string {
  if (plural === "analyses") return "analysis";
  return plural.endsWith("ies") ? `${plural.slice(0, -3)}y` : plural.slice(0, -1);
}

/** What is supposed when capacity is asked for; nothing of it: as it is. */
export interface WhatIf {
  /** So many times the load. */
  readonly times?: number;
  /** `zone/NAME` or `host/NAME` that is lost. */
  readonly without?: string;
  /** The highest load expected in the next days. */
  readonly peak?: boolean;
  /** What the business counts in a second: `orders=500,returns=20`. */
  readonly demand?: string;
}

export type Team = Whole<wire.Team>;
export type User = Whole<wire.User>;
export type Role = Whole<wire.Role>;

export type {
  AlertPhase,
  Audit,
  AuditEntry,
  AuditVerified,
  CapacityReport,
  CapacityRow,
  CostReport,
  CostRow,
  Evidence,
  Explanation,
  Feedback,
  FieldDiff,
  Finding,
  GroupRow,
  Guard,
  GuardStatus,
  History,
  HistoryEntry,
  HostPhase,
  InstancePhase,
  LoginWays,
  Meta,
  MigrationForecast,
  Mode,
  ObjectivePhase,
  Outcome,
  PeakApplication,
  PeakCheck,
  PeakPhase,
  Permission,
  Phase,
  ProblemJson,
  Promise as Promised,
  Reason,
  RehearsalReport,
  Replay,
  Resources,
  Rollout,
  Signal,
  SizeReport,
  SizeRow,
  Step,
  Summary,
  Verdict,
  VerdictWord,
  WatchEvent,
  Whoami,
  WriteView,
} from "./types";

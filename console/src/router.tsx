// Every address of the console, and what may stand in it.
import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { type ReactNode, Suspense } from "react";
import { PLURALS, type Plural } from "./api/objects";
import type { Level } from "./logic/inventory";
import type { SpanSearch } from "./logic/period";
import { HostPage } from "./pages/cmdb/host";
import { HostsPage } from "./pages/cmdb/hosts";
import { DecisionsPage } from "./pages/decision/decisions";
import { FreezesPage } from "./pages/decision/freezes";
import { ReleasesPage } from "./pages/delivery/releases";
import { ApplicationsPage } from "./pages/deployment/applications";
import { DeploymentPage } from "./pages/deployment/deployment";
import { InstancePage } from "./pages/deployment/instance";
import { Broken, Missing } from "./pages/object/missing";
import { ObjectPage } from "./pages/object/object";
import { Overview } from "./pages/overview/overview";
import { Skeleton } from "./parts/empty";
import { Frame } from "./shell/frame";
import { late } from "./shell/late";

type Search = Record<string, unknown>;
const text = (value: unknown) => (value === undefined || value === "" ? undefined : String(value));
const number = (value: unknown) =>
  value !== undefined && Number.isFinite(Number(value)) ? Number(value) : undefined;
const flag = (value: unknown) => value === true || value === "true" || undefined;

export interface ListSearch {
  q?: string;
  open?: boolean;
}

export interface ThingSearch extends SpanSearch {
  tab?: string;
  instance?: string;
  phase?: string;
  contains?: string;
  level?: string;
  fields?: string;
}

export interface QuerySearch extends SpanSearch {
  q?: string;
  view?: "table";
  stack?: boolean;
  log?: boolean;
  step?: string;
}

export interface LogsSearch extends SpanSearch {
  subject?: string;
  contains?: string;
  level?: string;
  /** `KEY=VALUE`, several with commas between. */
  fields?: string;
  tab?: string;
}

export interface AlertsSearch {
  tab?: string;
  q?: string;
  by?: string;
}

export interface RunSearch {
  tab?: string;
  /** The cell whose log is shown: its step, and its values of the matrix. */
  cell?: string;
}

export interface JobSearch {
  tab?: string;
  /** The host whose output is shown. */
  host?: string;
}

export interface AuditSearch {
  actor?: string;
  /** A plural, or `audit` for what is no write. */
  kind?: string;
  since?: string;
  refused?: boolean;
}

export interface InventorySearch {
  q?: string;
  tab?: string;
  /** As it was at this time. */
  at?: string;
  level?: Level;
  /** The thing the topology is drawn round. */
  of?: string;
}

export interface FiguresSearch {
  days?: number;
  environment?: string;
  by?: "application" | "team";
}

export interface StandardsSearch {
  tab?: string;
  q?: string;
  by?: "application" | "team";
}

/** What is supposed: see `WhatIf`. */
export interface CapacitySearch {
  times?: number;
  without?: string;
  peak?: boolean;
  demand?: string;
}

export interface BudgetsSearch {
  by?: "application" | "team" | "environment" | "host";
  currency?: string;
  per?: "hour" | "month";
}

export interface RehearsalSearch {
  /** The object that is rehearsed: `deployment/NAME`. */
  of?: string;
}

export interface BoardSearch {
  days?: number;
}

/** Pages that are seldom the first seen; the editor of queries is the greatest part of all. */
const QueryPage = late(async () => (await import("./pages/metrics/query")).default);
const AlertsPage = late(async () => (await import("./pages/alerting/alerts")).AlertsPage);
const ObjectivesPage = late(
  async () => (await import("./pages/monitoring/objectives")).ObjectivesPage,
);
const PeaksPage = late(async () => (await import("./pages/peak/peaks")).PeaksPage);
const LogsPage = late(async () => (await import("./pages/logs/logs")).LogsPage);
const AnalysisPage = late(async () => (await import("./pages/guard/analysis")).AnalysisPage);

const PipelinesPage = late(async () => (await import("./pages/ci/pipelines")).PipelinesPage);
const PipelinePage = late(async () => (await import("./pages/ci/pipeline")).PipelinePage);
const RunPage = late(async () => (await import("./pages/ci/run")).RunPage);
const JobsPage = late(async () => (await import("./pages/job/jobs")).JobsPage);
const JobPage = late(async () => (await import("./pages/job/job")).JobPage);
const EnvironmentsPage = late(
  async () => (await import("./pages/delivery/environments")).EnvironmentsPage,
);
const ReleasePage = late(async () => (await import("./pages/delivery/release")).ReleasePage);
const FiguresPage = late(async () => (await import("./pages/delivery/figures")).FiguresPage);
const ConfigsPage = late(async () => (await import("./pages/config/configs")).ConfigsPage);
const ConfigPage = late(async () => (await import("./pages/config/config")).ConfigPage);

const AuditPage = late(async () => (await import("./pages/access/audit")).AuditPage);
const PeoplePage = late(async () => (await import("./pages/access/people")).PeoplePage);
const StandardsPage = late(async () => (await import("./pages/policy/standards")).StandardsPage);
const StandardPage = late(async () => (await import("./pages/policy/standard")).StandardPage);
const InventoryPage = late(async () => (await import("./pages/cmdb/inventory")).InventoryPage);
const ItemPage = late(async () => (await import("./pages/cmdb/item")).ItemPage);
const CapacityPage = late(async () => (await import("./pages/capacity/capacity")).CapacityPage);
const DeploymentCapacityPage = late(
  async () => (await import("./pages/capacity/deployment")).DeploymentCapacityPage,
);
const BudgetsPage = late(async () => (await import("./pages/budget/budgets")).BudgetsPage);
const PoolsPage = late(async () => (await import("./pages/pool/pools")).PoolsPage);
const PoolPage = late(async () => (await import("./pages/pool/pool")).PoolPage);
const MigrationsPage = late(
  async () => (await import("./pages/migration/migrations")).MigrationsPage,
);
const MigrationPage = late(async () => (await import("./pages/migration/migration")).MigrationPage);
const RehearsalPage = late(async () => (await import("./pages/rehearsal/rehearsal")).RehearsalPage);
const BoardPage = late(async () => (await import("./pages/board/board")).BoardPage);
const RecordPage = late(async () => (await import("./pages/cmdb/record")).RecordPage);

const later = (page: ReactNode) => <Suspense fallback={<Skeleton lines={8} />}>{page}</Suspense>;

const span = (search: Search): SpanSearch => ({
  range: text(search.range),
  from: number(search.from),
  to: number(search.to),
});
const list = (search: Search): ListSearch => ({ q: text(search.q), open: flag(search.open) });
const thing = (search: Search): ThingSearch => ({
  tab: text(search.tab),
  instance: text(search.instance),
  phase: text(search.phase),
  contains: text(search.contains),
  level: text(search.level),
  fields: text(search.fields),
  ...span(search),
});

const root = createRootRoute({ component: Frame, notFoundComponent: Missing });
const parent = { getParentRoute: () => root };

const overview = createRoute({ ...parent, path: "/", component: Overview });
const applications = createRoute({
  ...parent,
  path: "/applications",
  validateSearch: list,
  component: () => <ApplicationsPage {...applications.useSearch()} />,
});
const deployments = createRoute({
  ...parent,
  path: "/deployments",
  validateSearch: list,
  component: () => <ApplicationsPage {...deployments.useSearch()} />,
});
const deployment = createRoute({
  ...parent,
  path: "/deployments/$name",
  validateSearch: thing,
  component: () => {
    const { name } = deployment.useParams();
    return <DeploymentPage key={name} {...deployment.useSearch()} name={name} />;
  },
});
const instance = createRoute({
  ...parent,
  path: "/instances/$name",
  component: () => <InstancePage {...instance.useParams()} />,
});
const hosts = createRoute({
  ...parent,
  path: "/hosts",
  validateSearch: list,
  component: () => <HostsPage {...hosts.useSearch()} />,
});
const host = createRoute({
  ...parent,
  path: "/hosts/$name",
  validateSearch: thing,
  component: () => {
    const { name } = host.useParams();
    return <HostPage key={name} {...host.useSearch()} name={name} />;
  },
});
const releases = createRoute({
  ...parent,
  path: "/releases",
  validateSearch: list,
  component: () => <ReleasesPage {...releases.useSearch()} />,
});
const freezes = createRoute({ ...parent, path: "/freezes", component: FreezesPage });
const decisions = createRoute({
  ...parent,
  path: "/decisions",
  validateSearch: (search: Search): { tab?: string } => ({ tab: text(search.tab) }),
  component: () => <DecisionsPage {...decisions.useSearch()} />,
});
const peaks = createRoute({
  ...parent,
  path: "/peaks",
  component: () => later(<PeaksPage />),
});
const query = createRoute({
  ...parent,
  path: "/query",
  validateSearch: (search: Search): QuerySearch => ({
    q: text(search.q),
    view: search.view === "table" ? "table" : undefined,
    stack: flag(search.stack),
    log: flag(search.log),
    step: text(search.step),
    ...span(search),
  }),
  component: () => later(<QueryPage {...query.useSearch()} />),
});
const alerts = createRoute({
  ...parent,
  path: "/alerts",
  validateSearch: (search: Search): AlertsSearch => ({
    tab: text(search.tab),
    q: text(search.q),
    by: text(search.by),
  }),
  component: () => later(<AlertsPage {...alerts.useSearch()} />),
});
const objectives = createRoute({
  ...parent,
  path: "/objectives",
  validateSearch: (search: Search): ListSearch => list(search),
  component: () => later(<ObjectivesPage {...objectives.useSearch()} />),
});
const logs = createRoute({
  ...parent,
  path: "/logs",
  validateSearch: (search: Search): LogsSearch => ({
    subject: text(search.subject),
    contains: text(search.contains),
    level: text(search.level),
    fields: text(search.fields),
    tab: text(search.tab),
    ...span(search),
  }),
  component: () => later(<LogsPage {...logs.useSearch()} />),
});
const analysis = createRoute({
  ...parent,
  path: "/analyses/$name",
  validateSearch: thing,
  component: () => {
    const { name } = analysis.useParams();
    return later(<AnalysisPage key={name} {...analysis.useSearch()} name={name} />);
  },
});
const pipelines = createRoute({
  ...parent,
  path: "/pipelines",
  validateSearch: (search: Search): ListSearch => list(search),
  component: () => later(<PipelinesPage {...pipelines.useSearch()} />),
});
const pipeline = createRoute({
  ...parent,
  path: "/pipelines/$name",
  validateSearch: thing,
  component: () => {
    const { name } = pipeline.useParams();
    return later(<PipelinePage key={name} {...pipeline.useSearch()} name={name} />);
  },
});
const run = createRoute({
  ...parent,
  path: "/runs/$name",
  validateSearch: (search: Search): RunSearch => ({
    tab: text(search.tab),
    cell: text(search.cell),
  }),
  component: () => {
    const { name } = run.useParams();
    return later(<RunPage key={name} {...run.useSearch()} name={name} />);
  },
});
const jobs = createRoute({
  ...parent,
  path: "/jobs",
  validateSearch: (search: Search): ListSearch => list(search),
  component: () => later(<JobsPage {...jobs.useSearch()} />),
});
const job = createRoute({
  ...parent,
  path: "/jobs/$name",
  validateSearch: (search: Search): JobSearch => ({
    tab: text(search.tab),
    host: text(search.host),
  }),
  component: () => {
    const { name } = job.useParams();
    return later(<JobPage key={name} {...job.useSearch()} name={name} />);
  },
});
const environments = createRoute({
  ...parent,
  path: "/environments",
  validateSearch: (search: Search): ListSearch => list(search),
  component: () => later(<EnvironmentsPage {...environments.useSearch()} />),
});
const release = createRoute({
  ...parent,
  path: "/releases/$name",
  validateSearch: thing,
  component: () => {
    const { name } = release.useParams();
    return later(<ReleasePage key={name} {...release.useSearch()} name={name} />);
  },
});
const delivery = createRoute({
  ...parent,
  path: "/delivery",
  validateSearch: (search: Search): FiguresSearch => ({
    days: number(search.days),
    environment: text(search.environment),
    by: search.by === "team" ? "team" : undefined,
  }),
  component: () => later(<FiguresPage {...delivery.useSearch()} />),
});
const configs = createRoute({
  ...parent,
  path: "/configs",
  validateSearch: (search: Search): ListSearch => list(search),
  component: () => later(<ConfigsPage {...configs.useSearch()} />),
});
const config = createRoute({
  ...parent,
  path: "/configs/$name",
  validateSearch: thing,
  component: () => {
    const { name } = config.useParams();
    return later(<ConfigPage key={name} {...config.useSearch()} name={name} />);
  },
});
const audit = createRoute({
  ...parent,
  path: "/audit",
  validateSearch: (search: Search): AuditSearch => ({
    actor: text(search.actor),
    kind: text(search.kind),
    since: text(search.since),
    refused: flag(search.refused),
  }),
  component: () => later(<AuditPage {...audit.useSearch()} />),
});
const people = createRoute({
  ...parent,
  path: "/people",
  component: () => later(<PeoplePage />),
});
const standards = createRoute({
  ...parent,
  path: "/standards",
  validateSearch: (search: Search): StandardsSearch => ({
    tab: text(search.tab),
    q: text(search.q),
    by: search.by === "application" ? "application" : undefined,
  }),
  component: () => later(<StandardsPage {...standards.useSearch()} />),
});
const standard = createRoute({
  ...parent,
  path: "/standards/$name",
  validateSearch: thing,
  component: () => {
    const { name } = standard.useParams();
    return later(<StandardPage key={name} {...standard.useSearch()} name={name} />);
  },
});
const inventory = createRoute({
  ...parent,
  path: "/inventory",
  validateSearch: (search: Search): InventorySearch => ({
    q: text(search.q),
    tab: text(search.tab),
    at: text(search.at),
    level: search.level === "place" || search.level === "all" ? search.level : undefined,
    of: text(search.of),
  }),
  component: () => later(<InventoryPage {...inventory.useSearch()} />),
});
const item = createRoute({
  ...parent,
  path: "/items/$name",
  validateSearch: thing,
  component: () => {
    const { name } = item.useParams();
    return later(<ItemPage key={name} tab={item.useSearch().tab} name={name} />);
  },
});
const capacity = createRoute({
  ...parent,
  path: "/capacity",
  validateSearch: (search: Search): CapacitySearch => ({
    times: number(search.times),
    without: text(search.without),
    peak: flag(search.peak),
    demand: text(search.demand),
  }),
  component: () => later(<CapacityPage {...capacity.useSearch()} />),
});
const deploymentCapacity = createRoute({
  ...parent,
  path: "/capacities/$name",
  validateSearch: thing,
  component: () => {
    const { name } = deploymentCapacity.useParams();
    const { tab } = deploymentCapacity.useSearch();
    return later(<DeploymentCapacityPage key={name} tab={tab} name={name} />);
  },
});
const budgets = createRoute({
  ...parent,
  path: "/budgets",
  validateSearch: (search: Search): BudgetsSearch => ({
    by: (["team", "environment", "host"] as const).find((by) => by === search.by),
    currency: text(search.currency),
    per: search.per === "month" ? "month" : undefined,
  }),
  component: () => later(<BudgetsPage {...budgets.useSearch()} />),
});
const pools = createRoute({ ...parent, path: "/pools", component: () => later(<PoolsPage />) });
const pool = createRoute({
  ...parent,
  path: "/pools/$name",
  validateSearch: thing,
  component: () => {
    const { name } = pool.useParams();
    return later(<PoolPage key={name} tab={pool.useSearch().tab} name={name} />);
  },
});
const migrations = createRoute({
  ...parent,
  path: "/migrations",
  component: () => later(<MigrationsPage />),
});
const migration = createRoute({
  ...parent,
  path: "/migrations/$name",
  validateSearch: thing,
  component: () => {
    const { name } = migration.useParams();
    return later(<MigrationPage key={name} tab={migration.useSearch().tab} name={name} />);
  },
});
const rehearsal = createRoute({
  ...parent,
  path: "/rehearsal",
  validateSearch: (search: Search): RehearsalSearch => ({ of: text(search.of) }),
  component: () => later(<RehearsalPage {...rehearsal.useSearch()} />),
});
const board = createRoute({
  ...parent,
  path: "/board",
  validateSearch: (search: Search): BoardSearch => ({
    days: [7, 90].find((days) => days === number(search.days)),
  }),
  component: () => later(<BoardPage {...board.useSearch()} />),
});
const network = createRoute({
  ...parent,
  path: "/networks/$name",
  validateSearch: thing,
  component: () => {
    const { name } = network.useParams();
    const { tab } = network.useSearch();
    return later(<RecordPage key={name} plural="networks" tab={tab} name={name} />);
  },
});
const itemType = createRoute({
  ...parent,
  path: "/itemtypes/$name",
  validateSearch: thing,
  component: () => {
    const { name } = itemType.useParams();
    const { tab } = itemType.useSearch();
    return later(<RecordPage key={name} plural="itemtypes" tab={tab} name={name} />);
  },
});
const object = createRoute({
  ...parent,
  path: "/$plural/$name",
  validateSearch: thing,
  component: () => {
    const { plural, name } = object.useParams();
    const search = object.useSearch();
    if (!PLURALS.includes(plural as Plural)) return <Missing />;
    return (
      <ObjectPage key={`${plural}/${name}`} plural={plural as Plural} name={name} {...search} />
    );
  },
});

export const router = createRouter({
  routeTree: root.addChildren([
    overview,
    applications,
    deployments,
    deployment,
    instance,
    hosts,
    host,
    releases,
    freezes,
    decisions,
    peaks,
    query,
    alerts,
    objectives,
    logs,
    analysis,
    pipelines,
    pipeline,
    run,
    environments,
    release,
    delivery,
    configs,
    config,
    audit,
    people,
    jobs,
    job,
    standards,
    standard,
    inventory,
    item,
    capacity,
    deploymentCapacity,
    budgets,
    pools,
    pool,
    migrations,
    migration,
    rehearsal,
    board,
    network,
    itemType,
    object,
  ]),
  defaultPreload: false,
  scrollRestoration: true,
  defaultNotFoundComponent: Missing,
  defaultErrorComponent: Broken,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

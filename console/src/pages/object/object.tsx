// The page of any object that has none of its own: how it stands, its view where its kind has one,
// its manifest, why it is as it is, its history.

import { Suspense } from "react";
import type { Drift } from "../../api/inventory";
import { useCoarseNow, useObject, useSynced } from "../../api/live";
import type { Plural, Watched } from "../../api/objects";
import { standingOf } from "../../logic/standing";
import { Skeleton } from "../../parts/empty";
import { HistoryView } from "../../parts/history";
import { Manifest } from "../../parts/manifest";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { late } from "../../shell/late";
import { useMayWrite } from "../../shell/who";
import { FindingActs } from "../cmdb/acts";
import { DecisionAtWork } from "../decision/decision";
import { PolicyAtWork } from "../decision/policy";
import { ApplicationDeployments } from "../deployment/of-application";
import { ApplicationMetrics, ApplicationObjectives } from "../monitoring/of-application";
import { ApplicationStandards } from "../policy/of-application";
import { NoObject } from "./missing";
import { Standing } from "./standing";

const BudgetView = late(async () => (await import("../budget/budget")).BudgetView);
const PeakCard = late(async () => (await import("../peak/card")).PeakCard);

const TABS = [
  { id: "manifest", word: "Manifest" },
  { id: "why", word: "Why" },
  { id: "history", word: "History" },
];

/** Kinds with a view of their own open on it; their manifest comes after. */
const OWN: Readonly<Partial<Record<Plural, (typeof TABS)[number]>>> = {
  decisions: { id: "decision", word: "Decision" },
  policies: { id: "policy", word: "Policy" },
  budgets: { id: "budget", word: "Budget" },
  peaks: { id: "peak", word: "Peak" },
};

const APPLICATION = [
  TABS[0] as (typeof TABS)[number],
  { id: "metrics", word: "Metrics" },
  { id: "objectives", word: "Objectives" },
  { id: "standards", word: "Standards" },
  ...TABS.slice(1),
];

const HOMES: Readonly<
  Partial<
    Record<
      Plural,
      | "/applications"
      | "/releases"
      | "/freezes"
      | "/hosts"
      | "/alerts"
      | "/objectives"
      | "/pipelines"
      | "/environments"
      | "/standards"
      | "/decisions"
      | "/capacity"
      | "/budgets"
      | "/peaks"
    >
  >
> = {
  applications: "/applications",
  releases: "/releases",
  freezes: "/freezes",
  zones: "/hosts",
  environments: "/environments",
  tasks: "/pipelines",
  promotions: "/environments",
  approvals: "/environments",
  alerts: "/alerts",
  rules: "/alerts",
  silences: "/alerts",
  receivers: "/alerts",
  notifications: "/alerts",
  monitors: "/alerts",
  objectives: "/objectives",
  policies: "/decisions",
  decisions: "/decisions",
  autoscalers: "/capacity",
  capacities: "/capacity",
  budgets: "/budgets",
  peaks: "/peaks",
  prices: "/budgets",
  waivers: "/standards",
  scorecards: "/standards",
};

interface Props extends ThingSearch {
  plural: Plural;
  name: string;
}

function tabsOf(plural: Plural) {
  const own = OWN[plural];
  if (own) return [own, ...TABS];
  return plural === "applications" ? APPLICATION : TABS;
}

export function ObjectPage({ plural, name, tab: asked, ...search }: Props) {
  const object = useObject(plural, name);
  const synced = useSynced();
  const mayWrite = useMayWrite();
  const now = useCoarseNow(60_000);
  if (!synced) return <Skeleton lines={8} />;
  if (!object) return <NoObject plural={plural} name={name} />;
  const { generation = 0, revision = 0 } = object.metadata;
  const tabs = tabsOf(plural);
  const tab = asked ?? tabs[0]?.id ?? "manifest";
  const look = standingOf(object, now);
  // These views tell how it stands themselves.
  const tells = tab === "why" || tab === OWN[plural]?.id;

  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: plural, to: HOMES[plural] ?? "/" }]}
        beside={look && <State {...look} />}
      />
      <div className="stack">
        {!tells && (
          <Standing plural={plural} object={object}>
            {object.kind === "Drift" && <FindingActs drift={object as unknown as Drift} />}
          </Standing>
        )}
        {plural === "applications" && <ApplicationDeployments name={name} />}
        <Tabs tabs={tabs} now={tab} label="views" />
        {tab === OWN[plural]?.id && <OwnView object={object} />}
        {plural === "applications" && tab === "metrics" && (
          <ApplicationMetrics name={name} search={search} />
        )}
        {plural === "applications" && tab === "objectives" && <ApplicationObjectives name={name} />}
        {plural === "applications" && tab === "standards" && <ApplicationStandards name={name} />}
        {tab === "manifest" && <Manifest object={object} />}
        {tab === "why" && <Why plural={plural} name={name} revision={revision} />}
        {tab === "history" && <HistoryView {...{ plural, name, generation, revision, mayWrite }} />}
      </div>
    </>
  );
}

/** The view of its own of a kind that has one. */
function OwnView({ object }: { object: Watched }) {
  switch (object.kind) {
    case "Policy":
      return <PolicyAtWork policy={object} />;
    case "Decision":
      return <DecisionAtWork decision={object} />;
    case "Budget":
      return (
        <Suspense fallback={<Skeleton lines={4} />}>
          <BudgetView budget={object} own>
            <Reasons reasons={object.status.reasons ?? []} />
          </BudgetView>
        </Suspense>
      );
    case "Peak":
      return (
        <Suspense fallback={<Skeleton lines={4} />}>
          <PeakCard peak={object} own />
        </Suspense>
      );
    default:
      return null;
  }
}

// One deployment: how it stands, the rollout under way, its instances, its target and its history.
import { useMemo, useState } from "react";
import { useFleet, useObject, useSynced } from "../../api/live";
import type { Deployment } from "../../api/objects";
import { isSettled } from "../../logic/applications";
import { deploymentPanels } from "../../logic/dashboards";
import { NO_INSTANCES, NO_OBJECTIVES } from "../../logic/fleet";
import { rolloutMarks } from "../../logic/guard";
import type { SpanSearch } from "../../logic/period";
import { rolloutOf, wantedOf } from "../../logic/rollout";
import { Ago } from "../../parts/ago";
import { Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Manifest } from "../../parts/manifest";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { GuardPanel } from "../guard/panel";
import { LogSearch } from "../logs/search";
import { Dashboard } from "../metrics/dashboard";
import { Objectives } from "../monitoring/objective";
import { NoObject } from "../object/missing";
import { Actions } from "./actions";
import { Instances } from "./instances";
import { Rollout } from "./rollout";
import { deploymentState } from "./row";
import { EditTarget } from "./target";
import "./deployment.css";

export function DeploymentPage({
  name,
  tab = "instances",
  instance,
  phase,
  ...search
}: ThingSearch & { name: string }) {
  const deployment = useObject("deployments", name);
  const fleet = useFleet();
  const synced = useSynced();
  const mayWrite = useMayWrite();
  const [editing, setEditing] = useState(false);
  if (!synced) return <Skeleton lines={10} />;
  if (!deployment) return <NoObject plural="deployments" name={name} />;

  const { spec, metadata } = deployment;
  const { generation = 0, revision = 0 } = metadata;
  const application = fleet.tables.applications.get(spec.application);
  const rollout = rolloutOf(deployment, application?.spec.rollout);
  const instances = fleet.byDeployment.get(name) ?? NO_INSTANCES;
  const objectives = fleet.objectivesOf.get(name) ?? NO_OBJECTIVES;
  const to = rollout && rollout.to !== rollout.from ? rollout.to : undefined;

  return (
    <>
      <Head
        title={name}
        crumbs={[
          { word: "applications", to: "/applications" },
          { word: spec.application, to: `/applications/${spec.application}` },
        ]}
        beside={<State {...deploymentState(deployment)} />}
      >
        <Actions deployment={deployment} mayWrite={mayWrite} onEdit={() => setEditing(true)} />
      </Head>
      <div className="thing">
        <div className="stack">
          <Standing deployment={deployment} />
          {rollout && (
            <Rollout rollout={rollout} deployment={deployment} plan={application?.spec.rollout} />
          )}
          <GuardPanel deployment={deployment} application={application} mayWrite={mayWrite} />
          <Tabs
            label="views"
            now={tab}
            tabs={[
              { id: "instances", word: "Instances", count: instances.length },
              { id: "metrics", word: "Metrics" },
              ...(objectives.length > 0
                ? [{ id: "objectives", word: "Objectives", count: objectives.length }]
                : []),
              { id: "logs", word: "Logs" },
              { id: "history", word: "History" },
              { id: "manifest", word: "Manifest" },
            ]}
          />
          {tab === "instances" && (
            <Instances
              instances={instances}
              fleet={fleet}
              to={to}
              by="host"
              open={instance}
              phase={phase}
              label={`instances of ${name}`}
            />
          )}
          {tab === "metrics" && <DeploymentMetrics name={name} search={search} />}
          {tab === "objectives" && <Objectives objectives={objectives} />}
          {tab === "logs" && <LogSearch subject={`deployment/${name}`} search={search} />}
          {tab === "history" && (
            <HistoryView plural="deployments" {...{ name, generation, revision, mayWrite }} />
          )}
          {tab === "manifest" && <Manifest object={deployment} />}
        </div>
        <aside className="stack" aria-label="why and target">
          <Why plural="deployments" name={name} revision={revision} />
          <Target deployment={deployment} strategy={application?.spec.rollout.strategy} />
        </aside>
      </div>
      {editing && (
        <EditTarget
          deployment={deployment}
          releases={fleet.releases}
          onClose={() => setEditing(false)}
        />
      )}
    </>
  );
}

function DeploymentMetrics({ name, search }: { name: string; search: SpanSearch }) {
  const fleet = useFleet();
  const { analyses } = fleet.tables;
  const sections = useMemo(() => deploymentPanels(name), [name]);
  const marks = useMemo(() => rolloutMarks(analyses, name), [analyses, name]);
  return <Dashboard sections={sections} search={search} id={`deployment/${name}`} marks={marks} />;
}

/** The numbers of it, and what it says of itself while it is not settled. */
function Standing({ deployment }: { deployment: Deployment }) {
  const { spec, status } = deployment;
  const wanted = wantedOf(deployment);
  const short = status.ready < wanted;
  return (
    <section className="panel" aria-label="how it stands">
      <div className="body standing">
        <p className="standing-ready">
          <b className={short ? "short" : ""}>{status.ready.toLocaleString("en")}</b>
          <span>of {wanted.toLocaleString("en")} ready</span>
        </p>
        <Facts>
          <Fact name="runs">
            {status.release ? (
              <ObjectLink plural="releases" name={status.release} />
            ) : (
              "nothing yet"
            )}
          </Fact>
          <Fact name="target">
            {spec.release ? <ObjectLink plural="releases" name={spec.release} /> : "the newest"}
          </Fact>
          {status.lastGood && status.lastGood !== status.release && (
            <Fact name="last good">
              <ObjectLink plural="releases" name={status.lastGood} />
            </Fact>
          )}
          {status.unavailable > 0 && <Fact name="missing">{status.unavailable}</Fact>}
          {status.instances > wanted && (
            <Fact name="beyond the target">{status.instances - wanted}</Fact>
          )}
          {status.failed && !isSettled(deployment) && (
            <Fact name={`${status.failed.release} failed`}>
              <Ago at={status.failed.at} long /> ago
            </Fact>
          )}
        </Facts>
      </div>
    </section>
  );
}

function Target({
  deployment,
  strategy,
}: {
  deployment: Deployment;
  strategy: string | undefined;
}) {
  const { spec, status, metadata } = deployment;
  const taken = (metadata.generation ?? 0) <= (status.observedGeneration ?? 0);
  return (
    <section className="panel" aria-label="target">
      <header>
        <h2>Target</h2>
        {!taken && <span className="small quiet">not yet taken up</span>}
      </header>
      <div className="body stack tight">
        <dl className="pairs">
          <dt>instances</dt>
          <dd>
            {wantedOf(deployment)}
            {status.scaled && <span className="quiet"> by its autoscaler</span>}
          </dd>
          <dt>release</dt>
          <dd>{spec.release ?? <span className="quiet">follows the newest</span>}</dd>
          {strategy && (
            <>
              <dt>rollout</dt>
              <dd>{strategy}</dd>
            </>
          )}
          {spec.paused && (
            <>
              <dt>paused</dt>
              <dd>yes</dd>
            </>
          )}
          {spec.promoted && (
            <>
              <dt>promoted</dt>
              <dd>{spec.promoted}</dd>
            </>
          )}
          {spec.aborted && (
            <>
              <dt>given up</dt>
              <dd>{spec.aborted}</dd>
            </>
          )}
        </dl>
      </div>
    </section>
  );
}

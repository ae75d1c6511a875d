// How one rollout was judged, step by step.
import { useFleet, useObject, useSynced } from "../../api/live";
import { VERDICT } from "../../logic/guard";
import { parseTime } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { Empty, Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Manifest } from "../../parts/manifest";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { NoObject } from "../object/missing";
import { FeedbackButtons } from "./feedback";
import { EvidenceTable, type Judged, Signals, VerdictLine } from "./verdict";

const TABS = [
  { id: "verdict", word: "Verdict" },
  { id: "history", word: "History" },
  { id: "manifest", word: "Manifest" },
];

export function AnalysisPage({ name, tab = "verdict" }: ThingSearch & { name: string }) {
  const analysis = useObject("analyses", name);
  const { tables } = useFleet();
  const synced = useSynced();
  const mayWrite = useMayWrite();
  if (!synced) return <Skeleton lines={8} />;
  if (!analysis) return <NoObject plural="analyses" name={name} />;
  const { spec, status, metadata } = analysis;
  const { generation = 0, revision = 0 } = metadata;
  const deployment = tables.deployments.get(spec.deployment);
  const going = deployment?.status.rollout?.to === spec.release;
  const steps = [...(status.steps ?? [])].reverse();
  const judged: Judged = {
    deployment: spec.deployment,
    application: deployment && tables.applications.get(deployment.spec.application),
    to: spec.release,
    since: parseTime(status.since),
    until: going ? undefined : parseTime(status.at ?? steps[0]?.at),
  };
  return (
    <>
      <Head
        title={`${spec.release} in ${spec.deployment}`}
        crumbs={[
          { word: "deployments", to: "/deployments" },
          { word: spec.deployment, to: `/deployments/${spec.deployment}` },
        ]}
        beside={<State {...VERDICT[status.verdict]} />}
      />
      <div className="stack">
        <section className="panel">
          <div className="body stack">
            <Facts>
              <Fact name="from">
                {spec.from ? <ObjectLink plural="releases" name={spec.from} /> : "nothing"}
              </Fact>
              <Fact name="to">
                <ObjectLink plural="releases" name={spec.release} />
              </Fact>
              <Fact name="began">
                <Ago at={status.since} long /> ago
              </Fact>
              <Fact name="mode">
                {status.trial ? "trial: its verdicts do nothing" : "enforced"}
              </Fact>
            </Facts>
            <Reasons reasons={status.reasons ?? []} />
            {mayWrite && <FeedbackButtons analysis={analysis} />}
          </div>
        </section>
        <Tabs tabs={TABS} now={tab} label="views" />
        {tab === "verdict" &&
          steps.map((guard, i) => (
            <section
              key={guard.step ?? i}
              className="panel guard"
              aria-label={`step ${(guard.step ?? 0) + 1}`}
            >
              <div className="body stack">
                <VerdictLine guard={guard} />
                <EvidenceTable guard={guard} judged={judged} />
                {i === 0 && <Signals guard={guard} judged={judged} />}
              </div>
            </section>
          ))}
        {tab === "verdict" && steps.length === 0 && (
          <section className="panel">
            <Empty title="No verdict yet">
              <p>It is given at the first step, once there is enough to go by.</p>
            </Empty>
          </section>
        )}
        {tab === "history" && (
          <HistoryView plural="analyses" {...{ name, generation, revision, mayWrite }} />
        )}
        {tab === "manifest" && <Manifest object={analysis} />}
      </div>
    </>
  );
}

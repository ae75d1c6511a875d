// The guard on the page of a deployment: its verdict while a rollout goes on, and afterwards what
// it said of the last one.
import { useState } from "react";
import { useCoarseNow, useFleet } from "../../api/live";
import type { Application, Deployment, GuardStatus } from "../../api/objects";
import { asks, lastAnalysis } from "../../logic/guard";
import { parseTime } from "../../logic/time";
import { Icon } from "../../parts/icon";
import { ObjectLink } from "../../parts/object-link";
import { Ask } from "../deployment/actions";
import { FeedbackButtons } from "./feedback";
import { EvidenceTable, type Judged, Signals, VerdictLine } from "./verdict";

interface Props {
  deployment: Deployment;
  application: Application | undefined;
  mayWrite: boolean;
}

export function GuardPanel({ deployment, application, mayWrite }: Props) {
  const { analyses } = useFleet().tables;
  const { name } = deployment.metadata;
  const { rollout } = deployment.status;
  const guard = rollout?.guard;
  if (rollout && guard && !rollout.back) {
    return (
      <Live deployment={deployment} application={application} guard={guard} mayWrite={mayWrite} />
    );
  }
  if (rollout) return null;
  const last = lastAnalysis(analyses, name);
  const verdict = last?.status.steps?.at(-1);
  if (!last || !verdict) return null;
  return (
    <section className="panel guard" aria-label="the guard's last verdict">
      <header>
        <h2>Guard</h2>
        <span className="small">
          <ObjectLink plural="analyses" name={last.metadata.name}>
            on the rollout of {last.spec.release}
          </ObjectLink>
        </span>
      </header>
      <div className="body">
        <VerdictLine guard={verdict} />
      </div>
    </section>
  );
}

function Live({ deployment, application, guard, mayWrite }: Props & { guard: GuardStatus }) {
  useCoarseNow(15_000);
  const { analyses } = useFleet().tables;
  const [asked, setAsked] = useState<"promote" | "abort" | null>(null);
  const { name } = deployment.metadata;
  const { rollout } = deployment.status;
  const to = rollout?.to ?? "";
  const analysis = analyses.get(`${name}.${to}`);
  const judged: Judged = {
    deployment: name,
    application,
    to,
    since: parseTime(rollout?.since),
    until: undefined,
  };
  return (
    <section className="panel guard" aria-label="the guard's verdict">
      <header>
        <h2>Guard</h2>
        {analysis && (
          <span className="small">
            <ObjectLink plural="analyses" name={analysis.metadata.name}>
              all steps
            </ObjectLink>
          </span>
        )}
      </header>
      <div className="body stack">
        <VerdictLine guard={guard} waits={asks(deployment)} />
        {analysis?.status.trial && (
          <p className="small quiet">on trial: the rollout goes on whatever the guard says</p>
        )}
        {asks(deployment) && mayWrite && (
          <div className="guard-asks">
            <p className="grow">It waits for you: go on all the same, or go back?</p>
            <button type="button" className="button" onClick={() => setAsked("promote")}>
              <Icon name="forward" /> Promote
            </button>
            <button type="button" className="button danger" onClick={() => setAsked("abort")}>
              <Icon name="back" /> Abort
            </button>
          </div>
        )}
        <EvidenceTable guard={guard} judged={judged} />
        <Signals guard={guard} judged={judged} />
        {analysis && mayWrite && <FeedbackButtons analysis={analysis} />}
      </div>
      {asked && (
        <Ask asked={asked} to={to} deployment={deployment} onClose={() => setAsked(null)} />
      )}
    </section>
  );
}

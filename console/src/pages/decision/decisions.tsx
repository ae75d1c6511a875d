// Decisions: what is to be done, was done or is not, by whose vote, and whether it helped; the
// policies behind them with their records; and the switch that stops all of it.
import { useState } from "react";
import { useCoarseNow, useFleet, useSynced } from "../../api/live";
import type { Freeze, Policy } from "../../api/objects";
import {
  actionWord,
  helpedOf,
  isOver,
  modeWord,
  ordered,
  POLICY_LOOK,
  rightOf,
  stopOf,
} from "../../logic/decisions";
import { counted } from "../../logic/quantity";
import { Empty, Skeleton } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Prose } from "../../parts/prose";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { type Asked, Judge } from "./judge";
import { DecisionList } from "./row";
import "./decisions.css";

const TABS = [
  { id: "open", word: "Open" },
  { id: "all", word: "All" },
  { id: "policies", word: "Policies" },
];

/** So many are drawn. */
const MOST = 200;

export function DecisionsPage({ tab = "open" }: { tab?: string }) {
  const { tables, freezes } = useFleet();
  const synced = useSynced();
  const now = useCoarseNow(1000);
  const mayWrite = useMayWrite();
  const [asked, setAsked] = useState<Asked | null>(null);
  if (!synced) return <Skeleton lines={6} />;
  const all = ordered(tables.decisions.values());
  const open = all.filter((decision) => !isOver(decision));
  const waiting = open.filter((d) => d.status.phase === "waiting").length;
  const stop = stopOf(freezes, now);
  const shown = (tab === "all" ? all : open).slice(0, MOST);
  return (
    <>
      <Head
        title="Decisions"
        lead={
          waiting > 0
            ? `${counted(waiting, "decision")} ${waiting === 1 ? "waits" : "wait"} for approval`
            : `${open.length === 0 ? "none is" : counted(open.length, "decision")} open; what is done by itself is an edit like any other`
        }
      >
        {mayWrite && !stop && (
          <button type="button" className="button" onClick={() => setAsked({ what: "stop" })}>
            <Icon name="stop" size={14} /> Stop all
          </button>
        )}
      </Head>
      <div className="stack">
        {stop && <Stopped stop={stop} mayWrite={mayWrite} ask={setAsked} />}
        <Tabs tabs={TABS} now={tab} label="views" />
        {tab === "policies" ? (
          <Policies policies={[...tables.policies.values()]} />
        ) : (
          <section className="panel" aria-label="decisions">
            {shown.length === 0 ? (
              <Empty title={tab === "all" ? "Nothing was decided yet" : "Nothing is open"}>
                <p>A decision is made when a policy has voted for something long enough.</p>
              </Empty>
            ) : (
              <DecisionList decisions={shown} mayWrite={mayWrite} ask={setAsked} />
            )}
          </section>
        )}
      </div>
      {asked && <Judge asked={asked} onClose={() => setAsked(null)} />}
    </>
  );
}

interface StoppedProps {
  stop: Freeze;
  mayWrite: boolean;
  ask: (asked: Asked) => void;
}

function Stopped({ stop, mayWrite, ask }: StoppedProps) {
  return (
    <section className="decisions-stopped" role="status">
      <p>
        <b>No policy does anything</b>: {stop.spec.reason}{" "}
        <span className="quiet">
          (<ObjectLink plural="freezes" name={stop.metadata.name} />)
        </span>
      </p>
      {mayWrite && (
        <button type="button" className="button slim" onClick={() => ask({ what: "resume", stop })}>
          <Icon name="play" size={14} /> Let it go on
        </button>
      )}
    </section>
  );
}

function Policies({ policies }: { policies: readonly Policy[] }) {
  const sorted = [...policies].sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  return (
    <section className="panel" aria-label="policies">
      {sorted.length === 0 && <Empty title="There are no policies" />}
      <ul data-list>
        {sorted.map((policy) => (
          <li key={policy.metadata.name} className="policy" data-row>
            <div>
              <ObjectLink plural="policies" name={policy.metadata.name} className="strong" />
              <p className="second">
                <Prose text={policy.spec.description ?? ""} />
              </p>
              <Reasons reasons={policy.status.reasons ?? []} most={2} />
            </div>
            <div>
              <State {...POLICY_LOOK[policy.status.phase ?? "quiet"]} />
              <p className="small quiet">
                {modeWord(policy)}
                {(policy.spec.modes ?? []).length > 0 && ", elsewhere otherwise"}:{" "}
                {actionWord(policy.spec.action)}
              </p>
            </div>
            <dl className="policy-record">
              <dt>made</dt>
              <dd>{policy.status.record?.decisions ?? 0}</dd>
              <dt>done</dt>
              <dd>{policy.status.record?.acted ?? 0}</dd>
              <dt>right</dt>
              <dd>{rightOf(policy)}</dd>
              <dt>helped</dt>
              <dd>{helpedOf(policy)}</dd>
            </dl>
          </li>
        ))}
      </ul>
    </section>
  );
}

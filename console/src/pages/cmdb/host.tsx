// One host: what it is, what is placed on it, and taking it out of use.
import { useMemo, useState } from "react";
import type { Edit } from "../../api/change";
import { useFleet, useObject, useSynced } from "../../api/live";
import type { Host } from "../../api/objects";
import { hostPanels } from "../../logic/dashboards";
import { NO_INSTANCES, zoneOf } from "../../logic/fleet";
import type { SpanSearch } from "../../logic/period";
import { HOST } from "../../logic/phases";
import {
  coreWords,
  counted,
  memoryWords,
  parseCpu,
  parseMemory,
  percent,
} from "../../logic/quantity";
import { Ago } from "../../parts/ago";
import { Meter } from "../../parts/bars";
import { ChangeDialog } from "../../parts/change";
import { Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Manifest } from "../../parts/manifest";
import { State } from "../../parts/phase";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { proposalOf } from "../deployment/actions";
import { Instances } from "../deployment/instances";
import { LogSearch } from "../logs/search";
import { Dashboard } from "../metrics/dashboard";
import { NoObject } from "../object/missing";
import { sinceOf } from "./columns";
import { Attributes, Related } from "./thing";
import "../deployment/deployment.css";
import "./host.css";

export function HostPage({
  name,
  tab = "instances",
  instance,
  phase,
  ...search
}: ThingSearch & { name: string }) {
  const host = useObject("hosts", name);
  const fleet = useFleet();
  const synced = useSynced();
  const mayWrite = useMayWrite();
  if (!synced) return <Skeleton lines={10} />;
  if (!host) return <NoObject plural="hosts" name={name} />;

  const { generation = 0, revision = 0 } = host.metadata;
  const instances = fleet.byHost.get(name) ?? NO_INSTANCES;
  const use = fleet.use.get(name) ?? { cpu: 0, memory: 0, instances: 0 };
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "hosts", to: "/hosts" }]}
        beside={<State {...HOST[host.status.phase]} />}
      >
        {mayWrite && <HostActions host={host} count={instances.length} />}
      </Head>
      <div className="thing">
        <div className="stack">
          <section className="panel host-use" aria-label="use">
            <Using
              word="CPU"
              used={use.cpu}
              whole={parseCpu(host.status.capacity?.cpu)}
              words={coreWords}
            />
            <Using
              word="Memory"
              used={use.memory}
              whole={parseMemory(host.status.capacity?.memory)}
              words={memoryWords}
            />
          </section>
          <Tabs
            label="views"
            now={tab}
            tabs={[
              { id: "instances", word: "Instances", count: instances.length },
              { id: "facts", word: "Facts" },
              { id: "metrics", word: "Metrics" },
              { id: "logs", word: "Logs" },
              { id: "history", word: "History" },
              { id: "manifest", word: "Manifest" },
            ]}
          />
          {tab === "instances" && (
            <Instances
              instances={instances}
              fleet={fleet}
              to={undefined}
              by="deployment"
              open={instance}
              phase={phase}
              label={`instances on ${name}`}
            />
          )}
          {tab === "facts" && (
            <Attributes plural="hosts" kind="host" name={name} version={revision} />
          )}
          {tab === "metrics" && <HostMetrics name={name} search={search} />}
          {tab === "logs" && <LogSearch subject={`host/${name}`} search={search} />}
          {tab === "history" && (
            <HistoryView plural="hosts" {...{ name, generation, revision, mayWrite }} />
          )}
          {tab === "manifest" && <Manifest object={host} />}
        </div>
        <aside className="stack" aria-label="why and machine">
          <Why plural="hosts" name={name} revision={revision} />
          <Machine host={host} />
          <Related plural="hosts" kind="host" name={name} version={revision} />
        </aside>
      </div>
    </>
  );
}

function HostMetrics({ name, search }: { name: string; search: SpanSearch }) {
  const sections = useMemo(() => hostPanels(name), [name]);
  return <Dashboard sections={sections} search={search} id={`host/${name}`} />;
}

interface UsingProps {
  word: string;
  used: number;
  whole: number;
  words: (amount: number) => string;
}

function Using({ word, used, whole, words }: UsingProps) {
  return (
    <div className="using">
      <p className="row">
        <span className="grow second">{word} reserved</span>
        <b>{percent(used, whole)}%</b>
      </p>
      <Meter used={used} whole={whole} label={`${word} reserved`} />
      <p className="small quiet">
        {words(used)} of {words(whole)}
      </p>
    </div>
  );
}

function Machine({ host }: { host: Host }) {
  const { status, metadata, spec } = host;
  const labels = Object.entries(metadata.labels ?? {}).filter(([key]) => key !== "zone");
  return (
    <section className="panel" aria-label="machine">
      <header>
        <h2>Machine</h2>
      </header>
      <div className="body">
        <Facts>
          <Fact name={`${HOST[status.phase].word} for`}>
            <Ago at={sinceOf(host)} long />
          </Fact>
          <Fact name="zone">{zoneOf(host)}</Fact>
          <Fact name="address">{status.address || "–"}</Fact>
          <Fact name="agent">{status.agent?.version || "–"}</Fact>
          <Fact name="system">{status.agent?.system || "–"}</Fact>
          <Fact name="isolation">{status.agent?.isolation?.join(", ") || "–"}</Fact>
          {spec.reserve && (
            <Fact name="kept for itself">
              {spec.reserve.cpu} cpu, {spec.reserve.memory}
            </Fact>
          )}
          {labels.map(([key, value]) => (
            <Fact key={key} name={key}>
              {value}
            </Fact>
          ))}
        </Facts>
      </div>
    </section>
  );
}

interface Doing {
  word: string;
  title: string;
  lead: string;
  spec: Record<string, unknown>;
  done: string;
  danger?: boolean;
}

function doings(host: Host, count: number): Doing[] {
  const { name } = host.metadata;
  const { cordon, drain } = host.spec;
  const open: Doing = {
    word: "Uncordon",
    title: `Open ${name} again`,
    lead: "Instances may be placed here again.",
    spec: { cordon: null, drain: null },
    done: `host/${name} takes new instances again`,
  };
  const close: Doing = {
    word: "Cordon",
    title: `Cordon ${name}`,
    lead: "Nothing new is placed here; what runs here goes on.",
    spec: { cordon: true },
    done: `host/${name} takes no new instances`,
  };
  const empty: Doing = {
    word: "Drain",
    title: `Drain ${name}`,
    lead: `${counted(count, "instance")} ${count === 1 ? "is" : "are"} moved elsewhere, each replaced before it is stopped.`,
    spec: { drain: true },
    done: `host/${name} is being emptied, ${counted(count, "instance")} to go`,
    danger: true,
  };
  if (drain) return [open];
  return cordon ? [open, empty] : [close, empty];
}

function HostActions({ host, count }: { host: Host; count: number }) {
  const [asked, setAsked] = useState<{ doing: Doing; edit: Edit } | null>(null);
  const { name, generation = 0 } = host.metadata;
  return (
    <>
      {doings(host, count).map((doing) => (
        <button
          key={doing.word}
          type="button"
          className={doing.danger ? "button danger" : "button"}
          onClick={() =>
            setAsked({ doing, edit: { plural: "hosts", name, generation, spec: doing.spec } })
          }
        >
          {doing.word}
        </button>
      ))}
      {asked && (
        <ChangeDialog
          title={asked.doing.title}
          lead={asked.doing.lead}
          word={asked.doing.word}
          danger={asked.doing.danger}
          proposal={proposalOf(asked.edit, asked.doing.done)}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  );
}

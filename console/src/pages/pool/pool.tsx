// One pool: its bounds and what it would be by what runs on it, each machine with how far it is and
// what its provider was asked, machines nobody asked for, and a provider that does not answer.
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useObject, useSynced } from "../../api/live";
import type { Pool } from "../../api/objects";
import {
  adviceOf,
  askWords,
  MACHINE,
  type MachineRow,
  machineParts,
  machineRows,
  POOL,
  providerWords,
  scaleEnds,
} from "../../logic/pools";
import {
  coreWords,
  counted,
  countedRange,
  memoryWords,
  parseCpu,
  parseMemory,
  ranged,
} from "../../logic/quantity";
import type { Written } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { Legend, Segments } from "../../parts/bars";
import { ChangeDialog } from "../../parts/change";
import { CountField, countOf } from "../../parts/count";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Icon } from "../../parts/icon";
import { Manifest } from "../../parts/manifest";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Prose } from "../../parts/prose";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { proposalOf } from "../deployment/actions";
import { NoObject } from "../object/missing";
import "./pool.css";

export function PoolPage({ name, tab = "machines" }: ThingSearch & { name: string }) {
  const pool = useObject("pools", name);
  const synced = useSynced();
  const mayWrite = useMayWrite();
  const [edits, setEdits] = useState(false);
  if (!synced) return <Skeleton lines={8} />;
  if (!pool) return <NoObject plural="pools" name={name} />;
  const { spec, status, metadata } = pool;
  const { generation = 0, revision = 0 } = metadata;
  const parts = machineParts(pool);
  const rows = machineRows(pool);
  const tabs = [
    { id: "machines", word: "Machines", count: rows.length },
    { id: "manifest", word: "Manifest" },
    { id: "why", word: "Why" },
    { id: "history", word: "History" },
  ];
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "pools", to: "/pools" }]}
        beside={<State {...POOL[status.phase ?? "waiting"]} />}
        lead={providerWords(pool)}
      >
        <Link to="/rehearsal" search={{ of: `pool/${name}` }} className="button">
          <Icon name="rehearsal" /> Rehearse
        </Link>
        {mayWrite ? (
          <button
            type="button"
            className="button main"
            data-key="e"
            title="How many hosts (e)"
            onClick={() => setEdits(true)}
          >
            <Icon name="edit" /> How many
          </button>
        ) : (
          <span className="quiet small">You may look, not change.</span>
        )}
      </Head>
      <div className="stack">
        <section className="panel" aria-label="how it stands">
          <div className="body stack">
            <div className="pool-standing">
              <p className="pool-count">
                <b>{status.counts?.ready ?? 0}</b>
                <span className="quiet">
                  {" "}
                  of {counted(status.wanted ?? spec.count, "host")} ready
                </span>
              </p>
              <Segments parts={parts} label="machines" />
              <Legend parts={parts} />
            </div>
            <Reasons reasons={status.reasons ?? []} />
            <Scale pool={pool} />
            <Facts>
              <Fact name="zone">{spec.zone ?? "not said"}</Fact>
              <Fact name="joins within">{String(spec.joinWithin ?? "10m")}</Fact>
              <Fact name="replaced after">{String(spec.replaceAfter ?? "10m")}</Fact>
              <Fact name="beyond its count">{spec.surge ?? 1}</Fact>
              <Fact name="at once">{spec.atOnce ?? 10}</Fact>
              {Object.entries(spec.labels ?? {}).map(([key, value]) => (
                <Fact key={key} name={key}>
                  {value}
                </Fact>
              ))}
            </Facts>
          </div>
        </section>
        <Trouble pool={pool} />
        <AdviceView pool={pool} />
        <Tabs tabs={tabs} now={tab} label="views" />
        {tab === "machines" && <Machines pool={pool} rows={rows} />}
        {tab === "machines" && <Orphans pool={pool} />}
        {tab === "manifest" && <Manifest object={pool} />}
        {tab === "why" && <Why plural="pools" name={name} revision={revision} />}
        {tab === "history" && (
          <HistoryView plural="pools" {...{ name, generation, revision, mayWrite }} />
        )}
      </div>
      {edits && <HowMany pool={pool} onClose={() => setEdits(false)} />}
    </>
  );
}

/** What may be asked for as a line from none on, with what is asked for and what it would be on it. */
function Scale({ pool }: { pool: Pool }) {
  const { spec, status } = pool;
  const advice = status.advice?.fewer ?? status.advice?.count;
  const { min = 0, max, count } = spec;
  const at = (value: number) => (max > 0 ? `${Math.min(100, (value / max) * 100)}%` : "0");
  const words = [
    `${ranged(min, max)} may be asked for`,
    `${count} ${count === 1 ? "is" : "are"}`,
    advice !== undefined && `${advice} would be enough`,
  ];
  return (
    <div className="pool-scale small quiet">
      <span className="pool-line" role="img" aria-label={words.filter(Boolean).join(", ")}>
        <i style={{ left: at(min), right: 0 }} />
        <b style={{ left: at(count) }} />
        {advice !== undefined && <u style={{ left: at(advice) }} />}
      </span>
      <span className="pool-ends" aria-hidden="true">
        {scaleEnds(min, max).map(({ word, at, from }) => (
          <span key={word} className={from} style={{ left: `${at * 100}%` }}>
            {word}
          </span>
        ))}
      </span>
      <p className="pool-scale-words" aria-hidden="true">
        <span className="nowrap">
          <b className="key-count" /> {count} asked for
        </span>
        {advice !== undefined && (
          <span className="nowrap">
            <u className="key-advice" /> {advice} would be enough
          </span>
        )}
      </p>
    </div>
  );
}

function Trouble({ pool }: { pool: Pool }) {
  const { provider } = pool.status;
  if (!provider?.since) return null;
  return (
    <section className="panel pool-trouble" aria-label="trouble">
      <p>
        <b>The provider does not answer</b> for <Ago at={provider.since} long />
        {(provider.times ?? 0) > 1 && `, ${provider.times} times in a row`}: {provider.error}
        <span className="quiet">
          {" "}
          Until it does, nothing is made, emptied, given up or deleted.
        </span>
      </p>
    </section>
  );
}

/** What a host has to give: `2 cores and 4 GiB`. */
const hostWords = ({ cpu, memory }: { cpu?: Written; memory?: Written }) =>
  `${coreWords(parseCpu(cpu))} and ${memoryWords(parseMemory(memory))}`;

function AdviceView({ pool }: { pool: Pool }) {
  const { spec, status } = pool;
  const { advice } = status;
  const word = adviceOf(pool);
  if (!spec.autoscale) return null;
  const { mode = "observe", headroom = 20, steady = "10m" } = spec.autoscale;
  return (
    <section className="panel" aria-label="advice">
      <header>
        <h2>By what runs on it</h2>
        <State
          word={mode === "act" ? "followed" : "only said"}
          tone={mode === "act" ? "ok" : "held"}
        />
      </header>
      <div className="body stack tight">
        {advice ? (
          <>
            <p>
              <b>
                {word === "fewer"
                  ? `${counted(advice.fewer ?? advice.count, "host")} would be enough`
                  : word === "more"
                    ? `${counted(advice.count, "host")} ${advice.count === 1 ? "is" : "are"} needed`
                    : "as many as there are to be"}
              </b>
              {word === "fewer" && advice.since && (
                <span className="quiet">
                  {" "}
                  for <Ago at={advice.since} long />
                </span>
              )}
            </p>
            <p className="second">
              <Prose text={advice.because} />
            </p>
          </>
        ) : (
          <p className="quiet">Nothing is worked out yet.</p>
        )}
        <p className="small quiet">
          {headroom} % of each host stay free; fewer only after fewer were enough for{" "}
          {String(steady)}
          {advice?.host && `; one host has ${hostWords(advice.host)}`}
        </p>
      </div>
    </section>
  );
}

function Machines({ pool, rows }: { pool: Pool; rows: readonly MachineRow[] }) {
  if (rows.length === 0) {
    const wanted = pool.status.wanted ?? pool.spec.count;
    return (
      <section className="panel">
        {wanted > 0 ? (
          <Empty title="It has no machines yet">
            <p>
              {counted(wanted, "host")} {wanted === 1 ? "is" : "are"} asked for, and none is there.
            </p>
          </Empty>
        ) : (
          <Empty title="It has no machines">
            <p>Ask for some:</p>
            <Example>{`atoll scale pool/${pool.metadata.name} 3 --wait`}</Example>
          </Empty>
        )}
      </section>
    );
  }
  return (
    <section className="panel" aria-label="machines">
      <ul data-list>
        {rows.slice(0, 500).map(({ key, machine }) => {
          const asked = askWords(machine);
          const host = machine.phase !== "creating" && machine.phase !== "joining";
          return (
            <li key={key} className="machine" data-row>
              <div>
                {host ? (
                  <ObjectLink plural="hosts" name={key} className="strong" />
                ) : (
                  <span className="strong">{key}</span>
                )}
                {machine.id && <p className="small quiet mono">{machine.id}</p>}
              </div>
              <State {...MACHINE[machine.phase ?? "creating"]} />
              <span className="small quiet nowrap">
                for <Ago at={machine.since} long />
              </span>
              <div className="small second machine-said">
                {machine.failed && (
                  <p>
                    <span className="bad-word">given up:</span> {machine.failed}
                  </p>
                )}
                {machine.closed && <p>gets nothing new: it goes before long</p>}
                {(machine.missing ?? 0) > 0 && (
                  <p>not in the provider’s list, {machine.missing} times in a row</p>
                )}
                {asked && <p>{asked}</p>}
              </div>
            </li>
          );
        })}
        {rows.length > 500 && <li className="machine quiet">and {rows.length - 500} more</li>}
      </ul>
    </section>
  );
}

function Orphans({ pool }: { pool: Pool }) {
  const orphans = Object.entries(pool.status.orphans ?? {});
  if (orphans.length === 0) return null;
  return (
    <section className="panel" aria-label="machines nobody asked for">
      <header>
        <h2>In the provider’s list, and none of these</h2>
      </header>
      <ul data-list>
        {orphans.map(([id, orphan]) => (
          <li key={id} className="machine" data-row>
            <div>
              <span className="strong">{orphan.key}</span>
              <p className="small quiet mono">{id}</p>
            </div>
            <State
              word={orphan.ours ? "being deleted" : "left alone"}
              tone={orphan.ours ? "off" : "unknown"}
            />
            <span className="small quiet nowrap">
              seen <Ago at={orphan.since} long /> ago
            </span>
            <p className="small second machine-said">
              {orphan.ours
                ? "it carries a key this pool gave out and took back"
                : "nobody here asked for it"}
              {orphan.ask?.error && `: ${orphan.ask.error}`}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function HowMany({ pool, onClose }: { pool: Pool; onClose: () => void }) {
  const [seen] = useState(pool);
  // Where it was left at another number than is declared, that is the one to change.
  const stays = seen.status.wanted ?? seen.spec.count;
  const [count, setCount] = useState(String(stays));
  const { name, generation = 0 } = seen.metadata;
  const number = countOf(count);
  const { min = 0, max } = seen.spec;
  const within = number >= min && number <= max;
  const changed = number !== stays && !Number.isNaN(number);
  const edit = { plural: "pools", name, generation, spec: { count: number } } as const;
  return (
    <ChangeDialog
      title={`How many hosts ${name} has`}
      lead={
        seen.spec.autoscale?.mode === "act"
          ? "The number follows what runs on the hosts; what is asked for here holds until that changes it."
          : "A host that goes is emptied first; what runs on it is replaced elsewhere before."
      }
      word="Apply"
      proposal={
        changed && within
          ? proposalOf(edit, `pool/${name} will have ${counted(number, "host")}`)
          : undefined
      }
      onClose={onClose}
    >
      <CountField id="count" label={`Hosts, ${ranged(min, max)}`} text={count} onText={setCount} />
      {within ? (
        !changed && <p className="quiet">Change the number to see what it would do.</p>
      ) : (
        <p className="field-wrong" role="status">
          {name} may have {countedRange(min, max, "host")}: a whole number. Its bounds are in its
          spec.
        </p>
      )}
    </ChangeDialog>
  );
}

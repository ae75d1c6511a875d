// One migration: its waves, what the wave under way moves, and what people can do about it.
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { applyEdit } from "../../api/change";
import { Problem } from "../../api/http";
import { useNow, useObject, useSnapshot, useSynced } from "../../api/live";
import type { Migration } from "../../api/objects";
import {
  aboutWords,
  backable,
  gone,
  hostsWord,
  isOver,
  type MoveRow,
  movesOf,
  stateOf,
  type WaveView,
  wavesOf,
} from "../../logic/migrations";
import { INSTANCE } from "../../logic/phases";
import { counted } from "../../logic/quantity";
import { clock, moment, parseTime, spanWords } from "../../logic/time";
import { Meter } from "../../parts/bars";
import { ChangeDialog } from "../../parts/change";
import { Empty, Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Icon } from "../../parts/icon";
import { Manifest } from "../../parts/manifest";
import { notify } from "../../parts/notices";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { proposalOf } from "../deployment/actions";
import { NoObject } from "../object/missing";
import { ForecastView } from "./forecast";
import "./migration.css";

const TABS = [
  { id: "waves", word: "Waves" },
  { id: "manifest", word: "Manifest" },
  { id: "why", word: "Why" },
  { id: "history", word: "History" },
];

export function MigrationPage({ name, tab = "waves" }: ThingSearch & { name: string }) {
  const migration = useObject("migrations", name);
  const synced = useSynced();
  const mayWrite = useMayWrite();
  if (!synced) return <Skeleton lines={8} />;
  if (!migration) return <NoObject plural="migrations" name={name} />;
  const { generation = 0, revision = 0 } = migration.metadata;
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "migrations", to: "/migrations" }]}
        beside={<State {...stateOf(migration)} />}
        lead={aboutWords(migration)}
      >
        {!isOver(migration) && (
          <Link to="/rehearsal" search={{ of: `migration/${name}` }} className="button">
            <Icon name="rehearsal" /> Rehearse
          </Link>
        )}
        <Actions migration={migration} mayWrite={mayWrite} />
      </Head>
      <div className="stack">
        <Standing migration={migration} />
        <Tabs tabs={TABS} now={tab} label="views" />
        {tab === "waves" && <Waves migration={migration} />}
        {tab === "waves" && <Moves migration={migration} />}
        {tab === "waves" && !isOver(migration) && <Forecast migration={migration} />}
        {tab === "manifest" && <Manifest object={migration} />}
        {tab === "why" && <Why plural="migrations" name={name} revision={revision} />}
        {tab === "history" && (
          <HistoryView plural="migrations" {...{ name, generation, revision, mayWrite }} />
        )}
      </div>
    </>
  );
}

function editOf(migration: Migration, spec: Record<string, unknown>) {
  const { name, generation = 0 } = migration.metadata;
  return { plural: "migrations", name, generation, spec } as const;
}

function Actions({ migration, mayWrite }: { migration: Migration; mayWrite: boolean }) {
  const [asked, setAsked] = useState<"cancel" | "back" | null>(null);
  const [busy, setBusy] = useState(false);
  const { paused } = migration.spec;
  // One that is cancelled ends with the wave under way, and nothing else is to be said to it.
  const over = isOver(migration) || Boolean(migration.spec.cancelled);
  if (!mayWrite) return <span className="quiet small">You may look, not change.</span>;
  const pause = async () => {
    setBusy(true);
    try {
      await applyEdit(editOf(migration, { paused: paused ? null : true }));
      notify(
        `migration/${migration.metadata.name} ${paused ? "goes on" : "begins no further wave"}`,
      );
    } catch (thrown) {
      const problem = Problem.from(thrown);
      notify([problem.message, ...problem.reasons.map((r) => r.message)].join(": "), true);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      {!over && (
        <button type="button" className="button" onClick={() => void pause()} disabled={busy}>
          <Icon name={paused ? "play" : "pause"} /> {paused ? "Resume" : "Pause"}
        </button>
      )}
      {backable(migration) > 0 && (
        <button type="button" className="button" onClick={() => setAsked("back")}>
          <Icon name="back" /> Take back
        </button>
      )}
      {!over && (
        <button type="button" className="button danger" onClick={() => setAsked("cancel")}>
          <Icon name="stop" /> Cancel
        </button>
      )}
      {asked === "cancel" && <Cancel migration={migration} onClose={() => setAsked(null)} />}
      {asked === "back" && <Back migration={migration} onClose={() => setAsked(null)} />}
    </>
  );
}

interface AskProps {
  migration: Migration;
  onClose: () => void;
}

function Cancel({ migration, onClose }: AskProps) {
  const [edit] = useState(() => editOf(migration, { cancelled: true }));
  return (
    <ChangeDialog
      title={`Cancel ${edit.name}`}
      lead="It ends with the wave under way, and the hosts are opened again. What was moved stays where it is."
      word="Cancel the migration"
      danger
      proposal={proposalOf(edit, `migration/${edit.name} ends with the wave under way`)}
      onClose={onClose}
    />
  );
}

function Back({ migration, onClose }: AskProps) {
  const [seen] = useState(migration);
  const [count, setCount] = useState(1);
  const most = backable(seen);
  const edit = editOf(seen, { back: (seen.spec.back ?? 0) + count });
  return (
    <ChangeDialog
      title={`Take waves of ${edit.name} back`}
      lead="The hosts are opened, and as many instances of the same deployments are moved again, to where there is most room."
      word="Take back"
      danger
      proposal={proposalOf(
        edit,
        `${counted(count, "wave")} of migration/${edit.name} will be taken back`,
      )}
      onClose={onClose}
    >
      <div className="field">
        <label htmlFor="back">The last so many waves, of {most}</label>
        <select
          id="back"
          value={count}
          data-first
          onChange={(event) => setCount(Number(event.target.value))}
        >
          {Array.from({ length: Math.min(most, 50) }, (_, i) => i + 1).map((n) => (
            <option key={n} value={n}>
              {counted(n, "wave")}
            </option>
          ))}
        </select>
      </div>
    </ChangeDialog>
  );
}

function Standing({ migration }: { migration: Migration }) {
  const now = useNow();
  const { spec, status } = migration;
  const { moved = 0, left = 0, hosts = [], back = 0 } = status;
  const others = gone(migration);
  const all = moved + others + left;
  const [started, ended] = [parseTime(status.startedAt), parseTime(status.endedAt)];
  const balanced = Object.entries(status.quota ?? {});
  return (
    <section className="panel" aria-label="how it stands">
      <div className="body stack">
        <div className="migration-progress">
          <p className="migration-count">
            <b>{moved}</b>
            <span className="quiet">
              {" "}
              of {counted(all, "instance")} moved{others > 0 && `, ${others} gone otherwise`}
            </span>
          </p>
          <Meter used={moved} whole={Math.max(1, all)} label="moved" progress />
        </div>
        <Facts>
          <Fact name="at a time">{String(spec.wave ?? "10%")}</Fact>
          <Fact name="between two waves">{String(spec.pause ?? "0s")}</Fact>
          <Fact name="stuck after">{String(spec.waveTimeout ?? "10m")}</Fact>
          {spec.retire && <Fact name="afterwards">the hosts stay closed</Fact>}
          {String(spec.to ?? "") && <Fact name="to hosts with">{String(spec.to)}</Fact>}
          {String(spec.applications ?? "") && (
            <Fact name="of applications with">{String(spec.applications)}</Fact>
          )}
          <Fact name="began">{started === undefined ? "not yet" : moment(started, now)}</Fact>
          {started !== undefined && (
            <Fact name={ended === undefined ? "goes on for" : "took"}>
              {spanWords((ended ?? now) - started)}
            </Fact>
          )}
          {back > 0 && <Fact name="taken back">{counted(back, "wave")}</Fact>}
        </Facts>
        {hosts.length > 0 && (
          <p className="small">
            <span className="quiet">{hostsWord(migration)}: </span>
            {hosts.slice(0, 30).map((host, i) => (
              <span key={host}>
                {i > 0 && ", "}
                <ObjectLink plural="hosts" name={host} />
              </span>
            ))}
            {hosts.length > 30 && ` and ${hosts.length - 30} more`}
          </p>
        )}
        {balanced.length > 0 && (
          <p className="small">
            <span className="quiet">to leave: </span>
            {balanced.slice(0, 30).map(([host, count], i) => (
              <span key={host}>
                {i > 0 && ", "}
                {count} of <ObjectLink plural="hosts" name={host} />
              </span>
            ))}
          </p>
        )}
        <Reasons reasons={status.reasons ?? []} />
      </div>
    </section>
  );
}

const LOOK = {
  done: { word: "over", tone: "ok" },
  back: { word: "taken back", tone: "warn" },
  givenUp: { word: "given up", tone: "bad" },
  going: { word: "under way", tone: "move" },
  ahead: { word: "to come", tone: "off" },
} as const;

function noWaves(migration: Migration): string {
  if (!isOver(migration)) return "No wave has begun yet";
  return migration.status.left > 0 ? "It ended before a wave began" : "There was nothing to move";
}

function Waves({ migration }: { migration: Migration }) {
  const now = useNow();
  const waves = useMemo(() => wavesOf(migration), [migration]);
  return (
    <section className="panel" aria-label="waves">
      <header>
        <h2>Waves</h2>
      </header>
      {waves.length === 0 ? (
        <Empty title={noWaves(migration)} />
      ) : (
        <>
          <div className="wave-strip" aria-hidden="true">
            {waves.map((wave) => (
              <span
                key={wave.key}
                className={`wave-block ${wave.state} ${LOOK[wave.state].tone}`}
                style={{ flexGrow: wave.instances }}
              />
            ))}
          </div>
          <ol className="waves" data-list>
            {waves.slice(-60).map((wave) => (
              <Wave key={wave.key} wave={wave} now={now} />
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Wave({ wave, now }: { wave: WaveView; now: number }) {
  const took = wave.began !== undefined && (wave.ended ?? now) - wave.began;
  return (
    <li className={`wave ${wave.state}`} data-row>
      <b className="wave-number">{wave.number ?? "…"}</b>
      <State {...LOOK[wave.state]} />
      <span>
        {counted(wave.instances, "instance")}
        {wave.state === "givenUp" && " not moved"}
        <span className="small second wave-of">
          {wave.moved.slice(0, 8).map(([deployment, count], i) => (
            <span key={deployment}>
              {i > 0 && ", "}
              {count} of <ObjectLink plural="deployments" name={deployment} />
            </span>
          ))}
          {wave.moved.length > 8 && `, and ${wave.moved.length - 8} more`}
        </span>
      </span>
      <span className="small quiet nowrap right">
        {wave.began !== undefined && clock(wave.began)}
        {took !== false && `, ${wave.ended === undefined ? "for" : "took"} ${spanWords(took)}`}
      </span>
    </li>
  );
}

function Moves({ migration }: { migration: Migration }) {
  const { tables } = useSnapshot();
  const rows = useMemo(() => movesOf(migration, tables.instances), [migration, tables.instances]);
  if (rows.length === 0 || isOver(migration)) return null;
  return (
    <section className="panel" aria-label="moves">
      <header>
        <h2>What the wave under way moves</h2>
        <span className="small quiet">each is stopped when its replacement serves</span>
      </header>
      <ul data-list>
        {rows.slice(0, 200).map((row) => (
          <MoveView key={row.name} row={row} />
        ))}
        {rows.length > 200 && <li className="move-line quiet">and {rows.length - 200} more</li>}
      </ul>
    </section>
  );
}

function MoveView({ row }: { row: MoveRow }) {
  const { instance } = row;
  return (
    <li className="move-line" data-row>
      <span className="strong cut">
        {instance ? <ObjectLink plural="instances" name={row.name} className="" /> : row.name}
      </span>
      <span className="second">
        off <ObjectLink plural="hosts" name={row.from} />
      </span>
      {instance ? (
        <State {...INSTANCE[instance.status.phase]} />
      ) : (
        <State word="is gone" tone="ok" />
      )}
    </li>
  );
}

function Forecast({ migration }: { migration: Migration }) {
  const { paused: _, cancelled: __, back: ___, ...spec } = migration.spec;
  return (
    <section className="panel" aria-label="what is left would take">
      <header>
        <h2>Were it begun now</h2>
        <span className="small quiet">
          what is still there, from how long instances took to serve
        </span>
      </header>
      <div className="body">
        <ForecastView spec={spec as Record<string, unknown>} />
      </div>
    </section>
  );
}

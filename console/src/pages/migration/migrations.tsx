// Migrations: what is moved off hosts, in waves; what is under way, what was, and a way to begin one.
import { useMemo, useState } from "react";
import { useSnapshot, useSynced } from "../../api/live";
import type { Migration } from "../../api/objects";
import { aboutWords, gone, isOver, orderedMigrations, stateOf } from "../../logic/migrations";
import { counted } from "../../logic/quantity";
import { Ago } from "../../parts/ago";
import { Meter } from "../../parts/bars";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { Begin } from "./begin";
import "./migration.css";

const FIRST = `atoll migrate off zone/a --dry-run     # waves, time, room and risk
atoll migrate off host/h1 --retire     # it stays closed afterwards
atoll migrate balance`;

export function MigrationsPage() {
  const { tables } = useSnapshot();
  const synced = useSynced();
  const mayWrite = useMayWrite();
  const [begins, setBegins] = useState(false);
  const migrations = useMemo(() => orderedMigrations(tables.migrations.values()), [tables]);
  if (!synced) return <Skeleton lines={8} />;
  const going = migrations.filter((m) => !isOver(m)).length;
  return (
    <>
      <Head
        title="Migrations"
        lead={
          migrations.length === 0
            ? "what moves off hosts, in waves"
            : `${counted(migrations.length, "migration")}, ${going === 0 ? "none under way" : `${going} under way`}`
        }
      >
        {mayWrite && (
          <button type="button" className="button main" onClick={() => setBegins(true)}>
            <Icon name="migrations" /> Move something
          </button>
        )}
      </Head>
      <section className="panel" aria-label="migrations">
        {migrations.length === 0 ? (
          <Empty title="Nothing is moved, and nothing was">
            <p>
              A migration moves what runs on some hosts to others in waves: each instance is
              replaced first and stopped when its replacement serves.
            </p>
            <Example>{FIRST}</Example>
          </Empty>
        ) : (
          <ul data-list>
            {migrations.map((migration) => (
              <Row key={migration.metadata.name} migration={migration} />
            ))}
          </ul>
        )}
      </section>
      {begins && <Begin onClose={() => setBegins(false)} />}
    </>
  );
}

function Row({ migration }: { migration: Migration }) {
  const { metadata, status } = migration;
  const { moved = 0, left = 0 } = status;
  const others = gone(migration);
  return (
    <li className="migration-row" data-row>
      <div>
        <ObjectLink plural="migrations" name={metadata.name} className="strong" />
        <p className="small quiet">{aboutWords(migration)}</p>
      </div>
      <State {...stateOf(migration)} />
      <div className="migration-progress">
        <Meter used={moved} whole={Math.max(1, moved + others + left)} label="moved" progress />
        <p className="small second">
          {moved} moved{others > 0 && `, ${others} gone otherwise`}
          {left > 0 && `, ${left} left`}, {counted(status.wave ?? 0, "wave")}
        </p>
      </div>
      <span className="small quiet nowrap right">
        <Ago at={status.startedAt ?? metadata.createdAt} /> ago
      </span>
    </li>
  );
}

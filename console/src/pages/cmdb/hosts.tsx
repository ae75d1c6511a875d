// Hosts: by zone as tiles filled as far as they are given away, and as a table.
import { Link, useNavigate } from "@tanstack/react-router";
import { memo, useMemo, useState } from "react";
import { useFleet, useSynced } from "../../api/live";
import type { Host } from "../../api/objects";
import { type Fleet, NO_INSTANCES, order, zoneOf } from "../../logic/fleet";
import { HOST, HOST_ORDER } from "../../logic/phases";
import { counted, parseCpu, parseMemory, percent } from "../../logic/quantity";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { found, Search } from "../../parts/search";
import { type Sorting, Table } from "../../parts/table";
import type { ListSearch } from "../../router";
import { Head } from "../../shell/head";
import { compactHost, type HostRow, hostColumns } from "./columns";
import "./hosts.css";

const FIRST = `atoll token create --role join --for host
atoll agent --server URL --token TOKEN --labels zone=a`;

export function HostsPage({ q = "", open = false }: ListSearch) {
  const fleet = useFleet();
  const synced = useSynced();
  const navigate = useNavigate();
  const [sorting, setSorting] = useState<Sorting>({ by: "name", down: false });
  const rows = useMemo(() => rowsOf(fleet, q, open, sorting), [fleet, q, open, sorting]);
  const set = (search: ListSearch) =>
    navigate({
      to: ".",
      search: { q: q || undefined, open: open || undefined, ...search },
      replace: true,
      resetScroll: false,
    });
  if (!synced) return <Skeleton lines={10} />;
  if (fleet.hosts.length === 0) {
    return (
      <>
        <Head title="Hosts" />
        <section className="panel">
          <Empty title="No host has joined yet">
            <p>
              A host joins by running the agent on it. (<code>atoll up</code> runs one beside the
              server.)
            </p>
            <Example>{FIRST}</Example>
          </Empty>
        </section>
      </>
    );
  }
  const well = fleet.hosts.filter((h) => h.status.phase === "ready").length;
  return (
    <>
      <Head title="Hosts" lead={`${well} of ${counted(fleet.hosts.length, "host")} ready`}>
        <div className="toolbar">
          <button
            type="button"
            className="toggle"
            aria-pressed={open}
            onClick={() => set({ open: !open || undefined })}
          >
            Not ready only
          </button>
          <Search
            value={q}
            onChange={(value) => set({ q: value || undefined })}
            label="Search hosts"
          />
        </div>
      </Head>
      <div className="stack">
        {fleet.hosts.length > 1 && <Zones rows={rows} />}
        <section className="panel" aria-label="hosts">
          {rows.length === 0 ? (
            <Empty title="No host matches" />
          ) : (
            <Table
              label="hosts"
              columns={hostColumns}
              rows={rows}
              keyOf={(row) => row.name}
              compact={compactHost}
              compactHeight={86}
              sorting={sorting}
              onSort={(by) => setSorting({ by, down: sorting.by === by && !sorting.down })}
              onOpen={(row) => navigate({ to: "/hosts/$name", params: { name: row.name } })}
            />
          )}
        </section>
      </div>
    </>
  );
}

function rowOf(host: Host, fleet: Fleet): HostRow {
  const name = host.metadata.name;
  const use = fleet.use.get(name);
  return {
    name,
    host,
    zone: zoneOf(host),
    instances: fleet.byHost.get(name) ?? NO_INSTANCES,
    cpu: { used: use?.cpu ?? 0, whole: parseCpu(host.status.capacity?.cpu) },
    memory: { used: use?.memory ?? 0, whole: parseMemory(host.status.capacity?.memory) },
  };
}

const share = ({ used, whole }: HostRow["cpu"]) => (whole > 0 ? used / whole : 0);

const SORTS: Readonly<Record<string, (a: HostRow, b: HostRow) => number>> = {
  name: (a, b) => order(a.name, b.name),
  phase: (a, b) =>
    HOST_ORDER.indexOf(a.host.status.phase) - HOST_ORDER.indexOf(b.host.status.phase),
  zone: (a, b) => order(a.zone, b.zone),
  cpu: (a, b) => share(a.cpu) - share(b.cpu),
  memory: (a, b) => share(a.memory) - share(b.memory),
  instances: (a, b) => a.instances.length - b.instances.length,
};

function rowsOf(fleet: Fleet, query: string, openOnly: boolean, sorting: Sorting): HostRow[] {
  const sign = sorting.down ? -1 : 1;
  const compare = SORTS[sorting.by] ?? (() => 0);
  return fleet.hosts
    .filter((h) => !openOnly || h.status.phase !== "ready")
    .filter((h) => {
      const labels = Object.entries(h.metadata.labels ?? {}).map(([k, v]) => `${k}=${v}`);
      return found(query, h.metadata.name, HOST[h.status.phase].word, h.status.address, ...labels);
    })
    .map((h) => rowOf(h, fleet))
    .sort((a, b) => sign * compare(a, b) || order(a.name, b.name));
}

/** Every host as a tile: how far it is filled is how much of it is given away. */
function Zones({ rows }: { rows: readonly HostRow[] }) {
  const zones = new Map<string, HostRow[]>();
  for (const row of [...rows].sort((a, b) => order(a.name, b.name))) {
    zones.set(row.zone, [...(zones.get(row.zone) ?? []), row]);
  }
  return (
    <section className="panel zones" aria-label="zones">
      {[...zones]
        .sort(([a], [b]) => order(a, b))
        .map(([zone, hosts]) => (
          <div key={zone} className="zone">
            <h2>
              <Link to={`/zones/${zone}` as "/"}>zone {zone}</Link>
              <span className="quiet"> {hosts.length}</span>
            </h2>
            <div className={hosts.length > 60 ? "tiles fine" : "tiles"}>
              {hosts.map((row) => (
                <Tile
                  key={row.name}
                  name={row.name}
                  phase={row.host.status.phase}
                  cpu={percent(row.cpu.used, row.cpu.whole)}
                  memory={percent(row.memory.used, row.memory.whole)}
                />
              ))}
            </div>
          </div>
        ))}
    </section>
  );
}

interface TileProps {
  name: string;
  phase: Host["status"]["phase"];
  cpu: number;
  memory: number;
}

const Tile = memo(function Tile({ name, phase, cpu, memory }: TileProps) {
  const full = Math.max(cpu, memory);
  const words = `${name}: ${HOST[phase].word}, CPU ${cpu}%, memory ${memory}%`;
  return (
    <Link
      to="/hosts/$name"
      params={{ name }}
      className={`tile ${HOST[phase].tone}`}
      title={words}
      aria-label={words}
      tabIndex={-1}
    >
      <span className="tile-fill" style={{ height: `${Math.min(100, full)}%` }} />
    </Link>
  );
});

// The columns of the table of hosts, and the compact block of narrow pages.
import { Link } from "@tanstack/react-router";
import type { Host, Instance } from "../../api/objects";
import { HOST } from "../../logic/phases";
import { cpuWords, memoryWords, percent } from "../../logic/quantity";
import { parseTime } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { Meter, Segments } from "../../parts/bars";
import { phaseParts } from "../../parts/cells";
import { State } from "../../parts/phase";
import type { Column } from "../../parts/table";

export interface Share {
  readonly used: number;
  readonly whole: number;
}

export interface HostRow {
  readonly name: string;
  readonly host: Host;
  readonly zone: string;
  readonly instances: readonly Instance[];
  readonly cpu: Share;
  readonly memory: Share;
}

function Use({
  share,
  words,
  label,
}: {
  share: Share;
  words: (n: number) => string;
  label: string;
}) {
  return (
    <span className="share" title={`${words(share.used)} of ${words(share.whole)}`}>
      <Meter used={share.used} whole={share.whole} label={label} />
      <span>{percent(share.used, share.whole)}%</span>
    </span>
  );
}

function why(host: Host): string {
  return host.status.reasons?.[0]?.message ?? "";
}

/** For a host not heard from since when; else since when it is what it is. */
export function sinceOf({ status }: Host): number | undefined {
  return parseTime(status.phase === "unknown" ? (status.lastSeen ?? status.since) : status.since);
}

export const hostColumns: readonly Column<HostRow>[] = [
  {
    id: "name",
    head: "Host",
    width: "minmax(6rem, 1fr)",
    sorts: true,
    cell: (row) => (
      <Link to="/hosts/$name" params={{ name: row.name }} className="strong">
        {row.name}
      </Link>
    ),
  },
  { id: "zone", head: "Zone", width: "5rem", sorts: true, cell: (row) => row.zone },
  {
    id: "phase",
    head: "State",
    width: "7rem",
    sorts: true,
    cell: (row) => <State {...HOST[row.host.status.phase]} />,
  },
  {
    id: "since",
    head: "For",
    width: "3rem",
    right: true,
    cell: (row) => <Ago at={sinceOf(row.host)} />,
  },
  {
    id: "cpu",
    head: "CPU reserved",
    width: "minmax(7rem, 1fr)",
    sorts: true,
    cell: (row) => <Use share={row.cpu} words={cpuWords} label={`CPU of ${row.name}`} />,
  },
  {
    id: "memory",
    head: "Memory reserved",
    width: "minmax(7rem, 1fr)",
    sorts: true,
    cell: (row) => <Use share={row.memory} words={memoryWords} label={`memory of ${row.name}`} />,
  },
  {
    id: "instances",
    head: "Instances",
    width: "minmax(8rem, 1.3fr)",
    sorts: true,
    cell: (row) => (
      <span className="share instances">
        <span>{row.instances.length}</span>
        <Segments parts={phaseParts(row.instances)} label={`instances on ${row.name}`} />
      </span>
    ),
  },
  {
    id: "why",
    head: "Why",
    width: "minmax(3rem, 1.4fr)",
    cell: (row) => (
      <span className="second" title={why(row.host)}>
        {why(row.host)}
      </span>
    ),
  },
];

export function compactHost(row: HostRow) {
  return (
    <div className="host-compact">
      <div className="row">
        <Link to="/hosts/$name" params={{ name: row.name }} className="strong cut grow">
          {row.name} <span className="quiet">zone {row.zone}</span>
        </Link>
        <State {...HOST[row.host.status.phase]} />
      </div>
      <div className="host-compact-use small second">
        <span>CPU</span>
        <Use share={row.cpu} words={cpuWords} label={`CPU of ${row.name}`} />
        <span>Mem</span>
        <Use share={row.memory} words={memoryWords} label={`memory of ${row.name}`} />
      </div>
      <Segments parts={phaseParts(row.instances)} label={`instances on ${row.name}`} />
    </div>
  );
}

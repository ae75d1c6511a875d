// What the fleet can carry: each deployment, each environment and zone, and all of it; as it is, or
// as it would be with more load or without a zone.

import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useMemo, useState } from "react";
import { useCapacityReport } from "../../api/forecasts";
import { useFleet, useNow, useSynced } from "../../api/live";
import type { CapacityReport, CapacityRow, GroupRow, WhatIf } from "../../api/objects";
import {
  capacityLead,
  isMeasured,
  KNOWN,
  rowState,
  supposes,
  takenBy,
  usedWords,
  wrongDemand,
} from "../../logic/capacity";
import { order, zoneOf } from "../../logic/fleet";
import {
  amount,
  counted,
  cpuWords,
  memoryWords,
  parseCpu,
  parseMemory,
} from "../../logic/quantity";
import { moment, parseTime, spanWords } from "../../logic/time";
import { measured } from "../../logic/units";
import { useAdjust } from "../../parts/adjust";
import { Meter } from "../../parts/bars";
import { Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { Dot, State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import { Prose } from "../../parts/prose";
import { type Column, Table } from "../../parts/table";
import type { CapacitySearch } from "../../router";
import { Head } from "../../shell/head";
import { Sizes } from "./sizes";
import { Unmeasured } from "./unmeasured";
import "./capacity.css";

export function CapacityPage(typed: CapacitySearch) {
  const synced = useSynced();
  const wrong = wrongDemand(typed.demand);
  const asked = wrong ? { ...typed, demand: undefined } : typed;
  const report = useCapacityReport(asked);
  const { data, error } = report;
  const supposed = supposes(asked);
  // Then that is the first to know, and not how much there is of nothing.
  const unmeasured = data !== undefined && !data.deployments.some(isMeasured);
  if (!synced || (!data && !error)) return <Skeleton lines={10} />;
  return (
    <>
      <Head title="Capacity" lead={data && capacityLead(data, supposed)} />
      <div className="stack">
        {data && unmeasured && <Unmeasured report={data} />}
        <Suppose asked={typed} wrong={wrong} />
        {error && <ProblemView problem={error} again={() => void report.refetch()} />}
        {data?.deployments.some(isMeasured) && <Whole report={data} supposed={supposed} />}
        {data && data.deployments.length > 0 && <Deployments rows={data.deployments} />}
        {data && !unmeasured && <Unmeasured report={data} />}
        {data && <Zones report={data} />}
        <Sizes />
      </div>
    </>
  );
}

const TIMES = [1, 1.5, 2, 3, 5, 10] as const;

/** What is supposed: it stands in the address, so that it can be shown to others. */
function Suppose({ asked, wrong }: { asked: WhatIf; wrong: string | undefined }) {
  const fleet = useFleet();
  const set = useAdjust<WhatIf>();
  const [demand, setDemand] = useState(asked.demand ?? "");
  const zones = useMemo(
    () => [...new Set(fleet.hosts.map((host) => zoneOf(host)))].sort(order),
    [fleet.hosts],
  );
  const { times = 1, without = "", peak = false } = asked;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    set({ demand: demand.trim() || undefined });
  };
  return (
    <section
      className={supposes(asked) ? "panel suppose on" : "panel suppose"}
      aria-label="what if"
    >
      <div className="field">
        <span className="suppose-word">So many times the load</span>
        <div className="choice" role="group" aria-label="times the load">
          {TIMES.map((n) => (
            <button
              key={n}
              type="button"
              aria-pressed={times === n}
              onClick={() => set({ times: n === 1 ? undefined : n })}
            >
              {n}×
            </button>
          ))}
        </div>
      </div>
      <div className="field">
        <label htmlFor="without">Without</label>
        <select
          id="without"
          value={without}
          onChange={(event) => set({ without: event.target.value || undefined })}
        >
          <option value="">nothing lost</option>
          <optgroup label="zones">
            {zones.map((zone) => (
              <option key={zone} value={`zone/${zone}`}>
                zone {zone}
              </option>
            ))}
          </optgroup>
          <optgroup label="hosts">
            {fleet.hosts.slice(0, 500).map(({ metadata: { name } }) => (
              <option key={name} value={`host/${name}`}>
                host {name}
              </option>
            ))}
          </optgroup>
        </select>
      </div>
      <div className="field">
        <span className="suppose-word">At</span>
        <div className="choice" role="group" aria-label="at">
          <button type="button" aria-pressed={!peak} onClick={() => set({ peak: undefined })}>
            the load of now
          </button>
          <button type="button" aria-pressed={peak} onClick={() => set({ peak: true })}>
            the week’s peak
          </button>
        </div>
      </div>
      <form className="field" onSubmit={submit}>
        <label htmlFor="demand">Business demand a second</label>
        <input
          id="demand"
          value={demand}
          placeholder="orders=500"
          onChange={(event) => setDemand(event.target.value)}
          onBlur={() => set({ demand: demand.trim() || undefined })}
          aria-invalid={wrong !== undefined}
        />
        {wrong && (
          <p className="field-wrong small" role="alert">
            {wrong}
          </p>
        )}
      </form>
      {supposes(asked) && (
        <button
          type="button"
          className="button slim suppose-back"
          onClick={() => {
            setDemand("");
            set({ times: undefined, without: undefined, peak: undefined, demand: undefined });
          }}
        >
          As it is
        </button>
      )}
    </section>
  );
}

function Whole({ report, supposed }: { report: CapacityReport; supposed: boolean }) {
  return (
    <section className="panel rooms" aria-label="headroom">
      <RoomView name="The fleet" room={report.fleet} supposed={supposed} />
      {report.environments.map((room) => (
        <RoomView key={room.name} name={room.name} room={room} supposed={supposed} />
      ))}
    </section>
  );
}

function RoomView({ name, room, supposed }: { name: string; room: GroupRow; supposed: boolean }) {
  const { deployments, headroom, spare, left, missing, placed, unmeasured, tightest } = room;
  const unplaced = missing - placed;
  const tone = unplaced > 0 ? "bad" : missing > 0 ? "warn" : "ok";
  const told = typeof headroom === "number" ? usedWords(headroom) : undefined;
  return (
    <div className="room">
      <h3>{name}</h3>
      <p className="room-value">
        {told ? told.used : <span className="quiet">not known</span>}
        {told && <span className="room-word"> used</span>}
      </p>
      {told && <Meter used={told.share} whole={1} label={`${name}: used`} />}
      {told && (
        <p className="small second">
          {told.left} headroom
          {tightest && <span className="quiet">, least in {tightest}</span>}
        </p>
      )}
      {unmeasured < deployments && (
        <p className="small second">
          {takenBy(room)} needed of {left} that {supposed ? "would serve" : "serve"}
          {spare > 0 && <span className="quiet">, and {amount(spare)} as a spare</span>}
          {missing > 0 && (
            <span className={`room-lack ${tone}`}>
              <Dot tone={tone} /> {amount(missing)} lacking
              {unplaced > 0 && `, ${amount(unplaced)} without room`}
            </span>
          )}
        </p>
      )}
      {unmeasured > 0 && (
        <p className="small quiet">{counted(unmeasured, "deployment")} not measured</p>
      )}
    </div>
  );
}

const number = (value: number | null | undefined) =>
  typeof value === "number" ? measured(value) : <span className="quiet">not known</span>;

/** What is not measured needs nobody knows how many. */
const neededOf = (row: CapacityRow) =>
  isMeasured(row) ? <b>{takenBy(row)}</b> : <span className="quiet">?</span>;

const COLUMNS: readonly Column<CapacityRow>[] = [
  {
    id: "name",
    head: "Deployment",
    width: "minmax(9rem, 1.3fr)",
    cell: (row) => (
      <ObjectLink plural="capacities" name={row.deployment} className="strong">
        {row.deployment}
      </ObjectLink>
    ),
  },
  {
    id: "state",
    head: "",
    width: "minmax(11.5rem, 1fr)",
    cell: (row) => (
      <span className="capacity-lines">
        <State {...rowState(row)} />
      </span>
    ),
  },
  { id: "load", head: "Load", width: "5rem", right: true, cell: (row) => number(row.load) },
  {
    id: "each",
    head: "One carries",
    width: "minmax(9rem, 1fr)",
    cell: (row) => (
      <span className="capacity-lines">
        {measured(row.each)} <span className="quiet small">{KNOWN[row.known]}</span>
      </span>
    ),
  },
  {
    id: "needed",
    head: "Needed / have",
    width: "7rem",
    right: true,
    cell: (row) => (
      <span title={row.spare > 0 ? `and ${amount(row.spare)} as a spare` : undefined}>
        {neededOf(row)} / {row.left}
        {row.left !== row.ready && <span className="quiet"> of {row.ready}</span>}
      </span>
    ),
  },
  {
    id: "used",
    head: "Used",
    width: "9.5rem",
    cell: (row) => <Used row={row} />,
  },
  {
    id: "room",
    head: "Room for",
    width: "5.5rem",
    right: true,
    cell: (row) => <span title="so many more, were it alone to grow">{row.room} more</span>,
  },
  { id: "out", head: "Runs out", width: "7.5rem", cell: (row) => <RunsOut row={row} /> },
];

/** How much of what serves is used, as the bar has it; what is left of it is its headroom. */
function Used({ row, words = false }: { row: CapacityRow; words?: boolean }) {
  if (typeof row.headroom !== "number") return <span className="quiet">not known</span>;
  const told = usedWords(row.headroom);
  return (
    <span className="share" title={`${told.left} headroom`}>
      <Meter used={told.share} whole={1} label={`${row.deployment}: used`} />
      <span className={row.headroom < 0 ? "bad-word nowrap" : "nowrap"}>
        {told.used}
        {words && " used"}
      </span>
    </span>
  );
}

function RunsOut({ row }: { row: CapacityRow }) {
  const now = useNow();
  const at = parseTime(row.runsOut);
  if (at !== undefined) {
    return (
      <span className="warn-word" title={moment(at, now)}>
        in {spanWords(at - now)}
      </span>
    );
  }
  const unknown = row.notes?.find((note) => note.startsWith("no forecast"));
  return unknown ? (
    <span className="quiet" title={unknown}>
      not known
    </span>
  ) : (
    <span className="quiet">not in a week</span>
  );
}

function Deployments({ rows }: { rows: readonly CapacityRow[] }) {
  const navigate = useNavigate();
  const notes = rows.flatMap((row) =>
    (row.notes ?? []).map((note) => ({ deployment: row.deployment, note })),
  );
  return (
    <section className="panel" aria-label="deployments">
      <Table
        label="deployments"
        columns={COLUMNS}
        rows={rows}
        keyOf={(row) => row.deployment}
        compactHeight={88}
        compact={(row) => (
          <div className="capacity-compact">
            <span className="row">
              <span className="strong cut grow">{row.deployment}</span>
              <State {...rowState(row)} />
            </span>
            <span className="small second">
              {neededOf(row)} needed / {row.left} have · load {number(row.load)}, one carries{" "}
              {measured(row.each)}
            </span>
            <span className="row">
              <span className="grow">
                <Used row={row} words />
              </span>
              <span className="nowrap">
                <span className="quiet">runs out</span> <RunsOut row={row} />
              </span>
            </span>
          </div>
        )}
        onOpen={(row) => navigate({ to: `/capacities/${row.deployment}` as "/" })}
      />
      {notes.length > 0 && (
        <ul className="capacity-notes small">
          {notes.slice(0, 30).map(({ deployment, note }) => (
            <li key={`${deployment} ${note}`}>
              <span className="strong">{deployment}</span>{" "}
              <span className="second">
                <Prose text={note} />
              </span>
            </li>
          ))}
          {notes.length > 30 && <li className="quiet">and {notes.length - 30} more</li>}
        </ul>
      )}
    </section>
  );
}

function Zones({ report }: { report: CapacityReport }) {
  if (report.zones.length === 0) return null;
  return (
    <section className="panel" aria-label="zones">
      <header>
        <h2>Room on hosts</h2>
        <span className="small quiet">what is reserved of what there is</span>
      </header>
      <ul className="zone-rooms">
        {report.zones.map((zone) => {
          const cpu = [parseCpu(zone.used.cpu), parseCpu(zone.capacity.cpu)] as const;
          const memory = [
            parseMemory(zone.used.memory),
            parseMemory(zone.capacity.memory),
          ] as const;
          return (
            <li key={zone.zone} className={zone.lost ? "zone-room lost" : "zone-room"}>
              <span className="row">
                <b>zone {zone.zone}</b>
                <span className="quiet small">{counted(zone.hosts, "host")}</span>
                {zone.lost && <State word="taken to be lost" tone="bad" />}
              </span>
              {!zone.lost && (
                <>
                  <span className="zone-use small">
                    <span className="quiet">CPU</span>
                    <Meter used={cpu[0]} whole={cpu[1]} label={`zone ${zone.zone}: CPU`} />
                    <span className="right nowrap">
                      {cpuWords(cpu[0])} of {cpuWords(cpu[1])}
                    </span>
                  </span>
                  <span className="zone-use small">
                    <span className="quiet">memory</span>
                    <Meter used={memory[0]} whole={memory[1]} label={`zone ${zone.zone}: memory`} />
                    <span className="right nowrap">
                      {memoryWords(memory[0])} of {memoryWords(memory[1])}
                    </span>
                  </span>
                </>
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

// Instances, of a deployment or on a host: as cells by where they run, and as a table.

import { useCallback, useMemo, useState } from "react";
import type { Instance, InstancePhase } from "../../api/objects";
import { environmentOrder } from "../../logic/applications";
import { type Fleet, order, tally, zoneOf } from "../../logic/fleet";
import { badness, INSTANCE, INSTANCE_ORDER } from "../../logic/phases";
import { useAdjust } from "../../parts/adjust";
import { CellGrid, type CellGroup, type CellSection } from "../../parts/cells";
import { Empty } from "../../parts/empty";
import { Dot } from "../../parts/phase";
import { found, Search } from "../../parts/search";
import { type Sorting, Table } from "../../parts/table";
import { Compact, columnsOf } from "./columns";
import { InstanceDrawer } from "./drawer";

interface Props {
  instances: readonly Instance[];
  fleet: Fleet;
  /** The release being rolled out, while one is. */
  to: string | undefined;
  /** What the cells are grouped by: for a deployment its hosts, for a host its deployments. */
  by: "host" | "deployment";
  /** The instance shown in the drawer. */
  open: string | undefined;
  /** Only instances of this phase. */
  phase: string | undefined;
  label: string;
}

export function Instances({ instances, fleet, to, by, open, phase, label }: Props) {
  const set = useAdjust<{ instance?: string; phase?: string }>();
  const [query, setQuery] = useState("");
  const [sorting, setSorting] = useState<Sorting>({ by: "phase", down: true });

  const openInstance = useCallback((name: string) => set({ instance: name }), [set]);
  const sections = useMemo(() => sectionsOf(instances, fleet, by), [instances, fleet, by]);
  const rows = useMemo(
    () => rowsOf(instances, query, phase, sorting),
    [instances, query, phase, sorting],
  );
  const columns = useMemo(() => columnsOf(by, openInstance), [by, openInstance]);

  if (instances.length === 0) {
    return (
      <section className="panel">
        <Empty title="No instances">
          <p>{by === "host" ? "Why tells what is being waited for." : "Nothing is placed here."}</p>
        </Empty>
      </section>
    );
  }
  const shown = open ? fleet.tables.instances.get(open) : undefined;
  return (
    <>
      <section className="panel" aria-label={`${label}, as cells`}>
        <div className="cell-panel">
          <CellGrid
            sections={sections}
            to={to}
            total={instances.length}
            find={(name) => fleet.tables.instances.get(name)}
            onOpen={openInstance}
          />
          {to && (
            <p className="cell-note">
              <span className="cell" /> runs {to} <span className="cell former" /> still to be
              updated
            </p>
          )}
        </div>
      </section>
      <section className="panel" aria-label={label}>
        <div className="instances-head">
          <Phases instances={instances} now={phase} onChange={(next) => set({ phase: next })} />
          <Search value={query} onChange={setQuery} label="Search instances" />
        </div>
        {rows.length === 0 ? (
          <Empty title="No instance matches" />
        ) : (
          <Table
            label={label}
            columns={columns}
            rows={rows}
            keyOf={(i) => i.metadata.name}
            compact={Compact}
            compactHeight={62}
            sorting={sorting}
            onSort={(column) =>
              setSorting({ by: column, down: sorting.by === column && !sorting.down })
            }
            onOpen={(i) => openInstance(i.metadata.name)}
          />
        )}
      </section>
      {shown && (
        <InstanceDrawer
          instance={shown}
          rows={rows}
          onGo={openInstance}
          onClose={() => set({ instance: undefined })}
        />
      )}
    </>
  );
}

interface PhasesProps {
  instances: readonly Instance[];
  now: string | undefined;
  onChange: (phase: string | undefined) => void;
}

/** How many are in each phase; pressing one leaves only those in the table. */
function Phases({ instances, now, onChange }: PhasesProps) {
  const counts = tally(instances, (i) => i.status.phase);
  const there = INSTANCE_ORDER.filter((phase) => counts.has(phase) || phase === now);
  return (
    <div className="chips">
      {there.map((phase) => (
        <button
          key={phase}
          type="button"
          className="chip"
          aria-pressed={phase === now}
          onClick={() => onChange(phase === now ? undefined : phase)}
        >
          <Dot tone={INSTANCE[phase].tone} />
          <b>{(counts.get(phase) ?? 0).toLocaleString("en")}</b> {INSTANCE[phase].word}
        </button>
      ))}
    </div>
  );
}

function sectionsOf(instances: readonly Instance[], fleet: Fleet, by: Props["by"]): CellSection[] {
  const sections = new Map<string, Map<string, Instance[]>>();
  for (const instance of instances) {
    const [section, group] =
      by === "host"
        ? [zoneOf(fleet.tables.hosts.get(instance.spec.host)), instance.spec.host]
        : [environmentOf(instance, fleet), instance.spec.deployment];
    const groups = sections.get(section) ?? new Map<string, Instance[]>();
    sections.set(section, groups);
    const list = groups.get(group);
    if (list) list.push(instance);
    else groups.set(group, [instance]);
  }
  const compare = by === "host" ? order : environmentOrder(fleet);
  return [...sections]
    .sort(([a], [b]) => compare(a, b))
    .map(([key, groups]) => ({
      key,
      label: by === "host" ? `zone ${key}` : key,
      groups: [...groups].sort(([a], [b]) => order(a, b)).map(groupOf),
    }));
}

function groupOf([key, instances]: [string, Instance[]]): CellGroup {
  return { key, label: key, instances };
}

function environmentOf(instance: Instance, fleet: Fleet): string {
  return fleet.tables.deployments.get(instance.spec.deployment)?.spec.environment ?? "gone";
}

const SORTS: Readonly<Record<string, (a: Instance, b: Instance) => number>> = {
  name: (a, b) => order(a.metadata.name, b.metadata.name),
  phase: (a, b) => badness(a.status.phase) - badness(b.status.phase),
  host: (a, b) => order(a.spec.host, b.spec.host),
  release: (a, b) => order(a.spec.release, b.spec.release),
  restarts: (a, b) => a.status.restarts - b.status.restarts,
  since: (a, b) => String(a.status.since ?? "").localeCompare(String(b.status.since ?? "")),
};

function rowsOf(
  instances: readonly Instance[],
  query: string,
  phase: string | undefined,
  sorting: Sorting,
): readonly Instance[] {
  const compare = SORTS[sorting.by] ?? (() => 0);
  const sign = sorting.down ? -1 : 1;
  return instances
    .filter((i) => !phase || i.status.phase === (phase as InstancePhase))
    .filter((i) => matches(i, query))
    .sort((a, b) => sign * compare(a, b) || order(a.metadata.name, b.metadata.name));
}

function matches(instance: Instance, query: string): boolean {
  const { metadata, spec, status } = instance;
  const reasons = (status.reasons ?? []).map((r) => `${r.code} ${r.message}`).join(" ");
  return found(query, metadata.name, spec.host, spec.release, INSTANCE[status.phase].word, reasons);
}

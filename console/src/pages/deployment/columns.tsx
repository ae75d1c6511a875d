// The columns of tables of instances, and the compact block of narrow pages.
import type { Instance } from "../../api/objects";
import { INSTANCE } from "../../logic/phases";
import { Ago } from "../../parts/ago";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import type { Column } from "../../parts/table";

function ports(instance: Instance): string {
  const all = Object.entries(instance.status.ports ?? instance.spec.ports ?? {});
  return all.map(([name, port]) => (all.length > 1 ? `${name} ${port}` : String(port))).join(", ");
}

function why(instance: Instance): string {
  return instance.status.phase === "ready" ? "" : (instance.status.reasons?.[0]?.message ?? "");
}

function release(instance: Instance) {
  const { spec, status } = instance;
  const moving = status.release && status.release !== spec.release;
  return moving ? (
    <span title={`${status.release} → ${spec.release}`}>
      <span className="quiet">{status.release} → </span>
      {spec.release}
    </span>
  ) : (
    spec.release
  );
}

/** The columns; the name opens the instance, its other place is a link. */
export function columnsOf(
  by: "host" | "deployment",
  onOpen: (name: string) => void,
): readonly Column<Instance>[] {
  return [
    {
      id: "name",
      head: "Instance",
      width: "minmax(8rem, 1.2fr)",
      sorts: true,
      cell: (i) => (
        <button
          type="button"
          className="link-button strong"
          onClick={() => onOpen(i.metadata.name)}
        >
          {i.metadata.name}
        </button>
      ),
    },
    {
      id: "phase",
      head: "State",
      width: "8.2rem",
      sorts: true,
      cell: (i) => <State {...INSTANCE[i.status.phase]} />,
    },
    ...(by === "host"
      ? [
          {
            id: "host",
            head: "Host",
            width: "minmax(4.5rem, 0.7fr)",
            sorts: true,
            cell: (i: Instance) => (
              <ObjectLink plural="hosts" name={i.spec.host} className="linkish" />
            ),
          },
        ]
      : []),
    { id: "release", head: "Release", width: "minmax(5.5rem, 0.9fr)", sorts: true, cell: release },
    {
      id: "ports",
      head: "Ports",
      width: "4.2rem",
      cell: (i) => <span className="second">{ports(i)}</span>,
    },
    {
      id: "restarts",
      head: "Restarts",
      width: "4.2rem",
      right: true,
      sorts: true,
      cell: (i) => (
        <span className={i.status.restarts > 0 ? "strong" : "quiet"}>{i.status.restarts}</span>
      ),
    },
    {
      id: "since",
      head: "For",
      width: "3rem",
      right: true,
      sorts: true,
      cell: (i) => <Ago at={i.status.since} />,
    },
    {
      id: "why",
      head: "Why",
      width: "minmax(4rem, 2fr)",
      cell: (i) => (
        <span className="second" title={why(i)}>
          {why(i)}
        </span>
      ),
    },
  ];
}

/** Two lines for narrow pages; a press anywhere on it opens it. */
export function Compact(instance: Instance) {
  const { metadata, spec, status } = instance;
  return (
    <div className="instance-compact">
      <div className="row">
        <span className="strong cut">{metadata.name}</span>
        <State {...INSTANCE[status.phase]} />
      </div>
      <p className="small quiet cut">
        {spec.host} · {spec.release} · {why(instance) || <Ago at={status.since} />}
      </p>
    </div>
  );
}

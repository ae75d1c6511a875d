// Instances as small cells, one each: their phase as colour and pattern, and while a rollout is
// under way, those still on the former release paler. What cannot be pointed at is told in words.
import { memo, type PointerEvent, useState } from "react";
import type { Instance } from "../api/objects";
import { tally } from "../logic/fleet";
import { INSTANCE, INSTANCE_ORDER } from "../logic/phases";
import type { Segment } from "./bars";
import { Segments } from "./bars";
import "./cells.css";

/** How instances stand, in the order in which it is drawn. */
export function phaseParts(instances: readonly Instance[]): Segment[] {
  const counts = tally(instances, (i) => i.status.phase);
  return INSTANCE_ORDER.map((phase) => ({ ...INSTANCE[phase], count: counts.get(phase) ?? 0 }));
}

function inWords(instances: readonly Instance[]): string {
  const told = phaseParts(instances).filter((p) => p.count > 0);
  return told.map((p) => `${p.count} ${p.word}`).join(", ") || "none";
}

interface CellsProps {
  instances: readonly Instance[];
  /** The release being rolled out, while one is. */
  to: string | undefined;
  label: string;
}

/** A group of cells, drawn again only when one of its instances has changed. */
export const Cells = memo(function Cells({ instances, to, label }: CellsProps) {
  return (
    <span className="cells" role="img" aria-label={`${label}: ${inWords(instances)}`}>
      {instances.map((instance) => (
        <i
          key={instance.metadata.name}
          data-name={instance.metadata.name}
          className={looks(instance, to)}
        />
      ))}
    </span>
  );
});

function looks(instance: Instance, to: string | undefined): string {
  const { phase } = instance.status;
  const former = to !== undefined && instance.spec.release !== to;
  const part =
    phase === "starting" || phase === "fetching" || phase === "pending" ? ` ${phase}` : "";
  return `cell ${INSTANCE[phase].tone}${part}${former ? " former" : ""}`;
}

const MOST_CELLS = 64;

/** The instances of a row of a list: cells while they are few, a bar once they are many. */
export const Spark = memo(function Spark({ instances, to, label }: CellsProps) {
  if (instances.length === 0) return null;
  if (instances.length > MOST_CELLS) {
    return (
      <span className="spark-bar">
        <Segments parts={phaseParts(instances)} label={label} />
      </span>
    );
  }
  return <Cells instances={instances} to={to} label={label} />;
});

export interface CellGroup {
  readonly key: string;
  readonly label: string;
  readonly href?: string;
  readonly instances: readonly Instance[];
}

export interface CellSection {
  readonly key: string;
  readonly label: string;
  readonly groups: readonly CellGroup[];
}

interface GridProps {
  sections: readonly CellSection[];
  to: string | undefined;
  total: number;
  find: (name: string) => Instance | undefined;
  onOpen: (name: string) => void;
}

interface Tip {
  readonly name: string;
  readonly x: number;
  readonly y: number;
}

/** Everything a deployment or a host runs, by where it runs. */
export function CellGrid({ sections, to, total, find, onOpen }: GridProps) {
  const [tip, setTip] = useState<Tip | null>(null);
  const size = total > 1500 ? "tiny" : total > 400 ? "fine" : "";

  const point = (event: PointerEvent) => {
    const cell = (event.target as HTMLElement).closest<HTMLElement>("[data-name]");
    const name = cell?.dataset.name;
    if (!cell || !name || event.pointerType === "touch") return setTip(null);
    const box = cell.getBoundingClientRect();
    setTip({ name, x: box.left + box.width / 2, y: box.top });
  };

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the table below opens the same by the keyboard
    // biome-ignore lint/a11y/noStaticElementInteractions: as above
    <div
      className={`cell-grid ${size}`}
      onPointerOver={point}
      onPointerLeave={() => setTip(null)}
      onClick={(event) => {
        const cell = (event.target as HTMLElement).closest<HTMLElement>("[data-name]");
        if (cell?.dataset.name) onOpen(cell.dataset.name);
      }}
    >
      {sections.map((section) => (
        <section key={section.key} className="cell-section">
          <h2>{section.label}</h2>
          <div className="cell-groups">
            {section.groups.map((group) => (
              <figure key={group.key} className="cell-group">
                <figcaption className="cut">{group.label}</figcaption>
                <Cells instances={group.instances} to={to} label={group.label} />
              </figure>
            ))}
          </div>
        </section>
      ))}
      {tip && <CellTip tip={tip} instance={find(tip.name)} />}
    </div>
  );
}

function CellTip({ tip, instance }: { tip: Tip; instance: Instance | undefined }) {
  if (!instance) return null;
  const { phase, reasons } = instance.status;
  const x = Math.min(Math.max(tip.x, 130), innerWidth - 130);
  return (
    <div className="cell-tip" style={{ left: x, top: tip.y }} aria-hidden="true">
      <b>{instance.metadata.name}</b>
      <span>
        {INSTANCE[phase].word} · {instance.spec.release} · {instance.spec.host}
      </span>
      {reasons?.[0] && phase !== "ready" && <span className="cell-why">{reasons[0].message}</span>}
    </div>
  );
}

// The steps of a run as a graph, each with the cells of its matrix, in their live states. What is
// pointed at shows what it needs and what needs it; where it stands is worked out in logic/graph.ts.

import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useNow } from "../../api/live";
import type { Task } from "../../api/objects";
import {
  CELL,
  type Cell,
  cellLook,
  type StepView,
  stepPhase,
  tookWords,
  valuesWords,
} from "../../logic/ci";
import { layout } from "../../logic/graph";
import { counted } from "../../logic/quantity";
import { Dot } from "../../parts/phase";

interface Props {
  views: readonly StepView[];
  tasks: ReadonlyMap<string, Task>;
  /** The cell that is shown beside, as `cellKey` names it. */
  chosen: string | undefined;
  onChoose: (cell: Cell) => void;
}

const WIDTH = 138;
const LINE = 34;
const CELLS_IN_ROW = 12;
const MOST_CELLS = 48;

export const cellKey = (cell: Cell): string => `${cell.step} ${valuesWords(cell)}`;

function heightOf({ cells }: StepView): number {
  if (cells.length < 2) return LINE;
  return LINE + 4 + Math.ceil(Math.min(cells.length, MOST_CELLS) / CELLS_IN_ROW) * 12;
}

export function StepGraph({ views, tasks, chosen, onChoose }: Props) {
  const [pointed, setPointed] = useState<string | null>(null);
  // Where steps stand follows from what they need, not from how they are.
  const shape = views.map((v) => `${v.step.name}:${v.step.needs?.join()}:${v.cells.length}`).join();
  const latest = useRef(views);
  latest.current = views;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` is all the places follow from
  const drawn = useMemo(() => {
    const byName = new Map(latest.current.map((v) => [v.step.name, v]));
    return layout(
      latest.current.map((v) => v.step),
      {
        width: WIDTH,
        gap: 26,
        between: 9,
        height: (name) => heightOf(byName.get(name) as StepView),
      },
    );
  }, [shape]);
  const phases = new Map(views.map((v) => [v.step.name, v.phase]));
  const box = useRef<HTMLElement>(null);
  const scale = useScale(box, drawn.width);
  const place = drawn.places.get(chosen?.split(" ")[0] ?? "");
  useLayoutEffect(() => {
    // What is chosen is shown; what is shown is not moved.
    const it = box.current;
    if (!it || !place) return;
    const [x, y] = [place.x * scale, place.y * scale];
    const seen = (at: number, from: number, room: number) => at >= from && at + 60 < from + room;
    if (!seen(x, it.scrollLeft, it.clientWidth)) it.scrollLeft = x - it.clientWidth / 2;
    if (!seen(y, it.scrollTop, it.clientHeight)) it.scrollTop = y - it.clientHeight / 2;
  }, [place, scale]);
  const near = (edge: { from: string; to: string }) => edge.from === pointed || edge.to === pointed;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
    <section className="step-graph" tabIndex={0} aria-label="graph of the steps" ref={box}>
      <div className="step-field" style={{ width: drawn.width, height: drawn.height, zoom: scale }}>
        <svg width={drawn.width} height={drawn.height} aria-hidden="true">
          {drawn.edges.map((edge) => (
            <path
              key={`${edge.from}>${edge.to}`}
              d={edge.path}
              className={near(edge) ? "near" : phases.get(edge.from) === "succeeded" ? "done" : ""}
            />
          ))}
        </svg>
        <ul data-list>
          {views.map((view) => {
            const place = drawn.places.get(view.step.name);
            if (!place) return null;
            const { x, y, width, height } = place;
            return (
              <li
                key={view.step.name}
                data-row
                style={{ left: x, top: y, width, height }}
                onPointerEnter={() => setPointed(view.step.name)}
                onPointerLeave={() => setPointed(null)}
              >
                <StepNode view={view} tasks={tasks} chosen={chosen} onChoose={onChoose} />
              </li>
            );
          })}
        </ul>
      </div>
    </section>
  );
}

/** No smaller than this are steps drawn; what then finds no room is scrolled to. */
const SMALLEST = 0.84;

/** How much smaller everything is drawn, so that as much as can be read is seen. */
function useScale(box: React.RefObject<HTMLElement | null>, width: number): number {
  const [room, setRoom] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => setRoom(entry?.contentRect.width ?? 0));
    observer.observe(element);
    return () => observer.disconnect();
  }, [box]);
  return room === 0 || width === 0 ? 1 : Math.max(SMALLEST, Math.min(1, room / width));
}

interface NodeProps {
  view: StepView;
  tasks: ReadonlyMap<string, Task>;
  chosen: string | undefined;
  onChoose: (cell: Cell) => void;
}

function StepNode({ view, tasks, chosen, onChoose }: NodeProps) {
  const { step, cells, phase } = view;
  const here = cells.some((cell) => cellKey(cell) === chosen);
  const worst =
    cells.find((c) => c.phase === "failed") ?? cells.find((c) => c.phase === "going") ?? cells[0];
  const failed = phase === "failed" && worst?.task ? tasks.get(worst.task) : undefined;
  const look = worst && failed ? cellLook(worst, failed) : CELL[phase];
  const retries = cells.reduce((sum, cell) => sum + (cell.retries ?? 0), 0);
  const told = [
    `${step.name}: ${look.word}`,
    step.needs?.length ? `after ${step.needs.join(", ")}` : "",
    step.when ? `when ${step.when}` : "",
    step.mayFail ? "may fail" : "",
    retries > 0 ? `tried again ${counted(retries, "time")}` : "",
  ];
  return (
    <div
      className={`step-node ${look.tone}${here ? " here" : ""}${phase === "skipped" ? " out" : ""}`}
    >
      <button
        type="button"
        className="node-name"
        aria-pressed={here}
        disabled={!worst}
        title={told.filter(Boolean).join("; ")}
        onClick={() => worst && onChoose(worst)}
      >
        <Dot tone={look.tone} />
        <StepName name={step.name} />
        {retries > 0 && <span className="step-again">↻{retries}</span>}
        <span className="step-took">
          {worst?.task && cells.length === 1 ? (
            <Took task={tasks.get(worst.task)} />
          ) : cells.length > 1 ? (
            `${cells.filter((c) => c.phase === "succeeded").length}/${cells.length}`
          ) : null}
        </span>
      </button>
      {cells.length > 1 && <MatrixCells cells={cells} chosen={chosen} onChoose={onChoose} />}
    </div>
  );
}

/** Names that find no room are cut in their middle: many begin alike. */
function StepName({ name }: { name: string }) {
  const tail = name.length > 12 ? 7 : 0;
  return (
    <span className="node-words grow">
      <span className="cut">{name.slice(0, name.length - tail)}</span>
      {tail > 0 && <span>{name.slice(-tail)}</span>}
    </span>
  );
}

function Took({ task }: { task: Task | undefined }) {
  return task?.status.startedAt ? <Time status={task.status} /> : null;
}

function Time({ status }: { status: Task["status"] }) {
  const now = useNow();
  return <>{tookWords(status, now)}</>;
}

interface MatrixProps {
  cells: readonly Cell[];
  chosen: string | undefined;
  onChoose: (cell: Cell) => void;
}

const MatrixCells = memo(function MatrixCells({ cells, chosen, onChoose }: MatrixProps) {
  const shown = cells.slice(0, MOST_CELLS);
  const hidden = cells.slice(MOST_CELLS);
  return (
    <span className="matrix">
      {shown.map((cell) => {
        const words = `${valuesWords(cell)}: ${CELL[cell.phase].word}`;
        return (
          <button
            key={cellKey(cell)}
            type="button"
            className={`matrix-cell ${CELL[cell.phase].tone} ${cell.phase}`}
            aria-label={words}
            title={words}
            aria-pressed={cellKey(cell) === chosen}
            onClick={() => onChoose(cell)}
          />
        );
      })}
      {hidden.length > 0 && (
        <span className="small quiet" title={CELL[stepPhase(hidden)].word}>
          +{hidden.length}
        </span>
      )}
    </span>
  );
});

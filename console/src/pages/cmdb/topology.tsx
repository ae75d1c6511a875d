// What has to do with what, drawn: who talks to whom, or what stands where. Of very many things the
// most related are drawn; one that is pointed at stands out with its neighbours, and one that is
// chosen is drawn with them alone.

import { useMemo, useState } from "react";
import { useRelations } from "../../api/inventory";
import { layout } from "../../logic/graph";
import { drawn, type Level } from "../../logic/inventory";
import { counted } from "../../logic/quantity";
import { useAdjust } from "../../parts/adjust";
import { Empty, Skeleton } from "../../parts/empty";
import { SubjectLink } from "../../parts/object-link";
import { ProblemView } from "../../parts/problem";

const LEVELS: readonly { id: Level; word: string }[] = [
  { id: "talk", word: "Who talks to whom" },
  { id: "place", word: "What stands where" },
  { id: "all", word: "Everything" },
];

const NONE: never[] = [];

export function Topology({ level = "talk", of }: { level?: Level; of?: string }) {
  const relations = useRelations();
  const set = useAdjust<{ level?: Level; of?: string | undefined }>();
  const [pointed, setPointed] = useState<string | null>(null);
  const all = relations.data?.relations ?? NONE;
  const part = useMemo(() => drawn(all, level, of), [all, level, of]);
  const shape = useMemo(
    () => layout(part.nodes, { width: 170, gap: 70, between: 6, height: () => 28 }),
    [part],
  );
  if (relations.error) return <ProblemView problem={relations.error} />;
  if (!relations.data) return <Skeleton lines={8} />;
  const near = new Set([pointed]);
  for (const { from, to } of part.edges) {
    if (from === pointed) near.add(to);
    if (to === pointed) near.add(from);
  }
  const dim = (name: string) => pointed !== null && !near.has(name);
  return (
    <section className="panel" aria-label="topology">
      <header>
        <div className="choice" role="group" aria-label="level">
          {LEVELS.map(({ id, word }) => (
            <button
              key={id}
              type="button"
              aria-pressed={level === id}
              onClick={() => set({ level: id, of: undefined })}
            >
              {word}
            </button>
          ))}
        </div>
        {of ? (
          <button type="button" className="button small" onClick={() => set({ of: undefined })}>
            All again
          </button>
        ) : (
          <span className="small quiet">
            {counted(part.nodes.length, "thing")}
            {part.left > 0 && `, ${part.left} less related ones left out`}
          </span>
        )}
      </header>
      {part.nodes.length === 0 ? (
        <Empty title="Nothing is known to have to do with anything here">
          <p>What instances talk to is found from their sockets within seconds.</p>
        </Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
        <section className="topology" tabIndex={0} aria-label="graph">
          <div className="topology-field" style={{ width: shape.width, height: shape.height }}>
            <svg width={shape.width} height={shape.height} aria-hidden="true">
              {shape.edges.map((edge) => (
                <path
                  key={`${edge.from}>${edge.to}`}
                  d={edge.path}
                  className={
                    pointed === null
                      ? ""
                      : edge.from === pointed || edge.to === pointed
                        ? "near"
                        : "far"
                  }
                />
              ))}
            </svg>
            <ul data-list>
              {part.nodes.map(({ name }) => {
                const place = shape.places.get(name);
                if (!place) return null;
                const { x, y, width, height } = place;
                return (
                  <li
                    key={name}
                    data-row
                    data-kind={name.slice(0, name.indexOf("/"))}
                    className={dim(name) ? "dim" : ""}
                    style={{ left: x, top: y, width, height }}
                    title={name}
                    onPointerEnter={() => setPointed(name)}
                    onPointerLeave={() => setPointed(null)}
                  >
                    <button type="button" className="cut" onClick={() => set({ of: name })}>
                      {name}
                    </button>
                  </li>
                );
              })}
            </ul>
          </div>
        </section>
      )}
      {of && (
        <div className="body small">
          <SubjectLink subject={of} /> with what it has to do with
        </div>
      )}
    </section>
  );
}

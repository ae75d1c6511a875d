// One cell of a run: the task that does it, what it left, and its log.
import { artifactPath } from "../../api/ci";
import { useNow, useObject } from "../../api/live";
import {
  CELL,
  type Cell,
  cellLook,
  type StepView,
  type Timed,
  tookWords,
  valuesWords,
} from "../../logic/ci";
import { counted, memoryWords } from "../../logic/quantity";
import { Fact, Facts } from "../../parts/facts";
import { Icon } from "../../parts/icon";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { JobLog } from "./joblog";

interface Props {
  view: StepView;
  cell: Cell;
  onChoose: (cell: Cell) => void;
}

export function CellView({ view, cell, onChoose }: Props) {
  const { step, cells } = view;
  const task = useObject("tasks", cell.task ?? "");
  const look = cellLook(cell, task);
  return (
    <section className="panel cell-view" aria-label={`step ${step.name}`}>
      <header>
        <h2>{step.name}</h2>
        {cells.length > 1 && (
          <select
            aria-label="Cell of the matrix"
            value={valuesWords(cell)}
            onChange={(event) => {
              const next = cells.find((c) => valuesWords(c) === event.target.value);
              if (next) onChoose(next);
            }}
          >
            {cells.map((c) => (
              <option key={valuesWords(c)} value={valuesWords(c)}>
                {valuesWords(c)} – {CELL[c.phase].word}
              </option>
            ))}
          </select>
        )}
        <State {...look} />
      </header>
      <div className="body stack tight">
        <Facts>
          {task?.spec.host && (
            <Fact name="on">
              <ObjectLink plural="hosts" name={task.spec.host} />
            </Fact>
          )}
          {task?.status.startedAt && (
            <Fact name="took">
              <Took status={task.status} />
            </Fact>
          )}
          {typeof task?.status.exitCode === "number" && (
            <Fact name="exit code">{task.status.exitCode}</Fact>
          )}
          <Fact name="in">{step.image ?? "a sandbox"}</Fact>
          {step.services?.length ? (
            <Fact name="beside it">{step.services.map((s) => s.name).join(", ")}</Fact>
          ) : null}
          {(cell.retries ?? 0) > 0 && (
            <Fact name="tried again">{counted(cell.retries ?? 0, "time")}</Fact>
          )}
          {task?.status.cacheHits?.length ? (
            <Fact name="caches found">{task.status.cacheHits.join(", ")}</Fact>
          ) : null}
          {step.needs?.length ? <Fact name="after">{step.needs.join(", ")}</Fact> : null}
          {step.when && <Fact name="when">{step.when}</Fact>}
        </Facts>
        {task && <Reasons reasons={task.status.reasons ?? []} most={4} />}
        <Artifacts task={cell.task ?? undefined} kept={task?.status.artifacts} />
        {step.run && (
          <details className="script">
            <summary>Script</summary>
            <pre>{step.run}</pre>
          </details>
        )}
      </div>
      {cell.task && task && !task.status.startedAt ? (
        <p className="body quiet">
          {task.status.endedAt || cell.phase === "failed"
            ? "It never began, so that it wrote nothing."
            : "It has not begun: its log is here once it has."}
        </p>
      ) : cell.task && task ? (
        <JobLog
          key={cell.task}
          task={cell.task}
          failed={cell.phase === "failed"}
          over={task.status.endedAt !== undefined && task.status.endedAt !== null}
        />
      ) : (
        <p className="body quiet">
          {cell.phase === "waiting"
            ? "It has not begun: steps before it are not done."
            : cell.phase === "skipped"
              ? "It was left out: its condition was not true, or a step before failed."
              : "No task of it is kept."}
        </p>
      )}
    </section>
  );
}

function Took({ status }: { status: Timed }) {
  const now = useNow();
  return <>{tookWords(status, now)}</>;
}

interface ArtifactsProps {
  task: string | undefined;
  kept: Readonly<Record<string, { size: number; entries: number }>> | undefined;
}

function Artifacts({ task, kept }: ArtifactsProps) {
  const all = Object.entries(kept ?? {});
  if (!task || all.length === 0) return null;
  return (
    <p className="row wrap small">
      <span className="quiet">left</span>
      {all.map(([name, { size, entries }]) => (
        <a
          key={name}
          className="artifact"
          href={artifactPath(task, name)}
          download={`${name}.tar`}
          title={`${entries} ${entries === 1 ? "entry" : "entries"}, as an archive of tar`}
        >
          <Icon name="releases" size={13} />
          {name} <span className="quiet">{memoryWords(size)}</span>
        </a>
      ))}
    </p>
  );
}

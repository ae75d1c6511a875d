// One run of a pipeline: its steps as a graph, the log of the one that is looked at, its tests.
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useNow, useObject, useSnapshot, useSynced } from "../../api/live";
import type { Run } from "../../api/objects";
import {
  CAUSES,
  commitOf,
  firstOf,
  isOver,
  runLook,
  stepsOf,
  tookWords,
  totalsOf,
} from "../../logic/ci";
import { Ago } from "../../parts/ago";
import { ChangeDialog } from "../../parts/change";
import { Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Icon } from "../../parts/icon";
import { Manifest } from "../../parts/manifest";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { RunSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { proposalOf } from "../deployment/actions";
import { NoObject } from "../object/missing";
import { cellKey, StepGraph } from "./graph";
import { CellView } from "./task";
import { RunTestsView } from "./tests";
import "./ci.css";

export function RunPage({ name, tab = "steps", cell }: RunSearch & { name: string }) {
  const run = useObject("runs", name);
  const synced = useSynced();
  const mayWrite = useMayWrite();
  if (!synced) return <Skeleton lines={8} />;
  if (!run) return <NoObject plural="runs" name={name} />;
  const { generation = 0, revision = 0 } = run.metadata;
  const { failed, passed } = totalsOf(run);
  return (
    <>
      <Head
        title={`${run.spec.pipeline} #${run.spec.number}`}
        crumbs={[
          { word: "pipelines", to: "/pipelines" },
          { word: run.spec.pipeline, to: `/pipelines/${run.spec.pipeline}` },
        ]}
        beside={<State {...runLook(run)} />}
      >
        {mayWrite && !isOver(run.status.phase) && <Cancel run={run} />}
      </Head>
      <div className="stack">
        <Summary run={run} />
        <Tabs
          label="views"
          now={tab}
          tabs={[
            { id: "steps", word: "Steps" },
            { id: "tests", word: "Tests", count: failed > 0 ? failed : passed || undefined },
            { id: "why", word: "Why" },
            { id: "history", word: "History" },
            { id: "manifest", word: "Manifest" },
          ]}
        />
        {tab === "steps" && <Steps run={run} chosen={cell} />}
        {tab === "tests" && <RunTestsView run={run} />}
        {tab === "why" && <Why plural="runs" name={name} revision={revision} />}
        {tab === "history" && (
          <HistoryView plural="runs" mayWrite={false} {...{ name, generation, revision }} />
        )}
        {tab === "manifest" && <Manifest object={run} />}
      </div>
    </>
  );
}

function Summary({ run }: { run: Run }) {
  const { spec, status } = run;
  const { commit, made } = status;
  return (
    <section className="panel">
      <div className="body stack tight">
        {commit && (
          <p className="run-subject">
            <b>{commit.subject}</b>{" "}
            <span className="quiet">
              {commit.author}, <Ago at={commit.at} /> ago
            </span>
          </p>
        )}
        <Facts>
          <Fact name="branch">{spec.branch ?? "the pipeline’s own"}</Fact>
          {commitOf(run) && (
            <Fact name="commit">
              <code title={commit?.id}>{commitOf(run)}</code>
            </Fact>
          )}
          <Fact name="begun by">{CAUSES[spec.cause]}</Fact>
          <Fact name="began">
            {status.startedAt ? (
              <>
                <Ago at={status.startedAt} /> ago
              </>
            ) : (
              "not yet"
            )}
          </Fact>
          <Fact name="took">
            <Took run={run} />
          </Fact>
          {made && <Fact name="made">{made.version}</Fact>}
          {Object.entries(spec.params ?? {}).map(([key, value]) => (
            <Fact key={key} name={key}>
              {String(value)}
            </Fact>
          ))}
        </Facts>
        <Reasons reasons={status.reasons ?? []} most={6} />
      </div>
    </section>
  );
}

export function Took({ run }: { run: Run }) {
  const now = useNow();
  return <>{tookWords(run.status, now)}</>;
}

function Steps({ run, chosen }: { run: Run; chosen: string | undefined }) {
  const { tables } = useSnapshot();
  const navigate = useNavigate();
  const pipeline = tables.pipelines.get(run.spec.pipeline);
  const views = useMemo(() => stepsOf(run, pipeline), [run, pipeline]);
  const [first] = useState(() => firstOf(views));
  const cells = views.flatMap((view) => view.cells);
  // What was looked at first stays, though other cells have begun meanwhile.
  const known = chosen ?? (first && cellKey(first));
  const cell = cells.find((c) => cellKey(c) === known) ?? firstOf(views);
  const view = views.find((v) => v.step.name === cell?.step);
  const choose = (next: { step: string; values?: Record<string, string> | null }) =>
    void navigate({
      to: ".",
      search: (old: Record<string, unknown>) => ({ ...old, cell: cellKey(next as never) }),
      replace: true,
      resetScroll: false,
    } as never);
  if (views.length === 0) {
    return (
      <section className="panel">
        <p className="body quiet">
          {isOver(run.status.phase)
            ? "It ended before its steps were known."
            : "Its steps are not known yet: they stand in the repository, which is being read."}
        </p>
      </section>
    );
  }
  return (
    <div className={views.length <= 6 ? "run-view beside" : "run-view"}>
      <section className="panel" aria-label="steps of the run">
        <StepGraph
          views={views}
          tasks={tables.tasks}
          chosen={cell && cellKey(cell)}
          onChoose={choose}
        />
      </section>
      {cell && view && <CellView key={cellKey(cell)} view={view} cell={cell} onChoose={choose} />}
    </div>
  );
}

function Cancel({ run }: { run: Run }) {
  const [asked, setAsked] = useState(false);
  const { name, generation = 0 } = run.metadata;
  const [edit, setEdit] = useState({
    plural: "runs" as const,
    name,
    generation,
    spec: { cancelled: true },
  });
  return (
    <>
      <button
        type="button"
        className="button danger"
        onClick={() => {
          setEdit({ ...edit, generation });
          setAsked(true);
        }}
      >
        <Icon name="stop" /> Cancel
      </button>
      {asked && (
        <ChangeDialog
          title={`Cancel ${name}`}
          lead="Steps that go on are asked to end, and killed if they do not. Steps that are always done still are."
          word="Cancel the run"
          danger
          proposal={proposalOf(edit, `run/${name} is being cancelled`)}
          onClose={() => setAsked(false)}
        />
      )}
    </>
  );
}

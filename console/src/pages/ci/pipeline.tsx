// One pipeline: its runs, its steps as they stand now, the tests that cannot be relied on.
import { useMemo, useState } from "react";
import { useObject, useSnapshot, useSynced } from "../../api/live";
import type { Pipeline, Run } from "../../api/objects";
import { runLook, runsOf } from "../../logic/ci";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Icon } from "../../parts/icon";
import { Manifest } from "../../parts/manifest";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { NoObject } from "../object/missing";
import { BeginRun } from "./begin";
import { StepGraph } from "./graph";
import { RunBars, RunRow, sourceWords } from "./pipelines";
import { PipelineTestsView } from "./tests";
import "./ci.css";

export function PipelinePage({ name, tab = "runs" }: ThingSearch & { name: string }) {
  const pipeline = useObject("pipelines", name);
  const { tables } = useSnapshot();
  const synced = useSynced();
  const mayWrite = useMayWrite();
  const [running, setRunning] = useState(false);
  const runs = useMemo(() => runsOf(tables.runs.values()).get(name) ?? [], [tables.runs, name]);
  if (!synced) return <Skeleton lines={8} />;
  if (!pipeline) return <NoObject plural="pipelines" name={name} />;
  const { generation = 0, revision = 0 } = pipeline.metadata;
  const [newest] = runs;
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "pipelines", to: "/pipelines" }]}
        beside={newest && <State {...runLook(newest)} />}
      >
        {mayWrite && (
          <button
            type="button"
            className="button main"
            onClick={() => setRunning(true)}
            data-key="e"
          >
            <Icon name="play" size={14} /> Run
          </button>
        )}
      </Head>
      <div className="stack">
        <section className="panel">
          <div className="body stack tight">
            <Facts>
              <Fact name="source">{sourceWords(pipeline)}</Fact>
              <Fact name="runs so far">{pipeline.status.lastRun}</Fact>
              <Fact name="may take">{pipeline.spec.timeout ?? "1h"}</Fact>
              {pipeline.spec.concurrency && (
                <Fact name="one at a time in">{pipeline.spec.concurrency.group}</Fact>
              )}
            </Facts>
            {runs.length > 0 && <RunBars runs={runs} />}
            <Reasons reasons={pipeline.status.reasons ?? []} />
          </div>
        </section>
        <Tabs
          label="views"
          now={tab}
          tabs={[
            { id: "runs", word: "Runs", count: runs.length },
            { id: "steps", word: "Steps" },
            { id: "tests", word: "Tests" },
            { id: "why", word: "Why" },
            { id: "history", word: "History" },
            { id: "manifest", word: "Manifest" },
          ]}
        />
        {tab === "runs" && <Runs runs={runs} name={name} />}
        {tab === "steps" && <Steps pipeline={pipeline} newest={newest} />}
        {tab === "tests" && <PipelineTestsView name={name} newest={pipeline.status.lastRun ?? 0} />}
        {tab === "why" && <Why plural="pipelines" name={name} revision={revision} />}
        {tab === "history" && (
          <HistoryView plural="pipelines" {...{ name, generation, revision, mayWrite }} />
        )}
        {tab === "manifest" && <Manifest object={pipeline} />}
      </div>
      {running && <BeginRun pipeline={pipeline} onClose={() => setRunning(false)} />}
    </>
  );
}

const PART = 30;

function Runs({ runs, name }: { runs: readonly Run[]; name: string }) {
  const [shown, setShown] = useState(PART);
  if (runs.length === 0) {
    return (
      <section className="panel">
        <Empty title="It has not run yet">
          <p>A commit begins a run, or a person:</p>
          <Example>{`atoll pipeline run ${name}`}</Example>
        </Empty>
      </section>
    );
  }
  return (
    <section className="panel" aria-label="runs">
      <ul data-list>
        {runs.slice(0, shown).map((run) => (
          <RunRow key={run.metadata.name} run={run} />
        ))}
      </ul>
      {runs.length > shown && (
        <p className="body">
          <button type="button" className="button slim" onClick={() => setShown(shown + PART)}>
            Older
          </button>
        </p>
      )}
    </section>
  );
}

/** The steps as the object declares them, or else as the newest run had them. */
function Steps({ pipeline, newest }: { pipeline: Pipeline; newest: Run | undefined }) {
  const steps = pipeline.spec.steps?.length
    ? pipeline.spec.steps
    : (newest?.status.definition?.steps ?? []);
  const views = useMemo(
    () => steps.map((step) => ({ step, cells: [], phase: "waiting" as const })),
    [steps],
  );
  return (
    <section className="panel" aria-label="steps">
      {views.length === 0 ? (
        <Empty title="Its steps stand in the repository, and no run has read them yet" />
      ) : (
        <StepGraph views={views} tasks={NONE} chosen={undefined} onChoose={() => {}} />
      )}
    </section>
  );
}

const NONE = new Map<string, never>();

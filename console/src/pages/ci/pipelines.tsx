// The pipelines: what each does with a commit, and how its newest runs went.
import { Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";
import { useSnapshot, useSynced } from "../../api/live";
import type { Pipeline, Run } from "../../api/objects";
import {
  commitOf,
  isOver,
  runLook,
  runsOf,
  tookMs,
  tookWords,
  usualMs,
  wellOf,
} from "../../logic/ci";
import { order } from "../../logic/fleet";
import { counted, percent } from "../../logic/quantity";
import { spanWords } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { Dot, State } from "../../parts/phase";
import { found, Search } from "../../parts/search";
import type { ListSearch } from "../../router";
import { Head } from "../../shell/head";
import "./ci.css";

const FIRST = `# atoll.yaml, in the repository of the application
apiVersion: atoll/v1
kind: Pipeline
metadata: { name: shop }
spec:
  source: { git: "https://git.example/trade/shop.git" }
  steps:
    - { name: test, run: make test, tests: [{ junit: "report.xml" }] }
    - { name: release, needs: [test], run: make, release: { package: out } }`;

export function PipelinesPage({ q = "" }: ListSearch) {
  const { tables } = useSnapshot();
  const synced = useSynced();
  const navigate = useNavigate();
  const runs = useMemo(() => runsOf(tables.runs.values()), [tables.runs]);
  const pipelines = useMemo(
    () => [...tables.pipelines.values()].sort((a, b) => order(a.metadata.name, b.metadata.name)),
    [tables.pipelines],
  );
  if (!synced) return <Skeleton lines={8} />;
  const shown = pipelines.filter((p) =>
    found(q, p.metadata.name, p.spec.source?.git, p.spec.application),
  );
  // What was run from a directory, and is kept nowhere as a pipeline.
  const handedIn = [...runs].filter(([name]) => !tables.pipelines.has(name) && found(q, name));
  const going = [...tables.runs.values()].filter((r) => !isOver(r.status.phase)).length;
  return (
    <>
      <Head
        title="Pipelines"
        lead={`${counted(pipelines.length, "pipeline")}, ${going === 0 ? "nothing runs" : `${counted(going, "run")} under way`}`}
      >
        {pipelines.length + handedIn.length > 0 && (
          <Search
            value={q}
            label="Search pipelines"
            onChange={(value) =>
              navigate({ to: ".", search: { q: value || undefined }, replace: true } as never)
            }
          />
        )}
      </Head>
      <section className="panel" aria-label="pipelines">
        {pipelines.length === 0 && handedIn.length === 0 ? (
          <Empty title="There are no pipelines yet">
            <p>A pipeline tests each commit, and makes a release of it:</p>
            <Example>{FIRST}</Example>
            <p>
              Apply it once, or try it on a directory with <code>atoll pipeline run</code>.
            </p>
          </Empty>
        ) : shown.length === 0 && handedIn.length === 0 ? (
          <Empty title="No pipeline matches" />
        ) : (
          <ul className="pipelines" data-list>
            {shown.map((p) => (
              <Row
                key={p.metadata.name}
                title={<ObjectLink plural="pipelines" name={p.metadata.name} className="strong" />}
                source={sourceWords(p)}
                runs={runs.get(p.metadata.name) ?? []}
              />
            ))}
            {handedIn.map(([name, its]) => (
              <Row key={name} title={<b>{name}</b>} source="run from a directory" runs={its} />
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

interface RowProps {
  readonly title: ReactNode;
  readonly source: string;
  readonly runs: readonly Run[];
}

function Row({ title, source, runs }: RowProps) {
  const [newest] = runs;
  const over = runs.filter((r) => isOver(r.status.phase)).slice(0, 20);
  const { good, doubtful } = wellOf(over);
  const usual = usualMs(runs);
  return (
    <li className="pipeline-row" data-row>
      <div className="pipeline-what">
        {title}
        <p className="small quiet cut">{source}</p>
      </div>
      <div className="pipeline-newest">
        {newest ? (
          <>
            <Link to={`/runs/${newest.metadata.name}` as "/"} className="row">
              <State {...runLook(newest)} />
              <span className="quiet">#{newest.spec.number}</span>
            </Link>
            <p className="small second cut" title={newest.status.commit?.subject}>
              {newest.status.commit?.subject ?? newest.spec.branch ?? ""}
            </p>
          </>
        ) : (
          <span className="quiet">never run</span>
        )}
      </div>
      <RunBars runs={runs} />
      <div className="pipeline-figures small">
        {over.length > 0 && (
          <span title={`of the newest ${over.length} that ended`}>
            <b>{percent(good, over.length)} %</b> <span className="quiet">good</span>
          </span>
        )}
        {doubtful > 0 && (
          <span className="quiet" title="no step failed, and yet tests did">
            {doubtful} with failed tests
          </span>
        )}
        {usual !== undefined && (
          <span className="quiet" title="the middle of those that succeeded">
            {spanWords(usual)}
          </span>
        )}
      </div>
    </li>
  );
}

export function sourceWords({ spec }: Pipeline): string {
  const { source, triggers } = spec;
  const cron = triggers?.schedules?.map((s) => `at ${s.cron}`).join(", ");
  if (!source) return cron || "on what is handed in";
  return [source.git ?? "served here", source.branch, cron].filter(Boolean).join(" · ");
}

const MOST_BARS = 24;

/** The newest runs, the oldest first, as bars as high as they took long. */
export function RunBars({ runs }: { runs: readonly Run[] }) {
  const shown = runs.slice(0, MOST_BARS).reverse();
  const times = shown.map((r) => tookMs(r.status, Date.now()) ?? 0);
  const most = Math.max(1, ...times);
  return (
    <span className="run-bars">
      {shown.map((run, i) => {
        const look = runLook(run);
        const words = `#${run.spec.number} ${look.word}, ${tookWords(run.status, Date.now())}`;
        return (
          <Link
            key={run.metadata.name}
            to={`/runs/${run.metadata.name}` as "/"}
            className={`run-bar ${look.tone}`}
            aria-label={words}
            title={words}
            tabIndex={-1}
          >
            <i style={{ height: `${Math.max(16, ((times[i] ?? 0) / most) * 100)}%` }} />
          </Link>
        );
      })}
    </span>
  );
}

/** A run as a row of a list. */
export function RunRow({ run }: { run: Run }) {
  const look = runLook(run);
  const { commit } = run.status;
  return (
    <li className="run-row" data-row>
      <Dot tone={look.tone} />
      <div className="run-what">
        <p>
          <Link to={`/runs/${run.metadata.name}` as "/"} className="strong">
            #{run.spec.number}
          </Link>{" "}
          <span className="second">{commit?.subject ?? ""}</span>
        </p>
        <p className="small quiet">
          {look.word} · {run.spec.branch ?? "its own branch"}
          {commitOf(run) && (
            <>
              {" · "}
              <code>{commitOf(run)}</code>
            </>
          )}
          {commit && ` · ${commit.author}`}
          {run.status.made && ` · made ${run.status.made.version}`}
          {run.status.phase === "failed" && run.status.reasons?.[0]
            ? ` · ${run.status.reasons[0].message}`
            : ""}
        </p>
      </div>
      <span className="small quiet nowrap right">
        {tookWords(run.status, Date.now())}
        <br />
        <Ago at={run.status.startedAt ?? run.metadata.createdAt} /> ago
      </span>
    </li>
  );
}

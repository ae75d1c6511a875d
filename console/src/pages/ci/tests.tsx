// Tests: those of one run, and those of a pipeline that were not always as they should. Unit,
// integration and system tests are told apart; what failed comes first.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import {
  type PipelineTests,
  pipelineTests,
  type RunTests,
  runTests,
  type Suite,
  type TestRun,
  type TestTotals,
} from "../../api/ci";
import type { Problem } from "../../api/http";
import type { Run } from "../../api/objects";
import { SUITES, sortedTests } from "../../logic/ci";
import { counted } from "../../logic/quantity";
import { spanWords } from "../../logic/time";
import { Segments } from "../../parts/bars";
import { Empty, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import { found, Search } from "../../parts/search";

const millis = (ms: number): string =>
  ms < 1_000 ? `${ms} ms` : ms < 60_000 ? `${(ms / 1000).toFixed(1)}s` : spanWords(ms);

export function RunTestsView({ run }: { run: Run }) {
  const { name, revision } = run.metadata;
  const tests = useQuery<RunTests, Problem>({
    queryKey: ["run-tests", name, run.status.phase, Object.keys(run.status.tests ?? {}).length],
    queryFn: ({ signal }) => runTests(name, signal),
  });
  const [q, setQ] = useState("");
  if (tests.error) return <ProblemView problem={tests.error} again={() => void tests.refetch()} />;
  if (!tests.data) return <Skeleton lines={6} />;
  const { totals, tests: all, truncated } = tests.data;
  const suites = SUITES.filter((s) => totals[s] || all.some((t) => t.suite === s));
  if (suites.length === 0) {
    return (
      <section className="panel" data-revision={revision}>
        <Empty title="No tests are told of">
          <p>
            A step tells of its tests by <code>tests</code>: reports of JUnit in its workspace.
          </p>
        </Empty>
      </section>
    );
  }
  return (
    <div className="stack">
      <div className="suites">
        {SUITES.map((suite) => (
          <SuiteTotals key={suite} suite={suite} totals={totals[suite]} />
        ))}
      </div>
      <div className="row wrap">
        <Search value={q} onChange={setQ} label="Search tests" />
        {truncated && <span className="warn-line">There were more than are kept.</span>}
      </div>
      {suites.map((suite) => (
        <SuiteList
          key={suite}
          suite={suite}
          tests={sortedTests(all.filter((t) => t.suite === suite && found(q, t.group, t.name)))}
        />
      ))}
    </div>
  );
}

function SuiteTotals({ suite, totals }: { suite: Suite; totals: TestTotals | undefined }) {
  const { passed = 0, failed = 0, skipped = 0 } = totals ?? {};
  return (
    <section className="panel suite" aria-label={`${suite} tests`}>
      <h3>{suite}</h3>
      {totals ? (
        <>
          <p className="suite-count">
            {failed > 0 ? <b className="bad-text">{failed} failed</b> : <b>{passed} passed</b>}
            <span className="quiet small">
              {failed > 0 && `${passed} passed`}
              {skipped > 0 && `${failed > 0 ? ", " : ""}${skipped} left out`}
            </span>
          </p>
          <Segments
            label={`${suite} tests`}
            parts={[
              { word: "failed", tone: "bad", count: failed },
              { word: "passed", tone: "ok", count: passed },
              { word: "left out", tone: "off", count: skipped },
            ]}
          />
          <p className="quiet small">{millis(totals.millis)} together</p>
        </>
      ) : (
        <p className="quiet">none</p>
      )}
    </section>
  );
}

const FEW = 12;
const LOOKS = {
  passed: { word: "passed", tone: "ok" },
  failed: { word: "failed", tone: "bad" },
  skipped: { word: "left out", tone: "off" },
} as const;

function SuiteList({ suite, tests }: { suite: Suite; tests: readonly TestRun[] }) {
  const [all, setAll] = useState(false);
  const asks = tests.filter((t) => t.outcome === "failed" || t.flaky).length;
  const shown = all ? tests : tests.slice(0, Math.max(FEW, asks));
  if (tests.length === 0) return null;
  return (
    <section className="panel" aria-label={suite}>
      <header>
        <h2>{suite}</h2>
        <span className="small quiet">{counted(tests.length, "test")}</span>
      </header>
      <ul className="tests" data-list>
        {shown.map((t) => (
          <TestRow key={`${t.task} ${t.group} ${t.name}`} test={t} />
        ))}
      </ul>
      {shown.length < tests.length && (
        <p className="body">
          <button type="button" className="button slim" onClick={() => setAll(true)}>
            Show all {tests.length}
          </button>
        </p>
      )}
    </section>
  );
}

function TestRow({ test }: { test: TestRun }) {
  return (
    <li className="test" data-row tabIndex={-1}>
      <State {...LOOKS[test.outcome]} />
      <div className="test-what">
        <p>
          <span className="quiet">{test.group} </span>
          <span className="strong">{test.name}</span>
          {test.flaky && (
            <span className="tag warn-tag" title="it both passed and failed on this commit">
              flaky
            </span>
          )}
        </p>
        {test.message && <pre className="test-said">{test.message}</pre>}
      </div>
      <span className="quiet small nowrap right">{millis(test.millis)}</span>
    </li>
  );
}

/** Which tests of a pipeline cannot be relied on, or fail. */
export function PipelineTestsView({ name, newest }: { name: string; newest: number }) {
  const tests = useQuery<PipelineTests, Problem>({
    queryKey: ["pipeline-tests", name, newest],
    queryFn: ({ signal }) => pipelineTests(name, signal),
  });
  if (tests.error) return <ProblemView problem={tests.error} again={() => void tests.refetch()} />;
  if (!tests.data) return <Skeleton lines={6} />;
  const { runs, tests: all } = tests.data;
  return (
    <section className="panel" aria-label="tests that were not always as they should">
      <header>
        <h2>Flaky or failing</h2>
        <span className="small quiet">over the newest {counted(runs.length, "run")}</span>
      </header>
      {all.length === 0 ? (
        <Empty title="Every test was always as it should be" />
      ) : (
        <ul className="tests" data-list>
          {all.map((t) => (
            <li
              key={`${t.suite} ${t.group} ${t.name}`}
              className="test record"
              data-row
              tabIndex={-1}
            >
              <State
                {...(t.flaky > 0
                  ? ({ word: "flaky", tone: "warn" } as const)
                  : ({ word: "fails", tone: "bad" } as const))}
              />
              <div className="test-what">
                <p>
                  <span className="quiet">{t.group} </span>
                  <span className="strong">{t.name}</span>
                  <span className="tag">{t.suite}</span>
                </p>
                <p className="small second">
                  failed {t.failed} of {counted(t.passed + t.failed, "time")}
                  {t.flaky > 0 && `, on ${counted(t.flaky, "commit")} both ways`}
                  {t.lastFailed && (
                    <>
                      ; last in <ObjectLink plural="runs" name={t.lastFailed} />
                    </>
                  )}
                </p>
              </div>
              <span className="test-bar">
                <Segments
                  label={t.name}
                  parts={[
                    { word: "failed", tone: "bad", count: t.failed },
                    { word: "passed", tone: "ok", count: t.passed },
                  ]}
                />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

// What one deployment can carry: its load as measured and as forecast, the days ahead, how good
// the forecast is beside the simplest ones, and what its releases were seen to carry.
import { useMemo, useState } from "react";
import { useCoarseNow, useFleet, useObject, useSynced } from "../../api/live";
import { useRange } from "../../api/metrics";
import type { Autoscaler, Capacity } from "../../api/objects";
import { CAPACITY, forecastUse, KNOWN, noForecast, scoreOf, simplest } from "../../logic/capacity";
import type { Span } from "../../logic/period";
import { amount, counted, ranged } from "../../logic/quantity";
import type { Grid, Line } from "../../logic/series";
import { moment, parseTime, spanWords } from "../../logic/time";
import { measured, share } from "../../logic/units";
import { Ago } from "../../parts/ago";
import { Chart } from "../../parts/chart";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Manifest } from "../../parts/manifest";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { NoObject } from "../object/missing";
import "../../parts/figures.css";
import "./capacity.css";

const TABS = [
  { id: "load", word: "Load" },
  { id: "manifest", word: "Manifest" },
  { id: "why", word: "Why" },
  { id: "history", word: "History" },
];
const STEP = 300_000;
const DAY_STEPS = 288;
/** Forecasts are measured a quarter of an hour ahead, over a week. */
const LEAD = 3;

const loadQuery = (deployment: string) =>
  `avg_over_time(scaling:signal{deployment=${JSON.stringify(deployment)},signal="load"}[5m])`;

export function DeploymentCapacityPage({ name, tab = "load" }: ThingSearch & { name: string }) {
  const capacity = useObject("capacities", name);
  const autoscaler = useObject("autoscalers", name);
  const synced = useSynced();
  const mayWrite = useMayWrite();
  if (!synced) return <Skeleton lines={8} />;
  if (!capacity) return <NoObject plural="capacities" name={name} />;
  const { status, spec, metadata } = capacity;
  const { generation = 0, revision = 0 } = metadata;
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "capacity", to: "/capacity" }]}
        beside={<State {...CAPACITY[status.phase ?? "unknown"]} />}
      >
        <ObjectLink plural="deployments" name={name} className="button">
          Deployment
        </ObjectLink>
      </Head>
      <div className="stack">
        <section className="panel">
          <div className="body stack">
            <Facts>
              <Fact name="load now">
                {typeof status.load === "number" ? measured(status.load) : "not known"}
              </Fact>
              <Fact name="one carries">
                {typeof status.each === "number" ? measured(status.each) : "not known"}{" "}
                <span className="quiet small">{KNOWN[status.known ?? "declared"]}</span>
              </Fact>
              <Fact name="needed, with the spare">
                {typeof status.load === "number" ? amount(status.needed ?? 0) : "not known"}
              </Fact>
              <Fact name="serve">{status.ready ?? 0}</Fact>
              <Fact name="spare">{share(spec.buffer ?? 0.1)}</Fact>
              {autoscaler && <Bounds autoscaler={autoscaler} />}
              {autoscaler && <ScoreFact autoscaler={autoscaler} />}
            </Facts>
            <Reasons reasons={[...(status.reasons ?? []), ...(autoscaler?.status.reasons ?? [])]} />
          </div>
        </section>
        <Tabs tabs={TABS} now={tab} label="views" />
        {tab === "load" && <Load capacity={capacity} autoscaler={autoscaler} />}
        {tab === "manifest" && <Manifest object={capacity} />}
        {tab === "why" && <Why plural="capacities" name={name} revision={revision} />}
        {tab === "history" && (
          <HistoryView plural="capacities" {...{ name, generation, revision, mayWrite }} />
        )}
      </div>
    </>
  );
}

const SCALER = {
  waiting: "waits for a measurement",
  acting: "kept by its autoscaler",
  observing: "only said by its autoscaler",
  blind: "what it goes by is not measured",
} as const;

function Bounds({ autoscaler }: { autoscaler: Autoscaler }) {
  const { desired, min = 0, max = 0, phase = "waiting" } = autoscaler.status;
  return (
    <Fact name="are to be">
      <ObjectLink plural="autoscalers" name={autoscaler.metadata.name}>
        {desired ?? "not known"}
      </ObjectLink>{" "}
      <span className="quiet small">
        of {ranged(min, max)}, {SCALER[phase]}
      </span>
    </Fact>
  );
}

/** How an autoscaler that only observes would have done: what is looked at before it is let act. */
function ScoreFact({ autoscaler }: { autoscaler: Autoscaler }) {
  const { score, phase } = autoscaler.status;
  if (!score || phase !== "observing") return null;
  const told = scoreOf(score);
  return (
    <Fact name="would have been too few">
      {told === undefined ? (
        <span className="quiet">
          {score.seconds > 0 ? "too little" : "nothing"} was measured yet
        </span>
      ) : (
        <>
          {share(told.short)}{" "}
          <span className="quiet small">
            of {spanWords(told.of)}, where {share(told.wasShort)} were
            {told.times !== undefined && `, with ${measured(told.times)}× the instances`}
          </span>
        </>
      )}
    </Fact>
  );
}

const SPANS = [
  { word: "6h", ms: 21_600_000 },
  { word: "1d", ms: 86_400_000 },
  { word: "2d", ms: 172_800_000 },
  { word: "7d", ms: 604_800_000 },
] as const;

interface LoadProps {
  capacity: Capacity;
  autoscaler: Autoscaler | undefined;
}

function Load({ capacity, autoscaler }: LoadProps) {
  const name = capacity.metadata.name;
  const [length, setLength] = useState<number>(SPANS[1].ms);
  const [span, ask] = useMemo(() => {
    // A week is compared with the week before it.
    return [{ kind: "last", ms: 14 * 86_400_000 } as Span, { step: STEP, every: 60_000 }] as const;
  }, []);
  const { data, error, refetch } = useRange(loadQuery(name), span, ask);
  if (error && !data) return <ProblemView problem={error} again={() => void refetch()} />;
  if (!data) return <Skeleton lines={8} />;
  return (
    <>
      <section className="panel" aria-label="load and forecast">
        <header className="load-head">
          <h2>Load, and what is expected of it</h2>
          <div className="choice" role="group" aria-label="time shown">
            {SPANS.map(({ word, ms }) => (
              <button
                key={word}
                type="button"
                aria-pressed={length === ms}
                onClick={() => setLength(ms)}
              >
                {word}
              </button>
            ))}
          </div>
        </header>
        <div className="body">
          {data.lines.length === 0 ? (
            <Empty title="Its load is not measured">
              <p>
                Put load on it and wait some minutes: its autoscaler keeps what it sees as{" "}
                <code>scaling:signal</code>, and nothing of that is there yet. What it lacks:
              </p>
              <Example>{`atoll why autoscaler/${name}`}</Example>
            </Empty>
          ) : (
            <LoadChart grid={data} length={length} capacity={capacity} autoscaler={autoscaler} />
          )}
        </div>
      </section>
      <Days grid={data} capacity={capacity} autoscaler={autoscaler} />
      <div className="two-up">
        <ScoreView grid={data} autoscaler={autoscaler} />
        <Releases capacity={capacity} />
      </div>
    </>
  );
}

/** What was measured, then what is expected, on one grid; what serves can carry is known now only. */
function joined(
  grid: Grid,
  length: number,
  capacity: Capacity,
  autoscaler: Autoscaler | undefined,
) {
  const count = Math.max(2, Math.floor(length / STEP));
  const times = grid.times.slice(-count);
  const past = grid.lines[0]?.values.slice(-count) ?? [];
  const last = times.at(-1) ?? 0;
  const points = (autoscaler?.status.forecast?.points ?? []).filter(
    (p) => (parseTime(p.at) ?? 0) / 1000 > last,
  );
  const ahead = points.map((p) => (parseTime(p.at) ?? 0) / 1000);
  const bare = times.map(() => null);
  const blank = ahead.map(() => null);
  const line = (values: (number | null)[]): Line => ({ labels: {}, values });
  const lines = [line([...past, ...blank])];
  const names = ["measured"];
  if (points.length > 0) {
    // The lines begin where the measured one ends.
    const meet = past.at(-1) ?? null;
    const from = (values: number[]) => line([...bare.slice(1), meet, ...values]);
    lines.push(
      from(points.map((p) => p.low)),
      from(points.map((p) => p.high)),
      from(points.map((p) => p.expected)),
    );
    names.push("lower one time in ten", "higher one time in ten", "expected");
  }
  const { each, ready = 0 } = capacity.status;
  if (typeof each === "number" && ready > 0) {
    const carried = each * ready;
    const tail = Math.min(times.length, Math.max(2, Math.ceil(times.length / 50)));
    lines.push(
      line([
        ...bare.slice(tail),
        ...bare.slice(-tail).map(() => carried),
        ...ahead.map(() => carried),
      ]),
    );
    names.push(`carried by the ${ready} that serve`);
  }
  return { grid: { times: [...times, ...ahead], lines }, names, points: points.length };
}

const SPAN_LINES = [[1, 2]] as const;

function LoadChart({
  grid,
  length,
  capacity,
  autoscaler,
}: LoadProps & { grid: Grid; length: number }) {
  const now = useCoarseNow(60_000);
  const seen = useMemo(
    () => joined(grid, length, capacity, autoscaler),
    [grid, length, capacity, autoscaler],
  );
  const marks = useMemo(() => [{ at: now / 1000, word: "now" }], [now]);
  return (
    <Chart
      grid={seen.grid}
      names={seen.names}
      label={`load of ${capacity.metadata.name}`}
      height={260}
      colours={seen.points > 0 ? [0, 1, 1, 1, 3] : [0, 3]}
      spans={seen.points > 0 ? SPAN_LINES : undefined}
      marks={marks}
    />
  );
}

const weekday = (at: number) =>
  new Date(at).toLocaleDateString("en", { weekday: "short", day: "numeric" });

/** When the first of what is there was measured, to the minute: a step is five of them. */
function firstOf({ times, lines }: Grid, now: number): string | undefined {
  const at = lines[0]?.values.findIndex((value) => value !== null) ?? -1;
  const seconds = times[at];
  if (seconds === undefined) return undefined;
  return moment(seconds * 1000, now).replace(/^(\d\d:\d\d):\d\d$/, "$1");
}

function Days({ grid, capacity, autoscaler }: LoadProps & { grid: Grid }) {
  const now = useCoarseNow(60_000);
  const { tables } = useFleet();
  const { days = [], method = "", forecastAt } = capacity.status;
  const deployment = tables.deployments.get(capacity.metadata.name);
  const application = deployment && tables.applications.get(deployment.spec.application);
  const most = autoscaler?.status.max ?? application?.spec.scaling?.max ?? undefined;
  const top = Math.max(1, most ?? 0, ...days.map((d) => d.instances));
  return (
    <section className="panel" aria-label="days ahead">
      <header>
        <h2>The days ahead</h2>
        <span className="small quiet">instances its highest load takes, one time in ten more</span>
      </header>
      {days.length === 0 ? (
        <Empty title="The days ahead are not known">
          <p>{noForecast(method, firstOf(grid, now))}</p>
        </Empty>
      ) : (
        <>
          <div className="peaks-days">
            {days.map((day) => {
              const at = parseTime(day.at) ?? 0;
              const over = most !== undefined && day.instances > most;
              const words = `${moment(at, now)}: ${measured(day.expected)} expected, ${measured(day.high)} at most, ${counted(day.instances, "instance")}`;
              return (
                <div key={String(day.at)} className="peak-day" title={words}>
                  <b className={over ? "bad-word" : undefined}>{amount(day.instances)}</b>
                  <div className="peak-column" role="img" aria-label={words}>
                    {most !== undefined && (
                      <span className="peak-most" style={{ bottom: `${(most / top) * 100}%` }} />
                    )}
                    <span
                      className={over ? "peak-bar over" : "peak-bar"}
                      style={{ height: `${(day.instances / top) * 100}%` }}
                    >
                      <i style={{ height: `${Math.min(100, (day.expected / day.high) * 100)}%` }} />
                    </span>
                  </div>
                  <span className="small">{weekday(at)}</span>
                  <span className="small quiet">{measured(day.high)}</span>
                </div>
              );
            })}
          </div>
          <p className="table-foot">
            {method}; made <Ago at={forecastAt} /> ago
            {most !== undefined && `; the dashed line is the most there may be, ${most}`}
          </p>
        </>
      )}
    </section>
  );
}

function ScoreView({ grid, autoscaler }: { grid: Grid; autoscaler: Autoscaler | undefined }) {
  const now = useCoarseNow(60_000);
  const score = useMemo(
    () => simplest(grid.lines[0]?.values ?? [], DAY_STEPS, LEAD, 7 * DAY_STEPS),
    [grid],
  );
  const forecast = autoscaler?.status.forecast;
  const own = forecast?.error ?? undefined;
  // What the server measured the same way, where it says so.
  const beside = forecast?.simplest ?? undefined;
  const { used, why } = forecastUse(autoscaler, now);
  const lines = [
    ["this forecast", own, true],
    ["the last value", beside ? beside.last : score.last, false],
    ["a day ago", beside ? (beside.dayAgo ?? undefined) : score.dayAgo, false],
    ["a week ago", beside ? (beside.weekAgo ?? undefined) : score.weekAgo, false],
  ] as const;
  const worst = Math.max(0.0001, ...lines.map(([, value]) => value ?? 0));
  return (
    <section className="panel" aria-label="score of the forecast">
      <header>
        <h2>How wrong, a quarter of an hour ahead</h2>
        <State word={used ? "used" : "not used"} tone={used ? "ok" : "held"} />
      </header>
      <div className="scores">
        {lines.map(([word, value, mine]) => (
          <div key={word} className={mine ? "score-line own" : "score-line"}>
            <span className={mine ? "strong" : "second"}>{word}</span>
            <span className="score-bar" aria-hidden="true">
              <i style={{ width: `${((value ?? 0) / worst) * 100}%` }} />
            </span>
            <span className="right">
              {value === undefined ? (
                <span className="quiet small nowrap">not known</span>
              ) : (
                share(value)
              )}
            </span>
          </div>
        ))}
        <p className="small quiet">
          {`${why.charAt(0).toUpperCase()}${why.slice(1)}. `}
          {autoscaler?.status.forecast?.points?.length
            ? `Made from ${autoscaler.status.forecast.method}. `
            : ""}
          {!beside &&
            score.points > 0 &&
            `The simplest ones are measured here, over ${counted(score.points, "value")} of the last days.`}
        </p>
      </div>
    </section>
  );
}

function Releases({ capacity }: { capacity: Capacity }) {
  const releases = (capacity.status.releases ?? []).filter(
    (one) => typeof one.most === "number" || typeof one.broke === "number",
  );
  return (
    <section className="panel" aria-label="releases">
      <header>
        <h2>What one instance was seen to carry</h2>
      </header>
      {releases.length === 0 ? (
        <Empty title="Nothing has been proven yet">
          <p>
            Every minute in which the deployment has been steady for five, the load of one instance
            is set beside its objectives: the most with all of them held is proven.
          </p>
        </Empty>
      ) : (
        <div className="figure-scroll">
          <table className="figure-table">
            <thead>
              <tr>
                <th scope="col">release</th>
                <th scope="col" className="right">
                  held with
                </th>
                <th scope="col" className="right">
                  broke with
                </th>
              </tr>
            </thead>
            <tbody data-list>
              {releases.map((one) => (
                <tr key={one.release} data-row>
                  <th scope="row">
                    <ObjectLink plural="releases" name={one.release} className="strong" />
                  </th>
                  <td className="right">
                    <Seen value={one.most} at={one.at} />
                  </td>
                  <td className="right">
                    <Seen value={one.broke} at={one.brokeAt} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Seen({ value, at }: { value?: number | null; at?: string | number | null }) {
  if (typeof value !== "number") return <span className="quiet">–</span>;
  return (
    <>
      {measured(value)}{" "}
      <span className="quiet small">
        <Ago at={at} /> ago
      </span>
    </>
  );
}

// The board: what it all costs, how much of it is used, how well it does, how often changes fail,
// how much is done with no person, and how often what was decided by itself was right. Each with
// its trend, where there is a record of one.
import { Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";
import { useCosts } from "../../api/forecasts";
import { useCoarseNow, useFleet, useSynced } from "../../api/live";
import { useRange, useVector } from "../../api/metrics";
import {
  type Automation,
  automation,
  type Counts,
  type Judged,
  judged,
  weeksOf,
} from "../../logic/board";
import { partsOf, rowName } from "../../logic/budgets";
import { figures } from "../../logic/delivery";
import { MONTH_HOURS, moneyWords } from "../../logic/money";
import type { Span } from "../../logic/period";
import { counted, parseCpu, parseMemory } from "../../logic/quantity";
import type { Values } from "../../logic/series";
import { spanWords } from "../../logic/time";
import { wholeShare } from "../../logic/units";
import { Skeleton } from "../../parts/empty";
import { SparkLine } from "../../parts/spark";
import { Trend } from "../../parts/trend";
import type { BoardSearch } from "../../router";
import { Head } from "../../shell/head";
import "./board.css";

const DAY = 86_400_000;
const WEEKS = 12;
const SPANS = [7, 30, 90] as const;

export function BoardPage({ days = 30 }: BoardSearch) {
  const synced = useSynced();
  const navigate = useNavigate();
  if (!synced) return <Skeleton lines={10} />;
  return (
    <>
      <Head title="Board" lead={`how operations do: the last ${days} days, and twelve weeks`}>
        <div className="choice" role="group" aria-label="time">
          {SPANS.map((span) => (
            <button
              key={span}
              type="button"
              aria-pressed={days === span}
              onClick={() =>
                void navigate({ to: ".", search: { days: span }, replace: true } as never)
              }
            >
              {span}d
            </button>
          ))}
        </div>
      </Head>
      <div className="board-tiles">
        <Cost days={days} />
        <Utilization days={days} />
        <Health days={days} />
        <ChangeFailure days={days} />
        <AutomationTile days={days} />
        <Decisions days={days} />
      </div>
    </>
  );
}

interface TileProps {
  title: string;
  to: string;
  value: ReactNode | undefined;
  unit?: string;
  /** What is known of it before. */
  trend: ReactNode;
  children: ReactNode;
}

/** One figure: what it is now, what it was, and what it is made of. */
function Tile({ title, to, value, unit, trend, children }: TileProps) {
  return (
    <section className="panel board-tile" aria-label={title}>
      <header>
        <h2>
          <Link to={to as "/"}>{title}</Link>
        </h2>
      </header>
      <div className="body">
        <p className="board-value">
          {value === undefined ? <span className="quiet">not known</span> : value}
          {value !== undefined && unit && <span className="board-unit"> {unit}</span>}
        </p>
        <div className="board-trend">{trend}</div>
        <div className="board-parts small">{children}</div>
      </div>
    </section>
  );
}

function Part({ name, children }: { name: string; children: ReactNode }) {
  return (
    <p className="board-part">
      <span className="quiet">{name}</span>
      <span>{children}</span>
    </p>
  );
}

const Unknown = () => <span className="quiet">not known</span>;

const percent = (value: number | undefined) =>
  value === undefined ? <Unknown /> : wholeShare(value);

function Cost({ days }: { days: number }) {
  const { data, error } = useCosts("team", undefined);
  const priced = data?.currency ? data : undefined;
  const currency = priced?.currency ?? "";
  const course = useCourse(
    `sum(max by (part) (atoll_cost_per_hour{currency=${JSON.stringify(currency)}}))`,
    days,
  );
  const total = priced && partsOf(priced.total);
  return (
    <Tile
      title="Cost"
      to="/budgets"
      value={total && priced?.currency ? moneyWords(total.total, priced.currency) : undefined}
      unit="an hour"
      trend={priced && <Line course={course} name={`${currency} an hour`} />}
    >
      {priced && total ? (
        <>
          <Part name="a month at this rate">
            {moneyWords(total.total * MONTH_HOURS, priced.currency ?? "")}
          </Part>
          <Part name="of it idle">
            {percent(total.total > 0 ? total.idle / total.total : undefined)}
          </Part>
          {priced.rows.slice(0, 3).map((row) => (
            <Part key={row.name} name={rowName(row.name)}>
              {percent(total.total > 0 ? partsOf(row).total / total.total : undefined)}
            </Part>
          ))}
          {(priced.unpriced?.length ?? 0) > 0 && (
            <p className="warn-note">
              {counted(priced.unpriced?.length ?? 0, "host")} without a price, not counted
            </p>
          )}
        </>
      ) : (
        <p className="quiet">{error ? error.message : "There is no price yet."}</p>
      )}
    </Tile>
  );
}

interface Course {
  /** From the first value on. */
  readonly values: Values;
  /** How long that is, in words. */
  readonly over: string;
}

const YOUNG: Span = { kind: "last", ms: 6 * 3_600_000 };
const known = (values: Values | undefined) => values?.filter((value) => value !== null).length ?? 0;

/** A series over the days; where there is hardly anything of these, of the last hours. */
function useCourse(query: string, days: number): Course {
  const span = useMemo((): Span => ({ kind: "last", ms: days * DAY }), [days]);
  const long = useRange(query, span, { points: 240, every: 60_000 }).data;
  const few = known(long?.lines[0]?.values) < 6;
  const short = useRange(query, YOUNG, { points: 120, every: 60_000, on: few }).data;
  return useMemo(() => {
    const grid = few ? short : long;
    const values = grid?.lines[0]?.values ?? [];
    const first = Math.max(
      0,
      values.findIndex((value) => value !== null),
    );
    const [from, to] = [grid?.times[first] ?? 0, grid?.times.at(-1) ?? 0];
    return { values: values.slice(first), over: spanWords((to - from) * 1000) };
  }, [few, short, long]);
}

function Line({ course: { values, over }, name }: { course: Course; name: string }) {
  if (known(values) === 0) {
    return <p className="small quiet">{name}: nothing was measured</p>;
  }
  if (known(values) < 3)
    return <p className="small quiet">{name}: measured for too short a time</p>;
  return (
    <span className="board-line">
      <SparkLine values={values} label={`${name}, over ${over}`} />
      <span className="small quiet">
        {name}, the last {over}
      </span>
    </span>
  );
}

const NOW: Span = { kind: "last", ms: 60_000 };

/** What a query says now; none where nothing is measured. */
function useValue(query: string): number | undefined {
  const value = Number(useVector(query, NOW).data?.items[0]?.value[1] ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

const CPU = '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m]))';
const MEMORY = "1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes)";

function Utilization({ days }: { days: number }) {
  const { hosts, use } = useFleet();
  const cpu = useCourse(CPU, days);
  const memory = useCourse(MEMORY, days);
  const now = useValue(CPU);
  const memoryNow = useValue(MEMORY);
  const reserved = useMemo(() => {
    let [cpuUsed, cpuAll, memoryUsed, memoryAll] = [0, 0, 0, 0];
    for (const host of hosts) {
      cpuAll += parseCpu(host.status.capacity?.cpu);
      memoryAll += parseMemory(host.status.capacity?.memory);
      cpuUsed += use.get(host.metadata.name)?.cpu ?? 0;
      memoryUsed += use.get(host.metadata.name)?.memory ?? 0;
    }
    return {
      cpu: cpuAll > 0 ? cpuUsed / cpuAll : undefined,
      memory: memoryAll > 0 ? memoryUsed / memoryAll : undefined,
    };
  }, [hosts, use]);
  return (
    <Tile
      title="Utilization"
      to="/hosts"
      value={now === undefined ? undefined : wholeShare(now)}
      unit="of processors busy"
      trend={
        <>
          <Line course={cpu} name="processors" />
          <Line course={memory} name="memory" />
        </>
      }
    >
      <Part name="memory in use">{percent(memoryNow)}</Part>
      <Part name="processors reserved">{percent(reserved.cpu)}</Part>
      <Part name="memory reserved">{percent(reserved.memory)}</Part>
    </Tile>
  );
}

function Health({ days }: { days: number }) {
  const { instances, tables } = useFleet();
  const up = useCourse("avg(atoll_instance_up)", days);
  const ready = instances.filter((i) => i.status.phase === "ready").length;
  const objectives = [...tables.objectives.values()];
  const kept = objectives.filter((o) => o.status.phase === "kept").length;
  const measuredOnes = objectives.filter((o) => o.status.phase !== "noData").length;
  const firing = [...tables.alerts.values()].filter((a) => a.status.phase === "firing").length;
  return (
    <Tile
      title="Health"
      to="/"
      value={instances.length > 0 ? wholeShare(ready / instances.length) : undefined}
      unit="of instances ready"
      trend={<Line course={up} name="instances up" />}
    >
      <Part name="instances">
        {ready} of {instances.length} ready
      </Part>
      <Part name="objectives">
        {measuredOnes > 0 ? `${kept} of ${measuredOnes} kept` : <Unknown />}
      </Part>
      <Part name="alerts">{firing > 0 ? `${firing} firing` : "none fires"}</Part>
    </Tile>
  );
}

function useRecords() {
  const { tables } = useFleet();
  // What was written in the minute that is under way counts as well.
  const now = useCoarseNow(60_000) + 60_000;
  const { promotions, decisions } = tables;
  return useMemo(
    () => ({ promotions: [...promotions.values()], decisions: [...decisions.values()], now }),
    [promotions, decisions, now],
  );
}

interface WeeksProps {
  values: readonly (number | undefined)[];
  label: string;
  /** Said where there is no value. */
  none?: string;
}

function Weeks({ values, label, none = "nothing is recorded in twelve weeks" }: WeeksProps) {
  if (values.every((value) => value === undefined)) return <p className="small quiet">{none}</p>;
  return <Trend values={values} label={`${label}, week by week`} words={wholeShare} />;
}

function ChangeFailure({ days }: { days: number }) {
  const { promotions, now } = useRecords();
  const told = figures(promotions, now - days * DAY, now);
  const weeks = useMemo(
    () => weeksOf(WEEKS, now, (from, to) => figures(promotions, from, to).failureRate),
    [promotions, now],
  );
  return (
    <Tile
      title="Change failure"
      to="/delivery"
      value={told.failureRate === undefined ? undefined : wholeShare(told.failureRate)}
      unit="of changes failed or were taken back"
      trend={<Weeks values={weeks} label="Change failure" />}
    >
      <Part name="changes">{told.deliveries > 0 ? told.deliveries : "none is recorded"}</Part>
      <Part name="a week">{told.deliveries > 0 ? told.perWeek?.toFixed(1) : <Unknown />}</Part>
    </Tile>
  );
}

const shareOf = ({ part, all }: Automation["changes"]) =>
  all > 0 ? `${part} of ${all}` : <span className="quiet">none is recorded</span>;

/** What was repaired with neither a decision nor a person is counted over so long. */
const REPAIRED_OVER = DAY / 4;
/** By deployments. What is only moved has an intent of its own, and is no repair. */
const HEALED = `sum(increase(atoll_commits_total{intent="heal",outcome="committed"}[6h]))`;
/** By hosts. What dies again and again is not repaired by being started. */
const RESTARTED = `sum(increase(atoll_restarts_total{crash_loop="false"}[6h]))`;

/** How often something happened, over the days. */
function useCounts(query: string, days: number): Counts {
  const end = (Math.floor(useCoarseNow(60_000) / REPAIRED_OVER) + 1) * REPAIRED_OVER;
  const span = useMemo(
    (): Span => ({ kind: "between", from: end - days * DAY, to: end }),
    [end, days],
  );
  const { data } = useRange(query, span, { step: REPAIRED_OVER });
  return useMemo(() => {
    const values = data?.lines[0]?.values ?? [];
    const all = values.map((count, i) => ({ at: (data?.times[i] ?? 0) * 1000, count }));
    return all.flatMap(({ at, count }) => (count === null ? [] : [{ at, count }]));
  }, [data]);
}

function AutomationTile({ days }: { days: number }) {
  const { promotions, decisions, now } = useRecords();
  const counted = Math.max(days, WEEKS * 7);
  const healed = useCounts(HEALED, counted);
  const restarted = useCounts(RESTARTED, counted);
  // What is counted up to the end of the hours that are under way belongs to now.
  const until = (to: number) => (to === now ? now + REPAIRED_OVER : to);
  const of = (from: number, to: number) =>
    automation(promotions, decisions, { healed, restarted }, from, until(to));
  const told = of(now - days * DAY, now);
  const weeks = weeksOf(WEEKS, now, (from, to) => of(from, to).ratio);
  return (
    <Tile
      title="Automation"
      to="/decisions"
      value={told.ratio === undefined ? undefined : wholeShare(told.ratio)}
      unit="of changes and repairs with no person"
      trend={<Weeks values={weeks} label="Automation" />}
    >
      <Part name="changes with no person">{shareOf(told.changes)}</Part>
      <Part name="repairs with no person">{shareOf(told.repairs)}</Part>
      {told.restarts > 0 && <Part name="of them, started again by hosts">{told.restarts}</Part>}
    </Tile>
  );
}

function Decisions({ days }: { days: number }) {
  const { decisions, now } = useRecords();
  const told: Judged = judged(decisions, now - days * DAY, now);
  const weeks = useMemo(
    () => weeksOf(WEEKS, now, (from, to) => judged(decisions, from, to).rightShare),
    [decisions, now],
  );
  const left = told.made - told.right - told.wrong;
  const unjudged = decisions.length > 0 && decisions.every((d) => !d.spec.feedback);
  return (
    <Tile
      title="Decisions"
      to="/decisions"
      value={told.rightShare === undefined ? undefined : wholeShare(told.rightShare)}
      unit="of those people judged were right"
      trend={
        <Weeks
          values={weeks}
          label="Decisions that were right"
          none={unjudged ? "nobody has judged any yet" : undefined}
        />
      }
    >
      <Part name="right, wrong">
        {told.right + told.wrong > 0 ? (
          `${told.right}, ${told.wrong}`
        ) : (
          <span className="quiet">nobody has said</span>
        )}
      </Part>
      <Part name="nobody has judged">
        {told.made > 0 ? `${left} of ${told.made}` : "none was made"}
      </Part>
      <Part name="helped, as measured">
        {told.helpedShare === undefined ? (
          <Unknown />
        ) : (
          `${told.helped} of ${told.helped + told.didNot}`
        )}
      </Part>
    </Tile>
  );
}

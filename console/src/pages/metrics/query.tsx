// Asks the metrics store: a query, a span of time, and the answer as a graph or a table. All of it
// stands in the address.

import { useCallback, useEffect, useMemo, useState } from "react";
import { useRange, useVector, type VectorItem } from "../../api/metrics";
import { lengthOf, type Period, type Span, stepOf, writeSpan } from "../../logic/period";
import { type Fault, parse, placeOf } from "../../logic/promql";
import { counted } from "../../logic/quantity";
import { type Frame, parseValue, seriesName, shortNames } from "../../logic/series";
import { parseSpan, spanWords } from "../../logic/time";
import { guessUnit, measured } from "../../logic/units";
import { useAdjust } from "../../parts/adjust";
import { Chart } from "../../parts/chart";
import { Empty, Skeleton } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { ProblemView } from "../../parts/problem";
import { SpanPicker, useSpan } from "../../parts/span";
import { Table } from "../../parts/table";
import { Trust } from "../../parts/trust";
import type { QuerySearch } from "../../router";
import { Head } from "../../shell/head";
import Editor from "./editor";
import { Recent, useRecent } from "./recent";
import "./query.css";

export default function QueryPage(search: QuerySearch) {
  const { q = "", view = "graph", stack = false, log = false, step } = search;
  const set = useAdjust<QuerySearch>();
  const { span, set: setSpan, zoom } = useSpan(search);
  const [text, setText] = useState(q);
  const [recent, remember] = useRecent();
  const [given, setGiven] = useState({ text: q });
  const put = useCallback((next: string) => {
    setText(next);
    setGiven({ text: next });
  }, []);
  useEffect(() => put(q), [q, put]);

  const [run, setRun] = useState(0);
  const fault = useFault(text);
  const [offers, setOffers] = useState(false);
  const go = (query = text) => {
    if (query !== text) put(query);
    if (query.trim() === "") return;
    remember(query);
    setRun(run + 1);
    set({ q: query.trim() }, false);
  };
  const stepMs = step ? parseSpan(step) : undefined;
  const graph = useRange(q, span, { on: view === "graph", points: 700, step: stepMs });
  const table = useVector(q, span, { on: view === "table" });
  const answer = view === "graph" ? graph : table;
  const refused = answer.error && text.trim() === q ? answer.error : undefined;
  const shownFault = fault ?? (refused ? faultOf(refused.message, text) : undefined);
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked again when it is run again
  useEffect(() => {
    if (run > 0 && q !== "") void answer.refetch();
  }, [run]);

  return (
    <>
      <Head title="Query" lead="any metric of the fleet, in PromQL">
        <SpanPicker span={span} onChange={setSpan} />
      </Head>
      <div className="stack">
        <section className="panel query-ask" aria-label="query">
          <div className="query-line">
            <Editor
              given={given}
              label="PromQL"
              fault={shownFault}
              onChange={setText}
              onRun={() => go()}
              onOffer={setOffers}
            />
            <button type="button" className="button main" onClick={() => go()} title="Enter">
              <Icon name="play" size={14} /> Run
            </button>
          </div>
          {fault && !offers && text.trim() !== "" && (
            <p className="query-fault" role="status">
              {fault.message} <span className="quiet">at {fault.from + 1}</span>
            </p>
          )}
        </section>
        {q !== "" && (
          <section className="panel" aria-label="answer">
            <header className="query-bar">
              <div className="choice" role="group" aria-label="shown as">
                {(["graph", "table"] as const).map((kind) => (
                  <button
                    key={kind}
                    type="button"
                    aria-pressed={view === kind}
                    onClick={() => set({ view: kind === "graph" ? undefined : kind })}
                  >
                    {kind === "graph" ? "Graph" : "Table"}
                  </button>
                ))}
              </div>
              {view === "graph" && (
                <>
                  <Flag
                    word="Stacked"
                    on={stack}
                    onChange={(on) => set({ stack: on || undefined })}
                  />
                  <Flag
                    word="Log scale"
                    on={log}
                    onChange={(on) => set({ log: on || undefined })}
                  />
                  <StepChoice span={span} step={step} onChange={(next) => set({ step: next })} />
                </>
              )}
              <span className="grow" />
              {answer.isFetching && (
                <span className="quiet small" role="status">
                  asking…
                </span>
              )}
              {answer.data && <Trust quality={answer.data.quality} span={span} />}
            </header>
            <div className="body stack tight">
              {answer.error && (
                <ProblemView problem={answer.error} again={() => void answer.refetch()} />
              )}
              {answer.data?.warnings.map((warning) => (
                <p key={warning} className="warn-line">
                  {warning}
                </p>
              ))}
              {answer.isPending && !answer.error && <Skeleton lines={6} />}
              {view === "graph" && graph.data && (
                <Graph
                  frame={graph.data}
                  query={q}
                  span={span}
                  stack={stack}
                  log={log}
                  onZoom={zoom}
                />
              )}
              {view === "table" && table.data && <Values items={table.data.items} query={q} />}
            </div>
          </section>
        )}
        <Recent recent={recent} onRun={go} asked={q !== ""} />
      </div>
    </>
  );
}

/** Where the text is broken, once typing has paused: what is not finished is no fault. */
function useFault(text: string): Fault | undefined {
  const [fault, setFault] = useState<Fault | undefined>();
  useEffect(() => {
    const found = parse(text).fault;
    if (!found) {
      setFault(undefined);
      return;
    }
    const timer = setTimeout(() => setFault(found), 700);
    return () => clearTimeout(timer);
  }, [text]);
  return fault;
}

function faultOf(message: string, text: string): Fault | undefined {
  const at = placeOf(message, text);
  return at === undefined ? undefined : { from: at, to: at + 1, message };
}

function Flag({
  word,
  on,
  onChange,
}: {
  word: string;
  on: boolean;
  onChange: (on: boolean) => void;
}) {
  return (
    <button type="button" className="toggle slim" aria-pressed={on} onClick={() => onChange(!on)}>
      {word}
    </button>
  );
}

const STEPS = ["15s", "30s", "1m", "5m", "15m", "1h", "6h"];

interface StepProps {
  span: Span;
  step: string | undefined;
  onChange: (step: string | undefined) => void;
}

function StepChoice({ span, step, onChange }: StepProps) {
  const length = lengthOf(span);
  return (
    <label className="query-step small">
      <span className="quiet">step</span>
      <select value={step ?? ""} onChange={(event) => onChange(event.target.value || undefined)}>
        <option value="">{writeSpan(stepOf(length, 700))}, by itself</option>
        {STEPS.filter((s) => length / parseSpan(s) <= 11_000 && parseSpan(s) < length).map((s) => (
          <option key={s} value={s}>
            {s}
          </option>
        ))}
        {step && !STEPS.includes(step) && <option value={step}>{step}</option>}
      </select>
    </label>
  );
}

interface GraphProps {
  frame: Frame;
  query: string;
  span: Span;
  stack: boolean;
  log: boolean;
  onZoom: (from: number, to: number) => void;
}

function windowOf(span: Span, period: Period): readonly [number, number] {
  if (span.kind === "between") return [span.from / 1000, span.to / 1000];
  return [(period.to - span.ms) / 1000, period.to / 1000];
}

function Graph({ frame, query, span, stack, log, onZoom }: GraphProps) {
  const names = useMemo(() => shortNames(frame.lines.map((l) => l.labels)), [frame]);
  const shown = useMemo(() => windowOf(span, frame.period), [span, frame.period]);
  const points = frame.lines.reduce((sum, l) => sum + l.values.length, 0);
  if (frame.lines.length === 0) {
    return (
      <Empty title="No data">
        <p>
          Nothing in the last {spanWords(lengthOf(span))} matches. That is no zero: it was not
          measured, or the query asks for other labels than there are.
        </p>
      </Empty>
    );
  }
  return (
    <>
      <Chart
        grid={frame}
        names={names}
        label={query}
        unit={guessUnit(query)}
        height={360}
        stack={stack}
        log={log}
        window={shown}
        onZoom={onZoom}
      />
      <p className="small quiet">
        {counted(frame.lines.length, "line")}, {counted(points, "point")}, one every{" "}
        {writeSpan(frame.period.step)}. Drag to look closer.
      </p>
    </>
  );
}

interface Row {
  readonly name: string;
  /** Without what all have in common. */
  readonly short: string;
  readonly value: number;
  readonly text: string;
}

function Values({ items, query }: { items: readonly VectorItem[]; query: string }) {
  const [down, setDown] = useState(true);
  const unit = guessUnit(query);
  const rows = useMemo(() => {
    const short = shortNames(items.map((item) => item.metric));
    const all = items.map(
      ({ metric, value }, i): Row => ({
        short: short[i] ?? "",
        name: seriesName(metric),
        value: parseValue(value[1]),
        text: value[1],
      }),
    );
    return all.sort(
      (a, b) => (down ? b.value - a.value : a.value - b.value) || a.name.localeCompare(b.name),
    );
  }, [items, down]);
  if (rows.length === 0) return <Empty title="No series" />;
  return (
    <Table
      label="values"
      columns={[
        {
          id: "series",
          head: "Series",
          width: "minmax(0, 1fr)",
          cell: (row) => (
            <span className="mono" title={row.name}>
              {row.short}
            </span>
          ),
        },
        {
          id: "value",
          head: "Value",
          width: "9rem",
          right: true,
          sorts: true,
          cell: (row) => <b title={row.text}>{measured(row.value, unit)}</b>,
        },
      ]}
      rows={rows}
      keyOf={(row) => row.name}
      compact={(row) => (
        <div className="row">
          <span className="mono grow cut">{row.short}</span>
          <b>{measured(row.value, unit)}</b>
        </div>
      )}
      compactHeight={44}
      sorting={{ by: "value", down }}
      onSort={() => setDown(!down)}
    />
  );
}

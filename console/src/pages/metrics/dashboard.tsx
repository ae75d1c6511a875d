// The panels of one object. Only those that are seen ask; what is not measured is named at the end
// rather than drawn empty.
import { Link } from "@tanstack/react-router";
import { type RefObject, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { REFRESH, useRange } from "../../api/metrics";
import type { Panel, Section } from "../../logic/dashboards";
import { lengthOf, type Span, type SpanSearch, searchOf, stepOf } from "../../logic/period";
import { type Grid, type Line, lastValue, shortNames } from "../../logic/series";
import { trustOf } from "../../logic/trust";
import { measured } from "../../logic/units";
import { Chart } from "../../parts/chart";
import type { Mark } from "../../parts/drawing";
import { Icon } from "../../parts/icon";
import { ProblemView } from "../../parts/problem";
import { SpanPicker, useSpan } from "../../parts/span";
import "./dashboard.css";

interface Props {
  sections: readonly Section[];
  search: SpanSearch;
  /** Told apart from other dashboards, for the cursor they share. */
  id: string;
  marks?: readonly Mark[];
  /** Where only this much room is: in a drawer. */
  narrow?: boolean;
}

const POINTS = 240;

export function Dashboard({ sections, search, id, marks, narrow = false }: Props) {
  const { span, set, zoom } = useSpan(search);
  const [missing, setMissing] = useState<ReadonlySet<string>>(new Set());
  const report = useCallback((title: string, is: boolean) => {
    setMissing((old) => {
      if (old.has(title) === is) return old;
      const next = new Set(old);
      if (is) next.add(title);
      else next.delete(title);
      return next;
    });
  }, []);
  const titles = sections.flatMap((s) => s.panels.map((p) => key(s, p)));
  const absent = titles.filter((title) => missing.has(title));
  return (
    <div className={narrow ? "dashboard narrow" : "dashboard"}>
      <div className="dashboard-bar">
        <SpanPicker span={span} onChange={set} />
      </div>
      {sections.map((section) => (
        <section key={section.title} aria-label={section.title || "metrics"}>
          {section.title && section.panels.some((p) => !missing.has(key(section, p))) && (
            <h2 className="dashboard-title">{section.title}</h2>
          )}
          <div className="dashboard-grid">
            {section.panels.map((panel) => (
              <PanelView
                key={panel.id}
                panel={panel}
                span={span}
                group={id}
                marks={marks}
                missing={missing.has(key(section, panel))}
                onMissing={(is) => report(key(section, panel), is)}
                onZoom={zoom}
              />
            ))}
          </div>
        </section>
      ))}
      {absent.length > 0 && (
        <p className="dashboard-missing small quiet">
          Not measured in this time:{" "}
          {[...new Set(absent.map((t) => t.split("/")[1] as string))].join("; ")}.
        </p>
      )}
    </div>
  );
}

const key = (section: Section, panel: Panel) => `${section.title}/${panel.title}`;

/** Whether an element is on the screen, or nearly. */
function useSeen(ref: RefObject<HTMLElement | null>): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const observer = new IntersectionObserver(
      ([entry]) => setSeen(entry?.isIntersecting ?? false),
      { rootMargin: "120px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return seen;
}

interface PanelProps {
  panel: Panel;
  span: Span;
  group: string;
  marks: readonly Mark[] | undefined;
  missing: boolean;
  onMissing: (is: boolean) => void;
  onZoom: (from: number, to: number) => void;
}

function PanelView({ panel, span, group, marks, missing, onMissing, onZoom }: PanelProps) {
  const ref = useRef<HTMLElement>(null);
  const seen = useSeen(ref);
  const query = panel.query(stepOf(lengthOf(span), POINTS));
  const every = missing ? REFRESH * 4 : REFRESH;
  const range = useRange(query, span, {
    on: seen || missing,
    every,
    points: POINTS,
  });
  const { error, refetch } = range;
  const data = useMemo(() => inOrder(range.data, query), [range.data, query]);
  const empty = data !== undefined && data.lines.length === 0;
  const told = useRef(onMissing);
  told.current = onMissing;
  useEffect(() => {
    if (data) told.current(empty);
  }, [data, empty]);

  const names = useMemo(
    () => namesOf(data?.lines.map((l) => l.labels) ?? [], panel.title),
    [data, panel.title],
  );
  const shown = useMemo(
    () => data && ([data.period.to / 1000 - lengthOf(span) / 1000, data.period.to / 1000] as const),
    [data, span],
  );
  const only = data?.lines.length === 1 ? lastValue(data.lines[0]?.values ?? []) : undefined;
  const trust = trustOf(data?.quality, REFRESH, span.kind === "between");
  return (
    <section className="panel metric" ref={ref} aria-label={panel.title} hidden={missing && !error}>
      <header>
        <h3 className="grow cut">{panel.title}</h3>
        {trust?.tone === "warn" && (
          <span className="warn-line" title={trust.more}>
            {trust.words}
          </span>
        )}
        {only !== undefined && <b className="metric-now">{measured(only, panel.unit)}</b>}
        <Link
          to="/query"
          search={{ q: query, ...searchOf(span), stack: panel.stack || undefined }}
          className="metric-link"
          aria-label={`${panel.title} as a query`}
          title="as a query"
        >
          <Icon name="out" size={13} />
        </Link>
      </header>
      <div className="metric-body">
        {error && !data && <ProblemView problem={error} again={() => void refetch()} />}
        {data && !empty && (
          <Chart
            grid={data}
            names={names}
            label={panel.title}
            unit={panel.unit}
            height={150}
            stack={panel.stack}
            group={group}
            window={shown}
            onZoom={onZoom}
            marks={marks}
            legend={data.lines.length > 1}
          />
        )}
        {!data && !error && <div className="metric-wait" role="status" aria-label="loading" />}
      </div>
    </section>
  );
}

/** Lines that the query names, in the order in which it does. */
function inOrder<T extends Grid>(grid: T | undefined, query: string): T | undefined {
  if (!grid?.lines.every((l) => l.labels.line)) return grid;
  const place = (line: Line) => query.indexOf(JSON.stringify(line.labels.line));
  return { ...grid, lines: [...grid.lines].sort((a, b) => place(a) - place(b)) };
}

function namesOf(all: readonly Readonly<Record<string, string>>[], title: string): string[] {
  if (all.every((labels) => labels.line)) return all.map((labels) => labels.line as string);
  const [first] = all;
  const only = first && Object.entries(first).filter(([name]) => name !== "__name__");
  if (all.length === 1) return [only?.length === 1 ? (only[0]?.[1] as string) : title];
  return shortNames(all);
}

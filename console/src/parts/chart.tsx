// A chart of series over time. Gaps stay gaps; of many points no more are drawn than there are
// pixels, without losing a peak. Charts of one group share their cursor; dragging chooses a span.
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { between, decimate, type Grid, type Line, lastValue, stacked } from "../logic/series";
import { clock } from "../logic/time";
import { measured, type Unit } from "../logic/units";
import { loaded, NotLoaded } from "../shell/late";
import { useDark } from "../shell/theme";
import { Unloaded } from "../shell/unloaded";
import { seriesVar } from "./colours";
import type { Band, Drawing, Mark } from "./drawing";
import "./chart.css";

interface Props {
  grid: Grid;
  /** What the lines are called, in their order. */
  names: readonly string[];
  label: string;
  unit?: Unit;
  height?: number;
  stack?: boolean;
  log?: boolean;
  /** Charts with the same one share their cursor. */
  group?: string;
  /** What is shown, in seconds; everything there is, if absent. */
  window?: readonly [number, number];
  onZoom?: (from: number, to: number) => void;
  marks?: readonly Mark[];
  band?: Band;
  legend?: boolean;
  /** Lines drawn as if they were others: their places in the palette. */
  colours?: readonly number[];
  /** Pairs of lines, a lower and an upper one, between which something lies: the space is filled. */
  spans?: readonly (readonly [number, number])[];
}

interface Tip {
  readonly index: number;
  readonly left: number;
  readonly width: number;
  readonly nearest: number;
}

const MOST_NAMED = 60;
const MOST_IN_TIP = 10;
/** So many points are drawn as they are. */
const FEW = 20_000;

export const Chart = memo(function Chart(props: Props) {
  const { grid, names, label, unit = "plain", height = 200, stack = false, log = false } = props;
  const { group, window: shown, onZoom, marks, band, legend = true, colours, spans } = props;
  const box = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);
  const dark = useDark();
  const [width, setWidth] = useState(0);
  const [tip, setTip] = useState<Tip | null>(null);
  const [alone, setAlone] = useState<string | null>(null);
  const [unloaded, setUnloaded] = useState<NotLoaded | null>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) =>
      setWidth(Math.floor(entry?.contentRect.width ?? 0)),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const [from, to] = shown ?? [grid.times[0] ?? 0, grid.times.at(-1) ?? 1];
  const seen = useMemo(() => {
    const part = shown ? between(grid, from, to) : grid;
    const points = part.times.length * part.lines.length;
    const most = points > FEW || part.times.length > width * 2 ? Math.max(200, width) : points;
    return decimate(part, Math.max(2, most));
  }, [grid, shown, from, to, width]);
  const lines = useMemo(() => (stack ? stacked(seen.lines) : seen.lines), [seen, stack]);
  const known = alone !== null && names.includes(alone) ? alone : null;
  const count = lines.length;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes what is read from the style sheet
  useEffect(() => {
    const element = box.current;
    if (!element || width === 0) return;
    let ended = false;
    let made: Drawing | undefined;
    const draw = ({ Drawing }: typeof import("./drawing")) => {
      if (ended) return;
      made = new Drawing(element, {
        width,
        height,
        unit,
        count,
        stack,
        log,
        group,
        colours,
        spans,
        zooms: zoom.current !== undefined,
        onZoom: (a, b) => zoom.current?.(a, b),
        onCursor: setTip,
      });
      drawing.current = made;
      made.show(latest.current);
    };
    loaded("chart", () => import("./drawing")).then(draw, (thrown: unknown) => {
      if (thrown instanceof NotLoaded && !ended) setUnloaded(thrown);
    });
    return () => {
      ended = true;
      made?.end();
      drawing.current = null;
    };
  }, [width > 0, height, unit, count, stack, log, group, dark, colours?.join(), spans?.join()]);

  const latest = useRef({
    times: seen.times,
    lines,
    from,
    to,
    marks,
    band,
    alone: names.indexOf(known ?? ""),
  });
  latest.current = {
    times: seen.times,
    lines,
    from,
    to,
    marks,
    band,
    alone: known === null ? -1 : names.indexOf(known),
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: `latest` holds what these say has changed
  useEffect(() => {
    drawing.current?.show(latest.current);
  }, [seen, lines, from, to, marks, band, known]);
  useEffect(() => {
    if (width > 0) drawing.current?.resize(width);
  }, [width]);

  if (unloaded) return <Unloaded of={unloaded} />;
  return (
    <div className="chart">
      <div
        className="chart-box"
        ref={box}
        role="img"
        aria-label={inWords(label, names, grid.lines, unit)}
        style={{ height }}
      />
      {tip && seen.times[tip.index] !== undefined && (
        <TipView
          tip={tip}
          at={seen.times[tip.index] as number}
          names={names}
          lines={seen.lines}
          unit={unit}
          alone={known}
          colours={colours}
        />
      )}
      {legend && names.length > 0 && (
        <Names
          names={names}
          lines={grid.lines}
          unit={unit}
          alone={known}
          colours={colours}
          onAlone={setAlone}
          onPoint={(index) => drawing.current?.point(index)}
        />
      )}
    </div>
  );
});

function inWords(label: string, names: readonly string[], lines: readonly Line[], unit: Unit) {
  if (lines.length === 0) return `${label}: nothing was measured`;
  const told = lines
    .slice(0, 8)
    .map((line, i) => `${names[i]} ${measured(lastValue(line.values), unit)}`)
    .join(", ");
  const more = lines.length > 8 ? `, and ${lines.length - 8} more` : "";
  return `${label}, last values: ${told}${more}`;
}

interface NamesProps {
  names: readonly string[];
  lines: readonly Line[];
  unit: Unit;
  alone: string | null;
  colours: readonly number[] | undefined;
  onAlone: (name: string | null) => void;
  onPoint: (index: number | null) => void;
}

/** The lines by name with their last value; a click shows one alone, another all again. */
function Names({ names, lines, unit, alone, colours, onAlone, onPoint }: NamesProps) {
  const shown = names.slice(0, MOST_NAMED);
  return (
    <ul className="chart-names" onPointerLeave={() => onPoint(null)}>
      {shown.map((name, i) => (
        <li key={name}>
          <button
            type="button"
            className={alone !== null && alone !== name ? "chart-name dim" : "chart-name"}
            aria-pressed={alone === name}
            title={alone === name ? "show all" : `show ${name} alone`}
            onClick={() => onAlone(alone === name ? null : name)}
            onPointerEnter={() => onPoint(i)}
            onFocus={() => onPoint(i)}
            onBlur={() => onPoint(null)}
          >
            <i style={{ background: seriesVar(colours?.[i] ?? i) }} />
            <span className="cut">{name}</span>
            <b>{measured(lastValue(lines[i]?.values ?? []), unit)}</b>
          </button>
        </li>
      ))}
      {names.length > shown.length && (
        <li className="quiet small">and {names.length - shown.length} more</li>
      )}
    </ul>
  );
}

interface TipProps {
  tip: Tip;
  at: number;
  names: readonly string[];
  lines: readonly Line[];
  unit: Unit;
  alone: string | null;
  colours: readonly number[] | undefined;
}

function TipView({ tip, at, names, lines, unit, alone, colours }: TipProps) {
  const there = lines
    .map((line, i) => ({ i, name: names[i] ?? "", value: line.values[tip.index] ?? null }))
    .filter((row) => alone === null || row.name === alone);
  const values = there.filter((row) => row.value !== null);
  values.sort((a, b) => (b.value as number) - (a.value as number));
  const at1 = values.findIndex((row) => row.i === tip.nearest);
  const first = Math.max(0, Math.min(at1 - MOST_IN_TIP / 2, values.length - MOST_IN_TIP));
  const rows = values.slice(first, first + MOST_IN_TIP);
  const right = tip.left > tip.width / 2;
  return (
    <div
      className={right ? "chart-tip left" : "chart-tip"}
      style={{ left: tip.left }}
      aria-hidden="true"
    >
      <p className="chart-tip-time">{clock(at * 1000)}</p>
      {rows.map((row) => (
        <p key={row.i} className={row.i === tip.nearest ? "near" : undefined}>
          <i style={{ background: seriesVar(colours?.[row.i] ?? row.i) }} />
          <span className="cut">{row.name}</span>
          <b>{measured(row.value, unit)}</b>
        </p>
      ))}
      {values.length > rows.length && (
        <p className="more">and {values.length - rows.length} more</p>
      )}
      {values.length === 0 && <p className="more">no data</p>}
    </div>
  );
}

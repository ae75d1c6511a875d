// One chart on its canvas, by the library. It is loaded with the library and knows no React.
import type UPlot from "uplot";
import type { Line } from "../logic/series";
import { TICK_STEPS, tick } from "../logic/ticks";
import { measured, type Unit } from "../logic/units";
import { type Colours, coloursAt, dashOf, faint } from "./colours";
import Plot from "./plot";

/** A moment that is marked by an upright line. */
export interface Mark {
  /** Seconds since 1970. */
  readonly at: number;
  readonly word: string;
}

/** The values that are usual. */
export interface Band {
  readonly low: number;
  readonly high: number;
}

export interface View {
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly from: number;
  readonly to: number;
  readonly marks: readonly Mark[] | undefined;
  readonly band: Band | undefined;
  /** The only line shown, or -1. */
  readonly alone: number;
}

interface Options {
  readonly width: number;
  readonly height: number;
  readonly unit: Unit;
  readonly count: number;
  readonly stack: boolean;
  readonly log: boolean;
  readonly group: string | undefined;
  readonly colours: readonly number[] | undefined;
  /** Pairs of lines, a lower and an upper one, between which something lies. */
  readonly spans: readonly (readonly [number, number])[] | undefined;
  readonly zooms: boolean;
  readonly onZoom: (from: number, to: number) => void;
  readonly onCursor: (
    tip: { index: number; left: number; width: number; nearest: number } | null,
  ) => void;
}

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
/** With more lines than this no points are drawn on them under the cursor. */
const MANY = 24;

/** Amounts of bytes are marked at whole powers of two. */
const POWERS = Array.from({ length: 60 }, (_, n) => 2 ** n);

export class Drawing {
  private readonly plot: UPlot;
  private readonly options: Options;
  private readonly colours: Colours;
  private view: View | undefined;
  private readonly above = document.createElement("canvas");
  private lit = -1;

  constructor(element: HTMLElement, options: Options) {
    this.options = options;
    this.colours = coloursAt(element);
    const empty = Array.from({ length: options.count + 1 }, () => []);
    this.plot = new Plot(this.build(), empty as unknown as UPlot.AlignedData, element);
    this.above.className = "chart-above";
    if (options.count > MANY) this.plot.over.prepend(this.above);
  }

  end(): void {
    this.options.onCursor(null);
    this.plot.destroy();
  }

  resize(width: number): void {
    this.plot.setSize({ width, height: this.options.height });
  }

  show(view: View): void {
    this.highlight(-1);
    const alone = this.view?.alone ?? -1;
    this.view = view;
    if (view.lines.length !== this.options.count) return;
    this.plot.batch(() => {
      if (alone !== view.alone) {
        for (let i = 0; i < view.lines.length; i += 1) {
          this.plot.setSeries(i + 1, { show: view.alone < 0 || view.alone === i });
        }
      }
      const rows = view.lines.map((line) => this.drawable(line.values));
      this.plot.setData([view.times, ...rows] as unknown as UPlot.AlignedData, true);
    });
  }

  /** Draws attention to one line. */
  point(index: number | null): void {
    if (this.options.count > MANY) this.highlight(index ?? -1);
    else if (index === null) this.plot.setSeries(null as unknown as number, { focus: true });
    else this.plot.setSeries(index + 1, { focus: true });
  }

  /** What is not above zero has no place on a logarithmic scale. */
  private drawable(values: Line["values"]): Line["values"] {
    return this.options.log ? values.map((v) => (v !== null && v > 0 ? v : null)) : values;
  }

  private build(): UPlot.Options {
    const { width, height, count, group, log, zooms } = this.options;
    const { text, line } = this.colours;
    const axis = {
      stroke: text,
      font: FONT,
      grid: { stroke: line, width: 1 },
      ticks: { show: false },
    };
    return {
      width,
      height,
      legend: { show: false },
      padding: [10, 16, 0, 0],
      focus: { alpha: 0.18 },
      cursor: {
        sync: group ? { key: group, scales: ["x", null], setSeries: false } : undefined,
        drag: { x: zooms, y: false, setScale: false, dist: 6 },
        points: { show: count <= MANY, size: 6 },
        focus: { prox: count > MANY ? -1 : 24 },
        y: false,
      },
      scales: {
        x: { time: true, range: () => [this.view?.from ?? 0, this.view?.to ?? 1] },
        y: log ? { distr: 3, log: 10 } : { range: (_u, low, high) => this.range(low, high) },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          incrs: [...TICK_STEPS],
          space: 64,
          gap: 8,
          size: 28,
          values: (_u, at, _axis, _space, step) => at.map((t) => tick(t, step)),
        },
        {
          ...axis,
          space: 34,
          gap: 6,
          incrs: this.options.unit.startsWith("bytes") ? POWERS : undefined,
          size: (_u, words) => 14 + 6.2 * Math.max(2, ...(words ?? []).map((w) => w?.length ?? 0)),
          values: (_u, at) => at.map((v) => (v === null ? "" : measured(v, this.options.unit))),
        },
      ],
      series: [{}, ...Array.from({ length: count }, (_, i) => this.seriesOf(i))],
      bands: this.options.stack
        ? Array.from({ length: Math.max(0, count - 1) }, (_, i) => ({
            series: [i + 2, i + 1] as [number, number],
            fill: faint(this.colourOf(i + 1), 0.45),
          }))
        : (this.options.spans ?? []).map(([low, high]) => ({
            series: [high + 1, low + 1] as [number, number],
            fill: faint(this.colourOf(high), 0.18),
          })),
      hooks: {
        drawAxes: [() => this.under()],
        draw: [() => this.over()],
        setCursor: [() => this.cursor()],
        setSelect: [(u) => this.select(u)],
      },
    };
  }

  private colourOf(index: number): string {
    const { series } = this.colours;
    const place = this.options.colours?.[index] ?? index;
    return series[place % series.length] as string;
  }

  private seriesOf(index: number): UPlot.Series {
    const { stack, count } = this.options;
    const colour = this.colourOf(index);
    const filled = stack ? index === 0 : count === 1;
    const edge = this.options.spans?.some((span) => span.includes(index)) ?? false;
    return {
      // In a stack a line without amount would draw its colour over the one below it.
      stroke: stack ? () => (this.amounts(index) ? colour : "transparent") : colour,
      width: count > MANY ? 1 : edge ? 0.75 : 1.5,
      dash: count > MANY ? undefined : dashOf(this.options.colours?.[index] ?? index),
      fill: filled ? faint(colour, stack ? 0.45 : 0.1) : undefined,
      spanGaps: false,
      points: { show: false, size: 4, fill: colour, filter: lonely },
    };
  }

  private amounts(index: number): boolean {
    const { lines = [] } = this.view ?? {};
    const below = lines[index - 1]?.values;
    return !!lines[index]?.values.some((v, i) => (v ?? 0) !== (below?.[i] ?? 0));
  }

  /** From zero where that is near; otherwise with some room on both sides. */
  private range(low: number | null, high: number | null): [number, number] {
    const { band } = this.view ?? {};
    let [least, most] = [low ?? 0, high ?? 1];
    if (band) [least, most] = [Math.min(least, band.low), Math.max(most, band.high)];
    if (this.options.stack) least = Math.min(0, least);
    if (least === most)
      return least === 0 ? [0, 1] : [Math.min(0, least * 1.2), Math.max(0, most * 1.2)];
    const room = (most - least) * 0.08;
    // What has a unit is an amount: cut off from zero, a small change would look like a great one.
    const amount = this.options.unit !== "plain";
    const zero = least >= 0 && (amount || least < most * 0.6);
    return [zero ? 0 : least - (least === 0 ? 0 : room), most + (most === 0 ? 0 : room)];
  }

  /** What is usual, and what is marked: under the lines. */
  private under(): void {
    const { plot, view, colours } = this;
    if (!view) return;
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    if (view.band) {
      const top = plot.valToPos(view.band.high, "y", true);
      const bottom = plot.valToPos(view.band.low, "y", true);
      ctx.fillStyle = faint(colours.band, 0.16);
      ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
      ctx.strokeStyle = faint(colours.band, 0.7);
      ctx.setLineDash([3, 3]);
      for (const y of [top, bottom]) {
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
      }
    }
    ctx.restore();
  }

  private over(): void {
    const { plot, view, colours } = this;
    if (!view?.marks?.length) return;
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.strokeStyle = colours.text;
    ctx.fillStyle = colours.text;
    ctx.lineWidth = ratio;
    ctx.font = `${10 * ratio}px system-ui, sans-serif`;
    for (const { at, word } of view.marks) {
      if (at < view.from || at > view.to) continue;
      const x = Math.round(plot.valToPos(at, "x", true)) + 0.5;
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const room = ctx.measureText(word).width + 8 * ratio;
      const left = x + room > bbox.left + bbox.width;
      ctx.textAlign = left ? "right" : "left";
      const [wx, wy] = [x + (left ? -4 : 4) * ratio, bbox.top + 10 * ratio];
      // Lines that run behind the word are kept off it.
      ctx.setLineDash([]);
      ctx.save();
      ctx.strokeStyle = colours.surface;
      ctx.lineWidth = 4 * ratio;
      ctx.strokeText(word, wx, wy);
      ctx.restore();
      ctx.fillText(word, wx, wy);
    }
    ctx.restore();
  }

  private cursor(): void {
    const { plot, view } = this;
    const { idx, left = -1, top = -1 } = plot.cursor;
    if (!view || idx === null || idx === undefined || left < 0 || !plot.over.matches(":hover")) {
      this.highlight(-1);
      this.options.onCursor(null);
      return;
    }
    let [nearest, distance] = [-1, Number.POSITIVE_INFINITY];
    for (const [i, line] of view.lines.entries()) {
      const value = line.values[idx];
      if (value === null || value === undefined || (view.alone >= 0 && view.alone !== i)) continue;
      const away = Math.abs(plot.valToPos(value, "y") - top);
      if (away < distance) [nearest, distance] = [i, away];
    }
    this.highlight(distance <= 24 ? nearest : -1);
    const offset = plot.over.offsetLeft;
    this.options.onCursor({ index: idx, left: left + offset, width: plot.width, nearest });
  }

  /**
   * One of many lines, drawn once more over the rest: to fade the others, all of them would have to
   * be drawn again at every movement.
   */
  private highlight(index: number): void {
    const { plot, view, above } = this;
    if (!view || this.options.count <= MANY || index === this.lit) return;
    this.lit = index;
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = plot.over;
    above.width = width * ratio;
    above.height = height * ratio;
    const ctx = above.getContext("2d");
    const line = view.lines[index];
    if (!ctx || !line) return;
    ctx.scale(ratio, ratio);
    ctx.fillStyle = faint(this.colours.surface, 0.72);
    ctx.fillRect(0, 0, width, height);
    ctx.strokeStyle = this.colourOf(index);
    ctx.lineWidth = 2;
    ctx.beginPath();
    let drawn = false;
    for (const [i, value] of line.values.entries()) {
      if (value !== null) {
        const [x, y] = [plot.valToPos(view.times[i] ?? 0, "x"), plot.valToPos(value, "y")];
        if (drawn) ctx.lineTo(x, y);
        else ctx.moveTo(x, y);
      }
      drawn = value !== null;
    }
    ctx.stroke();
  }

  private select(plot: UPlot): void {
    const { left, width } = plot.select;
    if (width < 6) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.options.onZoom(from, to);
  }
}

/** Points with gaps on both sides, which a line alone would not show. */
function lonely(plot: UPlot, index: number): number[] {
  const values = plot.data[index] as (number | null)[];
  const alone: number[] = [];
  const there = (i: number) => values[i] !== null && values[i] !== undefined;
  for (let i = 0; i < values.length; i += 1) {
    if (there(i) && !there(i - 1) && !there(i + 1)) alone.push(i);
  }
  return alone;
}

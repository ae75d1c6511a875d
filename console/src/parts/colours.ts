// Colours of the style sheet as a canvas takes them: worked out by the browser, light or dark.

const PALETTE = 8;

export interface Colours {
  readonly series: readonly string[];
  readonly text: string;
  readonly line: string;
  readonly surface: string;
  readonly band: string;
  readonly accent: string;
  readonly bad: string;
  readonly off: string;
}

/** Reads them where an element stands. */
export function coloursAt(element: HTMLElement): Colours {
  const probe = document.createElement("i");
  probe.hidden = true;
  element.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    series: Array.from({ length: PALETTE }, (_, i) => read(`series-${i + 1}`)),
    text: read("text-3"),
    line: read("line"),
    surface: read("surface"),
    band: read("ok-fill"),
    accent: read("accent"),
    bad: read("bad"),
    off: read("off-fill"),
  };
  probe.remove();
  return colours;
}

/** The same colour, seen through. */
export function faint(colour: string, alpha: number): string {
  const parts = /rgba?\(([\d.]+)[, ]+([\d.]+)[, ]+([\d.]+)/.exec(colour);
  return parts ? `rgba(${parts[1]}, ${parts[2]}, ${parts[3]}, ${alpha})` : colour;
}

/** The style of the n-th line of a chart: colours come again, dashed. */
export function seriesVar(index: number): string {
  return `var(--series-${(index % PALETTE) + 1})`;
}

export const dashOf = (index: number): number[] | undefined =>
  index < PALETTE ? undefined : index < PALETTE * 2 ? [6, 3] : [2, 3];

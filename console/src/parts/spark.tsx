// A line the size of a word.
import type { Values } from "../logic/series";

const WIDTH = 96;
const HEIGHT = 22;

/** Gaps stay gaps. */
export function sparkPath(values: Values, width = WIDTH, height = HEIGHT): string {
  const there = values.filter((v): v is number => v !== null);
  if (there.length === 0) return "";
  const [low, high] = [Math.min(0, ...there), Math.max(...there)];
  const size = high - low || 1;
  let path = "";
  let pen = false;
  for (const [i, value] of values.entries()) {
    if (value === null) {
      pen = false;
      continue;
    }
    const x = (i / Math.max(1, values.length - 1)) * width;
    const y = height - 2 - ((value - low) / size) * (height - 4);
    path += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  }
  return path;
}

export function SparkLine({ values, label }: { values: Values; label: string }) {
  return (
    <svg
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={label}
    >
      <path
        d={sparkPath(values)}
        fill="none"
        stroke="var(--accent)"
        strokeWidth="1.4"
        strokeLinejoin="round"
      />
    </svg>
  );
}

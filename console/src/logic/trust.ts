// How far an answer of the metrics store can be relied on, in words.
import type { Quality } from "../api/metrics";
import { spanWords } from "./time";

export interface Trust {
  readonly words: string;
  readonly tone: "ok" | "warn" | "off";
  readonly more: string;
}

/** Below this share of samples an answer is marked. */
const ENOUGH = 0.95;

/** `interval` is how often is collected, in milliseconds, where the answer does not say that it is
 * more seldom; past spans are not judged by freshness. */
export function trustOf(
  quality: Quality | undefined,
  interval: number,
  past: boolean,
): Trust | undefined {
  if (!quality) return undefined;
  if (quality.series === 0) return { words: "no samples", tone: "off", more: "it reads no series" };
  const { completeness, expected, seen, freshness_seconds: fresh } = quality;
  const known = typeof fresh === "number" && !past;
  const every = Math.max(interval, (quality.interval_seconds ?? 0) * 1000);
  const late = known && fresh * 1000 > every * 2;
  const age = known ? ` · ${spanWords(fresh * 1000)} old` : "";
  const count = `${quality.series.toLocaleString("en")} series`;
  const more = late ? `${count}; what is newest is late` : count;
  if (completeness === null) {
    return { words: `${count}${age}`, tone: late ? "warn" : "off", more };
  }
  // What is missing is never rounded away.
  const percent = completeness >= 1 ? 100 : Math.min(99, Math.floor(completeness * 100 + 1e-9));
  const numbers = `${seen.toLocaleString("en")} of ${expected.toLocaleString("en")} samples`;
  return {
    words: `${percent} % of samples${age}`,
    tone: completeness < ENOUGH || late ? "warn" : "ok",
    more: `${numbers}, ${more}`,
  };
}

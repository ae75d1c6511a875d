// The lines of a task's log: their times where they tell them, and where a text searched for stands.

export interface JobLine {
  readonly number: number;
  /** The time the line begins with, if it does. */
  readonly time: string | undefined;
  readonly text: string;
  readonly tone: "bad" | "warn" | undefined;
}

const TIME = /^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)\]?\s+/;
const BAD = /(?:^|[\s[:(])(?:error|fatal|failed|failure|panicked|panic)(?:$|[\s\]:.!)])/i;
const WARN = /(?:^|[\s[:(])(?:warn|warning)(?:$|[\s\]:.!)])/i;

export function jobLines(lines: readonly string[], dropped: number): JobLine[] {
  return lines.map((line, i) => {
    const [whole = "", time] = TIME.exec(line) ?? [];
    const tone = BAD.test(line) ? "bad" : WARN.test(line) ? "warn" : undefined;
    return { number: dropped + i + 1, time, text: line.slice(whole.length), tone };
  });
}

/** The indices of lines that hold the text, whatever its case. */
export function hitsIn(lines: readonly JobLine[], wanted: string): number[] {
  if (wanted === "") return [];
  const low = wanted.toLowerCase();
  return lines.flatMap((line, i) => (line.text.toLowerCase().includes(low) ? [i] : []));
}

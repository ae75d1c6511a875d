// Differences of fields in words, and what of a history is worth showing first.
import type { FieldDiff, HistoryEntry } from "../api/objects";

export interface DiffLine {
  readonly path: string;
  readonly kind: "added" | "removed" | "changed";
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** Whether it is what a person wants, rather than what is. */
  readonly target: boolean;
}

const LONGEST = 400;

/** One value on one line, as it would stand in a manifest. */
export function valueWords(value: unknown): string {
  const text = typeof value === "string" ? plainString(value) : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function plainString(text: string): string {
  return /^[\w./:@%+-][\w ./:@%+-]*$/.test(text) ? text : JSON.stringify(text);
}

const absent = (value: unknown) => value === undefined || value === null;

export function diffLines(diff: readonly FieldDiff[] | undefined): DiffLine[] {
  // An empty text that was not there before says nothing.
  const told = (diff ?? []).filter(({ from, to }) => !(absent(from) && to === ""));
  return told.map(({ path, from, to }) => ({
    path,
    kind: absent(from) ? "added" : absent(to) ? "removed" : "changed",
    from: absent(from) ? undefined : valueWords(from),
    to: absent(to) ? undefined : valueWords(to),
    target: !path.startsWith("status."),
  }));
}

/** Whether a write changed what is wanted; the rest only reports what is. */
export function changedTarget(entry: HistoryEntry): boolean {
  if (entry.op !== "update") return true;
  return diffLines(entry.diff).some((line) => line.target);
}

// What a preview says beside the word of the gate, which only tells whether a change may be made:
// what planners would note at once, and instances for which no host would be found.
import type { MigrationForecast, Outcome, Reason, WriteView } from "../api/objects";
import { counted } from "./quantity";

/** The code of the reason that instances find no host. */
export const UNPLACEABLE = "unplaceable";

const NO_ROOM = "but not all of it finds room now";

/** The reasons of a write that come with it. */
function noted({ diff }: WriteView): Reason[] {
  const to = diff.find(({ path }) => path === "status.reasons")?.to;
  return Array.isArray(to) ? (to as Reason[]) : [];
}

/** Everything a preview says of a change: why, and what would stand in the way of what follows. */
export function remarksOf({ reasons, writes }: Outcome): Reason[] {
  const all = [...reasons, ...writes.filter((w) => w.by !== "you").flatMap(noted)];
  const seen = new Set<string>();
  return all.filter(({ code, message }) => {
    const key = `${code} ${message}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** What only tells how it is done, or that it may be: it asks nobody to think twice. */
const MERE: readonly string[] = [
  "revert",
  "deleting",
  "deleted",
  "moves",
  "scaled",
  "paused",
  "aborted",
  "budget-approved",
  "standard-waived",
];

/** How a preview is marked: as the worst of what it says, and not only as the gate's word. */
export type Mark = "ok" | "warn" | "bad" | "off";

export function markOf(outcome: Outcome, remarks: readonly Reason[]): Mark {
  if (outcome.verdict !== "commit") return outcome.verdict === "hold" ? "warn" : "bad";
  if (remarks.some(({ code }) => !MERE.includes(code))) return "warn";
  return changesAnything(outcome) ? "ok" : "off";
}

/** Whether carrying it out would change anything. */
export function changesAnything({ writes }: Outcome): boolean {
  return writes.some(({ op }) => op !== "unchanged");
}

/** What stands beside “Can be done”: that it is not all of it, or that something is said of it. */
export function butOf(remarks: readonly Reason[]): string | undefined {
  if (remarks.some(({ code }) => code === UNPLACEABLE)) return NO_ROOM;
  return remarks.length > 0 ? `with ${counted(remarks.length, "remark")}` : undefined;
}

/** The same of a migration, which its forecast tells. */
export function butOfForecast(forecast: MigrationForecast | undefined): string | undefined {
  if (!forecast) return undefined;
  if (forecast.unplaced > 0) return NO_ROOM;
  const { length } = forecast.risks;
  return length > 0 ? `with ${counted(length, "risk")}` : undefined;
}

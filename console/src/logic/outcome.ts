// What a preview says beside the word of the gate, which only tells whether a change may be made:
// what planners would note at once, and instances for which no host would be found.
import type { Deployment, Instance, Outcome, Reason, Release, WriteView } from "../api/objects";
import { coreWords, counted, memoryWords, parseCpu, parseMemory } from "./quantity";

/** The code of the reason that instances find no host. */
export const UNPLACEABLE = "unplaceable";

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

/** What stands beside “Can be done”: that it is not all of it, or that something is said of it. */
export function butOf(remarks: readonly Reason[]): string | undefined {
  if (remarks.some(({ code }) => code === UNPLACEABLE)) return "but not all of it finds room now";
  return remarks.length > 0 ? `with ${counted(remarks.length, "remark")}` : undefined;
}

/**
 * The same preview of another number of instances, with those for which it has found no host. What
 * it would write says that only by the instances it does not create. Nothing is said where more
 * than room decides how many are created at once.
 */
export function withUnplaced(
  outcome: Outcome,
  deployment: Deployment,
  { instances, release }: { instances: readonly Instance[]; release: Release | undefined },
): Outcome {
  const { name } = deployment.metadata;
  const mine = outcome.writes.find((w) => w.by === "you" && w.name === name);
  const wanted = mine?.diff.find(({ path }) => path === "spec.instances")?.to;
  const { status, spec } = deployment;
  const busy = status.rollout || status.scaled || spec.paused || mine?.diff.length !== 1;
  const moving = instances.some(({ metadata }) => metadata.deletedAt);
  const told = outcome.reasons.some(({ code }) => code === UNPLACEABLE);
  if (outcome.verdict !== "commit" || typeof wanted !== "number") return outcome;
  if (busy || moving || told) return outcome;
  const missing = wanted - instances.length;
  const made = outcome.writes.filter((w) => w.kind === "Instance" && w.op === "create").length;
  if (missing <= made) return outcome;
  const { cpu, memory } = release?.spec.run.resources ?? {};
  const each =
    cpu !== undefined && memory !== undefined
      ? `each needs ${coreWords(parseCpu(cpu))} and ${memoryWords(parseMemory(memory))}: `
      : "";
  const reason = {
    code: UNPLACEABLE,
    message: `${counted(missing - made, "instance")} of ${missing} more would find no host now`,
    hint: `${each}add hosts, free some, or ask for less`,
  };
  return { ...outcome, reasons: [...outcome.reasons, reason] };
}

// Pools as pages show them: how far each machine is, who makes them, and what stands in the way.
import type { Pool } from "../api/objects";
import type { Machine } from "../api/types";
import type { Segment } from "../parts/bars";
import { order } from "./fleet";
import type { Tone } from "./phases";
import { ranged } from "./quantity";

type Phase = NonNullable<Pool["status"]["phase"]>;
type MachinePhase = NonNullable<Machine["phase"]>;

export const POOL: Readonly<Record<Phase, { word: string; tone: Tone }>> = {
  waiting: { word: "waiting", tone: "held" },
  settled: { word: "settled", tone: "ok" },
  growing: { word: "growing", tone: "move" },
  shrinking: { word: "shrinking", tone: "move" },
  stuck: { word: "stuck", tone: "bad" },
};

export const MACHINE: Readonly<Record<MachinePhase, { word: string; tone: Tone }>> = {
  ready: { word: "ready", tone: "ok" },
  creating: { word: "being made", tone: "move" },
  joining: { word: "joining", tone: "soak" },
  draining: { word: "being emptied", tone: "held" },
  deleting: { word: "being deleted", tone: "off" },
  lost: { word: "not heard", tone: "bad" },
};

const ORDER: readonly MachinePhase[] = [
  "ready",
  "creating",
  "joining",
  "draining",
  "deleting",
  "lost",
];

/** How many machines are at each point, in the order in which it is drawn, and how many lack. */
export function machineParts({ spec, status }: Pool): Segment[] {
  const counts = status.counts ?? ({} as Partial<Record<MachinePhase, number>>);
  const parts = ORDER.map((phase) => ({ ...MACHINE[phase], count: counts[phase] ?? 0 }));
  const { creating = 0, joining = 0, ready = 0, lost = 0 } = counts;
  const lacking = (status.wanted ?? spec.count) - creating - joining - ready - lost;
  return [...parts, { word: "not asked for yet", tone: "unknown", count: Math.max(0, lacking) }];
}

export interface MachineRow {
  readonly key: string;
  readonly machine: Machine;
}

/** What is not well first, then by name. */
export function machineRows({ status }: Pool): MachineRow[] {
  const rank = ({ machine }: MachineRow) =>
    machine.failed ? -2 : -ORDER.indexOf(machine.phase ?? "creating");
  return Object.entries(status.machines ?? {})
    .map(([key, machine]) => ({ key, machine }))
    .sort((a, b) => rank(a) - rank(b) || order(a.key, b.key));
}

/** What was asked of the provider last, in words; none where nothing is open or went wrong. */
export function askWords({ ask }: Pick<Machine, "ask">): string | undefined {
  if (!ask) return undefined;
  const deed = ask.deed === "delete" ? "to delete it" : "to make it";
  const times = (ask.times ?? 1) > 1 ? `, ${ask.times} times` : "";
  if (ask.error) return `asked ${deed}${times}: ${ask.error}`;
  return ask.ended ? undefined : `asked ${deed}${times}, no answer yet`;
}

export const providerWord = ({ spec }: Pool): string =>
  "static" in spec.provider ? "static" : "docker" in spec.provider ? "docker" : "exec";

/** Who makes the machines, in words. */
export function providerWords({ spec }: Pool): string {
  const { provider } = spec;
  if ("static" in provider) return `hosts that are there: ${provider.static.hosts.join(", ")}`;
  if ("docker" in provider) return "containers of the server’s machine";
  return `a program: ${provider.exec.create.join(" ")}`;
}

export type AdviceWord = "more" | "fewer" | "same";

/** Whether the advice is for more hosts than there are to be, or fewer. */
export function adviceOf({ spec, status }: Pool): AdviceWord | undefined {
  const advice = status.advice;
  if (!advice) return undefined;
  if (advice.count > (status.wanted ?? spec.count)) return "more";
  return (advice.fewer ?? advice.count) < (status.wanted ?? spec.count) ? "fewer" : "same";
}

/** A word under the line of what may be asked for: at a share of it, which its left, middle or right is at. */
export interface ScaleEnd {
  readonly word: string;
  readonly at: number;
  readonly from: "left" | "middle" | "right";
}

/** Where the least and the most stand on a line from none to the most; what is near is said at once. */
export function scaleEnds(min: number, max: number): ScaleEnd[] {
  const at = max > 0 ? min / max : 0;
  const none: ScaleEnd = { word: "0", at: 0, from: "left" };
  if (at > 0.75)
    return [none, { word: min === max ? `only ${max}` : ranged(min, max), at: 1, from: "right" }];
  const most: ScaleEnd = { word: `to ${max}`, at: 1, from: "right" };
  // There is no room for a nought beside it.
  if (at < 0.1) return [{ word: `from ${min}`, at, from: "left" }, most];
  return [none, { word: `from ${min}`, at, from: "middle" }, most];
}

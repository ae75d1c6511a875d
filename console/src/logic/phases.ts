// What each phase means to a reader: the word shown, and how much it asks for attention.
import type { HostPhase, InstancePhase, Phase } from "../api/objects";

/** How a state is coloured. `move` is expected motion, `held` waits for a person. */
export type Tone = "ok" | "move" | "soak" | "held" | "warn" | "bad" | "unknown" | "off";

interface Look {
  readonly word: string;
  readonly tone: Tone;
}

export const DEPLOYMENT: Readonly<Record<Phase, Look>> = {
  settled: { word: "settled", tone: "ok" },
  rolling: { word: "rolling", tone: "move" },
  soaking: { word: "soaking", tone: "soak" },
  paused: { word: "paused", tone: "held" },
  waiting: { word: "waiting", tone: "warn" },
  rollingBack: { word: "rolling back", tone: "bad" },
  failed: { word: "failed", tone: "bad" },
};

export const INSTANCE: Readonly<Record<InstancePhase, Look>> = {
  ready: { word: "ready", tone: "ok" },
  starting: { word: "starting", tone: "move" },
  fetching: { word: "fetching", tone: "move" },
  pending: { word: "pending", tone: "move" },
  stopping: { word: "stopping", tone: "off" },
  stopped: { word: "stopped", tone: "off" },
  unready: { word: "unready", tone: "warn" },
  crashLoop: { word: "crash looping", tone: "bad" },
  unknown: { word: "unknown", tone: "unknown" },
};

export const HOST: Readonly<Record<HostPhase, Look>> = {
  ready: { word: "ready", tone: "ok" },
  unknown: { word: "unknown", tone: "bad" },
  draining: { word: "draining", tone: "move" },
  drained: { word: "drained", tone: "held" },
  cordoned: { word: "cordoned", tone: "held" },
};

/** The order in which phases are counted and drawn: well first, then ever worse. */
export const INSTANCE_ORDER: readonly InstancePhase[] = [
  "ready",
  "starting",
  "fetching",
  "pending",
  "stopping",
  "stopped",
  "unready",
  "unknown",
  "crashLoop",
];

export const DEPLOYMENT_ORDER: readonly Phase[] = [
  "settled",
  "soaking",
  "rolling",
  "paused",
  "waiting",
  "rollingBack",
  "failed",
];

export const HOST_ORDER: readonly HostPhase[] = [
  "ready",
  "cordoned",
  "draining",
  "drained",
  "unknown",
];

/** How bad an instance's phase is, for lists that begin with what asks for attention. */
export function badness(phase: InstancePhase): number {
  return INSTANCE_ORDER.indexOf(phase);
}

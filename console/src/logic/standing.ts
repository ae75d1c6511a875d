// How an object stands in a word, for the page of any kind. Kinds that are only declared have none.
import type { Autoscaler, Monitor, Watched } from "../api/objects";
import { BUDGET, priceState } from "./budgets";
import { POLICY_LOOK, stateOf } from "./decisions";
import { PROMOTION, phaseOf as promotionPhase } from "./delivery";
import { FREEZE, freezeState } from "./freeze";
import { OBJECTIVE } from "./objectives";
import { phaseOf } from "./peaks";
import type { Tone } from "./phases";

interface Look {
  readonly word: string;
  readonly tone: Tone;
}

const AUTOSCALER: Readonly<Record<NonNullable<Autoscaler["status"]["phase"]>, Look>> = {
  waiting: { word: "waits for a measurement", tone: "unknown" },
  acting: { word: "acts", tone: "ok" },
  observing: { word: "only says", tone: "held" },
  blind: { word: "not measured", tone: "unknown" },
};

const MONITOR: Readonly<Record<Monitor["status"]["phase"], Look>> = {
  unknown: { word: "not known", tone: "unknown" },
  up: { word: "up", tone: "ok" },
  degraded: { word: "partly down", tone: "warn" },
  down: { word: "down", tone: "bad" },
};

export function standingOf(object: Watched, now: number): Look | undefined {
  switch (object.kind) {
    case "Autoscaler":
      return AUTOSCALER[object.status.phase ?? "waiting"];
    case "Budget":
      return BUDGET[object.status.phase ?? "unknown"];
    case "Decision":
      return stateOf(object);
    case "Freeze":
      return FREEZE[freezeState(object, now)];
    case "Monitor":
      return MONITOR[object.status.phase ?? "unknown"];
    case "Objective":
      return OBJECTIVE[object.status.phase ?? "noData"];
    case "Peak":
      return phaseOf(object);
    case "Policy":
      return POLICY_LOOK[object.status.phase ?? "quiet"];
    case "Price":
      return priceState(object, now);
    case "Promotion":
      return PROMOTION[promotionPhase(object)];
    default:
      return undefined;
  }
}

// Whether a freeze holds. What it holds back is decided by the server alone.
import type { Freeze } from "../api/objects";
import type { Tone } from "./phases";
import { parseTime } from "./time";

export type FreezeState = "active" | "ahead" | "over";

export const FREEZE: Readonly<Record<FreezeState, { word: string; tone: Tone }>> = {
  active: { word: "in force", tone: "warn" },
  ahead: { word: "ahead", tone: "held" },
  over: { word: "over", tone: "off" },
};

export function freezeState(freeze: Freeze, now: number): FreezeState {
  const from = parseTime(freeze.spec.from);
  const until = parseTime(freeze.spec.until);
  if (until !== undefined && until <= now) return "over";
  return from !== undefined && from > now ? "ahead" : "active";
}

// Whether a freeze holds. What it holds back is decided by the server alone.
import type { Freeze } from "../api/objects";
import { parseTime } from "./time";

export type FreezeState = "active" | "ahead" | "over";

export function freezeState(freeze: Freeze, now: number): FreezeState {
  const from = parseTime(freeze.spec.from);
  const until = parseTime(freeze.spec.until);
  if (until !== undefined && until <= now) return "over";
  return from !== undefined && from > now ? "ahead" : "active";
}

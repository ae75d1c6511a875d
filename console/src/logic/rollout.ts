// How far a rollout is, step by step, as a picture needs it. When the next step is taken is decided
// by the server alone.
import type { Deployment, Rollout } from "../api/objects";
import { portionOf } from "./quantity";
import { parseSpan, parseTime } from "./time";

export interface StepView {
  /** As it was written: `25%`. */
  readonly portion: string;
  readonly instances: number;
  readonly soak: number;
  readonly state: "done" | "now" | "ahead";
  /** When its soak is over, while it soaks. */
  readonly soakEnds: number | undefined;
  readonly soakBegan: number | undefined;
}

export interface RolloutView {
  readonly from: string | undefined;
  readonly to: string;
  readonly back: boolean;
  readonly steps: readonly StepView[];
  readonly wanted: number;
  readonly updated: number;
  readonly proven: number;
  readonly began: number | undefined;
  readonly progressAt: number | undefined;
  /** When it counts as failed, unless it gets further. */
  readonly givesUpAt: number | undefined;
  readonly promoted: boolean;
}

/** How many instances there are to be: what its autoscaler wants comes before what is declared. */
export function wantedOf(d: Deployment): number {
  return d.status.scaled?.instances ?? d.spec.instances;
}

/** The rollout under way, if one is. */
export function rolloutOf(d: Deployment, plan: Rollout | undefined): RolloutView | undefined {
  const { rollout } = d.status;
  if (!rollout) return undefined;
  const canary = plan?.strategy === "canary" && !rollout.back;
  const progressAt = parseTime(rollout.progressAt);
  const deadline = plan ? parseSpan(plan.deadline) : undefined;
  const still = d.status.phase === "rolling" || d.status.phase === "rollingBack";
  return {
    from: d.status.release ?? undefined,
    to: rollout.to,
    back: rollout.back ?? false,
    steps: canary ? stepsOf(d, plan) : [],
    wanted: wantedOf(d),
    updated: d.status.updated,
    proven: rollout.proven,
    began: parseTime(rollout.since),
    progressAt,
    givesUpAt:
      still && progressAt !== undefined && deadline !== undefined
        ? progressAt + deadline
        : undefined,
    promoted: d.spec.promoted === rollout.to,
  };
}

function stepsOf(d: Deployment, plan: Rollout): StepView[] {
  const { rollout } = d.status;
  const wanted = wantedOf(d);
  const steps = [...(plan.steps ?? [])];
  const last = steps.at(-1);
  // Whatever the steps leave over comes last, without being watched.
  if (!last || portionOf(String(last.instances), wanted) < wanted) {
    steps.push({ instances: "100%", soak: "0s" });
  }
  return steps.map((step, i) => {
    const soak = parseSpan(step.soak);
    const now = i === rollout?.step;
    const began = now ? parseTime(rollout?.soakingSince) : undefined;
    return {
      portion: String(step.instances),
      instances: Math.min(wanted, portionOf(String(step.instances), wanted)),
      soak,
      state: now ? "now" : i < (rollout?.step ?? 0) ? "done" : "ahead",
      soakBegan: began,
      soakEnds: began === undefined ? undefined : began + soak,
    };
  });
}

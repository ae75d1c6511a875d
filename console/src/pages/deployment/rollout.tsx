// The rollout under way: its steps, what runs the new release, and when it goes on or gives up.
import { useNow } from "../../api/live";
import type { Deployment, Rollout as Plan } from "../../api/objects";
import { counted } from "../../logic/quantity";
import type { RolloutView, StepView } from "../../logic/rollout";
import { spanWords } from "../../logic/time";
import { Ago, Countdown } from "../../parts/ago";
import { Legend, type Segment, Segments } from "../../parts/bars";

interface Props {
  rollout: RolloutView;
  deployment: Deployment;
  plan: Plan | undefined;
}

export function Rollout({ rollout, deployment, plan }: Props) {
  const { from, to, back, began, givesUpAt } = rollout;
  const paused = deployment.status.phase === "paused";
  return (
    <section className="panel" aria-label="rollout">
      <header>
        <h2 className="rollout-lead">
          {back
            ? `Going back to ${to}`
            : from && from !== to
              ? `${from} → ${to}`
              : `Rolling out ${to}`}
          <span className="quiet small">
            {plan?.strategy ?? "rolling"}, began <Ago at={began} /> ago
          </span>
        </h2>
        {paused && <span className="small held">goes on when it is resumed</span>}
        {givesUpAt !== undefined && (
          <span className="small quiet">
            gives up without progress in <Countdown until={givesUpAt} />
          </span>
        )}
      </header>
      <div className="body stack">
        {rollout.steps.length > 0 && (
          <ol className="rollout-steps">
            {rollout.steps.map((step, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a step is its place among the steps
              <Step key={i} step={step} rollout={rollout} deployment={deployment} />
            ))}
          </ol>
        )}
        <Track rollout={rollout} deployment={deployment} />
      </div>
    </section>
  );
}

interface StepProps {
  step: StepView;
  rollout: RolloutView;
  deployment: Deployment;
}

function Step({ step, rollout, deployment }: StepProps) {
  const soaking = step.state === "now" && step.soakEnds !== undefined;
  const tone = soaking ? "soak" : deployment.status.phase === "paused" ? "held" : "move";
  const portion = step.portion.endsWith("%")
    ? `${step.portion}`
    : counted(Number(step.portion), "instance");
  return (
    <li
      className={`step ${step.state} ${tone}`}
      aria-current={step.state === "now" ? "step" : undefined}
    >
      <StepBar step={step} rollout={rollout} />
      <p className="step-name">
        <b>{portion}</b>
        {step.portion.endsWith("%") && <span className="quiet">{step.instances}</span>}
      </p>
      <p className="step-detail">
        <StepWords step={step} rollout={rollout} />
      </p>
    </li>
  );
}

function StepBar({ step, rollout }: { step: StepView; rollout: RolloutView }) {
  const now = useNow();
  let share = step.state === "done" ? 1 : 0;
  if (step.state === "now" && step.soakEnds !== undefined && step.soakBegan !== undefined) {
    share = (now - step.soakBegan) / Math.max(1, step.soak);
  } else if (step.state === "now") {
    share = rollout.proven / Math.max(1, step.instances);
  }
  return (
    <div className="step-bar">
      <span
        style={{ width: `${Math.min(100, Math.max(step.state === "now" ? 3 : 0, share * 100))}%` }}
      />
    </div>
  );
}

function StepWords({ step, rollout }: { step: StepView; rollout: RolloutView }) {
  const soak = spanWords(step.soak);
  if (step.state === "done") return <>{step.soak > 0 ? `watched for ${soak}` : "done"}</>;
  if (step.state === "ahead")
    return <>{step.soak > 0 ? `to be watched for ${soak}` : "then done"}</>;
  if (step.soakEnds !== undefined) {
    if (rollout.promoted) return <>promoted: the soak is skipped</>;
    return (
      <>
        soaking, <Countdown until={step.soakEnds} /> of {soak} left
      </>
    );
  }
  return (
    <>
      {rollout.proven} of {step.instances} proven
    </>
  );
}

/** Of all that are wanted: proven, updated and not yet proven, and still on the former release. */
function Track({ rollout, deployment }: { rollout: RolloutView; deployment: Deployment }) {
  const { wanted, updated, proven } = rollout;
  const sure = Math.min(proven, updated);
  const parts: Segment[] = [
    { word: `ready on ${rollout.to}`, tone: "ok", count: sure },
    { word: "updated, not yet proven", tone: "move", count: Math.max(0, updated - sure) },
    {
      word: `on ${rollout.from ?? "the former release"}`,
      tone: "off",
      count: former(deployment, wanted),
    },
  ];
  return (
    <div className="rollout-track">
      <Segments parts={parts} label="instances by release" />
      <Legend parts={parts} />
    </div>
  );
}

function former(d: Deployment, wanted: number): number {
  return Math.max(0, Math.max(d.status.instances, wanted) - d.status.updated);
}

// What can be done with a deployment, as it stands.
import { useState } from "react";
import { applyEdit, type Edit, previewEdit } from "../../api/change";
import { Problem } from "../../api/http";
import type { Deployment } from "../../api/objects";
import { ChangeDialog, type Proposal } from "../../parts/change";
import { Icon } from "../../parts/icon";
import { notify } from "../../parts/notices";

interface Props {
  deployment: Deployment;
  mayWrite: boolean;
  onEdit: () => void;
}

type Asked = "promote" | "abort";

export function editOf(deployment: Deployment, spec: Record<string, unknown>): Edit {
  const { name, generation = 0 } = deployment.metadata;
  return { plural: "deployments", name, generation, spec };
}

export function proposalOf(edit: Edit, done: string): Proposal {
  return {
    key: `${edit.plural}/${edit.name}@${edit.generation} ${JSON.stringify([edit.spec, edit.annotations])}`,
    preview: (signal) => previewEdit(edit, signal),
    apply: () => applyEdit(edit),
    done,
  };
}

export function Actions({ deployment, mayWrite, onEdit }: Props) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const [busy, setBusy] = useState(false);
  const { status, spec, metadata } = deployment;
  const rollout = status.rollout;
  const forward = rollout && !rollout.back;
  if (!mayWrite) return <span className="quiet small">You may look, not change.</span>;

  const pause = async () => {
    setBusy(true);
    try {
      await applyEdit(editOf(deployment, { paused: spec.paused ? null : true }));
      notify(`deployment/${metadata.name} ${spec.paused ? "goes on" : "is paused"}`);
    } catch (thrown) {
      const problem = Problem.from(thrown);
      notify([problem.message, ...problem.reasons.map((r) => r.message)].join(": "), true);
    } finally {
      setBusy(false);
    }
  };

  return (
    <>
      {(spec.paused || rollout) && (
        <button type="button" className="button" onClick={() => void pause()} disabled={busy}>
          <Icon name={spec.paused ? "play" : "pause"} />
          {spec.paused ? "Resume" : "Pause"}
        </button>
      )}
      {forward && status.phase === "soaking" && (
        <button type="button" className="button" onClick={() => setAsked("promote")}>
          <Icon name="forward" />
          Promote
        </button>
      )}
      {forward && (
        <button type="button" className="button danger" onClick={() => setAsked("abort")}>
          <Icon name="back" />
          Abort
        </button>
      )}
      <button
        type="button"
        className="button main"
        onClick={onEdit}
        data-key="e"
        title="Edit the target (e)"
      >
        <Icon name="edit" />
        Edit target
      </button>
      {asked && forward && (
        <Ask asked={asked} to={rollout.to} deployment={deployment} onClose={() => setAsked(null)} />
      )}
    </>
  );
}

interface AskProps {
  asked: Asked;
  to: string;
  deployment: Deployment;
  onClose: () => void;
}

export function Ask({ asked, to, deployment, onClose }: AskProps) {
  // The change is made from the target seen when it was asked for, not from what comes meanwhile.
  const [edit] = useState(() =>
    editOf(deployment, asked === "promote" ? { promoted: to } : { aborted: to }),
  );
  const name = deployment.metadata.name;
  const back = deployment.status.lastGood ?? deployment.status.release ?? "the last good release";
  return asked === "promote" ? (
    <ChangeDialog
      title={`Promote ${to} in ${name}`}
      lead="The remaining soaks are skipped; it is rolled out to all instances, within the bounds of the rollout."
      word="Promote"
      proposal={proposalOf(edit, `deployment/${name} will run ${to} on all instances`)}
      onClose={onClose}
    />
  ) : (
    <ChangeDialog
      title={`Abort the rollout of ${to}`}
      lead={`${name} goes back to ${back}. ${to} is not tried again here until the target is edited.`}
      word="Abort the rollout"
      danger
      proposal={proposalOf(edit, `deployment/${name} goes back to ${back}`)}
      onClose={onClose}
    />
  );
}

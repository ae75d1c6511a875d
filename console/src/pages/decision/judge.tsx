// What people do about decisions: approve one, say whether it was right, stop all of it and let it
// go on. Each is a change like any other: shown by a dry run, then made.
import { useState } from "react";
import { create, remove } from "../../api/change";
import type { Decision, Freeze } from "../../api/objects";
import { deedOf } from "../../logic/decisions";
import { ChangeDialog, type Proposal } from "../../parts/change";
import { Fact, Facts } from "../../parts/facts";
import { Approve, Remark } from "../../parts/judging";
import { proposalOf } from "../deployment/actions";

export type Asked =
  | { what: "approve"; decision: Decision }
  | { what: "right" | "wrong"; decision: Decision }
  | { what: "stop" }
  | { what: "resume"; stop: Freeze };

export function Judge({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  switch (asked.what) {
    case "approve":
      return <ApproveDecision decision={asked.decision} onClose={onClose} />;
    case "stop":
      return <Stop onClose={onClose} />;
    case "resume":
      return <Resume stop={asked.stop} onClose={onClose} />;
    default:
      return <Say decision={asked.decision} right={asked.what === "right"} onClose={onClose} />;
  }
}

function ApproveDecision({ decision, onClose }: { decision: Decision; onClose: () => void }) {
  const { name } = decision.metadata;
  const { changes = [], policy, votes = [] } = decision.status;
  return (
    <Approve
      subject={`decision/${name}`}
      title={`Approve: ${deedOf(decision)}`}
      lead="It is carried out at once, if nothing is in the way by then."
      done={`decision/${name} is approved`}
      onClose={onClose}
    >
      <Facts>
        <Fact name="would be done">{changes.join("; ") || "not known yet"}</Fact>
        <Fact name="for">{decision.spec.subject}</Fact>
        <Fact name="by the policy">{policy}</Fact>
        <Fact name="because">{votes[0]?.message}</Fact>
      </Facts>
    </Approve>
  );
}

interface SayProps {
  decision: Decision;
  right: boolean;
  onClose: () => void;
}

function Say({ decision, right, onClose }: SayProps) {
  const [seen] = useState(decision);
  const [comment, setComment] = useState(seen.spec.feedback?.comment ?? "");
  const { name, generation = 0 } = seen.metadata;
  const spec = { feedback: { right, comment: comment.trim() } };
  return (
    <ChangeDialog
      title={`${name} was ${right ? "right" : "wrong"}`}
      lead={
        seen.status.actedAt
          ? "It counts in the record of its policy, and changes nothing of what was done."
          : right
            ? "It counts in the record of its policy. One that was left to people is tried again."
            : "It counts in the record of its policy, and is not carried out."
      }
      word="Say so"
      proposal={proposalOf(
        { plural: "decisions", name, generation, spec },
        `decision/${name} is said to be ${right ? "right" : "wrong"}`,
      )}
      onClose={onClose}
    >
      <Remark label="Why, if you like" value={comment} onChange={setComment} />
    </ChangeDialog>
  );
}

function Stop({ onClose }: { onClose: () => void }) {
  const [why, setWhy] = useState("");
  const freeze = {
    kind: "Freeze",
    metadata: { name: "decisions" },
    spec: { holds: "decisions", reason: why.trim() },
  };
  const proposal: Proposal = {
    key: `stop ${why}`,
    preview: (signal) => create("freezes", freeze, true, signal),
    apply: () => create("freezes", freeze, false),
    done: "all policies are stopped",
  };
  return (
    <ChangeDialog
      title="Stop all policies"
      lead="At once, healing by policies too. What deployments, autoscalers and rollouts do goes on. Policies go on to vote, and decisions say what they would do."
      word="Stop"
      danger
      proposal={why.trim() === "" ? undefined : proposal}
      onClose={onClose}
    >
      <Remark label="Why" required value={why} onChange={setWhy} />
    </ChangeDialog>
  );
}

function Resume({ stop, onClose }: { stop: Freeze; onClose: () => void }) {
  const { name } = stop.metadata;
  const proposal: Proposal = {
    key: `resume ${name}`,
    preview: (signal) => remove("freezes", name, true, signal),
    apply: () => remove("freezes", name, false),
    done: "policies go on with what they may do",
  };
  return (
    <ChangeDialog
      title="Let it go on"
      lead={`It was stopped: ${stop.spec.reason}`}
      word="Go on"
      proposal={proposal}
      onClose={onClose}
    />
  );
}

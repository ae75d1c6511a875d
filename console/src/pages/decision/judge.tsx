// What people do about decisions: approve one, say whether it was right, stop all of it and let it
// go on. Each is a change like any other: shown by a dry run, then made.
import { useState } from "react";
import { create, remove } from "../../api/change";
import type { Decision, Freeze } from "../../api/objects";
import { useWhoami } from "../../api/queries";
import { actionWord } from "../../logic/decisions";
import { ChangeDialog, type Proposal } from "../../parts/change";
import { proposalOf } from "../deployment/actions";

export type Asked =
  | { what: "approve"; decision: Decision }
  | { what: "right" | "wrong"; decision: Decision }
  | { what: "stop" }
  | { what: "resume"; stop: Freeze };

interface WhyProps {
  label: string;
  value: string;
  onChange: (text: string) => void;
}

function Why({ label, value, onChange }: WhyProps) {
  return (
    <div className="field">
      <label htmlFor="judge-why">{label}</label>
      <input
        id="judge-why"
        data-first
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}

export function Judge({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  switch (asked.what) {
    case "approve":
      return <Approve decision={asked.decision} onClose={onClose} />;
    case "stop":
      return <Stop onClose={onClose} />;
    case "resume":
      return <Resume stop={asked.stop} onClose={onClose} />;
    default:
      return <Say decision={asked.decision} right={asked.what === "right"} onClose={onClose} />;
  }
}

function Approve({ decision, onClose }: { decision: Decision; onClose: () => void }) {
  const who = useWhoami().data;
  const [comment, setComment] = useState("");
  const { name } = decision.metadata;
  const by = who?.name ?? "";
  const mine = by.replace(/^.*\//, "").replaceAll(/[^a-z0-9-]+/g, "-");
  const approval = {
    kind: "Approval",
    metadata: { name: `${name}.${mine}` },
    spec: {
      subject: `decision/${name}`,
      by,
      role: who?.roles?.[0] ?? who?.role ?? "",
      comment: comment.trim(),
    },
  };
  const proposal: Proposal | undefined = who && {
    key: `approve ${name} ${comment}`,
    preview: (signal) => create("approvals", approval, true, signal),
    apply: () => create("approvals", approval, false),
    done: `${name} is approved`,
  };
  return (
    <ChangeDialog
      title={`Approve: ${actionWord(decision.status.action)} ${decision.spec.subject}`}
      lead={`As ${by || "…"}. It is carried out at once, if nothing is in the way by then.`}
      word="Approve"
      proposal={proposal}
      onClose={onClose}
    >
      <Why label="What you say of it" value={comment} onChange={setComment} />
    </ChangeDialog>
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
      proposal={proposalOf({ plural: "decisions", name, generation, spec }, "it is kept")}
      onClose={onClose}
    >
      <Why label="Why, if you like" value={comment} onChange={setComment} />
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
    done: "nothing is done by itself any more",
  };
  return (
    <ChangeDialog
      title="Stop all that is done by itself"
      lead="At once, healing by policies too. What deployments, autoscalers and rollouts do goes on. Policies go on to vote, and decisions say what they would do."
      word="Stop"
      danger
      proposal={why.trim() === "" ? undefined : proposal}
      onClose={onClose}
    >
      <Why label="Why" value={why} onChange={setWhy} />
    </ChangeDialog>
  );
}

function Resume({ stop, onClose }: { stop: Freeze; onClose: () => void }) {
  const { name } = stop.metadata;
  const proposal: Proposal = {
    key: `resume ${name}`,
    preview: (signal) => remove("freezes", name, true, signal),
    apply: () => remove("freezes", name, false),
    done: "what policies may do is done again",
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

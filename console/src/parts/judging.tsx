// What pages on which somebody judges have in common: the field for what they say, the two buttons
// for what was right or wrong, and the approval of something that waits for one.
import { type ReactNode, useState } from "react";
import { create } from "../api/change";
import { useWhoami } from "../api/queries";
import { ChangeDialog, type Proposal } from "./change";
import { Icon } from "./icon";

interface RemarkProps {
  label: string;
  value: string;
  placeholder?: string;
  /** Nothing is done while it is empty. */
  required?: boolean;
  onChange: (text: string) => void;
}

/** One line of text, the first thing of its dialog. */
export function Remark({ label, value, placeholder, required, onChange }: RemarkProps) {
  return (
    <div className="field">
      <label htmlFor="remark">
        {label}
        {required && <span className="quiet"> (needed)</span>}
      </label>
      <input
        id="remark"
        data-first
        value={value}
        placeholder={placeholder}
        required={required}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}

interface RightWrongProps {
  /** What was right or wrong, for those who do not see where the buttons stand. */
  of: string;
  said?: boolean;
  onSay: (right: boolean) => void;
}

/** Whether something was right, as somebody has said, or says now. */
export function RightWrong({ of, said, onSay }: RightWrongProps) {
  return [true, false].map((right) => (
    <button
      key={String(right)}
      type="button"
      className="button slim"
      aria-pressed={said === right}
      aria-label={`${right ? "Right" : "Wrong"}: ${of}`}
      onClick={() => onSay(right)}
    >
      <Icon name={right ? "check" : "close"} size={14} /> {right ? "Right" : "Wrong"}
    </button>
  ));
}

interface ApproveProps {
  /** `KIND/NAME` of what waits. */
  subject: string;
  title: string;
  lead: string;
  /** What is said once it is approved. */
  done: string;
  /** Roles of which one is asked for, if any is. */
  roles?: readonly string[];
  /** What is approved. */
  children?: ReactNode;
  onClose: () => void;
}

/** Approves what waits, in the name of whoever is signed in. */
export function Approve(props: ApproveProps) {
  const { subject, title, lead, done, roles = [], children, onClose } = props;
  const who = useWhoami().data;
  const [comment, setComment] = useState("");
  const by = who?.name ?? "";
  const mineAre = who?.roles ?? [];
  const role = mineAre.find((mine) => roles.includes(mine)) ?? mineAre[0] ?? who?.role ?? "";
  const name = subject.slice(subject.indexOf("/") + 1);
  const mine = by.replace(/^.*\//, "").replaceAll(/[^a-z0-9-]+/g, "-");
  const approval = {
    kind: "Approval",
    metadata: { name: `${name}.${mine}` },
    spec: { subject, by, role, comment: comment.trim() },
  };
  const proposal: Proposal | undefined = who && {
    key: `approve ${subject} ${comment}`,
    preview: (signal) => create("approvals", approval, true, signal),
    apply: () => create("approvals", approval, false),
    done,
  };
  return (
    <ChangeDialog
      title={title}
      lead={`As ${by || "…"}. ${lead}`}
      word="Approve"
      proposal={proposal}
      onClose={onClose}
    >
      {children}
      <Remark
        label="What you say of it"
        value={comment}
        placeholder="may stay empty"
        onChange={setComment}
      />
    </ChangeDialog>
  );
}

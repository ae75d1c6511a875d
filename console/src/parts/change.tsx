// The one way changes are made here: say what, see what it would do, then do it.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type KeyboardEvent, type ReactNode, useEffect, useState } from "react";
import { Problem } from "../api/http";
import type { Outcome } from "../api/objects";
import { changesAnything } from "../logic/outcome";
import { Dialog } from "./dialog";
import { Skeleton } from "./empty";
import { notify } from "./notices";
import { OutcomeView } from "./outcome";
import { ProblemView } from "./problem";

export interface Proposal {
  /** The same for the same change. */
  readonly key: string;
  readonly preview: (signal: AbortSignal) => Promise<Outcome>;
  readonly apply: () => Promise<Outcome>;
  /** Said once it is done. */
  readonly done: string;
  /** What speaks against it and is told above the preview: `but not all of it finds room now`. */
  readonly but?: string;
}

interface Props {
  title: string;
  lead?: ReactNode;
  word: string;
  danger?: boolean;
  /** None while what has been entered makes no sense. */
  proposal: Proposal | undefined;
  onClose: () => void;
  children?: ReactNode;
}

function useSettled<T>(value: T, wait: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), wait);
    return () => clearTimeout(timer);
  }, [value, wait]);
  return settled;
}

export function ChangeDialog({ title, lead, word, danger, proposal, onClose, children }: Props) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Problem | null>(null);
  const key = proposal?.key ?? "";
  const settledKey = useSettled(key, 180);
  const preview = useQuery<Outcome, Problem>({
    queryKey: ["preview", settledKey],
    queryFn: ({ signal }) => (proposal as Proposal).preview(signal),
    enabled: proposal !== undefined && settledKey === key,
    gcTime: 0,
    staleTime: 0,
  });
  const current = settledKey === key ? preview.data : undefined;
  const ready = current?.verdict === "commit" && changesAnything(current);
  const pending = proposal !== undefined && !current && !(preview.error && settledKey === key);
  // Nobody confirms what they have not been shown: an Enter before that is answered, not kept.
  const [early, setEarly] = useState<string>();
  const answered = proposal !== undefined && early === key;
  const typed = (event: KeyboardEvent) => {
    if (event.key === "Enter" && event.target instanceof HTMLInputElement && pending) setEarly(key);
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!proposal || !ready || busy) return;
    setBusy(true);
    setFailure(null);
    try {
      const outcome = await proposal.apply();
      if (outcome.verdict !== "commit") {
        const problem = new Problem(0, outcome.verdict, "it was not done", outcome.reasons);
        throw problem;
      }
      notify(proposal.done);
      onClose();
    } catch (thrown) {
      setFailure(Problem.from(thrown));
      setBusy(false);
    }
  };

  return (
    <Dialog title={title} onClose={onClose}>
      <form className="dialog-form" onSubmit={submit} onKeyDown={typed} noValidate>
        <div className="dialog-body">
          {lead && <p className="second">{lead}</p>}
          {children}
          <section className="preview" aria-live="polite" aria-label="what it would do">
            {failure && <ProblemView problem={failure} />}
            {preview.error && !failure && settledKey === key && (
              <ProblemView problem={preview.error} />
            )}
            {current && !failure && <OutcomeView outcome={current} but={proposal?.but} />}
            {!current && !preview.error && proposal && <Skeleton lines={2} />}
          </section>
        </div>
        <footer>
          <p className="small second grow" role="status">
            {answered && pending && "What it would do is being worked out…"}
            {answered && ready && !busy && "That is what it would do: Enter once more does it."}
          </p>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className={danger ? "button main danger" : "button main"}
            disabled={!ready || busy}
          >
            {busy ? "Working…" : word}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

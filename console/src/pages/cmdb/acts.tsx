// What can be done about a finding: taking what is, or having it made so.
import { useState } from "react";
import { Problem } from "../../api/http";
import { type Drift, mend } from "../../api/inventory";
import { mended, waysToMend } from "../../logic/inventory";
import { notify } from "../../parts/notices";
import { ProblemView } from "../../parts/problem";
import { useMayWrite } from "../../shell/who";
import "./inventory.css";

/** A difference is mended either way where it is read, by whoever may. */
export function FindingActs({ drift }: { drift: Drift }) {
  const mayWrite = useMayWrite();
  const [wrong, setWrong] = useState<Problem | null>(null);
  const ways = mayWrite ? waysToMend(drift) : [];
  if (ways.length === 0) return null;
  const act = async (how: "accept" | "mend") => {
    try {
      await mend(drift.metadata.name, how);
      setWrong(null);
      notify(mended(how, drift.spec));
    } catch (thrown) {
      setWrong(Problem.from(thrown));
    }
  };
  return (
    <span className="attribute-acts">
      {ways.includes("accept") && (
        <button type="button" className="button small" onClick={() => void act("accept")}>
          Take what is
        </button>
      )}
      {ways.includes("mend") && (
        <button type="button" className="button small" onClick={() => void act("mend")}>
          Make it so
        </button>
      )}
      {wrong && <ProblemView problem={wrong} />}
    </span>
  );
}

// One decision on its own page: how it stands, its evidence, and what people can do about it.
import { useState } from "react";
import type { Decision } from "../../api/objects";
import { actionOn, becauseOf, stateOf } from "../../logic/decisions";
import { State } from "../../parts/phase";
import { useMayWrite } from "../../shell/who";
import { type Asked, Judge } from "./judge";
import { Evidence, Verdicts } from "./row";

export function DecisionAtWork({ decision }: { decision: Decision }) {
  const mayWrite = useMayWrite();
  const [asked, setAsked] = useState<Asked | null>(null);
  return (
    <section className="panel" aria-label="what was decided">
      <div className="body stack">
        <div className="decision-page">
          <p className="strong">{actionOn(decision.status.action, decision.spec.subject)}</p>
          <State {...stateOf(decision)} />
          {mayWrite && <Verdicts decision={decision} ask={setAsked} />}
        </div>
        <p className="second">{becauseOf(decision)}</p>
        <Evidence decision={decision} />
      </div>
      {asked && <Judge asked={asked} onClose={() => setAsked(null)} />}
    </section>
  );
}

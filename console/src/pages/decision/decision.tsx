// One decision on its own page: what is done and why, its evidence, and what people can do about it.
import { useState } from "react";
import type { Decision } from "../../api/objects";
import { becauseOf, deedOf } from "../../logic/decisions";
import { Prose } from "../../parts/prose";
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
          <p className="strong">{deedOf(decision)}</p>
          {mayWrite && <Verdicts decision={decision} ask={setAsked} />}
        </div>
        <p className="second">
          <Prose text={becauseOf(decision)} />
        </p>
        <Evidence decision={decision} />
      </div>
      {asked && <Judge asked={asked} onClose={() => setAsked(null)} />}
    </section>
  );
}

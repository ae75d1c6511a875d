// How one application keeps the standards, on its own page.
import { useMemo } from "react";
import { useCoarseNow, useObject } from "../../api/live";
import { counted } from "../../logic/quantity";
import { allFindings, scores } from "../../logic/standards";
import { Empty } from "../../parts/empty";
import { Findings } from "./findings";
import { Moved, Score, ScoreLine } from "./score";
import "./standards.css";

export function ApplicationStandards({ name }: { name: string }) {
  const card = useObject("scorecards", `application.${name}`);
  const now = useCoarseNow(60_000);
  const row = useMemo(() => card && scores([card], "application", now)[0], [card, now]);
  if (!card || !row) {
    return (
      <section className="panel" aria-label="standards">
        <Empty title="No standard asks anything of it" />
      </section>
    );
  }
  const kept = row.checks - row.broken;
  return (
    <section className="panel" aria-label="standards">
      <div className="standards-whole">
        <div className="standards-score">
          <Score score={row.score} large />
          <div>
            <p className="strong">
              {kept} of {counted(row.checks, "check")} kept
            </p>
            <p className="small quiet">what is on trial or excused does not count</p>
          </div>
        </div>
        <div className="standards-trend">
          <ScoreLine row={row} wide />
          <p className="small quiet">
            30 days, <Moved row={row} />
          </p>
        </div>
      </div>
      <div className="standards-below">
        <Findings findings={allFindings([card])} none="It keeps all of them" />
      </div>
    </section>
  );
}

// What a change would do, or has done: the gate's word, its reasons, and every write that follows.
import type { Outcome, VerdictWord, WriteView } from "../api/objects";
import { butOf, changesAnything, markOf, remarksOf } from "../logic/outcome";
import { counted } from "../logic/quantity";
import { Diff } from "./diff";
import { Icon } from "./icon";
import { Prose } from "./prose";
import { Reasons } from "./reasons";
import "./outcome.css";

const VERDICTS: Readonly<Record<VerdictWord, string>> = {
  commit: "Can be done",
  hold: "Held back",
  deny: "Refused",
};

const MOST = 12;

interface Props {
  outcome: Outcome;
  /** What is said of it elsewhere, if that speaks against it. */
  but?: string;
}

export function OutcomeView({ outcome, but: elsewhere }: Props) {
  const mine = outcome.writes.filter((w) => w.by === "you");
  const next = outcome.writes.filter((w) => w.by !== "you" && w.op !== "unchanged");
  const passes = outcome.verdict === "commit";
  const nothing = passes && !changesAnything(outcome);
  const remarks = remarksOf(outcome);
  const told = markOf(outcome, remarks);
  const mark = told === "ok" && elsewhere ? "warn" : told;
  const but = passes && !nothing ? (elsewhere ?? butOf(remarks)) : undefined;
  const said = nothing ? "Nothing would change" : VERDICTS[outcome.verdict];
  return (
    <div className="outcome">
      <div className={`verdict ${mark}`}>
        <Icon name={passes ? (mark === "warn" ? "warning" : "check") : "lock"} />
        <b>{[said, but].filter(Boolean).join(", ")}</b>
      </div>
      {outcome.cost && (
        <p className="second">
          Costs <Prose text={outcome.cost} />
        </p>
      )}
      <Reasons reasons={remarks} />
      {mine.map((write) => (
        <Diff key={`${write.kind}/${write.name}`} diff={write.diff} targetOnly />
      ))}
      {next.length > 0 && <Following writes={next} />}
    </div>
  );
}

function Following({ writes }: { writes: readonly WriteView[] }) {
  const shown = writes.slice(0, MOST);
  return (
    <div className="outcome-next">
      <h3>What follows at once: {counted(writes.length, "write")}</h3>
      <ul>
        {shown.map((write) => (
          <li key={`${write.op} ${write.kind}/${write.name}`}>
            <span className={`op ${write.op}`}>{write.op}</span>
            <span className="mono">
              {write.kind.toLowerCase()}/{write.name}
            </span>
            <span className="quiet small">{detail(write)}</span>
          </li>
        ))}
      </ul>
      {writes.length > MOST && <p className="quiet small">and {writes.length - MOST} more</p>}
    </div>
  );
}

/** The one field of a write by others that says most. */
function detail(write: WriteView): string {
  const to = (path: string) => write.diff.find((d) => d.path === path)?.to;
  const host = to("spec.host");
  const release = to("spec.release");
  const phase = to("status.phase");
  const parts = [host && `on ${host}`, release && `runs ${release}`, phase && `becomes ${phase}`];
  return parts.filter(Boolean).join(", ");
}

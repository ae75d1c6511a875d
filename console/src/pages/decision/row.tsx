// One decision: what it does and why in a line, its evidence below, and what people can say of it.
import { useObject } from "../../api/live";
import type { Decision } from "../../api/objects";
import {
  actionWord,
  becauseOf,
  deedOf,
  farWord,
  isOver,
  stateOf,
  stoodWords,
  votedUntil,
} from "../../logic/decisions";
import { precise } from "../../logic/units";
import { Ago } from "../../parts/ago";
import { RightWrong } from "../../parts/judging";
import { ObjectLink, SubjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Prose } from "../../parts/prose";
import { Reasons } from "../../parts/reasons";
import type { Asked } from "./judge";
import "./decisions.css";

interface ListProps {
  decisions: readonly Decision[];
}

interface RowProps {
  decision: Decision;
  mayWrite: boolean;
  ask: (asked: Asked) => void;
}

/** Decisions below each other. */
export function DecisionList({ decisions, ...rest }: Omit<RowProps, "decision"> & ListProps) {
  return (
    <ul data-list>
      {decisions.map((decision) => (
        <DecisionRow key={decision.metadata.name} decision={decision} {...rest} />
      ))}
    </ul>
  );
}

/** One decision in a list, which opens on its evidence. */
function DecisionRow({ decision, mayWrite, ask }: RowProps) {
  const { status, metadata } = decision;
  return (
    <li className={isOver(decision) ? "decision over" : "decision"} data-row>
      <details>
        <summary>
          <span className="decision-what">
            <span className="strong">{deedOf(decision)}</span>
            <span className="second">
              <Prose text={becauseOf(decision)} />
            </span>
          </span>
          <span className="decision-how">
            <State {...stateOf(decision)} />
            <span className="small quiet">
              {status.policy && <PolicyName name={status.policy} linked={false} />}{" "}
              {farWord(decision)}, <Ago at={metadata.createdAt} /> ago
            </span>
          </span>
        </summary>
        <Evidence decision={decision} />
      </details>
      {mayWrite && <Verdicts decision={decision} ask={ask} />}
    </li>
  );
}

/** What people can do about a decision. */
export function Verdicts({ decision, ask }: Omit<RowProps, "mayWrite">) {
  const { spec, status } = decision;
  const what = deedOf(decision);
  return (
    <div className="decision-do">
      {status.phase === "waiting" && !isOver(decision) && (
        <button
          type="button"
          className="button slim main"
          aria-label={`Approve: ${what}`}
          onClick={() => ask({ what: "approve", decision })}
        >
          Approve
        </button>
      )}
      <RightWrong
        of={what}
        said={spec.feedback?.right}
        onSay={(right) => ask({ what: right ? "right" : "wrong", decision })}
      />
    </div>
  );
}

/** What spoke for a decision, what was or would be done, and what came of it. */
export function Evidence({ decision }: { decision: Decision }) {
  const { spec, status, metadata } = decision;
  const { votes = [], changes = [], suspects = [], reasons = [], verdict, expected } = status;
  // What is over is told as it was then: nobody votes on it, and nothing waits for the gate.
  const voted = votedUntil(decision) !== undefined;
  const over = isOver(decision);
  // What stands above as its ground is not said twice, unless there is something to do about it.
  const ground = becauseOf(decision);
  const beside = reasons.filter(({ message, hint }) => message !== ground || hint);
  return (
    <div className="decision-evidence">
      <dl>
        <dt>about</dt>
        <dd>
          <SubjectLink subject={spec.subject} />,{" "}
          <ObjectLink plural="decisions" name={metadata.name} />
        </dd>
        {votes.map((vote) => (
          <Line key={vote.policy} name={voteName(voted, Boolean(vote.notFollowed))}>
            <PolicyName name={vote.policy} />: {actionWord(vote.action)},{" "}
            <Prose text={vote.message} />
            {Object.entries(vote.values ?? {}).map(([name, value]) => (
              <code key={name}> {`${name} ${precise(value)}`}</code>
            ))}
            <span className="quiet">
              {" "}
              {stoodWords(vote.since, decision) ?? (
                <>
                  for <Ago at={vote.since} />
                </>
              )}
            </span>
            {vote.notFollowed && (
              <p className="quiet">
                {voted && "not followed: "}
                <Prose text={vote.notFollowed} />
              </p>
            )}
          </Line>
        ))}
        {changes.length > 0 && (
          <Line
            name={status.actedAt ? "was done" : over ? "would have been done" : "would be done"}
          >
            <Prose text={changes.join("; ")} />
          </Line>
        )}
        {verdict && <Line name="the gate">{gateWord(verdict.passes, voted)}</Line>}
        {expected && (
          <Line name="expected">
            <code>{expected.that}</code>
          </Line>
        )}
        {over && (
          <Line name="ended">
            <Ago at={status.endedAt} long /> ago
          </Line>
        )}
        {status.effect && (
          <Line name="effect">
            <Prose text={status.effect.message} />
          </Line>
        )}
        {(status.approvedBy ?? []).length > 0 && (
          <Line name="approved by">{status.approvedBy?.join(", ")}</Line>
        )}
        {spec.feedback && (
          <Line name="said to be">
            {spec.feedback.right ? "right" : "wrong"}
            {spec.feedback.comment && `: ${spec.feedback.comment}`}
          </Line>
        )}
        {suspects.map((suspect, i) => (
          <Line key={suspect.object} name={i === 0 ? "likely cause" : "or"}>
            <SubjectLink subject={suspect.object} />: {suspect.change}
            <span className="quiet">
              , <Prose text={suspect.why} />
            </span>
          </Line>
        ))}
      </dl>
      <Reasons reasons={[...beside, ...(verdict?.reasons ?? [])]} />
    </div>
  );
}

/** A policy that voted. It may be deleted, as what was decided by it is kept for a while. */
function PolicyName({ name, linked = true }: { name: string; linked?: boolean }) {
  const gone = useObject("policies", name) === undefined;
  if (linked && !gone) return <ObjectLink plural="policies" name={name} />;
  return (
    <>
      {name}
      {gone && <span className="quiet"> (deleted)</span>}
    </>
  );
}

function voteName(voted: boolean, other: boolean): string {
  if (voted) return other ? "also voted" : "voted";
  return other ? "other vote" : "vote";
}

function gateWord(passes: boolean, then: boolean): string {
  if (passes) return then ? "let it through" : "lets it through";
  return then ? "held it" : "holds it";
}

function Line({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

// What a policy looks at, when it votes for what and how far it may go; its record, and what was
// decided by it.
import { useState } from "react";
import { useFleet } from "../../api/live";
import type { Policy } from "../../api/objects";
import { actionWord, helpedOf, MODE, modeWord, ordered, rightOf } from "../../logic/decisions";
import { Empty } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { Prose } from "../../parts/prose";
import { Reasons } from "../../parts/reasons";
import { useMayWrite } from "../../shell/who";
import { type Asked, Judge } from "./judge";
import { DecisionList } from "./row";

/** So many of its decisions are drawn. */
const MOST = 20;

const among = (all: readonly string[] | undefined, word: string) =>
  all && all.length > 0 ? `${word} ${all.join(", ")}` : "";

function subjectsOf({ subjects }: Policy["spec"]): string {
  const { kind, labels, applications, environments, phases } = subjects;
  const where = [
    among(applications, "of"),
    labels ? `with ${labels}` : "",
    among(environments, "in"),
    among(phases, "while"),
  ].filter(Boolean);
  return [`each ${kind.toLowerCase()}`, ...where].join(" ");
}

export function PolicyAtWork({ policy }: { policy: Policy }) {
  const { tables } = useFleet();
  const mayWrite = useMayWrite();
  const [asked, setAsked] = useState<Asked | null>(null);
  const { spec, status, metadata } = policy;
  const all = ordered(tables.decisions.values()).filter((d) => d.status.policy === metadata.name);
  const { record } = status;
  return (
    <>
      <section className="panel" aria-label="what it does">
        <div className="body stack">
          {spec.description && (
            <p>
              <Prose text={spec.description} />
            </p>
          )}
          <Reasons reasons={status.reasons ?? []} />
          <Facts>
            <Fact name="looks at">{subjectsOf(spec)}</Fact>
            <Fact name={`votes when, for ${spec.for}`}>
              <code>{spec.when}</code>
            </Fact>
            {(spec.values ?? []).map((value) => (
              <Fact key={value.name} name={`values.${value.name}`}>
                <code>{value.query}</code>
              </Fact>
            ))}
            <Fact name="then">{actionWord(spec.action)}</Fact>
            <Fact name="how far">
              {[
                ...(spec.modes ?? []).map(({ mode, environments, tiers }) =>
                  [among(environments, "in"), among(tiers, "of tier"), MODE[mode]]
                    .filter(Boolean)
                    .join(" "),
                ),
                `${(spec.modes ?? []).length > 0 ? "elsewhere " : ""}${modeWord(policy)}`,
              ].join("; ")}
            </Fact>
            <Fact name={`helped when, within ${spec.expect.within}`}>
              <code>{spec.expect.that || `!(${spec.when})`}</code>
            </Fact>
            <Fact name="at most">
              {spec.limits.perHour} an hour, {spec.limits.perDay} a day, {spec.limits.share} at once
            </Fact>
            <Fact name="made, done">
              {record?.decisions ?? 0}, {record?.acted ?? 0}
            </Fact>
            <Fact name="right">{rightOf(policy)}</Fact>
            <Fact name="helped">{helpedOf(policy)}</Fact>
          </Facts>
        </div>
      </section>
      <section className="panel" aria-label="its decisions">
        <header>
          <h2>Its decisions</h2>
        </header>
        {all.length === 0 ? (
          <Empty title="It has decided nothing yet" />
        ) : (
          <DecisionList decisions={all.slice(0, MOST)} mayWrite={mayWrite} ask={setAsked} />
        )}
      </section>
      {asked && <Judge asked={asked} onClose={() => setAsked(null)} />}
    </>
  );
}

// One thing of the inventory: should, is and used of each attribute, who it is, and what it has to
// do with others. A difference is mended here either way.
import { useState } from "react";
import { Problem } from "../../api/http";
import type { Attribute, Relation } from "../../api/inventory";
import { mend, useImpact, useThing } from "../../api/inventory";
import { mended, STANDING, valueWords } from "../../logic/inventory";
import { counted } from "../../logic/quantity";
import { Ago } from "../../parts/ago";
import { Empty, Skeleton } from "../../parts/empty";
import { notify } from "../../parts/notices";
import { SubjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import { useMayWrite } from "../../shell/who";
import "./inventory.css";

interface Props {
  plural: string;
  kind: string;
  name: string;
  version: number;
}

const findingOf = (kind: string, name: string, attribute: string) =>
  `${kind}.${name}.${attribute.toLowerCase().replace(/[^a-z0-9]/g, "-")}`;

export function Attributes({ plural, kind, name, version }: Props) {
  const thing = useThing(plural, name, version);
  const mayWrite = useMayWrite();
  const [wrong, setWrong] = useState<Problem | null>(null);
  if (thing.error) return <ProblemView problem={thing.error} again={() => thing.refetch()} />;
  if (!thing.data) return <Skeleton lines={8} />;
  const { attributes, drift } = thing.data;
  const act = async (attribute: string, how: "accept" | "mend") => {
    try {
      await mend(findingOf(kind, name, attribute), how);
      setWrong(null);
      notify(mended(how, { attribute, subject: `${kind}/${name}` }));
      await thing.refetch();
    } catch (thrown) {
      setWrong(Problem.from(thrown));
    }
  };
  return (
    <section className="panel" aria-label="attributes">
      <header>
        <h2>Attributes</h2>
        <span className="small quiet">
          {drift.length === 0 ? "no findings" : counted(drift.length, "finding")}
        </span>
      </header>
      {wrong && (
        <div className="body">
          <ProblemView problem={wrong} />
        </div>
      )}
      {attributes.length === 0 ? (
        <Empty title="Nothing is recorded of it yet" />
      ) : (
        <ul className="attributes" data-list>
          <li className="attribute-head small quiet" aria-hidden="true">
            <span>attribute</span>
            <span>should</span>
            <span>is</span>
            <span>used</span>
          </li>
          {attributes.map((attribute) => {
            const open = mayWrite && drift.includes(findingOf(kind, name, attribute.name));
            return (
              <AttributeRow
                key={attribute.name}
                of={attribute}
                onAccept={
                  open && ["differs", "unseen"].includes(attribute.standing)
                    ? () => void act(attribute.name, "accept")
                    : undefined
                }
                onMend={
                  open && kind === "host" && attribute.standing === "differs"
                    ? () => void act(attribute.name, "mend")
                    : undefined
                }
              />
            );
          })}
        </ul>
      )}
    </section>
  );
}

interface RowProps {
  of: Attribute;
  onAccept: (() => void) | undefined;
  onMend: (() => void) | undefined;
}

function AttributeRow({ of, onAccept, onMend }: RowProps) {
  const [first, ...others] = of.is ?? [];
  return (
    <li className="attribute" data-row data-standing={of.standing}>
      <span className="attribute-name">
        <b>{of.name}</b>
        <State {...STANDING[of.standing]} />
      </span>
      <span data-column="should">{valueWords(of.should) || <i className="quiet">–</i>}</span>
      <span data-column="is">
        {first ? (
          <>
            {valueWords(first.value)}
            <span className="small quiet">
              {" "}
              {first.source}, <Ago at={of.seen ?? first.at} /> ago
            </span>
          </>
        ) : (
          <i className="quiet">–</i>
        )}
        {others.map((said) => (
          <span key={said.source} className="attribute-other small quiet">
            {valueWords(said.value)} says {said.source}, <Ago at={said.at} /> ago
          </span>
        ))}
      </span>
      <span data-column="used">
        {of.used ? (
          <span className={of.used.works ? "" : "bad-text"}>
            {of.used.works ? "works" : "failed"}
            <span className="small quiet">
              {" "}
              {of.used.consumer}, <Ago at={of.used.at} /> ago
            </span>
            {of.used.message && <span className="attribute-other small">{of.used.message}</span>}
          </span>
        ) : (
          <i className="quiet">–</i>
        )}
      </span>
      {(onAccept || onMend) && (
        <span className="attribute-acts">
          {onAccept && (
            <button type="button" className="button small" onClick={onAccept}>
              Take what is
            </button>
          )}
          {onMend && (
            <button type="button" className="button small" onClick={onMend}>
              Make it so
            </button>
          )}
        </span>
      )}
    </li>
  );
}

export function Related({ plural, kind, name, version }: Props) {
  const thing = useThing(plural, name, version);
  const subject = `${kind}/${name}`;
  if (!thing.data) return <Skeleton lines={4} />;
  const { relations, identity } = thing.data;
  return (
    <>
      <section className="panel" aria-label="relations">
        <header>
          <h2>Relations</h2>
        </header>
        {relations.length === 0 ? (
          <Empty title="It has to do with nothing that is known" />
        ) : (
          <ul className="relations" data-list>
            {relations.slice(0, 200).map((r) => (
              <RelationRow key={`${r.from} ${r.relation} ${r.to}`} relation={r} of={subject} />
            ))}
          </ul>
        )}
      </section>
      {identity.length > 0 && (
        <section className="panel" aria-label="identity">
          <header>
            <h2>Why it is this one</h2>
          </header>
          <div className="body">
            <ul className="identity small">
              {identity.map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ul>
          </div>
        </section>
      )}
      <Suffers of={subject} />
    </>
  );
}

function RelationRow({ relation, of }: { relation: Relation; of: string }) {
  const out = relation.from === of;
  return (
    <li data-row>
      <span className="quiet">{out ? relation.relation : `${relation.relation} this:`}</span>{" "}
      <SubjectLink subject={out ? relation.to : relation.from} />
      {relation.source === "discovered" && <span className="tag">found</span>}
    </li>
  );
}

function Suffers({ of }: { of: string }) {
  const impact = useImpact(of);
  const losses = impact.data?.losses ?? [];
  return (
    <section className="panel" aria-label="impact">
      <header>
        <h2>If it is lost</h2>
      </header>
      {losses.length === 0 ? (
        <div className="body small quiet">
          {impact.isPending
            ? "…"
            : impact.data?.hidden
              ? "more suffers than you may read"
              : "nothing suffers"}
        </div>
      ) : (
        <ul className="relations" data-list>
          {losses.slice(0, 60).map((loss) => (
            <li key={loss.subject} data-row title={loss.why}>
              <State
                tone={loss.word === "lost" ? "bad" : "warn"}
                word={loss.left == null ? loss.word : `${loss.word}, ${loss.left} left`}
              />{" "}
              <SubjectLink subject={loss.subject} />
              <span className="small quiet relation-why">{loss.why}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

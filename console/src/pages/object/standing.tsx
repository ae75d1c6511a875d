// The first that is told of an object: what it does now in a sentence of the server, and why. What
// kind it is, and how often it was edited, is told last.
import type { ReactNode } from "react";
import type { Plural, Reason, Watched } from "../../api/objects";
import { useWhy } from "../../api/queries";
import { Ago } from "../../parts/ago";
import { Prose } from "../../parts/prose";
import { Reasons } from "../../parts/reasons";
import "./standing.css";

interface Props {
  plural: Plural;
  object: Watched;
  /** What can be done about it. */
  children?: ReactNode;
}

export function Standing({ plural, object, children }: Props) {
  const { name, generation = 0, revision = 0, createdAt, labels = {} } = object.metadata;
  const why = useWhy(plural, name, revision).data;
  // Its own come with the watch; the server explains them further a moment later.
  const own = (object.status as { reasons?: Reason[] }).reasons ?? [];
  return (
    <section className="panel" aria-label="how it stands">
      <div className="body stack object-standing">
        {why?.state && (
          <p className="strong">
            <Prose text={why.state} />
          </p>
        )}
        <Reasons reasons={why?.reasons ?? own} most={6} />
        {children}
        <p className="small quiet object-about">
          <span>{object.kind}</span>
          <span>
            made <Ago at={createdAt} /> ago
          </span>
          <span>
            {generation === 1 ? "target never edited" : `target edited ${generation - 1}×`}
          </span>
          <span>r{revision}</span>
          {Object.entries(labels).map(([key, value]) => (
            <span key={key}>
              {key}: <b>{value}</b>
            </span>
          ))}
        </p>
      </div>
    </section>
  );
}

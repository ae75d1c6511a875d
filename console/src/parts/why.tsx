// Why an object is as it is, in the server's words; read again whenever the object changes.
import type { Explanation, Plural } from "../api/objects";
import { useWhy } from "../api/queries";
import { Skeleton } from "./empty";
import { SubjectLink } from "./object-link";
import { ProblemView } from "./problem";
import { Prose } from "./prose";
import { Reasons } from "./reasons";
import "./why.css";

export function Why({
  plural,
  name,
  revision,
}: {
  plural: Plural;
  name: string;
  revision: number;
}) {
  const why = useWhy(plural, name, revision);
  return (
    <section className="panel why" id="why" tabIndex={-1} aria-label="why it is as it is">
      <header>
        <h2>Why</h2>
      </header>
      <div className="body">
        {why.error && !why.data && <ProblemView problem={why.error} again={() => why.refetch()} />}
        {why.isPending && <Skeleton lines={3} />}
        {why.data && <Told why={why.data} />}
      </div>
    </section>
  );
}

function Told({ why }: { why: Explanation }) {
  const told = why.state.length + why.reasons.length + why.waitingFor.length + why.next.length;
  return (
    <div className="stack">
      {why.state && (
        <p className="why-state">
          <Prose text={why.state} />
        </p>
      )}
      {told === 0 && <p className="quiet">Nothing stands in its way.</p>}
      <Reasons reasons={why.reasons} most={6} />
      <Sentences title="Waiting for" lines={why.waitingFor} />
      <Sentences title="What happens next" lines={why.next} />
      {why.see.length > 0 && (
        <div>
          <h3>See also</h3>
          <ul className="why-see">
            {why.see.slice(0, 8).map((subject) => (
              <li key={subject}>
                <SubjectLink subject={subject} />
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

function Sentences({ title, lines }: { title: string; lines: readonly string[] }) {
  if (lines.length === 0) return null;
  return (
    <div>
      <h3>{title}</h3>
      <ul className="why-lines">
        {lines.map((line) => (
          <li key={line}>
            <Prose text={line} />
          </li>
        ))}
      </ul>
    </div>
  );
}

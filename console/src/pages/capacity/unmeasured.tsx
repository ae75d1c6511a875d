// What the capacity of is not known, and what would change that: for some the load was not measured
// yet, of others nobody has said what an instance carries.
import type { ReactNode } from "react";
import { useFleet } from "../../api/live";
import type { CapacityReport, Plural } from "../../api/objects";
import { isMeasured } from "../../logic/capacity";
import { Example } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";

const FIRST = `kind: Application
metadata: { name: shop }
spec:
  scaling:
    min: 2
    max: 40
    perInstance: { query: 'sum(rate(http_requests_total[1m]))', target: 80 }
    predict: true`;

/** So many are named. */
const MOST = 12;

export function Unmeasured({ report }: { report: CapacityReport }) {
  const { tables } = useFleet();
  const { deployments, undeclared = [] } = report;
  const waiting = deployments.filter((row) => !isMeasured(row)).map((row) => row.deployment);
  const nothing = waiting.length === deployments.length;
  if (!nothing && waiting.length + undeclared.length === 0) return null;
  const why = (name: string) => tables.autoscalers.get(name)?.status.reasons?.[0]?.message;
  return (
    <section className="panel" aria-label="not measured">
      <header>
        <h2>{nothing ? "Nothing is measured yet" : "Not measured"}</h2>
      </header>
      <div className="body unmeasured">
        {nothing && (
          <p className="second">
            So nobody knows whether there are enough instances.
            {waiting.length + undeclared.length === 0 &&
              " There is no deployment either: what an instance carries is said by its application."}
          </p>
        )}
        {waiting.length > 0 && (
          <div>
            <h3>Their load was not seen yet</h3>
            <p className="second">
              Put load on them and wait: it is looked at each minute, over the last five. If nothing
              comes, what <code>scaling.perInstance</code> asks for finds nothing.
            </p>
            <Names names={waiting} plural="capacities">
              {(name) => why(name) && <span className="quiet">: {why(name)}</span>}
            </Names>
          </div>
        )}
        {undeclared.length > 0 && (
          <div>
            <h3>Nobody says what an instance of them carries</h3>
            <p className="second">
              Say it in their applications, as <code>scaling.perInstance</code>
              {nothing && ". Then their load is measured, and how many instances it takes is known"}
              .
            </p>
            <Names names={undeclared} plural="deployments" />
          </div>
        )}
        {nothing && waiting.length === 0 && <Example>{FIRST}</Example>}
      </div>
    </section>
  );
}

interface NamesProps {
  names: readonly string[];
  plural: Plural;
  children?: (name: string) => ReactNode;
}

function Names({ names, plural, children }: NamesProps) {
  return (
    <ul className="unmeasured-names">
      {names.slice(0, MOST).map((name) => (
        <li key={name}>
          <ObjectLink plural={plural} name={name} />
          {children?.(name)}
        </li>
      ))}
      {names.length > MOST && <li className="quiet">and {names.length - MOST} more</li>}
    </ul>
  );
}

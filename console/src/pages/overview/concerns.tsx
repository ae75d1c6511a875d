// What asks for a person, each with its reasons, the broken first.
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { type Concern, RANKS, type Rank } from "../../logic/attention";
import type { Fleet } from "../../logic/fleet";
import { rolloutOf } from "../../logic/rollout";
import { Ago } from "../../parts/ago";
import { Meter } from "../../parts/bars";
import { Icon } from "../../parts/icon";
import { ObjectLink } from "../../parts/object-link";
import { Dot } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";

const TITLES: Readonly<Record<Rank, string>> = {
  broken: "Broken",
  waiting: "Waiting",
  moving: "Moving by itself",
  held: "Held on purpose",
};

const MOST = 8;

export function Concerns({ concerns, fleet }: { concerns: readonly Concern[]; fleet: Fleet }) {
  if (concerns.length === 0) return <AllWell fleet={fleet} />;
  return (
    <section className="panel" aria-label="what asks for attention" data-list>
      {RANKS.map((rank) => (
        <Group
          key={rank}
          rank={rank}
          concerns={concerns.filter((c) => c.rank === rank)}
          fleet={fleet}
        />
      ))}
    </section>
  );
}

function AllWell({ fleet }: { fleet: Fleet }) {
  return (
    <section className="panel all-well">
      <Icon name="check" size={20} />
      <p>
        Every deployment is at its target, every instance is ready
        {fleet.hosts.length > 0 ? ", and every host is heard from" : ""}.
      </p>
    </section>
  );
}

interface GroupProps {
  rank: Rank;
  concerns: readonly Concern[];
  fleet: Fleet;
}

function Group({ rank, concerns, fleet }: GroupProps) {
  const [all, setAll] = useState(false);
  if (concerns.length === 0) return null;
  const shown = all ? concerns : concerns.slice(0, MOST);
  return (
    <div className="concern-group">
      <h2 className="concern-title">
        {TITLES[rank]} <span className="quiet">{concerns.length}</span>
      </h2>
      <ul>
        {shown.map((concern) => (
          <Item key={concern.key} concern={concern} fleet={fleet} />
        ))}
      </ul>
      {concerns.length > shown.length && (
        <button type="button" className="button bare slim more" onClick={() => setAll(true)}>
          Show all {concerns.length}
        </button>
      )}
    </div>
  );
}

function Item({ concern, fleet }: { concern: Concern; fleet: Fleet }) {
  const { plural, name, phase } = concern;
  const deployment = plural === "deployments" ? fleet.tables.deployments.get(name) : undefined;
  const application = deployment && fleet.tables.applications.get(deployment.spec.application);
  const rollout = deployment && rolloutOf(deployment, application?.spec.rollout);
  return (
    <li className="concern" data-row>
      <Dot tone={concern.tone} />
      <div className="concern-what">
        <p className="concern-line">
          {phase ? (
            <Link to="/deployments/$name" params={{ name }} search={{ phase }} className="strong">
              {name}
            </Link>
          ) : (
            <ObjectLink plural={plural} name={name} className="strong">
              {concern.label ?? name}
            </ObjectLink>
          )}
          <span className={`concern-state ${concern.tone}`}>{concern.state}</span>
        </p>
        <Reasons reasons={concern.reasons} most={3} />
      </div>
      {rollout && rollout.wanted > 0 && (
        <span className="concern-meter">
          <Meter
            used={rollout.proven}
            whole={rollout.wanted}
            label="proven on the new release"
            progress
          />
        </span>
      )}
      <span className="concern-since quiet">
        {concern.since !== undefined && <Ago at={concern.since} />}
      </span>
    </li>
  );
}

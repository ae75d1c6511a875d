// Freezes: the times in which changes are held back.
import { useCoarseNow, useFleet, useSynced } from "../../api/live";
import type { Freeze } from "../../api/objects";
import { FREEZE, type FreezeState, freezeState } from "../../logic/freeze";
import { counted } from "../../logic/quantity";
import { moment, parseTime, spanWords } from "../../logic/time";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Head } from "../../shell/head";
import "./freezes.css";

const FIRST = `apiVersion: atoll/v1
kind: Freeze
metadata: { name: sale }
spec:
  from: 2026-11-27T00:00:00Z
  until: 2026-11-30T00:00:00Z
  environments: [prod]
  reason: nothing changes while the sale is on`;

const ORDER: readonly FreezeState[] = ["active", "ahead", "over"];

export function FreezesPage() {
  const fleet = useFleet();
  const synced = useSynced();
  const now = useCoarseNow(1000);
  if (!synced) return <Skeleton lines={6} />;
  const freezes = fleet.freezes
    .map((freeze) => ({ freeze, state: freezeState(freeze, now) }))
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  const active = freezes.filter(
    (f) => f.state === "active" && f.freeze.spec.holds !== "decisions",
  ).length;
  return (
    <>
      <Head
        title="Freezes"
        lead={
          active > 0
            ? `${counted(active, "freeze")} in force: changes are held, healing and rollback pass`
            : "none holds changes"
        }
      />
      <section className="panel" aria-label="freezes">
        {freezes.length === 0 ? (
          <Empty title="Nothing is frozen, now or later">
            <p>A freeze holds changes back for a time. Healing and rollback always pass.</p>
            <Example>{FIRST}</Example>
          </Empty>
        ) : (
          <ul data-list>
            {freezes.map(({ freeze, state }) => (
              <Row key={freeze.metadata.name} freeze={freeze} state={state} now={now} />
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

function when(freeze: Freeze, state: FreezeState, now: number): string {
  const from = parseTime(freeze.spec.from);
  const until = parseTime(freeze.spec.until);
  if (state === "ahead" && from !== undefined) return `begins in ${spanWords(from - now)}`;
  if (until === undefined) return "until it is deleted";
  return state === "over"
    ? `over for ${spanWords(now - until)}`
    : `for another ${spanWords(until - now)}`;
}

function Row({ freeze, state, now }: { freeze: Freeze; state: FreezeState; now: number }) {
  const { spec, metadata } = freeze;
  const from = parseTime(spec.from);
  const until = parseTime(spec.until);
  return (
    <li className={`freeze ${state}`} data-row>
      <div className="freeze-what">
        <ObjectLink plural="freezes" name={metadata.name} className="strong" />
        <p className="second">{spec.reason}</p>
      </div>
      <div className="freeze-when">
        <State {...FREEZE[state]} />
        <p className="small second">{when(freeze, state, now)}</p>
      </div>
      <div className="small second">
        <p>
          {from === undefined ? "from its making" : moment(from, now)}
          {" – "}
          {until === undefined ? "open" : moment(until, now)}
        </p>
        <p className="quiet">
          {spec.holds === "decisions" && "only what is done by itself, in "}
          {spec.environments?.length ? spec.environments.join(", ") : "every environment"}
          {spec.applications ? `, applications with ${JSON.stringify(spec.applications)}` : ""}
        </p>
      </div>
    </li>
  );
}

// One promise: whether it is kept, how much of its budget is left, and how it was spent.
import { useEffect, useRef, useState } from "react";
import { store } from "../../api/live";
import { serverNow, useRange } from "../../api/metrics";
import type { Objective } from "../../api/objects";
import {
  budgetQuery,
  leftWords,
  OBJECTIVE,
  OBJECTIVE_ORDER,
  promiseWords,
  recordedFor,
  spentIn,
} from "../../logic/objectives";
import { spanWords } from "../../logic/time";
import { measured, share } from "../../logic/units";
import { Ago } from "../../parts/ago";
import { ChangeDialog } from "../../parts/change";
import { Chart } from "../../parts/chart";
import { Empty } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Trust } from "../../parts/trust";
import { useMayWrite } from "../../shell/who";
import { proposalOf } from "../deployment/actions";
import "./objectives.css";

/** Several promises, those that ask for somebody first. */
export function Objectives({ objectives }: { objectives: readonly Objective[] }) {
  const rank = (o: Objective) => OBJECTIVE_ORDER.indexOf(o.status.phase);
  const sorted = [...objectives].sort(
    (a, b) => rank(a) - rank(b) || a.metadata.name.localeCompare(b.metadata.name),
  );
  if (sorted.length === 0) {
    return (
      <section className="panel">
        <Empty title="Nothing is promised">
          <p>An application says in its manifest what it promises, as objectives.</p>
        </Empty>
      </section>
    );
  }
  return (
    <div className="stack">
      {sorted.map((objective) => (
        <ObjectiveView key={objective.metadata.name} objective={objective} />
      ))}
    </div>
  );
}

function ObjectiveView({ objective }: { objective: Objective }) {
  const { spec, status, metadata } = objective;
  const phase = OBJECTIVE[status.phase];
  const gone = spentIn(objective);
  const held = status.phase === "spent" || (status.phase === "noData" && status.spentBefore);
  return (
    <section className={`panel objective ${phase.tone}`} aria-label={metadata.name} data-row>
      <header>
        <h2 className="objective-name">
          <ObjectLink plural="objectives" name={metadata.name} className="strong">
            {spec.promise.name}
          </ObjectLink>{" "}
          <span className="quiet">of</span>{" "}
          <ObjectLink plural="deployments" name={spec.deployment}>
            {spec.deployment}
          </ObjectLink>
        </h2>
        <span className="second small objective-promise">{promiseWords(spec.promise)}</span>
        <State {...phase} />
      </header>
      <div className="objective-body">
        <div className="stack tight objective-now">
          <Budget objective={objective} />
          <Facts>
            <Fact name="good so far">
              {typeof status.good === "number" ? share(status.good) : "not known"}
            </Fact>
            <Fact name="burn rate, last hour">
              {typeof status.burnRate === "number" ? `${measured(status.burnRate)}×` : "not known"}
            </Fact>
            {gone !== undefined && (status.burnRate ?? 0) > 1 && (
              <Fact name="at this pace gone in">{spanWords(gone)}</Fact>
            )}
            {status.since && (
              <Fact name={`${phase.word} for`}>
                <Ago at={status.since} long />
              </Fact>
            )}
            {spec.owner && <Fact name="answers for it">{spec.owner}</Fact>}
          </Facts>
          <Reasons reasons={status.reasons ?? []} />
          {held && <Held objective={objective} />}
        </div>
        <BurnDown objective={objective} />
      </div>
    </section>
  );
}

/** What is left of the budget, as a length. */
function Budget({ objective }: { objective: Objective }) {
  const { budgetLeft, phase } = objective.status;
  const known = typeof budgetLeft === "number";
  const left = known ? Math.max(0, Math.min(1, budgetLeft)) : 0;
  return (
    <div className="budget">
      <p className="row">
        <span className="grow second">Error budget</span>
        <b className={known && budgetLeft <= 0 ? "bad-text" : ""}>
          {known ? share(budgetLeft) : "–"}
        </b>
      </p>
      <span
        className={known ? "budget-bar" : "budget-bar unknown"}
        role="meter"
        aria-label="error budget left"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(left * 100)}
        aria-valuetext={leftWords(objective)}
      >
        <span
          className={`meter-fill ${OBJECTIVE[phase].tone}`}
          style={{ width: `${left * 100}%` }}
        />
      </span>
      <p className="small quiet">{leftWords(objective)}</p>
    </div>
  );
}

function useOnce(): [React.RefObject<HTMLDivElement | null>, boolean] {
  const ref = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!ref.current || seen) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && setSeen(true), {
      rootMargin: "100px",
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [seen]);
  return [ref, seen];
}

function BurnDown({ objective }: { objective: Objective }) {
  const [ref, seen] = useOnce();
  const [span] = useState(
    () => ({ kind: "last", ms: recordedFor(objective, serverNow()) }) as const,
  );
  const { ms } = span;
  const { data, error } = useRange(budgetQuery(objective), span, {
    on: seen,
    every: 60_000,
    points: 240,
  });
  return (
    <div className="burn-down" ref={ref}>
      <p className="row small">
        <span className="grow quiet">budget left over the last {spanWords(ms)}</span>
        {data && data.lines.length > 0 && <Trust quality={data.quality} span={span} />}
      </p>
      {data && data.lines.length > 0 ? (
        <Chart
          grid={data}
          names={["budget left"]}
          label={`budget of ${objective.metadata.name}`}
          unit="share"
          height={150}
          legend={false}
          band={SPENT}
        />
      ) : (
        <p className="quiet small burn-down-none">
          {error ? error.message : data ? "Not recorded yet." : "…"}
        </p>
      )}
    </div>
  );
}

/** Zero is where it is spent: drawn even where it is far. */
const SPENT = { low: 0, high: 0 };

/** The annotation by which a person lets one release through; the audit keeps its value. */
const OVERRIDE = "atoll/override-budget";

function Held({ objective }: { objective: Objective }) {
  const mayWrite = useMayWrite();
  const [asking, setAsking] = useState(false);
  const { deployment } = objective.spec;
  return (
    <div className="held-note">
      <p>
        <b>Releases to {deployment} are held</b> until the budget recovers. Going back and healing
        always pass.
      </p>
      {mayWrite ? (
        <button type="button" className="button slim" onClick={() => setAsking(true)}>
          Let one release through…
        </button>
      ) : (
        <p className="small">
          The annotation <code className="typed">{OVERRIDE}</code> lets one through.
        </p>
      )}
      {asking && <LetThrough deployment={deployment} onClose={() => setAsking(false)} />}
    </div>
  );
}

function LetThrough({ deployment, onClose }: { deployment: string; onClose: () => void }) {
  const [why, setWhy] = useState("");
  const object = useDeployment(deployment);
  const edit = object &&
    why.trim() !== "" && {
      plural: "deployments" as const,
      name: deployment,
      generation: object,
      spec: {},
      annotations: { [OVERRIDE]: why.trim() },
    };
  return (
    <ChangeDialog
      title={`Let one release through to ${deployment}`}
      lead="The error budget is spent; the next release is rolled out all the same. The guard goes on watching it."
      word="Let it through"
      danger
      proposal={
        edit ? proposalOf(edit, `one release may go to deployment/${deployment}`) : undefined
      }
      onClose={onClose}
    >
      <div className="field">
        <label htmlFor="why">Why</label>
        <input
          id="why"
          value={why}
          data-first
          placeholder="kept in the audit"
          onChange={(event) => setWhy(event.target.value)}
        />
      </div>
    </ChangeDialog>
  );
}

/** The generation of the deployment when the change was made up. */
function useDeployment(name: string): number | undefined {
  const [seen] = useState(() => store.snapshot().tables.deployments.get(name)?.metadata.generation);
  return seen;
}

// The board: every application's release in each environment, in the order releases go through
// them; what is on its way, what it waits for, and what people can do about it.
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { type Check, rulesOf, vetoOf } from "../../api/delivery";
import { useFleet, useNow, useSynced } from "../../api/live";
import type { Environment, Promotion } from "../../api/objects";
import {
  board,
  CHECK,
  type Lane,
  PROMOTION,
  phaseOf,
  releaseNumbers,
  road,
  type Stop,
} from "../../logic/delivery";
import { counted } from "../../logic/quantity";
import { parseTime, spanWords } from "../../logic/time";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { ObjectLink } from "../../parts/object-link";
import { Dot, State } from "../../parts/phase";
import { found, Search } from "../../parts/search";
import type { ListSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { deploymentState } from "../deployment/row";
import { type Asked, Decide } from "./decide";
import "./delivery.css";

const FIRST = `apiVersion: atoll/v1
kind: Environment
metadata: { name: prod }
spec:
  after: staging
  require: { signed: true, tests: [unit, integration], soak: 2h, objectives: true }
  approval: { roles: [release-manager], count: 1 }`;

export function EnvironmentsPage({ q = "" }: ListSearch) {
  const fleet = useFleet();
  const { tables } = fleet;
  const synced = useSynced();
  const navigate = useNavigate();
  const [asked, setAsked] = useState<Asked | null>(null);
  const environments = useMemo(() => road(tables.environments.values()), [tables.environments]);
  const lanes = useMemo(
    () =>
      board(
        fleet.applications,
        environments,
        fleet.deployments,
        tables.promotions.values(),
        releaseNumbers(tables.releases.values()),
      ),
    [fleet.applications, environments, fleet.deployments, tables.promotions, tables.releases],
  );
  if (!synced) return <Skeleton lines={10} />;
  const shown = lanes.filter((lane) => found(q, lane.application, lane.owner));
  const waits = lanes
    .flatMap((l) => l.stops)
    .filter((s) => s.next && phaseOf(s.next) === "waiting");
  return (
    <>
      <Head
        title="Environments"
        lead={
          environments.length === 0
            ? undefined
            : waits.length === 0
              ? "no release waits to go on"
              : `${counted(waits.length, "release")} ${waits.length === 1 ? "waits" : "wait"} to go on`
        }
      >
        {lanes.length > 0 && (
          <Search
            value={q}
            label="Search applications"
            onChange={(value) =>
              navigate({ to: ".", search: { q: value || undefined }, replace: true } as never)
            }
          />
        )}
      </Head>
      {environments.length === 0 ? (
        <section className="panel">
          <Empty title="There is no environment yet">
            <p>An environment says where releases go, and what is asked of them before:</p>
            <Example>{FIRST}</Example>
          </Empty>
        </section>
      ) : (
        <Board environments={environments} lanes={shown} onAsk={setAsked} />
      )}
      {asked && <Decide asked={asked} onClose={() => setAsked(null)} />}
    </>
  );
}

interface BoardProps {
  environments: readonly Environment[];
  lanes: readonly Lane[];
  onAsk: (asked: Asked) => void;
}

function Board({ environments, lanes, onAsk }: BoardProps) {
  return (
    <section className="panel board" aria-label="releases by environment">
      <table style={{ "--stops": environments.length } as React.CSSProperties}>
        <thead>
          <tr>
            <th scope="col">Application</th>
            {environments.map((e) => (
              <th scope="col" key={e.metadata.name}>
                <ObjectLink plural="environments" name={e.metadata.name} className="strong" />
                <AsksFor environment={e} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody data-list>
          {lanes.map((lane) => (
            <tr key={lane.application} data-row>
              <th scope="row">
                <ObjectLink plural="applications" name={lane.application} className="strong" />
                {lane.owner && <p className="small quiet">{lane.owner}</p>}
              </th>
              {lane.stops.map((stop) => (
                <td key={stop.environment} data-environment={stop.environment}>
                  <StopView stop={stop} onAsk={onAsk} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {lanes.length === 0 && <Empty title="No application matches" />}
    </section>
  );
}

/** What an environment asks of a release, in a few words. */
function AsksFor({ environment }: { environment: Environment }) {
  const { require = {}, approval, promotion } = rulesOf(environment);
  const asks = [
    require.signed && "signed",
    require.tests?.length && "tests",
    require.soak && require.soak !== "0s" && `soak ${require.soak}`,
    require.objectives && "objectives",
    approval && counted(approval.count ?? 1, "approval"),
    require.windows?.length && "windows",
    promotion === "manual" && "by hand",
  ].filter(Boolean);
  return <p className="small quiet asks-for">{asks.join(", ") || "takes every release"}</p>;
}

function StopView({ stop, onAsk }: { stop: Stop; onAsk: (asked: Asked) => void }) {
  const { deployment, release, next } = stop;
  const { tables } = useFleet();
  const mayWrite = useMayWrite();
  const pin = (deployment?.spec as { pin?: string | null } | undefined)?.pin;
  const veto = release ? tables.releases.get(release) : undefined;
  if (!deployment && !next) return <span className="quiet">–</span>;
  return (
    <div className="stop">
      {deployment && (
        <div className="stop-now">
          <Dot tone={deploymentState(deployment).tone} />
          {release ? (
            <ObjectLink plural="releases" name={release} className="strong cut">
              {shortName(release, deployment.spec.application)}
            </ObjectLink>
          ) : (
            <span className="quiet">none yet</span>
          )}
          {pin && (
            <span className="tag" title={`pinned: ${pin}`}>
              <Icon name="lock" size={11} /> pinned
            </span>
          )}
          {veto && vetoOf(veto) && <span className="tag bad-tag">vetoed</span>}
          {mayWrite && release && (
            <button
              type="button"
              className="button bare slim stop-pin"
              title={pin ? `take the pin away: ${pin}` : `pin ${release} here`}
              aria-label={
                pin ? `unpin ${deployment.metadata.name}` : `pin ${release} in ${stop.environment}`
              }
              onClick={() => onAsk({ what: pin ? "unpin" : "pin", deployment, release })}
            >
              <Icon name="lock" size={13} />
            </button>
          )}
        </div>
      )}
      {next && <NextView promotion={next} onAsk={onAsk} />}
    </div>
  );
}

const shortName = (release: string, application: string): string =>
  release.startsWith(`${application}-`) ? release.slice(application.length + 1) : release;

interface NextProps {
  promotion: Promotion;
  onAsk: (asked: Asked) => void;
}

function NextView({ promotion, onAsk }: NextProps) {
  const mayWrite = useMayWrite();
  const phase = phaseOf(promotion);
  const { application, release } = promotion.spec;
  const missing = (promotion.status.checks ?? []).filter(
    (c) => c.state === "waiting" || c.state === "refused",
  );
  const into = `${release} for ${promotion.spec.environment}`;
  const asks = (name: string) => missing.some((c) => c.name === name && c.state === "waiting");
  return (
    <div className={`stop-next ${PROMOTION[phase].tone}`}>
      <p className="row wrap">
        <ObjectLink plural="releases" name={release} className="strong">
          {shortName(release, application)}
        </ObjectLink>
        <State {...PROMOTION[phase]} />
      </p>
      <ul className="stop-checks small">
        {missing.slice(0, 3).map((check) => (
          <li key={check.name}>
            <CheckLine check={check} />
          </li>
        ))}
      </ul>
      {mayWrite && phase === "waiting" && (
        <p className="row wrap stop-do">
          {asks("approval") && (
            <button
              type="button"
              className="button slim"
              aria-label={`Approve ${into}`}
              onClick={() => onAsk({ what: "approve", promotion })}
            >
              <Icon name="check" size={13} /> Approve
            </button>
          )}
          {!promotion.spec.asked && (
            <button
              type="button"
              className="button slim"
              aria-label={`Promote ${into}`}
              onClick={() => onAsk({ what: "promote", promotion })}
            >
              <Icon name="forward" size={13} /> Promote
            </button>
          )}
          <button
            type="button"
            className="button bare slim"
            aria-label={`Veto ${release}`}
            onClick={() => onAsk({ what: "veto", release })}
          >
            Veto
          </button>
        </p>
      )}
    </div>
  );
}

export function CheckLine({ check }: { check: Check }) {
  const now = useNow();
  const until = parseTime(check.until);
  const look = CHECK[check.state];
  return (
    <span className="check-line" title={check.message}>
      <Dot tone={look.tone} />
      <span>
        <b>{check.name}</b>{" "}
        {check.state !== "passed" && <span className="second">{check.message}</span>}
        {until !== undefined && until > now && (
          <span className="quiet nowrap"> · in {spanWords(until - now)}</span>
        )}
      </span>
    </span>
  );
}

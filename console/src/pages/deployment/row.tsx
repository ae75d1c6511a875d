// One deployment on one line.
import { Link } from "@tanstack/react-router";
import { memo } from "react";
import type { Deployment, Instance } from "../../api/objects";
import { isSettled } from "../../logic/applications";
import { NO_INSTANCES } from "../../logic/fleet";
import { DEPLOYMENT, type Tone } from "../../logic/phases";
import { wantedOf } from "../../logic/rollout";
import { Spark } from "../../parts/cells";
import { State } from "../../parts/phase";

interface Props {
  deployment: Deployment;
  instances: readonly Instance[] | undefined;
}

/** The word and tone of a deployment, told apart where it settled on other than was wanted. */
export function deploymentState(d: Deployment): { word: string; tone: Tone } {
  const look = DEPLOYMENT[d.status.phase];
  if (d.status.phase === "settled" && !isSettled(d)) return { word: "rolled back", tone: "warn" };
  return look;
}

export const DeploymentRow = memo(function DeploymentRow({ deployment, instances }: Props) {
  const { metadata, spec, status } = deployment;
  const to = status.rollout && status.rollout.to !== status.release ? status.rollout.to : undefined;
  const wanted = wantedOf(deployment);
  const short = status.ready < wanted;
  return (
    <div className="deployment-row" data-row>
      <Link to="/deployments/$name" params={{ name: metadata.name }} className="deployment-env">
        <span className="hidden-text">{spec.application}, </span>
        {spec.environment}
      </Link>
      <State {...deploymentState(deployment)} />
      <span className={short ? "right short" : "right"}>
        {status.ready}
        <span className="quiet">/{wanted}</span>
      </span>
      <Releases
        from={status.release}
        to={to}
        failed={isSettled(deployment) ? null : status.failed?.release}
      />
      <span className="deployment-cells">
        <Spark instances={instances ?? NO_INSTANCES} to={to} label={metadata.name} />
      </span>
    </div>
  );
});

interface ReleasesProps {
  from: string | null | undefined;
  to: string | undefined;
  failed?: string | null;
}

/** What runs and what it becomes. */
export function Releases({ from, to, failed }: ReleasesProps) {
  if (to) {
    return (
      <span className="releases cut" title={`${from ?? "nothing"} → ${to}`}>
        {from && <span className="quiet">{from} → </span>}
        {to}
      </span>
    );
  }
  return (
    <span className="releases cut">
      {from ?? <span className="quiet">none yet</span>}
      {failed && <span className="releases-failed"> not {failed}</span>}
    </span>
  );
}

// The rows of the list of applications, and which of them a search leaves.
import type { Application, Deployment } from "../api/objects";
import type { Fleet } from "./fleet";
import { order } from "./fleet";

export interface ApplicationRow {
  readonly name: string;
  /** Absent where deployments are left of an application that is gone. */
  readonly application: Application | undefined;
  readonly deployments: readonly Deployment[];
}

/** Whether a deployment is where it is meant to be, on the release it is meant to run. */
export function isSettled(d: Deployment): boolean {
  const { phase, failed, release } = d.status;
  return phase === "settled" && (!failed || failed.release === release);
}

/** Environments in the order releases pass through them, then by name. */
export function environmentOrder(fleet: Fleet): (a: string, b: string) => number {
  const depth = (name: string, seen = 0): number => {
    const after = fleet.tables.environments.get(name)?.spec.after;
    return after && seen < 20 ? 1 + depth(after, seen + 1) : 0;
  };
  return (a, b) => depth(a) - depth(b) || order(a, b);
}

export function applicationRows(
  fleet: Fleet,
  matches: (...texts: (string | null | undefined)[]) => boolean,
  openOnly: boolean,
): ApplicationRow[] {
  const names = new Set([
    ...fleet.applications.map((a) => a.metadata.name),
    ...fleet.deploymentsOf.keys(),
  ]);
  const compare = environmentOrder(fleet);
  const rows: ApplicationRow[] = [];
  for (const name of [...names].sort(order)) {
    const application = fleet.tables.applications.get(name);
    const all = fleet.deploymentsOf.get(name) ?? [];
    const self = matches(name, application?.spec.owner, application?.status.release);
    const deployments = all
      .filter(
        (d) =>
          self || matches(d.metadata.name, d.spec.environment, d.status.release, d.status.phase),
      )
      .filter((d) => !openOnly || !isSettled(d))
      .sort((a, b) => compare(a.spec.environment, b.spec.environment));
    const keep = deployments.length > 0 || (self && !openOnly);
    if (keep) rows.push({ name, application, deployments });
  }
  return rows;
}

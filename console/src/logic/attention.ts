// What a person should look at first, and why: every deployment that has not settled, every
// instance and host that is not well, every alert that fires and nothing keeps quiet, every freeze
// that holds, and what the platform has under way.
// It proposes nothing by itself; the hints are the server's.
import type { Deployment, Host, Instance, InstancePhase, Plural, Reason } from "../api/objects";
import { alertname, loud } from "./alerts";
import { type Fleet, order } from "./fleet";
import { freezeState } from "./freeze";
import { DEPLOYMENT, HOST, INSTANCE, type Tone } from "./phases";
import { counted } from "./quantity";
import { wantedOf } from "./rollout";
import { parseTime, spanWords } from "./time";
import { undertakings } from "./undertakings";

/** From what is broken, over what moves by itself, to what people hold on purpose. */
export type Rank = "broken" | "waiting" | "moving" | "held";

export const RANKS: readonly Rank[] = ["broken", "waiting", "moving", "held"];

export interface Concern {
  readonly key: string;
  readonly rank: Rank;
  readonly tone: Tone;
  readonly plural: Plural;
  readonly name: string;
  /** What it is called, where that is not its name. */
  readonly label?: string;
  /** What is so, after the name. */
  readonly state: string;
  readonly since: number | undefined;
  readonly reasons: readonly Reason[];
  /** The phase to show the instances of, where it is about some of them. */
  readonly phase?: InstancePhase;
}

export function attention(fleet: Fleet, now: number): Concern[] {
  const concerns = [
    ...fleet.deployments.flatMap((d) => {
      const unwell = unwellOf(fleet.byDeployment.get(d.metadata.name) ?? [], fleet);
      return joined(d.metadata.name, motionOf(d), unwell);
    }),
    ...fleet.hosts.flatMap((h) => host(h, fleet)),
    ...fleet.applications.flatMap(application),
    ...alerts(fleet, now),
    ...fleet.freezes.flatMap((f) => freeze(f, now)),
    ...undertakings(fleet, now),
  ];
  return concerns.sort((a, b) => rankOrder(a.rank) - rankOrder(b.rank) || order(a.name, b.name));
}

const rankOrder = (rank: Rank) => RANKS.indexOf(rank);

const RANK_OF: Readonly<Partial<Record<Deployment["status"]["phase"], Rank>>> = {
  failed: "broken",
  rollingBack: "broken",
  waiting: "waiting",
  rolling: "moving",
  soaking: "moving",
  paused: "held",
};

/** What there is to say of a deployment itself, apart from its instances. */
function motionOf(d: Deployment): Concern | undefined {
  const { status, metadata } = d;
  const base = { plural: "deployments", name: metadata.name, key: `d/${metadata.name}` } as const;
  const reasons = status.reasons ?? [];
  const rank = RANK_OF[status.phase];
  if (rank) {
    const since = parseTime(status.rollout?.since ?? status.failed?.at);
    return { ...base, rank, tone: DEPLOYMENT[status.phase].tone, state: motion(d), since, reasons };
  }
  if (status.failed && status.failed.release !== status.release) {
    const state = `back on ${status.release ?? "the last good release"}; ${status.failed.release} failed`;
    const known = reasons.length > 0 ? reasons : [status.failed.reason];
    const since = parseTime(status.failed.at);
    return { ...base, rank: "broken", tone: "warn", state, since, reasons: known };
  }
  if ((metadata.generation ?? 0) > (status.observedGeneration ?? 0)) {
    const state = "target edited, not yet taken up";
    return { ...base, rank: "moving", tone: "move", state, since: undefined, reasons };
  }
  return undefined;
}

function motion(d: Deployment): string {
  const { phase, rollout, ready } = d.status;
  const word = DEPLOYMENT[phase].word;
  const count = `${ready} of ${wantedOf(d)} ready`;
  if (!rollout) return phase === "paused" || phase === "failed" ? word : `${word}, ${count}`;
  if (phase === "soaking") return `soaking ${rollout.to}, step ${rollout.step + 1}`;
  return `${word} to ${rollout.to}, ${count}`;
}

function host(h: Host, fleet: Fleet): Concern[] {
  const { status, metadata } = h;
  if (status.phase === "ready") return [];
  const on = fleet.byHost.get(metadata.name)?.length ?? 0;
  const rank: Rank =
    status.phase === "unknown" ? "broken" : status.phase === "draining" ? "moving" : "held";
  const left = status.phase === "unknown" || on > 0 ? `, ${counted(on, "instance")} on it` : "";
  const state = `${status.phase === "unknown" ? "not heard from" : HOST[status.phase].word}${left}`;
  const since = parseTime(
    status.phase === "unknown" ? (status.lastSeen ?? status.since) : status.since,
  );
  const reasons = status.reasons ?? [];
  return [
    {
      key: `h/${metadata.name}`,
      rank,
      tone: HOST[status.phase].tone,
      plural: "hosts",
      name: metadata.name,
      state,
      since,
      reasons,
    },
  ];
}

const UNWELL: readonly InstancePhase[] = ["crashLoop", "unknown", "unready"];

interface Unwell {
  readonly phase: InstancePhase;
  readonly instances: readonly Instance[];
}

function unwellOf(list: readonly Instance[], fleet: Fleet): Unwell[] {
  return UNWELL.map((phase) => ({
    phase,
    instances: list.filter((i) => i.status.phase === phase && !hostIsAway(i, fleet)),
  })).filter((unwell) => unwell.instances.length > 0);
}

/** One concern of a deployment and those of its instances that are unwell, as bad as the worst. */
function joined(name: string, motion: Concern | undefined, unwell: readonly Unwell[]): Concern[] {
  const [worst] = unwell;
  if (!worst) return motion ? [motion] : [];
  const rank: Rank = worst.phase === "unready" ? "waiting" : "broken";
  const leads = motion !== undefined && rankOrder(motion.rank) <= rankOrder(rank);
  const counts = unwell.map(
    ({ phase, instances }) => `${instances.length} ${INSTANCE[phase].word}`,
  );
  const alone = `${counted(worst.instances.length, "instance")} ${INSTANCE[worst.phase].word}`;
  const told = motion ? [motion.state, ...counts] : [alone, ...counts.slice(1)];
  const all = unwell.flatMap((u) => u.instances);
  const times = all.map((i) => parseTime(i.status.since)).filter((t) => t !== undefined);
  return [
    {
      key: `d/${name}`,
      rank: leads ? motion.rank : rank,
      tone: leads ? motion.tone : INSTANCE[worst.phase].tone,
      plural: "deployments",
      name,
      state: told.join(", "),
      since: motion?.since ?? (times.length > 0 ? Math.min(...times) : undefined),
      reasons: distinct([
        ...(motion?.reasons ?? []),
        ...all.flatMap((i) => i.status.reasons ?? []),
      ]),
      phase: motion ? undefined : worst.phase,
    },
  ];
}

/** Instances on a host that is not heard from are the host's concern, told once. */
function hostIsAway(instance: Instance, fleet: Fleet): boolean {
  return fleet.tables.hosts.get(instance.spec.host)?.status.phase === "unknown";
}

function distinct(reasons: readonly Reason[]): Reason[] {
  const seen = new Map<string, Reason>();
  for (const reason of reasons) if (!seen.has(reason.code)) seen.set(reason.code, reason);
  return [...seen.values()];
}

function application(a: Fleet["applications"][number]): Concern[] {
  const reasons = a.status.reasons ?? [];
  if (reasons.length === 0) return [];
  const name = a.metadata.name;
  return [
    {
      key: `a/${name}`,
      rank: "waiting",
      tone: "warn",
      plural: "applications",
      name,
      state: "cannot be released or deployed",
      since: undefined,
      reasons,
    },
  ];
}

function alerts(fleet: Fleet, now: number): Concern[] {
  const { alerts, silences } = fleet.tables;
  return loud(alerts.values(), silences.values(), now).map((a) => {
    const page = a.spec.labels.severity === "page" || a.spec.labels.severity === "critical";
    const about = a.spec.subject ? ` of ${a.spec.subject}` : "";
    return {
      key: `al/${a.metadata.name}`,
      rank: page ? "broken" : "waiting",
      tone: page ? "bad" : "warn",
      plural: "alerts",
      name: a.metadata.name,
      label: alertname(a),
      state: `fires${about}`,
      since: parseTime(a.status.firedAt),
      reasons: a.status.reasons ?? [],
    } satisfies Concern;
  });
}

function freeze(f: Fleet["freezes"][number], now: number): Concern[] {
  if (freezeState(f, now) !== "active") return [];
  const until = parseTime(f.spec.until);
  const where = f.spec.environments?.length ? ` in ${f.spec.environments.join(", ")}` : "";
  const left =
    until === undefined ? "until it is deleted" : `for another ${spanWords(until - now)}`;
  const held = f.spec.holds === "decisions" ? "no policy acts" : "changes are held";
  return [
    {
      key: `f/${f.metadata.name}`,
      rank: "held",
      tone: "held",
      plural: "freezes",
      name: f.metadata.name,
      state: `${held}${where} ${left}`,
      since: parseTime(f.spec.from),
      reasons: [{ code: "freeze", message: f.spec.reason }],
    },
  ];
}

/** The heading of the overview: how things stand, in one sentence. */
export function headline(concerns: readonly Concern[]): string {
  const count = (rank: Rank) => concerns.filter((c) => c.rank === rank).length;
  const [broken, waiting, moving] = [count("broken"), count("waiting"), count("moving")];
  const parts = [
    broken > 0 ? `${broken} broken` : "",
    waiting > 0 ? `${waiting} waiting` : "",
    moving > 0 ? `${moving} moving` : "",
  ].filter(Boolean);
  if (parts.length === 0) return "Everything is settled";
  return parts.join(", ");
}

// What the platform has under way by itself, or waits with for a person: peaks, migrations, pools,
// decisions and budgets, as the overview tells them. How each stands is the server's to say.
import type { Budget, Decision, Migration, Peak, Pool, Reason } from "../api/objects";
import type { Concern, Rank } from "./attention";
import { BUDGET } from "./budgets";
import { stateOf as decided, deedOf, isOver as isDecided } from "./decisions";
import type { Fleet } from "./fleet";
import { isOver as hasMoved, stateOf as moves, phaseOf as pointOf } from "./migrations";
import { farOf, isOver as isPast, phaseOf } from "./peaks";
import { POOL } from "./pools";
import { counted } from "./quantity";
import { parseTime } from "./time";

export function undertakings({ tables }: Fleet, now: number): Concern[] {
  return [
    ...[...tables.peaks.values()].flatMap((p) => peak(p, now)),
    ...[...tables.migrations.values()].flatMap(migration),
    ...[...tables.pools.values()].flatMap(pool),
    ...[...tables.decisions.values()].flatMap(decision),
    ...[...tables.budgets.values()].flatMap(budget),
  ];
}

/** A peak that is prepared for, there, or given back; one with something late waits for people. */
function peak(p: Peak, now: number): Concern[] {
  if (isPast(p)) return [];
  const late = (p.status.checks ?? []).filter((check) => check.state === "late");
  const planned = (p.status.phase ?? "planned") === "planned";
  if (planned && late.length === 0) return [];
  const { word, tone } = phaseOf(p);
  const { name } = p.metadata;
  const told = late.map(
    ({ name: code, message, hint }): Reason => ({ code, message, hint: hint ?? undefined }),
  );
  return [
    {
      key: `peak/${name}`,
      rank: late.length > 0 ? "waiting" : "moving",
      tone: late.length > 0 ? "warn" : tone,
      plural: "peaks",
      name,
      state: [word, farOf(p, now), late.length > 0 ? `${late.length} late` : ""]
        .filter(Boolean)
        .join(", "),
      since: undefined,
      reasons: told,
    },
  ];
}

const RANK_OF: Readonly<Partial<Record<ReturnType<typeof pointOf>, Rank>>> = {
  stuck: "broken",
  paused: "held",
  waiting: "waiting",
};

function migration(m: Migration): Concern[] {
  if (hasMoved(m)) return [];
  const { moved = 0, left = 0, startedAt, reasons = [] } = m.status;
  const { word, tone } = moves(m);
  return [
    {
      key: `migration/${m.metadata.name}`,
      rank: RANK_OF[pointOf(m)] ?? "moving",
      tone,
      plural: "migrations",
      name: m.metadata.name,
      state: `${word}, ${counted(moved, "instance")} moved, ${left} left`,
      since: parseTime(startedAt),
      reasons,
    },
  ];
}

function pool(p: Pool): Concern[] {
  const phase = p.status.phase ?? "waiting";
  if (phase === "settled") return [];
  const { word, tone } = POOL[phase];
  const ready = p.status.counts?.ready ?? 0;
  const wanted = p.status.wanted ?? p.spec.count;
  return [
    {
      key: `pool/${p.metadata.name}`,
      rank: phase === "stuck" ? "broken" : "moving",
      tone,
      plural: "pools",
      name: p.metadata.name,
      state: `${word}, ${ready} of ${counted(wanted, "host")} ready`,
      since: undefined,
      reasons: p.status.reasons ?? [],
    },
  ];
}

/** A decision that people are to make, or were left with. */
function decision(d: Decision): Concern[] {
  const { phase, reasons = [] } = d.status;
  if (isDecided(d) || (phase !== "waiting" && phase !== "escalated")) return [];
  const { word, tone } = decided(d);
  return [
    {
      key: `decision/${d.metadata.name}`,
      rank: phase === "escalated" ? "broken" : "waiting",
      tone,
      plural: "decisions",
      name: d.metadata.name,
      state: `${deedOf(d)}: ${word}`,
      since: parseTime(d.metadata.createdAt),
      reasons,
    },
  ];
}

/** A budget that is broken, or will be. */
function budget(b: Budget): Concern[] {
  const { phase, reasons = [] } = b.status;
  if (phase !== "over" && phase !== "tight") return [];
  const { word, tone } = BUDGET[phase];
  const { name } = b.metadata;
  return [
    {
      key: `budget/${name}`,
      rank: phase === "over" ? "broken" : "waiting",
      tone,
      plural: "budgets",
      name,
      state: word,
      since: undefined,
      reasons,
    },
  ];
}

// Migrations as pages show them: waves that are over, the one under way and those to come, and what
// people may do about it as it stands. What is moved when is the server's.
import type { Instance, Migration } from "../api/objects";
import { order } from "./fleet";
import type { Tone } from "./phases";
import { parseTime } from "./time";

type Phase = NonNullable<Migration["status"]["phase"]>;

export const MIGRATION: Readonly<Record<Phase, { word: string; tone: Tone }>> = {
  waiting: { word: "waiting", tone: "held" },
  moving: { word: "moving", tone: "move" },
  paused: { word: "paused", tone: "held" },
  stuck: { word: "stuck", tone: "bad" },
  goingBack: { word: "going back", tone: "warn" },
  done: { word: "done", tone: "ok" },
  cancelled: { word: "cancelled", tone: "off" },
};

export const phaseOf = ({ status }: Migration): Phase => status.phase ?? "waiting";

export const isOver = (migration: Migration): boolean =>
  ["done", "cancelled"].includes(phaseOf(migration));

/** How it stands, in words: one that was cancelled goes on until the wave under way has ended. */
export function stateOf(migration: Migration): { word: string; tone: Tone } {
  const ends = migration.spec.cancelled && !isOver(migration);
  return ends ? { word: "ends with this wave", tone: "held" } : MIGRATION[phaseOf(migration)];
}

/** What it is about, in words. */
export function aboutWords({ spec }: Migration): string {
  return spec.balance ? "from hosts that are fuller than the average" : `off hosts: ${spec.off}`;
}

/** Those that go on first, then the latest. */
export function orderedMigrations(migrations: Iterable<Migration>): Migration[] {
  const at = (m: Migration) => parseTime(m.metadata.createdAt) ?? 0;
  return [...migrations].sort(
    (a, b) =>
      Number(isOver(a)) - Number(isOver(b)) ||
      at(b) - at(a) ||
      order(a.metadata.name, b.metadata.name),
  );
}

/** What of all it found has gone by none of its waves, as the server tells it. */
export function gone({ status }: Migration): number {
  const { found = 0, moved = 0, left = 0 } = status;
  return Math.max(0, found - moved - left);
}

/** What becomes of its hosts: they are emptied only where nothing it found stayed there. */
export function hostsWord(migration: Migration): string {
  const { spec, status } = migration;
  const part = spec.balance || String(spec.applications ?? "");
  if (!isOver(migration)) return part ? "being moved off" : "being emptied";
  const all = phaseOf(migration) === "done" && !status.left && !status.back;
  return all && !part ? "emptied" : "moved off";
}

export interface WaveView {
  readonly key: string;
  readonly state: "done" | "back" | "givenUp" | "going" | "ahead";
  /** Which it is; none for what is still to come. */
  readonly number: number | undefined;
  /** So many were moved or are; of what was given up, so many were not. */
  readonly instances: number;
  readonly began: number | undefined;
  readonly ended: number | undefined;
  readonly moved: readonly (readonly [string, number])[];
}

const sorted = (moved: Readonly<Record<string, number>>) =>
  Object.entries(moved).sort(([a], [b]) => order(a, b));

const GIVEN_UP = /^wave (\d+) did not end and was given up, with (\d+) instances? not moved$/;

/** What of a wave that did not end was not moved: only the reason of that still tells of it. */
function givenUp({ status }: Migration): WaveView | undefined {
  const reason = status.reasons?.find(({ code }) => code === "given-up");
  const [, number, instances] = GIVEN_UP.exec(reason?.message ?? "") ?? [];
  if (number === undefined) return undefined;
  return {
    key: "given up",
    state: "givenUp",
    number: Number(number),
    instances: Number(instances),
    began: undefined,
    ended: undefined,
    moved: [],
  };
}

/** The waves in their order: over, given up, under way, and what is left as one. */
export function wavesOf(migration: Migration): WaveView[] {
  const { waves = [], moving = {}, wave = 0, waveAt, left = 0 } = migration.status;
  const views: WaveView[] = waves.map((one) => ({
    key: `${one.number}${one.back ? " back" : ""} ${one.began}`,
    state: one.back ? "back" : "done",
    number: one.number,
    instances: Object.values(one.moved).reduce((sum, n) => sum + n, 0),
    began: parseTime(one.began),
    ended: parseTime(one.ended),
    moved: sorted(one.moved),
  }));
  const stays = givenUp(migration);
  if (stays) {
    const after = views.findIndex(({ number = 0 }) => number > (stays.number ?? 0));
    views.splice(after < 0 ? views.length : after, 0, stays);
  }
  const going = Object.values(moving);
  if (going.length > 0 && !isOver(migration)) {
    const moved: Record<string, number> = {};
    for (const { deployment } of going) moved[deployment] = (moved[deployment] ?? 0) + 1;
    views.push({
      key: "going",
      state: "going",
      number: wave,
      instances: going.length,
      began: parseTime(waveAt),
      ended: undefined,
      moved: sorted(moved),
    });
  }
  const ahead = left - (phaseOf(migration) === "goingBack" ? 0 : going.length);
  if (ahead > 0 && !isOver(migration)) {
    const none = { number: undefined, began: undefined, ended: undefined, moved: [] };
    views.push({ key: "ahead", state: "ahead", instances: ahead, ...none });
  }
  return views;
}

/** How many waves could still be taken back. */
export function backable({ spec, status }: Migration): number {
  const done = (status.waves ?? []).filter((wave) => !wave.back).length;
  return Math.max(0, done - Math.max(spec.back ?? 0, status.back ?? 0));
}

export interface MoveRow {
  readonly name: string;
  readonly deployment: string;
  readonly from: string;
  /** As it is now; none once it is gone. */
  readonly instance: Instance | undefined;
}

export function movesOf(migration: Migration, instances: ReadonlyMap<string, Instance>): MoveRow[] {
  return Object.entries(migration.status.moving ?? {})
    .map(([name, { deployment, from }]) => ({
      name,
      deployment,
      from,
      instance: instances.get(name),
    }))
    .sort((a, b) => order(a.name, b.name));
}

export type Asking =
  | { readonly what: "zone" | "host" | "filter"; readonly of: string }
  | { readonly what: "balance" };

/** How a migration goes about it, as it stands in fields. */
export interface How {
  readonly wave: string;
  readonly pause: string;
  readonly retire: boolean;
}

const WAVE = /^(?!0+%?$)(\d+|(100|\d{1,2})%)$/;
const PAUSE = /^(0|(\d+(ms|[smhd]))+)$/;

/** What is wrong with what was entered, or missing of it; none where it can be asked for. */
export function wrongWith(
  asking: Asking,
  { wave, pause }: How,
  hosts: ReadonlySet<string>,
): string | undefined {
  const of = asking.what === "balance" ? "" : asking.of.trim();
  if (asking.what === "filter" && !of) return "Say which hosts, by what is known of them.";
  if (asking.what === "host" && !hosts.has(of)) {
    return of ? `There is no host ${of}.` : "Say which host.";
  }
  if (asking.what === "zone" && !of) return "Say which zone.";
  if (!WAVE.test(wave.trim())) {
    return "At a time is a number of instances from 1 on, or a share of them from 1% to 100%.";
  }
  if (!PAUSE.test(pause.trim())) return "Between two waves is a time: 0s, 90s, 5m, 1h30m.";
  return undefined;
}

/** The target of a migration as people choose it, where nothing is wrong with it. */
export function specOf(asking: Asking, how: How): Record<string, unknown> {
  const rest = { wave: how.wave.trim(), pause: how.pause.trim() };
  if (asking.what === "balance") return { balance: true, ...rest };
  const of = asking.of.trim();
  const field = { zone: "zone", host: "name", filter: "" }[asking.what];
  const off = field ? `${field} = ${JSON.stringify(of)}` : of;
  return { off, retire: how.retire || undefined, ...rest };
}

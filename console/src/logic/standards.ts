// How well standards are kept, from the scorecards: of the fleet, of teams and of applications, now
// and day by day. The same sums as the server's; nothing is asked for.
import type { Finding, Mode, Scorecard, Standard } from "../api/objects";
import type { Tone } from "./phases";
import { parseTime } from "./time";

const DAY = 86_400_000;
export const DAYS = 30;

export interface ScoreRow {
  readonly name: string;
  readonly owner: string | undefined;
  readonly score: number | undefined;
  readonly checks: number;
  readonly broken: number;
  readonly waived: number;
  /** Day by day, today last. */
  readonly trend: readonly (number | null)[];
}

export type By = "application" | "team" | "fleet";

const middle = (all: readonly number[]): number | undefined =>
  all.length === 0 ? undefined : Math.floor(all.reduce((a, b) => a + b, 0) / all.length);

function nameOf(card: Scorecard, by: By): string | undefined {
  if (by === "fleet") return "fleet";
  if (by === "team") return card.status.owner ?? "nobody";
  const [kind, name] = card.spec.subject.split("/");
  return kind === "application" ? name : undefined;
}

/** The score a card had at the end of a day: the last one written down up to then. */
function scoreOn(card: Scorecard, day: number): number | undefined {
  const known = (card.status.trend ?? []).filter((p) => (parseTime(p.day) ?? 0) <= day);
  return known.at(-1)?.score ?? undefined;
}

/** One row for each, the lowest score first. */
export function scores(cards: Iterable<Scorecard>, by: By, now: number): ScoreRow[] {
  const groups = new Map<string, Scorecard[]>();
  for (const card of cards) {
    const name = nameOf(card, by);
    if (name !== undefined) groups.set(name, [...(groups.get(name) ?? []), card]);
  }
  const today = now - (now % DAY);
  const rows = [...groups].map(([name, all]): ScoreRow => {
    const trend = Array.from({ length: DAYS }, (_, i) => {
      const day = today - (DAYS - 1 - i) * DAY;
      const known = all.map((card) => scoreOn(card, day)).filter((s) => s !== undefined);
      return middle(known) ?? null;
    });
    const sum = (of: (card: Scorecard) => number) => all.reduce((n, card) => n + of(card), 0);
    return {
      name,
      owner: by === "application" ? (all[0]?.status.owner ?? undefined) : undefined,
      score: middle(all.flatMap((card) => card.status.score ?? [])),
      checks: sum((card) => card.status.checks ?? 0),
      broken: sum((card) => card.status.broken ?? 0),
      waived: sum((card) => findingsOf(card).filter((f) => f.state === "waived").length),
      trend,
    };
  });
  return rows.sort((a, b) => (a.score ?? 101) - (b.score ?? 101));
}

export const findingsOf = (card: Scorecard): readonly Finding[] => card.status.findings ?? [];

/** All findings, what is enforced and broken first, what is on trial last. */
export function allFindings(cards: Iterable<Scorecard>): Finding[] {
  const all = [...cards].flatMap(findingsOf);
  const rank = (f: Finding) => (f.state === "waived" ? 10 : 0) - MODES.indexOf(f.mode);
  return all.sort((a, b) => rank(a) - rank(b) || (a.since < b.since ? 1 : -1));
}

export const MODES: readonly Mode[] = ["off", "trial", "warn", "enforce"];

export const MODE: Readonly<Record<Mode, { word: string; tone: Tone; about: string }>> = {
  enforce: { word: "enforced", tone: "ok", about: "changes that break it are refused" },
  warn: { word: "warns", tone: "warn", about: "whoever makes a change that breaks it is told" },
  trial: { word: "on trial", tone: "soak", about: "recorded, and nobody is told" },
  off: { word: "off", tone: "off", about: "nobody looks at it" },
};

export const modeOf = (standard: Standard): Mode => standard.spec.mode ?? "trial";

/** How a score is coloured. */
export function scoreTone(score: number | undefined): Tone {
  if (score === undefined) return "off";
  return score >= 90 ? "ok" : score >= 60 ? "warn" : "bad";
}

/** How the score differs from the first day that has one, in words. */
export function moved(row: ScoreRow): string {
  const known = row.trend.filter((s) => s !== null);
  const first = known[0];
  if (known.length < 2 || first === undefined || row.score === undefined) return "";
  const change = row.score - first;
  return change === 0 ? "unchanged" : `${change > 0 ? "+" : "−"}${Math.abs(change)}`;
}

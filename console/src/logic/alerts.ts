// Alerts as people go through them: which are quiet and why, who was told, and in what groups. When
// one is raised, and who is told, is the server's.
import type { Alert, Notification, Silence } from "../api/objects";
import { parseTime } from "./time";

export interface Matcher {
  readonly name: string;
  readonly operator: "=" | "!=" | "=~" | "!~";
  readonly value: string;
}

/** Reads a condition as `severity="page"`; quotes may be left out. */
export function parseMatcher(text: string): Matcher | undefined {
  const match = /^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*([\s\S]*?)\s*$/.exec(text);
  if (!match) return undefined;
  const [, name = "", operator, written = ""] = match;
  let value = written;
  if (written.startsWith('"')) {
    try {
      value = JSON.parse(written) as string;
    } catch {
      return undefined;
    }
  }
  if (operator?.endsWith("~")) {
    try {
      new RegExp(value);
    } catch {
      return undefined;
    }
  }
  return { name, operator: operator as Matcher["operator"], value };
}

export const writeMatcher = (name: string, value: string): string =>
  `${name}=${JSON.stringify(value)}`;

type Labels = Readonly<Record<string, string>>;

export function matches(matchers: readonly string[], labels: Labels): boolean {
  return matchers.every((text) => {
    const matcher = parseMatcher(text);
    if (!matcher) return false;
    const value = labels[matcher.name] ?? "";
    const like = matcher.operator.endsWith("~");
    const is = like ? new RegExp(`^(?:${matcher.value})$`).test(value) : value === matcher.value;
    return is !== matcher.operator.startsWith("!");
  });
}

export type SilenceState = "active" | "ahead" | "over";

export function silenceState({ spec }: Silence, now: number): SilenceState {
  const [from, until] = [parseTime(spec.from), parseTime(spec.until)];
  if (from !== undefined && now < from) return "ahead";
  return until !== undefined && until <= now ? "over" : "active";
}

/** What keeps an alert quiet now. */
export function quietBy(
  alert: Alert,
  silences: Iterable<Silence>,
  firing: readonly Alert[],
  now: number,
): Silence[] {
  const { labels } = alert.spec;
  return [...silences].filter((silence) => {
    const { matchers, whileFiring = [], equal = [] } = silence.spec;
    if (silenceState(silence, now) !== "active" || !matches(matchers, labels)) return false;
    if (whileFiring.length === 0) return true;
    return firing.some(
      (other) =>
        other !== alert &&
        matches(whileFiring, other.spec.labels) &&
        equal.every((label) => (other.spec.labels[label] ?? "") === (labels[label] ?? "")),
    );
  });
}

/** Alerts that fire and that nothing keeps quiet. */
export function loud(alerts: Iterable<Alert>, silences: Iterable<Silence>, now: number): Alert[] {
  const firing = [...alerts].filter((a) => a.status.phase === "firing");
  const all = [...silences];
  return firing.filter((a) => quietBy(a, all, firing, now).length === 0);
}

/** Messages that told of an alert, the newest first. */
export function toldOf(alert: Alert, notifications: Iterable<Notification>): Notification[] {
  const { name } = alert.metadata;
  return [...notifications]
    .filter((n) => n.spec.alerts?.some((a) => a.name === name))
    .sort((a, b) => String(b.spec.at).localeCompare(String(a.spec.at)));
}

export const alertname = (alert: Alert): string =>
  alert.spec.labels.alertname ?? alert.metadata.name;

const PHASES = ["firing", "pending", "resolved"] as const;

export interface AlertGroup {
  readonly name: string;
  readonly alerts: readonly Alert[];
}

/** Grouped by a label, and within a group by state, then the newest first. */
export function grouped(alerts: readonly Alert[], by: "alertname" | "deployment"): AlertGroup[] {
  const groups = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const name = by === "alertname" ? alertname(alert) : (alert.spec.labels[by] ?? "");
    const group = groups.get(name);
    if (group) group.push(alert);
    else groups.set(name, [alert]);
  }
  const rank = (a: Alert) => PHASES.indexOf(a.status.phase);
  const since = (a: Alert) => parseTime(a.status.firedAt ?? a.status.activeAt) ?? 0;
  for (const group of groups.values()) {
    group.sort((a, b) => rank(a) - rank(b) || since(b) - since(a));
  }
  const page = (g: readonly Alert[]) => (g.some((a) => a.spec.labels.severity === "page") ? 0 : 1);
  return [...groups]
    .map(([name, list]) => ({ name, alerts: list }))
    .sort(
      (a, b) =>
        rank(a.alerts[0] as Alert) - rank(b.alerts[0] as Alert) ||
        page(a.alerts) - page(b.alerts) ||
        since(b.alerts[0] as Alert) - since(a.alerts[0] as Alert),
    );
}

/** The conditions a silence of an alert begins with: its own labels. */
export function matchersFor(alert: Alert): string[] {
  return Object.entries(alert.spec.labels)
    .filter(([name]) => name !== "severity")
    .sort(([a], [b]) => Number(b === "alertname") - Number(a === "alertname"))
    .map(([name, value]) => writeMatcher(name, value));
}

// Turns two forms of an object into one line that says what happened between them. Changes nobody
// would call one (a heartbeat, a counter) are none.

import {
  type AuditEntry,
  type HistoryEntry,
  type Plural,
  pluralOf,
  type Watched,
} from "../api/objects";
import { VERDICT } from "./guard";
import { OBJECTIVE } from "./objectives";
import { DEPLOYMENT, HOST, INSTANCE, type Tone } from "./phases";
import { counted } from "./quantity";

export interface Change {
  readonly key: string;
  readonly at: number;
  readonly plural: Plural;
  readonly name: string;
  readonly tone: Tone;
  readonly text: string;
  /** Whether it is one of the many single steps of instances. */
  readonly minor: boolean;
}

type Said = { tone: Tone; text: string; minor?: boolean } | null;

/** What happened to an object between two of its forms; either may be missing, not both. */
export function changeOf(
  before: Watched | undefined,
  after: Watched | undefined,
  revision: number,
  at: number,
): Change | null {
  const object = after ?? before;
  const plural = object && pluralOf(object.kind);
  if (!object || !plural) return null;
  const name = object.metadata.name;
  const said = sayChange(before, after);
  if (!said) return null;
  const key = `${plural}/${name}@${revision}/${at}`;
  return { key, at, plural, name, tone: said.tone, text: said.text, minor: said.minor ?? false };
}

function sayChange(before: Watched | undefined, after: Watched | undefined): Said {
  const kind = (after ?? before)?.kind;
  // A message to somebody is told with its alert.
  if (kind === "Notification") return null;
  if (kind === "Alert") return alert(before as Of<"Alert">, after as Of<"Alert">);
  const minor = kind === "Instance";
  if (!after) return { tone: "off", text: "is gone", minor };
  if (!before) return { tone: "move", text: made(after), minor };
  if (after.metadata.deletedAt && !before.metadata.deletedAt) {
    return { tone: "off", text: "is being deleted", minor };
  }
  if (after.kind === "Instance" && before.kind === "Instance") return instance(before, after);
  const edited = edit(before, after);
  if (after.kind === "Deployment" && before.kind === "Deployment") {
    return edited ?? deployment(before, after);
  }
  if (after.kind === "Host" && before.kind === "Host") return host(before, after) ?? edited;
  if (after.kind === "Objective" && before.kind === "Objective") {
    return objective(before, after) ?? edited;
  }
  if (after.kind === "Analysis" && before.kind === "Analysis") {
    return analysis(before, after) ?? edited;
  }
  return edited;
}

function made(object: Watched): string {
  if (object.kind === "Instance") return `created on ${object.spec.host}`;
  if (object.kind === "Release") return `released for ${object.spec.application}`;
  return "created";
}

type Of<K extends Watched["kind"]> = Extract<Watched, { kind: K }>;

function instance(before: Of<"Instance">, after: Of<"Instance">): Said {
  const [was, is] = [before.status.phase, after.status.phase];
  if (was !== is) {
    const look = INSTANCE[is];
    const why =
      look.tone === "bad" || look.tone === "warn" ? after.status.reasons?.[0]?.message : null;
    const text = `${INSTANCE[was].word} → ${look.word}${why ? `: ${why}` : ""}`;
    return { tone: look.tone, text, minor: look.tone !== "bad" };
  }
  if (after.status.restarts > before.status.restarts) {
    return {
      tone: "warn",
      text: `restarted, ${counted(after.status.restarts, "time")} in all`,
      minor: true,
    };
  }
  if (before.spec.release !== after.spec.release) {
    return { tone: "move", text: `${before.spec.release} → ${after.spec.release}`, minor: true };
  }
  return null;
}

function deployment(before: Of<"Deployment">, after: Of<"Deployment">): Said {
  const [was, is] = [before.status, after.status];
  if (was.phase !== is.phase) {
    const look = DEPLOYMENT[is.phase];
    const to = is.rollout ? ` to ${is.rollout.to}` : is.release ? ` on ${is.release}` : "";
    return { tone: look.tone, text: `${DEPLOYMENT[was.phase].word} → ${look.word}${to}` };
  }
  if (is.rollout && was.rollout && is.rollout.step !== was.rollout.step) {
    return { tone: "move", text: `step ${is.rollout.step + 1} of the rollout to ${is.rollout.to}` };
  }
  return null;
}

function host(before: Of<"Host">, after: Of<"Host">): Said {
  const [was, is] = [before.status.phase, after.status.phase];
  if (was === is) return null;
  return { tone: HOST[is].tone, text: `${HOST[was].word} → ${HOST[is].word}` };
}

/** An alert is told when it begins to fire and when it ends, not when it is made or swept away. */
function alert(before: Of<"Alert"> | undefined, after: Of<"Alert"> | undefined): Said {
  const is = after?.status.phase;
  if (!after || is === before?.status.phase || (!before && is === "resolved")) return null;
  if (is === "firing") {
    const text = after.spec.annotations?.summary ?? after.spec.labels.alertname ?? "";
    return { tone: "bad", text: `fires: ${text}` };
  }
  return is === "resolved"
    ? { tone: "ok", text: `ended: ${after.spec.labels.alertname ?? ""}` }
    : null;
}

function objective(before: Of<"Objective">, after: Of<"Objective">): Said {
  const [was, is] = [before.status.phase, after.status.phase];
  if (was === is) return null;
  return { tone: OBJECTIVE[is].tone, text: `${OBJECTIVE[was].word} → ${OBJECTIVE[is].word}` };
}

function analysis(before: Of<"Analysis">, after: Of<"Analysis">): Said {
  const [was, is] = [before.status.verdict, after.status.verdict];
  if (was === is) return null;
  const message = after.status.steps?.at(-1)?.message;
  return { tone: VERDICT[is].tone, text: `${VERDICT[is].word}${message ? `: ${message}` : ""}` };
}

function edit(before: Watched, after: Watched): Said {
  if (before.metadata.generation === after.metadata.generation) return null;
  const old = before.spec as Record<string, unknown>;
  const now = after.spec as Record<string, unknown>;
  const fields = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  const parts = fields
    .filter((field) => JSON.stringify(old[field]) !== JSON.stringify(now[field]))
    .map((field) => `${field} ${brief(old[field])} → ${brief(now[field])}`);
  return { tone: "move", text: parts.length > 0 ? `target: ${parts.join(", ")}` : "target edited" };
}

function brief(value: unknown): string {
  if (value === undefined || value === null) return "–";
  return typeof value === "object" ? "…" : String(value);
}

/** Whether a row of the audit is one people would ask for: not what agents report and planners note. */
export function worthTelling(entry: AuditEntry): boolean {
  return !SMALL.includes(entry.kind) && !QUIET.includes(entry.intent);
}

const SMALL: readonly string[] = ["Instance", "Token", "Audit"];
const QUIET: readonly string[] = ["observe", "report"];

/** What was done to it, and by whom unless it was a planner. */
export function entryWords(entry: AuditEntry | HistoryEntry): string {
  const reason = entry.reasons[0]?.message;
  const did = entry.op === "delete" ? "deleted" : (WORDS[entry.intent] ?? entry.intent);
  const by = entry.actor.startsWith("controller/") ? "" : ` by ${entry.actor}`;
  return `${did}${by}${reason ? `: ${reason}` : ""}`;
}

/** Rows that say the same of the same, one after the other, as one row with their number. */
export function folded(entries: readonly AuditEntry[]): { entry: AuditEntry; times: number }[] {
  const rows: { entry: AuditEntry; times: number }[] = [];
  const said = (e: AuditEntry) => `${e.kind}/${e.name} ${entryWords(e)}`;
  for (const entry of entries) {
    const last = rows.at(-1);
    if (last && said(last.entry) === said(entry)) last.times += 1;
    else rows.push({ entry, times: 1 });
  }
  return rows;
}

const WORDS: Readonly<Record<string, string>> = {
  edit: "edited",
  revert: "rolled back",
  heal: "healed",
  migrate: "moved",
  rollback: "taken back",
  scale: "scaled",
  rollout: "rolled out",
  remove: "removed",
};

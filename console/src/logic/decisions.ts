// The decision centre as pages show it: how far a decision is, what it does, and what stops all of
// it. What is decided is the server's.
import type {
  Action,
  ActMode,
  Decision,
  DecisionPhase,
  Freeze,
  Policy,
  PolicyPhase,
} from "../api/objects";
import { freezeState } from "./freeze";
import type { Tone } from "./phases";
import { parseTime, spanWords, type Written } from "./time";

const PHASE: Readonly<Record<DecisionPhase, { word: string; tone: Tone }>> = {
  open: { word: "just made", tone: "move" },
  observed: { word: "observed", tone: "off" },
  advised: { word: "advised", tone: "held" },
  waiting: { word: "waits for approval", tone: "warn" },
  skipped: { word: "not done", tone: "held" },
  acting: { word: "done, being measured", tone: "move" },
  measured: { word: "measured", tone: "ok" },
  escalated: { word: "left to people", tone: "bad" },
};

const EFFECT = {
  helped: { word: "helped", tone: "ok" },
  didNot: { word: "did not help", tone: "bad" },
  unknown: { word: "effect not known", tone: "unknown" },
} as const;

export const isOver = (decision: Decision): boolean => Boolean(decision.status.endedAt);

/** How a decision stands, in a word. */
export function stateOf(decision: Decision): { word: string; tone: Tone } {
  const { phase = "open", effect } = decision.status;
  if (effect) return EFFECT[effect.verdict];
  if (phase === "waiting" && isOver(decision)) return { word: "not approved, over", tone: "off" };
  const { word, tone } = PHASE[phase];
  return isOver(decision) ? { word: `${word}, over`, tone: "off" } : { word, tone };
}

const WORDS: Readonly<Record<string, string>> = { rollBack: "roll back", giveBack: "give back" };

/** An action in words, with how much: the wire has a word, or one with its details. */
export function actionWord(action: Action | null | undefined): string {
  if (!action) return "";
  if (typeof action === "string") return WORDS[action] ?? action;
  if ("raise" in action) return `raise by ${action.raise.by}`;
  if ("lower" in action) return `lower by ${action.lower.by}`;
  if ("borrow" in action) return `borrow ${action.borrow.by}`;
  if ("switch" in action) {
    const { config, key, value } = action.switch;
    return `switch ${config ? `${config} ` : ""}${key} to ${JSON.stringify(value)}`;
  }
  const word = Object.keys(action)[0] ?? "";
  return WORDS[word] ?? word;
}

/** What is done and to what: `raise deployment/shop.prod by 25%`. */
function actionOn(action: Action | null | undefined, subject: string): string {
  const [first = "", ...how] = actionWord(action).split(" by ");
  const isOther = typeof action === "object" && action && !("raise" in action || "lower" in action);
  if (isOther) return `${actionWord(action)} for ${subject}`;
  return [first, subject, how.length > 0 ? `by ${how.join("")}` : ""].filter(Boolean).join(" ");
}

/** What a decision does and to what: where no vote is followed, what its policy votes for. */
export function deedOf({ spec, status }: Decision): string {
  const own = status.votes?.find((vote) => vote.policy === status.policy);
  return actionOn(status.action ?? own?.action, spec.subject);
}

export const MODE: Readonly<Record<ActMode, string>> = {
  observe: "only records",
  advise: "advises",
  approve: "asks for approval",
  act: "acts",
};

/** The same of what is over. */
const MODE_THEN: Readonly<Record<ActMode, string>> = {
  observe: "only recorded",
  advise: "advised",
  approve: "asked for approval",
  act: "acted",
};

/** Where it did not come to what a policy may do at most. */
const MODE_NOT: Readonly<Partial<Record<ActMode, readonly [now: string, then: string]>>> = {
  approve: ["would ask for approval", "would have asked for approval"],
  act: ["would act", "would have acted"],
};

/** Whether something was, or still is, in the way of what a policy may do. */
function heldUp({ status }: Decision): boolean {
  if (status.actedAt || status.phase === "acting" || status.phase === "measured") return false;
  return !(status.mode === "approve" && status.phase === "waiting");
}

/** How far a policy goes with a decision, or went, once that is over; what was not done is not said to be. */
export function farWord(decision: Decision): string {
  const { mode, phase } = decision.status;
  if (!mode) return "";
  const over = isOver(decision);
  // What was just made may still come to it.
  const not = over || phase !== "open" ? MODE_NOT[mode] : undefined;
  if (not && heldUp(decision)) return not[over ? 1 : 0];
  return over ? MODE_THEN[mode] : MODE[mode];
}

/** Votes are counted until it is done, or over without that: what came later is none of it. */
export function votedUntil({ status }: Decision): { at: number; word: string } | undefined {
  const done = parseTime(status.actedAt);
  if (done !== undefined) return { at: done, word: "when it was done" };
  const ended = parseTime(status.endedAt);
  return ended === undefined ? undefined : { at: ended, word: "when it ended" };
}

/** How long a vote had stood by then: `for 5m when it was done`; nothing while it stands. */
export function stoodWords(since: Written, decision: Decision): string | undefined {
  const until = votedUntil(decision);
  const from = parseTime(since);
  if (!until || from === undefined) return undefined;
  return `for ${spanWords(Math.max(0, until.at - from))} ${until.word}`;
}

const RANK: readonly DecisionPhase[] = [
  "escalated",
  "waiting",
  "acting",
  "open",
  "skipped",
  "advised",
  "observed",
  "measured",
];

/** What asks for somebody first, then the latest. */
export function ordered(decisions: Iterable<Decision>): Decision[] {
  const rank = (d: Decision) => (isOver(d) ? RANK.length : RANK.indexOf(d.status.phase ?? "open"));
  const made = (d: Decision) => parseTime(d.metadata.createdAt) ?? 0;
  return [...decisions].sort((a, b) => rank(a) - rank(b) || made(b) - made(a));
}

/** What stops everything that is done by itself, if something does. */
export function stopOf(freezes: readonly Freeze[], now: number): Freeze | undefined {
  return freezes.find((f) => f.spec.holds === "decisions" && freezeState(f, now) === "active");
}

/** What speaks for a decision, or against it while it is not done. */
export function becauseOf({ status }: Decision): string {
  const vote = status.votes?.[0]?.message ?? "";
  if (status.actedAt || status.phase === "waiting") return vote;
  return status.reasons?.[0]?.message ?? vote;
}

/** How many of a policy's actions of which it is known helped: `3 of 4`. */
export function helpedOf({ status }: Policy): string {
  const { helped = 0, didNot = 0 } = status.record ?? {};
  return helped + didNot === 0 ? "–" : `${helped} of ${helped + didNot}`;
}

/** How far a policy may go; where its record does not suffice yet, what it does until then. */
export function modeWord({ spec, status }: Policy): string {
  const mode = spec.mode ?? "advise";
  const asked = spec.requires;
  if (mode !== "act" || !asked) return MODE[mode];
  const { right = 0, wrong = 0 } = status.record ?? {};
  const judged = right + wrong;
  const number = Number.parseFloat(String(asked.right));
  const needed = String(asked.right).endsWith("%") ? (number / 100) * judged : number;
  if (judged >= asked.decisions && right >= needed) return MODE.act;
  return `asks until ${asked.decisions} were judged, ${asked.right} of them right`;
}

/** How many people called right, of those they judged. */
export function rightOf({ status }: Policy): string {
  const { right = 0, wrong = 0 } = status.record ?? {};
  return right + wrong === 0 ? "–" : `${right} of ${right + wrong}`;
}

/** How a policy stands. */
export const POLICY_LOOK: Readonly<Record<PolicyPhase, { word: string; tone: Tone }>> = {
  quiet: { word: "quiet", tone: "ok" },
  voting: { word: "votes", tone: "warn" },
  givingBack: { word: "gives back", tone: "warn" },
  blind: { word: "cannot tell", tone: "unknown" },
  damped: { word: "comes and goes", tone: "held" },
  off: { word: "off", tone: "off" },
};

// Requests to the server and what can go wrong with them. The live stream is in watch.ts.
import type { ProblemJson, Reason } from "./objects";

/** A request that was not done, with the server's own reasons where it gave some. */
export class Problem extends Error {
  /** The HTTP status; 0 where no answer came. */
  readonly status: number;
  /** A stable code: `not-found`, `conflict`, `away`, … */
  readonly code: string;
  readonly reasons: Reason[];

  constructor(status: number, code: string, title: string, reasons: Reason[] = []) {
    super(title);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.reasons = reasons;
  }

  /** Whatever was thrown, as a problem. */
  static from(thrown: unknown): Problem {
    if (thrown instanceof Problem) return thrown;
    if (thrown instanceof TypeError) return Problem.away();
    return new Problem(0, "unexpected", thrown instanceof Error ? thrown.message : String(thrown));
  }

  static away(): Problem {
    return new Problem(0, "away", "the server does not answer", [
      {
        code: "away",
        message: "no connection to the server could be made",
        hint: "see whether `atoll up` or `atoll server` runs, and try again",
      },
    ]);
  }
}

/** Reads the body of a refusal: problem+json, or whatever else stands there. */
export async function problemOf(answer: Response): Promise<Problem> {
  const text = await answer.text().catch(() => "");
  try {
    const body = JSON.parse(text) as Partial<ProblemJson> & { error?: string; errorType?: string };
    // The metrics API tells of problems as Prometheus does.
    if (typeof body.error === "string") {
      return new Problem(answer.status, body.errorType ?? "failed", body.error);
    }
    if (typeof body.title === "string") {
      return new Problem(answer.status, body.code ?? "failed", body.title, body.reasons ?? []);
    }
  } catch {
    // Not JSON: something between us and the server has answered.
  }
  const said = text.length > 0 && text.length < 300 && !text.includes("<") ? text.trim() : "";
  const title = said || `the server answered ${answer.status} ${answer.statusText}`.trim();
  return new Problem(answer.status, answer.status === 401 ? "unauthorized" : "failed", title);
}

export interface Ask {
  body?: unknown;
  /** A body as a form sends it, instead of `body`. */
  form?: string;
  /** A body as a person wrote it in YAML, instead of `body`. */
  yaml?: string;
  /** The revision the change was made from. */
  ifMatch?: number;
  query?: Record<string, string | number | boolean | undefined>;
  type?: string;
  signal?: AbortSignal;
}

let onSignedOut = () => {};

/** Calls `heard` whenever the server says that it does not know who asks. */
export function whenSignedOut(heard: () => void): void {
  onSignedOut = heard;
}

let skew = 0;

/** How far the server's clock is ahead of this machine's, in milliseconds. */
export function clockSkew(): number {
  return skew;
}

/** Learns the server's clock from the `Date` of an answer, which is told in whole seconds. */
export function learnClock(answer: Response): void {
  const told = Date.parse(answer.headers.get("date") ?? "");
  if (Number.isNaN(told)) return;
  const ahead = told + 500 - Date.now();
  skew = Math.abs(ahead) > 2_000 ? ahead : 0;
}

export function pathOf(path: string, query: Ask["query"]): string {
  const asked = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  if (asked.length === 0) return path;
  return `${path}?${new URLSearchParams(asked.map(([k, v]) => [k, String(v)]))}`;
}

let renewal: { at: number; done: Promise<boolean> } | undefined;
const RENEW_EVERY = 3_000;

/**
 * Asks for a new session. A server of this machine gives one with any of its pages to the user it
 * runs as; sessions end with the server they were opened at. Says whether it is worth trying again.
 */
export function renewSession(): Promise<boolean> {
  const now = performance.now();
  if (!renewal || now - renewal.at > RENEW_EVERY) {
    const page = fetch("/", { cache: "no-store", credentials: "same-origin" });
    renewal = { at: now, done: page.then((answer) => answer.ok).catch(() => false) };
  }
  return renewal.done;
}

/** Asks the server and reads its JSON answer. Throws a `Problem` for everything else. */
export async function call<T>(method: string, path: string, ask: Ask = {}): Promise<T> {
  const answer = await asked(method, path, ask);
  if (answer.status === 204) return undefined as T;
  return (await answer.json()) as T;
}

/** Asks the server and reads its answer as it is. */
export async function callText(path: string, signal?: AbortSignal): Promise<string> {
  return (await asked("GET", path, { signal })).text();
}

async function asked(method: string, path: string, ask: Ask): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") headers["x-atoll-console"] = "1";
  if (ask.body !== undefined) headers["content-type"] = ask.type ?? "application/json";
  if (ask.form !== undefined) headers["content-type"] = "application/x-www-form-urlencoded";
  if (ask.yaml !== undefined) headers["content-type"] = "application/yaml";
  if (ask.ifMatch !== undefined) headers["if-match"] = String(ask.ifMatch);
  const request = {
    method,
    headers,
    body: ask.form ?? ask.yaml ?? (ask.body === undefined ? undefined : JSON.stringify(ask.body)),
    signal: ask.signal,
    credentials: "same-origin",
  } as const;
  let answer = await reach(pathOf(path, ask.query), request);
  const signingIn = path === "/v1/session";
  if (answer.status === 401 && !signingIn && (await renewSession())) {
    answer = await reach(pathOf(path, ask.query), request);
  }
  learnClock(answer);
  if (!answer.ok) {
    if (answer.status === 401 && !signingIn) onSignedOut();
    throw await problemOf(answer);
  }
  return answer;
}

async function reach(path: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(path, request);
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === "AbortError") throw thrown;
    throw Problem.away();
  }
}

// The guard's verdicts as pages show them, and the series behind its signals. What a verdict is
// reached by is the server's.
import type { Analysis, Application, Deployment, Promised, Verdict } from "../api/objects";
import { failing } from "./dashboards";
import type { Tone } from "./phases";
import { narrow } from "./promql";
import { type Grid, type Line, medians } from "./series";
import { parseTime } from "./time";
import { measured, type Unit } from "./units";

export const VERDICT: Readonly<Record<Verdict, { word: string; tone: Tone }>> = {
  pass: { word: "pass", tone: "ok" },
  warn: { word: "warn", tone: "warn" },
  "insufficient-data": { word: "insufficient data", tone: "unknown" },
  stop: { word: "stop", tone: "bad" },
  "roll-back": { word: "roll back", tone: "bad" },
};

/** Whether a person is asked: too little data is no question before the step's deadline. */
export const asks = (deployment: Deployment): boolean =>
  (deployment.status.reasons ?? []).some(
    ({ code }) => code === "guard-stop" || code === "guard-insufficient",
  );

/** The beginnings of rollouts of a deployment, to be marked in its charts. */
export function rolloutMarks(analyses: ReadonlyMap<string, Analysis>, deployment: string) {
  return [...analyses.values()]
    .filter((a) => a.spec.deployment === deployment)
    .flatMap((a) => {
      const at = parseTime(a.status.since);
      return at === undefined ? [] : [{ at: at / 1000, word: a.spec.release }];
    });
}

/** The verdict on a deployment's last rollout. */
export function lastAnalysis(
  analyses: ReadonlyMap<string, Analysis>,
  deployment: string,
): Analysis | undefined {
  const all = [...analyses.values()].filter((a) => a.spec.deployment === deployment);
  const when = (a: Analysis) => parseTime(a.status.since ?? a.metadata.createdAt) ?? 0;
  return all.sort((a, b) => when(b) - when(a))[0];
}

export interface SignalView {
  readonly query: string;
  readonly unit: Unit;
}

const WINDOW = "1m";

/** The signals every application has, as the guard asks for them. */
function builtIn(signal: string): SignalView | undefined {
  const rate = (metric: string, more = "") => `rate(${metric}${more && `{${more}}`}[${WINDOW}])`;
  const by = (what: string) => `sum by (instance) (${what})`;
  const rows: Record<string, SignalView> = {
    restarts: { query: by("increase(atoll_instance_restarts_total[1m])"), unit: "plain" },
    "error-lines": {
      query: by('increase(atoll_instance_log_lines_total{level="error"}[1m])'),
      unit: "plain",
    },
    cpu: { query: by(rate("container_cpu_usage_seconds_total")), unit: "cores" },
    memory: { query: by("container_memory_working_set_bytes"), unit: "bytes" },
    requests: { query: by(rate("http_requests_total")), unit: "per second" },
    errors: { query: failing(rate, " by (instance)"), unit: "share" },
    latency: {
      query: `${by(rate("http_request_duration_seconds_sum"))} / ${by(rate("http_request_duration_seconds_count"))}`,
      unit: "seconds",
    },
  };
  return Object.hasOwn(rows, signal) ? rows[signal] : undefined;
}

const MEASURES: Readonly<Record<string, Unit>> = {
  latency: "seconds",
  errors: "share",
  traffic: "per second",
};

function promised(promise: Promised): SignalView {
  const rate = (what: string) => `sum by (instance) (rate(${what}[${WINDOW}]))`;
  if (promise.good && promise.total) {
    return { query: `1 - (${rate(promise.good)} / ${rate(promise.total)})`, unit: "share" };
  }
  const query = (promise.query ?? "").replaceAll("{{window}}", WINDOW);
  const span = /[a-z]$/.test(promise.below ?? "");
  return { query, unit: promise.below ? (span ? "seconds" : "plain") : "share" };
}

/** The query of a signal on one deployment, and its unit; none for what is not known any more. */
export function signalOf(
  signal: string,
  application: Application | undefined,
  deployment: string,
): SignalView | undefined {
  const spec = application?.spec;
  const promise = spec?.objectives?.find((p) => p.name === signal);
  const own = spec?.rollout?.guard?.signals?.find((s) => s.name === signal);
  const view = promise
    ? promised(promise)
    : own
      ? {
          query: own.query.replaceAll("{{window}}", WINDOW),
          unit: MEASURES[own.measure ?? ""] ?? "plain",
        }
      : builtIn(signal);
  return view?.query ? { ...view, query: narrow(view.query, "deployment", deployment) } : undefined;
}

/** Which instance ran which release when. */
export function releasesQuery(deployment: string): string {
  const of = `{deployment=${JSON.stringify(deployment)}}`;
  return `count by (instance, release) (container_memory_working_set_bytes${of})`;
}

export interface Compared {
  readonly grid: Grid;
  readonly names: readonly string[];
  /** When the first instance ran the new release, in seconds. */
  readonly changedAt: number | undefined;
}

/** The middle of the changed instances beside that of the others. */
export function compared(signal: Grid, releases: Grid, to: string): Compared {
  const changed = new Set<string>();
  let first = Number.POSITIVE_INFINITY;
  for (const line of releases.lines) {
    if (line.labels.release !== to) continue;
    const at = line.values.findIndex((v) => v !== null);
    if (at < 0) continue;
    changed.add(line.labels.instance ?? "");
    first = Math.min(first, releases.times[at] ?? first);
  }
  const count = signal.times.length;
  const is = (line: Line) => changed.has(line.labels.instance ?? "");
  const told = signal.lines.some((line) => line.labels.instance);
  const parts: Line[] = told
    ? [
        { labels: { line: "changed" }, values: medians(signal.lines.filter(is), count) },
        {
          labels: { line: "unchanged" },
          values: medians(
            signal.lines.filter((l) => !is(l)),
            count,
          ),
        },
      ]
    : [{ labels: { line: "all instances" }, values: medians(signal.lines, count) }];
  const lines = parts.filter((line) => line.values.some((v) => v !== null));
  return {
    grid: { times: signal.times, lines },
    names: lines.map((l) => l.labels.line as string),
    changedAt: Number.isFinite(first) ? first : undefined,
  };
}

/** A change relative to before: `+30 %`, `×11.5`, `–` where there is none to speak of. */
export function effectWords(effect: number | undefined): string {
  if (effect === undefined || Math.abs(effect) < 0.005) return "–";
  if (effect >= 2) return `×${measured(1 + effect)}`;
  return `${effect > 0 ? "+" : "−"}${Math.round(Math.abs(effect) * 100)} %`;
}

// One verdict: its sentence, the evidence in numbers, and every signal as it was before and after.

import { useMemo } from "react";
import { REFRESH, serverNow, useRange } from "../../api/metrics";
import type { Application, Evidence, GuardStatus, Summary } from "../../api/objects";
import { compared, effectWords, releasesQuery, signalOf, VERDICT } from "../../logic/guard";
import type { Span } from "../../logic/period";
import { counted, ranged } from "../../logic/quantity";
import { measured, type Unit } from "../../logic/units";
import { Ago } from "../../parts/ago";
import { Chart } from "../../parts/chart";
import { State } from "../../parts/phase";
import "./guard.css";

/** The rollout a verdict is about. */
export interface Judged {
  readonly deployment: string;
  readonly application: Application | undefined;
  readonly to: string;
  /** When it began, in milliseconds. */
  readonly since: number | undefined;
  /** When it was over; absent while it goes on. */
  readonly until: number | undefined;
}

/** `waits`: a person is asked what to do about it. */
export function VerdictLine({ guard, waits = false }: { guard: GuardStatus; waits?: boolean }) {
  const look = VERDICT[guard.verdict];
  return (
    <div className={`guard-verdict ${look.tone} ${waits ? "asks" : ""}`}>
      <State {...look} />
      <p className="grow">{guard.message || "No more is known."}</p>
      <span className="quiet small nowrap">
        step {(guard.step ?? 0) + 1}
        {guard.at && (
          <>
            , <Ago at={guard.at} /> ago
          </>
        )}
      </span>
    </div>
  );
}

export function EvidenceTable({ guard, judged }: { guard: GuardStatus; judged: Judged }) {
  const evidence = guard.evidence ?? [];
  if (evidence.length === 0) return <p className="quiet small">No evidence is kept of it.</p>;
  return (
    <table className="evidence">
      <thead>
        <tr>
          <th scope="col">Signal</th>
          <th scope="col">Verdict</th>
          <th scope="col" className="right">
            Before
          </th>
          <th scope="col" className="right">
            After
          </th>
          <th scope="col" className="right">
            Unchanged
          </th>
          <th scope="col" className="right">
            Change
          </th>
          <th scope="col">In words</th>
        </tr>
      </thead>
      <tbody>
        {evidence.map((row) => {
          const unit = signalOf(row.signal, judged.application, judged.deployment)?.unit ?? "plain";
          return (
            <tr key={row.signal} className={VERDICT[row.verdict].tone}>
              <th scope="row">
                {row.signal}
                {row.critical && <span className="tag">critical</span>}
              </th>
              <td>
                <State {...lookOf(row)} />
              </td>
              <td className="right" data-of="before">
                {middle(row.before, unit)}
              </td>
              <td className="right strong" data-of="after">
                {middle(row.after, unit)}
              </td>
              <td className="right" data-of="unchanged">
                {middle(row.unchanged, unit)}
              </td>
              <td className="right" data-of="change" title={chanceWords(row)}>
                {effectWords(row.effect)}
              </td>
              <td className="second evidence-words">{row.message}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** What passes only because nothing could be measured does not look as if it were well. */
function lookOf({ verdict, before, after, unchanged }: Evidence) {
  const measured = before || after || unchanged;
  if (verdict === "pass" && !measured) return { word: "not measured", tone: "unknown" } as const;
  return VERDICT[verdict];
}

function middle(summary: Summary | null | undefined, unit: Unit) {
  if (!summary) return <span className="quiet">–</span>;
  const spread = ranged(measured(summary.low, unit), measured(summary.high, unit));
  const of = `${counted(summary.samples, "sample")} of ${counted(summary.instances, "instance")}`;
  return (
    <span title={`a tenth below and above: ${spread}; ${of}`}>
      {measured(summary.median, unit)}
    </span>
  );
}

function chanceWords({ chance, points }: Evidence): string {
  const told =
    chance === undefined
      ? ""
      : `by chance alone: ${chance < 0.0001 ? "less than 1 in 10,000" : measured(chance, "share")}`;
  return points
    ? `${told}; the last ${points === 1 ? "point is" : `${points} points are`} outside what is usual`
    : told;
}

const BEFORE = 1_800_000;

/** The time a verdict is about: from half an hour before the change to a little after its end. */
function spanOf(judged: Judged, coarse: number): Span {
  const since = judged.since ?? coarse - BEFORE;
  const to = judged.until === undefined ? coarse : Math.min(coarse, judged.until + 300_000);
  return { kind: "between", from: since - BEFORE, to: Math.max(since + 60_000, to) };
}

export function Signals({ guard, judged }: { guard: GuardStatus; judged: Judged }) {
  const coarse = Math.floor(serverNow() / REFRESH) * REFRESH;
  const { from, to } = spanOf(judged, coarse) as { from: number; to: number };
  const span = useMemo((): Span => ({ kind: "between", from, to }), [from, to]);
  return (
    <div className="signals">
      {(guard.evidence ?? []).map((row) => (
        <SignalView key={row.signal} row={row} judged={judged} span={span} />
      ))}
    </div>
  );
}

const COLOURS = [4, 7];

function SignalView({ row, judged, span }: { row: Evidence; judged: Judged; span: Span }) {
  const { deployment, application, to } = judged;
  const view = signalOf(row.signal, application, deployment);
  const signal = useRange(view?.query ?? "", span, { points: 180 });
  const releases = useRange(releasesQuery(deployment), span, { points: 180 });
  const both = useMemo(
    () => (signal.data && releases.data ? compared(signal.data, releases.data, to) : undefined),
    [signal.data, releases.data, to],
  );
  const marks = useMemo(() => {
    const at = both?.changedAt ?? (judged.since === undefined ? undefined : judged.since / 1000);
    const inside = at !== undefined && span.kind === "between" && at > span.from / 1000 + 30;
    return inside
      ? [{ at, word: to }]
      : judged.since
        ? [{ at: judged.since / 1000, word: to }]
        : [];
  }, [both?.changedAt, judged.since, span, to]);
  const shown = useMemo(
    () => (span.kind === "between" ? ([span.from / 1000, span.to / 1000] as const) : undefined),
    [span],
  );
  const band = useMemo(() => {
    const [low, high] = row.band ?? [];
    return low === undefined || high === undefined ? undefined : { low, high };
  }, [row.band]);
  if (!view || (both && both.grid.lines.length === 0) || signal.error) {
    return (
      <section className="signal none" aria-label={row.signal}>
        <h3>{row.signal}</h3>
        <p className="quiet small">
          {signal.error ? signal.error.message : "not measured in this time"}
        </p>
      </section>
    );
  }
  return (
    <section className="signal" aria-label={row.signal}>
      <h3>
        {row.signal} <State {...lookOf(row)} />
      </h3>
      {both ? (
        <Chart
          grid={both.grid}
          names={both.names}
          label={`${row.signal}, middle of the changed and the unchanged instances`}
          unit={view.unit}
          height={140}
          group={`guard/${deployment}`}
          marks={marks}
          band={band}
          colours={COLOURS}
          window={shown}
        />
      ) : (
        <div className="metric-wait" role="status" aria-label="loading" />
      )}
    </section>
  );
}

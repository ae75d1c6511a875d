// Plays the report of a rehearsal over its own time: what was load and what was served, how many
// instances and hosts there were and what they cost, what happened and what was decided.
import { useEffect, useMemo, useRef, useState } from "react";
import type { RehearsalReport } from "../../api/objects";
import { moneyWords } from "../../logic/money";
import { counted, ranged } from "../../logic/quantity";
import {
  brokenAt,
  type Entry,
  elapsed,
  type Play,
  partsAt,
  playOf,
  spentSoFar,
  valueAt,
} from "../../logic/rehearsal";
import { parseSpan } from "../../logic/time";
import { measured, share } from "../../logic/units";
import { Icon } from "../../parts/icon";
import { State } from "../../parts/phase";
import { Charts } from "./charts";

/** How long the whole is played, in seconds. */
const SPEEDS = [
  { word: "slow", seconds: 120 },
  { word: "usual", seconds: 40 },
  { word: "fast", seconds: 12 },
] as const;

const tookWords = (ms: number) => (ms < 1000 ? "less than a second" : elapsed(ms));
const utc = (at: number) => new Date(at).toISOString().slice(11, 16);

/** The time that is shown, at first all of it; from the beginning on by itself once it is played. */
function usePlaying(lasts: number) {
  const [at, setAt] = useState(lasts);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<number>(SPEEDS[1].seconds);
  const now = useRef(0);
  now.current = at;
  useEffect(() => {
    if (!playing) return;
    let [frame, last] = [0, performance.now()];
    const step = (time: number) => {
      const next = now.current + ((time - last) / 1000 / speed) * lasts;
      last = time;
      now.current = Math.min(lasts, next);
      setAt(now.current);
      if (next >= lasts) setPlaying(false);
      else frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [playing, speed, lasts]);
  const toggle = () => {
    if (!playing && at >= lasts) setAt(0);
    setPlaying(!playing);
  };
  return { at, setAt, playing, setPlaying, toggle, speed, setSpeed };
}

export function Player({ report }: { report: RehearsalReport }) {
  const play = useMemo(() => playOf(report), [report]);
  const { at, setAt, playing, setPlaying, toggle, speed, setSpeed } = usePlaying(play.lasts);
  const parts = partsAt(report.fleet, at, play.lasts);
  const jump = (to: number) => {
    setPlaying(false);
    setAt(Math.min(play.lasts, to));
  };
  return (
    <>
      <Verdict play={play} />
      <section className="panel player" aria-label="player">
        <div className="player-bar">
          <button
            type="button"
            className="button main icon"
            aria-label={playing ? "Pause" : "Play"}
            title={playing ? "Pause" : "Play"}
            onClick={toggle}
          >
            <Icon name={playing ? "pause" : "play"} />
          </button>
          <Timeline play={play} at={at} onSeek={jump} />
          <span className="player-time nowrap">
            <b>{elapsed(at)}</b> <span className="quiet">{utc(play.from + at)} UTC</span>
          </span>
          <div className="choice" role="group" aria-label="speed">
            {SPEEDS.map(({ word, seconds }) => (
              <button
                key={word}
                type="button"
                aria-pressed={speed === seconds}
                title={`all of it in ${seconds} s`}
                onClick={() => setSpeed(seconds)}
              >
                {word}
              </button>
            ))}
          </div>
          <button type="button" className="button slim" onClick={() => jump(play.lasts)}>
            To the end
          </button>
        </div>
        <Now play={play} at={at} parts={parts} />
      </section>
      <div className="player-view">
        <Charts play={play} parts={parts} />
        <Told play={play} at={at} onSeek={jump} />
      </div>
      <Deployments report={report} onSeek={jump} />
      <Assumed report={report} />
    </>
  );
}

function Verdict({ play }: { play: Play }) {
  const { report } = play;
  return (
    <section className={report.held ? "panel verdict-held" : "panel verdict-broken"}>
      <header>
        <h2>{report.name}</h2>
        <span className="small quiet">
          {counted(report.hosts, "host")}, {counted(report.instances, "instance")} at the beginning
          {report.took && `; ${elapsed(play.lasts)} played in ${tookWords(parseSpan(report.took))}`}
        </span>
        <State
          word={report.held ? "every check held" : "a check did not hold"}
          tone={report.held ? "ok" : "bad"}
        />
      </header>
      {report.checks.length === 0 ? (
        <p className="body quiet">The scenario checks nothing.</p>
      ) : (
        <ul className="checks" data-list>
          {report.checks.map((check) => (
            <li key={check.what} data-row>
              <State word={check.held ? "held" : "broken"} tone={check.held ? "ok" : "bad"} />
              <span>{check.what}</span>
              <span className={check.held ? "quiet" : "strong"}>{check.found}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

interface TimelineProps {
  play: Play;
  at: number;
  onSeek: (at: number) => void;
}

/** The whole time as a slider; over it what happened, and when not everything was served. */
function Timeline({ play, at, onSeek }: TimelineProps) {
  const { report, lasts, entries } = play;
  const part = (ms: number) => `${(ms / lasts) * 100}%`;
  return (
    <div className="timeline">
      <div className="timeline-marks" aria-hidden="true">
        {report.deployments.flatMap((served) =>
          served.broken.map((b) => (
            <i
              key={`${served.deployment} ${b.from}`}
              className="timeline-broken"
              title={`${served.deployment} does not serve everything: ${b.why}`}
              style={{
                left: part(parseSpan(b.from)),
                width: part(parseSpan(b.to) - parseSpan(b.from)),
              }}
            />
          )),
        )}
        {entries
          .filter((entry) => entry.kind === "fault")
          .map((entry) => (
            <b
              key={entry.key}
              className="timeline-fault"
              title={entry.what}
              style={{ left: part(entry.at) }}
            />
          ))}
      </div>
      <input
        type="range"
        aria-label="time"
        aria-valuetext={elapsed(at)}
        min={0}
        max={lasts}
        step={Math.max(1000, Math.round(lasts / 480))}
        value={at}
        onChange={(event) => onSeek(Number(event.target.value))}
      />
    </div>
  );
}

function Now({ play, at, parts }: { play: Play; at: number; parts: number }) {
  const { report } = play;
  const { fleet, cost } = report;
  const broken = brokenAt(report, at);
  const spent = useMemo(() => spentSoFar(report), [report]);
  const errors = valueAt(fleet, "errors", parts);
  const told = (value: number | undefined) => (value === undefined ? "–" : measured(value));
  return (
    <dl className="player-now">
      <div>
        <dt>served</dt>
        <dd className={broken.length > 0 ? "bad-now" : undefined}>
          {errors === undefined ? "–" : share(1 - errors)}
        </dd>
      </div>
      <div>
        <dt>instances</dt>
        <dd>{told(valueAt(fleet, "instances", parts))}</dd>
      </div>
      <div>
        <dt>hosts</dt>
        <dd>{told(valueAt(fleet, "hosts", parts))}</dd>
      </div>
      <div>
        <dt>cost so far</dt>
        <dd>
          {spent && cost ? (
            moneyWords(parts > 0 ? (spent[parts - 1] ?? 0) : 0, cost.currency)
          ) : (
            <span className="quiet">not known</span>
          )}
        </dd>
      </div>
      <div className="player-state">
        <dt>promises</dt>
        <dd>
          {broken.length === 0 ? (
            <State word="everything is served" tone="ok" />
          ) : (
            <State word={`${broken.join(", ")} in trouble`} tone="bad" />
          )}
        </dd>
      </div>
    </dl>
  );
}

const ENTRY = {
  fault: { word: "event", tone: "warn" },
  broken: { word: "broken", tone: "bad" },
  mended: { word: "mended", tone: "ok" },
  decision: { word: "decided", tone: "move" },
} as const;

/** What happened and what was decided, as its time comes; the latest first. */
function Told({ play, at, onSeek }: TimelineProps) {
  const past = useMemo(
    () => play.entries.filter((entry) => entry.at <= at).reverse(),
    [play.entries, at],
  );
  const numbers = useMemo(() => {
    const faults = play.entries.filter((entry) => entry.kind === "fault");
    return new Map(faults.map((entry, i) => [entry.key, i + 1]));
  }, [play.entries]);
  const left = play.entries.length - past.length;
  return (
    <section className="panel told" aria-label="what happened">
      <header>
        <h2>What happened</h2>
        <span className="small quiet">{left > 0 ? `${left} more to come` : "all of it"}</span>
      </header>
      <ol data-list>
        {past.slice(0, 200).map((entry) => (
          <li key={entry.key} className="told-entry" data-row>
            <button type="button" className="link-button told-at" onClick={() => onSeek(entry.at)}>
              {elapsed(entry.at)}
            </button>
            <EntryView entry={entry} number={numbers.get(entry.key)} />
          </li>
        ))}
        {past.length === 0 && <li className="told-entry quiet">Nothing yet.</li>}
      </ol>
    </section>
  );
}

function EntryView({ entry, number }: { entry: Entry; number: number | undefined }) {
  const { word, tone } = ENTRY[entry.kind];
  const again = (entry.times ?? 1) > 1;
  return (
    <div>
      <p>
        <State
          word={number === undefined ? (entry.by ?? word) : `${number} · ${word}`}
          tone={tone}
        />{" "}
        {entry.what}
        {again && (
          <span className="quiet small">
            {" "}
            {entry.times} times until {elapsed(entry.last ?? 0)}
          </span>
        )}
      </p>
      {entry.why && <p className="small second">{entry.why}</p>}
    </div>
  );
}

interface OfReport {
  report: RehearsalReport;
  onSeek: (at: number) => void;
}

/** The same if an instance carries what nobody has seen it break with. */
function AtBest({ what }: { what: string }) {
  return (
    <div
      className="quiet small"
      title="if an instance carries more than it was seen to; nobody has seen it break with that"
    >
      at best {what}
    </div>
  );
}

function Deployments({ report, onSeek }: OfReport) {
  if (report.deployments.length === 0) return null;
  return (
    <section className="panel" aria-label="deployments">
      <header>
        <h2>Who served how much</h2>
      </header>
      <div className="figure-scroll">
        <table className="figure-table served">
          <thead>
            <tr>
              <th scope="col">deployment</th>
              <th scope="col" className="right">
                minutes served
              </th>
              <th scope="col" className="right">
                load not served
              </th>
              <th scope="col" className="right">
                one carries
              </th>
              <th scope="col" className="right">
                instances
              </th>
              <th scope="col">when not</th>
            </tr>
          </thead>
          <tbody data-list>
            {report.deployments.slice(0, 100).map((one) => (
              <tr key={one.deployment} data-row>
                <th scope="row" className="strong">
                  {one.deployment}
                </th>
                <td className="right" data-head="minutes served">
                  {share(one.served)}
                  {one.atBest && <AtBest what={share(one.atBest.served)} />}
                </td>
                <td className="right" data-head="load not served">
                  {share(one.lost)}
                  {one.atBest && <AtBest what={share(one.atBest.lost)} />}
                </td>
                <td className="right" data-head="one carries">
                  {measured(one.each)}
                  {one.atBest && (
                    <div className="quiet small">
                      asked of one up to {measured(one.atBest.asked)}
                    </div>
                  )}
                </td>
                <td className="right" data-head="instances">
                  {ranged(one.least, one.most)}
                </td>
                <td className="when-not" data-head="when not">
                  {one.broken.length === 0 && <span className="quiet">never</span>}
                  {one.broken.slice(0, 4).map((b) => (
                    <button
                      key={String(b.from)}
                      type="button"
                      className="button slim"
                      title={b.why}
                      onClick={() => onSeek(parseSpan(b.from))}
                    >
                      {elapsed(parseSpan(b.from))} to {elapsed(parseSpan(b.to))}
                    </button>
                  ))}
                  {one.broken.length > 4 && (
                    <span className="quiet small">and {one.broken.length - 4} more</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Assumed({ report }: { report: RehearsalReport }) {
  return (
    <section className="panel" aria-label="taken for granted">
      <header>
        <h2>Taken for granted</h2>
        <span className="small quiet">
          {counted(report.plans, "plan")} made, {counted(report.writes, "object")} written on the
          twin
        </span>
      </header>
      <ul className="assumed second">
        {report.assumed.map((line) => (
          <li key={line}>{line}</li>
        ))}
        {report.assumed.length === 0 && <li className="quiet">nothing</li>}
      </ul>
    </section>
  );
}

// One peak: when it is, its calendar, and its watch room: what it takes and has, the load against
// what is expected, what is promised, what fires and what is decided; once it has ended, what was
// seen.
import { Link } from "@tanstack/react-router";
import { Fragment } from "react";
import { useCoarseNow, useFleet } from "../../api/live";
import type { Peak, PeakApplication } from "../../api/objects";
import { becauseOf, deedOf, ordered, stateOf } from "../../logic/decisions";
import { moneyWords, parseMoney } from "../../logic/money";
import { OBJECTIVE } from "../../logic/objectives";
import {
  checkOf,
  countedOf,
  dueOf,
  expectedOf,
  farOf,
  hasEnded,
  isOver,
  phaseOf,
  promisedOf,
  roomOf,
  takesOf,
  whenOf,
} from "../../logic/peaks";
import { amount, counted, listed, ranged } from "../../logic/quantity";
import { momentIn, spanWords } from "../../logic/time";
import { measured } from "../../logic/units";
import { Icon } from "../../parts/icon";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Prose } from "../../parts/prose";
import { Reasons } from "../../parts/reasons";
import "./peaks.css";

/** So many are named in a line. */
const NAMED = 3;

const told = (value: number | null | undefined) =>
  value === undefined || value === null ? "?" : measured(value);

interface CardProps {
  peak: Peak;
  /** Its calendar is. */
  open?: boolean;
  /** On a page of its own, whose head has its name and how it stands. */
  own?: boolean;
}

export function PeakCard({ peak, open = true, own = false }: CardProps) {
  const now = useCoarseNow(1000);
  const { name } = peak.metadata;
  const { applications = [] } = peak.status;
  const ended = hasEnded(peak, now);
  const where = `${farOf(peak, now)}, in ${peak.spec.environment}`;
  return (
    <section className="panel peak" aria-label={name} data-row>
      <header className="peak-head">
        {own ? (
          <h2>{where}</h2>
        ) : (
          <>
            <h2>
              <ObjectLink plural="peaks" name={name} />
            </h2>
            <State {...phaseOf(peak)} />
            <span className="quiet">{where}</span>
          </>
        )}
        {!ended && (
          <Link to="/rehearsal" search={{ of: `peak/${name}` }} className="button slim">
            <Icon name="rehearsal" /> Rehearse
          </Link>
        )}
      </header>
      <p className="small second">{whenOf(peak)}</p>
      <Reasons reasons={peak.status.reasons ?? []} most={6} />
      {!ended && <Figures peak={peak} />}
      {!ended && applications.length > 0 && <Applications rows={applications} now={now} />}
      <WatchRoom peak={peak} ended={ended} now={now} />
      {!isOver(peak) && <Calendar peak={peak} open={open} />}
      <Report peak={peak} ended={ended} />
    </section>
  );
}

/** What it takes, and what there is of that. */
function Figures({ peak }: { peak: Peak }) {
  const { hosts, cost = [] } = peak.status;
  const { words, unknown } = takesOf(peak);
  const known = unknown.length === 0;
  return (
    <dl className="peak-figures">
      <div>
        <dt>Instances</dt>
        <dd>
          {words}
          {!known && (
            <span className="second">
              , and how many are needed is not known of {listed(unknown, NAMED)}
            </span>
          )}
        </dd>
      </div>
      <div>
        <dt>Hosts</dt>
        <dd>
          {hosts?.have ?? 0}
          {hosts?.pools ? `, ${hosts.pools} more may be made` : ""}
        </dd>
      </div>
      {(known ? cost : []).map((one) => (
        <div key={one.currency}>
          <dt>More than usual</dt>
          <dd>{moneyWords(parseMoney(one.total), one.currency)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Applications({ rows, now }: { rows: readonly PeakApplication[]; now: number }) {
  return (
    <div className="peak-wide">
      <table className="peak-table">
        <thead>
          <tr>
            <th>Application</th>
            <th className="num peak-more">Usual</th>
            <th className="num">Expected</th>
            <th className="num">Load</th>
            <th className="num peak-more">Each carries</th>
            <th className="num">Takes</th>
            <th className="num">Has</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Fragment key={row.deployment}>
              <tr>
                <td>
                  <ObjectLink plural="deployments" name={row.deployment} />
                  {row.called && <span className="quiet"> called</span>}
                </td>
                <td className="num peak-more">{told(row.usual)}</td>
                <td className="num">{told(expectedOf(row, now))}</td>
                <td className="num">
                  {told(row.load)}
                  <Against load={row.load} expected={row.expected} />
                </td>
                <td className="num peak-more">
                  {told(row.each)}
                  {row.each !== undefined && row.each !== null && (
                    <div className="small quiet">{row.known}</div>
                  )}
                </td>
                <td className="num">{typeof row.needed === "number" ? amount(row.needed) : "?"}</td>
                <td className={row.missing > 0 ? "num peak-short" : "num"}>{row.have}</td>
              </tr>
              {(row.reasons ?? []).length > 0 && (
                <tr className="peak-notes">
                  <td colSpan={7} className="small quiet">
                    {(row.reasons ?? []).map((reason) => (
                      <div key={reason.code}>
                        <Prose text={reason.message} />
                      </div>
                    ))}
                  </td>
                </tr>
              )}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The load as a share of the most that is expected. */
function Against({ load, expected }: { load?: number | null; expected?: number | null }) {
  if (load === undefined || load === null || !expected) return null;
  const share = Math.round((load / expected) * 100);
  return (
    <meter
      className="peak-meter"
      min={0}
      max={100}
      high={100}
      value={Math.min(share, 100)}
      aria-label={`${share} % of what is expected`}
      title={`${share} % of what is expected`}
    />
  );
}

function Calendar({ peak, open }: { peak: Peak; open: boolean }) {
  const checks = peak.status.checks ?? [];
  const late = checks.filter((check) => check.state === "late").length;
  const done = checks.filter((check) => check.state === "done").length;
  return (
    <details className="peak-part" open={open}>
      <summary>
        Calendar{" "}
        <span className="quiet">
          {done} of {checks.length} done{late > 0 && `, ${late} late`}
        </span>
      </summary>
      <ol className="peak-calendar">
        {checks.map((check) => (
          <li key={check.name}>
            <span className="peak-due">
              <b>{countedOf(check, peak)}</b>
              <span className="small quiet">{dueOf(check, peak)}</span>
            </span>
            <State {...checkOf(check)} />
            <span className="peak-is">
              <b>{check.name}</b> <Prose text={check.message} />
              {check.hint && (
                <span className="small quiet">
                  <Prose text={check.hint} />
                </span>
              )}
            </span>
          </li>
        ))}
      </ol>
    </details>
  );
}

function WatchRoom({ peak, ended, now }: { peak: Peak; ended: boolean; now: number }) {
  const { tables } = useFleet();
  const room = roomOf(peak, tables.alerts, tables.decisions, now);
  if (!room) return null;
  const names = new Set((peak.status.applications ?? []).map((row) => row.deployment));
  // How they stand now is nothing of one that has ended; what was broken is in its report.
  const objectives = ended
    ? []
    : [...tables.objectives.values()].filter((o) => names.has(o.spec.deployment));
  const decisions = ordered(room.decisions);
  return (
    <section className="peak-part" aria-label="watch room">
      <h3>Watch room</h3>
      {ended && <p className="small quiet">what there was until its end</p>}
      <ul className="peak-room">
        {objectives.map((o) => (
          <li key={o.metadata.name}>
            <State {...OBJECTIVE[o.status.phase ?? "noData"]} />
            <ObjectLink plural="objectives" name={o.metadata.name} />
          </li>
        ))}
        {room.alerts.map((a) => (
          <li key={a.metadata.name}>
            {a.status.phase === "firing" ? (
              <State tone="bad" word={ended ? "still fires" : "fires"} />
            ) : (
              <State tone="off" word="fired" />
            )}
            <ObjectLink plural="alerts" name={a.metadata.name} />
          </li>
        ))}
        {decisions.map((d) => (
          <li key={d.metadata.name}>
            <State {...stateOf(d)} />
            <span className="peak-decision">
              <ObjectLink plural="decisions" name={d.metadata.name}>
                {deedOf(d)}
              </ObjectLink>
              <span className="small second">
                <Prose text={becauseOf(d)} />
              </span>
            </span>
          </li>
        ))}
        {room.gone > 0 && (
          <li className="quiet">
            {room.gone} more of its report {room.gone === 1 ? "is" : "are"} no longer kept.
          </li>
        )}
        {room.alerts.length === 0 && room.gone === 0 && (
          <li className="quiet">{ended ? "Nothing fired." : "Nothing fires."}</li>
        )}
        {decisions.length === 0 && room.gone === 0 && (
          <li className="quiet">Nothing was decided about it.</li>
        )}
      </ul>
    </section>
  );
}

function Report({ peak, ended }: { peak: Peak; ended: boolean }) {
  const report = peak.status.report;
  if (!report && !ended) return null;
  if (!report || Object.keys(report.applications ?? {}).length === 0) {
    return <p className="quiet">Nothing was seen of it while it was there.</p>;
  }
  const broken = Object.entries(report.broken ?? {}).filter(([, time]) => time > 0);
  const spent = Object.entries(report.spent ?? {}).map(([currency, sum]) =>
    moneyWords(parseMoney(sum), currency),
  );
  return (
    <section className="peak-part" aria-label="report">
      <h3>{report.closed ? "What was seen" : "Seen so far"}</h3>
      <ul className="peak-room">
        {Object.entries(report.applications ?? {}).map(([name, one]) => (
          <li key={name}>
            <b>{name}</b> {told(one.highest)} of {told(one.expected)} expected
            {one.at && `, ${momentIn(one.at, peak.spec.timeZone)}`}
            {`; ${ranged(one.least, one.most)} served`}
          </li>
        ))}
        {broken.map(([name, time]) => (
          <li key={name}>
            <State tone="bad" word="broken" /> {name} for {spanWords(time)}
          </li>
        ))}
        <li className="quiet">
          {promisedOf(report).map((said) => `${said}; `)}
          {counted(report.alerts?.length ?? 0, "alert")},{" "}
          {counted(report.decisions?.length ?? 0, "decision")}, {counted(report.hosts ?? 0, "host")}{" "}
          at most
          {spent.length > 0 && `; spent ${spent.join(", ")}`}
        </li>
      </ul>
    </section>
  );
}

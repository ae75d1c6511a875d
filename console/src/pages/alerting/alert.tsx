// One alert: what it is about, who answers for it, what may have caused it, and who was told.
import { useState } from "react";
import type { Alert, Notification, Silence } from "../../api/objects";
import { alertname } from "../../logic/alerts";
import { parseValue } from "../../logic/series";
import { measured } from "../../logic/units";
import { Ago } from "../../parts/ago";
import { Icon } from "../../parts/icon";
import { ObjectLink, SubjectLink } from "../../parts/object-link";
import { Dot, State } from "../../parts/phase";
import { Prose } from "../../parts/prose";
import { SilenceForm } from "./silence-form";

interface Props {
  alert: Alert;
  /** Whether its own name is to be told: not where the group is named by it. */
  named: boolean;
  quiet: readonly Silence[];
  told: readonly Notification[];
  mayWrite: boolean;
}

const PHASES = {
  firing: { word: "firing", tone: "bad" },
  pending: { word: "pending", tone: "warn" },
  resolved: { word: "ended", tone: "off" },
} as const;

export function AlertRow({ alert, named, quiet, told, mayWrite }: Props) {
  const [silencing, setSilencing] = useState(false);
  const { spec, status, metadata } = alert;
  const look = PHASES[status.phase];
  const hushed = quiet.length > 0 && status.phase === "firing";
  const text = spec.annotations?.summary ?? spec.annotations?.description;
  return (
    <li className={`alert ${status.phase} ${hushed ? "quieted" : ""}`} data-row>
      <div className="alert-state">
        <State tone={hushed ? "held" : look.tone} word={look.word} />
        <span className="small quiet">
          {status.phase === "resolved" ? (
            <Ago at={status.resolvedAt} />
          ) : (
            <Ago at={status.firedAt ?? status.activeAt} />
          )}
          {status.phase === "resolved" && " ago"}
        </span>
      </div>
      <div className="alert-what">
        <p>
          <ObjectLink plural="alerts" name={metadata.name} className="strong">
            {text ?? alertname(alert)}
          </ObjectLink>
        </p>
        <p className="alert-facts second small">
          {named && <span>{alertname(alert)}</span>}
          {spec.subject && (
            <span>
              on <SubjectLink subject={spec.subject} />
            </span>
          )}
          {spec.owner && <span>{spec.owner}</span>}
          {spec.labels.severity && <span>{spec.labels.severity}</span>}
          {status.value && (
            <span title={status.value}>value {measured(parseValue(status.value))}</span>
          )}
        </p>
        {status.blindSince && status.phase !== "resolved" && (
          <p className="small alert-blind">
            <Dot tone="unknown" /> No data since <Ago at={status.blindSince} />: it is not over, it
            cannot be seen.
          </p>
        )}
        {spec.suspect && (
          <p className="small alert-suspect">
            <span className="quiet">Perhaps by</span> <SubjectLink subject={spec.suspect.object} />:{" "}
            {spec.suspect.change}{" "}
            <span className="quiet">
              (<Ago at={spec.suspect.at} /> ago; <Prose text={spec.suspect.why} />)
            </span>
          </p>
        )}
        {quiet.length > 0 && (
          <p className="small second">
            <Icon name="quiet" size={13} />{" "}
            {quiet.map((silence, i) => (
              <span key={silence.metadata.name}>
                {i > 0 && ", "}
                {silence.spec.whileFiring?.length ? "inhibited by " : "silenced by "}
                <ObjectLink plural="silences" name={silence.metadata.name} />
                {silence.spec.reason && `: ${silence.spec.reason}`}
              </span>
            ))}
          </p>
        )}
        <Told told={told} quiet={hushed} phase={status.phase} />
      </div>
      {mayWrite && status.phase !== "resolved" && quiet.length === 0 && (
        <button type="button" className="button slim" onClick={() => setSilencing(true)}>
          <Icon name="quiet" size={14} /> Silence
        </button>
      )}
      {silencing && <SilenceForm alert={alert} onClose={() => setSilencing(false)} />}
    </li>
  );
}

interface ToldProps {
  told: readonly Notification[];
  quiet: boolean;
  phase: Alert["status"]["phase"];
}

function Told({ told, quiet, phase }: ToldProps) {
  const [last, ...earlier] = told;
  if (!last) {
    if (phase !== "firing" || quiet) return null;
    return <p className="small quiet">Nobody was told yet.</p>;
  }
  const { spec, status } = last;
  return (
    <p className="small second">
      {status.phase === "sent"
        ? "Told "
        : status.phase === "pending"
          ? "Telling "
          : "Could not tell "}
      <ObjectLink plural="receivers" name={spec.receiver} />
      {status.phase === "sent" ? (
        <>
          {" "}
          <Ago at={status.at ?? spec.at} /> ago
        </>
      ) : (
        `, tried ${status.attempts} ${status.attempts === 1 ? "time" : "times"}`
      )}
      {earlier.length > 0 && <span className="quiet">, {earlier.length} more before</span>}
    </p>
  );
}

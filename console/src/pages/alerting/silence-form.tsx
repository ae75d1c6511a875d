// Makes a silence: for which alerts, for how long, and why.
import { useState } from "react";
import { create } from "../../api/change";
import { useFleet } from "../../api/live";
import { serverNow } from "../../api/metrics";
import type { Alert } from "../../api/objects";
import { alertname, matchersFor, matches, parseMatcher } from "../../logic/alerts";
import { counted } from "../../logic/quantity";
import { parseSpan } from "../../logic/time";
import { ChangeDialog } from "../../parts/change";
import { Icon } from "../../parts/icon";

const LENGTHS = ["30m", "2h", "8h", "1d", "7d"];

interface Props {
  /** The alert whose labels it begins with. */
  alert: Alert | undefined;
  onClose: () => void;
}

/** Names hold letters, digits and dashes. */
function nameFor(alert: Alert | undefined, now: number): string {
  const word = alert ? alertname(alert) : "quiet";
  const plain = word
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
  return `${plain.slice(0, 30) || "quiet"}-${Math.floor(now / 1000).toString(36)}`;
}

export function SilenceForm({ alert, onClose }: Props) {
  const { tables } = useFleet();
  const [name] = useState(() => nameFor(alert, serverNow()));
  const [lines, setLines] = useState(() => (alert ? matchersFor(alert) : [""]));
  const [length, setLength] = useState("2h");
  const [began] = useState(serverNow);
  const [reason, setReason] = useState("");
  const given = lines.map((line) => line.trim()).filter(Boolean);
  const wrong = given.filter((line) => !parseMatcher(line));
  const covered = [...tables.alerts.values()].filter(
    (a) => a.status.phase !== "resolved" && given.length > 0 && matches(given, a.spec.labels),
  );
  const until = new Date(began + parseSpan(length)).toISOString();
  const good = given.length > 0 && wrong.length === 0 && reason.trim() !== "";
  const object = {
    kind: "Silence",
    metadata: { name },
    spec: { matchers: given, until, reason: reason.trim() },
  };
  return (
    <ChangeDialog
      title="Silence alerts"
      lead="Those all of these conditions match tell nobody until it is over. They are shown here all the same."
      word="Silence"
      proposal={
        good
          ? {
              key: JSON.stringify(object),
              preview: (signal) => create("silences", object, true, signal),
              apply: () => create("silences", object, false),
              done: `silence/${name} keeps its alerts quiet for ${length}`,
            }
          : undefined
      }
      onClose={onClose}
    >
      <fieldset className="matchers">
        <legend>Alerts with</legend>
        {lines.map((line, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place among the lines
          <div key={i} className="row">
            <input
              className="grow mono"
              aria-label={`condition ${i + 1}`}
              aria-invalid={line.trim() !== "" && !parseMatcher(line)}
              placeholder='severity="page"'
              value={line}
              onChange={(event) =>
                setLines(lines.map((l, k) => (k === i ? event.target.value : l)))
              }
            />
            <button
              type="button"
              className="button bare icon"
              aria-label={`leave out condition ${i + 1}`}
              onClick={() => setLines(lines.filter((_, k) => k !== i))}
            >
              <Icon name="close" />
            </button>
          </div>
        ))}
        <button type="button" className="button slim" onClick={() => setLines([...lines, ""])}>
          Add a condition
        </button>
        <p className={wrong.length > 0 ? "small bad-text" : "small quiet"} role="status">
          {wrong.length > 0
            ? `${wrong[0]} is no condition like severity="page" or host=~"h1.*"`
            : given.length === 0
              ? "One condition at least; without any it would quieten all."
              : `now that is ${counted(covered.length, "alert")}`}
        </p>
      </fieldset>
      <div className="silence-fields">
        <div className="field">
          <label htmlFor="silence-length">For</label>
          <select
            id="silence-length"
            value={length}
            onChange={(event) => setLength(event.target.value)}
          >
            {LENGTHS.map((l) => (
              <option key={l}>{l}</option>
            ))}
          </select>
        </div>
        <div className="field">
          <label htmlFor="silence-reason">
            Why<span className="quiet"> (needed)</span>
          </label>
          <input
            id="silence-reason"
            required
            value={reason}
            data-first
            placeholder="the disk is being replaced"
            onChange={(event) => setReason(event.target.value)}
          />
        </div>
      </div>
    </ChangeDialog>
  );
}

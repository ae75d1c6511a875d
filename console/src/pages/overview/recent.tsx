// What has happened while this page was open, newest first; below it, what people and planners
// wrote before.
import { useState } from "react";
import { useSnapshot } from "../../api/live";
import { type AuditEntry, pluralOf, singular } from "../../api/objects";
import { useAudit } from "../../api/queries";
import type { Change } from "../../logic/changes";
import { entryWords, folded, worthTelling } from "../../logic/changes";
import { clock } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { ObjectLink } from "../../parts/object-link";
import { Dot } from "../../parts/phase";

const MOST = 40;
const MOST_BEFORE = 15;

export function Recent() {
  const { changes } = useSnapshot();
  const [all, setAll] = useState(false);
  const shown = (all ? changes : changes.filter((c) => !c.minor)).slice(0, MOST);
  return (
    <section className="panel recent" aria-label="recent changes">
      <header>
        <h2>Recent changes</h2>
        <button type="button" className="toggle" aria-pressed={all} onClick={() => setAll(!all)}>
          Each instance
        </button>
      </header>
      <div className="recent-scroll">
        {shown.length === 0 && (
          <p className="recent-none quiet">
            {changes.length === 0
              ? "Nothing has changed since this page was opened."
              : "Only single instances have changed since this page was opened."}
          </p>
        )}
        <ol className="changes">
          {shown.map((change) => (
            <Row key={change.key} change={change} />
          ))}
        </ol>
        <Before />
      </div>
    </section>
  );
}

function Row({ change }: { change: Change }) {
  const { plural, name, tone, text, at } = change;
  return (
    <li className="change">
      <time className="quiet mono" dateTime={new Date(at).toISOString()}>
        {clock(at)}
      </time>
      <Dot tone={tone} />
      <p>
        <ObjectLink plural={plural} name={name} className="strong">
          {plural === "deployments" || plural === "instances"
            ? name
            : `${singular(plural)}/${name}`}
        </ObjectLink>{" "}
        <span className="second">{text}</span>
      </p>
    </li>
  );
}

function Before() {
  const audit = useAudit(300);
  const rows = folded((audit.data?.entries ?? []).filter(worthTelling)).slice(0, MOST_BEFORE);
  if (rows.length === 0) return null;
  return (
    <>
      <h3 className="before">Before</h3>
      <ol className="changes">
        {rows.map(({ entry, times }) => (
          <BeforeRow
            key={`${entry.kind}/${entry.name}@${entry.revision}`}
            entry={entry}
            times={times}
          />
        ))}
      </ol>
    </>
  );
}

function BeforeRow({ entry, times }: { entry: AuditEntry; times: number }) {
  const plural = pluralOf(entry.kind);
  const subject =
    plural === "deployments" ? entry.name : `${entry.kind.toLowerCase()}/${entry.name}`;
  return (
    <li className="change">
      <span className="ago quiet">
        <Ago at={entry.at} />
      </span>
      <p>
        {plural && entry.op !== "delete" ? (
          <ObjectLink plural={plural} name={entry.name} className="strong">
            {subject}
          </ObjectLink>
        ) : (
          <span className="strong">{subject}</span>
        )}{" "}
        <span className="second">{entryWords(entry)}</span>
        {times > 1 && <span className="quiet"> ×{times}</span>}
      </p>
    </li>
  );
}

// Every committed write of an object, newest first: who, what for, what changed; and the way back.
import { useState } from "react";
import { rollBack } from "../api/change";
import { useNow } from "../api/live";
import { type HistoryEntry, type Plural, singular } from "../api/objects";
import { useHistory } from "../api/queries";
import { changedTarget } from "../logic/diff";
import { moment, parseTime } from "../logic/time";
import { Ago } from "./ago";
import { ChangeDialog } from "./change";
import { Diff } from "./diff";
import { Skeleton } from "./empty";
import { Icon } from "./icon";
import { ProblemView } from "./problem";
import { Reasons } from "./reasons";
import "./history.css";

interface Props {
  plural: Plural;
  name: string;
  generation: number;
  revision: number;
  mayWrite: boolean;
}

export function HistoryView({ plural, name, generation, revision, mayWrite }: Props) {
  const [all, setAll] = useState(false);
  const [enough, setEnough] = useState(20);
  const [back, setBack] = useState<HistoryEntry | null>(null);
  const history = useHistory(plural, name, { all, enough, version: all ? revision : generation });
  const entries = history.data?.entries ?? [];
  const shown = all ? entries : entries.filter(changedTarget);
  const current = entries.find(changedTarget)?.revision;

  return (
    <section className="panel" aria-label="history">
      <header>
        <h2>History</h2>
        <button type="button" className="toggle" aria-pressed={all} onClick={() => setAll(!all)}>
          Status too
        </button>
      </header>
      {history.error && (
        <div className="body">
          <ProblemView problem={history.error} again={() => history.refetch()} />
        </div>
      )}
      {history.isPending && <Skeleton lines={5} />}
      <ol className="history" data-list>
        {shown.map((entry) => (
          <Entry
            key={entry.revision}
            entry={entry}
            status={all}
            current={entry.revision === current}
            onBack={mayWrite && entry.op !== "delete" ? () => setBack(entry) : undefined}
          />
        ))}
      </ol>
      {history.data && shown.length === 0 && (
        <p className="body quiet">
          The latest {entries.length} writes only report its status; turn on “Status too” to see
          them.
        </p>
      )}
      {history.data?.more && (
        <div className="body">
          <button
            type="button"
            className="button slim"
            onClick={() => setEnough(shown.length + 40)}
          >
            Older
          </button>
        </div>
      )}
      {back && <RollBack plural={plural} name={name} entry={back} onClose={() => setBack(null)} />}
    </section>
  );
}

interface EntryProps {
  entry: HistoryEntry;
  status: boolean;
  current: boolean;
  onBack: (() => void) | undefined;
}

function Entry({ entry, status, current, onBack }: EntryProps) {
  const now = useNow();
  const at = parseTime(entry.at);
  const target = changedTarget(entry);
  return (
    <li className={target ? "entry" : "entry minor"} data-row tabIndex={-1}>
      <div className="entry-when">
        <span className="strong">{at === undefined ? entry.at : moment(at, now)}</span>
        <span className="quiet small">
          <Ago at={entry.at} /> ago
        </span>
      </div>
      <div className="entry-what">
        <p>
          <span className="strong">{entry.actor}</span>{" "}
          <span className="second">{entry.op === "update" ? entry.intent : `${entry.op}s it`}</span>{" "}
          <span className="quiet small mono">r{entry.revision}</span>
          {current && <span className="tag">current target</span>}
        </p>
        <Diff diff={entry.diff} targetOnly={!status} most={status ? 40 : 14} />
        <Reasons reasons={entry.reasons} most={4} />
      </div>
      {onBack && target && !current && (
        <button type="button" className="button slim" onClick={onBack}>
          <Icon name="back" size={14} /> Roll back to this
        </button>
      )}
    </li>
  );
}

interface RollBackProps {
  plural: Plural;
  name: string;
  entry: HistoryEntry;
  onClose: () => void;
}

function RollBack({ plural, name, entry, onClose }: RollBackProps) {
  const to = entry.revision;
  return (
    <ChangeDialog
      title={`Roll ${name} back to r${to}`}
      lead={`Its target becomes what ${entry.actor} wrote then. This is a new revision: nothing is lost.`}
      word="Roll back"
      proposal={{
        key: `rollback ${plural}/${name}@${to}`,
        preview: (signal) => rollBack(plural, name, to, true, signal),
        apply: () => rollBack(plural, name, to, false),
        done: `${singular(plural)}/${name} has its target of r${to} again`,
      }}
      onClose={onClose}
    />
  );
}

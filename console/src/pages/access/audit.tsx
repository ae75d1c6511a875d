// Who did what: every write, and what was refused, who signed in, which commands were run. Whether
// all of it is as it was written is walked through on demand.
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { call, Problem } from "../../api/http";
import {
  type Audit,
  type AuditEntry,
  type AuditVerified,
  PLURALS,
  pluralOf,
} from "../../api/objects";
import { counted } from "../../logic/quantity";
import { parseSpan } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { Empty, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { Dot } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import type { AuditSearch } from "../../router";
import { Head } from "../../shell/head";
import "./audit.css";

const MOST = 300;
const SPANS = ["1h", "24h", "7d", "30d"] as const;
const OTHERS = ["teams", "users", "roles", "secrets", "packages"] as const;
/** How far planners and agents say something is; every other record is shown. */
const QUIET: readonly string[] = ["observe", "report"];

export function AuditPage(search: AuditSearch) {
  const navigate = useNavigate({ from: "/audit" });
  const set = (part: Partial<AuditSearch>) =>
    void navigate({ search: (old) => ({ ...old, ...part }), replace: true });
  const since = search.since
    ? new Date(Date.now() - parseSpan(search.since)).toISOString()
    : undefined;
  const { actor, kind, refused } = search;
  const audit = useQuery<Audit, Problem>({
    queryKey: ["audit", "page", actor, kind, search.since, refused],
    queryFn: ({ signal }) =>
      call("GET", "/v1/audit", { query: { actor, kind, refused, since, limit: MOST }, signal }),
    staleTime: 0,
  });
  const rows = (audit.data?.entries ?? []).filter((e) => !QUIET.includes(e.intent));
  return (
    <>
      <Head title="Audit" lead="Who did what, newest first; every record covers the one before it">
        <Verify />
      </Head>
      <form className="audit-filters" onSubmit={(event) => event.preventDefault()}>
        <input
          key={actor ?? ""}
          defaultValue={actor ?? ""}
          placeholder="user/anna"
          aria-label="who"
          spellCheck={false}
          onKeyDown={(event) => {
            if (event.key === "Enter")
              set({ actor: event.currentTarget.value.trim() || undefined });
          }}
          onBlur={(event) => set({ actor: event.currentTarget.value.trim() || undefined })}
        />
        <select
          aria-label="kind"
          value={kind ?? ""}
          onChange={(event) => set({ kind: event.target.value || undefined })}
        >
          <option value="">every kind</option>
          <option value="audit">what is no write</option>
          {[...PLURALS, ...OTHERS].map((plural) => (
            <option key={plural} value={plural}>
              {plural}
            </option>
          ))}
        </select>
        <select
          aria-label="since"
          value={search.since ?? ""}
          onChange={(event) => set({ since: event.target.value || undefined })}
        >
          <option value="">at any time</option>
          {SPANS.map((span) => (
            <option key={span} value={span}>
              in the last {span}
            </option>
          ))}
        </select>
        <button
          type="button"
          className="toggle"
          aria-pressed={refused ?? false}
          onClick={() => set({ refused: refused ? undefined : true })}
        >
          Refused only
        </button>
      </form>
      <section className="panel" aria-label="records">
        {audit.error && <ProblemView problem={audit.error} />}
        {!audit.data && !audit.error && <Skeleton lines={8} />}
        {audit.data && rows.length === 0 && <Empty title="Nothing of that is on record" />}
        <ol className="audit" data-list>
          {rows.map((entry) => (
            <Row key={entry.revision} entry={entry} onActor={(who) => set({ actor: who })} />
          ))}
        </ol>
      </section>
    </>
  );
}

const BAD: readonly string[] = ["refused", "login-failed"];
const NOTED: readonly string[] = ["override", "exec", "password"];

function Row({ entry, onActor }: { entry: AuditEntry; onActor: (who: string) => void }) {
  const plural = pluralOf(entry.kind);
  const tone = BAD.includes(entry.op) ? "bad" : NOTED.includes(entry.op) ? "warn" : "off";
  const about = entry.kind === "Audit" ? entry.name : `${entry.kind.toLowerCase()}/${entry.name}`;
  const why = entry.reasons.map((reason) => reason.message).join("; ");
  return (
    <li data-row title={`record ${entry.revision}, ${entry.hash}`}>
      <span className="quiet small">
        <Ago at={entry.at} />
      </span>
      <Dot tone={tone} />
      <div className="audit-what">
        <p>
          <button type="button" className="link-button strong" onClick={() => onActor(entry.actor)}>
            {entry.actor}
          </button>{" "}
          <span className="second">{entry.op}</span>{" "}
          {plural && entry.op !== "delete" ? (
            <ObjectLink plural={plural} name={entry.name}>
              {about}
            </ObjectLink>
          ) : (
            <span className="breaks">{about}</span>
          )}
          {entry.times && <span className="quiet"> ×{entry.times}</span>}
          {entry.from && <span className="quiet small"> from {entry.from}</span>}
        </p>
        {why && <p className="small second breaks">{why}</p>}
      </div>
    </li>
  );
}

function Verify() {
  const [found, setFound] = useState<AuditVerified | Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const walk = async () => {
    setBusy(true);
    try {
      setFound(await call<AuditVerified>("GET", "/v1/audit/verify"));
    } catch (thrown) {
      setFound(Problem.from(thrown));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <span className="small audit-verified" role="status">
        {found instanceof Problem && found.message}
        {found && !(found instanceof Problem) && (
          <>
            <Dot tone={found.holds ? "ok" : "bad"} />
            {found.holds
              ? `all ${counted(found.records, "record")} fit`
              : `record ${found.brokenAt} does not fit: ${found.what}`}
          </>
        )}
      </span>
      <button type="button" className="button" disabled={busy} onClick={() => void walk()}>
        {busy ? "Walking…" : "Verify"}
      </button>
    </>
  );
}

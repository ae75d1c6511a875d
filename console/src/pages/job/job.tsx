// One job: how far it is, how each host does, and what the command said on the one looked at.
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useNow, useObject, useSnapshot, useSynced } from "../../api/live";
import type { Job } from "../../api/objects";
import { tookWords } from "../../logic/ci";
import {
  type HostRow,
  hostsOf,
  isJobOver,
  JOB,
  lineOf,
  progressWords,
  worstFirst,
} from "../../logic/jobs";
import { Ago } from "../../parts/ago";
import { ChangeDialog } from "../../parts/change";
import { Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Icon, type IconName } from "../../parts/icon";
import { Manifest } from "../../parts/manifest";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { found, Search } from "../../parts/search";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { JobSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { JobLog } from "../ci/joblog";
import { proposalOf } from "../deployment/actions";
import { NoObject } from "../object/missing";
import { Progress } from "./jobs";
import "./job.css";

export function JobPage({ name, tab = "hosts", host }: JobSearch & { name: string }) {
  const job = useObject("jobs", name);
  const synced = useSynced();
  const mayWrite = useMayWrite();
  if (!synced) return <Skeleton lines={8} />;
  if (!job) return <NoObject plural="jobs" name={name} />;
  const { generation = 0, revision = 0 } = job.metadata;
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "jobs", to: "/jobs" }]}
        beside={<State {...JOB[job.status.phase]} />}
      >
        {mayWrite && <Actions job={job} />}
      </Head>
      <div className="stack">
        <Summary job={job} />
        <Tabs
          label="views"
          now={tab}
          tabs={[
            { id: "hosts", word: "Hosts", count: job.status.targets?.length },
            { id: "why", word: "Why" },
            { id: "history", word: "History" },
            { id: "manifest", word: "Manifest" },
          ]}
        />
        {tab === "hosts" && <Hosts job={job} chosen={host} />}
        {tab === "why" && <Why plural="jobs" name={name} revision={revision} />}
        {tab === "history" && (
          <HistoryView plural="jobs" mayWrite={false} {...{ name, generation, revision }} />
        )}
        {tab === "manifest" && <Manifest object={job} />}
      </div>
    </>
  );
}

function Summary({ job }: { job: Job }) {
  const { spec, status } = job;
  const now = useNow();
  const where = [spec.on, ...(spec.hosts ?? [])].filter(Boolean).join(", ");
  return (
    <section className="panel">
      <div className="body stack tight">
        <pre className="job-command">{lineOf(spec.do.command)}</pre>
        <Progress job={job} />
        <Facts>
          <Fact name="hosts">{progressWords(job)}</Fact>
          <Fact name="on">{where || "every host that is open"}</Fact>
          <Fact name="as">{spec.do.runAs}</Fact>
          <Fact name="batches">{spec.do.batches?.join(", ") || "all at once"}</Fact>
          <Fact name="stops after">{boundWords(spec.do.maxErrors)}</Fact>
          <Fact name="time for each">{spec.do.timeout}</Fact>
          {spec.runbook && (
            <Fact name="runbook">
              <ObjectLink plural="runbooks" name={spec.runbook} />
            </Fact>
          )}
          {(spec.round ?? 1) > 1 && <Fact name="round">{spec.round}</Fact>}
          <Fact name="began">
            {status.startedAt ? (
              <>
                <Ago at={status.startedAt} /> ago
              </>
            ) : (
              "not yet"
            )}
          </Fact>
          <Fact name="took">{tookWords(status, now)}</Fact>
        </Facts>
        <Reasons reasons={status.reasons ?? []} most={6} />
      </div>
    </section>
  );
}

/** `0` or `5%`, as the server writes it. */
function boundWords(most: string | number): string {
  return String(most) === "0" ? "the first failure" : `more than ${most} failures`;
}

/** So many hosts are listed at once. */
const MOST = 200;

function Hosts({ job, chosen }: { job: Job; chosen: string | undefined }) {
  const { tables } = useSnapshot();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const rows = useMemo(() => worstFirst(hostsOf(job, tables.tasks.values())), [job, tables.tasks]);
  const shown = rows.filter((row) => found(text, row.host, row.look.word));
  const row = rows.find((r) => r.host === chosen) ?? rows.find((r) => r.task) ?? rows[0];
  const choose = (host: string) =>
    void navigate({
      to: ".",
      search: (old: Record<string, unknown>) => ({ ...old, host }),
      replace: true,
      resetScroll: false,
    } as never);
  if (rows.length === 0) {
    return (
      <section className="panel">
        <p className="body quiet">
          {isJobOver(job) ? "There was no host to do it on." : "Its hosts are being chosen."}
        </p>
      </section>
    );
  }
  return (
    <div className="job-view">
      <section className="panel" aria-label="hosts of the job">
        {rows.length > 12 && (
          <div className="body">
            <Search value={text} label="Search hosts" onChange={setText} />
          </div>
        )}
        <ul className="job-hosts" data-list>
          {shown.slice(0, MOST).map((r) => (
            <li key={r.host} data-row>
              <button type="button" aria-pressed={r === row} onClick={() => choose(r.host)}>
                <span className="cut">{r.host}</span>
                <State {...r.look} />
              </button>
            </li>
          ))}
        </ul>
        {shown.length > MOST && (
          <p className="body small quiet">and {shown.length - MOST} more; search for them</p>
        )}
      </section>
      {row && <HostView key={`${row.host} ${row.task?.metadata.name}`} row={row} />}
    </div>
  );
}

function HostView({ row }: { row: HostRow }) {
  const { host, look, task } = row;
  const now = useNow();
  return (
    <section className="panel cell-view" aria-label={`on ${host}`}>
      <header>
        <h2>
          <ObjectLink plural="hosts" name={host} />
        </h2>
        <State {...look} />
      </header>
      {task ? (
        <>
          <div className="body stack tight">
            <Facts>
              {typeof task.status.exitCode === "number" && (
                <Fact name="exit code">{task.status.exitCode}</Fact>
              )}
              <Fact name="took">{tookWords(task.status, now)}</Fact>
            </Facts>
            <Reasons reasons={task.status.reasons ?? []} most={4} />
          </div>
          <JobLog
            task={task.metadata.name}
            failed={look.tone === "bad"}
            over={task.status.endedAt !== undefined && task.status.endedAt !== null}
          />
        </>
      ) : (
        <p className="body quiet">
          {look.tone === "ok"
            ? "It was done there in an earlier round, whose output is no longer kept."
            : "Its batch has not begun."}
        </p>
      )}
    </section>
  );
}

interface Act {
  word: string;
  icon: IconName;
  danger?: boolean;
  title: string;
  lead: string;
  done: string;
  spec: Record<string, unknown>;
}

function actsOf({ metadata, spec, status }: Job): Act[] {
  const { name } = metadata;
  const acts: Act[] = [];
  if (status.phase === "paused") {
    acts.push({
      word: "Go on",
      icon: "play",
      title: `Go on with ${name}`,
      lead: "The next batch begins.",
      done: `job/${name} goes on with its next batch`,
      spec: { resumed: (spec.resumed ?? 0) + 1 },
    });
  }
  if (status.phase === "failed" || status.phase === "cancelled") {
    acts.push({
      word: "Retry",
      icon: "back",
      title: `Retry ${name}`,
      lead: "It is done again where it has not succeeded, and nowhere else.",
      done: `job/${name} is done again where it has not succeeded`,
      spec: { round: (spec.round ?? 1) + 1, cancelled: null },
    });
  }
  if (!["succeeded", "failed", "cancelled"].includes(status.phase)) {
    acts.push({
      word: "Cancel",
      icon: "stop",
      danger: true,
      title: `Cancel ${name}`,
      lead: "Commands that run are asked to end, and killed if they do not. No further host begins.",
      done: `job/${name} is being cancelled`,
      spec: { cancelled: true },
    });
  }
  return acts;
}

function Actions({ job }: { job: Job }) {
  const [asked, setAsked] = useState<{ act: Act; generation: number } | null>(null);
  const { name, generation = 0 } = job.metadata;
  const edit = asked && {
    plural: "jobs" as const,
    name,
    generation: asked.generation,
    spec: asked.act.spec,
  };
  return (
    <>
      {actsOf(job).map((act) => (
        <button
          key={act.word}
          type="button"
          className={act.danger ? "button danger" : "button"}
          onClick={() => setAsked({ act, generation })}
        >
          <Icon name={act.icon} /> {act.word}
        </button>
      ))}
      {asked && edit && (
        <ChangeDialog
          title={asked.act.title}
          lead={asked.act.lead}
          word={asked.act.word}
          danger={asked.act.danger}
          proposal={proposalOf(edit, asked.act.done)}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  );
}

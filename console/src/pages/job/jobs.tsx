// Jobs: one command on many hosts. What is under way, what was, and a way to begin one.
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useSnapshot, useSynced } from "../../api/live";
import type { Job } from "../../api/objects";
import { tookWords } from "../../logic/ci";
import { isJobOver, JOB, lineOf, progressWords } from "../../logic/jobs";
import { counted } from "../../logic/quantity";
import { parseTime } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { State } from "../../parts/phase";
import { found, Search } from "../../parts/search";
import type { ListSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { JobForm } from "./form";
import "./job.css";

export function JobsPage({ q = "" }: ListSearch) {
  const { tables } = useSnapshot();
  const synced = useSynced();
  const navigate = useNavigate();
  const mayWrite = useMayWrite();
  const [asked, setAsked] = useState(false);
  const jobs = useMemo(() => {
    const at = (job: Job) => parseTime(job.metadata.createdAt) ?? 0;
    return [...tables.jobs.values()].sort((a, b) => at(b) - at(a));
  }, [tables.jobs]);
  if (!synced) return <Skeleton lines={8} />;
  const shown = jobs.filter((job) =>
    found(q, job.metadata.name, lineOf(job.spec.do.command), job.spec.runbook),
  );
  const going = jobs.filter((job) => !isJobOver(job)).length;
  return (
    <>
      <Head
        title="Jobs"
        lead={`${counted(jobs.length, "job")}, ${going === 0 ? "nothing runs" : `${going} under way`}`}
      >
        {jobs.length > 0 && (
          <Search
            value={q}
            label="Search jobs"
            onChange={(value) =>
              navigate({ to: ".", search: { q: value || undefined }, replace: true } as never)
            }
          />
        )}
        {mayWrite && (
          <button type="button" className="button main" onClick={() => setAsked(true)}>
            <Icon name="play" /> Run a command
          </button>
        )}
      </Head>
      <section className="panel" aria-label="jobs">
        {jobs.length === 0 ? (
          <Empty title="There are no jobs yet">
            <p>A job does one command on many hosts, in batches, and stops when too many fail:</p>
            <Example>
              {"atoll run --batch 1,10%,50% --max-errors 2 -- systemctl restart nginx"}
            </Example>
          </Empty>
        ) : shown.length === 0 ? (
          <Empty title="No job matches" />
        ) : (
          <ul data-list>
            {shown.map((job) => (
              <Row key={job.metadata.name} job={job} />
            ))}
          </ul>
        )}
      </section>
      {asked && <JobForm onClose={() => setAsked(false)} />}
    </>
  );
}

function Row({ job }: { job: Job }) {
  const { name, createdAt } = job.metadata;
  return (
    <li className="job-row" data-row>
      <div className="job-what">
        <Link to={`/jobs/${name}` as "/"} className="strong">
          {name}
        </Link>
        <p className="small quiet cut mono">{lineOf(job.spec.do.command)}</p>
      </div>
      <div>
        <State {...JOB[job.status.phase]} />
        <p className="small second">{progressWords(job)}</p>
      </div>
      <Progress job={job} />
      <span className="small quiet nowrap right">
        {tookWords(job.status, Date.now())}
        <br />
        <Ago at={job.status.startedAt ?? createdAt} /> ago
      </span>
    </li>
  );
}

/** The hosts as one bar: those that succeeded, that did not, that go on, and the rest. */
export function Progress({ job }: { job: Job }) {
  const {
    targets = [],
    begun = 0,
    succeeded = 0,
    failed = 0,
    lost = 0,
    cancelled = 0,
  } = job.status;
  const all = Math.max(1, targets.length);
  const over = succeeded + failed + lost + cancelled;
  const parts = [
    ["ok", succeeded],
    ["bad", failed + lost],
    ["off", cancelled],
    ["move", Math.max(0, begun - over)],
  ] as const;
  return (
    <span className="job-progress" role="img" aria-label={progressWords(job)}>
      {parts.map(([tone, count]) =>
        count > 0 ? (
          <i key={tone} className={tone} style={{ width: `${(count / all) * 100}%` }} />
        ) : null,
      )}
    </span>
  );
}

// Releases, newest first, and where each of them runs.
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { useFleet, useSynced } from "../../api/live";
import type { Deployment, Release } from "../../api/objects";
import { environmentOrder } from "../../logic/applications";
import type { Fleet } from "../../logic/fleet";
import { counted } from "../../logic/quantity";
import { Ago } from "../../parts/ago";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { Dot } from "../../parts/phase";
import { found, Search } from "../../parts/search";
import { type Column, Table } from "../../parts/table";
import type { ListSearch } from "../../router";
import { Head } from "../../shell/head";
import { deploymentState } from "../deployment/row";
import "./releases.css";

interface Row {
  readonly release: Release;
  readonly runs: readonly Deployment[];
}

const FIRST = `atoll package push hello:1.0 ./hello
atoll apply -f hello.yaml        # with package: hello:1.0`;

function rowsOf(fleet: Fleet, query: string): Row[] {
  const runs = new Map<string, Deployment[]>();
  const compare = environmentOrder(fleet);
  const deployments = [...fleet.deployments].sort((a, b) =>
    compare(a.spec.environment, b.spec.environment),
  );
  for (const d of deployments) {
    for (const name of new Set([d.status.release, d.status.rollout?.to])) {
      if (name) runs.set(name, [...(runs.get(name) ?? []), d]);
    }
  }
  return fleet.releases
    .map((release) => ({ release, runs: runs.get(release.metadata.name) ?? [] }))
    .filter(({ release, runs: where }) => {
      const { name } = release.metadata;
      const { application, package: files, notes } = release.spec;
      return found(
        query,
        name,
        application,
        files?.version,
        notes,
        ...where.map((d) => d.metadata.name),
      );
    })
    .sort(
      (a, b) =>
        age(b.release).localeCompare(age(a.release)) || number(b.release) - number(a.release),
    );
}

const age = (release: Release) => String(release.metadata.createdAt ?? "");
const number = (release: Release) => release.spec.number ?? 0;

function Runs({ runs }: { runs: readonly Deployment[] }) {
  if (runs.length === 0) return <span className="quiet">nowhere</span>;
  return (
    <span className="runs">
      {runs.map((d) => (
        <ObjectLink
          key={d.metadata.name}
          plural="deployments"
          name={d.metadata.name}
          className="run"
        >
          <Dot tone={deploymentState(d).tone} />
          {d.spec.environment}
        </ObjectLink>
      ))}
    </span>
  );
}

const COLUMNS: readonly Column<Row>[] = [
  {
    id: "name",
    head: "Release",
    width: "minmax(8rem, 1fr)",
    cell: ({ release }) => (
      <ObjectLink plural="releases" name={release.metadata.name} className="strong" />
    ),
  },
  {
    id: "application",
    head: "Application",
    width: "minmax(6rem, 1fr)",
    cell: ({ release }) => (
      <ObjectLink plural="applications" name={release.spec.application} className="linkish" />
    ),
  },
  {
    id: "package",
    head: "Package",
    width: "minmax(6rem, 1fr)",
    cell: ({ release }) =>
      release.spec.package ? (
        `${release.spec.package.name}:${release.spec.package.version}`
      ) : (
        <span className="quiet">the host’s own</span>
      ),
  },
  {
    id: "age",
    head: "Made",
    width: "4rem",
    right: true,
    cell: ({ release }) => <Ago at={release.metadata.createdAt} />,
  },
  {
    id: "runs",
    head: "Runs in",
    width: "minmax(9rem, 1.6fr)",
    cell: ({ runs }) => <Runs runs={runs} />,
  },
  {
    id: "notes",
    head: "Notes",
    width: "minmax(5rem, 1.6fr)",
    cell: ({ release }) => (
      <span className="second" title={release.spec.notes}>
        {release.status.reasons?.[0]?.message ?? release.spec.notes}
      </span>
    ),
  },
];

function compact({ release, runs }: Row) {
  return (
    <div className="release-compact">
      <div className="row">
        <ObjectLink plural="releases" name={release.metadata.name} className="strong cut grow" />
        <span className="quiet small">
          <Ago at={release.metadata.createdAt} />
        </span>
      </div>
      <div className="small">
        <Runs runs={runs} />
      </div>
    </div>
  );
}

export function ReleasesPage({ q = "" }: ListSearch) {
  const fleet = useFleet();
  const synced = useSynced();
  const navigate = useNavigate();
  const rows = useMemo(() => rowsOf(fleet, q), [fleet, q]);
  if (!synced) return <Skeleton lines={10} />;
  return (
    <>
      <Head title="Releases" lead={counted(rows.length, "release")}>
        <Search
          value={q}
          onChange={(value) =>
            navigate({ to: ".", search: { q: value || undefined }, replace: true })
          }
          label="Search releases"
        />
      </Head>
      <section className="panel" aria-label="releases">
        {fleet.releases.length === 0 ? (
          <Empty title="Nothing has been released yet">
            <p>
              A release is made whenever an application, its package or its fixed configuration
              changes:
            </p>
            <Example>{FIRST}</Example>
          </Empty>
        ) : rows.length === 0 ? (
          <Empty title="No release matches">
            <p>
              <Link to="." search={{}} className="plain">
                Show all {fleet.releases.length}
              </Link>
            </p>
          </Empty>
        ) : (
          <Table
            label="releases"
            columns={COLUMNS}
            rows={rows}
            keyOf={(row) => row.release.metadata.name}
            compact={compact}
            compactHeight={62}
            onOpen={(row) => navigate({ to: `/releases/${row.release.metadata.name}` as "/" })}
          />
        )}
      </section>
    </>
  );
}

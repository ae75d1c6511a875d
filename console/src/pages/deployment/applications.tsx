// Applications and where they are deployed, with the state of every deployment.
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { useFleet, useSynced } from "../../api/live";
import { type ApplicationRow, applicationRows } from "../../logic/applications";
import { counted } from "../../logic/quantity";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { found, Search } from "../../parts/search";
import type { ListSearch } from "../../router";
import { Head } from "../../shell/head";
import { DeploymentRow } from "./row";
import "./applications.css";

const FIRST = `apiVersion: atoll/v1
kind: Environment
metadata: { name: dev }
spec: {}
---
apiVersion: atoll/v1
kind: Application
metadata: { name: hello }
spec:
  run:
    command: ["python3", "-m", "http.server", "{{ports.http}}"]
    ports: { http: 0 }
    health: { http: / }`;

export function ApplicationsPage({ q = "", open = false }: ListSearch) {
  const fleet = useFleet();
  const synced = useSynced();
  const navigate = useNavigate();
  const rows = useMemo(
    () => applicationRows(fleet, (...texts) => found(q, ...texts), open),
    [fleet, q, open],
  );
  const set = (search: ListSearch) =>
    navigate({
      to: ".",
      search: { q: q || undefined, open: open || undefined, ...search },
      replace: true,
      resetScroll: false,
    });
  if (!synced) return <Skeleton lines={10} />;

  const deployments = rows.reduce((sum, row) => sum + row.deployments.length, 0);
  return (
    <>
      <Head
        title="Applications"
        lead={`${counted(rows.length, "application")}, ${counted(deployments, "deployment")}`}
      >
        <div className="toolbar">
          <button
            type="button"
            className="toggle"
            aria-pressed={open}
            onClick={() => set({ open: !open || undefined })}
          >
            Unsettled only
          </button>
          <Search
            value={q}
            onChange={(value) => set({ q: value || undefined })}
            label="Search applications"
          />
        </div>
      </Head>
      {fleet.applications.length === 0 && rows.length === 0 ? (
        <section className="panel">
          <Empty title="No application has been declared yet">
            <p>
              Write what is to run, for example as <code>hello.yaml</code>:
            </p>
            <Example>{FIRST}</Example>
            <p>then declare it, and see it come up here:</p>
            <Example>atoll apply -f hello.yaml --wait</Example>
          </Empty>
        </section>
      ) : rows.length === 0 ? (
        <section className="panel">
          <Empty title={open && !q ? "Everything is settled" : "Nothing matches"}>
            <p>
              <Link to="." search={{}} className="plain">
                Show all {fleet.applications.length} applications
              </Link>
            </p>
          </Empty>
        </section>
      ) : (
        <div className="panel applications" data-list>
          <div className="application-heads" aria-hidden="true">
            <span>Application</span>
            <span>Environment</span>
            <span>State</span>
            <span className="right">Ready</span>
            <span>Release</span>
            <span>Instances</span>
          </div>
          {rows.map((row) => (
            <ApplicationGroup key={row.name} row={row} instances={fleet.byDeployment} />
          ))}
        </div>
      )}
    </>
  );
}

interface GroupProps {
  row: ApplicationRow;
  instances: ReturnType<typeof useFleet>["byDeployment"];
}

function ApplicationGroup({ row, instances }: GroupProps) {
  const { name, application, deployments } = row;
  return (
    <section className="application" aria-label={name}>
      <div className="application-name">
        <Link to={`/applications/${name}` as "/"} className="strong">
          {name}
        </Link>
        <span className="quiet small cut">{application?.spec.owner ?? ""}</span>
      </div>
      <div className="application-deployments">
        {deployments.map((d) => (
          <DeploymentRow
            key={d.metadata.name}
            deployment={d}
            instances={instances.get(d.metadata.name)}
          />
        ))}
        {deployments.length === 0 && (
          <p className="quiet none">
            {application?.status.release
              ? "not deployed: no environment takes it"
              : (application?.status.reasons?.[0]?.message ?? "not released yet")}
          </p>
        )}
      </div>
    </section>
  );
}

// Logs of the whole fleet, or of what is chosen.
import { useNavigate } from "@tanstack/react-router";
import { useFleet, useSynced } from "../../api/live";
import { Skeleton } from "../../parts/empty";
import type { LogsSearch } from "../../router";
import { Head } from "../../shell/head";
import { LogSearch } from "./search";

export function LogsPage({ subject = "", ...search }: LogsSearch) {
  const fleet = useFleet();
  const synced = useSynced();
  const navigate = useNavigate();
  if (!synced) return <Skeleton lines={10} />;
  const groups = [
    ["Applications", fleet.applications.map((a) => `application/${a.metadata.name}`)],
    ["Deployments", fleet.deployments.map((d) => `deployment/${d.metadata.name}`)],
    ["Hosts", fleet.hosts.map((h) => `host/${h.metadata.name}`)],
  ] as const;
  const known = groups.some(([, list]) => list.includes(subject));
  const first = fleet.deployments[0] ? `deployment/${fleet.deployments[0].metadata.name}` : "";
  const now = subject || first;
  return (
    <>
      <Head title="Logs" lead="searched on the hosts they were written on" />
      <LogSearch key={now} subject={now} search={search}>
        <select
          aria-label="Whose logs"
          className="logs-subject"
          value={now}
          onChange={(event) =>
            void navigate({
              to: ".",
              search: (old: Record<string, unknown>) => ({
                ...old,
                subject: event.target.value || undefined,
              }),
              replace: true,
              resetScroll: false,
            } as never)
          }
        >
          {!known && subject && <option>{subject}</option>}
          {groups.map(([title, list]) => (
            <optgroup key={title} label={title}>
              {list.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </optgroup>
          ))}
        </select>
      </LogSearch>
    </>
  );
}

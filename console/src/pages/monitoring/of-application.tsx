// What is measured and promised of one application, over all its deployments.
import { useMemo } from "react";
import { useFleet } from "../../api/live";
import { applicationPanels } from "../../logic/dashboards";
import type { SpanSearch } from "../../logic/period";
import { Dashboard } from "../metrics/dashboard";
import { Objectives } from "./objective";

export function ApplicationMetrics({ name, search }: { name: string; search: SpanSearch }) {
  const sections = useMemo(() => applicationPanels(name), [name]);
  return <Dashboard sections={sections} search={search} id={`application/${name}`} />;
}

export function ApplicationObjectives({ name }: { name: string }) {
  const fleet = useFleet();
  const deployments = fleet.deploymentsOf.get(name) ?? [];
  const objectives = deployments.flatMap((d) => fleet.objectivesOf.get(d.metadata.name) ?? []);
  return <Objectives objectives={objectives} />;
}

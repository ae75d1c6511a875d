// One instance at the side of the page: what it is, why it is so, and its live log.
import { useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { Instance } from "../../api/objects";
import { instancePanels } from "../../logic/dashboards";
import type { SpanSearch } from "../../logic/period";
import { INSTANCE } from "../../logic/phases";
import { coreWords, memoryWords, parseCpu, parseMemory } from "../../logic/quantity";
import { Ago } from "../../parts/ago";
import { Dialog } from "../../parts/dialog";
import { Fact, Facts } from "../../parts/facts";
import { Log } from "../../parts/log";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Dashboard } from "../metrics/dashboard";

interface Props {
  instance: Instance;
  /** What j and k go through. */
  rows: readonly Instance[];
  onGo: (name: string) => void;
  onClose: () => void;
}

export function InstanceDrawer({ instance, rows, onGo, onClose }: Props) {
  const { metadata, spec, status } = instance;
  const onKey = (key: string) => {
    if ((document.activeElement as HTMLElement | null)?.matches("input")) return;
    const step = key === "j" ? 1 : key === "k" ? -1 : 0;
    const next = rows[rows.findIndex((r) => r.metadata.name === metadata.name) + step];
    if (step !== 0 && next) onGo(next.metadata.name);
  };
  const [shown, setShown] = useState<"log" | "metrics">("log");
  const phase = INSTANCE[status.phase];
  return (
    <Dialog
      title={metadata.name}
      shape="drawer"
      onClose={onClose}
      onKey={onKey}
      aside={<State {...phase} />}
    >
      <div className="drawer-body">
        <Facts>
          <Fact name={`${phase.word} for`}>
            <Ago at={status.since} long />
          </Fact>
          <Fact name="host">
            <ObjectLink plural="hosts" name={spec.host} />
          </Fact>
          <Fact name="deployment">
            <ObjectLink plural="deployments" name={spec.deployment} />
          </Fact>
          <Fact name="release">
            {spec.release}
            {status.release && status.release !== spec.release && (
              <span className="quiet"> (runs {status.release})</span>
            )}
          </Fact>
          <Fact name="reached at">
            <Reached instance={instance} />
          </Fact>
          <Fact name="process">{status.pid ?? "–"}</Fact>
          <Fact name="started">
            {status.startedAt ? (
              <>
                <Ago at={status.startedAt} long /> ago
              </>
            ) : (
              "–"
            )}
          </Fact>
          <Fact name="restarts">{status.restarts}</Fact>
          <Fact name="reserved">
            {coreWords(parseCpu(spec.resources?.cpu))},{" "}
            {memoryWords(parseMemory(spec.resources?.memory))}
          </Fact>
        </Facts>
        <Reasons reasons={status.reasons ?? []} />
        <div className="choice drawer-choice" role="group" aria-label="shown of it">
          {(["log", "metrics"] as const).map((kind) => (
            <button
              key={kind}
              type="button"
              aria-pressed={shown === kind}
              onClick={() => setShown(kind)}
            >
              {kind === "log" ? "Log" : "Metrics"}
            </button>
          ))}
        </div>
        {shown === "log" ? (
          <Log key={metadata.name} instance={metadata.name} />
        ) : (
          <InstanceMetrics instance={instance} />
        )}
      </div>
    </Dialog>
  );
}

function InstanceMetrics({ instance }: { instance: Instance }) {
  const { name } = instance.metadata;
  const memory = parseMemory(instance.spec.resources?.memory);
  const search = useSearch({ strict: false }) as SpanSearch;
  const sections = useMemo(() => instancePanels(name, memory), [name, memory]);
  return (
    <Dashboard key={name} sections={sections} search={search} id={`instance/${name}`} narrow />
  );
}

function Reached({ instance }: { instance: Instance }) {
  const { address, ports } = instance.status;
  const all = Object.entries(ports ?? {});
  if (!address && all.length === 0) return <>–</>;
  return (
    <span className="mono">
      {all.length === 0
        ? address
        : all.map(([name, port]) => `${address ?? ""}:${port} ${name}`).join(", ")}
    </span>
  );
}

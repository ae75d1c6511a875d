// The counts: each a number, what it is out of, and how the rest stands.
import type { ReactNode } from "react";
import { type Fleet, tally } from "../../logic/fleet";
import { DEPLOYMENT, DEPLOYMENT_ORDER, HOST, HOST_ORDER } from "../../logic/phases";
import {
  coreWords,
  cpuWords,
  memoryWords,
  parseCpu,
  parseMemory,
  percent,
} from "../../logic/quantity";
import { Legend, Meter, type Segment, Segments } from "../../parts/bars";
import { phaseParts } from "../../parts/cells";

export function Figures({ fleet }: { fleet: Fleet }) {
  const deployments = tally(fleet.deployments, (d) => d.status.phase);
  const hosts = tally(fleet.hosts, (h) => h.status.phase);
  const parts = (order: readonly string[], looks: object, counts: ReadonlyMap<string, number>) =>
    order.map((phase) => ({
      ...(looks as Record<string, Segment>)[phase],
      count: counts.get(phase) ?? 0,
    })) as Segment[];

  return (
    <section className="panel figures" aria-label="counts">
      <Count
        title="Deployments settled"
        parts={parts(DEPLOYMENT_ORDER, DEPLOYMENT, deployments)}
        total={fleet.deployments.length}
      />
      <Count
        title="Instances ready"
        parts={phaseParts(fleet.instances)}
        total={fleet.instances.length}
      />
      <Count
        title="Hosts ready"
        parts={parts(HOST_ORDER, HOST, hosts)}
        total={fleet.hosts.length}
      />
      <Capacity fleet={fleet} />
    </section>
  );
}

function Figure({
  title,
  value,
  of,
  children,
}: {
  title: string;
  value: ReactNode;
  of: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className="figure">
      <h3>{title}</h3>
      <p className="figure-value">
        {value} <span className="figure-of">{of}</span>
      </p>
      {children}
    </div>
  );
}

function Count({
  title,
  parts,
  total,
}: {
  title: string;
  parts: readonly Segment[];
  total: number;
}) {
  const well = parts[0]?.count ?? 0;
  return (
    <Figure title={title} value={well.toLocaleString("en")} of={`of ${total.toLocaleString("en")}`}>
      <Segments parts={parts} label={title} />
      <Legend parts={parts.slice(1)} />
    </Figure>
  );
}

/** What is given away, out of what the hosts that are heard from have. */
function Capacity({ fleet }: { fleet: Fleet }) {
  let [cpu, memory, usedCpu, usedMemory] = [0, 0, 0, 0];
  for (const host of fleet.hosts) {
    if (host.status.phase === "unknown") continue;
    const use = fleet.use.get(host.metadata.name);
    cpu += parseCpu(host.status.capacity?.cpu);
    memory += parseMemory(host.status.capacity?.memory);
    usedCpu += use?.cpu ?? 0;
    usedMemory += use?.memory ?? 0;
  }
  return (
    <div className="figure">
      <h3>Reserved on hosts heard from</h3>
      <div className="capacity">
        <span>CPU</span>
        <Meter used={usedCpu} whole={cpu} label="CPU reserved" />
        <b>{percent(usedCpu, cpu)}%</b>
        <span className="quiet small capacity-of">
          {cpuWords(usedCpu)} of {coreWords(cpu)}
        </span>
        <span>Memory</span>
        <Meter used={usedMemory} whole={memory} label="memory reserved" />
        <b>{percent(usedMemory, memory)}%</b>
        <span className="quiet small capacity-of">
          {memoryWords(usedMemory)} of {memoryWords(memory)}
        </span>
      </div>
    </div>
  );
}

// Pools of hosts: how many there are to be, how far their machines are, and what they would be by
// what runs on them.
import { useMemo } from "react";
import { useSnapshot, useSynced } from "../../api/live";
import type { Pool } from "../../api/objects";
import { order } from "../../logic/fleet";
import { adviceOf, machineParts, POOL, providerWord } from "../../logic/pools";
import { counted, ranged } from "../../logic/quantity";
import { Legend, Segments } from "../../parts/bars";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Head } from "../../shell/head";
import "./pool.css";

const FIRST = `apiVersion: atoll/v1
kind: Pool
metadata: { name: web }
spec:
  count: 3
  max: 10
  provider: { static: { hosts: [h1, h2, h3, h4] } }   # or docker, or exec`;

export function PoolsPage() {
  const { tables } = useSnapshot();
  const synced = useSynced();
  const pools = useMemo(
    () => [...tables.pools.values()].sort((a, b) => order(a.metadata.name, b.metadata.name)),
    [tables.pools],
  );
  if (!synced) return <Skeleton lines={8} />;
  const ready = pools.reduce((sum, pool) => sum + (pool.status.counts?.ready ?? 0), 0);
  const wanted = pools.reduce((sum, pool) => sum + (pool.status.wanted ?? pool.spec.count), 0);
  return (
    <>
      <Head
        title="Pools"
        lead={
          pools.length > 0
            ? `${counted(pools.length, "pool")}, ${ready} of ${counted(wanted, "host")} ready`
            : undefined
        }
      />
      <section className="panel" aria-label="pools">
        {pools.length === 0 ? (
          <Empty title="No hosts come and go by themselves">
            <p>
              A pool makes hosts and lets them go as they are needed; each is emptied before it
              goes, and replaced when it breaks:
            </p>
            <Example>{FIRST}</Example>
          </Empty>
        ) : (
          <ul data-list>
            {pools.map((pool) => (
              <Row key={pool.metadata.name} pool={pool} />
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

function Row({ pool }: { pool: Pool }) {
  const { metadata, spec, status } = pool;
  const parts = machineParts(pool);
  return (
    <li className="pool-row" data-row>
      <div>
        <ObjectLink plural="pools" name={metadata.name} className="strong" />
        <p className="small quiet">
          {providerWord(pool)}
          {spec.zone && `, zone ${spec.zone}`}
        </p>
      </div>
      <State {...POOL[status.phase ?? "waiting"]} />
      <div className="pool-machines">
        <p className="row">
          <b className="nowrap">
            {status.counts?.ready ?? 0} of {status.wanted ?? spec.count}
          </b>
          <Segments parts={parts} label={`machines of ${metadata.name}`} />
        </p>
        <Legend parts={parts} />
      </div>
      <div className="small second">
        <p className="quiet">{ranged(spec.min ?? 0, spec.max)} may be asked for</p>
        <AdviceShort pool={pool} />
      </div>
      <div className="pool-reasons">
        <Reasons reasons={status.reasons ?? []} most={2} />
      </div>
    </li>
  );
}

function AdviceShort({ pool }: { pool: Pool }) {
  const { advice } = pool.status;
  const word = adviceOf(pool);
  if (!advice || !word) return null;
  const acts = pool.spec.autoscale?.mode === "act";
  if (word === "same") return <p>as many as it takes{acts && ", followed"}</p>;
  return (
    <p>
      {word === "more"
        ? `${advice.count} would be enough`
        : `${advice.fewer ?? advice.count} would do`}
      {acts ? "" : ", only said"}
    </p>
  );
}

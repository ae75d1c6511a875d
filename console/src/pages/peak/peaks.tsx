// Peaks: those that are next first, those that are over last.
import { useCoarseNow, useFleet, useSynced } from "../../api/live";
import { farOf, isOver, ordered } from "../../logic/peaks";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Head } from "../../shell/head";
import { PeakCard } from "./card";

const FIRST = `apiVersion: atoll/v1
kind: Peak
metadata: { name: double-eleven }
spec:
  starts: 2026-11-11T00:00:00
  ends: 2026-11-12T00:00:00
  timeZone: Asia/Shanghai
  environment: prod
  applications: { shop: 5 }`;

export function PeaksPage() {
  const { tables } = useFleet();
  const synced = useSynced();
  const now = useCoarseNow(1000);
  if (!synced) return <Skeleton lines={8} />;
  const peaks = ordered(tables.peaks.values());
  const next = peaks.find((peak) => !isOver(peak));
  return (
    <>
      <Head
        title="Peaks"
        lead={next ? `${next.metadata.name} ${farOf(next, now)}` : "none is ahead"}
      />
      {peaks.length === 0 ? (
        <section className="panel">
          <Empty title="No peak is known ahead">
            <p>
              A peak is a time with so many times the usual load. What it takes is made in time and
              given back afterwards.
            </p>
            <Example>{FIRST}</Example>
          </Empty>
        </section>
      ) : (
        <div className="stack" data-list>
          {peaks.map((peak) => (
            <PeakCard key={peak.metadata.name} peak={peak} open={peak === next} />
          ))}
        </div>
      )}
    </>
  );
}

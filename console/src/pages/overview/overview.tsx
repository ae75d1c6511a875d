// How things stand: first what asks for a person, then the counts, beside it what just happened.
import { useMemo } from "react";
import { useCoarseNow, useFleet, useSynced } from "../../api/live";
import { attention, headline } from "../../logic/attention";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Head } from "../../shell/head";
import { Concerns } from "./concerns";
import { Figures } from "./figures";
import { Recent } from "./recent";
import "./overview.css";

const HOST = `atoll token create --role join --for host
atoll agent --server URL --token TOKEN`;

const APPLICATION = "atoll apply -f application.yaml --wait";

export function Overview() {
  const fleet = useFleet();
  const synced = useSynced();
  const now = useCoarseNow(5_000);
  const concerns = useMemo(() => attention(fleet, now), [fleet, now]);
  if (!synced) return <Skeleton lines={10} />;

  const bare = fleet.hosts.length === 0 && fleet.applications.length === 0;
  return (
    <>
      <Head title={bare ? "Nothing here yet" : headline(concerns)} />
      <div className="overview">
        <div className="stack">
          {bare ? (
            <section className="panel">
              <Empty title="An atoll begins with a host and an application">
                <p>
                  Join a host: make a token here, and run the agent there with it. (
                  <code>atoll up</code> has made this machine one.)
                </p>
                <Example>{HOST}</Example>
                <p>Then apply what is to run:</p>
                <Example>{APPLICATION}</Example>
              </Empty>
            </section>
          ) : (
            <Concerns concerns={concerns} fleet={fleet} />
          )}
          {!bare && <Figures fleet={fleet} />}
        </div>
        <Recent />
      </div>
    </>
  );
}

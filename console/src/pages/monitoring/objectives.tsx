// All promises of the fleet, and how much of their error budgets is left.
import { useNavigate } from "@tanstack/react-router";
import { useFleet, useSynced } from "../../api/live";
import { tally } from "../../logic/fleet";
import { OBJECTIVE, OBJECTIVE_ORDER } from "../../logic/objectives";
import { counted } from "../../logic/quantity";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { found, Search } from "../../parts/search";
import type { ListSearch } from "../../router";
import { Head } from "../../shell/head";
import { Objectives } from "./objective";

const FIRST = `spec:
  objectives:
    - name: availability
      good: http_requests_total{code!~"5.."}
      total: http_requests_total
      target: 99.9%
      window: 30d`;

export function ObjectivesPage({ q = "" }: ListSearch) {
  const { tables } = useFleet();
  const synced = useSynced();
  const navigate = useNavigate();
  if (!synced) return <Skeleton lines={8} />;
  const all = [...tables.objectives.values()];
  const shown = all.filter((o) => found(q, o.metadata.name, o.spec.owner, o.status.phase));
  const counts = tally(all, (o) => o.status.phase);
  const told = OBJECTIVE_ORDER.filter((p) => counts.has(p)).map(
    (p) => `${counts.get(p)} ${OBJECTIVE[p].word}`,
  );
  return (
    <>
      <Head
        title="Objectives"
        lead={
          all.length > 0
            ? `${counted(all.length, "objective")}: ${told.join(", ")}`
            : "none declared"
        }
      >
        {all.length > 3 && (
          <Search
            value={q}
            label="Search objectives"
            onChange={(value) =>
              navigate({
                to: ".",
                search: { q: value || undefined },
                replace: true,
                resetScroll: false,
              } as never)
            }
          />
        )}
      </Head>
      {all.length === 0 ? (
        <section className="panel">
          <Empty title="Nothing is promised yet">
            <p>
              An application says in its manifest what it promises. From that follow rules, alerts
              on a budget that burns too fast, and the hold on releases once it is spent.
            </p>
            <Example>{FIRST}</Example>
          </Empty>
        </section>
      ) : shown.length === 0 ? (
        <section className="panel">
          <Empty title="Nothing matches" />
        </section>
      ) : (
        <div data-list>
          <Objectives objectives={shown} />
        </div>
      )}
    </>
  );
}

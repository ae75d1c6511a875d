// One item of a class of users' own: its attributes in three columns, its relations, its history.
import { useUnwatched } from "../../api/inventory";
import type { Plural } from "../../api/objects";
import { Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { ProblemView } from "../../parts/problem";
import { Tabs } from "../../parts/tabs";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { Attributes, Related } from "./thing";
import "../deployment/deployment.css";
import "./inventory.css";

export function ItemPage({ name, tab = "attributes" }: { name: string; tab?: string }) {
  const item = useUnwatched("items", name);
  const mayWrite = useMayWrite();
  if (item.error) return <ProblemView problem={item.error} again={() => item.refetch()} />;
  if (!item.data) return <Skeleton lines={10} />;
  const { metadata, spec } = item.data;
  const { generation = 0, revision = 0 } = metadata;
  const of = { plural: "items", kind: "item", name, version: revision };
  const owner = spec.owner as string | undefined;
  const merged = spec.mergedInto as string | undefined;
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "inventory", to: "/inventory" }]}
        lead={`${spec.type}${merged ? `, merged into ${merged}` : ""}`}
      />
      <div className="thing">
        <div className="stack">
          <Tabs
            label="views"
            now={tab}
            tabs={[
              { id: "attributes", word: "Attributes" },
              { id: "history", word: "History" },
            ]}
          />
          {tab === "attributes" && <Attributes {...of} />}
          {tab === "history" && (
            // Items are not watched, but their history is asked for as any.
            <HistoryView
              plural={"items" as unknown as Plural}
              {...{ name, generation, revision, mayWrite }}
            />
          )}
        </div>
        <aside className="stack" aria-label="relations and identity">
          <section className="panel" aria-label="item">
            <div className="body">
              <Facts>
                <Fact name="class">{String(spec.type)}</Fact>
                <Fact name="owner">{owner ?? "of its class"}</Fact>
              </Facts>
            </div>
          </section>
          <Related {...of} />
        </aside>
      </div>
    </>
  );
}

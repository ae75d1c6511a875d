// A network, or a class of items: its manifest, what has to do with it, its history. They are
// asked for and not watched.
import { Link } from "@tanstack/react-router";
import { useNextFree, useUnwatched } from "../../api/inventory";
import type { Plural, Watched } from "../../api/objects";
import { quoted } from "../../logic/inventory";
import { Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Manifest } from "../../parts/manifest";
import { ProblemView } from "../../parts/problem";
import { Tabs } from "../../parts/tabs";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { Related } from "./thing";
import "./inventory.css";

interface Props {
  plural: "networks" | "itemtypes";
  name: string;
  tab?: string | undefined;
}

export function RecordPage({ plural, name, tab = "manifest" }: Props) {
  const record = useUnwatched(plural, name);
  const mayWrite = useMayWrite();
  if (record.error) return <ProblemView problem={record.error} again={() => record.refetch()} />;
  if (!record.data) return <Skeleton lines={10} />;
  const { kind, metadata, spec } = record.data;
  const { generation = 0, revision = 0 } = metadata;
  const lead = plural === "networks" ? words(spec.prefixes) : String(spec.description ?? "a class");
  return (
    <>
      <Head title={name} crumbs={[{ word: "inventory", to: "/inventory" }]} lead={lead} />
      <div className="thing">
        <div className="stack">
          <Tabs
            label="views"
            now={tab}
            tabs={[
              { id: "manifest", word: "Manifest" },
              { id: "history", word: "History" },
            ]}
          />
          {tab === "manifest" && <Manifest object={record.data as unknown as Watched} />}
          {tab === "history" && (
            <HistoryView
              plural={plural as unknown as Plural}
              {...{ name, generation, revision, mayWrite }}
            />
          )}
        </div>
        <aside className="stack" aria-label="relations">
          <section className="panel" aria-label={kind.toLowerCase()}>
            <div className="body">
              {plural === "networks" ? <OfNetwork name={name} spec={spec} /> : null}
              {plural === "itemtypes" ? <OfClass name={name} spec={spec} /> : null}
            </div>
          </section>
          <Related {...{ plural, kind: kind.toLowerCase(), name, version: revision }} />
        </aside>
      </div>
    </>
  );
}

const words = (list: unknown) => (Array.isArray(list) ? list.join(", ") : "");

function OfNetwork({ name, spec }: { name: string; spec: Record<string, unknown> }) {
  const next = useNextFree(name);
  return (
    <Facts>
      <Fact name="within">{String(spec.parent ?? "nothing")}</Fact>
      <Fact name="kept free">{words(spec.reserved) || "nothing"}</Fact>
      <Fact name="next free">{next.data?.next ?? (next.isPending ? "…" : "none")}</Fact>
    </Facts>
  );
}

function OfClass({ name, spec }: { name: string; spec: Record<string, unknown> }) {
  const rules = Array.isArray(spec.identity) ? (spec.identity as { name: string }[]) : [];
  return (
    <Facts>
      <Fact name="owner">{String(spec.owner ?? "nobody")}</Fact>
      <Fact name="told apart by">{rules.map((rule) => rule.name).join(", ") || "name only"}</Fact>
      <Fact name="items">
        <Link to="/inventory" search={{ q: `type = ${quoted(name)}` }} className="plain">
          all of this class
        </Link>
      </Fact>
    </Facts>
  );
}

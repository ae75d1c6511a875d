// The inventory: things by a filter with facets beside, findings, what talks to what, and how good
// it all is.
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import {
  type ClassFigures,
  type Drift,
  type Thing,
  useFound,
  useQuality,
} from "../../api/inventory";
import { useSnapshot } from "../../api/live";
import { CAUSE, has, toggled, valueWords } from "../../logic/inventory";
import { counted } from "../../logic/quantity";
import { Ago } from "../../parts/ago";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { SubjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import { Tabs } from "../../parts/tabs";
import type { InventorySearch } from "../../router";
import { Head } from "../../shell/head";
import { FindingActs } from "./acts";
import { Topology } from "./topology";
import "./inventory.css";

const FACETS = "kind,type,zone,os.name,os.version,virtualization,phase,owner,labels.tier";
const PAGE = 100;
const EXAMPLE = "kind = host and memory > 8Gi and runs(application/shop)";

export function InventoryPage({ q = "", tab = "things", at, level, of }: InventorySearch) {
  const { tables } = useSnapshot();
  const findings = [...tables.drifts.values()];
  return (
    <>
      <Head
        title="Inventory"
        lead="what there is, what it should be, and what came of relying on it"
      />
      <div className="stack">
        <Tabs
          label="views"
          now={tab}
          tabs={[
            { id: "things", word: "Things" },
            { id: "findings", word: "Findings", count: findings.length },
            { id: "topology", word: "Topology" },
            { id: "quality", word: "Quality" },
          ]}
        />
        {tab === "things" && <Things q={q} at={at} />}
        {tab === "findings" && <Findings all={findings} q={q} />}
        {tab === "topology" && <Topology level={level} of={of} />}
        {tab === "quality" && <Quality />}
      </div>
    </>
  );
}

function Things({ q, at }: { q: string; at: string | undefined }) {
  const navigate = useNavigate();
  const [typed, setTyped] = useState(q);
  const [limit, setLimit] = useState(PAGE);
  useEffect(() => setTyped(q), [q]);
  const found = useFound(q, at, FACETS, limit);
  const set = (filter: string) => {
    setLimit(PAGE);
    void navigate({
      to: ".",
      search: (old: Record<string, unknown>) => ({ ...old, q: filter || undefined }),
      replace: true,
      resetScroll: false,
    } as never);
  };
  const facets = (found.data?.facets ?? []).filter((facet) => facet.values.length > 0);
  return (
    <div className="inventory">
      <form
        className="inventory-ask"
        onSubmit={(event) => {
          event.preventDefault();
          set(typed);
        }}
      >
        <input
          type="search"
          data-search
          value={typed}
          placeholder={EXAMPLE}
          aria-label="Filter"
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setTyped(event.target.value)}
        />
        <button type="submit" className="button">
          Find
        </button>
      </form>
      <details className="panel inventory-facets" open={window.innerWidth > 800}>
        <summary>Narrow down</summary>
        {facets.map((facet) => (
          <fieldset key={facet.path}>
            <legend className="small quiet">{facet.path}</legend>
            {facet.values.slice(0, 8).map(({ value, count }) => (
              <label key={value} className="small">
                <input
                  type="checkbox"
                  checked={has(q, facet.path, value)}
                  onChange={() => set(toggled(q, facet.path, value))}
                />
                <span className="cut">{value || "–"}</span>
                <span className="quiet">{count.toLocaleString("en")}</span>
              </label>
            ))}
          </fieldset>
        ))}
      </details>
      <section className="panel inventory-found" aria-label="things">
        <header>
          <h2>{found.data ? counted(found.data.total, "thing") : "…"}</h2>
          {at && <span className="tag">as of {at}</span>}
        </header>
        {found.error ? (
          <div className="body">
            <ProblemView problem={found.error} />
          </div>
        ) : !found.data ? (
          <Skeleton lines={8} />
        ) : found.data.items.length === 0 ? (
          <Empty title="Nothing passes the filter">
            {(found.data.notes ?? []).map((note) => (
              <p key={note.message} className="warn-text">
                {note.message}
              </p>
            ))}
            <p>Classes of your own are made with a manifest:</p>
            <Example>{"atoll apply -f examples/inventory.yaml"}</Example>
          </Empty>
        ) : (
          <ul className="things" data-list>
            {found.data.items.map((thing) => (
              <ThingRow key={`${thing.kind}/${thing.metadata.name}`} thing={thing} />
            ))}
          </ul>
        )}
        {found.data?.continue && (
          <div className="body">
            <button type="button" className="button" onClick={() => setLimit(limit + 400)}>
              More
            </button>
          </div>
        )}
      </section>
    </div>
  );
}

function summary({ kind, spec, status }: Thing): string {
  if (kind === "Item") {
    const attributes = Object.entries((spec.attributes as Record<string, unknown>) ?? {});
    return attributes.map(([key, value]) => `${key}=${valueWords(value)}`).join(" ");
  }
  if (kind === "Host") return [status?.address, status?.phase].filter(Boolean).join(" · ");
  if (kind === "Network") return ((spec.prefixes as string[]) ?? []).join(", ");
  return valueWords(status?.phase ?? spec.description ?? spec.owner ?? "");
}

function ThingRow({ thing }: { thing: Thing }) {
  const id = `${thing.kind.toLowerCase()}/${thing.metadata.name}`;
  return (
    <li data-row>
      <span className="thing-name cut">
        <SubjectLink subject={id} />
      </span>
      <span className="small second">
        {thing.kind === "Item" ? String(thing.spec.type) : thing.kind.toLowerCase()}
      </span>
      <span className="small quiet cut">{summary(thing)}</span>
    </li>
  );
}

export function Findings({ all, q }: { all: readonly Drift[]; q: string }) {
  const navigate = useNavigate();
  const shown = all
    .filter((d) => !q || JSON.stringify([d.spec, d.status.owner]).includes(q))
    .sort((a, b) => (a.status.since ?? "").localeCompare(b.status.since ?? ""));
  return (
    <section className="panel" aria-label="findings">
      <header>
        <h2>{all.length === 0 ? "No findings" : counted(shown.length, "finding")}</h2>
        <input
          type="search"
          className="small"
          aria-label="Search findings"
          placeholder="Search findings"
          value={q}
          onChange={(event) =>
            navigate({
              to: ".",
              search: (old: Record<string, unknown>) => ({
                ...old,
                q: event.target.value || undefined,
              }),
              replace: true,
            } as never)
          }
        />
      </header>
      {all.length === 0 ? (
        <Empty title="Everything that was looked at is as it should be">
          <p>Say what a host should be, and every difference is found:</p>
          <Example>{"spec:\n  expect: { os.name: debian, memory: '>= 15Gi' }"}</Example>
        </Empty>
      ) : (
        <ul className="findings" data-list>
          {shown.map((drift) => {
            const [reason] = drift.status.reasons ?? [];
            return (
              <li key={drift.metadata.name} data-row>
                <State {...CAUSE[drift.status.cause ?? "differs"]} />
                <span className="finding-what">
                  <SubjectLink subject={drift.spec.subject} /> <b>{drift.spec.attribute}</b>
                  <span className="small quiet finding-why">{reason?.message}</span>
                  <FindingActs drift={drift} />
                </span>
                <span className="small second">{drift.status.owner ?? "nobody"}</span>
                <span className="small quiet nowrap">
                  {drift.status.since && <Ago at={drift.status.since} />}
                </span>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}

const percent = (share: number) => `${Math.round(share * 100)} %`;

function Quality() {
  const quality = useQuality();
  if (quality.error) return <ProblemView problem={quality.error} />;
  if (!quality.data) return <Skeleton lines={5} />;
  return (
    <section className="panel" aria-label="quality">
      <div className="quality-scroll">
        <table className="quality">
          <thead>
            <tr>
              <th scope="col">class</th>
              <th scope="col">things</th>
              <th scope="col" title="of them, seen by somebody">
                coverage
              </th>
              <th scope="col" title="of what was seen, not stale">
                freshness
              </th>
              <th scope="col" title="of what should be and was seen, so">
                correctness
              </th>
              <th scope="col">findings</th>
            </tr>
          </thead>
          <tbody data-list>
            {quality.data.classes.map((of) => (
              <QualityRow key={of.class} of={of} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function QualityRow({ of }: { of: ClassFigures }) {
  const cell = (share: number | null | undefined) =>
    share == null ? (
      <td className="muted" title="nothing was seen that could be judged">
        not known
      </td>
    ) : (
      <td className={share < 0.9 ? "warn-text" : ""}>{percent(share)}</td>
    );
  return (
    <tr data-row>
      <th scope="row">{of.class}</th>
      <td>{of.things.toLocaleString("en")}</td>
      {cell(of.coverage)}
      {cell(of.freshness)}
      {cell(of.correctness)}
      <td className={of.drift > 0 ? "warn-text" : ""}>{of.drift.toLocaleString("en")}</td>
    </tr>
  );
}

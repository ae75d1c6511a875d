// What the fleet costs now and whose that is: what is used, what is shared and what is idle, which
// together are the bill; the prices it is worked out of, and what has none.
import { useMemo } from "react";
import { useCosts } from "../../api/forecasts";
import { useCoarseNow, useSnapshot } from "../../api/live";
import type { CostReport, CostRow, Plural } from "../../api/objects";
import { type Parts, partsOf, priceState, rowName } from "../../logic/budgets";
import { MONTH_HOURS, parseMoney, priceWords } from "../../logic/money";
import { counted } from "../../logic/quantity";
import { moment, parseTime } from "../../logic/time";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import type { BudgetsSearch } from "../../router";
import "../../parts/figures.css";

const PRICE = `apiVersion: atoll/v1
kind: Price
metadata: { name: list-2026 }
spec:
  from: 2026-01-01T00:00:00Z
  currency: EUR
  cpuHour: "0.02"                   # a core for an hour
  memoryGiBHour: "0.0025"`;

const BY = ["application", "team", "environment", "host"] as const;
const PAGES: Readonly<Partial<Record<string, Plural>>> = {
  application: "applications",
  environment: "environments",
  host: "hosts",
};
const FOR = { hour: "an hour", month: "a month" } as const;
const MOST_ROWS = 100;

interface Props {
  by: NonNullable<BudgetsSearch["by"]>;
  currency: string | undefined;
  per: "hour" | "month";
  onSet: (change: BudgetsSearch) => void;
}

export function Costs({ by, currency, per, onSet }: Props) {
  const { tables } = useSnapshot();
  const costs = useCosts(by, currency);
  const currencies = useMemo(
    () => [...new Set([...tables.prices.values()].map((p) => p.spec.currency))].sort(),
    [tables.prices],
  );
  const { data, error } = costs;
  return (
    <section className="panel" aria-label="costs">
      <header className="costs-head">
        <h2>What it costs</h2>
        {currencies.length > 1 && (
          <select
            aria-label="Currency"
            value={data?.currency ?? currency ?? ""}
            onChange={(event) => onSet({ currency: event.target.value })}
          >
            {currencies.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        )}
        <div className="choice" role="group" aria-label="by">
          {BY.map((word) => (
            <button
              key={word}
              type="button"
              aria-pressed={by === word}
              onClick={() => onSet({ by: word })}
            >
              {word}
            </button>
          ))}
        </div>
        <div className="choice" role="group" aria-label="for">
          {(["hour", "month"] as const).map((word) => (
            <button
              key={word}
              type="button"
              aria-pressed={per === word}
              onClick={() => onSet({ per: word === "hour" ? undefined : word })}
            >
              {FOR[word]}
            </button>
          ))}
        </div>
      </header>
      {error && !data && (
        <div className="body">
          <ProblemView problem={error} again={() => void costs.refetch()} />
        </div>
      )}
      {!data && !error && <Skeleton lines={4} />}
      {data && !data.currency && (
        <Empty title="There is no price">
          <p>
            What hosts cost is written in prices, from when until when. Without one nothing can be
            told:
          </p>
          <Example>{PRICE}</Example>
        </Empty>
      )}
      {data?.currency && <CostTable report={data} per={per} />}
      {data?.currency && <Elsewhere report={data} onSet={onSet} />}
      {data?.currency && <Unpriced report={data} />}
    </section>
  );
}

function CostTable({ report, per }: { report: CostReport; per: "hour" | "month" }) {
  const times = per === "month" ? MONTH_HOURS : 1;
  const rows = report.rows.slice(0, MOST_ROWS);
  const most = Math.max(...report.rows.map((row) => parseMoney(row.total)), 0);
  const digits = parseMoney(report.total.total) * times >= 10 ? 2 : 4;
  const amount = (value: number) =>
    (value * times).toLocaleString("en", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  const line = (row: CostRow, name: React.ReactNode, key: string) => {
    const parts = partsOf(row);
    const cell = (value: number) => <td className="right">{amount(value)}</td>;
    return (
      <tr key={key} data-row>
        <th scope="row">{name}</th>
        <td className="right">{row.instances.toLocaleString("en")}</td>
        {cell(parts.used)}
        {cell(parts.shared)}
        {cell(parts.idle)}
        <td className="right strong">{amount(parts.total)}</td>
        <td className="cost-bar-cell">
          {key !== "total" && <CostBar parts={parts} most={most} />}
        </td>
      </tr>
    );
  };
  const plural = PAGES[report.by];
  return (
    <div className="figure-scroll">
      <table className="figure-table costs-table">
        <thead>
          <tr>
            <th scope="col">{report.by}</th>
            <th scope="col" className="right">
              instances
            </th>
            <th scope="col" className="right" title="what its instances take">
              <i className="cost-mark used" /> used
            </th>
            <th
              scope="col"
              className="right"
              title="its share of what hosts keep for themselves, of disks, and of work of runs and jobs"
            >
              <i className="cost-mark shared" /> shared
            </th>
            <th scope="col" className="right" title="its share of what nobody takes">
              <i className="cost-mark idle" /> idle
            </th>
            <th scope="col" className="right">
              {report.currency} {FOR[per]}
            </th>
            <th scope="col" className="cost-bar-cell">
              <span className="hidden-text">made up of</span>
            </th>
          </tr>
        </thead>
        <tbody data-list>
          {rows.map((row) =>
            line(
              row,
              plural && row.name !== "-" && row.name !== "others" ? (
                <ObjectLink plural={plural} name={row.name} className="strong" />
              ) : (
                <span className="strong">{rowName(row.name)}</span>
              ),
              row.name,
            ),
          )}
        </tbody>
        <tfoot>{line(report.total, "all of it", "total")}</tfoot>
      </table>
      {report.rows.length > rows.length && (
        <p className="table-foot">and {report.rows.length - rows.length} more, less dear</p>
      )}
      {report.rows.length === 0 && <p className="table-foot">Nothing costs anything now.</p>}
    </div>
  );
}

function CostBar({ parts, most }: { parts: Parts; most: number }) {
  const width = (value: number) => (most > 0 ? `${(value / most) * 100}%` : "0");
  return (
    <span className="cost-bar" aria-hidden="true">
      <i className="used" style={{ width: width(parts.used) }} />
      <i className="shared" style={{ width: width(parts.shared) }} />
      <i className="idle" style={{ width: width(parts.idle) }} />
    </span>
  );
}

function Elsewhere({ report, onSet }: { report: CostReport; onSet: Props["onSet"] }) {
  return Object.entries(report.elsewhere ?? {}).map(([currency, hosts]) => (
    <p key={currency} className="table-foot">
      {counted(hosts, "host")} {hosts === 1 ? "is" : "are"} paid in {currency}, in none of these
      sums:{" "}
      <button type="button" className="button slim" onClick={() => onSet({ currency })}>
        see {currency}
      </button>
    </p>
  ));
}

function Unpriced({ report }: { report: CostReport }) {
  const all = report.unpriced ?? [];
  if (all.length === 0) return null;
  return (
    <div className="unpriced">
      <p className="strong">{counted(all.length, "host")} without a price, in none of these sums</p>
      <ul className="small">
        {all.slice(0, 20).map(({ host, missing }) => (
          <li key={host}>
            <ObjectLink plural="hosts" name={host} />{" "}
            <span className="second">has no {missing.join(", no ")}</span>
          </li>
        ))}
        {all.length > 20 && <li className="quiet">and {all.length - 20} more</li>}
      </ul>
    </div>
  );
}

const FIELDS = [
  ["hostHour", "a host"],
  ["cpuHour", "a core"],
  ["memoryGiBHour", "a GiB of memory"],
  ["diskGiBHour", "a GiB of disk"],
] as const;

export function Prices() {
  const { tables } = useSnapshot();
  const now = useCoarseNow(60_000);
  const prices = [...tables.prices.values()].sort(
    (a, b) => (parseTime(b.spec.from) ?? 0) - (parseTime(a.spec.from) ?? 0),
  );
  if (prices.length === 0) return null;
  return (
    <section className="panel" aria-label="prices">
      <header>
        <h2>Prices</h2>
        <span className="small quiet">for an hour</span>
      </header>
      <ul data-list>
        {prices.map(({ metadata, spec }) => (
          <li key={metadata.name} className="price" data-row>
            <div>
              <ObjectLink plural="prices" name={metadata.name} className="strong" />
              <p className="small quiet">hosts with {String(spec.hosts ?? "") || "any labels"}</p>
            </div>
            <p className="second">
              {FIELDS.filter(([field]) => spec[field] != null)
                .map(([field, word]) => `${priceWords(spec[field], spec.currency)} ${word}`)
                .join(", ")}
            </p>
            <p className="small quiet">
              from {moment(parseTime(spec.from) ?? 0, now)}
              {spec.until ? ` until ${moment(parseTime(spec.until) ?? 0, now)}` : ""}
            </p>
            <State {...priceState({ metadata, spec } as never, now)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

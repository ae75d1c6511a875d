// What instances ask for beside what they use, and what they should ask for. Nothing follows from
// it by itself: the figures stand in `run.resources` of a release, which its developers write.
import { useState } from "react";
import { useSizes } from "../../api/forecasts";
import type { SizeReport, SizeRow } from "../../api/objects";
import { MONTH_HOURS, moneyWords, parseMoney } from "../../logic/money";
import { cpuWords, memoryWords, parseCpu, parseMemory } from "../../logic/quantity";
import { fits, SIZES, sizeLead } from "../../logic/sizes";
import { Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import { type Column, Table } from "../../parts/table";

const OVER = ["1d", "7d", "30d"] as const;

export function Sizes() {
  const [over, setOver] = useState<string>(OVER[1]);
  const { data, error, refetch } = useSizes(over);
  return (
    <section className="panel" aria-label="right-sizing">
      <header className="load-head">
        <h2>What instances ask for</h2>
        <span className="small quiet grow">{data ? sizeLead(data) : "and what they use"}</span>
        <div className="choice" role="group" aria-label="looked back">
          {OVER.map((word) => (
            <button
              key={word}
              type="button"
              aria-pressed={over === word}
              onClick={() => setOver(word)}
            >
              {word}
            </button>
          ))}
        </div>
      </header>
      {error && <ProblemView problem={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton lines={4} />}
      {data && data.rows.length > 0 && <Rows report={data} />}
    </section>
  );
}

function Rows({ report }: { report: SizeReport }) {
  return (
    <Table
      label="sizes"
      columns={report.currency ? [...COLUMNS, saves(report.currency)] : COLUMNS}
      rows={report.rows}
      keyOf={(row) => row.deployment}
      compactHeight={84}
      compact={(row) => (
        <div className="capacity-compact">
          <span className="row">
            <span className="strong cut grow">{row.deployment}</span>
            <State {...SIZES[row.verdict]} />
          </span>
          <span className="small">
            <span className="quiet">CPU</span> <Change row={row} say={cpu} />
          </span>
          <span className="small">
            <span className="quiet">memory</span> <Change row={row} say={memory} />
          </span>
        </div>
      )}
    />
  );
}

type Resources = SizeRow["asked"];

const cpu = (of: Resources) => cpuWords(parseCpu(of.cpu));
const memory = (of: Resources) => memoryWords(parseMemory(of.memory));

/** What is asked for, what is used, and what should be asked for where that is something else. */
function Change({ row, say }: { row: SizeRow; say: (of: Resources) => string }) {
  const { asked, used, advised } = row;
  const other = advised && say(advised) !== say(asked);
  return (
    <span className="nowrap">
      {say(asked)}{" "}
      <span className="quiet">asked, {used ? `${say(used)} used` : "use not known"}</span>
      {other && <b> → {say(advised)}</b>}
    </span>
  );
}

const COLUMNS: readonly Column<SizeRow>[] = [
  {
    id: "name",
    head: "Deployment",
    width: "minmax(9rem, 1.2fr)",
    cell: (row) => (
      <>
        <ObjectLink plural="deployments" name={row.deployment} className="strong">
          {row.deployment}
        </ObjectLink>{" "}
        <span className="quiet small">× {row.instances}</span>
      </>
    ),
  },
  {
    id: "verdict",
    head: "",
    width: "minmax(9rem, 1fr)",
    cell: (row) => (
      <span title={row.notes?.join("; ")}>
        <State {...SIZES[row.verdict]} />
      </span>
    ),
  },
  {
    id: "cpu",
    head: "CPU of one",
    width: "minmax(13rem, 1.3fr)",
    cell: (row) => <Change row={row} say={cpu} />,
  },
  {
    id: "memory",
    head: "Memory of one",
    width: "minmax(15rem, 1.4fr)",
    cell: (row) => <Change row={row} say={memory} />,
  },
];

function saves(currency: string): Column<SizeRow> {
  return {
    id: "saves",
    head: "Saves a month",
    width: "8rem",
    right: true,
    cell: (row) => (fits(row) ? "" : moneyWords(parseMoney(row.saves) * MONTH_HOURS, currency)),
  };
}

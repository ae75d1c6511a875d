// The kinds of error lines there are, with what differs left out: how many of each, and when.
import { useMemo, useState } from "react";
import { useRange } from "../../api/metrics";
import { literalOf } from "../../logic/loglines";
import { lengthOf, type Span, stepOf, writeSpan } from "../../logic/period";
import { counted } from "../../logic/quantity";
import type { Values } from "../../logic/series";
import { measured } from "../../logic/units";
import { SparkLine } from "../../parts/spark";
import { Trust } from "../../parts/trust";

interface Props {
  subject: string;
  span: Span;
  onPick: (text: string) => void;
}

const POINTS = 48;
const MOST = 6;

/** The condition a subject stands for. */
function conditionOf(subject: string): string {
  const [kind, name] = [subject.split("/")[0], subject.slice(subject.indexOf("/") + 1)];
  if (
    !["host", "instance", "deployment", "application", "environment", "release"].includes(
      kind ?? "",
    )
  )
    return "";
  return `{${kind}=${JSON.stringify(name)}}`;
}

interface Row {
  readonly template: string;
  readonly count: number;
  readonly values: Values;
}

export function Templates({ subject, span, onPick }: Props) {
  const [all, setAll] = useState(false);
  const step = writeSpan(stepOf(lengthOf(span), POINTS));
  const query = `sum by (template) (increase(atoll_instance_log_errors_total${conditionOf(subject)}[${step}]))`;
  const { data } = useRange(query, span, { points: POINTS });
  const rows = useMemo(() => {
    const list = (data?.lines ?? []).map(
      ({ labels, values }): Row => ({
        template: labels.template ?? "",
        count: values.reduce<number>((sum, v) => sum + (v ?? 0), 0),
        values,
      }),
    );
    return list.filter((row) => row.count >= 0.5).sort((a, b) => b.count - a.count);
  }, [data]);
  if (rows.length === 0) return null;
  const shown = all ? rows : rows.slice(0, MOST);
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  return (
    <section className="panel" aria-label="kinds of errors">
      <header>
        <h2>
          Kinds of errors <span className="quiet">{rows.length}</span>
        </h2>
        <span className="quiet small templates-lines">
          {measured(Math.round(total))} {Math.round(total) === 1 ? "line" : "lines"}
        </span>
        <Trust quality={data?.quality} span={span} />
      </header>
      <ul className="templates" data-list>
        {shown.map((row) => (
          <li key={row.template} data-row>
            <button
              type="button"
              onClick={() => onPick(literalOf(row.template))}
              title="search for its lines"
            >
              <code>{row.template || "unlike any other"}</code>
              <SparkLine
                values={row.values}
                label={`${counted(Math.round(row.count), "line")} over the time`}
              />
              <b>{measured(Math.round(row.count))}</b>
            </button>
          </li>
        ))}
      </ul>
      {rows.length > shown.length && (
        <p className="table-foot">
          <button type="button" className="button slim" onClick={() => setAll(true)}>
            Show all {rows.length}
          </button>
        </p>
      )}
    </section>
  );
}

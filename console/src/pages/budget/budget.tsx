// One budget: what is spent of its month and what that comes to at the month's end, what of the
// hosts it may have, and the approval of what breaks it.
import { type ReactNode, useState } from "react";
import { useCoarseNow, useSnapshot } from "../../api/live";
import type { Budget } from "../../api/objects";
import { approvers, BUDGET, bar, EXCEED, moneyOf, ofWhat } from "../../logic/budgets";
import { moneyWords, parseMoney } from "../../logic/money";
import { counted, exactCpu, memoryWords, parseCpu, parseMemory } from "../../logic/quantity";
import { moment, parseTime } from "../../logic/time";
import { wholeShare } from "../../logic/units";
import { Fact, Facts } from "../../parts/facts";
import { Icon } from "../../parts/icon";
import { Approve } from "../../parts/judging";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { useMayWrite } from "../../shell/who";
import "./budget.css";

interface Props {
  budget: Budget;
  /** On a page of its own, whose head has its name and how it stands. */
  own?: boolean;
  children?: ReactNode;
}

export function BudgetView({ budget, own = false, children }: Props) {
  const { metadata, spec, status } = budget;
  const { name } = metadata;
  const mayWrite = useMayWrite();
  const [approving, setApproving] = useState(false);
  const now = useCoarseNow(60_000);
  const { tables } = useSnapshot();
  const by = approvers(tables.approvals.values(), budget, now);
  return (
    <section className="panel" aria-label={name} data-row>
      <header>
        {own ? (
          <h2>Budget of {ofWhat(budget)}</h2>
        ) : (
          <>
            <h2>
              <ObjectLink plural="budgets" name={name} className="strong" />
            </h2>
            <span className="small second budget-of">{ofWhat(budget)}</span>
            <State {...BUDGET[status.phase ?? "unknown"]} />
          </>
        )}
      </header>
      <div className="body stack tight">
        {spec.month && <MonthView budget={budget} />}
        {spec.resources && <QuotaView budget={budget} />}
        <div className="row wrap">
          <p className="small quiet grow">
            {counted(status.instances ?? 0, "instance")}; {EXCEED[spec.exceed ?? "warn"]}
            {by.length > 0 && `, and is approved this month by ${by.join(", ")}`}
          </p>
          {mayWrite && spec.exceed === "approve" && by.length === 0 && (
            <button
              type="button"
              className="button slim"
              aria-label={`Approve this month: ${name} may be broken`}
              onClick={() => setApproving(true)}
            >
              <Icon name="check" size={14} /> Approve this month
            </button>
          )}
        </div>
        {children}
      </div>
      {approving && (
        <Approve
          subject={`budget/${name}`}
          title={`Let ${name} be broken this month`}
          lead="Until the month ends, changes may cost more than it allows. An approval is never changed; the audit keeps it."
          done={`budget/${name} may be broken until the month ends`}
          onClose={() => setApproving(false)}
        />
      )}
    </section>
  );
}

function MonthView({ budget }: { budget: Budget }) {
  const now = useCoarseNow(60_000);
  const money = moneyOf(budget);
  const { spend, months = [] } = budget.status;
  if (!money || !spend) {
    return (
      <p className="second">
        {moneyWords(parseMoney(budget.spec.month?.limit), budget.spec.month?.currency)} a month;
        nothing is counted yet
      </p>
    );
  }
  const { currency, limit, spent, forecast, rate, blind, priced } = money;
  if (blind) {
    return (
      <p className="row wrap">
        <span className="budget-spent quiet">not known</span>
        <span className="quiet">of {moneyWords(limit, currency)}: nothing of it has a price</span>
      </p>
    );
  }
  const width = bar(spent, forecast, limit);
  const tone = spent > limit ? "bad" : forecast > limit ? "warn" : "use";
  const words = `${moneyWords(spent, currency)} spent, ${moneyWords(forecast, currency)} by the month’s end, of ${moneyWords(limit, currency)}`;
  return (
    <>
      <p className="row wrap">
        <span className="budget-spent">{moneyWords(spent, currency)}</span>
        <span className="grow quiet">
          of {moneyWords(limit, currency)}
          {limit > 0 && `, ${wholeShare(spent / limit)}`}
        </span>
      </p>
      <span className={`spend-bar ${tone}`} role="img" aria-label={words} title={words}>
        <i className="spend-forecast" style={{ width: `${width.forecast}%` }} />
        <i className="spend-spent" style={{ width: `${width.spent}%` }} />
        {width.limit < 100 && <i className="spend-limit" style={{ left: `${width.limit}%` }} />}
      </span>
      <Facts>
        <Fact name="by the month’s end">
          {priced ? (
            <span className={forecast > limit ? "over-word" : undefined}>
              {moneyWords(forecast, currency)}
            </span>
          ) : (
            <span className="quiet">not known: prices are missing</span>
          )}
        </Fact>
        <Fact name="an hour now">{moneyWords(rate, currency)}</Fact>
        <Fact name="counted since">{moment(parseTime(spend.countedFrom) ?? now, now)}</Fact>
        {months.slice(-3).map((past) => (
          <Fact key={`${past.month} ${past.currency}`} name={past.month}>
            {moneyWords(parseMoney(past.spent), past.currency)}
          </Fact>
        ))}
      </Facts>
    </>
  );
}

interface Bounds {
  readonly name: string;
  readonly guaranteed: number;
  readonly ceiling: number | undefined;
  readonly wanted: number | undefined;
  readonly may: number | undefined;
  readonly lent: number;
  readonly borrowed: number;
  readonly words: (value: number) => string;
}

function QuotaView({ budget }: { budget: Budget }) {
  const quota = budget.spec.resources;
  const share = budget.status.share;
  if (!quota) return null;
  const of = (
    name: "cpu" | "memory",
    parse: (written: string | number | null | undefined) => number,
    words: (value: number) => string,
  ): Bounds => ({
    name: name === "cpu" ? "CPU" : "memory",
    guaranteed: parse(quota[name]?.guaranteed),
    ceiling: quota[name]?.ceiling == null ? undefined : parse(quota[name]?.ceiling),
    wanted: share ? parse(share.wanted[name]) : undefined,
    may: share ? parse(share.may[name]) : undefined,
    lent: share ? parse(share.lent[name]) : 0,
    borrowed: share ? parse(share.borrowed[name]) : 0,
    words,
  });
  return (
    <div className="quota">
      <QuotaLine bounds={of("cpu", parseCpu, exactCpu)} />
      <QuotaLine bounds={of("memory", parseMemory, memoryWords)} />
      <p className="small quiet">
        {quota.tier === "core" ? "served first where there is too little" : "can wait"}, weight{" "}
        {quota.weight ?? 1}
      </p>
    </div>
  );
}

/** What is wanted, on a scale from nothing to the most that may be had; guaranteed up to the mark. */
function QuotaLine({ bounds }: { bounds: Bounds }) {
  const { name, guaranteed, ceiling, wanted, may, lent, borrowed, words } = bounds;
  const whole = Math.max(ceiling ?? may ?? 0, guaranteed, wanted ?? 0);
  const part = (value: number) => (whole > 0 ? (value / whole) * 100 : 0);
  const over = wanted !== undefined && may !== undefined && wanted > may;
  const told = [
    wanted === undefined ? "not known what is wanted" : `${words(wanted)} wanted`,
    may !== undefined && `may have ${words(may)}`,
    `${words(guaranteed)} guaranteed`,
    ceiling === undefined ? "no ceiling" : `ceiling ${words(ceiling)}`,
  ].filter(Boolean);
  return (
    <div className="quota-line">
      <span className="strong">{name}</span>
      <span className="quota-bar" role="img" aria-label={`${name}: ${told.join(", ")}`}>
        <i className={over ? "bad" : "use"} style={{ width: `${part(wanted ?? 0)}%` }} />
        <b style={{ left: `${part(guaranteed)}%` }} />
      </span>
      <span className="small second quota-words">
        {told.join(", ")}
        {lent > 0 && (
          <>
            ; <span className="lent">lends {words(lent)}</span>
          </>
        )}
        {borrowed > 0 && (
          <>
            ; <span className="borrowed">borrows {words(borrowed)}</span>
          </>
        )}
      </span>
    </div>
  );
}

// What is spent of each budget and what it comes to at the month's end, what of the hosts each may
// have, and what everything costs whom. What has no price is named, not counted as free.

import { useMemo } from "react";
import { useSnapshot, useSynced } from "../../api/live";
import type { Budget } from "../../api/objects";
import { orderedBudgets } from "../../logic/budgets";
import { counted } from "../../logic/quantity";
import { useAdjust } from "../../parts/adjust";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Reasons } from "../../parts/reasons";
import type { BudgetsSearch } from "../../router";
import { Head } from "../../shell/head";
import { BudgetView } from "./budget";
import { Costs, Prices } from "./costs";
import "./budget.css";

const FIRST = `apiVersion: atoll/v1
kind: Budget
metadata: { name: trade }
spec:
  team: trade                       # and, or instead: application, environment
  month: { limit: "500", currency: EUR }
  exceed: approve                   # or refuse, or warn`;

export function BudgetsPage({ by = "application", currency, per }: BudgetsSearch) {
  const { tables } = useSnapshot();
  const synced = useSynced();
  const set = useAdjust<BudgetsSearch>();
  const budgets = useMemo(() => orderedBudgets(tables.budgets.values()), [tables.budgets]);
  if (!synced) return <Skeleton lines={10} />;
  return (
    <>
      <Head title="Budgets" lead={budgets.length > 0 && leadOf(budgets)} />
      <div className="stack">
        {budgets.length === 0 ? (
          <section className="panel">
            <Empty title="Nobody has a budget yet">
              <p>
                A budget says how much may be spent in a month, or how much of the hosts may be
                used, and what becomes of a change that would break it:
              </p>
              <Example>{FIRST}</Example>
            </Empty>
          </section>
        ) : (
          <div className="budgets" data-list>
            {budgets.map((budget) => (
              <BudgetView key={budget.metadata.name} budget={budget}>
                <Reasons reasons={budget.status.reasons ?? []} most={3} />
              </BudgetView>
            ))}
          </div>
        )}
        <Costs by={by} currency={currency} per={per ?? "hour"} onSet={set} />
        <Prices />
      </div>
    </>
  );
}

function leadOf(budgets: readonly Budget[]): string {
  const in_ = (phase: string) => budgets.filter((b) => b.status.phase === phase).length;
  const told = [
    in_("over") > 0 && `${in_("over")} over`,
    in_("tight") > 0 && `${in_("tight")} tight`,
    in_("unknown") > 0 && `${in_("unknown")} not wholly known`,
  ].filter(Boolean);
  const all = counted(budgets.length, "budget");
  return told.length > 0 ? `${all}: ${told.join(", ")}` : `${all}, all within`;
}

// What asks for attention by rule: alerts, the rules behind them, what keeps them quiet, and who is
// told.

import { useMemo } from "react";
import { useCoarseNow, useFleet, useSynced } from "../../api/live";
import type { Alert, Rule } from "../../api/objects";
import { alertname, grouped, quietBy, silenceState, toldOf } from "../../logic/alerts";
import { counted } from "../../logic/quantity";
import { useAdjust } from "../../parts/adjust";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { found, Search } from "../../parts/search";
import { Tabs } from "../../parts/tabs";
import type { AlertsSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { AlertRow } from "./alert";
import { Receivers } from "./receivers";
import { Rules } from "./rules";
import { Silences } from "./silences";
import "./alerts.css";

export function AlertsPage({ tab = "alerts", q = "", by = "alertname" }: AlertsSearch) {
  const { tables } = useFleet();
  const synced = useSynced();
  const set = useAdjust<AlertsSearch>();
  const now = useCoarseNow(5000);
  const silences = useMemo(() => [...tables.silences.values()], [tables.silences]);
  const alerts = useMemo(() => [...tables.alerts.values()], [tables.alerts]);
  if (!synced) return <Skeleton lines={8} />;
  const firing = alerts.filter((a) => a.status.phase === "firing");
  const quiet = firing.filter((a) => quietBy(a, silences, firing, now).length > 0).length;
  const active = silences.filter((s) => silenceState(s, now) === "active").length;
  return (
    <>
      <Head
        title="Alerts"
        lead={
          firing.length === 0
            ? "nothing fires"
            : `${counted(firing.length, "alert")} firing${quiet > 0 ? `, ${quiet} of them quiet` : ""}`
        }
      >
        {tab === "alerts" && alerts.length > 0 && (
          <div className="toolbar">
            <button
              type="button"
              className="toggle"
              aria-pressed={by === "deployment"}
              onClick={() => set({ by: by === "deployment" ? undefined : "deployment" })}
            >
              By deployment
            </button>
            <Search
              value={q}
              label="Search alerts"
              onChange={(value) => set({ q: value || undefined })}
            />
          </div>
        )}
      </Head>
      <div className="stack">
        <Tabs
          label="views"
          now={tab}
          tabs={[
            { id: "alerts", word: "Alerts", count: firing.length },
            { id: "rules", word: "Rules", count: tables.rules.size },
            { id: "silences", word: "Silences", count: active },
            { id: "receivers", word: "Receivers", count: tables.receivers.size },
          ]}
        />
        {tab === "alerts" && (
          <AlertList
            alerts={alerts.filter((a) => shows(a, q))}
            firing={firing}
            by={by === "deployment" ? "deployment" : "alertname"}
            searching={q !== ""}
          />
        )}
        {tab === "rules" && <Rules rules={[...tables.rules.values()]} />}
        {tab === "silences" && <Silences silences={silences} now={now} />}
        {tab === "receivers" && (
          <Receivers
            receivers={[...tables.receivers.values()]}
            notifications={[...tables.notifications.values()]}
          />
        )}
      </div>
    </>
  );
}

function shows(alert: Alert, query: string): boolean {
  const { labels, annotations, subject, owner } = alert.spec;
  const texts = [...Object.values(labels), ...Object.values(annotations ?? {})];
  return found(query, alertname(alert), subject, owner, alert.status.phase, ...texts);
}

interface ListProps {
  alerts: readonly Alert[];
  firing: readonly Alert[];
  by: "alertname" | "deployment";
  searching: boolean;
}

function AlertList({ alerts, firing, by, searching }: ListProps) {
  const { tables } = useFleet();
  const mayWrite = useMayWrite();
  const now = useCoarseNow(5000);
  const groups = useMemo(() => grouped(alerts, by), [alerts, by]);
  if (groups.length === 0) {
    return (
      <section className="panel">
        {searching ? (
          <Empty title="Nothing matches" />
        ) : (
          <Empty title="No alert, now or lately">
            <Watching rules={[...tables.rules.values()]} />
          </Empty>
        )}
      </section>
    );
  }
  return (
    <div className="stack" data-list>
      {groups.map((group) => (
        <section
          key={group.name}
          className="panel alert-group"
          aria-label={group.name || "no deployment"}
        >
          <header>
            <h2>{group.name || "of no deployment"}</h2>
            <span className="quiet small">{inWords(group.alerts)}</span>
          </header>
          <ul>
            {group.alerts.map((alert) => (
              <AlertRow
                key={alert.metadata.name}
                alert={alert}
                named={by === "deployment"}
                quiet={quietBy(alert, tables.silences.values(), firing, now)}
                told={toldOf(alert, tables.notifications.values())}
                mayWrite={mayWrite}
              />
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}

/** What would raise one. */
function Watching({ rules }: { rules: readonly Rule[] }) {
  const items = rules.flatMap((r) => r.spec.groups ?? []).flatMap((group) => group.rules);
  const alerting = items.filter((item) => item.alert).length;
  if (alerting > 0) {
    return (
      <p>
        {counted(alerting, "condition")} in {counted(rules.length, "rule")}{" "}
        {alerting === 1 ? "is" : "are"} evaluated all the time; none holds.
      </p>
    );
  }
  return (
    <>
      <p>Rules raise alerts. A rule file of Prometheus is taken as it is:</p>
      <Example>atoll apply -f rules.yaml</Example>
    </>
  );
}

function inWords(alerts: readonly Alert[]): string {
  return (["firing", "pending", "resolved"] as const)
    .map((phase) => [alerts.filter((a) => a.status.phase === phase).length, phase] as const)
    .filter(([count]) => count > 0)
    .map(([count, phase]) => `${count} ${phase}`)
    .join(", ");
}

// The rules: what they raise and record, and which could not be worked out.
import { Link } from "@tanstack/react-router";
import type { Rule } from "../../api/objects";
import { order } from "../../logic/fleet";
import { counted } from "../../logic/quantity";
import { Empty, Example } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";

export function Rules({ rules }: { rules: readonly Rule[] }) {
  const broken = (r: Rule) => (r.status.reasons?.length ? 0 : 1);
  const sorted = [...rules].sort(
    (a, b) => broken(a) - broken(b) || order(a.metadata.name, b.metadata.name),
  );
  if (sorted.length === 0) {
    return (
      <section className="panel">
        <Empty title="There are no rules yet">
          <p>A rule file of Prometheus is the spec of a Rule as it is:</p>
          <Example>
            {"apiVersion: atoll/v1\nkind: Rule\nmetadata: { name: mine }\nspec:\n  groups: …"}
          </Example>
        </Empty>
      </section>
    );
  }
  return (
    <div className="stack" data-list>
      {sorted.map((rule) => (
        <RuleView key={rule.metadata.name} rule={rule} />
      ))}
    </div>
  );
}

function stateOf({ status }: Rule) {
  if (status.reasons?.length) return { word: "broken", tone: "bad" } as const;
  if (status.firing > 0) return { word: `${status.firing} firing`, tone: "bad" } as const;
  if (status.pending > 0) return { word: `${status.pending} pending`, tone: "warn" } as const;
  return { word: "quiet", tone: "ok" } as const;
}

/** What tells alerts of one name apart. */
function LabelsOf({ labels }: { labels: Record<string, string> | undefined }) {
  const told = Object.entries(labels ?? {}).filter(([name]) => name !== "severity");
  if (told.length === 0) return null;
  return (
    <span className="rule-labels small quiet">
      {told.map(([name, value]) => `${name}=${value}`).join(" ")}
    </span>
  );
}

function RuleView({ rule }: { rule: Rule }) {
  const groups = rule.spec.groups ?? [];
  const items = groups.flatMap((group) => group.rules.map((item) => ({ group: group.name, item })));
  const alerts = items.filter(({ item }) => item.alert);
  const recorded = items.length - alerts.length;
  return (
    <section className="panel rule" aria-label={rule.metadata.name} data-row>
      <header>
        <h2>
          <ObjectLink plural="rules" name={rule.metadata.name} className="strong" />
        </h2>
        <span className="small quiet">
          {counted(alerts.length, "alert")}, {counted(recorded, "record")}
        </span>
        <State {...stateOf(rule)} />
      </header>
      {rule.status.reasons?.length ? (
        <div className="body">
          <Reasons reasons={rule.status.reasons} />
        </div>
      ) : null}
      <ul className="rule-items">
        {alerts.map(({ group, item }) => (
          <li key={`${group} ${item.alert} ${item.expr}`}>
            <span>
              <span className="strong">{item.alert}</span>
              <LabelsOf labels={item.labels} />
            </span>
            <Link
              to="/query"
              search={{ q: item.expr }}
              className="mono rule-expr"
              title={item.expr}
            >
              {item.expr}
            </Link>
            <span className="small quiet nowrap">
              {[item.for && `for ${item.for}`, item.labels?.severity].filter(Boolean).join(", ")}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

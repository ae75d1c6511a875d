//! `rules` and `alerts`: what Rule and Alert objects say, in the form Prometheus gives it.

use std::sync::Arc;

use atoll_metrics::promql;
use atoll_model::access::Actor;
use atoll_model::alerting::{AlertPhase, RuleGroup, RuleItem};
use atoll_model::{Alert, Object, Rule, Snapshot, Timestamp};
use axum::Extension;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::answer::{Result, Wrong, success};
use super::params::Params;
use crate::App;
use crate::measure::asked::LastAsked;

/// What a rule says of a text that is not wholly filled in.
const TEMPLATE: &str = "rule-template";

/// What is wanted of the rules.
struct Wanted<'a> {
    params: &'a Params,
    alerts: bool,
    records: bool,
    exclude: bool,
}

impl Wanted<'_> {
    fn named(&self, parameter: &str, name: &str) -> bool {
        let mut all = self.params.all(parameter).peekable();
        all.peek().is_none() || all.any(|wanted| wanted == name)
    }
}

/// `/api/v1/rules`.
pub async fn rules(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result {
    let (alerts, records) = match params.get("type") {
        None => (true, true),
        Some("alert") => (true, false),
        Some("record") => (false, true),
        Some(other) => {
            return Err(Wrong::bad_data(format!("invalid parameter \"type\": {other:?}")));
        }
    };
    let exclude = params.get("exclude_alerts") == Some("true");
    let wanted = Wanted { params: &params, alerts, records, exclude };
    let world = app.seen(&actor);
    let mut groups = Vec::new();
    for rule in world.all::<Rule>().filter(|rule| wanted.named("file[]", rule.name())) {
        let last = app.asked.last(rule.name());
        for group in &rule.spec.groups {
            if wanted.named("rule_group[]", &group.name) {
                groups.extend(view(&world, rule, group, last, &wanted));
            }
        }
    }
    Ok(success(json!({ "groups": groups })))
}

fn view(
    world: &Snapshot,
    rule: &Object<Rule>,
    group: &RuleGroup,
    last: Option<LastAsked>,
    wanted: &Wanted,
) -> Option<Value> {
    let of = |item: &&RuleItem| {
        let kind = if item.alert.is_some() { wanted.alerts } else { wanted.records };
        kind && wanted.named("rule_name[]", name_of(item))
    };
    let rules: Vec<Value> = group
        .rules
        .iter()
        .filter(of)
        .map(|item| rule_view(world, rule, group, item, last, wanted.exclude))
        .collect();
    if rules.is_empty() && !group.rules.is_empty() {
        return None;
    }
    Some(json!({
        "name": group.name,
        "file": rule.name(),
        "interval": seconds(group.interval.0),
        "limit": group.limit,
        "rules": rules,
        "evaluationTime": last.map_or(0.0, |last| last.took.as_secs_f64()),
        "lastEvaluation": when(last),
    }))
}

fn name_of(item: &RuleItem) -> &str {
    item.alert.as_deref().or(item.record.as_deref()).unwrap_or_default()
}

/// The expression as it is evaluated.
fn expression(group: &RuleGroup, item: &RuleItem) -> String {
    let narrowed = group.narrow.as_ref();
    let narrowed = narrowed.and_then(|n| promql::with_matcher(&item.expr, &n.label, &n.value).ok());
    narrowed.unwrap_or_else(|| item.expr.clone())
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

fn when(last: Option<LastAsked>) -> String {
    match last {
        Some(last) => last.at.to_string(),
        // What Prometheus says of a rule it has not looked at yet.
        None => "0001-01-01T00:00:00Z".to_owned(),
    }
}

fn rule_view(
    world: &Snapshot,
    rule: &Object<Rule>,
    group: &RuleGroup,
    item: &RuleItem,
    last: Option<LastAsked>,
    exclude: bool,
) -> Value {
    let mut labels = group.labels.clone();
    labels.extend(item.labels.clone());
    let name = name_of(item);
    let of_it = format!("{}, {name}: ", group.name);
    let own = || rule.status.reasons.iter().filter(|reason| reason.message.starts_with(&of_it));
    // What is not filled in of its texts keeps no rule from working.
    let failed = own().find(|reason| reason.code != TEMPLATE);
    let problem = failed.or_else(|| own().next());
    let mut view = json!({
        "name": name,
        "query": expression(group, item),
        "labels": labels,
        "health": match (failed, last) {
            (Some(_), _) => "err",
            (None, Some(_)) => "ok",
            (None, None) => "unknown",
        },
        "evaluationTime": last.map_or(0.0, |last| last.took.as_secs_f64()),
        "lastEvaluation": when(last),
    });
    if let Some(problem) = problem {
        view["lastError"] = json!(problem.message);
    }
    if item.alert.is_none() {
        view["type"] = json!("recording");
        return view;
    }
    let alerts: Vec<&Arc<Object<Alert>>> = world
        .derived::<Alert>(rule.name())
        .filter(|alert| alert.spec.rule == rule.name() && alert.spec.group == group.name)
        .filter(|alert| alert.spec.alertname() == name && is_active(alert))
        .collect();
    let state = alerts.iter().map(|alert| alert.status.phase).max_by_key(|phase| match phase {
        AlertPhase::Firing => 1,
        AlertPhase::Pending | AlertPhase::Resolved => 0,
    });
    view["type"] = json!("alerting");
    view["state"] = json!(state.map_or("inactive", word));
    view["duration"] = json!(seconds(item.hold.unwrap_or_default().0));
    view["keepFiringFor"] = json!(seconds(item.keep_firing_for.unwrap_or_default().0));
    view["annotations"] = json!(item.annotations);
    let alerts = if exclude { Vec::new() } else { alerts };
    view["alerts"] = alerts.into_iter().map(|alert| alert_view(alert)).collect();
    view
}

fn is_active(alert: &Object<Alert>) -> bool {
    alert.status.phase != AlertPhase::Resolved
}

fn word(phase: AlertPhase) -> &'static str {
    match phase {
        AlertPhase::Pending => "pending",
        AlertPhase::Firing => "firing",
        AlertPhase::Resolved => "inactive",
    }
}

fn alert_view(alert: &Object<Alert>) -> Value {
    let mut view = Map::new();
    view.insert("labels".to_owned(), json!(alert.spec.labels));
    view.insert("annotations".to_owned(), json!(alert.spec.annotations));
    view.insert("state".to_owned(), json!(word(alert.status.phase)));
    let at: Timestamp = alert.status.active_at;
    view.insert("activeAt".to_owned(), json!(at.to_string()));
    view.insert("value".to_owned(), json!(alert.status.value));
    if alert.status.quiet_since.is_some() {
        let since = alert.status.quiet_since.map(|at| at.to_string());
        view.insert("keepFiringSince".to_owned(), json!(since));
    }
    let more = json!({
        "name": alert.name(),
        "subject": alert.spec.subject,
        "owner": alert.spec.owner,
        "suspect": alert.spec.suspect,
        "blindSince": alert.status.blind_since,
    });
    view.insert("atoll".to_owned(), more);
    Value::Object(view)
}

/// `/api/v1/alerts`.
pub async fn alerts(State(app): State<App>, Extension(actor): Extension<Actor>) -> Result {
    let world = app.seen(&actor);
    let all = world.all::<Alert>().filter(|alert| is_active(alert));
    let all: Vec<Value> = all.map(|alert| alert_view(alert)).collect();
    Ok(success(json!({ "alerts": all })))
}

#[cfg(test)]
mod tests {
    use atoll_model::Reason;

    use super::*;

    #[test]
    fn a_rule_works_whose_text_is_not_wholly_filled_in() {
        let spec = json!({ "groups": [{ "name": "g", "rules": [
            { "alert": "Slow", "expr": "a > 1" }, { "alert": "VerySlow", "expr": "a > 2" },
        ] }] });
        let mut rule = Object::new("r", serde_json::from_value::<Rule>(spec).unwrap());
        rule.status.reasons = vec![
            Reason::new(TEMPLATE, "g, Slow: {{ query }} is left as it is"),
            Reason::new("rule-failed", "g, VerySlow: the store is away"),
        ];
        let last = LastAsked { at: Timestamp(0), took: std::time::Duration::ZERO };
        let health = |at: usize| {
            let group = &rule.spec.groups[0];
            let world = Snapshot::default();
            let view = rule_view(&world, &rule, group, &group.rules[at], Some(last), false);
            (view["health"].clone(), view["lastError"].clone())
        };
        assert_eq!(health(0), (json!("ok"), json!("g, Slow: {{ query }} is left as it is")));
        assert_eq!(health(1), (json!("err"), json!("g, VerySlow: the store is away")));
    }
}

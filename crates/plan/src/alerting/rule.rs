//! Rules: which questions are asked and when, and the alerts that stand for the answers. What an
//! answer does to an alert is in `evaluate.rs`. It evaluates no PromQL.
//!
//! A group is evaluated at times fixed by its name and interval, so that whoever plans, and
//! however often, comes to the same alerts.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::alerting::{Alert, AlertPhase, RuleGroup, RuleItem, RuleStatus};
use atoll_model::{
    Any, Deployment, Intent, Kind, Object, Reason, Rule, Snapshot, Span, Timestamp, Write,
};

use super::evaluate::Evaluation;
use crate::query::{Query, Recording};
use crate::{Context, Plan, checksum, sooner};

/// One plan writes so many objects at most; the rest follows at once in the next.
pub(super) const MOST_WRITES: usize = 2000;
/// Alerts that have ended are kept this long, to be seen and told.
pub(super) const KEPT: Span = Span::seconds(900);
/// A group with a longer interval is evaluated within this time after its due time, or a quarter
/// of its interval, and not with every other group.
const FRESH: Span = Span::seconds(60);
/// After the due time, so that what was measured at it has arrived.
const MARGIN: Span = Span(5);

/// What is asked for one rule object: each group that is due, its rules in order.
pub fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let Some(rule) = cx.world.get::<Rule>(name) else { return Vec::new() };
    if rule.meta.deleting() || is_orphan(cx.world, rule) {
        return Vec::new();
    }
    let mut live: BTreeSet<(&str, &str)> = BTreeSet::new();
    for alert in alerts_of(cx.world, name) {
        live.insert((alert.spec.group.as_str(), alert.spec.alertname()));
    }
    let mut queries = Vec::new();
    for group in &rule.spec.groups {
        let at = due_at(name, group, cx.now);
        if cx.now.since(at) > FRESH.max(Span(group.interval.0 / 4)) {
            continue;
        }
        for (index, item) in group.rules.iter().enumerate() {
            let mut query = query(group, item, index, at);
            if let Some(alert) = &item.alert
                && live.contains(&(group.name.as_str(), alert.as_str()))
            {
                let name = key(group, item, index, at, true);
                queries.push(Query { name, unfiltered: true, ..query.clone() });
            }
            query.record = item.record.as_ref().map(|metric| {
                let mut labels = group.labels.clone();
                labels.extend(item.labels.clone());
                Recording {
                    metric: metric.clone(),
                    labels,
                    limit: group.limit,
                    alone: false,
                    fresh: false,
                }
            });
            queries.push(query);
        }
    }
    queries
}

fn query(group: &RuleGroup, item: &RuleItem, index: usize, at: Timestamp) -> Query {
    let asked = at - group.query_offset.unwrap_or_default();
    let mut query = Query::at(key(group, item, index, at, false), &item.expr, asked);
    query.narrowed = group.narrow.as_ref().map(|n| (n.label.clone(), n.value.clone()));
    query
}

/// Names an answer. The expression is part of it: an answer to a rule that was changed meanwhile
/// is no answer to what it is now.
pub(super) fn key(
    group: &RuleGroup,
    item: &RuleItem,
    index: usize,
    at: Timestamp,
    unfiltered: bool,
) -> String {
    let sum = checksum([group.name.as_bytes(), item.expr.as_bytes()]);
    format!("{sum:x}.{index}.{}.{}", at.0, u8::from(unfiltered))
}

/// The last time at or before `now` the group is to be evaluated.
pub(super) fn due_at(rule: &str, group: &RuleGroup, now: Timestamp) -> Timestamp {
    let interval = i64::try_from(group.interval.0.max(1)).unwrap_or(i64::MAX);
    let sum = checksum([rule.as_bytes(), group.name.as_bytes()]);
    let offset = i64::try_from(sum % group.interval.0.max(1)).unwrap_or(0);
    Timestamp((now.0 - offset).div_euclid(interval) * interval + offset)
}

/// The alerts of a rule, by name.
pub(crate) fn alerts_of<'a>(
    world: &'a Snapshot,
    rule: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Alert>>> {
    // The name of another rule may begin with this one's and a dot.
    world.derived::<Alert>(rule).filter(move |alert| alert.spec.rule == rule)
}

/// A rule that was derived from a deployment which is no more.
fn is_orphan(world: &Snapshot, rule: &Object<Rule>) -> bool {
    rule.name().contains('.') && world.get::<Deployment>(rule.name()).is_none()
}

/// Plans for one rule object.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(rule) = cx.world.get::<Rule>(name) else {
        let mut plan = Plan::nothing();
        clear(cx, name, &mut plan);
        return plan;
    };
    if rule.meta.deleting() || is_orphan(cx.world, rule) {
        return remove(cx, rule);
    }
    let mut evaluation = Evaluation::new(cx, rule);
    for group in &rule.spec.groups {
        if let Some(at) = answered_at(cx, name, group) {
            evaluation.group(group, at);
        }
    }
    evaluation.left_over();
    evaluation.forget_old();
    evaluation.tell();
    let mut again_at = evaluation.again_at;
    for group in &rule.spec.groups {
        let next = due_at(name, group, cx.now) + group.interval + MARGIN;
        again_at = sooner(again_at, Some(next));
    }
    let full = evaluation.is_full();
    let status = evaluation.status();
    let mut plan = evaluation.plan;
    if full {
        plan.again_at = Some(cx.now);
        return plan;
    }
    plan.again_at = again_at;
    if status != rule.status {
        let mut new = Object::clone(rule);
        plan.reasons.extend(news(&rule.status, &status));
        new.status = status;
        plan.writes.push(Write::Put(Any::Rule(Arc::new(new))));
    }
    plan
}

fn news(old: &RuleStatus, new: &RuleStatus) -> Vec<Reason> {
    new.reasons.iter().filter(|reason| !old.reasons.contains(reason)).cloned().collect()
}

/// The time a group was asked about, if it was: between asking and planning the next may have
/// come.
fn answered_at(cx: &Context, rule: &str, group: &RuleGroup) -> Option<Timestamp> {
    let last = due_at(rule, group, cx.now);
    let item = group.rules.first()?;
    let asked = |at: &Timestamp| cx.measured.answers.contains_key(&key(group, item, 0, *at, false));
    [last, last - group.interval].into_iter().find(asked)
}

/// The rule objects a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        // A status, its own, is nothing new to it.
        (Some(Any::Rule(old)), Some(Any::Rule(new)))
            if old.spec == new.spec && old.meta.deleted_at == new.meta.deleted_at =>
        {
            Vec::new()
        }
        (_, Some(Any::Rule(rule))) | (Some(Any::Rule(rule)), None) => vec![rule.meta.name.clone()],
        (Some(Any::Deployment(gone)), None) if world.get::<Rule>(gone.name()).is_some() => {
            vec![gone.meta.name.clone()]
        }
        _ => Vec::new(),
    }
}

/// The alerts of a rule go with it; those who were told of them are told that they ended.
fn remove(cx: &Context, rule: &Object<Rule>) -> Plan {
    let mut plan = Plan::new(Intent::Remove);
    clear(cx, rule.name(), &mut plan);
    if plan.again_at.is_none() {
        plan.writes.push(Write::Delete {
            kind: Kind::Rule,
            name: rule.meta.name.clone(),
            revision: rule.meta.revision,
        });
    }
    plan
}

fn clear(cx: &Context, name: &str, plan: &mut Plan) {
    for alert in alerts_of(cx.world, name) {
        if plan.writes.len() >= MOST_WRITES {
            plan.again_at = Some(cx.now);
            return;
        }
        plan.writes.push(delete(alert));
    }
    if !plan.writes.is_empty() {
        plan.intent = Intent::Remove;
        let message = format!("the alerts of {name} go with it");
        plan.reasons.push(Reason::new("rule-gone", message));
    }
}

pub(super) fn delete(alert: &Object<Alert>) -> Write {
    Write::Delete {
        kind: Kind::Alert,
        name: alert.meta.name.clone(),
        revision: alert.meta.revision,
    }
}

/// Whether an alert has an end behind it, and may be forgotten at this time.
pub(super) fn forgotten_at(alert: &Object<Alert>) -> Option<Timestamp> {
    let ended = alert.status.phase == AlertPhase::Resolved;
    ended.then(|| alert.status.resolved_at.unwrap_or_default() + KEPT)
}

//! How well a promise is kept: the budget that is left, counted in events, and whether it burns.
//! It reads the series that the rule of the deployment records. Not the gate, which is
//! `decision/budget.rs`.

use std::sync::Arc;

use atoll_model::alerting::AlertPhase;
use atoll_model::monitoring::{ObjectivePhase, ObjectiveStatus};
use atoll_model::{
    Alert, Any, Deployment, Intent, Object, Objective, Reason, Snapshot, Span, Timestamp, Write,
};

use super::promise::delete;
use super::series::{self, BAD_1H, BAD_SO_FAR, EVENTS, EVENTS_EXPECTED, EVENTS_SO_FAR};
use crate::query::{Answer, Query};
use crate::{Context, Plan, checksum};

/// How often.
const EVERY: Span = Span::seconds(60);
/// One bad event alone never spends a budget.
const LEAST_BAD: f64 = 1.5;

/// What is asked, by the name of the answer.
const ASKED: [(&str, &str); 5] = [
    ("fresh", EVENTS),
    ("bad", BAD_SO_FAR),
    ("events", EVENTS_SO_FAR),
    ("expected", EVENTS_EXPECTED),
    ("burn", BAD_1H),
];

/// What is asked for one objective.
pub fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let Some(objective) = cx.world.get::<Objective>(name) else { return Vec::new() };
    let of = series::selector(&objective.spec.deployment, &objective.spec.promise.name);
    let at = due_at(name, cx.now);
    ASKED.map(|(name, metric)| Query::at(name, format!("{metric}{of}"), at)).into()
}

fn due_at(name: &str, now: Timestamp) -> Timestamp {
    let every = EVERY.0 as i64;
    let offset = (checksum([name.as_bytes()]) % EVERY.0) as i64;
    Timestamp((now.0 - offset).div_euclid(every) * every + offset)
}

/// Plans for one objective.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(objective) = cx.world.get::<Objective>(name) else { return Plan::nothing() };
    if cx.world.get::<Deployment>(&objective.spec.deployment).is_none() {
        let mut plan = Plan::new(Intent::Remove);
        plan.writes.push(delete(objective));
        return plan;
    }
    let mut plan = Plan::nothing();
    plan.again_at = Some(due_at(name, cx.now) + EVERY);
    if cx.measured.answers.is_empty() {
        return plan;
    }
    let mut status = objective.status.clone();
    measure(cx, objective, &mut status);
    if status.phase != objective.status.phase || status.since.is_none() {
        status.since = Some(cx.now);
    }
    if status != objective.status {
        plan.reasons.clone_from(&status.reasons);
        let mut new = Object::clone(objective);
        new.status = status;
        plan.writes.push(Write::Put(Any::Objective(Arc::new(new))));
    }
    plan
}

/// The objectives a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Objective(old)), Some(Any::Objective(new))) if old.spec == new.spec => {
            Vec::new()
        }
        (_, Some(Any::Objective(objective))) => vec![objective.meta.name.clone()],
        (old, new) => {
            let of = |any: Option<&Any>| match any {
                Some(Any::Alert(alert)) => Some((alert.clone(), alert.status.phase)),
                _ => None,
            };
            let (old, new) = (of(old), of(new));
            if old.as_ref().map(|old| old.1) == new.as_ref().map(|new| new.1) {
                return Vec::new();
            }
            let alert = new.or(old).map(|(alert, _)| alert);
            let name = alert
                .and_then(|a| Some(format!("{}.{}", a.spec.rule, a.spec.labels.get("objective")?)));
            name.filter(|name| world.get::<Objective>(name).is_some()).into_iter().collect()
        }
    }
}

/// **Invariant:** without fresh data nothing is said to be kept, and a budget that was spent is not
/// said to be back.
fn measure(cx: &Context, objective: &Object<Objective>, status: &mut ObjectiveStatus) {
    let promise = &objective.spec.promise;
    let answers = &cx.measured.answers;
    if let Some(Err(reason)) =
        ASKED.iter().find_map(|(name, _)| answers.get(*name).filter(|a| a.is_err()))
    {
        // What was known stays known.
        status.reasons = vec![reason.clone()];
        return;
    }
    let value = |name: &str| answers.get(name)?.as_ref().ok().and_then(|answer| sole(answer));
    let deployment = &objective.spec.deployment;
    let measured = (value("fresh"), value("bad"), value("events"), value("expected"));
    let (Some(_), Some(bad), Some(events), Some(expected)) = measured else {
        status.spent_before = status.is_spent();
        status.phase = ObjectivePhase::NoData;
        status.burn_rate = None;
        let hint = format!("atoll why rule/{deployment} says whether its rules can be evaluated");
        let message = format!("there is no fresh data for {}", promise.name);
        status.reasons = vec![Reason::new("no-data", message).hint(hint)];
        return;
    };
    let budget = (promise.allowed() * expected.max(events)).max(1.0);
    let left = 1.0 - bad / budget;
    status.good = (events > 0.0).then(|| rounded(1.0 - bad / events, 10_000.0));
    status.budget_left = Some(rounded(left, 100.0));
    status.burn_rate = burn(value("burn"), promise.allowed(), status.burn_rate);
    let spent = left <= 0.0 && bad >= LEAST_BAD;
    status.spent_before = false;
    status.phase = match spent {
        true => ObjectivePhase::Spent,
        false if burns(cx.world, objective) => ObjectivePhase::Burning,
        false => ObjectivePhase::Kept,
    };
    status.reasons = reasons(objective, status.phase);
}

fn reasons(objective: &Object<Objective>, phase: ObjectivePhase) -> Vec<Reason> {
    let (promise, deployment) = (&objective.spec.promise, &objective.spec.deployment);
    let window = promise.window;
    match phase {
        ObjectivePhase::Spent => {
            let message = format!("the error budget of {} over {window} is spent", promise.name);
            vec![Reason::new("budget-spent", message).hint(format!(
                "releases of {deployment} are held; going back is not. What was bad counts until \
                 it is {window} ago"
            ))]
        }
        ObjectivePhase::Burning => {
            let message = format!("the error budget of {} is spent too fast", promise.name);
            let hint = format!("atoll why deployment/{deployment}");
            vec![Reason::new("burning", message).hint(hint)]
        }
        _ => Vec::new(),
    }
}

/// An alert of its rule fires.
fn burns(world: &Snapshot, objective: &Object<Objective>) -> bool {
    let name = &objective.spec.promise.name;
    crate::alerting::rule::alerts_of(world, &objective.spec.deployment).any(
        |alert: &Arc<Object<Alert>>| {
            alert.status.phase == AlertPhase::Firing
                && alert.spec.labels.get("objective") == Some(name)
        },
    )
}

/// The value of an answer's only series, unless it is not a number.
fn sole(answer: &Answer) -> Option<f64> {
    let (_, value) = answer.series.first()?.points.last()?;
    value.is_finite().then_some(*value)
}

/// To one digit; one close to what is known is not news.
fn burn(bad: Option<f64>, allowed: f64, known: Option<f64>) -> Option<f64> {
    let rate = rounded(bad? / allowed.max(f64::MIN_POSITIVE), 10.0);
    let near = |known: &f64| (known - rate).abs() <= (known.abs() * 0.25).max(0.1);
    // None at all is always news.
    known.filter(|known| near(known) && (rate > 0.0 || *known == 0.0)).or(Some(rate))
}

/// Rounded to a multiple of one over `parts`; never minus zero.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts + 0.0
}

//! The lines of what is watched and of who is told: monitors, objectives, rules, alerts,
//! silences, receivers, messages and analyses.

use atoll_model::alerting::AlertPhase;
use atoll_model::guard::Verdict;
use atoll_model::monitoring::{MonitorPhase, ObjectivePhase};
use atoll_model::notification::NotificationPhase;
use atoll_model::{
    Alert, Analysis, Monitor, Notification, Object, Objective, Receiver, Rule, Silence, Timestamp,
};

use super::{Cell, aged, cell, figure, name, pairs, reason, text, word};
use crate::clock::short;
use crate::terminal::Tone;

pub(super) fn monitor(o: &Object<Monitor>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        MonitorPhase::Up => Tone::Good,
        MonitorPhase::Unknown => Tone::Busy,
        MonitorPhase::Degraded | MonitorPhase::Down => Tone::Bad,
    };
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("PROBE", spec.probe.word()),
        cell("TARGET", spec.probe.targets().join(",")),
        cell("UP", format!("{}/{}", status.up, spec.probe.targets().len())),
        cell("EVERY", spec.every.to_string()),
        cell("OWNER", text(&spec.owner)).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn objective(o: &Object<Objective>, now: Timestamp) -> Vec<Cell> {
    let (promise, status) = (&o.spec.promise, &o.status);
    let tone = match status.phase {
        ObjectivePhase::Kept => Tone::Good,
        ObjectivePhase::NoData => Tone::Busy,
        ObjectivePhase::Burning | ObjectivePhase::Spent => Tone::Bad,
    };
    let percent = |share: Option<f64>, digits: usize| {
        share.map(|share| format!("{:.digits$}%", share * 100.0)).unwrap_or_default()
    };
    let below = promise.below.as_ref().map(|below| format!("below {below}"));
    let target = promise.target.clone().into_iter().chain(below);
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("TARGET", target.collect::<Vec<_>>().join(", ")),
        cell("GOOD", percent(status.good, 2)),
        cell("BUDGET-LEFT", percent(status.budget_left, 0)),
        cell("BURN-RATE", status.burn_rate.map(|rate| format!("{rate:.1}")).unwrap_or_default()),
        cell("WINDOW", promise.window.to_string()),
        cell("OWNER", text(&o.spec.owner)).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn rule(o: &Object<Rule>, now: Timestamp) -> Vec<Cell> {
    let rules = o.spec.groups.iter().flat_map(|group| &group.rules);
    let alerting = rules.clone().filter(|rule| rule.alert.is_some()).count();
    let firing = if o.status.firing > 0 { Tone::Bad } else { Tone::Plain };
    vec![
        name(&o.meta),
        cell("GROUPS", o.spec.groups.len().to_string()),
        cell("ALERTING", alerting.to_string()),
        cell("RECORDING", (rules.count() - alerting).to_string()),
        cell("FIRING", o.status.firing.to_string()).tone(firing),
        cell("PENDING", o.status.pending.to_string()),
        cell("OWNER", text(&o.spec.owner)).wide(),
        aged(&o.meta, now),
        reason(&o.status.reasons),
    ]
}

pub(super) fn alert(o: &Object<Alert>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        AlertPhase::Firing => Tone::Bad,
        AlertPhase::Pending => Tone::Busy,
        AlertPhase::Resolved => Tone::Good,
    };
    let since = match status.phase {
        AlertPhase::Resolved => status.resolved_at,
        AlertPhase::Firing => status.fired_at,
        AlertPhase::Pending => None,
    };
    let since = since.unwrap_or(status.active_at);
    let severity = spec.labels.get("severity").cloned().unwrap_or_default();
    vec![
        name(&o.meta),
        cell("ALERT", spec.alertname()),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("SEVERITY", severity),
        cell("ABOUT", text(&spec.subject)),
        cell("VALUE", status.value.parse().map_or_else(|_| status.value.clone(), figure)),
        cell("SINCE", short(now.since(since))),
        cell("SUSPECT", spec.suspect.as_ref().map(|s| s.object.clone()).unwrap_or_default()),
        cell("OWNER", text(&spec.owner)).wide(),
        cell("LABELS", pairs(&spec.labels, "=")).wide(),
        reason(&status.reasons),
    ]
}

pub(super) fn silence(o: &Object<Silence>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let ahead = spec.from.is_some_and(|from| from > now);
    let over = spec.until.is_some_and(|until| until <= now);
    let (state, tone) = match (ahead, over) {
        (_, true) => ("over", Tone::Dim),
        (true, _) => ("ahead", Tone::Plain),
        _ => ("active", Tone::Busy),
    };
    vec![
        name(&o.meta),
        cell("STATE", state).tone(tone),
        cell("ALERTS", spec.matchers.join(",")),
        cell("WHILE-FIRING", spec.while_firing.join(",")),
        cell("UNTIL", spec.until.map(|t| t.to_string()).unwrap_or_default()),
        aged(&o.meta, now),
        cell("REASON", spec.reason.clone()),
    ]
}

pub(super) fn receiver(o: &Object<Receiver>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let sent = status.last_sent.map(|at| format!("{} ago", short(now.since(at))));
    let tone = if status.reasons.is_empty() { Tone::Plain } else { Tone::Bad };
    vec![
        name(&o.meta),
        cell("CHANNEL", o.spec.channel.word()),
        cell("ROUTES", o.spec.routes.len().to_string()),
        cell("LAST-SENT", text(&sent)),
        cell("WAITING", status.waiting.to_string()).tone(tone),
        cell("HEARTBEAT", o.spec.heartbeat.map(|span| span.to_string()).unwrap_or_default()),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn notification(o: &Object<Notification>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        NotificationPhase::Sent => Tone::Good,
        NotificationPhase::Pending => Tone::Busy,
        NotificationPhase::Abandoned => Tone::Bad,
    };
    vec![
        name(&o.meta),
        cell("RECEIVER", spec.receiver.clone()),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("CAUSE", word(&spec.cause)),
        cell("ALERTS", spec.alerts.len().to_string()),
        cell("GROUP", pairs(&spec.group, "=")),
        cell("ATTEMPTS", status.attempts.to_string()),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn analysis(o: &Object<Analysis>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Warn | Verdict::InsufficientData => Tone::Busy,
        Verdict::Stop | Verdict::RollBack => Tone::Bad,
    };
    let feedback = spec.feedback.as_ref().map(|f| if f.right { "right" } else { "wrong" });
    let said = status.steps.last().map(|step| step.message.clone());
    vec![
        name(&o.meta),
        cell("VERDICT", status.verdict.words()).tone(tone),
        cell("TRIAL", if status.trial { "yes" } else { "" }),
        cell("STEPS", status.steps.len().to_string()),
        cell("FROM", text(&spec.from)),
        cell("FEEDBACK", feedback.unwrap_or_default()),
        aged(&o.meta, now),
        cell("REASON", said.unwrap_or_default()),
    ]
}

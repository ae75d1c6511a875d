//! Why monitors, objectives, rules, alerts and those who are told of them are as they are.

use std::sync::Arc;

use atoll_model::alerting::AlertPhase;
use atoll_model::monitoring::ObjectivePhase;
use atoll_model::notification::NotificationPhase;
use atoll_model::{
    Alert, Analysis, Any, Monitor, Notification, Object, Objective, Receiver, Rule, Silence, many,
};

use super::{NAMED, Told, ago, word};
use crate::Context;
use crate::alerting::next_try;
use crate::alerting::quiet::Quiet;
use crate::alerting::receiver::told_of;
use crate::alerting::route::receivers_of;
use crate::alerting::rule::alerts_of;
use crate::monitoring::series::percent;

/// Tells of one object of monitoring or alerting.
pub(super) fn tell(cx: &Context, any: &Any, told: &mut Told) {
    match any {
        Any::Alert(it) => alert(cx, it, told),
        Any::Rule(it) => rule(cx, it, told),
        Any::Silence(it) => silence(cx, it, told),
        Any::Receiver(it) => receiver(cx, it, told),
        Any::Notification(it) => notification(it, told),
        Any::Objective(it) => objective(cx, it, told),
        Any::Monitor(it) => monitor(cx, it, told),
        Any::Analysis(it) => analysis(it, told),
        other => told.state = format!("{} exists.", other.id()),
    }
}

/// The state of such an object in one word, where it has one.
pub(super) fn phase(any: &Any) -> Option<String> {
    match any {
        Any::Alert(it) => Some(word(&it.status.phase)),
        Any::Notification(it) => Some(word(&it.status.phase)),
        Any::Objective(it) => Some(word(&it.status.phase)),
        Any::Monitor(it) => Some(word(&it.status.phase)),
        _ => None,
    }
}

fn alert(cx: &Context, it: &Arc<Object<Alert>>, told: &mut Told) {
    let (spec, status) = (&it.spec, &it.status);
    let about = spec.subject.as_ref().map(|s| format!(" for {s}")).unwrap_or_default();
    let owner = spec.owner.as_ref().map(|o| format!(" {o} answers for it.")).unwrap_or_default();
    let name = spec.alertname();
    let since = ago(cx, Some(status.active_at));
    told.state = match status.phase {
        AlertPhase::Pending => format!("{name}{about} holds{since}, and does not fire yet."),
        AlertPhase::Firing => {
            let since = ago(cx, status.fired_at);
            format!("{name}{about} fires{since}; its value was {} then.", status.value)
        }
        AlertPhase::Resolved => match status.resolved_at {
            Some(at) => format!("{name}{about} ended at {at}."),
            None => format!("{name}{about} ended."),
        },
    };
    told.state.push_str(&owner);
    if let Some(suspect) = &spec.suspect {
        let message = format!(
            "what most likely caused it: {} at {}: {}",
            suspect.change, suspect.at, suspect.why
        );
        told.reasons.push(atoll_model::Reason::new("suspect", message));
        told.see(suspect.object.clone());
    }
    wait_of_alert(cx, it, told);
    if let Some(silence) = Quiet::of(cx.world, cx.now).by(spec) {
        let message = format!("silence/{silence} keeps it quiet");
        told.reasons.push(atoll_model::Reason::new("silenced", message));
        told.see(format!("silence/{silence}"));
    }
    let messages = told_of(cx.world, it.name());
    for (message, at) in messages.iter().rev().take(NAMED) {
        let (to, phase) = (&message.spec.receiver, word(&message.status.phase));
        let said = format!("receiver/{to} was told at {at} ({phase})");
        told.reasons.push(atoll_model::Reason::new("told", said));
    }
    let receivers = receivers_of(cx.world, spec);
    if receivers.is_empty() && status.phase == AlertPhase::Firing {
        let reason = atoll_model::Reason::new("nobody", "no receiver has a route that takes it");
        told.reasons.push(reason.hint("atoll get receivers; a route without matchers takes all"));
    }
    told.see.extend(spec.subject.clone());
    told.see(format!("rule/{}", spec.rule));
    for receiver in receivers {
        told.see(format!("receiver/{receiver}"));
    }
}

fn wait_of_alert(cx: &Context, it: &Object<Alert>, told: &mut Told) {
    let status = &it.status;
    if status.blind_since.is_some() {
        told.waiting_for.push(format!("data; there is none{}", ago(cx, status.blind_since)));
    } else if status.quiet_since.is_some() && status.phase == AlertPhase::Firing {
        told.waiting_for
            .push(format!("its end to last; it no longer holds{}", ago(cx, status.quiet_since)));
    } else if status.phase == AlertPhase::Pending {
        told.waiting_for.push(match hold(cx, it) {
            Some(hold) => format!("it to hold for {hold}"),
            None => "it to hold for as long as its rule says".to_owned(),
        });
    }
}

fn hold(cx: &Context, it: &Object<Alert>) -> Option<atoll_model::Span> {
    let rule = cx.world.get::<Rule>(&it.spec.rule)?;
    let group = rule.spec.groups.iter().find(|group| group.name == it.spec.group)?;
    let own = group.rules.iter().filter(|r| r.alert.as_deref() == Some(it.spec.alertname()));
    own.filter_map(|rule| rule.hold).min()
}

fn rule(cx: &Context, it: &Object<Rule>, told: &mut Told) {
    let rules: usize = it.spec.groups.iter().map(|group| group.rules.len()).sum();
    let groups = many(it.spec.groups.len(), "group");
    let (firing, pending) = (it.status.firing, it.status.pending);
    told.state = format!(
        "{} holds {} in {groups}; {firing} of its alerts fire, {pending} are pending.",
        it.name(),
        many(rules, "rule")
    );
    if it.name().contains('.') {
        told.state.push_str(" It is made from the application's objectives.");
        told.see(format!("deployment/{}", it.name()));
    }
    let fires = |alert: &&Arc<Object<Alert>>| alert.status.phase == AlertPhase::Firing;
    for alert in alerts_of(cx.world, it.name()).filter(fires).take(NAMED) {
        told.see(format!("alert/{}", alert.name()));
    }
}

fn silence(cx: &Context, it: &Object<Silence>, told: &mut Told) {
    let spec = &it.spec;
    let when = match (spec.active(cx.now), spec.from, spec.until) {
        (true, _, Some(until)) => format!("is in force until {until}"),
        (true, _, None) => "is in force until it is deleted".to_owned(),
        (false, Some(from), _) if from > cx.now => format!("begins at {from}"),
        _ => "is over".to_owned(),
    };
    let only = match spec.while_firing.as_slice() {
        [] => String::new(),
        matchers => format!(", while an alert with {} fires", matchers.join(", ")),
    };
    let quiet = Quiet::of(cx.world, cx.now);
    let fires = |alert: &&Arc<Object<Alert>>| alert.status.phase == AlertPhase::Firing;
    let held = |alert: &&Arc<Object<Alert>>| quiet.by(&alert.spec) == Some(it.name());
    let held: Vec<_> = cx.world.all::<Alert>().filter(fires).filter(held).collect();
    told.state = format!(
        "{} {when}{only}, for {}: {}. It keeps {} quiet now.",
        it.name(),
        spec.matchers.join(", "),
        spec.reason,
        many(held.len(), "alert")
    );
    for alert in held.iter().take(NAMED) {
        told.see(format!("alert/{}", alert.name()));
    }
}

fn receiver(cx: &Context, it: &Object<Receiver>, told: &mut Told) {
    let last = match it.status.last_sent {
        Some(at) => format!("was last told at {at}, {} ago", cx.now.since(at).rough()),
        None => "has never been told anything".to_owned(),
    };
    let (name, how) = (it.name(), it.spec.channel.word());
    told.state = format!("{name} is told by {how} and {last}.");
    if let Some(every) = it.spec.heartbeat {
        told.state.push_str(&format!(" It hears every {every} that alerting works."));
    }
    let waits = it.status.waiting as usize;
    if waits > 0 {
        let tried = next_try(cx.world, name).map(|at| match at > cx.now {
            true => format!("; the next try is at {at}, in {}", at.since(cx.now).rough()),
            false => "; it is tried now".to_owned(),
        });
        let messages = many(waits, "message");
        told.waiting_for.push(format!("{messages} to be sent{}", tried.unwrap_or_default()));
    }
    let messages: Vec<_> = cx.world.derived::<Notification>(name).collect();
    for message in messages.iter().rev().take(NAMED) {
        told.see(format!("notification/{}", message.name()));
    }
}

fn notification(it: &Object<Notification>, told: &mut Told) {
    let (spec, status) = (&it.spec, &it.status);
    let firing = spec.alerts.iter().filter(|note| note.firing).count() + spec.more as usize;
    let ended = spec.alerts.iter().filter(|note| !note.firing).count() + spec.more_ended as usize;
    let what = match spec.cause {
        atoll_model::notification::Cause::Heartbeat => "that alerting works".to_owned(),
        _ => format!("{firing} firing, {ended} ended"),
    };
    let (number, to) = (spec.number, &spec.receiver);
    let became = match (status.phase, status.at) {
        (NotificationPhase::Sent, Some(at)) => format!("it got through at {at}"),
        (NotificationPhase::Sent, None) => "it got through".to_owned(),
        (NotificationPhase::Abandoned, _) => "it was given up".to_owned(),
        (NotificationPhase::Pending, _) => format!("it was tried {} times", status.attempts),
    };
    told.state = format!("message {number} to {to}, made at {}: {what}; {became}.", spec.at);
    if let (NotificationPhase::Pending, Some(at)) = (status.phase, status.retry_at) {
        told.waiting_for.push(format!("the next attempt at {at}"));
    }
    told.see(format!("receiver/{to}"));
    for note in spec.alerts.iter().take(NAMED) {
        told.see(format!("alert/{}", note.name));
    }
}

fn objective(cx: &Context, it: &Object<Objective>, told: &mut Told) {
    let (spec, status) = (&it.spec, &it.status);
    let (name, window) = (&spec.promise.name, spec.promise.window);
    let goal = percent(1.0 - spec.promise.allowed());
    let since = ago(cx, status.since);
    let good = match status.good {
        Some(good) => format!("{} were good", percent(good)),
        None => "it is not known how much was good".to_owned(),
    };
    let left = match status.budget_left {
        Some(left) => format!("{} of the error budget is left", percent(left)),
        None => "it is not known what is left of the error budget".to_owned(),
    };
    let phase = word(&status.phase);
    told.state = format!(
        "{}: {goal} over {window} are promised for {name}; {good}, {left}. It is {phase}{since}.",
        it.name()
    );
    if let Some(rate) = status.burn_rate.filter(|rate| *rate > 0.0) {
        let said = format!(" In the last hour it was spent {rate} times as fast as it lasts.");
        told.state.push_str(&said);
    }
    match status.phase {
        ObjectivePhase::NoData => told.waiting_for.push("data".to_owned()),
        ObjectivePhase::Spent => {
            let back = status.since.map(|since| since + window);
            let by =
                back.map(|at| format!(", at the latest by {at} if no more is")).unwrap_or_default();
            told.waiting_for.push(format!("what was bad to be {window} ago{by}"));
        }
        _ => {}
    }
    told.see(format!("deployment/{}", spec.deployment));
    told.see(format!("rule/{}", spec.deployment));
}

fn monitor(cx: &Context, it: &Object<Monitor>, told: &mut Told) {
    let (status, every) = (&it.status, it.spec.every);
    told.state = format!(
        "{} looks at {} by {} every {every}; it is {}{}: {} up, {} down.",
        it.name(),
        many(it.spec.probe.targets().len(), "target"),
        it.spec.probe.word(),
        word(&status.phase),
        ago(cx, status.since),
        status.up,
        status.down
    );
}

fn analysis(it: &Object<Analysis>, told: &mut Told) {
    let (spec, status) = (&it.spec, &it.status);
    let at = status.at.map(|at| format!(" since {at}")).unwrap_or_default();
    let trial = if status.trial { ", without effect, since it is on trial" } else { "" };
    told.state = format!(
        "the rollout of {} in {} was judged: {}{at}{trial}.",
        spec.release,
        spec.deployment,
        status.verdict.words()
    );
    if let Some(last) = status.steps.last() {
        for evidence in last.evidence.iter().take(NAMED) {
            told.reasons.push(atoll_model::Reason::new("evidence", &evidence.message));
        }
    }
    match &spec.feedback {
        Some(feedback) => {
            let word = if feedback.right { "right" } else { "wrong" };
            told.state.push_str(&format!(" A person found that {word}: {}.", feedback.comment));
        }
        None => told.next.push("nobody has said whether that was right".to_owned()),
    }
    told.see(format!("deployment/{}", spec.deployment));
    told.see(format!("release/{}", spec.release));
}

//! Receivers: who is told of which alerts, when, and of what has changed since. The notifications
//! there are say what was told, so that whoever plans, and however often, tells it once. Sending
//! is the server's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::alerting::AlertPhase;
use atoll_model::notification::{Cause, NotificationPhase, ReceiverStatus};
use atoll_model::{
    Alert, Any, Intent, Kind, Notification, Object, Reason, Receiver, Rule, Snapshot, Span,
    Timestamp, Write,
};

use super::message::{Group, Next, Talk};
use super::quiet::Quiet;
use super::route::{Routes, group};
use super::short;
use crate::{Context, Plan, checksum, sooner};

/// Messages that are no longer needed are kept this long, to be seen.
const KEPT: Span = Span::seconds(3600);
/// The key of the messages that only say that alerting works.
const HEARTBEAT: &str = "heartbeat";
/// So many problems are named in a receiver's status.
const NAMED: usize = 3;
/// So many messages are made at a time; the rest at once after that. A commit has bounds, and who
/// leads has to renew its lease between two.
const AT_A_TIME: usize = 500;
/// While messages go out one after another a receiver's status is this old at most.
const FRESH: Span = Span::seconds(2);

type Told<'a> = BTreeMap<&'a str, Vec<&'a Arc<Object<Notification>>>>;

/// Plans for one receiver.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let receiver = cx.world.get::<Receiver>(name);
    let Some(receiver) = receiver.filter(|receiver| !receiver.meta.deleting()) else {
        return remove(cx, name, receiver);
    };
    let mut plan = Plan::nothing();
    let told = told(cx.world, name);
    let quiet = Quiet::of(cx.world, cx.now);
    let routes = Routes::of(cx.world, receiver);
    let mut groups = gather(cx.world, &routes, &quiet);
    for (key, messages) in &told {
        if *key != HEARTBEAT && !groups.contains_key(*key) {
            groups.insert((*key).to_owned(), ended_group(&routes, messages));
        }
    }
    let mut room = AT_A_TIME;
    for (key, group) in &groups {
        let messages = told.get(key.as_str()).map_or(&[][..], Vec::as_slice);
        let last = messages.last().map(|message| message.as_ref());
        let talk = Talk { world: cx.world, now: cx.now, receiver, key, group, last };
        let next = talk.next();
        if room == 0 && matches!(next, Next::Tell(_)) {
            plan.again_at = Some(cx.now);
            continue;
        }
        keep_house(cx, messages, &next, &mut plan);
        match next {
            Next::Tell(message) => {
                room -= 1;
                tell(cx, *message, &mut plan);
            }
            Next::Wait(at) => plan.again_at = sooner(plan.again_at, Some(at)),
            Next::Nothing | Next::Over => {}
        }
    }
    plan.again_at = sooner(plan.again_at, quiet.changes_at);
    heartbeat(cx, receiver, told.get(HEARTBEAT).map_or(&[][..], Vec::as_slice), &mut plan);
    let status = status(receiver, &told);
    if status.waiting > 0 && status.last_sent.is_some_and(|at| cx.now.since(at) < FRESH) {
        plan.again_at = sooner(plan.again_at, Some(cx.now + FRESH));
    }
    if status != receiver.status {
        let mut new = Object::clone(receiver);
        new.status = status;
        plan.writes.push(Write::Put(Any::Receiver(Arc::new(new))));
    }
    plan
}

/// The receivers a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let all = || world.all::<Receiver>().map(|receiver| receiver.meta.name.clone()).collect();
    match (old, new) {
        (Some(Any::Alert(old)), Some(Any::Alert(new)))
            if old.status.phase == new.status.phase && old.spec.labels == new.spec.labels =>
        {
            Vec::new()
        }
        (None, Some(Any::Alert(new))) if new.status.phase == AlertPhase::Pending => Vec::new(),
        (_, Some(Any::Alert(_) | Any::Silence(_)))
        | (Some(Any::Alert(_) | Any::Silence(_)), None) => all(),
        (Some(Any::Receiver(old)), Some(Any::Receiver(new)))
            if old.spec == new.spec && old.meta.deleted_at == new.meta.deleted_at =>
        {
            Vec::new()
        }
        // Others may take what one leaves.
        (_, Some(Any::Receiver(_))) => all(),
        (Some(Any::Receiver(gone)), None) => {
            let mut names: Vec<String> = all();
            names.push(gone.meta.name.clone());
            names
        }
        (Some(Any::Notification(old)), Some(Any::Notification(new)))
            if is_one_of_many(world, old, new) =>
        {
            Vec::new()
        }
        (_, Some(Any::Notification(n))) | (Some(Any::Notification(n)), None) => {
            vec![n.spec.receiver.clone()]
        }
        _ => Vec::new(),
    }
}

/// Whether a message got through as expected while more are waiting, and the receiver's status
/// tells of one that did so just before. Planning all groups anew after each of thousands would
/// take longer than sending them.
fn is_one_of_many(
    world: &Snapshot,
    old: &Object<Notification>,
    new: &Object<Notification>,
) -> bool {
    let plain = old.status.reasons.is_empty() && new.status.phase == NotificationPhase::Sent;
    let receiver = world.get::<Receiver>(&new.spec.receiver);
    plain
        && receiver.is_some_and(|receiver| {
            let status = &receiver.status;
            let recent = |at: Timestamp| new.status.at.is_some_and(|now| now.since(at) < FRESH);
            status.waiting > 1 && status.last_sent.is_some_and(recent)
        })
}

/// What a receiver was told, by group, the newest last.
fn told<'a>(world: &'a Snapshot, receiver: &'a str) -> Told<'a> {
    let mut told: Told = BTreeMap::new();
    for message in world.derived::<Notification>(receiver) {
        if message.spec.receiver == receiver {
            told.entry(&message.spec.key).or_default().push(message);
        }
    }
    for messages in told.values_mut() {
        messages.sort_by_key(|message| message.spec.number);
    }
    told
}

fn gather<'a>(
    world: &'a Snapshot,
    routes: &Routes<'a>,
    quiet: &Quiet,
) -> BTreeMap<String, Group<'a>> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for alert in world.all::<Alert>().filter(|a| a.status.phase == AlertPhase::Firing) {
        let Some(route) = routes.take(&alert.spec) else { continue };
        let (key, labels) = group(route, &alert.spec);
        let group = groups.entry(key).or_insert_with(|| Group {
            route: Some(route),
            labels,
            ..Group::default()
        });
        match quiet.by(&alert.spec) {
            Some(_) => drop(group.silenced.insert(alert.name())),
            None => drop(group.firing.insert(alert.name(), alert)),
        }
    }
    groups
}

/// A group of which nothing fires any more, as it was when it was last told of.
fn ended_group<'a>(routes: &Routes<'a>, messages: &[&'a Arc<Object<Notification>>]) -> Group<'a> {
    let Some(last) = messages.last() else { return Group::default() };
    let route = last.spec.alerts.iter().find_map(|note| routes.take(&note.alert));
    Group { route, labels: last.spec.group.clone(), ..Group::default() }
}

fn tell(cx: &Context, message: Notification, plan: &mut Plan) {
    let count = message.alerts.len() + (message.more + message.more_ended) as usize;
    let why = format!("{} is told of {count} alerts ({:?})", message.receiver, message.cause);
    plan.reasons.push(Reason::new("told", why.to_lowercase()));
    let sum = short(checksum([message.key.as_bytes()]));
    let name = format!("{}.{sum}.{:010}", message.receiver, message.number);
    let mut new = Object::new(name, message);
    new.meta.generation = 1;
    new.meta.created_at = Some(cx.now);
    plan.writes.push(Write::Put(Any::Notification(Arc::new(new))));
}

/// Gives up what a newer message says better, and deletes what is no longer needed.
///
/// **Invariant:** the newest message of a group stays as long as anything of it may have to be
/// told, since it is what is known to have been told.
fn keep_house(cx: &Context, messages: &[&Arc<Object<Notification>>], next: &Next, plan: &mut Plan) {
    let Some((last, older)) = messages.split_last() else { return };
    let superseded: &[_] = if matches!(next, Next::Tell(_)) { messages } else { older };
    for message in superseded.iter().filter(|m| m.status.phase == NotificationPhase::Pending) {
        let mut new = Object::clone(message);
        new.status.phase = NotificationPhase::Abandoned;
        new.status.retry_at = None;
        let reason = Reason::new("superseded", "a newer message of its group says more");
        new.status.reasons.push(reason);
        plan.writes.push(Write::Put(Any::Notification(Arc::new(new))));
    }
    let over = matches!(next, Next::Over).then_some(last);
    for message in older.iter().chain(over) {
        let at = message.spec.at + KEPT;
        match message.status.phase {
            NotificationPhase::Pending => {}
            _ if at <= cx.now => plan.writes.push(delete(message)),
            _ => plan.again_at = sooner(plan.again_at, Some(at)),
        }
    }
}

fn delete(message: &Object<Notification>) -> Write {
    Write::Delete {
        kind: Kind::Notification,
        name: message.meta.name.clone(),
        revision: message.meta.revision,
    }
}

/// A dead-man's switch: whoever hears nothing knows that nothing would be heard. It is silent too
/// while no rule at all can be evaluated.
fn heartbeat(
    cx: &Context,
    receiver: &Object<Receiver>,
    messages: &[&Arc<Object<Notification>>],
    plan: &mut Plan,
) {
    let newest = messages.last();
    for message in messages.iter().rev().skip(usize::from(receiver.spec.heartbeat.is_some())) {
        plan.writes.push(delete(message));
    }
    let Some(every) = receiver.spec.heartbeat else { return };
    let due = newest.map_or(cx.now, |newest| newest.spec.at + every);
    if due > cx.now || is_blind(cx.world) {
        let again = if due > cx.now { due } else { cx.now + every };
        plan.again_at = sooner(plan.again_at, Some(again));
        return;
    }
    plan.again_at = sooner(plan.again_at, Some(cx.now + every));
    let message = Notification {
        receiver: receiver.meta.name.clone(),
        key: HEARTBEAT.to_owned(),
        group: BTreeMap::new(),
        number: newest.map_or(0, |newest| newest.spec.number) + 1,
        cause: Cause::Heartbeat,
        alerts: Vec::new(),
        more: 0,
        more_ended: 0,
        silenced: Vec::new(),
        unlisted: Vec::new(),
        digest: String::new(),
        at: cx.now,
    };
    tell(cx, message, plan);
}

/// There are rules, and none of them can be evaluated.
fn is_blind(world: &Snapshot) -> bool {
    let fails =
        |rule: &Arc<Object<Rule>>| rule.status.reasons.iter().any(|r| r.code == "rule-failed");
    let mut rules = world.all::<Rule>().filter(|rule| !rule.spec.groups.is_empty()).peekable();
    rules.peek().is_some() && rules.all(fails)
}

fn status(receiver: &Object<Receiver>, told: &Told) -> ReceiverStatus {
    let mut status =
        ReceiverStatus { last_sent: receiver.status.last_sent, ..ReceiverStatus::default() };
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for messages in told.values() {
        for message in messages {
            match message.status.phase {
                NotificationPhase::Pending => status.waiting += 1,
                NotificationPhase::Sent => {
                    status.last_sent = status.last_sent.max(message.status.at)
                }
                NotificationPhase::Abandoned => {}
            }
        }
        // A message that takes the place of one that did not get through has not got through yet.
        let is_sent = |m: &&&Arc<Object<Notification>>| m.status.phase == NotificationPhase::Sent;
        let unheard = messages.iter().rev().take_while(|message| !is_sent(message));
        let mut reasons = unheard.flat_map(|message| &message.status.reasons);
        if let Some(reason) = reasons.find(|reason| reason.code == "not-sent")
            && status.reasons.len() < NAMED
            && named.insert(&reason.message)
        {
            status.reasons.push(reason.clone());
        }
    }
    status
}

/// What a receiver was told goes with it.
fn remove(cx: &Context, name: &str, receiver: Option<&Arc<Object<Receiver>>>) -> Plan {
    let mut plan = Plan::new(Intent::Remove);
    plan.writes.extend(told(cx.world, name).values().flatten().map(|message| delete(message)));
    if let Some(receiver) = receiver {
        plan.writes.push(Write::Delete {
            kind: Kind::Receiver,
            name: receiver.meta.name.clone(),
            revision: receiver.meta.revision,
        });
    }
    plan
}

/// When the receiver was last told of an alert, and whether it got through; for `explain`.
pub(crate) fn told_of<'a>(
    world: &'a Snapshot,
    alert: &str,
) -> Vec<(&'a Arc<Object<Notification>>, Timestamp)> {
    let names =
        |n: &&Arc<Object<Notification>>| n.spec.alerts.iter().any(|note| note.name == alert);
    let told = world.all::<Notification>().filter(names);
    told.map(|message| (message, message.status.at.unwrap_or(message.spec.at))).collect()
}

//! Alerts: when one is raised and ended, and who is told. Rules become alerts in `rule.rs`, alerts
//! become messages in `receiver.rs`; what became of sending one is noted here. Nothing here asks
//! the metrics store or sends anything: the server does, and calls.

use std::sync::Arc;

use atoll_model::notification::NotificationPhase;
use atoll_model::{Any, Intent, Notification, Object, Reason, Snapshot, Span, Timestamp, Write};

use crate::{Context, Plan, checksum};

mod evaluate;
mod identity;
mod message;
pub(crate) mod number;
pub mod quiet;
pub mod receiver;
pub(crate) mod route;
pub mod rule;
mod subject;
pub(crate) mod suspect;
pub(crate) mod template;

/// A message that does not get through is given up after this time.
const GIVEN_UP_AFTER: Span = Span::seconds(4 * 3600);
/// Between the first attempt to send and the second.
const FIRST_WAIT: Span = Span::seconds(5);
/// Between two attempts at most, but for the spread.
const LONGEST_WAIT: Span = Span::seconds(300);

/// The notifications that are to be sent now, the oldest first.
pub fn to_send(world: &Snapshot, now: Timestamp) -> Vec<String> {
    let due = |n: &&Arc<Object<Notification>>| is_to_be_sent(n, now);
    let mut due: Vec<_> = world.all::<Notification>().filter(due).collect();
    due.sort_by_key(|n| (n.spec.at, &n.meta.name));
    due.into_iter().map(|n| n.meta.name.clone()).collect()
}

/// Whether a notification is to be sent or tried again now.
pub fn is_to_be_sent(notification: &Object<Notification>, now: Timestamp) -> bool {
    due_at(notification).is_some_and(|at| at <= now)
}

/// When the next notification is to be sent or tried again.
pub fn next_to_send(world: &Snapshot) -> Option<Timestamp> {
    world.all::<Notification>().filter_map(|n| due_at(n)).min()
}

/// When the next notification of a receiver is to be sent or tried again.
pub(crate) fn next_try(world: &Snapshot, receiver: &str) -> Option<Timestamp> {
    let own = world.derived::<Notification>(receiver).filter(|n| n.spec.receiver == receiver);
    own.filter_map(|n| due_at(n)).min()
}

fn due_at(notification: &Object<Notification>) -> Option<Timestamp> {
    let pending = notification.status.phase == NotificationPhase::Pending;
    pending.then(|| notification.status.retry_at.unwrap_or(notification.spec.at))
}

/// Notes what became of an attempt to send a notification: `permanent` where trying again is of
/// no use. The attempt counts from `cx.now`.
pub fn sent(cx: &Context, name: &str, outcome: Result<(), String>, permanent: bool) -> Plan {
    let Some(stored) = cx.world.get::<Notification>(name) else { return Plan::nothing() };
    let mut new = Object::clone(stored);
    let status = &mut new.status;
    status.attempts += 1;
    status.at = Some(cx.now);
    status.retry_at = None;
    match outcome {
        // One that was given up while it was on its way has got through all the same.
        Ok(()) => {
            status.phase = NotificationPhase::Sent;
            status.reasons.clear();
        }
        Err(_) if status.phase != NotificationPhase::Pending => return Plan::nothing(),
        Err(problem) => {
            let late = cx.now.since(stored.spec.at) >= GIVEN_UP_AFTER;
            let tried = match status.attempts {
                1 => "once".to_owned(),
                n => format!("{n} times"),
            };
            let message = format!("could not be sent, tried {tried}: {problem}");
            let reason = Reason::new("not-sent", message);
            let hint =
                format!("atoll get receiver/{} -o yaml shows where to", stored.spec.receiver);
            status.reasons = vec![reason.hint(hint)];
            if permanent || late {
                status.phase = NotificationPhase::Abandoned;
            } else {
                status.retry_at = Some(cx.now + wait(name, status.attempts));
            }
        }
    }
    let mut plan = Plan::new(Intent::Observe);
    plan.reasons = new.status.reasons.clone();
    plan.writes.push(Write::Put(Any::Notification(Arc::new(new))));
    plan
}

/// How long until the next attempt: twice as long each time, and up to a fifth more, so that
/// messages that failed together are not tried together.
fn wait(name: &str, attempts: u32) -> Span {
    let doubled = FIRST_WAIT.0 << attempts.saturating_sub(1).min(10);
    let wait = doubled.min(LONGEST_WAIT.0);
    let sum = checksum([name.as_bytes(), &attempts.to_le_bytes()]);
    Span(wait + sum % (wait / 5 + 1))
}

/// A name's part that stands for something longer.
fn short(sum: u64) -> String {
    format!("{sum:016x}")
}

#[cfg(test)]
mod tests;

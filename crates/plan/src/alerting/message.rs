//! What a message of a group says, and when it is due: what is, compared with what was last told.
//! Not which alerts belong to the group, which is `receiver.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::alerting::AlertPhase;
use atoll_model::notification::{AlertNote, AlertRoute, Cause, NotificationPhase};
use atoll_model::{Alert, Notification, Object, Receiver, Snapshot, Span, Timestamp};

use super::short;
use crate::checksum;

/// So many alerts are listed in a message; the rest is counted.
const MOST_LISTED: usize = 200;
/// Where no route is left that says so, a group is told of this often at most.
const USUAL_INTERVAL: Span = Span::seconds(300);

/// The alerts of one receiver that are told together.
#[derive(Default)]
pub(super) struct Group<'a> {
    /// The route that takes them.
    pub route: Option<&'a AlertRoute>,
    /// The labels they have in common.
    pub labels: BTreeMap<String, String>,
    /// Those that fire and may be told.
    pub firing: BTreeMap<&'a str, &'a Arc<Object<Alert>>>,
    /// Those that fire and are kept quiet.
    pub silenced: BTreeSet<&'a str>,
}

/// What is to be done for a group.
pub(super) enum Next {
    /// This message is due.
    Tell(Box<Notification>),
    /// One will be.
    Wait(Timestamp),
    /// Nothing, as long as nothing changes.
    Nothing,
    /// Nothing is left to be told.
    Over,
}

/// A group with what was last told of it.
pub(super) struct Talk<'a> {
    pub world: &'a Snapshot,
    pub now: Timestamp,
    pub receiver: &'a Object<Receiver>,
    pub key: &'a str,
    pub group: &'a Group<'a>,
    pub last: Option<&'a Object<Notification>>,
}

impl Talk<'_> {
    /// What is to be done.
    pub fn next(&self) -> Next {
        let firing = &self.group.firing;
        let interval = self.group.route.map_or(USUAL_INTERVAL, |route| route.group_interval);
        let told = self.last.filter(|last| !is_over(&last.spec) || self.is_owed(last));
        let Some(last) = told else {
            let Some(first) = firing.values().map(|a| fired(a)).min() else { return Next::Over };
            let wait = self.group.route.map_or(Span::default(), |route| route.group_wait);
            let after = self.last.map(|last| last.spec.at + interval);
            let due = (first + wait).max(after.unwrap_or_default());
            return self.at(due, Cause::New, Vec::new());
        };
        let told = &last.spec;
        let known = told_firing(told);
        let ended = if self.receiver.spec.send_resolved { self.ended(told) } else { Vec::new() };
        // Who is not told of an end is told of what fires anew.
        let is_anew = |note: &AlertNote| {
            let now = firing.get(note.name.as_str()).map(|alert| fired(alert));
            !self.receiver.spec.send_resolved
                && note.firing
                && now.is_some_and(|at| at > note.since)
        };
        let changed = match told.more {
            _ if told.alerts.iter().any(is_anew) || self.is_owed(last) => true,
            // Who is told of no end is told nothing where all have ended.
            _ if firing.is_empty() && ended.is_empty() => false,
            0 => firing.keys().any(|name| !known.contains(name)) || !ended.is_empty(),
            _ => self.digest() != told.digest,
        };
        let quiet = !self.silenced(told).is_empty();
        match (changed, firing.is_empty()) {
            (true, true) if !quiet => self.at(told.at + interval, Cause::Resolved, ended),
            (true, _) => self.at(told.at + interval, Cause::Changed, ended),
            (false, false) => {
                let repeat = self.group.route.map_or(interval, |route| route.repeat_interval);
                self.at(told.at + repeat, Cause::Repeat, Vec::new())
            }
            (false, true) if quiet => Next::Nothing,
            (false, true) => Next::Over,
        }
    }

    fn at(&self, due: Timestamp, cause: Cause, mut ended: Vec<AlertNote>) -> Next {
        if due > self.now {
            return Next::Wait(due);
        }
        let counted = match cause {
            Cause::Changed | Cause::Resolved => self.counted_out(ended.len()),
            _ => 0,
        };
        ended.extend(self.unheard());
        let known = self.last.map(|last| told_firing(&last.spec)).unwrap_or_default();
        let mut firing: Vec<_> = self.group.firing.values().collect();
        firing.sort_by_key(|a| (known.contains(a.name()), fired(a), a.name()));
        let ended_listed = ended.len().min(MOST_LISTED - firing.len().min(MOST_LISTED / 2));
        let listed = firing.len().min(MOST_LISTED - ended_listed);
        let note = |a: &&Arc<Object<Alert>>| AlertNote {
            name: a.meta.name.clone(),
            firing: true,
            since: fired(a),
            ended: None,
            alert: a.spec.clone(),
        };
        let mut alerts: Vec<AlertNote> = firing.iter().take(listed).map(|a| note(a)).collect();
        let beyond =
            firing.iter().skip(listed).map(|a| a.name()).filter(|name| known.contains(name));
        let mut unlisted: Vec<String> = beyond.map(str::to_owned).collect();
        // After the last message there is no later one to list them in.
        let dropped = if cause == Cause::Resolved { ended.len() - ended_listed } else { 0 };
        let later = ended.iter().skip(ended_listed).take(ended.len() - ended_listed - dropped);
        unlisted.extend(later.map(|note| note.name.clone()));
        alerts.extend(ended.into_iter().take(ended_listed));
        Next::Tell(Box::new(Notification {
            receiver: self.receiver.meta.name.clone(),
            key: self.key.to_owned(),
            group: self.group.labels.clone(),
            number: self.last.map_or(0, |last| last.spec.number) + 1,
            cause,
            more: u32::try_from(firing.len() - listed).unwrap_or(u32::MAX),
            more_ended: u32::try_from(counted + dropped).unwrap_or(u32::MAX),
            silenced: self.last.map(|last| self.silenced(&last.spec)).unwrap_or_default(),
            unlisted,
            digest: self.digest(),
            alerts,
            at: self.now,
        }))
    }

    /// How many at least of those that were told in number only have ended, besides `named` of
    /// which it is known, and what nobody has heard of such before.
    fn counted_out(&self, named: usize) -> usize {
        let Some(last) = self.last.filter(|_| self.receiver.spec.send_resolved) else { return 0 };
        let told = &last.spec;
        let more = told.more as usize;
        let listed = told.alerts.iter().filter(|note| note.firing).count();
        let left = self.group.firing.len() + self.group.silenced.len() + named;
        let heard = last.status.phase == NotificationPhase::Sent;
        let unheard = if heard { 0 } else { told.more_ended as usize };
        (listed + more).saturating_sub(left).min(more) + unheard
    }

    /// What was told to fire and is kept quiet now.
    fn silenced(&self, told: &Notification) -> Vec<String> {
        let quiet = |name: &&str| self.group.silenced.contains(name);
        told_firing(told)
            .into_iter()
            .chain(told.silenced.iter().map(String::as_str))
            .collect::<BTreeSet<&str>>()
            .into_iter()
            .filter(quiet)
            .map(str::to_owned)
            .collect()
    }

    /// What was told to fire and has ended: its alert says so, or is no more.
    fn ended(&self, told: &Notification) -> Vec<AlertNote> {
        let mut ended = Vec::new();
        for note in told.alerts.iter().filter(|note| note.firing) {
            let alert = self.world.get::<Alert>(&note.name);
            if alert.is_some_and(|alert| alert.status.phase == AlertPhase::Firing) {
                continue;
            }
            let at = alert.and_then(|alert| alert.status.resolved_at).unwrap_or(self.now);
            ended.push(AlertNote { firing: false, ended: Some(at), ..note.clone() });
        }
        for name in told.silenced.iter().chain(&told.unlisted) {
            let Some(alert) = self.world.get::<Alert>(name) else { continue };
            if alert.status.phase == AlertPhase::Resolved {
                ended.push(AlertNote {
                    name: name.clone(),
                    firing: false,
                    since: fired(alert),
                    ended: alert.status.resolved_at,
                    alert: alert.spec.clone(),
                });
            }
        }
        ended
    }

    /// What the last message told to have ended, where nobody got that message and nothing of it
    /// fires again.
    fn unheard(&self) -> Vec<AlertNote> {
        let unheard = |last: &&Object<Notification>| {
            self.receiver.spec.send_resolved && last.status.phase != NotificationPhase::Sent
        };
        let fires = |note: &AlertNote| {
            let alert = self.world.get::<Alert>(&note.name);
            alert.is_some_and(|alert| alert.status.phase == AlertPhase::Firing)
        };
        let notes = self.last.filter(unheard).into_iter().flat_map(|last| &last.spec.alerts);
        notes.filter(|note| !note.firing && !fires(note)).cloned().collect()
    }

    /// Whether a message that was given up has to be told anew: what it told may get through in
    /// other words, and what has ended is worth telling for some hours.
    fn is_owed(&self, last: &Object<Notification>) -> bool {
        let given_up = last.status.phase == NotificationPhase::Abandoned;
        let fresh = |note: &AlertNote| {
            note.ended.is_some_and(|at| self.now.since(at) < super::GIVEN_UP_AFTER)
        };
        given_up
            && (!self.group.firing.is_empty()
                || self.receiver.spec.send_resolved && last.spec.alerts.iter().any(fresh))
    }

    fn digest(&self) -> String {
        short(checksum(self.group.firing.keys().map(|name| name.as_bytes())))
    }
}

fn fired(alert: &Object<Alert>) -> Timestamp {
    alert.status.fired_at.unwrap_or(alert.status.active_at)
}

/// The alerts a message tells to fire.
fn told_firing(told: &Notification) -> BTreeSet<&str> {
    let listed = told.alerts.iter().filter(|note| note.firing).map(|note| note.name.as_str());
    listed.chain(told.unlisted.iter().map(String::as_str)).collect()
}

/// After this message nothing of the group was left.
fn is_over(told: &Notification) -> bool {
    told.cause == Cause::Resolved || (told_firing(told).is_empty() && told.silenced.is_empty())
}

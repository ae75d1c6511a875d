//! The decision centre. A policy votes about each of its subjects, with evidence
//! ([`plan`], `centre/vote.rs`); what votes stand long enough becomes a decision, where all votes
//! about the same thing are weighed and the one that is followed is carried out
//! (`centre/decision.rs`). It changes targets only, through the gate, as a person would; what is
//! not measured it does nothing about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::centre::decision::DecisionPhase;
use atoll_model::centre::{MOST_STANDING, PolicyPhase, PolicyStatus, Standing, Start, TrackRecord};
use atoll_model::{
    Alert, Any, Decision, Intent, Kind, Object, Policy, Reason, Snapshot, Span, Timestamp, Write,
    manifest,
};

use crate::query::Query;
use crate::{Context, Plan, checksum, sooner};
use subject::Subject;
use vote::Told;

pub(crate) mod action;
mod alert;
pub(crate) mod back;
mod borrow;
pub(crate) mod check;
pub mod decision;
mod declared;
mod effect;
mod facts;
pub(crate) mod limit;
mod measure;
mod open;
pub(crate) mod own;
mod record;
pub mod replay;
mod subject;
mod vote;
mod weigh;

pub use facts::NAMES;

/// Policies are looked at so often, where nothing happens before.
pub const EVERY: Span = Span::seconds(15);
/// The rule that alerts of the centre name; there is no such object.
pub const ALERTS: &str = "decisions";
/// A vote that began so often within [`FLAPPING`] flaps.
const MOST_STARTS: usize = 4;
/// It is not listened to for so long after it began last.
const FLAPPING: Span = Span::seconds(1_800);
/// The reason that says so.
const FLAPS: &str = "flapping";
/// So many decisions of one policy may be open at a time.
const MOST_OPEN: usize = 25;
/// Figures alone are written anew so often.
const SHOWN: Span = Span::seconds(60);
/// What was done shows in what is measured after this time at the earliest: values are gathered
/// four times a minute, and looked at as often.
const SHOWS: Span = Span::seconds(30);

/// The policies that come with the program.
const BUILT_IN: &str = include_str!("centre/built-in.yaml");

/// The policies that come with the program, as manifests that were read.
///
/// # Errors
/// What is wrong with them.
pub fn built_in() -> Result<Vec<Any>, String> {
    manifest::read("built-in.yaml", BUILT_IN.as_bytes()).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        all.join("; ")
    })
}

/// What one policy wants measured.
pub fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let Some(policy) = cx.world.get::<Policy>(name).filter(|p| !p.spec.off) else {
        return Vec::new();
    };
    measure::queries(&policy.spec, cx.now)
}

/// Spread over the time from one look to the next.
fn due_at(name: &str, now: Timestamp) -> Timestamp {
    let every = EVERY.0 as i64;
    let offset = (checksum([name.as_bytes()]) % EVERY.0) as i64;
    Timestamp((now.0 - offset).div_euclid(every) * every + offset)
}

/// Plans for one policy: how it votes, and decisions about what it has voted for long enough.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(policy) = cx.world.get::<Policy>(name) else { return Plan::nothing() };
    let mut plan = Plan::new(Intent::Observe);
    plan.again_at = Some(due_at(name, cx.now) + EVERY);
    let off = policy.spec.off;
    if !off && !policy.spec.values.is_empty() && cx.measured.answers.is_empty() {
        return plan;
    }
    let mut turn = Turn { cx, policy, plan, status: policy.status.clone() };
    if off {
        turn.status.standing.clear();
        turn.status.more = 0;
        turn.status.reasons.clear();
    } else {
        turn.vote();
        turn.open();
    }
    turn.keep_house();
    turn.done()
}

/// When a vote counts. What was done about the thing is given as long to show as the vote itself:
/// what was measured before it is no ground to do it again. Nor is what was measured right after
/// it, by a vote that counts at once.
pub(crate) fn due(world: &Snapshot, policy: &Object<Policy>, standing: &Standing) -> Timestamp {
    let hold = back::hold(world, policy, standing);
    let shows = if policy.spec.values.is_empty() { Span(0) } else { SHOWS };
    // What was given back beside a decision that waits for people is no reason to ask them anew.
    let mut asked = open::all_about(world, &standing.subject);
    let asked = asked.find(|decision| decision.status.policy == policy.name());
    let asked = asked.and_then(|decision| decision.meta.created_at);
    let last = open::last_acted(world, &standing.subject, asked);
    let again = last.map(|(acted, ended)| (ended + hold).max(acted + shows));
    again.unwrap_or(standing.since).max(standing.since + hold)
}

/// One turn of one policy.
struct Turn<'a> {
    cx: &'a Context<'a>,
    policy: &'a Arc<Object<Policy>>,
    plan: Plan,
    status: PolicyStatus,
}

impl Turn<'_> {
    /// Votes anew about every subject.
    fn vote(&mut self) {
        let cx = self.cx;
        let told = vote::all(cx, &self.policy.spec);
        let before: BTreeMap<String, Standing> = std::mem::take(&mut self.status.standing)
            .into_iter()
            .map(|standing| (standing.subject.clone(), standing))
            .collect();
        self.set_aside(&before);
        let mut blind = (0, None);
        let mut standing = Vec::new();
        let mut over = back::outstanding(cx.world, self.policy);
        over.retain(|taken| {
            let id = &taken.spec.subject;
            told.iter().all(|(subject, _)| subject != id)
                && effect::is_over(cx, self.policy, id) == Ok(true)
        });
        for (subject, told) in told {
            let old = before.get(&subject).filter(|old| old.gives_back.is_none());
            let held = old.filter(|old| old.blind.is_none());
            let since = held.map_or(cx.now, |old| old.since);
            match told {
                Told::No => {}
                Told::Unknown(why) => {
                    blind.0 += 1;
                    blind.1.get_or_insert_with(|| format!("{subject}: {why}"));
                    let known = old.filter(|old| old.blind.is_some());
                    let since = known.map_or(cx.now, |old| old.since);
                    let blind = Some(why);
                    standing.push(Standing { subject, since, blind, ..Standing::default() });
                }
                Told::Yes { values, message } => {
                    if held.is_none() {
                        let (subject, at) = (subject.clone(), cx.now);
                        self.status.starts.push(Start { subject, at });
                    }
                    standing.push(Standing {
                        subject,
                        since,
                        values,
                        message,
                        ..Standing::default()
                    });
                }
            }
        }
        standing.extend(over.into_iter().map(|taken| {
            let (subject, decision) = (taken.spec.subject.clone(), taken.meta.name.clone());
            let old = before.get(&subject);
            let old = old.filter(|old| old.gives_back.as_ref() == Some(&decision));
            let since = old.map_or(cx.now, |old| old.since);
            let message = format!("what decision/{decision} was for is over");
            Standing { subject, since, message, gives_back: Some(decision), ..Standing::default() }
        }));
        // Votes before what cannot be told.
        standing.sort_by_key(|one| one.blind.is_some());
        self.status.more = standing.len().saturating_sub(MOST_STANDING) as u32;
        standing.truncate(MOST_STANDING);
        self.status.standing = standing;
        self.status.reasons.clear();
        self.damp();
        if let (count @ 1.., Some(first)) = blind {
            let message = format!("it cannot be told of {count}, as of {first}");
            self.status.reasons.push(Reason::new("no-data", message));
        }
        if self.status.more > 0 {
            let message = format!("{} more are not followed", self.status.more);
            self.status.reasons.push(Reason::new("many", message));
        }
    }

    /// A vote ends because its subject is none for a while, be it for what was done about it:
    /// should it be one again, that is no other beginning.
    fn set_aside(&mut self, before: &BTreeMap<String, Standing>) {
        let voted = before.values().filter(|old| old.blind.is_none() && old.gives_back.is_none());
        for old in voted {
            let found = Subject::find(self.cx.world, &old.subject);
            if found.is_some_and(|subject| !subject.is_in_phase(&self.policy.spec)) {
                let starts = &mut self.status.starts;
                let last = starts.iter().rposition(|start| start.subject == old.subject);
                last.into_iter().for_each(|last| {
                    starts.remove(last);
                });
            }
        }
    }

    /// A vote that comes and goes is not listened to, and that is said whether it stands or not.
    fn damp(&mut self) {
        let now = self.cx.now;
        // What a vote is not listened to for began up to half an hour before it began last.
        self.status.starts.retain(|start| now.since(start.at) < Span(2 * FLAPPING.0));
        let old = self.status.starts.len().saturating_sub(MOST_STANDING);
        self.status.starts.drain(..old);
        let mut all: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
        for start in &self.status.starts {
            all.entry(&start.subject).or_default().push(start.at);
        }
        for (subject, starts) in all {
            let Some((count, until)) = flapped(&starts).filter(|(_, until)| now < *until) else {
                continue;
            };
            if Subject::find(self.cx.world, subject).is_none() {
                continue;
            }
            let standing = self.status.standing.iter_mut();
            let own = standing.filter(|one| one.blind.is_none() && one.subject == subject);
            own.for_each(|one| one.damped_until = Some(until));
            self.plan.again_at = sooner(self.plan.again_at, Some(until));
            let message = format!(
                "its vote about {subject} began {count} times within {FLAPPING}; it is not \
                 listened to until {until}"
            );
            let hint = "raise for, or ask for something that does not come and go";
            self.status.reasons.push(Reason::new(FLAPS, message).hint(hint));
        }
    }

    /// Makes decisions about what has been voted for long enough and has none.
    fn open(&mut self) {
        let cx = self.cx;
        let name = self.policy.name();
        let open = cx.world.all::<Decision>().filter(|decision| {
            decision.status.ended_at.is_none() && decision.status.policy == name
        });
        let mut room = MOST_OPEN.saturating_sub(open.count());
        for standing in &self.status.standing {
            if standing.blind.is_some() || standing.damped_until.is_some() {
                continue;
            }
            let due = due(cx.world, self.policy, standing);
            if cx.now < due {
                self.plan.again_at = sooner(self.plan.again_at, Some(due));
                continue;
            }
            if room == 0 || !self.may_open(standing) {
                continue;
            }
            room -= 1;
            let name = open::next_name(cx.world, &standing.subject);
            let spec = Decision { subject: standing.subject.clone(), feedback: None };
            let mut new = Object::new(name, spec);
            new.meta.generation = 1;
            new.meta.created_at = Some(cx.now);
            new.status.policy = self.policy.name().to_owned();
            // Beside another it is this and nothing else.
            if open::about(cx.world, &standing.subject).is_some() {
                new.status.action = Some(back::wanted(&self.policy.spec, standing));
            }
            let message = format!("policy/{}: {}", self.policy.name(), standing.message);
            let reason = Reason::new("decision", message);
            let new = Any::Decision(Arc::new(new));
            self.plan.about.push((new.id(), reason.clone()));
            self.plan.reasons.push(reason);
            self.plan.writes.push(Write::Put(new));
        }
    }

    /// Whether there may be one decision more about a thing: one at a time, but that giving back
    /// does not wait for people to approve what another policy wants.
    fn may_open(&self, standing: &Standing) -> bool {
        let mut open = open::all_about(self.cx.world, &standing.subject);
        let Some(first) = open.next() else { return true };
        let (status, own) = (&first.status, self.policy.name());
        let waits = status.phase == DecisionPhase::Waiting && status.policy != own;
        standing.gives_back.is_some() && waits && open.next().is_none()
    }

    /// Forgets old decisions and keeps what is to be known of them.
    fn keep_house(&mut self) {
        let kept = record::of(self.cx.world, self.policy);
        for old in &kept.over {
            self.status.forgotten = self.status.forgotten.plus(record::one(old));
            self.plan.writes.extend(decision::forget(self.cx.world, old));
        }
        self.status.record = self.status.forgotten.plus(kept.sum);
    }

    fn done(mut self) -> Plan {
        let old = &self.policy.status;
        self.status.phase = phase(self.policy, &self.status);
        if is_news(old, &self.status, self.cx.now) {
            self.status.seen_at = Some(self.cx.now);
            let mut new = Object::clone(self.policy);
            new.status = self.status;
            self.plan.writes.push(Write::Put(Any::Policy(Arc::new(new))));
        }
        self.plan
    }
}

/// How often a vote began within [`FLAPPING`] when it last began too often, and until when it is
/// not listened to for that. Beginnings are in order.
fn flapped(starts: &[Timestamp]) -> Option<(usize, Timestamp)> {
    let counted = |last: usize| {
        let first = starts[..=last].partition_point(|at| starts[last].since(*at) >= FLAPPING);
        (last + 1 - first, starts[last] + FLAPPING)
    };
    (0..starts.len()).rev().map(counted).find(|(count, _)| *count >= MOST_STARTS)
}

fn phase(policy: &Object<Policy>, status: &PolicyStatus) -> PolicyPhase {
    let any = |is: fn(&Standing) -> bool| status.standing.iter().any(is);
    if policy.spec.off {
        PolicyPhase::Off
    } else if any(|one| one.votes() && one.gives_back.is_none()) {
        PolicyPhase::Voting
    } else if any(|one| one.votes()) {
        PolicyPhase::GivingBack
    } else if status.reasons.iter().any(|reason| reason.code == FLAPS) {
        PolicyPhase::Damped
    } else if any(|one| one.blind.is_some()) {
        PolicyPhase::Blind
    } else {
        PolicyPhase::Quiet
    }
}

/// Whether a status says something that is worth a write: what is measured goes up and down.
fn is_news(old: &PolicyStatus, new: &PolicyStatus, now: Timestamp) -> bool {
    type Seen<'a> = (&'a str, Timestamp, bool, Option<Timestamp>);
    fn votes(status: &PolicyStatus) -> BTreeSet<Seen<'_>> {
        let one = |one: &'_ Standing| (one.since, one.blind.is_some(), one.damped_until);
        let all = status.standing.iter();
        all.map(|s| (s.subject.as_str(), one(s).0, one(s).1, one(s).2)).collect()
    }
    let codes = |status: &PolicyStatus| -> Vec<String> {
        status.reasons.iter().map(|reason| reason.code.clone()).collect()
    };
    let seen = |status: &PolicyStatus| (status.phase, status.more, status.record);
    let late = old.seen_at.is_none_or(|at| now.since(at) >= SHOWN);
    let other = (&old.standing, &old.reasons) != (&new.standing, &new.reasons);
    seen(old) != seen(new)
        || votes(old) != votes(new)
        || codes(old) != codes(new)
        || (late && other)
}

/// The policies a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let about = |kind: Kind, phases: &[Option<String>]| -> Vec<String> {
        let concerns = |policy: &&Arc<Object<Policy>>| {
            let of = &policy.spec.subjects;
            let mut here = phases.iter().flatten();
            of.kind == kind && (of.phases.is_empty() || here.any(|word| of.phases.contains(word)))
        };
        world.all::<Policy>().filter(concerns).map(|policy| policy.meta.name.clone()).collect()
    };
    match (old, new) {
        (Some(Any::Policy(old)), Some(Any::Policy(new))) if old.spec == new.spec => Vec::new(),
        (_, Some(Any::Policy(policy))) => vec![policy.meta.name.clone()],
        // What became of it counts in the record; and it may make room for another.
        (Some(Any::Decision(old)), Some(Any::Decision(new)))
            if old.status.ended_at == new.status.ended_at
                && old.status.policy == new.status.policy
                && old.spec.feedback == new.spec.feedback =>
        {
            Vec::new()
        }
        (_, Some(Any::Decision(decision))) | (Some(Any::Decision(decision)), None) => {
            let status = &decision.status;
            let ended = status.ended_at.is_some() && status.acted_at.is_none();
            // Whoever goes first in its place makes the next.
            let votes = |policy: &Object<Policy>| {
                let mut standing = policy.status.standing.iter();
                ended && standing.any(|one| one.subject == decision.spec.subject)
            };
            let all = world.all::<Policy>();
            let concerned = all.filter(|p| p.name() == status.policy || votes(p));
            concerned.map(|policy| policy.meta.name.clone()).collect()
        }
        (old, Some(Any::Alert(alert))) => {
            let same = matches!(old, Some(Any::Alert(old))
                if old.status.phase == alert.status.phase);
            let kind = alert.spec.subject.as_deref().and_then(|id| id.split_once('/'));
            let kind = kind.and_then(|(kind, _)| Kind::parse(kind)).filter(|_| !same);
            kind.map_or_else(Vec::new, |kind| of_alert(world, alert, kind))
        }
        (old, new) => {
            let (before, after) = (old.and_then(subject::phase), new.and_then(subject::phase));
            if before == after && old.is_some() == new.is_some() {
                return Vec::new();
            }
            let kind = new.or(old).map(Any::kind);
            kind.map_or_else(Vec::new, |kind| about(kind, &[before, after]))
        }
    }
}

/// Policies that see an alert about an object of a kind.
fn of_alert(world: &Snapshot, alert: &Object<Alert>, kind: Kind) -> Vec<String> {
    if alert.spec.rule == ALERTS {
        return Vec::new();
    }
    let sees = |of: Kind| of == kind || of == Kind::Deployment;
    let all = world.all::<Policy>().filter(|policy| sees(policy.spec.subjects.kind));
    all.map(|policy| policy.meta.name.clone()).collect()
}

/// What became of all decisions of a policy.
pub fn record_of(world: &Snapshot, policy: &str) -> TrackRecord {
    world.get::<Policy>(policy).map(|policy| policy.status.record).unwrap_or_default()
}

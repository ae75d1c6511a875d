//! What a provider is to be asked, and what follows from its answers. Pure: whoever asks, a server
//! or the simulator, records each question here before it asks, and each answer after.
//!
//! Nothing is concluded from an answer that did not come, or from an error: a list that was begun
//! after the question had ended decides whether anything came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::pool::provider::Provider;
use atoll_model::pool::{
    Asked, Deed, Given, Machine, MachinePhase, Orphan, Pool, PoolStatus, Trouble,
};
use atoll_model::{Any, Host, Intent, Object, Reason, Snapshot, Span, Timestamp, Write};

use super::gave_out;
use crate::{Context, Plan};

/// What did not work is tried again after this time, then after twice that.
const FIRST_PAUSE_MS: u64 = 2_000;
const LONGEST_PAUSE_MS: u64 = 300_000;
/// A provider is asked this often which machines there are.
const LIST_EVERY: Span = Span::seconds(30);
/// This often, while something depends on it.
const LIST_SOON: Span = Span::seconds(2);

/// One question to the provider of a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The pool.
    pub pool: String,
    /// What it is about.
    pub about: About,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// To make the machine with this key.
    Create(String),
    /// To delete the machine with this key.
    Delete(String),
    /// To delete a machine nobody knows any more, by what the provider calls it.
    Orphan(String),
}

/// What a provider says when it is asked which machines there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Where they are: an account, an engine; empty, where the provider does not say.
    pub account: String,
    /// The machines.
    pub machines: Vec<Given>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// In words.
    pub why: String,
    /// The provider was never asked, as its program could not be begun: nothing came of it.
    pub unasked: bool,
}

impl Unanswered {
    /// Before the provider was asked.
    pub fn unasked(why: impl Into<String>) -> Unanswered {
        Unanswered { why: why.into(), unasked: true }
    }
}

impl From<String> for Unanswered {
    /// Of a provider that was asked: nothing is known of what it has done.
    fn from(why: String) -> Unanswered {
        Unanswered { why, unasked: false }
    }
}

/// The questions that are due.
pub fn due(world: &Snapshot, now: Timestamp) -> Vec<Question> {
    let mut questions = Vec::new();
    for pool in world.all::<Pool>() {
        if matches!(pool.spec.provider, Provider::Static(_)) || !pool.status.provider.is_none() {
            continue;
        }
        let about = |about| Question { pool: pool.meta.name.clone(), about };
        for (key, machine) in &pool.status.machines {
            if !may_be_asked(machine.ask.as_ref(), now) {
                continue;
            }
            match machine.phase {
                // Nothing is made of which nobody could tell whether it is there.
                MachinePhase::Creating if !pool.status.listed => {}
                MachinePhase::Creating => questions.push(about(About::Create(key.clone()))),
                MachinePhase::Deleting if world.get::<Host>(key).is_none() => {
                    questions.push(about(About::Delete(key.clone())));
                }
                _ => {}
            }
        }
        let ours = pool
            .status
            .orphans
            .iter()
            .filter(|(_, orphan)| orphan.ours && may_be_asked(orphan.ask.as_ref(), now));
        questions.extend(ours.map(|(id, _)| about(About::Orphan(id.clone()))));
    }
    questions
}

/// Whether something is asked for the first time, or again: a list has shown that nothing came of
/// it, and some time has passed.
fn may_be_asked(ask: Option<&Asked>, now: Timestamp) -> bool {
    ask.is_none_or(|ask| again_at(ask).is_some_and(|at| now >= at))
}

/// When something is asked again of which nothing came.
pub(crate) fn again_at(ask: &Asked) -> Option<Timestamp> {
    Some(ask.ended.filter(|_| ask.in_vain)? + pause(ask.times))
}

/// After an edit of the pool nothing waits for as long as it would: it may be what was lacking.
pub(super) fn try_anew(status: &mut PoolStatus, now: Timestamp) {
    status.pause_until = None;
    if !status.provider.is_none() {
        (status.provider.times, status.provider.next) = (0, Some(now));
    }
    let machines = status.machines.values_mut().map(|machine| &mut machine.ask);
    let all = machines.chain(status.orphans.values_mut().map(|orphan| &mut orphan.ask));
    all.flatten().for_each(|ask| ask.times = 0);
}

fn pause(times: u32) -> Span {
    let doubled = FIRST_PAUSE_MS << times.saturating_sub(1).min(12);
    Span(doubled.min(LONGEST_PAUSE_MS))
}

/// When the provider of a pool is to be asked which machines there are, if it was asked at that
/// time last. Never, where it is nobody.
pub fn list_at(pool: &Object<Pool>, last: Timestamp) -> Option<Timestamp> {
    if matches!(pool.spec.provider, Provider::Static(_)) {
        return None;
    }
    if let Some(next) = pool.status.provider.next {
        return Some(next.max(last));
    }
    let open = |ask: Option<&Asked>| ask.is_some_and(|ask| !ask.is_open() && !ask.in_vain);
    let status = &pool.status;
    let soon = !status.listed
        || status.machines.values().any(|m| open(m.ask.as_ref()) || m.missing == 1)
        || status.orphans.values().any(|orphan| open(orphan.ask.as_ref()));
    Some(last + if soon { LIST_SOON } else { LIST_EVERY })
}

/// Records that a question is about to be asked; writes nothing, if it is not to be.
///
/// **Invariant:** no provider is asked for anything that was not recorded before.
pub fn asking(cx: &Context, question: &Question) -> Plan {
    let now = cx.now;
    if !due(cx.world, now).contains(question) {
        return Plan::nothing();
    }
    change(cx, &question.pool, |status| {
        let deed = question.about.deed();
        let Some(slot) = slot(status, &question.about) else { return };
        if may_be_asked(slot.as_ref(), now) {
            let unheard = slot.as_ref().is_none_or(|ask| ask.unheard);
            // What became of another question is no trouble of this one.
            let before = slot.take().filter(|ask| ask.deed == deed);
            let times = before.as_ref().map_or(0, |ask| ask.times) + 1;
            let error = before.and_then(|ask| ask.error);
            *slot = Some(Asked { deed, at: now, times, error, unheard, ..Asked::default() });
        }
    })
}

/// Records what came of a question that was asked at that time. What comes too late, when it was
/// settled otherwise, changes nothing.
pub fn answered(
    cx: &Context,
    question: &Question,
    asked: Timestamp,
    answer: &Result<Option<Given>, Unanswered>,
) -> Plan {
    let now = cx.now;
    change(cx, &question.pool, |status| {
        let Some(ask) = slot(status, &question.about).and_then(Option::as_mut) else { return };
        if ask.at != asked || ask.deed != question.about.deed() || !ask.is_open() {
            return;
        }
        ask.ended = Some(now);
        let failure = answer.as_ref().err();
        ask.error = failure.map(|failure| failure.why.clone());
        ask.in_vain = failure.is_some_and(|failure| failure.unasked);
        ask.unheard &= ask.in_vain;
        let About::Create(key) = &question.about else { return };
        let Some(machine) = status.machines.get_mut(key) else { return };
        match answer {
            Ok(Some(given)) => made(machine, given, now),
            Ok(None) => {
                let ask = machine.ask.as_mut();
                ask.into_iter().for_each(|ask| {
                    ask.error = Some("it answered, and named no machine".to_owned());
                });
            }
            Err(_) => {}
        }
        // It has joined meanwhile, or is not wanted any more, whether it was made or not.
        if machine.phase != MachinePhase::Creating {
            machine.ask = None;
        }
    })
}

/// Records a list that was begun at that time.
///
/// **Invariant:** without a list nothing is taken to be gone.
pub fn listed(
    cx: &Context,
    name: &str,
    began: Timestamp,
    answer: &Result<Listing, String>,
) -> Plan {
    let Some(pool) = cx.world.get::<Pool>(name) else { return Plan::nothing() };
    let elsewhere = answer.as_ref().ok().and_then(|listing| elsewhere(&pool.status, listing));
    change(cx, name, |status| match (answer, elsewhere) {
        (Ok(listing), None) => {
            if !status.provider.is_none() {
                status.provider = Trouble::default();
                status.recovered_at = Some(cx.now);
            }
            status.listed = true;
            if !listing.account.is_empty() {
                status.account.clone_from(&listing.account);
            }
            take(pool, status, began, cx.now, &listing.machines);
        }
        (Err(why), _) => trouble(status, why, cx.now),
        (_, Some(why)) => trouble(status, &why, cx.now),
    })
}

fn elsewhere(status: &PoolStatus, listing: &Listing) -> Option<String> {
    let known = !status.account.is_empty() && !status.machines.is_empty();
    let other = listing.account != status.account;
    (known && other).then(|| {
        let found = &listing.account;
        format!("it speaks of {found:?}, and the machines are in {:?}", status.account)
    })
}

fn trouble(status: &mut PoolStatus, why: &str, now: Timestamp) {
    let old = &status.provider;
    let times = old.times + 1;
    status.provider = Trouble {
        since: old.since.or(Some(now)),
        times,
        // Not later than it would be asked anyway: whoever waits for it sees soon that it is back.
        next: Some(now + pause(times).min(LIST_EVERY)),
        error: why.to_owned(),
    };
}

fn take(
    pool: &Object<Pool>,
    status: &mut PoolStatus,
    began: Timestamp,
    now: Timestamp,
    given: &[Given],
) {
    let mut by_key: BTreeMap<&str, Vec<&Given>> = BTreeMap::new();
    for one in given {
        by_key.entry(one.key.as_str()).or_default().push(one);
    }
    for (key, machine) in &mut status.machines {
        let shown = by_key.get(key.as_str()).and_then(|all| {
            let known = all.iter().find(|one| machine.id.as_ref() == Some(&one.id));
            known.or_else(|| all.iter().min_by_key(|one| &one.id)).copied()
        });
        see(machine, shown, began, now);
    }
    status.machines.retain(|_, machine| machine.missing < GONE);
    let mut orphans = std::mem::take(&mut status.orphans);
    for one in given {
        let known = status.machines.get(&one.key);
        if known.is_some_and(|machine| machine.id.as_ref() == Some(&one.id)) {
            continue;
        }
        // A second machine of one key is one too many, whoever made it.
        let ours = known.is_some() || gave_out(pool, &one.key);
        let mut orphan = orphans.remove(&one.id).unwrap_or_else(|| Orphan {
            key: one.key.clone(),
            since: now,
            ours,
            ask: None,
        });
        orphan.ours = ours;
        in_vain(orphan.ask.as_mut(), began);
        status.orphans.insert(one.id.clone(), orphan);
    }
}

/// As many lists as that say a machine is gone, where one is enough.
const GONE: u32 = u32::MAX;

/// What a list says of one machine.
fn see(machine: &mut Machine, shown: Option<&Given>, began: Timestamp, now: Timestamp) {
    let after = |ask: &Option<Asked>| {
        ask.as_ref().is_some_and(|ask| ask.ended.is_some_and(|ended| began >= ended))
    };
    if let Some(given) = shown {
        machine.missing = 0;
        match machine.phase {
            MachinePhase::Creating => made(machine, given, now),
            _ => machine.id = Some(given.id.clone()),
        }
        if machine.phase == MachinePhase::Deleting {
            in_vain(machine.ask.as_mut(), began);
        }
        return;
    }
    match machine.phase {
        MachinePhase::Creating => in_vain(machine.ask.as_mut(), began),
        MachinePhase::Deleting if after(&machine.ask) => {
            match machine.ask.as_ref().map(|ask| ask.deed) {
                Some(Deed::Delete) => machine.missing = GONE,
                // Nobody knows what came of making it: it is deleted to be sure.
                _ => in_vain(machine.ask.as_mut(), began),
            }
        }
        MachinePhase::Deleting => {}
        // Two in a row are enough; a status is not written for more.
        _ if began >= machine.since => machine.missing = (machine.missing + 1).min(2),
        _ => {}
    }
}

fn in_vain(ask: Option<&mut Asked>, began: Timestamp) {
    if let Some(ask) = ask
        && ask.ended.is_some_and(|ended| began >= ended)
    {
        ask.in_vain = true;
    }
}

fn made(machine: &mut Machine, given: &Given, now: Timestamp) {
    machine.id = Some(given.id.clone());
    if machine.phase == MachinePhase::Creating {
        machine.phase = MachinePhase::Joining;
        machine.since = now;
        machine.asked_at = machine.ask.as_ref().map(|ask| ask.at);
        machine.ask = None;
    }
}

impl About {
    fn deed(&self) -> Deed {
        match self {
            About::Create(_) => Deed::Create,
            About::Delete(_) | About::Orphan(_) => Deed::Delete,
        }
    }
}

/// Where a question is recorded, if what it is about still is so.
fn slot<'a>(status: &'a mut PoolStatus, about: &About) -> Option<&'a mut Option<Asked>> {
    match about {
        About::Create(key) | About::Delete(key) => Some(&mut status.machines.get_mut(key)?.ask),
        About::Orphan(id) => Some(&mut status.orphans.get_mut(id)?.ask),
    }
}

/// Machines that came under a key that had one, or after it was given up: that they are to go, and
/// that they are gone. The record of the pool is all that is left of them.
fn one_too_many(old: &PoolStatus, new: &PoolStatus) -> Vec<Reason> {
    let only = |one: &PoolStatus, other: &PoolStatus| -> Vec<(String, String)> {
        let ours = one.orphans.iter().filter(|(_, orphan)| orphan.ours);
        let alone = ours.filter(|(id, _)| !other.orphans.get(*id).is_some_and(|o| o.ours));
        alone.map(|(id, orphan)| (id.clone(), orphan.key.clone())).collect()
    };
    let come = only(new, old).into_iter().map(|(id, key)| {
        Reason::new("orphan", format!("{id} is one too many of {key}, and is deleted"))
    });
    let gone = only(old, new).into_iter().filter(|(id, _)| !new.orphans.contains_key(id));
    let gone = gone.map(|(id, key)| {
        Reason::new("orphan-gone", format!("{id}, one too many of {key}, is gone"))
    });
    come.chain(gone).collect()
}

fn change(cx: &Context, name: &str, change: impl FnOnce(&mut PoolStatus)) -> Plan {
    let mut plan = Plan::new(Intent::Observe);
    let Some(pool) = cx.world.get::<Pool>(name) else { return plan };
    let mut new = Object::clone(pool);
    change(&mut new.status);
    if new.status != pool.status {
        if let Some(error) = Some(&new.status.provider.error).filter(|error| !error.is_empty()) {
            plan.reasons.push(Reason::new("provider", error.clone()));
        }
        plan.reasons.extend(one_too_many(&pool.status, &new.status));
        plan.writes.push(Write::Put(Any::Pool(Arc::new(new))));
    }
    plan
}

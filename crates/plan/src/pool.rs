//! Pools: which machines are asked for, emptied and let go, so that there are as many hosts as a
//! pool is to have. It records what is wanted of each machine before anybody asks a provider, and
//! believes a provider's list only; how providers are asked is the server's business, what came of
//! asking is in `ask.rs`, and moving what runs on a host is the deployments'.
//!
//! **Invariant:** every machine a provider was ever asked for is in the status under its key until
//! a list that was begun after it was asked to delete it does not name it.

use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::pool::provider::Provider;
use atoll_model::pool::{Asked, Deed, LeftAt, Machine, MachinePhase, Pool, PoolStatus, Unjoined};
use atoll_model::{Any, Host, Intent, Kind, Object, Reason, Snapshot, Span, Timestamp, Write};

use crate::{Context, Plan, sooner};

pub mod advice;
pub mod ask;
mod boot;
mod choose;
mod edited;
mod places;
mod reserve;
mod status;
mod steps;
mod whose;

pub(crate) use advice::{can_grow, is_for};
pub(crate) use edited::{for_new_only, hosts_changed, not_to_be_said};
use whose::lists;
pub use whose::{awaits, key, labels, of_host};
pub(crate) use whose::{emptying, gave_out, next_host, reserving, serves};

/// A machine the provider does not list is believed to be there for this long: lists lag behind.
const LAG: Span = Span::seconds(30);
/// What was asked and not answered is given up this long after the provider's time was over.
const GRACE: Span = Span::seconds(10);
/// No more than one of so many machines is given up at a time for its silence.
const GIVEN_UP_PART: u32 = 4;
/// A provider is asked for one machine no more often.
const MOST_TIMES: u32 = 8;
/// After a machine that did not join, the next is asked for after this time, then after twice that.
const FIRST_PAUSE_MS: u64 = 30_000;
const LONGEST_PAUSE_MS: u64 = 30 * 60_000;

/// Plans for one pool.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(pool) = cx.world.get::<Pool>(name) else { return Plan::nothing() };
    let mut turn = Turn { cx, pool, status: pool.status.clone(), plan: Plan::new(Intent::Observe) };
    if let Provider::Static(listed) = &pool.spec.provider {
        turn.keep(listed);
    } else {
        if turn.status.observed_generation < pool.meta.generation {
            ask::try_anew(&mut turn.status, cx.now);
        }
        turn.look();
        if pool.meta.deleting() {
            turn.drop_unmade();
        }
        // Hosts of one that goes are emptied whatever its provider says.
        if turn.status.provider.is_none() || pool.meta.deleting() {
            turn.decide();
        }
    }
    turn.done()
}

/// The pools a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Pool(pool)) => {
            // What it cannot take any more is for others.
            let changed = grows_changed(old, new);
            let more = changed.then(|| following(world)).into_iter().flatten();
            let others = more.filter(|other| *other != pool.meta.name);
            std::iter::once(pool.meta.name.clone()).chain(others).collect()
        }
        Some(Any::Host(host)) => {
            let of = |pool: &&Arc<Object<Pool>>| {
                pool.status.machines.contains_key(host.name()) || lists(pool, host.name())
            };
            world.all::<Pool>().filter(of).map(|pool| pool.meta.name.clone()).collect()
        }
        Some(Any::Peak(_)) if !crate::peak::room_changed(old, new) => Vec::new(),
        Some(Any::Migration(_)) if !crate::migration::shuts_others(old, new) => Vec::new(),
        Some(Any::Deployment(_) | Any::Capacity(_) | Any::Peak(_) | Any::Migration(_)) => {
            following(world).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a pool makes more hosts if more are wanted, and did not before, or the other way round.
pub(crate) fn grows_changed(old: Option<&Any>, new: Option<&Any>) -> bool {
    let grows = |any: Option<&Any>| matches!(any, Some(Any::Pool(pool)) if can_grow(pool));
    grows(old) != grows(new)
}

/// The pools that say how many hosts there would be by what is to run on them.
fn following(world: &Snapshot) -> impl Iterator<Item = String> {
    let all = world.all::<Pool>().filter(|pool| pool.spec.autoscale.is_some());
    all.map(|pool| pool.meta.name.clone())
}

/// One turn of one pool.
struct Turn<'a> {
    cx: &'a Context<'a>,
    pool: &'a Arc<Object<Pool>>,
    status: PoolStatus,
    plan: Plan,
}

impl<'a> Turn<'a> {
    fn host(&self, key: &str) -> Option<&'a Arc<Object<Host>>> {
        self.cx.world.get::<Host>(key)
    }

    /// So many there are to be.
    fn wanted(&self) -> u32 {
        let spec = &self.pool.spec;
        if self.pool.meta.deleting() {
            return 0;
        }
        match self.status.advice.as_ref().filter(|_| spec.acts()) {
            Some(advice) => advice.count.clamp(spec.min, spec.max),
            None => self.status.stays_at(spec),
        }
    }

    fn again(&mut self, at: Timestamp) {
        if at > self.cx.now {
            self.plan.again_at = sooner(self.plan.again_at, Some(at));
        }
    }

    /// Looks how far each machine is.
    fn look(&mut self) {
        self.advise();
        let keys: Vec<String> = self.status.machines.keys().cloned().collect();
        for key in keys {
            self.close_old_question(&key);
            let Some(machine) = self.status.machines.get(&key).cloned() else { continue };
            match machine.phase {
                MachinePhase::Creating => self.look_at_creating(&key, &machine),
                MachinePhase::Joining => self.look_at_joining(&key, &machine),
                MachinePhase::Ready => self.look_at_ready(&key),
                MachinePhase::Lost => self.look_at_lost(&key, &machine),
                MachinePhase::Draining => self.look_at_draining(&key),
                MachinePhase::Deleting => self.forget_host(&key),
            }
        }
    }

    /// Works out how many hosts there would be by what is to run on them.
    fn advise(&mut self) {
        self.status.advice = advice::of(self.cx, self.pool, &self.status);
        let both = self.pool.spec.autoscale.as_ref().zip(self.status.advice.as_ref());
        if let Some(at) = both.and_then(|(autoscale, advice)| advice::again(autoscale, advice)) {
            self.again(at);
        }
        let (wanted, spec) = (self.wanted(), &self.pool.spec);
        self.status.left_at = match spec.acts() && !self.pool.meta.deleting() {
            true => Some(LeftAt { count: spec.count, wanted }),
            false => self.status.left_at.filter(|left| left.count == spec.count),
        };
    }

    /// The server that asked may be gone, and nobody will ever know what it heard.
    fn close_old_question(&mut self, key: &str) {
        let (now, patience) = (self.cx.now, self.pool.spec.provider.timeout());
        let Some(machine) = self.status.machines.get_mut(key) else { return };
        let Some(ask) = machine.ask.as_mut().filter(|ask| ask.is_open()) else { return };
        let due = ask.at + patience + GRACE;
        if now < due {
            return self.again(due);
        }
        (ask.ended, ask.unheard) = (Some(now), false);
        ask.error = Some("whoever asked was not told what came of it".to_owned());
        if !matches!(machine.phase, MachinePhase::Creating | MachinePhase::Deleting) {
            machine.ask = None;
        }
    }

    /// A machine may join before its provider has answered. What was asked for so often in vain
    /// is asked for under another key: a provider may have done with this one.
    fn look_at_creating(&mut self, key: &str, machine: &Machine) {
        if self.host(key).is_some_and(|host| host.status.phase != HostPhase::Unknown) {
            return self.joined(key);
        }
        let answers = self.status.provider.is_none();
        let ask = machine.ask.as_ref();
        let ask = ask.filter(|ask| answers && ask.in_vain && ask.times >= MOST_TIMES);
        if let Some(ask) = ask {
            let why = ask.error.as_deref().unwrap_or("it does not list it");
            let message = format!("the provider did not make it in {} times: {why}", ask.times);
            self.give_up(key, message, Some(Unjoined::Unmade));
        }
    }

    fn look_at_joining(&mut self, key: &str, machine: &Machine) {
        let heard = self.host(key).is_some_and(|host| host.status.phase != HostPhase::Unknown);
        let due = self.patience_from(machine.since) + self.pool.spec.join_within;
        let lag = machine.since + LAG;
        if heard {
            self.joined(key);
        } else if machine.missing >= 2 && self.cx.now >= lag {
            let why = "the provider does not list it".to_owned();
            self.give_up(key, why, Some(Unjoined::Unlisted));
        } else if self.cx.now >= due && self.status.provider.is_none() {
            let why = format!("it did not join within {}", self.pool.spec.join_within);
            let unlisted = machine.missing >= 2;
            let by = if unlisted { Unjoined::Unlisted } else { Unjoined::Unheard };
            self.give_up(key, why, Some(by));
        } else {
            self.again(due);
            if machine.missing >= 2 {
                self.again(lag);
            }
        }
    }

    /// From when on silence counts: not from before the provider answered again.
    fn patience_from(&self, since: Timestamp) -> Timestamp {
        since.max(self.status.recovered_at.unwrap_or_default())
    }

    fn look_at_ready(&mut self, key: &str) {
        match self.host(key) {
            None => self.give_up(key, "its host was deleted".to_owned(), None),
            // Somebody wants it gone: it is emptied as any other, and another one made.
            Some(host) if host.meta.deleting() => self.enter(key, MachinePhase::Draining),
            Some(host) if host.status.phase == HostPhase::Unknown => {
                let since = host.status.silent_since();
                self.enter(key, MachinePhase::Lost);
                let machine = self.status.machines.get_mut(key);
                machine.into_iter().for_each(|m| m.since = since.unwrap_or(m.since));
                self.again(since.unwrap_or(self.cx.now) + self.pool.spec.replace_after);
            }
            Some(_) => {}
        }
    }

    fn look_at_lost(&mut self, key: &str, machine: &Machine) {
        let due = self.patience_from(machine.since) + self.pool.spec.replace_after;
        let Some(host) = self.host(key) else {
            return self.give_up(key, "its host was deleted".to_owned(), None);
        };
        if host.status.phase != HostPhase::Unknown {
            return self.enter(key, MachinePhase::Ready);
        }
        let gone = machine.missing >= 2;
        if !gone && self.cx.now < due {
            return self.again(due);
        }
        let failed = |m: &&Machine| m.failed.is_some();
        // A few at a time, and none while the provider is silent too: it may be us who hear nobody.
        let most = (self.wanted() / GIVEN_UP_PART).clamp(1, self.pool.spec.at_once) as usize;
        let held = self.status.machines.values().filter(failed).count() >= most;
        if held || !self.status.provider.is_none() {
            return;
        }
        let why = match gone {
            true => "it is not heard, and the provider does not list it any more".to_owned(),
            false => format!("it is not heard for {}", self.pool.spec.replace_after),
        };
        self.give_up(key, why, None);
    }

    fn look_at_draining(&mut self, key: &str) {
        let emptied = self.host(key).is_none_or(|host| {
            matches!(host.status.phase, HostPhase::Drained | HostPhase::Unknown)
        });
        if emptied {
            self.enter(key, MachinePhase::Deleting);
            self.forget_host(key);
        }
    }

    /// A host goes before its machine: once nothing is left on it, its planner removes it.
    fn forget_host(&mut self, key: &str) {
        let Some(host) = self.host(key).filter(|host| !host.meta.deleting()) else { return };
        let mut new = Object::clone(host);
        new.meta.deleted_at = Some(self.cx.now);
        self.plan.intent = Intent::Remove;
        self.plan.writes.push(Write::Put(Any::Host(Arc::new(new))));
    }

    fn enter(&mut self, key: &str, phase: MachinePhase) {
        let now = self.cx.now;
        if let Some(machine) = self.status.machines.get_mut(key) {
            machine.phase = phase;
            machine.since = now;
            machine.missing = 0;
            // One that is a host was made, whoever did not hear so.
            let settled = |ask: &Asked| !ask.is_open() || phase == MachinePhase::Ready;
            if machine.ask.as_ref().is_some_and(|ask| ask.deed == Deed::Create && settled(ask)) {
                machine.ask = None;
            }
        }
    }

    /// A machine that is of no use any more is deleted, and another one takes its place.
    fn give_up(&mut self, key: &str, why: String, unjoined: Option<Unjoined>) {
        let message = format!("{key} is given up: {why}");
        self.plan.reasons.push(Reason::new("given-up", message));
        self.enter(key, MachinePhase::Deleting);
        if let Some(machine) = self.status.machines.get_mut(key) {
            machine.failed = Some(why);
        }
        if let Some(by) = unjoined {
            let pause = FIRST_PAUSE_MS << self.status.unjoined.min(10);
            self.status.unjoined += 1;
            self.status.unjoined_by = Some(by);
            self.status.pause_until = Some(self.cx.now + Span(pause.min(LONGEST_PAUSE_MS)));
        }
        self.forget_host(key);
    }

    /// Of a pool that is to go, machines its provider cannot have heard of are not waited for,
    /// though nobody can ask it which there are.
    fn drop_unmade(&mut self) {
        let unmade = |machine: &Machine| {
            machine.phase == MachinePhase::Creating
                && machine.ask.as_ref().is_none_or(|ask| ask.in_vain && ask.unheard)
        };
        self.status.machines.retain(|_, machine| !unmade(machine));
    }

    /// Asks for more machines, or lets some go.
    fn decide(&mut self) {
        let wanted = self.wanted();
        let staying = self.count(|machine| machine.phase.stays());
        self.status.machines.values_mut().for_each(|machine| machine.closed = false);
        if staying < wanted {
            let missing = wanted - staying - self.take_back(wanted - staying);
            self.ask_for(missing, wanted);
        } else if staying > wanted {
            self.let_go(staying - wanted);
        }
    }

    fn count(&self, is: impl Fn(&Machine) -> bool) -> u32 {
        self.status.machines.values().filter(|machine| is(machine)).count() as u32
    }

    /// Hosts that are still being emptied stay after all; says how many.
    fn take_back(&mut self, most: u32) -> u32 {
        let mut back: Vec<(Timestamp, String)> = Vec::new();
        for (key, machine) in &self.status.machines {
            let host = self.host(key).filter(|host| !host.meta.deleting());
            let heard = host.is_some_and(|host| host.status.phase != HostPhase::Unknown);
            if machine.phase == MachinePhase::Draining && heard {
                back.push((machine.since, key.clone()));
            }
        }
        // Those that were begun last are the fullest.
        back.sort_unstable_by(|a, b| b.cmp(a));
        back.truncate(most as usize);
        for (_, key) in &back {
            self.plan.intent = Intent::Scale;
            self.enter(key, MachinePhase::Ready);
        }
        back.len() as u32
    }

    /// **Invariant:** there are never more machines, those on their way out included, than are
    /// wanted and the surge allows, but for those that were there before fewer were wanted.
    fn ask_for(&mut self, missing: u32, wanted: u32) {
        if missing == 0 {
            return;
        }
        if let Some(until) = self.status.pause_until.filter(|until| *until > self.cx.now) {
            return self.again(until);
        }
        let arriving =
            |m: &Machine| matches!(m.phase, MachinePhase::Creating | MachinePhase::Joining);
        let room = (wanted + self.pool.spec.surge).saturating_sub(self.count(|_| true));
        let places = self.pool.spec.at_once.saturating_sub(self.count(arriving));
        for _ in 0..missing.min(room).min(places) {
            let key = key(self.pool, self.status.made);
            self.status.made += 1;
            let machine = Machine { since: self.cx.now, ..Machine::default() };
            self.status.machines.insert(key, machine);
            self.plan.intent = Intent::Scale;
        }
    }

    /// Lets those go first that serve least.
    fn let_go(&mut self, surplus: u32) {
        for candidate in self.first_to_go(surplus) {
            let asked = self.status.machines.get(&candidate).is_some_and(|m| m.ask.is_some());
            match self.status.machines.get(&candidate).map(|machine| machine.phase) {
                Some(MachinePhase::Creating) if !asked => {
                    self.status.machines.remove(&candidate);
                }
                Some(MachinePhase::Ready) => self.enter(&candidate, MachinePhase::Draining),
                Some(_) => {
                    self.enter(&candidate, MachinePhase::Deleting);
                    self.forget_host(&candidate);
                }
                None => {}
            }
            if self.plan.intent == Intent::Observe {
                self.plan.intent = Intent::Scale;
            }
        }
    }

    /// Those that go now; those that go next get nothing new meanwhile.
    fn first_to_go(&mut self, surplus: u32) -> Vec<String> {
        let (now, next) = choose::first_to_go(self.cx, self.pool, &self.status, surplus);
        for key in &next {
            let machine = self.status.machines.get_mut(key);
            machine.into_iter().for_each(|machine| machine.closed = true);
        }
        now
    }

    fn done(mut self) -> Plan {
        let gone = self.status.machines.is_empty() && !self.has_orphans_of_ours();
        if self.pool.meta.deleting() && gone {
            let message = format!("nothing is left of {}", self.pool.name());
            let mut plan = Plan::new(Intent::Remove);
            plan.reasons.push(Reason::new("deleted", message));
            plan.writes.push(Write::Delete {
                kind: Kind::Pool,
                name: self.pool.meta.name.clone(),
                revision: self.pool.meta.revision,
            });
            return plan;
        }
        status::tell(self.cx, self.pool, self.wanted(), &mut self.status);
        if self.status.reasons.iter().any(|reason| reason.code == places::NOWHERE) {
            // That others have room is no change of this pool.
            self.again(self.cx.now + places::EVERY);
        }
        if self.status != self.pool.status {
            self.plan.reasons.extend(steps::between(self.pool, &self.status));
            let told = |code: &str| self.plan.reasons.iter().any(|reason| reason.code == code);
            let stands = self.status.reasons.iter().filter(|reason| !told(&reason.code));
            let stands: Vec<Reason> = stands.cloned().collect();
            self.plan.reasons.extend(stands);
            let mut new = Object::clone(self.pool);
            new.status = self.status;
            // The status first: it is the subject, should the gate hold the rest.
            self.plan.writes.insert(0, Write::Put(Any::Pool(Arc::new(new))));
        }
        self.plan
    }

    fn has_orphans_of_ours(&self) -> bool {
        self.status.orphans.values().any(|orphan| orphan.ours)
    }
}

//! Migrations: what runs on some hosts is moved off them in waves. The hosts are closed to new
//! instances by their own planner, a wave names instances, and their deployments replace them as
//! they do on hosts that are emptied: another is made first, and the old one goes when it serves.
//! So nothing is forced, a migration writes nothing but its own status, and whatever happens to
//! hosts or servers meanwhile, that says where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::migration::{MigrationPhase, MigrationStatus, Move, Wave};
use atoll_model::{
    Any, Application, Deployment, Host, Instance, Intent, Migration, Object, Reason, Selector,
    Snapshot, Span, Timestamp, Write,
};

use crate::{Context, Plan, pool, sooner};

mod after;
mod arbitrate;
mod balance;
pub mod forecast;
mod obstacle;
mod packing;
mod room;
mod source;

pub(crate) use after::all_moved;
pub(crate) use source::{joining, shuts, shuts_others, sources};

/// What was moved off is left alone for so long.
const LATELY: Span = Span::seconds(86_400);
/// So many waves that have ended are remembered.
const REMEMBERED: usize = 100;

/// Plans for one migration.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(migration) = cx.world.get::<Migration>(name) else { return Plan::nothing() };
    let mut turn =
        Turn { cx, migration, status: migration.status.clone(), plan: Plan::new(Intent::Observe) };
    turn.take();
    turn.done()
}

/// The migrations a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let deployment = match new.or(old) {
        Some(Any::Migration(migration)) => return vec![migration.meta.name.clone()],
        Some(Any::Host(host)) => {
            let of = |m: &&Arc<Object<Migration>>| {
                let known = m.spec.closes(&m.status, host.name());
                known || m.status.has_no_room() || source::is_new(m, host)
            };
            return world.all::<Migration>().filter(of).map(|m| m.meta.name.clone()).collect();
        }
        Some(Any::Facts(facts)) => {
            let Some(host) = world.get::<Host>(&facts.spec.host) else { return Vec::new() };
            let of = |m: &&Arc<Object<Migration>>| source::is_new(m, host);
            return world.all::<Migration>().filter(of).map(|m| m.meta.name.clone()).collect();
        }
        // Which pools cannot make room any more is told.
        Some(Any::Pool(_)) if pool::grows_changed(old, new) => {
            let of = |m: &&Arc<Object<Migration>>| m.status.has_no_room();
            return world.all::<Migration>().filter(of).map(|m| m.meta.name.clone()).collect();
        }
        Some(Any::Deployment(deployment)) => deployment.name(),
        Some(Any::Instance(instance)) if new.is_none() => instance.spec.deployment.as_str(),
        _ => return Vec::new(),
    };
    let concerned = |migration: &&Arc<Object<Migration>>| {
        let status = &migration.status;
        // What leaves a host makes room for whomever.
        let has_left = new.is_none() && status.has_no_room();
        let waits = has_left || (status.moving.is_empty() && status.left > 0);
        !status.phase.is_over()
            && (waits || status.moving.values().any(|one| one.deployment == deployment))
    };
    world.all::<Migration>().filter(concerned).map(|m| m.meta.name.clone()).collect()
}

/// The migration whose wave moves an instance: of several, the first that does not wait for room.
pub(crate) fn moves<'a>(
    world: &'a Snapshot,
    instance: &Object<Instance>,
) -> Option<&'a Object<Migration>> {
    let all = world.all::<Migration>().filter(|migration| migration.status.moves(instance));
    // The least is the first of those that are alike.
    all.min_by_key(|migration| migration.status.has_no_room()).map(Arc::as_ref)
}

/// Where a migration moves what it moves, if that is bounded: taken back, it goes anywhere.
pub(crate) fn bound(migration: &Object<Migration>) -> Option<&Selector> {
    let bounded = migration.status.phase != MigrationPhase::GoingBack;
    Some(&migration.spec.to).filter(|to| bounded && !to.0.is_empty())
}

/// So many instances of a deployment are under way by a migration's wave. What waits for room is
/// not: it serves where it is, and holds up nobody.
pub(crate) fn under_way(
    world: &Snapshot,
    migration: &Object<Migration>,
    deployment: &str,
) -> usize {
    let status = &migration.status;
    let of_it = status.moving.iter().filter(|(_, one)| one.deployment == deployment);
    if !status.has_no_room() {
        return of_it.count();
    }
    let made = replaced(world, status, deployment);
    let gone = |name: &str| world.get::<Instance>(name).is_none_or(|it| !status.moves(it));
    of_it.filter(|(name, _)| made.contains(name.as_str()) || gone(name)).count()
}

/// What of a deployment others were made for since a migration's wave began: their names.
fn replaced<'a>(
    world: &'a Snapshot,
    status: &MigrationStatus,
    deployment: &str,
) -> BTreeSet<&'a str> {
    let made = made_since(world, status, deployment);
    made.filter_map(|instance| instance.spec.replaces.as_deref()).collect()
}

/// What of a deployment was made since a migration's wave began.
fn made_since<'a>(
    world: &'a Snapshot,
    status: &MigrationStatus,
    deployment: &str,
) -> impl Iterator<Item = &'a Object<Instance>> {
    let since = status.wave_at;
    let all = world.derived::<Instance>(deployment).map(Arc::as_ref);
    all.filter(move |instance| instance.meta.created_at >= since)
}

/// Whether nothing is heard of a host.
pub(crate) fn is_silent(world: &Snapshot, host: &str) -> bool {
    world.get::<Host>(host).is_some_and(|host| host.status.phase == HostPhase::Unknown)
}

/// The migration that keeps new instances off a host.
pub(crate) fn closing<'a>(world: &'a Snapshot, host: &str) -> Option<&'a Arc<Object<Migration>>> {
    world.all::<Migration>().find(|migration| migration.spec.closes(&migration.status, host))
}

/// The migrations that have lately moved an application off hosts: what people moved off is not
/// moved back there to lie evenly. Balancing leaves hosts less full, and open to all.
pub(crate) fn emptied<'a>(
    world: &'a Snapshot,
    now: Timestamp,
    application: &Object<Application>,
) -> Vec<&'a Arc<Object<Migration>>> {
    let has = |migration: &&Arc<Object<Migration>>| {
        let (spec, status) = (&migration.spec, &migration.status);
        let lately = status.ended_at.is_some_and(|at| now.since(at) < LATELY);
        let done = status.phase == MigrationPhase::Done && !spec.balance;
        lately && done && spec.applications.matches(&application.meta.labels)
    };
    world.all::<Migration>().filter(has).collect()
}

/// The deployments of which a migration moves anything from now on, as far as it can be seen.
pub(crate) fn of_whom(cx: &Context, migration: &Object<Migration>) -> BTreeSet<String> {
    let (spec, status) = (&migration.spec, &migration.status);
    let begun = status.phase != MigrationPhase::Waiting;
    let hosts = match begun {
        true => status.hosts.clone(),
        false if spec.balance => balance::quota(cx.world, spec).into_keys().collect(),
        false => sources(cx, spec),
    };
    let left = arbitrate::meant(cx.world, spec, &hosts).into_iter();
    let left = left.map(|instance| instance.spec.deployment.clone());
    let moving = status.moving.values().map(|one| one.deployment.clone());
    let back = status.waves.iter().filter(|_| spec.back > status.back);
    left.chain(moving).chain(back.flat_map(|wave| wave.moved.keys().cloned())).collect()
}

/// One turn of one migration.
struct Turn<'a> {
    cx: &'a Context<'a>,
    migration: &'a Arc<Object<Migration>>,
    status: MigrationStatus,
    plan: Plan,
}

impl Turn<'_> {
    fn take(&mut self) {
        let spec = &self.migration.spec;
        let over = self.status.phase.is_over();
        if self.status.phase == MigrationPhase::Waiting && !spec.cancelled {
            self.begin();
        }
        self.take_in();
        if over && self.left_to_take_back() == 0 {
            return;
        }
        self.status.reasons.clear();
        if !self.status.moving.is_empty() {
            self.follow();
        }
        if !self.status.moving.is_empty() {
            return;
        }
        if self.left_to_take_back() > 0 {
            return self.go_back();
        }
        if spec.cancelled {
            return self.end(MigrationPhase::Cancelled);
        }
        if self.status.phase == MigrationPhase::GoingBack {
            return self.end(MigrationPhase::Cancelled);
        }
        self.go_on();
    }

    fn left_to_take_back(&self) -> u32 {
        self.migration.spec.back.saturating_sub(self.status.back)
    }

    /// Finds the hosts.
    fn begin(&mut self) {
        let (spec, now) = (&self.migration.spec, self.cx.now);
        self.status.started_at = Some(now);
        self.status.phase = MigrationPhase::Moving;
        match spec.balance {
            true => self.status.quota = balance::quota(self.cx.world, spec),
            false => self.status.hosts = sources(self.cx, spec),
        }
        self.status.hosts.extend(self.status.quota.keys().cloned());
        if !spec.balance {
            let meant = arbitrate::meant(self.cx.world, spec, &self.status.hosts);
            self.status.found = meant.len() as u32;
        }
    }

    /// Empties those hosts too that have joined since: what is moved off would go there else.
    fn take_in(&mut self) {
        if !source::empties(self.migration) {
            return;
        }
        let world = self.cx.world;
        let new = world.all::<Host>().filter(|it| source::takes_in(self.cx, self.migration, it));
        let new: BTreeSet<String> = new.map(|host| host.name().to_owned()).collect();
        // Mostly none is there, or what was placed in the moment before.
        self.status.found += arbitrate::meant(world, &self.migration.spec, &new).len() as u32;
        self.status.hosts.extend(new);
    }

    /// Looks how far the wave is: it ends when its instances are gone and all that lost some have
    /// what they want again.
    fn follow(&mut self) {
        let world = self.cx.world;
        let there = |name: &str| self.is_there(name);
        let waiting = |one: &Move| {
            let deployment = world.get::<Deployment>(&one.deployment);
            deployment.is_some_and(|d| !d.meta.deleting() && d.status.ready < d.wanted())
        };
        let open = self.status.moving.iter().filter(|(name, one)| there(name) || waiting(one));
        let open: BTreeSet<String> = open.map(|(_, one)| one.deployment.clone()).collect();
        let began = self.status.wave_at.unwrap_or(self.cx.now);
        if open.is_empty() {
            return self.end_wave(began);
        }
        let due = began + self.migration.spec.wave_timeout;
        let back = self.left_to_take_back() > 0 && self.status.phase != MigrationPhase::GoingBack;
        let unwanted = self.migration.spec.cancelled || back;
        if unwanted && (self.cx.now >= due || open.iter().all(|name| self.is_held_up(name))) {
            return self.give_up(began);
        }
        let held_up = self.held_up(&open, due);
        let mut told: Vec<Reason> = self.after_this().into_iter().chain(self.silent()).collect();
        if held_up.is_some() {
            self.count_left();
        }
        told.extend(self.elsewhere());
        told.extend(held_up);
        self.status.reasons.extend(told);
        if self.cx.now < due {
            self.plan.again_at = sooner(self.plan.again_at, Some(due));
            return;
        }
        self.status.phase = MigrationPhase::Stuck;
        for name in open.into_iter().take(5) {
            let why = match (self.no_room(&name), self.why(&name)) {
                (Some(_), _) => "there is no room for what it moves".to_owned(),
                (None, Some(reason)) => reason.message.clone(),
                (None, None) => "it does not get ready elsewhere".to_owned(),
            };
            let message = format!("wave {} does not end: {name}: {why}", self.status.wave);
            let hint = format!("atoll why deployment/{name}; it goes on when that is mended");
            self.status.reasons.push(Reason::new("stuck", message).hint(hint));
        }
    }

    /// Counts what is left while a wave does not go on: meanwhile, some of it may go by other ways.
    fn count_left(&mut self) {
        let (spec, status) = (&self.migration.spec, &self.status);
        if spec.balance || status.phase == MigrationPhase::GoingBack {
            return;
        }
        let meant = arbitrate::meant(self.cx.world, spec, &status.hosts);
        let others = meant.iter().filter(|it| !status.moving.contains_key(it.name()));
        self.status.left = (others.count() + self.status.moving.len()) as u32;
    }

    /// Whether an instance of the wave is where it is moved off.
    fn is_there(&self, name: &str) -> bool {
        let instance = self.cx.world.get::<Instance>(name).filter(|it| self.status.moves(it));
        instance.is_some_and(|instance| !is_silent(self.cx.world, &instance.spec.host))
    }

    /// Ends a wave that does not end, of a migration nobody wants any more: what it has not moved
    /// stays where it is, and what was made for that goes again.
    fn give_up(&mut self, began: Timestamp) {
        let stay = self.status.moving.keys().filter(|name| self.is_there(name));
        let stay: BTreeSet<String> = stay.cloned().collect();
        let all = self.status.moving.len();
        self.status.moving.retain(|name, _| !stay.contains(name));
        let left = crate::instances(all - self.status.moving.len());
        let wave = self.status.wave;
        let message = format!("wave {wave} did not end and was given up, with {left} not moved");
        self.end_wave(began);
        self.status.reasons.push(Reason::new("given-up", message));
    }

    fn end_wave(&mut self, began: Timestamp) {
        let moving = std::mem::take(&mut self.status.moving);
        let back = self.status.phase == MigrationPhase::GoingBack;
        let mut moved: BTreeMap<String, u32> = BTreeMap::new();
        for one in moving.values() {
            *moved.entry(one.deployment.clone()).or_default() += 1;
            if let Some(quota) = self.status.quota.get_mut(&one.from) {
                *quota = quota.saturating_sub(1);
            }
        }
        let count = moving.len() as u32;
        let elsewhere = if back { 0 } else { self.not_replaced(&moving) };
        match back {
            true => self.status.moved = self.status.moved.saturating_sub(count),
            false => self.status.moved += count,
        }
        self.status.back += u32::from(back);
        if back {
            self.status.left = self.left();
        }
        let number = self.status.wave;
        if count > 0 {
            let ended = self.cx.now;
            self.status.waves.push(Wave { number, began, ended, moved, back, elsewhere });
        }
        let surplus = self.status.waves.len().saturating_sub(REMEMBERED);
        self.status.waves.drain(..surplus);
        self.status.wave_at = Some(self.cx.now);
        if self.status.phase == MigrationPhase::Stuck {
            self.status.phase = MigrationPhase::Moving;
        }
    }

    /// Begins the next wave, waits for its time, or ends.
    fn go_on(&mut self) {
        let (spec, world) = (&self.migration.spec, self.cx.world);
        let total = self.status.moved + self.status.left;
        let size = |of: u32| spec.wave.floor_of(of).max(1);
        let choice = arbitrate::choose(world, spec, &self.status, u32::MAX);
        self.status.left = choice.left;
        if choice.left == 0 {
            if self.status.hosts.is_empty() {
                let message = nothing(world, spec, &self.status.hosts);
                self.status.reasons.push(Reason::new("no-hosts", message));
            }
            self.status.reasons.extend(self.elsewhere());
            self.status.reasons.extend(self.silent());
            return self.end(MigrationPhase::Done);
        }
        if spec.paused {
            self.status.phase = MigrationPhase::Paused;
            let message = crate::instances_do(choice.left as usize, "is left", "are left");
            let hint = format!("atoll resume migration/{}", self.migration.name());
            self.status.reasons.push(Reason::new("paused", message).hint(hint));
            return;
        }
        self.status.phase = MigrationPhase::Moving;
        let is_open = |name: &String| world.get::<Host>(name).is_some_and(|host| host.is_open());
        if self.status.hosts.iter().any(is_open) {
            // What is moved might come back; they are closed in a moment.
            return;
        }
        let next = self.status.wave_at.map(|at| at + spec.pause).filter(|_| self.status.wave > 0);
        if let Some(next) = next.filter(|next| *next > self.cx.now) {
            self.plan.again_at = sooner(self.plan.again_at, Some(next));
            let message = format!("wave {} begins at {next}", self.status.wave + 1);
            self.status.reasons.push(Reason::new("rests", message));
            return;
        }
        let size = size(total.max(choice.left));
        self.status.reasons = choice.obstacles.into_iter().take(5).collect();
        self.wave(choice.moves.into_iter().take(size as usize).collect());
    }

    fn wave(&mut self, moves: BTreeMap<String, Move>) {
        if moves.is_empty() {
            return;
        }
        let count = crate::instances(moves.len());
        self.status.moving = moves;
        self.status.wave += 1;
        self.status.wave_at = Some(self.cx.now);
        let message = format!("wave {} moves {count}", self.status.wave);
        self.plan.reasons.push(Reason::new("wave", message));
        let due = self.cx.now + self.migration.spec.wave_timeout;
        self.plan.again_at = sooner(self.plan.again_at, Some(due));
    }

    /// Takes the newest wave back that was not taken back yet: as many instances that were made
    /// since are moved again, and the hosts are open.
    fn go_back(&mut self) {
        self.status.phase = MigrationPhase::GoingBack;
        let forth: Vec<&Wave> = self.status.waves.iter().filter(|wave| !wave.back).collect();
        let at = forth.len().checked_sub(1 + self.status.back as usize);
        let Some(wave) = at.and_then(|at| forth.get(at)) else {
            let message = "there is no further wave that could be taken back".to_owned();
            self.status.reasons.push(Reason::new("no-wave", message));
            // No more than all can be taken back: nobody waits for the rest.
            self.status.back = self.migration.spec.back;
            return self.end(MigrationPhase::Cancelled);
        };
        let mut moves = BTreeMap::new();
        for (name, count) in &wave.moved {
            let made = self.cx.world.derived::<Instance>(name).filter(|instance| {
                let later = instance.meta.created_at.is_some_and(|at| at >= wave.began);
                let away = !self.status.hosts.contains(&instance.spec.host);
                later && away && !instance.meta.deleting() && instance.spec.deployment == *name
            });
            for instance in made.take(*count as usize) {
                let from = instance.spec.host.clone();
                moves.insert(instance.meta.name.clone(), Move { deployment: name.clone(), from });
            }
        }
        if moves.is_empty() {
            // All of them have gone since.
            self.status.back += 1;
            self.plan.again_at = Some(self.cx.now);
            return;
        }
        self.wave(moves);
    }

    fn end(&mut self, phase: MigrationPhase) {
        self.status.phase = phase;
        // One that was over ends anew with the waves that were taken back, and not without any.
        if self.status.ended_at.is_none() || self.status.ended_at < self.status.wave_at {
            self.status.ended_at = Some(self.cx.now);
        }
        if phase == MigrationPhase::Cancelled {
            self.status.left = self.left();
            self.status.reasons.extend(self.elsewhere());
        }
    }

    /// So many are left to be moved.
    fn left(&self) -> u32 {
        arbitrate::choose(self.cx.world, &self.migration.spec, &self.status, u32::MAX).left
    }

    fn done(mut self) -> Plan {
        if self.status != self.migration.status {
            self.plan.reasons.extend(self.status.reasons.clone());
            let mut new = Object::clone(self.migration);
            new.status = self.status;
            self.plan.writes.push(Write::Put(Any::Migration(Arc::new(new))));
        }
        self.plan
    }
}

/// Why a migration has nothing to move off these hosts.
fn nothing(world: &Snapshot, spec: &Migration, hosts: &BTreeSet<String>) -> String {
    match spec.balance {
        true => balance::none(world, spec).to_owned(),
        false if hosts.is_empty() => format!("no host passes {}", spec.off),
        false => "nothing runs there that it would move".to_owned(),
    }
}

//! A plan for one deployment while it is being made: what it creates, changes and deletes, and
//! how many instances that serve it may still take down. It chooses no instance by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::deployment::{Moving, PortTries};
use atoll_model::{Any, Instance, Kind, Object, Reason, Release, Timestamp, Write};

use super::Subject;
use super::fleet::Member;
use super::replace::Next;
use crate::budget::dear::Dear;
use crate::checksum;
use crate::placement::{self, Need, Place, Placer};

mod held;

pub(crate) struct Draft<'a> {
    subject: &'a Subject<'a>,
    pub writes: Vec<Write>,
    pub reasons: Vec<Reason>,
    /// Instances that serve and may yet be taken down.
    spare: u32,
    changed: BTreeSet<u32>,
    next_ordinal: u32,
    /// Something was put on the target.
    pub begun: bool,
    /// So many instances were moved towards the target by a step of the rollout.
    pub moving: u32,
    /// The instances that go once what is created here serves elsewhere.
    pub moves: Option<Moving>,
    /// Other hosts were tried for a fixed port.
    pub port_tries: Option<PortTries>,
    /// What could not be done; goes into the status as well.
    pub obstacles: Vec<Reason>,
    /// When what is waited for is looked at again.
    pub again_at: Option<Timestamp>,
}

impl<'a> Draft<'a> {
    pub fn new(subject: &'a Subject<'a>) -> Draft<'a> {
        Draft {
            subject,
            writes: Vec::new(),
            reasons: Vec::new(),
            spare: 0,
            changed: BTreeSet::new(),
            next_ordinal: 0,
            begun: false,
            moving: 0,
            moves: None,
            port_tries: None,
            obstacles: Vec::new(),
            again_at: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Allows the taking down of instances that serve, down to a floor.
    pub fn allow(&mut self, available: u32, floor: u32) {
        self.spare = available.saturating_sub(floor);
    }

    pub fn because(&mut self, code: &str, message: String) {
        self.reasons.push(Reason::new(code, message));
    }

    /// Whether this plan does nothing to the instance yet.
    pub fn is_free(&self, member: &Member) -> bool {
        !self.changed.contains(&member.seat.ordinal)
    }

    /// Counts an instance as taken down; false if none may be any more.
    ///
    /// **Invariant:** every instance that serves and is stopped, deleted or updated by a plan goes
    /// through here, so that the plan as a whole stays above the floor.
    fn take_down(&mut self, member: &Member) -> bool {
        if member.ready {
            if self.spare == 0 {
                return false;
            }
            self.spare -= 1;
        }
        self.changed.insert(member.seat.ordinal)
    }

    /// Brings an instance to a release where it is. False if that would take down too many.
    pub fn update(&mut self, member: &Member, release: &Object<Release>) -> bool {
        if !self.take_down(member) {
            return false;
        }
        let mut new = Object::clone(member.object);
        new.spec.release = release.meta.name.clone();
        new.spec.prefetch = None;
        new.spec.resources = release.spec.run.resources;
        new.spec.runtime = self.subject.environment.spec.runtime;
        new.meta.generation += 1;
        self.begun |= release.name() == self.subject.target.name();
        self.writes.push(Write::Put(Any::Instance(Arc::new(new))));
        true
    }

    /// Asks an instance to stop for good. False if that would take down too many.
    pub fn stop(&mut self, member: &Member) -> bool {
        if !self.take_down(member) {
            return false;
        }
        self.writes.push(stop(member.object, self.subject.now));
        true
    }

    /// Lets the host fetch a release ahead of need. The generation stays: nothing is asked of the
    /// process.
    pub fn prefetch(&mut self, member: &Member, release: &str) {
        let mut new = Object::clone(member.object);
        new.spec.prefetch = Some(release.to_owned());
        self.writes.push(Write::Put(Any::Instance(Arc::new(new))));
    }

    /// Removes the object of an instance of which nothing runs any more.
    pub fn forget(&mut self, member: &Member) {
        self.changed.insert(member.seat.ordinal);
        self.writes.push(forget(member.object));
    }

    /// Whether there is a host for the next.
    pub(super) fn fits(&self, release: &'a Object<Release>, next: &Next<'a>) -> bool {
        let need = Need { to: next.to, ..self.need(release) };
        self.placer(&need).place(0).is_some()
    }

    /// Whether there is a host for the next; notes why not.
    pub(super) fn has_host(&mut self, release: &'a Object<Release>, next: &Next<'a>) -> bool {
        let need = Need { to: next.to, ..self.need(release) };
        let has_host = self.fits(release, next);
        if !has_host {
            self.obstacles.push(placement::unplaceable(self.subject.world, &need, next.count));
        }
        has_host
    }

    /// The host one more instance would be created on.
    pub fn next_host(&self, release: &'a Object<Release>) -> Option<String> {
        self.placer(&self.need(release)).place(0).map(|place| place.host)
    }

    /// Creates up to `count` instances, anywhere; returns how many found a host, and notes why the
    /// rest did not. A plan creates once: a second time would not know of the first.
    pub fn create(&mut self, release: &'a Object<Release>, count: u32) -> u32 {
        self.create_next(release, &Next::anywhere(count))
    }

    /// Creates the next, as [`create`](Draft::create), where they go.
    pub(super) fn create_next(&mut self, release: &'a Object<Release>, next: &Next<'a>) -> u32 {
        self.place(release, next, None)
    }

    fn place(&mut self, release: &'a Object<Release>, next: &Next<'a>, dear: Option<&Dear>) -> u32 {
        let (subject, count) = (self.subject, next.count);
        let mut need = Need { to: next.to, dear, ..self.need(release) };
        let misfits = need.misfits.is_some_and(|misfits| !misfits.is_empty());
        if misfits && self.placer(&need).place(0).is_none() {
            // There is no other host: perhaps it comes up by now.
            need.misfits = None;
        }
        let mut placer = self.placer(&need);
        for made in 0..count {
            let ordinal = self.free_ordinal();
            let seed = checksum([
                subject.object.name().as_bytes(),
                &ordinal.to_le_bytes(),
                &subject.world.revision.to_le_bytes(),
            ]);
            let Some(place) = placer.place(seed) else {
                self.obstacles.push(placement::unplaceable(subject.world, &need, count - made));
                return made;
            };
            self.next_ordinal = ordinal + 1;
            self.begun |= release.name() == subject.target.name();
            let replaces = next.replaces.get(made as usize).map(|name| (*name).to_owned());
            self.writes.push(new_instance(subject, release, (ordinal, replaces), place));
        }
        count
    }

    /// What an instance of a release needs of its host, wherever that is.
    pub fn need(&self, release: &'a Object<Release>) -> Need<'a> {
        Need {
            resources: release.spec.run.resources,
            ports: &release.spec.run.ports,
            hosts: &self.subject.environment.spec.hosts,
            to: None,
            dear: None,
            misfits: Some(&self.subject.object.status.misfits),
            spread: &self.subject.application.spec.spread,
            runtime: self.subject.environment.spec.runtime,
        }
    }

    fn placer<'b>(&self, need: &Need<'b>) -> Placer<'b>
    where
        'a: 'b,
    {
        let own = self.subject.fleet.0.iter().filter(|m| m.stays() && self.is_free(m));
        Placer::new(self.subject.world, *need, own.map(|m| m.seat))
    }

    /// The lowest ordinal not in use. Members are sorted by ordinal, so the search goes on where
    /// the last one ended.
    fn free_ordinal(&self) -> u32 {
        let members = &self.subject.fleet.0;
        let mut ordinal = self.next_ordinal;
        let from = members.partition_point(|m| m.seat.ordinal < ordinal);
        for member in &members[from..] {
            if member.seat.ordinal > ordinal {
                break;
            }
            ordinal += 1;
        }
        ordinal
    }
}

fn new_instance(
    subject: &Subject,
    release: &Object<Release>,
    (ordinal, replaces): (u32, Option<String>),
    place: Place,
) -> Write {
    let deployment = subject.object.name();
    let mut new = Object::new(
        format!("{deployment}.{ordinal}"),
        Instance {
            deployment: deployment.to_owned(),
            ordinal,
            release: release.meta.name.clone(),
            host: place.host,
            ports: place.ports,
            resources: release.spec.run.resources,
            prefetch: None,
            runtime: subject.environment.spec.runtime,
            replaces,
        },
    );
    new.meta.generation = 1;
    new.meta.created_at = Some(subject.now);
    Write::Put(Any::Instance(Arc::new(new)))
}

/// Asks an instance to stop for good.
pub(crate) fn stop(instance: &Arc<Object<Instance>>, now: Timestamp) -> Write {
    let mut new = Object::clone(instance);
    new.meta.deleted_at = Some(now);
    Write::Put(Any::Instance(Arc::new(new)))
}

/// Removes the object of an instance.
pub(crate) fn forget(instance: &Object<Instance>) -> Write {
    Write::Delete {
        kind: Kind::Instance,
        name: instance.meta.name.clone(),
        revision: instance.meta.revision,
    }
}

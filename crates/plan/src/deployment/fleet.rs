//! The instances of one deployment, each seen together with its host. It decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::deployment::InstancePhase;
use atoll_model::snapshot::{Seat, Standing};
use atoll_model::{
    Deployment, Instance, Kind, Migration, Object, Reason, Release, Snapshot, Span, Timestamp,
};

/// What an agent says of an instance whose container engine does not answer.
const ENGINE_AWAY: &str = "docker-missing";
/// What it says of one that ended with its engine, until it has been started again.
const ENGINE_ENDED: &str = "docker-ended";
/// What comes up again is given so long before it counts as what does not serve.
const COMES_UP: Span = Span::seconds(60);

/// One instance.
pub(crate) struct Member<'a> {
    pub object: &'a Arc<Object<Instance>>,
    /// What is told of it without looking at the object, nor at its host.
    pub seat: &'a Seat,
    pub place: Standing,
    /// It serves what it is meant to, as far as is known.
    pub ready: bool,
    /// Its own deployment moves it to another zone, so that they lie evenly.
    pub moves: bool,
    /// The migration whose wave moves it, and has room for it or may have.
    pub moved_by: Option<&'a Object<Migration>>,
    /// Another was made for it where that migration moves it to.
    pub replaced: bool,
}

impl<'a> Member<'a> {
    fn of(world: &'a Snapshot, seat: &'a Seat, migrating: bool) -> Member<'a> {
        let object = &seat.instance;
        let moved_by = migrating.then(|| crate::migration::moves(world, object)).flatten();
        let place = match seat.standing {
            Standing::Staying if moved_by.is_some() => Standing::Leaving,
            standing => standing,
        };
        let ready = seat.ready && matches!(place, Standing::Staying | Standing::Leaving);
        Member { object, seat, place, ready, moves: false, moved_by, replaced: false }
    }

    /// Takes it for one that its own deployment moves to another zone.
    fn leave_zone(&mut self) {
        self.moves = true;
        if self.place == Standing::Staying {
            self.place = Standing::Leaving;
        }
    }

    pub fn name(&self) -> &'a str {
        &self.object.meta.name
    }

    pub fn zone(&self) -> &'a str {
        &self.seat.zone
    }

    /// It is to go on living, and its host is there.
    pub fn present(&self) -> bool {
        !self.seat.deleting && matches!(self.place, Standing::Staying | Standing::Leaving)
    }

    /// It is to go on living, and where it is.
    pub fn stays(&self) -> bool {
        !self.seat.deleting && self.place == Standing::Staying
    }

    pub fn is_on(&self, release: &str) -> bool {
        *self.seat.release == *release
    }

    /// Its process has died again and again, or was ready and is not, on the release it is to
    /// run. A port taken by something else is not held against the release.
    pub fn broken(&self) -> bool {
        let status = &self.object.status;
        !self.seat.ready
            && matches!(status.phase, InstancePhase::CrashLoop | InstancePhase::Unready)
            && status.observed_generation >= self.object.meta.generation
            && !self.lacks_port()
            && self.engine_away().is_none()
    }

    /// The container engine of its host does not answer: how it is, is not known.
    pub fn engine_away(&self) -> Option<&'a Reason> {
        if self.ready || !self.stays() {
            return None;
        }
        self.object.status.reasons.iter().find(|reason| reason.code == ENGINE_AWAY)
    }

    /// Until when it may be coming up again, should it have just been started: after its engine or
    /// its host was, for one.
    pub fn comes_up_until(&self, now: Timestamp) -> Option<Timestamp> {
        let status = &self.object.status;
        let starts = self.stays()
            && status.phase == InstancePhase::Starting
            && status.observed_generation >= self.object.meta.generation;
        let ended = status.reasons.iter().any(|reason| reason.code == ENGINE_ENDED);
        // Its time begins once it has been started.
        let since = if ended && status.pid.is_none() { Some(now) } else { status.since };
        let until = since.filter(|_| starts)? + COMES_UP;
        Some(until).filter(|until| *until > now)
    }

    /// A port it was given is in use by something else.
    pub fn lacks_port(&self) -> bool {
        self.stays() && !self.ready && lacks_port(self.object)
    }

    /// When it has been ready for so long; `None` if it is not ready.
    pub fn proven_at(&self, healthy_for: Span) -> Option<Timestamp> {
        self.ready.then(|| self.seat.since + healthy_for)
    }

    /// Whether it can run the release where it is: same ports, and the same reservation unless it
    /// keeps volumes that are nowhere else.
    pub fn can_run(&self, release: &Release) -> bool {
        let spec = &self.object.spec;
        self.place == Standing::Staying
            && (spec.resources == release.run.resources || !release.run.volumes.is_empty())
            && spec.ports.len() == release.run.ports.len()
            && release.run.ports.iter().all(|(name, port)| {
                spec.ports.get(name).is_some_and(|given| *port == 0 || given == port)
            })
    }
}

/// Whether its agent says that something else uses a port an instance was given.
pub(crate) fn lacks_port(instance: &Object<Instance>) -> bool {
    !instance.is_ready() && instance.status.reasons.iter().any(|reason| reason.code == "port-taken")
}

/// All instances of a deployment, by ordinal.
pub(crate) struct Fleet<'a>(pub Vec<Member<'a>>);

impl<'a> Fleet<'a> {
    pub fn of(world: &'a Snapshot, deployment: &Object<Deployment>) -> Fleet<'a> {
        // Asked once, and not of each of them.
        let migrating = world.count(Kind::Migration) > 0;
        let seats = world.seats(deployment.name());
        let mut members = Vec::with_capacity(deployment.status.instances as usize + 8);
        members.extend(seats.map(|seat| Member::of(world, seat, migrating)));
        let uneven = deployment.status.uneven.as_ref();
        let moving = uneven.and_then(|uneven| uneven.moving.as_ref());
        for name in moving.iter().flat_map(|moving| &moving.instances) {
            let Some(instance) = world.get::<Instance>(name) else { continue };
            let ordinal = instance.spec.ordinal;
            if let Ok(place) = members.binary_search_by_key(&ordinal, |m| m.seat.ordinal) {
                members[place].leave_zone();
            }
        }
        if migrating {
            settle_moves(&mut members);
        }
        Fleet(members)
    }

    /// The one of this ordinal.
    pub fn by_ordinal(&self, ordinal: u32) -> Option<&Member<'a>> {
        let place = self.0.binary_search_by_key(&ordinal, |member| member.seat.ordinal).ok()?;
        self.0.get(place)
    }

    pub fn ready(&self) -> u32 {
        self.count(|member| member.ready)
    }

    /// What the first broken instance of a release says of itself, in brackets: kept because the
    /// instance may be gone when somebody asks.
    pub fn first_trouble(&self, release: &str) -> String {
        let mut troubled = self.0.iter().filter(|m| m.present() && m.is_on(release) && !m.ready);
        let said = troubled.find_map(|m| m.object.status.reasons.first().map(|r| (m.name(), r)));
        said.map(|(name, reason)| format!(" ({name}: {})", reason.message)).unwrap_or_default()
    }

    pub fn count(&self, is: impl Fn(&Member) -> bool) -> u32 {
        self.0.iter().filter(|member| is(member)).count() as u32
    }
}

/// Marks what a migration moves and another was made for since its wave began. By name alone it is
/// not told which: names are used again. What else it moves stays where it is while there is no
/// room where it moves it to.
fn settle_moves(members: &mut [Member]) {
    let mut made: BTreeMap<String, Timestamp> = BTreeMap::new();
    for member in members.iter().filter(|member| member.stays()) {
        let (of, at) = (&member.object.spec.replaces, member.object.meta.created_at);
        if let (Some(of), Some(at)) = (of, at) {
            let newest = made.entry(of.clone()).or_insert(at);
            *newest = at.max(*newest);
        }
    }
    for member in members {
        let began = member.moved_by.and_then(|migration| migration.status.wave_at);
        let since = began.zip(made.get(member.name()).copied());
        member.replaced = since.is_some_and(|(began, made)| made >= began);
        if !member.replaced && member.moved_by.is_some_and(|by| by.status.has_no_room()) {
            (member.moved_by, member.place) = (None, member.seat.standing);
        }
    }
}

/// What is counted of a fleet with a release in view.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// On hosts that are there, those being stopped included.
    pub total: u32,
    /// That may stay where they are.
    pub staying: u32,
    /// That have to move.
    pub leaving: u32,
    /// Being stopped.
    pub stopping: u32,
    /// That serve.
    pub ready: u32,
    /// On the release.
    pub updated: u32,
    /// On the release and ready for long enough.
    pub proven: u32,
    /// On the release and ready.
    pub updated_ready: u32,
    /// On the release and broken.
    pub broken: u32,
    /// On another release.
    pub old: u32,
    /// When the next one on the release will have been ready for long enough.
    pub proven_next: Option<Timestamp>,
}

impl Counts {
    pub fn of(fleet: &Fleet, release: &str, healthy_for: Span, now: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for member in &fleet.0 {
            let here = matches!(member.place, Standing::Staying | Standing::Leaving);
            counts.total += u32::from(here);
            counts.stopping += u32::from(here && member.seat.deleting);
            if !member.present() {
                continue;
            }
            counts.staying += u32::from(member.place == Standing::Staying);
            counts.leaving += u32::from(member.place == Standing::Leaving);
            counts.ready += u32::from(member.ready);
            if !member.is_on(release) {
                counts.old += 1;
                continue;
            }
            counts.updated += 1;
            counts.updated_ready += u32::from(member.ready);
            counts.broken += u32::from(member.broken());
            match member.proven_at(healthy_for) {
                Some(at) if at <= now => counts.proven += 1,
                at => counts.proven_next = crate::sooner(counts.proven_next, at),
            }
        }
        counts
    }
}

//! The instances of one deployment, each seen together with its host. It decides nothing.

use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::deployment::InstancePhase;
use atoll_model::{
    Deployment, Host, Instance, Kind, Object, Reason, Release, Snapshot, Span, Timestamp,
};

/// What an agent says of an instance whose container engine does not answer.
const ENGINE_AWAY: &str = "docker-missing";
/// What it says of one that ended with its engine, until it has been started again.
const ENGINE_ENDED: &str = "docker-ended";
/// What comes up again is given so long before it counts as what does not serve.
const COMES_UP: Span = Span::seconds(60);

/// What its host makes of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is no such host any more.
    Gone,
    /// The host is not heard from.
    Lost,
    /// The host is being emptied, or it is moved.
    Leaving,
    /// It may stay.
    Staying,
}

/// Whether what runs on a host has to move: a person, a deletion or its pool wants that.
fn is_leaving(host: &Object<Host>) -> bool {
    let emptied = matches!(host.status.phase, HostPhase::Draining | HostPhase::Drained);
    host.spec.drain || host.meta.deleting() || emptied
}

/// One instance.
pub(crate) struct Member<'a> {
    pub object: &'a Arc<Object<Instance>>,
    pub host: Option<&'a Arc<Object<Host>>>,
    pub place: Place,
    /// It serves what it is meant to, as far as is known.
    pub ready: bool,
}

impl<'a> Member<'a> {
    fn of(world: &'a Snapshot, object: &'a Arc<Object<Instance>>, moving: bool) -> Member<'a> {
        let host = world.host(&object.spec.host);
        let place = match host {
            None => Place::Gone,
            Some(host) if host.status.phase == HostPhase::Unknown => Place::Lost,
            Some(host) if is_leaving(host) => Place::Leaving,
            Some(_) if moving && crate::migration::moves(world, object.name()).is_some() => {
                Place::Leaving
            }
            Some(_) => Place::Staying,
        };
        let ready = is_ready(object) && matches!(place, Place::Staying | Place::Leaving);
        Member { object, host, place, ready }
    }

    pub fn name(&self) -> &'a str {
        &self.object.meta.name
    }

    pub fn zone(&self) -> &'a str {
        self.host.map_or("", |host| host.zone())
    }

    /// It is to go on living, and its host is there.
    pub fn present(&self) -> bool {
        !self.object.meta.deleting() && matches!(self.place, Place::Staying | Place::Leaving)
    }

    /// It is to go on living, and where it is.
    pub fn stays(&self) -> bool {
        !self.object.meta.deleting() && self.place == Place::Staying
    }

    pub fn is_on(&self, release: &str) -> bool {
        self.object.spec.release == release
    }

    /// Its process has died again and again, or was ready and is not, on the release it is to
    /// run. A port taken by something else is not held against the release.
    pub fn broken(&self) -> bool {
        let status = &self.object.status;
        matches!(status.phase, InstancePhase::CrashLoop | InstancePhase::Unready)
            && status.observed_generation >= self.object.meta.generation
            && !self.lacks_port()
            && self.engine_away().is_none()
    }

    /// The container engine of its host does not answer: how it is, is not known.
    pub fn engine_away(&self) -> Option<&'a Reason> {
        let reasons = &self.object.status.reasons;
        let said = reasons.iter().find(|reason| reason.code == ENGINE_AWAY);
        said.filter(|_| self.stays() && !self.ready)
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
        self.stays()
            && !self.ready
            && self.object.status.reasons.iter().any(|reason| reason.code == "port-taken")
    }

    /// When it has been ready for so long; `None` if it is not ready.
    pub fn proven_at(&self, healthy_for: Span) -> Option<Timestamp> {
        let since = self.object.status.since.or(self.object.meta.created_at);
        self.ready.then(|| since.unwrap_or_default() + healthy_for)
    }

    /// Whether it can run the release where it is: same ports, and the same reservation unless it
    /// keeps volumes that are nowhere else.
    pub fn can_run(&self, release: &Release) -> bool {
        let spec = &self.object.spec;
        self.place == Place::Staying
            && (spec.resources == release.run.resources || !release.run.volumes.is_empty())
            && spec.ports.len() == release.run.ports.len()
            && release.run.ports.iter().all(|(name, port)| {
                spec.ports.get(name).is_some_and(|given| *port == 0 || given == port)
            })
    }
}

/// Whether an instance serves what it is meant to, by its own report.
///
/// **Invariant:** one whose target has changed since its agent last spoke of it is not ready.
pub(crate) fn is_ready(instance: &Object<Instance>) -> bool {
    !instance.meta.deleting()
        && instance.status.phase == InstancePhase::Ready
        && instance.status.observed_generation >= instance.meta.generation
        && instance.status.release.as_ref() == Some(&instance.spec.release)
}

/// All instances of a deployment, by ordinal.
pub(crate) struct Fleet<'a>(pub Vec<Member<'a>>);

impl<'a> Fleet<'a> {
    pub fn of(world: &'a Snapshot, deployment: &Object<Deployment>) -> Fleet<'a> {
        let instances = world.derived::<Instance>(deployment.name());
        let mut members = Vec::with_capacity(deployment.status.instances as usize + 8);
        // Asked once, and not of each of them.
        let moving = world.count(Kind::Migration) > 0;
        members.extend(instances.map(|i| Member::of(world, i, moving)));
        members.sort_unstable_by_key(|member| member.object.spec.ordinal);
        Fleet(members)
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
            let here = matches!(member.place, Place::Staying | Place::Leaving);
            counts.total += u32::from(here);
            counts.stopping += u32::from(here && member.object.meta.deleting());
            if !member.present() {
                continue;
            }
            counts.staying += u32::from(member.place == Place::Staying);
            counts.leaving += u32::from(member.place == Place::Leaving);
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

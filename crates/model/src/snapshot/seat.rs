//! The instances of each deployment, side by side: what planners look at of every one of them, so
//! that hundreds are gone through without looking at hundreds of objects and their hosts. It is
//! made from the objects whenever one of them changes, and says nothing they do not say.

use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use crate::cmdb::HostPhase;
use crate::deployment::InstancePhase;
use crate::{Host, Instance, Object, Timestamp};

/// What its host makes of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no such host any more.
    Gone,
    /// The host is not heard from.
    Lost,
    /// The host is being emptied, or the instance is moved.
    Leaving,
    /// It may stay.
    Staying,
}

/// One instance as its deployment's planner looks at it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The instance.
    pub instance: Arc<Object<Instance>>,
    /// Its number among its siblings.
    pub ordinal: u32,
    /// Its host, if there is one of that name.
    pub host: Option<Arc<Object<Host>>>,
    /// The zone of its host; empty where there is none. All hosts of a zone share the text.
    pub zone: Arc<str>,
    /// What the host makes of it; a migration may make [`Standing::Leaving`] of what stays.
    pub standing: Standing,
    /// The release it is to run. Most siblings share the text.
    pub release: Arc<str>,
    /// It is asked to stop for good.
    pub deleting: bool,
    /// See [`Object::<Instance>::is_ready`].
    pub ready: bool,
    /// By its agent's word its process is of the release it is to run.
    pub runs: bool,
    /// Since when it has been as it is; since it was made, where nothing was said of it yet.
    pub since: Timestamp,
}

impl Seat {
    /// It counts for how its deployment lies over the zones: it goes on living where it is.
    fn is_spread(&self) -> bool {
        !self.deleting && self.standing == Standing::Staying
    }
}

/// The seats of one deployment.
#[derive(Clone, Debug, Default)]
struct Row {
    seats: OrdMap<u32, Seat>,
    /// How many go on living in each zone, where any do.
    zones: OrdMap<Arc<str>, u32>,
}

impl Row {
    /// **Invariant:** every seat that is put in or taken out is counted in its zone.
    fn set(&mut self, ordinal: u32, seat: Option<Seat>) {
        let zone = |seat: &Seat| seat.is_spread().then(|| seat.zone.clone());
        let new = seat.as_ref().and_then(zone);
        let old = match seat {
            Some(seat) => self.seats.insert(ordinal, seat),
            None => self.seats.remove(&ordinal),
        };
        let old = old.as_ref().and_then(zone);
        // Most of what is put in lies where it lay.
        if old == new {
            return;
        }
        if let Some(zone) = new {
            *self.zones.entry(zone).or_default() += 1;
        }
        if let Some(zone) = old {
            let count = self.zones.entry(zone.clone()).or_default();
            *count -= 1;
            if *count == 0 {
                self.zones.remove(&zone);
            }
        }
    }
}

/// All seats by deployment and ordinal.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats {
    all: HashMap<String, Row>,
    /// The zones there have been: there are few.
    zones: HashMap<String, Arc<str>>,
}

impl Seats {
    /// Those of one deployment, by ordinal.
    pub fn of(&self, deployment: &str) -> Option<&OrdMap<u32, Seat>> {
        self.all.get(deployment).map(|row| &row.seats)
    }

    /// The one of that name, where it is named by its deployment and its number.
    pub fn find(&self, name: &str) -> Option<&Seat> {
        let (deployment, ordinal) = name.rsplit_once('.')?;
        let ordinal: u32 = ordinal.parse().ok()?;
        let seat = self.all.get(deployment)?.seats.get(&ordinal)?;
        (seat.instance.meta.name == *name).then_some(seat)
    }

    /// How many of one deployment go on living in each zone.
    pub fn zones(&self, deployment: &str) -> Option<&OrdMap<Arc<str>, u32>> {
        self.all.get(deployment).map(|row| &row.zones)
    }

    pub fn put(&mut self, instance: &Arc<Object<Instance>>, host: Option<&Arc<Object<Host>>>) {
        let spec = &instance.spec;
        let zone = self.zone(host.map_or("", |host| host.zone()));
        let row = self.all.entry(spec.deployment.clone()).or_default();
        let (first, last) = (row.seats.get_min(), row.seats.get_max());
        let siblings = first.into_iter().chain(last).map(|(_, seat)| &seat.release);
        let shared = siblings.into_iter().find(|release| ***release == *spec.release).cloned();
        let status = &instance.status;
        let seat = Seat {
            ordinal: spec.ordinal,
            host: host.cloned(),
            zone,
            standing: standing(host),
            release: shared.unwrap_or_else(|| spec.release.as_str().into()),
            deleting: instance.meta.deleting(),
            ready: instance.is_ready(),
            runs: status.release.as_ref() == Some(&spec.release),
            since: status.since.or(instance.meta.created_at).unwrap_or_default(),
            instance: instance.clone(),
        };
        row.set(spec.ordinal, Some(seat));
    }

    fn zone(&mut self, name: &str) -> Arc<str> {
        match self.zones.get(name) {
            Some(zone) => zone.clone(),
            None => self.zones.entry(name.to_owned()).or_insert_with(|| name.into()).clone(),
        }
    }

    pub fn remove(&mut self, instance: &Object<Instance>) {
        let spec = &instance.spec;
        let Some(row) = self.all.get_mut(&spec.deployment) else { return };
        row.set(spec.ordinal, None);
        if row.seats.is_empty() {
            self.all.remove(&spec.deployment);
        }
    }
}

fn standing(host: Option<&Arc<Object<Host>>>) -> Standing {
    match host {
        None => Standing::Gone,
        Some(host) if host.status.phase == HostPhase::Unknown => Standing::Lost,
        Some(host) if host.is_leaving() => Standing::Leaving,
        Some(_) => Standing::Staying,
    }
}

impl Object<Host> {
    /// Whether what runs here has to move: a person, a deletion or its pool wants that.
    pub fn is_leaving(&self) -> bool {
        let emptied = matches!(self.status.phase, HostPhase::Draining | HostPhase::Drained);
        self.spec.drain || self.meta.deleting() || emptied
    }
}

impl Object<Instance> {
    /// Whether it serves what it is meant to, by its agent's own word.
    ///
    /// **Invariant:** one whose target has changed since its agent last spoke of it is not ready.
    pub fn is_ready(&self) -> bool {
        !self.meta.deleting()
            && self.status.phase == InstancePhase::Ready
            && self.status.observed_generation >= self.meta.generation
            && self.status.release.as_ref() == Some(&self.spec.release)
    }
}

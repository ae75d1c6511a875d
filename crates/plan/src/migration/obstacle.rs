//! What is said of a wave under way: what comes after it, what it waits for, and which
//! hosts are silent. And of what left otherwise than it was to. It moves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::deployment::Phase;
use atoll_model::migration::{MigrationPhase, Move, NO_ROOM};
use atoll_model::{Deployment, Host, Instance, Migration, Object, Pool, Reason, Timestamp, many};

use super::source::{empties, would_empty};
use super::{Turn, bound, is_silent, made_since, shuts};
use crate::deployment::fleet::lacks_port;
use crate::named;
use crate::placement::{self, Need};

/// What a deployment goes on saying though nothing keeps it from moving its instances.
const LASTING: [&str; 5] = ["rolled-back", "vetoed", "uneven", "spread", "host-unknown"];

impl Turn<'_> {
    /// What comes after the wave under way, if somebody wants that to be another than the next.
    pub(super) fn after_this(&self) -> Option<Reason> {
        let (spec, wave) = (&self.migration.spec, self.status.wave);
        let (code, message) = match self.left_to_take_back() {
            0 if spec.cancelled => {
                ("ends", format!("it ends with wave {wave}, and its hosts are opened then"))
            }
            0 if spec.paused => {
                ("pauses", format!("no wave begins after wave {wave}, which ends first"))
            }
            0 => return None,
            _ if self.status.phase == MigrationPhase::GoingBack => return None,
            back => {
                let waves = many(back, "wave");
                ("goes-back", format!("{waves} to be taken back once wave {wave} has ended"))
            }
        };
        Some(Reason::new(code, message))
    }

    /// What a wave that does not go on waits for: room, or what a deployment says of itself, which
    /// is told of each once the wave is late.
    pub(super) fn held_up(&self, open: &BTreeSet<String>, due: Timestamp) -> Option<Reason> {
        let no_room = open.iter().find_map(|name| self.no_room(name));
        let waits = || open.iter().find_map(|name| self.waits(name));
        no_room.or_else(|| (self.cx.now < due).then(waits).flatten())
    }

    /// Whether what the wave moves of a deployment is not replaced as things are: there is no room
    /// for it, or what was made does not get ready.
    pub(super) fn is_held_up(&self, deployment: &str) -> bool {
        let object = self.cx.world.get::<Deployment>(deployment);
        let ails = |d: &Object<Deployment>| d.status.reasons.iter().any(|r| r.code == "unready");
        object.is_some_and(|object| ails(object)) || self.no_room(deployment).is_some()
    }

    /// That a wave waits for room, and for which instances: another was made for them nowhere, or
    /// where something else has its port, and no host takes one. And for whom, where another
    /// migration keeps hosts closed to which they could go.
    pub(super) fn no_room(&self, deployment: &str) -> Option<Reason> {
        let world = self.cx.world;
        let object = world.get::<Deployment>(deployment)?;
        // Whatever finds no place is told there, whoever moves it, until it is told here: so the
        // hosts are looked through only then.
        let told = object.status.reasons.iter().any(|reason| reason.code == "unplaceable");
        if !told && !self.migration.status.has_no_room() {
            return None;
        }
        let need = self.need(object)?;
        let made = made_since(world, &self.status, deployment).filter(|made| !lacks_port(made));
        let made: BTreeSet<&str> = made.filter_map(|it| it.spec.replaces.as_deref()).collect();
        let waits: Vec<&str> = self.there(deployment).filter(|name| !made.contains(name)).collect();
        let names = named(waits.iter())?;
        if world.all::<Host>().any(|host| placement::fits(world, host, &need).is_ok()) {
            return None;
        }
        let why = placement::unplaceable(world, &need, waits.len() as u32);
        let wave = self.status.wave;
        let shut = self.shut(&need).map(|pools| format!("; {pools}")).unwrap_or_default();
        let message = format!("wave {wave} waits for room for {names}: {}{shut}", why.message);
        let reason = Reason::new(NO_ROOM, message);
        let others = self.in_the_way(deployment);
        let (keep, which) =
            if others.len() == 1 { ("keeps", "it") } else { ("keep", "one of them") };
        let others = named(others.iter()).map(|others| {
            format!("{others} {keep} hosts closed too, paused or not: cancel {which}")
        });
        let full = self.full(&need).into_iter().chain(why.hint).collect::<Vec<_>>();
        let full = Some(full.join("; ")).filter(|hint| !hint.is_empty());
        Some(match others.or(full) {
            Some(hint) => reason.hint(hint),
            None => reason,
        })
    }

    /// That a wave waits for a deployment that says what it lacks, and for which of its instances.
    fn waits(&self, deployment: &str) -> Option<Reason> {
        let why = self.why(deployment)?;
        let (wave, name) = (self.status.wave, deployment);
        let what = match named(self.there(name)) {
            Some(names) => format!("{names} to be replaced"),
            None => format!("all of {name} to serve"),
        };
        let message = format!("wave {wave} waits for {what}: {}", why.message);
        Some(Reason::new("waits", message).hint(format!("atoll why deployment/{name}")))
    }

    /// What a deployment that is not settled says of that: first that it lacks room, then that
    /// something does not get ready.
    pub(super) fn why(&self, deployment: &str) -> Option<&Reason> {
        let status = &self.cx.world.get::<Deployment>(deployment)?.status;
        if status.phase == Phase::Settled {
            return None;
        }
        let of = |code: &str| status.reasons.iter().find(|reason| reason.code == code);
        let now = |reason: &&Reason| !LASTING.contains(&reason.code.as_str());
        let first = ["unplaceable", "unready"].into_iter().find_map(of);
        first.or_else(|| status.reasons.iter().find(now))
    }

    fn need<'b>(&'b self, deployment: &'b Object<Deployment>) -> Option<Need<'b>> {
        let need = Need::of(self.cx.world, deployment)?;
        Some(Need { to: bound(self.migration), ..need })
    }

    /// What the wave moves of a deployment and is still there.
    fn there(&self, deployment: &str) -> impl Iterator<Item = &str> {
        let of_it = self.status.moving.iter().filter(move |(_, one)| one.deployment == deployment);
        of_it.map(|(name, _)| name.as_str()).filter(|name| self.is_there(name))
    }

    /// The pools that follow what runs and whose hosts it could go to.
    fn pools<'b>(&'b self, need: &'b Need<'b>) -> impl Iterator<Item = &'b Object<Pool>> {
        let all = self.cx.world.all::<Pool>().map(Arc::as_ref);
        all.filter(|pool| pool.spec.acts() && !pool.meta.deleting()).filter(|pool| {
            let labels = pool.spec.labels_of_hosts(pool.name());
            need.hosts.matches(&labels) && need.to.is_none_or(|to| to.matches(&labels))
        })
    }

    /// That pools make no hosts for it, since the migration would empty them too.
    fn shut(&self, need: &Need) -> Option<String> {
        let spec = &self.migration.spec;
        let empties = empties(self.migration);
        let shut = self.pools(need).filter(|pool| empties && would_empty(self.cx, spec, pool));
        let names: Vec<String> = shut.map(|pool| format!("pool/{}", pool.name())).collect();
        let makes = if names.len() == 1 { "makes" } else { "make" };
        let names = named(names.iter())?;
        Some(format!("{names} {makes} no hosts for it, for they would be emptied too"))
    }

    /// The pools that would make hosts for it, were they not at their most.
    fn full(&self, need: &Need) -> Option<String> {
        let full = self.pools(need).filter(|pool| {
            let most = pool.status.advice.as_ref().is_some_and(|it| it.count >= pool.spec.max);
            most && shuts(self.cx, pool).is_none()
        });
        let names: Vec<String> = full.map(|pool| format!("pool/{}", pool.name())).collect();
        named(names.iter()).map(|names| format!("raise max of {names}"))
    }

    /// The other migrations that close hosts it could go to.
    fn in_the_way(&self, deployment: &str) -> Vec<String> {
        let world = self.cx.world;
        let object = world.get::<Deployment>(deployment);
        let Some(need) = object.and_then(|object| self.need(object)) else { return Vec::new() };
        let may = |name: &String| {
            let host = world.get::<Host>(name);
            let to = |host: &Object<Host>| need.to.is_none_or(|to| to.matches(&host.meta.labels));
            let is_own = self.status.hosts.contains(name);
            !is_own && host.is_some_and(|h| need.hosts.matches(&h.meta.labels) && to(h))
        };
        let others = world.all::<Migration>().filter(|other| {
            other.name() != self.migration.name()
                && !other.status.phase.is_over()
                && other.status.hosts.iter().any(may)
        });
        others.map(|other| format!("migration/{}", other.name())).collect()
    }

    /// That nothing is heard of some of its hosts.
    pub(super) fn silent(&self) -> Option<Reason> {
        let world = self.cx.world;
        let there = |name: &&String| world.instances_on(name).next().is_some();
        let hosts = self.status.hosts.iter().filter(|name| is_silent(world, name)).filter(there);
        let names = hosts.map(String::as_str).collect::<Vec<_>>().join(", ");
        let message = format!(
            "nothing is heard of {names}: what is there is replaced by its deployments, not moved"
        );
        (!names.is_empty()).then(|| Reason::new("host-unknown", message))
    }

    /// So many of a wave left without another having been made for them where they were to go.
    pub(super) fn not_replaced(&self, moving: &BTreeMap<String, Move>) -> u32 {
        let Some(to) = bound(self.migration) else { return 0 };
        let world = self.cx.world;
        // Another migration of the same instances may have made them elsewhere.
        let is_there = |instance: &&Object<Instance>| {
            world.host(&instance.spec.host).is_some_and(|host| to.matches(&host.meta.labels))
        };
        let all: BTreeSet<&str> = moving.values().map(|one| one.deployment.as_str()).collect();
        let made = all.iter().flat_map(|name| made_since(world, &self.status, name));
        let made: BTreeSet<&str> =
            made.filter(is_there).filter_map(|it| it.spec.replaces.as_deref()).collect();
        moving.keys().filter(|name| !made.contains(name.as_str())).count() as u32
    }

    /// That some of what left went otherwise than it was to, or by none of its waves.
    pub(super) fn elsewhere(&self) -> Vec<Reason> {
        let count: u32 = self.status.waves.iter().map(|wave| wave.elsewhere).sum();
        let to = &self.migration.spec.to;
        let (them, they) = if count == 1 { ("it", "it belongs") } else { ("them", "they belong") };
        let not_there = format!(
            "{count} of what its waves moved left without another having been made for {them} \
             among \"{to}\": what {they} to was scaled, rolled out or moved meanwhile"
        );
        let others = self.status.others();
        let (them, they) =
            if others == 1 { ("it", "it belonged") } else { ("them", "they belonged") };
        let by_others = format!(
            "{} left by none of its waves{}: another migration moved {them}, or what {they} to \
             was scaled, rolled out or healed meanwhile",
            crate::instances(others as usize),
            if self.status.back == 0 { "" } else { ", or did not come back" },
        );
        let all = [(count, not_there), (others, by_others)].into_iter();
        let told = all.filter(|(count, _)| *count > 0).map(|(_, message)| message);
        told.map(|it| Reason::new("elsewhere", it).hint("atoll get instances -o wide")).collect()
    }
}

//! What is said of a wave under way: what comes after it, what it waits for, and which
//! hosts are silent. And of what left otherwise than it was to. It moves nothing.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::migration::{MigrationPhase, Move, NO_ROOM};
use atoll_model::{Deployment, Host, Instance, Migration, Object, Reason, many};

use super::{Turn, bound, is_silent, made_since, replaced};
use crate::placement::{self, Need};

impl Turn<'_> {
    /// What comes after the wave under way, if somebody wants that to be another than the next.
    pub(super) fn after_this(&self) -> Option<Reason> {
        let (spec, wave) = (&self.migration.spec, self.status.wave);
        let (code, message) = match self.left_to_take_back() {
            0 if spec.cancelled => ("ends", format!("it ends with wave {wave}")),
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

    /// Why what the wave moves of a deployment has no place where it is moved to; none, where
    /// another was made for each, or some host would take one.
    pub(super) fn homeless(&self, deployment: &str) -> Option<Reason> {
        let world = self.cx.world;
        let object = world.get::<Deployment>(deployment)?;
        // Whatever finds no place is told there, whoever moves it, until it is told here: so the
        // hosts are looked through only then.
        let told = object.status.reasons.iter().any(|reason| reason.code == "unplaceable");
        if !told && !self.migration.status.has_no_room() {
            return None;
        }
        let need = self.need(object)?;
        let made = replaced(world, &self.status, deployment);
        let waits = self.there(deployment).filter(|name| !made.contains(name)).count() as u32;
        let mut hosts = world.all::<Host>();
        let has_room = hosts.any(|host| placement::fits(world, host, &need).is_ok());
        (waits > 0 && !has_room).then(|| placement::unplaceable(world, &need, waits))
    }

    fn need(&self, deployment: &Object<Deployment>) -> Option<Need<'_>> {
        let need = Need::of(self.cx.world, deployment)?;
        Some(Need { to: bound(self.migration), ..need })
    }

    /// What the wave moves of a deployment and is still there.
    fn there(&self, deployment: &str) -> impl Iterator<Item = &str> {
        let of_it = self.status.moving.iter().filter(move |(_, one)| one.deployment == deployment);
        of_it.map(|(name, _)| name.as_str()).filter(|name| self.is_there(name))
    }

    /// That a wave waits for room; and for whom, where another migration keeps hosts closed to
    /// which it could go.
    pub(super) fn no_room(&self, deployment: &str, why: &Reason) -> Reason {
        let wave = self.status.wave;
        let message = format!("wave {wave} waits for room: {deployment}: {}", why.message);
        let others = self.in_the_way(deployment).join(", ");
        let hint = match others.is_empty() {
            true => format!("atoll why deployment/{deployment}"),
            false => format!("{others} keeps hosts closed too, paused or not: cancel one"),
        };
        Reason::new(NO_ROOM, message).hint(hint)
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

    /// That some of what left went otherwise than it was to.
    pub(super) fn elsewhere(&self) -> Option<Reason> {
        let count: u32 = self.status.waves.iter().map(|wave| wave.elsewhere).sum();
        let to = &self.migration.spec.to;
        let message = format!(
            "{} left without another having been made for them among \"{to}\": what they belong to \
             was scaled, rolled out or moved meanwhile",
            crate::instances(count as usize)
        );
        (count > 0).then(|| Reason::new("elsewhere", message).hint("atoll get instances -o wide"))
    }
}

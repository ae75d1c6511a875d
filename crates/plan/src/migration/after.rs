//! The world once a migration is done, for what is to be known of it before it begins: what it
//! costs where it goes. It moves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::migration::MigrationStatus;
use atoll_model::{Any, Host, Instance, Migration, Object, Selector, Snapshot, Write};

use super::forecast::{begun, moved};
use crate::budget::fill::need;
use crate::placement::{self, Need};
use crate::{Context, Plan};

/// The world once all is moved that these writes let a migration move, with the deployments it is
/// of.
pub(crate) fn all_moved(
    cx: &Context,
    plan: &Plan,
    mut world: Snapshot,
) -> (Snapshot, BTreeSet<String>) {
    let mut names = BTreeSet::new();
    for write in &plan.writes {
        let Write::Put(Any::Migration(new)) = write else { continue };
        let old = cx.world.get::<Migration>(new.name());
        if !goes_on(old, new) {
            continue;
        }
        let status = match new.status.hosts.is_empty() {
            true => begun(cx, &new.spec),
            false => new.status.clone(),
        };
        names.extend(place_all(&mut world, &new.spec, &status));
    }
    (world, names)
}

/// Puts all that a migration is still to move where it would be placed, by deployment;
/// what finds no room stays. Returns of which deployments that is.
pub(super) fn place_all(
    world: &mut Snapshot,
    spec: &Migration,
    status: &MigrationStatus,
) -> BTreeSet<String> {
    let mut of: BTreeMap<String, Vec<Arc<Object<Instance>>>> = BTreeMap::new();
    for instance in moved(world, spec, status) {
        of.entry(instance.spec.deployment.clone()).or_default().push(Arc::clone(instance));
    }
    close(world, status.hosts.iter());
    let names = of.keys().cloned().collect();
    for (name, all) in of {
        place(world, &name, &spec.to, all);
    }
    names
}

/// Whether an edit lets a migration move what it did not before: it is made, goes on after it was
/// paused, or moves something else or elsewhere. One that is paused begins nothing, whatever else
/// is edited, and is looked at when it goes on.
fn goes_on(old: Option<&Arc<Object<Migration>>>, new: &Object<Migration>) -> bool {
    let spec = &new.spec;
    let ends = new.meta.deleting() || spec.cancelled || new.status.phase.is_over();
    if ends || spec.paused {
        return false;
    }
    old.is_none_or(|old| {
        let resumed = old.spec.paused || old.spec.cancelled;
        let back = old.spec.back != spec.back;
        !back && (resumed || moved_by(&old.spec) != moved_by(spec))
    })
}

/// What of a migration says what it moves, and where to.
fn moved_by(spec: &Migration) -> (&str, bool, &Selector, &Selector) {
    (&spec.off, spec.balance, &spec.applications, &spec.to)
}

/// Closes hosts.
pub(super) fn close<'a>(world: &mut Snapshot, hosts: impl Iterator<Item = &'a String>) {
    for name in hosts {
        let Some(host) = world.get::<Host>(name) else { continue };
        let mut closed = Object::clone(host);
        closed.spec.cordon = true;
        world.put(Any::Host(Arc::new(closed)));
    }
}

/// Puts instances of a deployment where they would be placed; those that find no room stay.
fn place(world: &mut Snapshot, name: &str, to: &Selector, all: Vec<Arc<Object<Instance>>>) {
    let Some(first) = all.first() else { return };
    let each = first.spec.resources;
    for instance in &all {
        world.remove(atoll_model::Kind::Instance, instance.name());
    }
    let places = match need(world, name, each) {
        Some(need) => {
            let need = Need { to: Some(to).filter(|to| !to.0.is_empty()), ..need };
            let seeds = (0..all.len()).map(|seed| seed as u64);
            placement::place_all(world, need, world.seats(name), seeds)
        }
        None => Vec::new(),
    };
    let mut places = places.into_iter();
    for instance in all {
        let mut new = Object::clone(&instance);
        if let Some(place) = places.next() {
            (new.spec.host, new.spec.ports) = (place.host, place.ports);
        }
        world.put(Any::Instance(Arc::new(new)));
    }
}

//! Which pool a host is of, and what that does with it; and the keys by which a pool knows its
//! machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::pool::provider::Provider;
use atoll_model::pool::{MachinePhase, Pool};
use atoll_model::{Environment, Host, Object, Snapshot};

use super::advice;
use crate::checksum;

/// The pool a host is a machine of.
pub fn of_host<'a>(world: &'a Snapshot, host: &str) -> Option<&'a Arc<Object<Pool>>> {
    world.all::<Pool>().find(|pool| pool.status.machines.contains_key(host))
}

/// Whether hosts of a pool may be used in an environment.
pub(crate) fn serves(world: &Snapshot, pool: &Object<Pool>, environment: &str) -> bool {
    let place = world.get::<Environment>(environment);
    place.is_some_and(|place| advice::is_for(pool, place))
}

/// The labels a host is given by its pool.
pub fn labels(world: &Snapshot, host: &str) -> BTreeMap<String, String> {
    of_host(world, host).map(|pool| pool.spec.labels_of_hosts(pool.name())).unwrap_or_default()
}

/// Whether a pool waits for a machine of that name to join.
pub fn awaits(world: &Snapshot, host: &str) -> bool {
    of_host(world, host).is_some_and(|pool| {
        let phase = pool.status.machines[host].phase;
        matches!(phase, MachinePhase::Creating | MachinePhase::Joining)
    })
}

/// The pool that has a host emptied.
pub(crate) fn emptying<'a>(world: &'a Snapshot, host: &str) -> Option<&'a Arc<Object<Pool>>> {
    of_host(world, host).filter(|pool| !pool.status.machines[host].phase.stays())
}

/// The pool that keeps a host in reserve, or will let it go next.
pub(crate) fn reserving<'a>(world: &'a Snapshot, host: &str) -> Option<&'a Arc<Object<Pool>>> {
    let spare = |pool: &&Arc<Object<Pool>>| match pool.status.machines.get(host) {
        Some(machine) => machine.closed,
        None => lists(pool, host) && !pool.meta.deleting(),
    };
    world.all::<Pool>().find(spare)
}

/// A host as a pool would make it next: as large as the smallest it has, or as it was advised of,
/// and with the labels it would give now.
pub(crate) fn next_host(world: &Snapshot, pool: &Object<Pool>) -> Object<Host> {
    let mut next = Object::new(key(pool, pool.status.made), Host::default());
    next.meta.labels = pool.spec.labels_of_hosts(pool.name());
    let hosts = pool.status.machines.keys().filter_map(|key| world.get::<Host>(key));
    let known = hosts.filter(|host| host.status.capacity.cpu.0 > 0);
    let smallest = known.min_by_key(|host| {
        let size = host.spec.usable(host.status.capacity);
        (size.cpu, size.memory)
    });
    if let Some(like) = smallest {
        next.spec.reserve = like.spec.reserve;
        next.status.capacity = like.status.capacity;
        next.status.agent = like.status.agent.clone();
    } else if let Some(seen) = pool.status.advice.as_ref().and_then(|advice| advice.host) {
        next.status.capacity = seen;
    }
    next
}

pub(super) fn lists(pool: &Object<Pool>, host: &str) -> bool {
    match &pool.spec.provider {
        Provider::Static(listed) => listed.hosts.iter().any(|name| name == host),
        Provider::Docker(_) | Provider::Exec(_) => false,
    }
}

/// The key of a machine: the same whenever it is worked out, and none of another pool's, be it one
/// of that name that was there before.
pub fn key(pool: &Object<Pool>, number: u64) -> String {
    let born = pool.meta.created_at.unwrap_or_default().0.to_be_bytes();
    let number_bytes = number.to_be_bytes();
    let sum = checksum([pool.name().as_bytes(), &born[..], &number_bytes[..]]);
    format!("{}-{number}-{:04x}", pool.name(), sum & 0xffff)
}

/// Whether a pool has given out a key.
pub(crate) fn gave_out(pool: &Object<Pool>, key_given: &str) -> bool {
    let rest = key_given.strip_prefix(pool.name()).and_then(|rest| rest.strip_prefix('-'));
    let number = rest.and_then(|rest| rest.split('-').next()).and_then(|n| n.parse().ok());
    number.is_some_and(|number: u64| number < pool.status.made && key(pool, number) == key_given)
}

//! The hosts pools would make for what a migration moves and finds no room for: those that follow
//! what runs make some as soon as its hosts are closed. It makes none.

use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::migration::HostsToMake;
use atoll_model::pool::Pool;
use atoll_model::pool::provider::Provider;
use atoll_model::{Any, Host, Migration, Object, Snapshot};

use super::{Asked, Fit};
use crate::migration::source::would_empty;
use crate::migration::{closing, shuts};
use crate::{Context, pool};

/// No pool is supposed to make more hosts than this.
const MOST: usize = 2_000;

/// The hosts that pools are still to make for what finds no room, and the world with them: as few
/// of each pool as do, for what is on them is on none of those that are there.
pub(super) fn made(cx: &Context, asked: &Asked) -> (Option<HostsToMake>, Snapshot) {
    let lacks = |hosts: &[Object<Host>]| Fit::of(&with(cx.world, hosts), asked).unplaced;
    let lacking = Fit::of(cx.world, asked).unplaced;
    if lacking == 0 || asked.spec.balance {
        return (None, cx.world.clone());
    }
    let pools = cx.world.all::<Pool>().filter(|pool| makes(cx, asked.spec, pool));
    let all = pools.map(|pool| (pool, next(cx.world, pool)));
    let of: Vec<_> = all.filter(|(_, hosts)| lacks(hosts) < lacking).collect();
    let most = of.iter().map(|(_, hosts)| hosts.len()).max().unwrap_or(0);
    // They share what runs nowhere, so so many of each at the most.
    let each = |count: usize| -> Vec<Object<Host>> {
        of.iter().flat_map(|(_, hosts)| hosts.iter().take(count)).cloned().collect()
    };
    let left = lacks(&each(most));
    if left >= lacking {
        return (None, cx.world.clone());
    }
    let counts: Vec<usize> = (1..=most).collect();
    let enough = 1 + counts.partition_point(|count| lacks(&each(*count)) > left);
    let hosts = HostsToMake {
        instances: lacking - left,
        pools: of.iter().map(|(pool, _)| pool.name().to_owned()).collect(),
        join_in: of.iter().filter_map(|(pool, _)| pool.status.boots_in()).max(),
    };
    (Some(hosts), with(cx.world, &each(enough)))
}

/// Whether a pool makes hosts for what a migration moves: not, where these would be emptied too.
fn makes(cx: &Context, spec: &Migration, pool: &Object<Pool>) -> bool {
    pool::can_grow(pool) && shuts(cx, pool).is_none() && !would_empty(cx, spec, pool)
}

/// The hosts a pool would take into use next, up to its most.
fn next(world: &Snapshot, pool: &Object<Pool>) -> Vec<Object<Host>> {
    let stay = pool.status.machines.values().filter(|machine| machine.phase.stays()).count();
    let may = (pool.spec.max as usize).saturating_sub(stay).min(MOST);
    let mut next: Vec<Object<Host>> = match &pool.spec.provider {
        Provider::Static(listed) => {
            let spare = listed.hosts.iter().filter(|it| !pool.status.machines.contains_key(*it));
            let hosts = spare.filter_map(|name| world.get::<Host>(name)).filter(|host| {
                let kept = host.spec.cordon || host.spec.drain || host.meta.deleting();
                let heard = host.status.phase != HostPhase::Unknown;
                heard && !kept && closing(world, host.name()).is_none()
            });
            hosts.take(may).map(|host| Object::clone(host)).collect()
        }
        Provider::Docker(_) | Provider::Exec(_) => {
            let like = pool::next_host(world, pool);
            // Nobody knows how large the first one will be.
            let known = if like.status.capacity.cpu.0 > 0 { may } else { 0 };
            let numbers = (0..known as u64).map(|more| pool.status.made + more);
            let named = numbers.map(|number| {
                let mut host = like.clone();
                host.meta.name = pool::key(pool, number);
                host
            });
            named.collect()
        }
    };
    next.iter_mut().for_each(|host| host.status.phase = HostPhase::Ready);
    next
}

fn with(world: &Snapshot, hosts: &[Object<Host>]) -> Snapshot {
    let mut world = world.clone();
    for host in hosts {
        world.put(Any::Host(Arc::new(host.clone())));
    }
    world
}

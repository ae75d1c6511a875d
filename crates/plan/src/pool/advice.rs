//! How many hosts a pool would need for what is to run on them: what deployments want, and where
//! their capacity or a peak says that they take more, that. It changes nothing: whether it is
//! followed the pool's `autoscale` says.
//!
//! Pools that may hold the same share what runs nowhere yet. More are asked for at once; fewer only
//! after fewer have been enough for a while, so that what is saved outlasts what is moved for it.

use atoll_model::cmdb::{Amount, HostPhase};
use atoll_model::pool::{Advice, Autoscale, MachinePhase, Pool, PoolStatus};
use atoll_model::{Capacity, Cpu, Deployment, Environment, Host, Instance, Memory, Object};

use crate::budget::scope::{Meant, parts};
use crate::migration::{self, shuts};
use crate::{Context, elasticity};

/// What is to find room on the hosts of a pool, and what one of them has.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    cpu: u64,
    memory: u64,
}

impl Sum {
    fn add(&mut self, cpu: u64, memory: u64) {
        self.cpu = self.cpu.saturating_add(cpu);
        self.memory = self.memory.saturating_add(memory);
    }
}

/// The advice for a pool that asks for one; the same as before, while no host of it is known.
pub(super) fn of(cx: &Context, pool: &Object<Pool>, status: &PoolStatus) -> Option<Advice> {
    let autoscale = pool.spec.autoscale.as_ref()?;
    let old = status.advice.as_ref();
    let host = usual_host(cx, status).or(old.and_then(|old| old.host));
    let (demand, instances) = demand(cx, pool, status);
    let bounds = |count: u32| count.clamp(pool.spec.min, pool.spec.max);
    // What it follows from now on is not less than what a person wanted, until it was for long.
    let first = Advice { count: pool.spec.count, ..Advice::default() };
    let old = old.unwrap_or(&first);
    let Some(host) = host else {
        let because = format!("{} hosts, and none was seen yet", wanting(instances));
        let count = bounds(old.count.max(u32::from(instances > 0)));
        return Some(Advice { count, because, ..Advice::default() });
    };
    let one = Sum { cpu: host.cpu.0, memory: host.memory.0 };
    let doors = Doors::of(cx, status);
    let takes = hosts_for(demand, one, autoscale);
    let empty = doors.empty_besides(takes);
    let takes = takes.saturating_add(doors.busy).saturating_add(empty);
    let count = bounds(takes);
    let besides = besides(doors.busy, "and not empty yet") + &besides(empty, "and empty");
    let because = format!(
        "{} {} cpu and {} here; a host has {} and {}, of which {}% stay free{besides}",
        wanting(instances),
        Cpu(demand.cpu),
        whole(demand.memory),
        Cpu(one.cpu),
        whole(one.memory),
        autoscale.headroom
    );
    let because = match takes > count {
        true => format!("{because}; that takes {takes}, and max is {}", pool.spec.max),
        false => because,
    };
    let new = Advice {
        beyond: takes.saturating_sub(count),
        count,
        because,
        host: Some(host),
        ..Advice::default()
    };
    Some(steady(cx, autoscale, old, new))
}

fn wanting(instances: usize) -> String {
    crate::instances_do(instances, "wants", "want")
}

/// So much memory in whole MiB.
fn whole(bytes: u64) -> Memory {
    Memory(bytes >> 20 << 20)
}

/// When an advice may change by itself.
pub(super) fn again(autoscale: &Autoscale, advice: &Advice) -> Option<atoll_model::Timestamp> {
    advice.since.map(|since| since + autoscale.steady)
}

fn steady(cx: &Context, autoscale: &Autoscale, old: &Advice, new: Advice) -> Advice {
    if new.count >= old.count {
        return new;
    }
    let fewer = new.count.max(old.fewer.unwrap_or(new.count));
    let since = old.since.unwrap_or(cx.now);
    if cx.now >= since + autoscale.steady {
        return Advice { count: fewer, ..new };
    }
    Advice { count: old.count, fewer: Some(fewer), since: Some(since), ..new }
}

/// What the least of its hosts may give to instances: no more is relied on.
fn usual_host(cx: &Context, status: &PoolStatus) -> Option<Amount> {
    let known = status.machines.iter().filter(|(_, m)| m.phase == MachinePhase::Ready);
    let hosts = known.filter_map(|(key, _)| cx.world.get::<Host>(key));
    let usable = hosts.map(|host| host.spec.usable(host.status.capacity));
    let usable = usable.filter(|amount| amount.cpu.0 > 0 && amount.memory.0 > 0);
    let all: Vec<_> = usable.collect();
    Some(Amount {
        cpu: all.iter().map(|amount| amount.cpu).min()?,
        memory: all.iter().map(|amount| amount.memory).min()?,
        instances: 0,
    })
}

fn besides(count: u32, how: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!("; 1 more is closed {how}"),
        more => format!("; {more} more are closed {how}"),
    }
}

/// Whether somebody else keeps new instances off a host, a person or a migration. One that is only
/// made less full keeps most of what it has.
pub(super) fn is_shut(cx: &Context, host: &Object<Host>) -> bool {
    let closing = || migration::closing(cx.world, host.name());
    host.spec.cordon
        || host.spec.drain
        || host.meta.deleting()
        || closing().is_some_and(|migration| !migration.spec.balance)
}

/// Which of its hosts there is room on.
#[derive(Clone, Copy, Debug, Default)]
struct Doors {
    open: u32,
    /// Those somebody else has closed, a person or a migration, and on which something still runs:
    /// what is to run finds no room on them. Once they are empty they are the first to go.
    busy: u32,
    /// Those somebody else has closed, and which are empty.
    empty: u32,
}

impl Doors {
    fn of(cx: &Context, status: &PoolStatus) -> Doors {
        let mut doors = Doors::default();
        let ready = status.machines.iter().filter(|(_, m)| m.phase == MachinePhase::Ready);
        let ours = ready.filter(|(_, machine)| !machine.closed);
        for host in ours.filter_map(|(key, _)| cx.world.get::<Host>(key)) {
            let is_empty = cx.world.instances_on(host.name()).next().is_none();
            match host.status.phase {
                HostPhase::Unknown => {}
                _ if !is_shut(cx, host) => doors.open += 1,
                _ if is_empty => doors.empty += 1,
                _ => doors.busy += 1,
            }
        }
        doors
    }

    /// Those that are empty and closed, while open ones are lacking: they take the place of none,
    /// and go once others are there.
    fn empty_besides(&self, wanted: u32) -> u32 {
        if self.open < wanted { self.empty } else { 0 }
    }
}

/// What deployments that may use these hosts want, less what of it others have or will make room
/// for.
fn demand(cx: &Context, pool: &Object<Pool>, status: &PoolStatus) -> (Sum, usize) {
    let (others, mut sum, mut count) = (others(cx, pool), Sum::default(), 0);
    let shut = shuts(cx, pool).is_some();
    for deployment in cx.world.all::<Deployment>() {
        let Some(place) = cx.world.get::<Environment>(parts(deployment.name()).1) else { continue };
        if !is_for(pool, place) {
            continue;
        }
        let Some(meant) = Meant::of(cx.world, deployment.name()) else { continue };
        let needed = cx.world.get::<Capacity>(deployment.name()).map_or(0, |c| c.status.needed);
        // Nobody starts more than the autoscaler may.
        let most = elasticity::most(cx.world, deployment.name()).unwrap_or(u32::MAX);
        let needed = needed.min(most).max(crate::peak::room(cx.world, deployment.name()));
        let (mut own, mut all) = (0, 0);
        let sharing = others.iter().filter(|other| is_for(other, place));
        let mut theirs: Vec<(&Object<Pool>, u32)> = sharing.map(|other| (*other, 0)).collect();
        for instance in cx.world.derived::<Instance>(deployment.name()) {
            let host = &instance.spec.host;
            let open = cx.world.get::<Host>(host).is_some_and(|host| host.is_open());
            if !open || instance.meta.deleting() {
                continue;
            }
            all += 1;
            own += u32::from(status.machines.contains_key(host));
            let of = theirs.iter_mut().find(|(p, _)| p.status.machines.contains_key(host));
            of.into_iter().for_each(|(_, count)| *count += 1);
        }
        let wanted = meant.instances.max(needed);
        let nowhere = wanted.saturating_sub(all);
        let here = match nowhere {
            0 => wanted.saturating_sub(all - own),
            _ if shut => own,
            _ => own + share(nowhere, (pool.name(), own), &theirs),
        };
        let times = u64::from(here);
        sum.add(meant.each.cpu.0.saturating_mul(times), meant.each.memory.0.saturating_mul(times));
        count += here as usize;
    }
    (sum, count)
}

/// Whether hosts of a pool may be used in an environment.
pub(crate) fn is_for(pool: &Object<Pool>, place: &Object<Environment>) -> bool {
    place.spec.hosts.matches(&pool.spec.labels_of_hosts(pool.name()))
}

/// The other pools that can make hosts for what is wanted: they follow it, their provider answers,
/// they are not at their most, and no migration would empty what they make.
fn others<'a>(cx: &Context<'a>, pool: &Object<Pool>) -> Vec<&'a Object<Pool>> {
    let all = cx.world.all::<Pool>().filter(|other| other.name() != pool.name());
    let grow = |other: &&Object<Pool>| can_grow(other) && shuts(cx, other).is_none();
    all.map(|other| &**other).filter(grow).collect()
}

/// Whether a pool makes more hosts if more are wanted.
pub(crate) fn can_grow(pool: &Object<Pool>) -> bool {
    let full = pool.status.advice.as_ref().is_some_and(|advice| advice.count >= pool.spec.max);
    pool.spec.acts() && !full && !pool.meta.deleting() && pool.status.provider.is_none()
}

/// A pool's part of instances that run nowhere yet: as placing spreads them, each goes to the pool
/// with the fewest, the first by its name where several have as few.
fn share(nowhere: u32, own: (&str, u32), theirs: &[(&Object<Pool>, u32)]) -> u32 {
    let others = theirs.iter().map(|(pool, count)| (pool.name(), *count));
    let mut all: Vec<(u32, &str)> =
        others.chain([own]).map(|(name, count)| (count, name)).collect();
    all.sort_unstable();
    // Those with the fewest are filled up to the level of the next, and then all of them.
    let (mut left, mut with) = (u64::from(nowhere), 1_usize);
    let mut level = u64::from(all[0].0);
    while with < all.len() {
        let rise = (u64::from(all[with].0) - level) * with as u64;
        if rise > left {
            break;
        }
        (left, level, with) = (left - rise, u64::from(all[with].0), with + 1);
    }
    level += left / with as u64;
    let mut filled: Vec<&str> = all[..with].iter().map(|(_, name)| *name).collect();
    filled.sort_unstable();
    let Some(place) = filled.iter().position(|name| *name == own.0) else { return 0 };
    let rest = u64::from((place as u64) < left % with as u64);
    u32::try_from(level + rest - u64::from(own.1)).unwrap_or(u32::MAX)
}

fn hosts_for(demand: Sum, one: Sum, autoscale: &Autoscale) -> u32 {
    let free = u64::from(100 - autoscale.headroom.min(99));
    let hosts = |demand: u64, one: u64| {
        let room = (one.saturating_mul(free) / 100).max(1);
        u32::try_from(demand.div_ceil(room)).unwrap_or(u32::MAX)
    };
    hosts(demand.cpu, one.cpu).max(hosts(demand.memory, one.memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_nowhere_is_shared_and_nothing_of_it_twice() {
        let pool = |name: &str| {
            let spec = serde_json::json!({ "count": 0, "max": 9, "provider": { "static": {
                "hosts": [] } } });
            Object::new(name, serde_json::from_value::<Pool>(spec).unwrap())
        };
        let pools = [pool("a"), pool("b"), pool("c")];
        for (nowhere, counts, parts) in [
            (15, [0, 0, 0], [5, 5, 5]),
            (4, [0, 0, 0], [2, 1, 1]),
            (5, [8, 1, 0], [0, 2, 3]),
            (1, [3, 3, 3], [1, 0, 0]),
            (30, [0, 6, 3], [13, 7, 10]),
        ] {
            let of = |own: usize| {
                let others = (0..3).filter(|i| *i != own).map(|i| (&pools[i], counts[i]));
                share(nowhere, (pools[own].name(), counts[own]), &others.collect::<Vec<_>>())
            };
            assert_eq!([of(0), of(1), of(2)], parts, "{nowhere} over {counts:?}");
        }
        assert_eq!(share(7, ("a", 2), &[]), 7);
    }
}

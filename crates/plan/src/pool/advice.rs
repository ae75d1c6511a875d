//! How many hosts a pool would need for what is to run on them: what deployments want, and where
//! their capacity says that their load takes more, that. It changes nothing: whether it is followed
//! the pool's `autoscale` says.
//!
//! More are asked for at once; fewer only after fewer have been enough for a while, so that what is
//! saved outlasts what is moved for it.

use atoll_model::cmdb::Amount;
use atoll_model::pool::{Advice, Autoscale, MachinePhase, Pool, PoolStatus};
use atoll_model::{Capacity, Deployment, Environment, Host, Instance, Object};

use crate::Context;
use crate::budget::scope::{Meant, parts};

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
        let because = format!("{} want hosts, and none was seen yet", crate::instances(instances));
        let count = bounds(old.count.max(u32::from(instances > 0)));
        return Some(Advice { count, because, ..Advice::default() });
    };
    let one = Sum { cpu: host.cpu.0, memory: host.memory.0 };
    let count = bounds(hosts_for(demand, one, autoscale));
    let because = format!(
        "{} want {}m cpu and {} MiB here; a host has {}m and {} MiB, of which {}% stay free",
        crate::instances(instances),
        demand.cpu,
        demand.memory >> 20,
        one.cpu,
        one.memory >> 20,
        autoscale.headroom
    );
    let new = Advice { count, because, host: Some(host), ..Advice::default() };
    Some(steady(cx, autoscale, old, new))
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

/// What deployments that may use these hosts want, less what of it runs on others.
fn demand(cx: &Context, pool: &Object<Pool>, status: &PoolStatus) -> (Sum, usize) {
    let labels = pool.spec.labels_of_hosts(pool.name());
    let mut sum = Sum::default();
    let mut count = 0;
    for deployment in cx.world.all::<Deployment>() {
        let place = cx.world.get::<Environment>(parts(deployment.name()).1);
        if !place.is_some_and(|place| place.spec.hosts.matches(&labels)) {
            continue;
        }
        let Some(meant) = Meant::of(cx.world, deployment.name()) else { continue };
        let needed = cx.world.get::<Capacity>(deployment.name()).map_or(0, |c| c.status.needed);
        let elsewhere = cx.world.derived::<Instance>(deployment.name());
        let elsewhere = elsewhere.filter(|instance| {
            let host = &instance.spec.host;
            let open = cx.world.get::<Host>(host).is_some_and(|host| host.is_open());
            open && !instance.meta.deleting() && !status.machines.contains_key(host)
        });
        let here = meant.instances.max(needed).saturating_sub(elsewhere.count() as u32);
        let times = u64::from(here);
        sum.add(meant.each.cpu.0.saturating_mul(times), meant.each.memory.0.saturating_mul(times));
        count += here as usize;
    }
    (sum, count)
}

fn hosts_for(demand: Sum, one: Sum, autoscale: &Autoscale) -> u32 {
    let free = u64::from(100 - autoscale.headroom.min(99));
    let hosts = |demand: u64, one: u64| {
        let room = (one.saturating_mul(free) / 100).max(1);
        u32::try_from(demand.div_ceil(room)).unwrap_or(u32::MAX)
    };
    hosts(demand.cpu, one.cpu).max(hosts(demand.memory, one.memory))
}

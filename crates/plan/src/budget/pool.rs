//! The budgets that share the same hosts, and what each of them may have. Budgets that name the
//! same environment share its hosts; those that name none share the fleet. They are one level: a
//! budget of a team and one of an application of its are two claims.

use std::sync::Arc;

use atoll_model::budget::{Budget, Quota, Share, Take};
use atoll_model::cmdb::HostPhase;
use atoll_model::{Cpu, Deployment, Environment, Host, Instance, Memory, Object, Snapshot};

use super::quota::{self, Claim};
use super::scope;

/// Budgets that share hosts.
struct Pool<'a> {
    members: Vec<(&'a Arc<Object<Budget>>, &'a Quota)>,
    capacity: Take,
    at: usize,
}

impl<'a> Pool<'a> {
    fn of(world: &'a Snapshot, budget: &Object<Budget>) -> Option<Pool<'a>> {
        let same = |other: &&Arc<Object<Budget>>| {
            other.spec.environment == budget.spec.environment && !other.meta.deleting()
        };
        let all = world.all::<Budget>().filter(same);
        let members: Vec<_> =
            all.filter_map(|other| Some((other, other.spec.resources.as_ref()?))).collect();
        let at = members.iter().position(|(other, _)| other.name() == budget.name())?;
        let environment = budget.spec.environment.as_deref();
        Some(Pool { members, capacity: capacity(world, environment), at })
    }

    /// What there is of cpu and of memory, and the claims to it, where this one wants so much.
    fn all_claims(&self, own: Take) -> [(u64, Vec<Claim>); 2] {
        let said = |i: usize| match self.members.get(i) {
            Some((other, _)) if i != self.at => {
                other.status.share.map(|share| share.wanted).unwrap_or_default()
            }
            _ => own,
        };
        let cpu = self.claims(|quota| quota.cpu.plain(), |i| said(i).cpu.0);
        let memory = self.claims(|quota| quota.memory.plain(), |i| said(i).memory.0);
        [(self.capacity.cpu.0, cpu), (self.capacity.memory.0, memory)]
    }

    /// The claims to one resource.
    fn claims(
        &self,
        bounds: impl Fn(&Quota) -> (u64, Option<u64>),
        wants: impl Fn(usize) -> u64,
    ) -> Vec<Claim> {
        let claim = |(i, (_, quota)): (usize, &(_, &Quota))| {
            let (guaranteed, ceiling) = bounds(quota);
            Claim {
                guaranteed,
                ceiling: ceiling.unwrap_or(u64::MAX),
                weight: quota.weight,
                core: quota.tier == atoll_model::budget::Tier::Core,
                wants: wants(i),
            }
        };
        self.members.iter().enumerate().map(claim).collect()
    }
}

/// What instances may use of the hosts of an environment, or of the fleet: of hosts that other
/// environments use too, what they leave.
fn capacity(world: &Snapshot, environment: Option<&str>) -> Take {
    let place = environment.and_then(|name| world.get::<Environment>(name));
    let here = |host: &&Arc<Object<Host>>| {
        place.is_none_or(|place| place.spec.hosts.matches(&host.meta.labels))
    };
    let beside = place.is_some_and(|place| others_are_on(world, place.name(), here));
    let mut all = Take::default();
    for host in world.all::<Host>().filter(here) {
        if matches!(host.status.phase, HostPhase::Ready | HostPhase::Cordoned) {
            let usable = host.spec.usable(host.status.capacity);
            let own = environment.filter(|_| beside);
            let (cpu, memory) = own.map_or((0, 0), |own| taken_by_others(world, host.name(), own));
            all.cpu.0 = all.cpu.0.saturating_add(usable.cpu.0.saturating_sub(cpu));
            all.memory.0 = all.memory.0.saturating_add(usable.memory.0.saturating_sub(memory));
        }
    }
    all
}

/// Whether hosts run more than the instances of one environment. Only counts are looked at, so
/// that environments which share no host pay nothing for it.
fn others_are_on(
    world: &Snapshot,
    environment: &str,
    here: impl Fn(&&Arc<Object<Host>>) -> bool,
) -> bool {
    let on = |host: &Arc<Object<Host>>| world.usage(host.name()).map_or(0, |u| u.amount.instances);
    let there: u64 = world.all::<Host>().filter(here).map(|host| u64::from(on(host))).sum();
    let own = world.all::<Deployment>().filter(|d| d.spec.environment == environment);
    let count = |d: &Arc<Object<Deployment>>| -> u64 {
        world.in_zones(d.name()).map(|(_, count)| u64::from(count)).sum()
    };
    there != own.map(count).sum::<u64>()
}

/// What instances of other environments take of a host: thousandths of a core, and bytes.
fn taken_by_others(world: &Snapshot, host: &str, environment: &str) -> (u64, u64) {
    let theirs = |instance: &&Arc<Object<Instance>>| {
        scope::parts(&instance.spec.deployment).1 != environment
    };
    let add = |sum: (u64, u64), instance: &Arc<Object<Instance>>| {
        let each = instance.spec.resources;
        (sum.0.saturating_add(each.cpu.0), sum.1.saturating_add(each.memory.0))
    };
    world.instances_on(host).filter(theirs).fold((0, 0), add)
}

/// How a budget stands to the others it shares hosts with; none where it has no share of any.
///
/// What others want is what they said last, so that looking at one costs nothing for each
/// deployment of the others.
pub fn share(world: &Snapshot, budget: &Object<Budget>) -> Option<Share> {
    let pool = Pool::of(world, budget)?;
    let own = scope::wanted(world, &budget.spec);
    let one = |(capacity, claims): (u64, Vec<Claim>)| {
        let guaranteed = claims.get(pool.at).map_or(0, |claim| claim.guaranteed);
        let wants = claims.get(pool.at).map_or(0, |claim| claim.wants);
        let may = quota::may(capacity, &claims, pool.at);
        let lent = quota::lent(capacity, &claims).get(pool.at).copied().unwrap_or_default();
        (may, wants.saturating_sub(guaranteed), lent)
    };
    let [cpu, memory] = pool.all_claims(own).map(one);
    let take = |cpu: u64, memory: u64| Take { cpu: Cpu(cpu), memory: Memory(memory) };
    Some(Share {
        wanted: own,
        may: take(cpu.0, memory.0),
        borrowed: take(cpu.1, memory.1),
        lent: take(cpu.2, memory.2),
    })
}

/// What a budget may take as others stand now, whatever its own ceiling: what it has beyond that is
/// theirs, and wanted back.
pub fn left_by_others(world: &Snapshot, budget: &Object<Budget>) -> Option<Take> {
    let pool = Pool::of(world, budget)?;
    let one = |(capacity, mut claims): (u64, Vec<Claim>)| {
        claims.iter_mut().skip(pool.at).take(1).for_each(|own| own.ceiling = u64::MAX);
        quota::may(capacity, &claims, pool.at)
    };
    let [cpu, memory] = pool.all_claims(scope::wanted(world, &budget.spec)).map(one);
    Some(Take { cpu: Cpu(cpu), memory: Memory(memory) })
}

/// The other budgets that share hosts with one.
pub fn others(world: &Snapshot, budget: &Object<Budget>) -> Vec<String> {
    let beside = |other: &&Arc<Object<Budget>>| {
        other.spec.resources.is_some()
            && other.spec.environment == budget.spec.environment
            && other.name() != budget.name()
    };
    world.all::<Budget>().filter(beside).map(|other| other.meta.name.clone()).collect()
}

//! Which instances a migration that balances moves: one after another off the fullest host, as long
//! as the host it would be placed on is less full with it than its own was. So every move makes the
//! fuller of both less full, nothing is moved to and fro, and it comes to an end. It moves nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::cmdb::{Amount, Spread};
use atoll_model::snapshot::{Load, Seat, Standing};
use atoll_model::{
    Any, Cpu, Deployment, Host, Instance, Kind, Memory, Migration, Object, Snapshot,
};

use super::{after, arbitrate, is_silent};
use crate::placement::{self, Need, Placer};

/// A host is left alone where it is no more than so many hundredths of a percent fuller than the
/// average.
const EVEN: u32 = 500;

/// How many instances are to leave which host, and none where nothing would get better. All that
/// are too full are closed meanwhile, also those that keep what they have.
pub(super) fn quota(world: &Snapshot, spec: &Migration) -> BTreeMap<String, u32> {
    let any: BTreeMap<String, u32> =
        overfull(world).into_iter().map(|host| (host, u32::MAX)).collect();
    let moves = moves(world, spec, &any, &BTreeSet::new());
    if moves.is_empty() {
        return BTreeMap::new();
    }
    let mut quota: BTreeMap<String, u32> = any.into_keys().map(|host| (host, 0)).collect();
    for instance in moves {
        *quota.entry(instance.spec.host.clone()).or_default() += 1;
    }
    quota
}

/// Why nothing is moved.
pub(super) fn none(world: &Snapshot, spec: &Migration) -> &'static str {
    let full = overfull(world);
    if full.is_empty() {
        return "the hosts are balanced: none is much fuller than the average";
    }
    let quota = full.into_iter().map(|host| (host, u32::MAX)).collect();
    match look(world, spec, &quota, &BTreeSet::new()).1.uneven {
        true => "moving off the fuller hosts would make zones uneven, or other hosts as full",
        false => "what could be moved off the fuller hosts would make others as full",
    }
}

/// The hosts that are fuller than the average.
fn overfull(world: &Snapshot) -> BTreeSet<String> {
    let even = even(world, &BTreeMap::new());
    let hosts = world.all::<Host>().filter(|host| host.is_open());
    let full = hosts.filter(|host| is_over(share(world, host), even));
    full.map(|host| host.meta.name.clone()).collect()
}

/// What is moved next and after that, of up to so many instances of each host, in the order in
/// which each is known to go to a better place; nothing of some deployments.
pub(super) fn moves<'a>(
    world: &'a Snapshot,
    spec: &Migration,
    quota: &BTreeMap<String, u32>,
    without: &BTreeSet<&str>,
) -> Vec<&'a Arc<Object<Instance>>> {
    look(world, spec, quota, without).0
}

/// What is moved, and how it was found.
fn look<'a, 's>(
    world: &'a Snapshot,
    spec: &'s Migration,
    quota: &BTreeMap<String, u32>,
    without: &BTreeSet<&str>,
) -> (Vec<&'a Arc<Object<Instance>>>, Trial<'s>) {
    let even = even(world, quota);
    let mut trial = Trial { after: world.clone(), spec, refused: BTreeMap::new(), uneven: false };
    after::close(&mut trial.after, quota.keys());
    let hosts = quota.iter().filter(|(host, _)| !is_silent(world, host));
    // The fullest is last. While it is looked for, they only get emptier.
    let mut full: BTreeSet<(u32, Reverse<&str>)> =
        hosts.filter_map(|(host, _)| Some((trial.share(host)?, Reverse(host.as_str())))).collect();
    let mut on: BTreeMap<&str, Vec<&Arc<Object<Instance>>>> = BTreeMap::new();
    let mut moves: Vec<&Arc<Object<Instance>>> = Vec::new();
    let mut left = quota.clone();
    while let Some((share, Reverse(host))) = full.pop_last() {
        let count = left.get_mut(host).filter(|count| **count > 0);
        let Some(count) = count.filter(|_| is_over(share, even)) else { continue };
        let all = on.entry(host).or_insert_with(|| movable(world, spec, host, without));
        let Some(at) = trial.first(all) else { continue };
        moves.push(all.remove(at));
        *count -= 1;
        full.extend(trial.share(host).map(|share| (share, Reverse(host))));
    }
    (moves, trial)
}

/// What of a host may be moved: what matters least first.
fn movable<'a>(
    world: &'a Snapshot,
    spec: &Migration,
    host: &str,
    without: &BTreeSet<&str>,
) -> Vec<&'a Arc<Object<Instance>>> {
    let mut all = arbitrate::meant(world, spec, &BTreeSet::from([host.to_owned()]));
    all.retain(|instance| {
        let of = arbitrate::application(world, instance);
        let keeps = of.is_none_or(|application| !application.spec.run.volumes.is_empty());
        !keeps && !without.contains(instance.spec.deployment.as_str())
    });
    all.sort_by_cached_key(|instance| {
        let core = arbitrate::is_core(world, instance);
        (core, instance.spec.deployment.clone(), instance.meta.name.clone())
    });
    all
}

/// The world as it would be with what was found so far moved.
struct Trial<'a> {
    after: Snapshot,
    spec: &'a Migration,
    /// Of these nothing gets better off hosts that are so full, nor off emptier ones: where they
    /// would go only fills.
    refused: BTreeMap<String, u32>,
    /// Something would get better, were it not for zones.
    uneven: bool,
}

impl Trial<'_> {
    fn share(&self, host: &str) -> Option<u32> {
        self.after.host(host).map(|host| share(&self.after, host))
    }

    /// Moves the first for which that is better; which. One of a deployment stands for all.
    fn first(&mut self, all: &[&Arc<Object<Instance>>]) -> Option<usize> {
        let mut last = None;
        for (at, instance) in all.iter().enumerate() {
            let deployment = instance.spec.deployment.as_str();
            if last.replace(deployment) == Some(deployment) {
                continue;
            }
            let full = self.share(&instance.spec.host)?;
            if self.refused.get(deployment).is_some_and(|refused| full <= *refused) {
                continue;
            }
            let Some(moved) = self.moved(instance, full) else {
                self.refused.insert(deployment.to_owned(), full);
                continue;
            };
            self.after.remove(Kind::Instance, instance.name());
            self.after.put(Any::Instance(Arc::new(moved)));
            return Some(at);
        }
        None
    }

    /// An instance where it would be placed, if that is better than its host, which is so full.
    fn moved(&mut self, instance: &Object<Instance>, full: u32) -> Option<Object<Instance>> {
        let world = &self.after;
        let deployment = world.get::<Deployment>(&instance.spec.deployment)?;
        let to = Some(&self.spec.to).filter(|to| !to.0.is_empty());
        let need = Need { to, ..Need::of(world, deployment)? };
        let stays = |seat: &&Seat| {
            let other = seat.instance.name() != instance.name();
            other && !seat.deleting && seat.standing == Standing::Staying
        };
        let own = || world.seats(deployment.name()).filter(stays);
        let place = Placer::new(world, need, own()).place(0)?;
        let (from, to) = (world.host(&instance.spec.host)?, world.host(&place.host)?);
        let in_zone = |host: &Object<Host>| own().filter(|s| *s.zone == *host.zone()).count();
        let uneven = need.spread.first() == Some(&Spread::Zone) && in_zone(to) > in_zone(from);
        let (size, each) = (instance.spec.resources, need.resources);
        let more = Amount { cpu: each.cpu, memory: each.memory, instances: 1 };
        let mut rest = world.usage(from.name()).map(|usage| usage.amount).unwrap_or_default();
        rest.cpu = Cpu(rest.cpu.0.saturating_sub(size.cpu.0));
        rest.memory = Memory(rest.memory.0.saturating_sub(size.memory.0));
        let rest = Load::of(rest, from.spec.usable(from.status.capacity)).share;
        if placement::load_of(world, to, &more).share.max(rest) >= full {
            return None;
        }
        if uneven {
            // It would come back for that.
            self.uneven = true;
            return None;
        }
        let mut new = instance.clone();
        (new.spec.host, new.spec.ports, new.spec.resources) = (place.host, place.ports, each);
        Some(new)
    }
}

fn share(world: &Snapshot, host: &Object<Host>) -> u32 {
    placement::load_of(world, host, &Amount::default()).share
}

fn is_over(share: u32, even: u32) -> bool {
    share > even && share < u32::MAX
}

/// How full a host may be: as the average of those that are open, or closed by this migration, and
/// a little more.
fn even(world: &Snapshot, quota: &BTreeMap<String, u32>) -> u32 {
    let counts = |host: &Object<Host>| {
        host.is_open() || (quota.contains_key(host.name()) && !is_silent(world, host.name()))
    };
    let hosts = world.all::<Host>().filter(|host| counts(host));
    let shares: Vec<u64> = hosts
        .map(|host| share(world, host))
        .filter(|share| *share < u32::MAX)
        .map(u64::from)
        .collect();
    let average = shares.iter().sum::<u64>() / shares.len().max(1) as u64;
    u32::try_from(average).unwrap_or(u32::MAX).saturating_add(EVEN)
}

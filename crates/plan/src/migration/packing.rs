//! How closely what a migration moves can be packed into the hosts it may go to. It counts what
//! fits; where each instance goes is the placement's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::cmdb::Amount;
use atoll_model::delivery::Runtime;
use atoll_model::run::Resources;
use atoll_model::{Deployment, Environment, Host, Instance, Object, Selector, Snapshot};

/// What may be on the same hosts, for it is of one environment and runs in one way.
pub(super) type Group<'a> = (&'a Selector, Runtime, Vec<Resources>);

pub(super) fn groups<'a>(world: &'a Snapshot, all: &[&'a Arc<Object<Instance>>]) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(&str, bool), Group> = BTreeMap::new();
    for instance in all {
        let deployment = world.get::<Deployment>(&instance.spec.deployment);
        let environment = deployment.and_then(|d| world.get(&d.spec.environment));
        let Some(environment): Option<&Arc<Object<Environment>>> = environment else { continue };
        let runtime = instance.spec.runtime;
        let key = (environment.name(), runtime == Runtime::Docker);
        let hosts = &environment.spec.hosts;
        let group = groups.entry(key).or_insert_with(|| (hosts, runtime, Vec::new()));
        group.2.push(instance.spec.resources);
    }
    groups.into_values().collect()
}

/// Packs each group into those hosts its instances may be on, the one with fewest of them first.
pub(super) fn pack_groups(groups: &[Group], free: &[(&Object<Host>, Amount)]) -> Packing {
    let may = |(hosts, runtime, _): &Group, host: &Object<Host>| {
        let engine = *runtime != Runtime::Docker || !host.status.agent.engine.is_empty();
        engine && hosts.matches(&host.meta.labels)
    };
    let mut rooms: Vec<Amount> = free.iter().map(|(_, room)| *room).collect();
    let all: Vec<Resources> = groups.iter().flat_map(|(_, _, sizes)| sizes.clone()).collect();
    let least = least(&all, &rooms);
    let mut order: Vec<(Vec<usize>, &[Resources])> = Vec::new();
    for group in groups {
        let open = free.iter().enumerate().filter(|(_, (host, _))| may(group, host));
        order.push((open.map(|(i, _)| i).collect(), &group.2));
    }
    order.sort_by_key(|(open, _)| open.len());
    let (mut taken, mut unplaced) = (BTreeSet::new(), 0);
    for (open, sizes) in order {
        unplaced += place(sizes, &mut rooms, open, &mut taken);
    }
    Packing { hosts: taken.len() as u32, least, unplaced }
}

/// How a set of instances fits on hosts that are filled one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packing {
    /// So many hosts take at least one.
    pub hosts: u32,
    /// No fewer could, whatever the order.
    pub least: u32,
    /// So many find no room.
    pub unplaced: u32,
}

/// Packs into those of the rooms that are open, and notes which have taken something; says how many
/// find no room. Host after host, the roomiest first: into each goes what fits and lies best along
/// what it has left of both, cpu and memory, weighed by what is scarce (the dot-product heuristic
/// of Panigrahy, Talwar, Uyeda and Wieder, 2011).
fn place(
    sizes: &[Resources],
    rooms: &mut [Amount],
    mut open: Vec<usize>,
    taken: &mut BTreeSet<usize>,
) -> u32 {
    let total = |of: &dyn Fn(&Resources) -> u64| sizes.iter().map(of).sum::<u64>() as f64;
    let all = |of: &dyn Fn(&Amount) -> u64| {
        open.iter().map(|i| of(&rooms[*i])).sum::<u64>().max(1) as f64
    };
    let scarce = (
        total(&|size| size.cpu.0) / all(&|room| room.cpu.0),
        total(&|size| size.memory.0) / all(&|room| room.memory.0),
    );
    let (cpu, memory) = (all(&|room| room.cpu.0), all(&|room| room.memory.0));
    let weight = |room: &Amount| (room.cpu.0 as f64 / cpu).min(room.memory.0 as f64 / memory);
    open.sort_by_cached_key(|i| std::cmp::Reverse((weight(&rooms[*i]) * 1e12) as u64));
    let mut left: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    for size in sizes {
        *left.entry((size.cpu.0, size.memory.0)).or_default() += 1;
    }
    for i in open {
        if left.is_empty() {
            break;
        }
        if fill(&mut rooms[i], &mut left, scarce) {
            taken.insert(i);
        }
    }
    left.values().sum()
}

/// Fills one host; whether anything went into it.
fn fill(room: &mut Amount, left: &mut BTreeMap<(u64, u64), u32>, scarce: (f64, f64)) -> bool {
    let whole = (room.cpu.0.max(1) as f64, room.memory.0.max(1) as f64);
    let mut took = false;
    loop {
        let free = (room.cpu.0 as f64 / whole.0, room.memory.0 as f64 / whole.1);
        let along = |(cpu, memory): &(u64, u64)| {
            let size = (*cpu as f64 / whole.0, *memory as f64 / whole.1);
            scarce.0 * size.0 * free.0 + scarce.1 * size.1 * free.1
        };
        let fits = |(cpu, memory): &&(u64, u64)| {
            *cpu <= room.cpu.0 && *memory <= room.memory.0 && room.instances > 0
        };
        let best = left.keys().filter(fits).max_by(|a, b| along(a).total_cmp(&along(b)));
        let Some(best) = best.copied() else { return took };
        room.cpu.0 -= best.0;
        room.memory.0 -= best.1;
        room.instances -= 1;
        took = true;
        if let Some(count) = left.get_mut(&best) {
            *count -= 1;
            if *count == 0 {
                left.remove(&best);
            }
        }
    }
}

/// No packing needs fewer hosts: the roomiest that together have enough cpu, and enough memory.
fn least(sizes: &[Resources], roomiest: &[Amount]) -> u32 {
    let count = |need: u64, of: &dyn Fn(&Amount) -> u64| {
        let mut rooms: Vec<u64> = roomiest.iter().map(of).collect();
        rooms.sort_unstable_by_key(|room| std::cmp::Reverse(*room));
        let mut left = need;
        let mut hosts = 0;
        for room in rooms {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(room);
            hosts += 1;
        }
        hosts
    };
    let cpu = sizes.iter().map(|size| size.cpu.0).fold(0, u64::saturating_add);
    let memory = sizes.iter().map(|size| size.memory.0).fold(0, u64::saturating_add);
    count(cpu, &|room| room.cpu.0).max(count(memory, &|room| room.memory.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use atoll_model::{Cpu, Memory};

    use super::*;

    fn pack(sizes: &[Resources], free: &[Amount]) -> Packing {
        let (mut rooms, mut taken) = (free.to_vec(), BTreeSet::new());
        let least = least(sizes, free);
        let unplaced = place(sizes, &mut rooms, (0..free.len()).collect(), &mut taken);
        Packing { hosts: taken.len() as u32, least, unplaced }
    }

    fn amount(cpu: u64, memory: u64) -> Amount {
        Amount { cpu: Cpu(cpu), memory: Memory(memory), instances: u32::MAX }
    }

    fn size(cpu: u64, memory: u64) -> Resources {
        Resources { cpu: Cpu(cpu), memory: Memory(memory) }
    }

    #[test]
    fn hosts_are_filled_one_after_the_other() {
        let sizes = [size(3, 1), size(7, 1), size(6, 1), size(4, 1)];
        let packing = pack(&sizes, &[amount(10, 9), amount(10, 9), amount(10, 9)]);
        assert_eq!(packing, Packing { hosts: 2, least: 2, unplaced: 0 });
        let packing = pack(&sizes, &[amount(10, 9)]);
        assert_eq!((packing.hosts, packing.unplaced), (1, 2));
        assert_eq!(pack(&[], &[]), Packing::default());
        assert_eq!(pack(&sizes, &[]).unplaced, 4);
    }

    #[test]
    fn each_is_packed_where_it_may_be() {
        let named = |name: &str, kind: &str| {
            let mut host = Object::new(name, Host::default());
            host.meta.labels = BTreeMap::from([("pool".to_owned(), kind.to_owned())]);
            host
        };
        let (boxes, others) = (named("h0", "boxes"), named("h1", "others"));
        let free = [(&boxes, amount(10, 9)), (&others, amount(10, 9))];
        let all = Selector::default();
        let only: Selector = "pool=boxes".parse().unwrap();
        let picky = (&only, Runtime::default(), vec![size(6, 1); 2]);
        let easy = (&all, Runtime::default(), vec![size(4, 1); 2]);
        let packing = pack_groups(&[easy, picky.clone()], &free);
        // One of the picky is in the way of the other; what may be anywhere lies beside it.
        assert_eq!(packing, Packing { hosts: 2, least: 2, unplaced: 1 });
        assert_eq!(pack_groups(std::slice::from_ref(&picky), &free[1..]).unplaced, 2);
        let docked = (&all, Runtime::Docker, vec![size(1, 1)]);
        assert_eq!(pack_groups(&[docked], &free).unplaced, 1, "no host has an engine");
    }

    #[test]
    fn many_are_packed_close_to_the_bound() {
        // Sizes as they are in fleets: few large ones, many small, memory beside.
        let sizes: Vec<Resources> = (0..10_000u64)
            .map(|i| size([50, 100, 200, 500, 1_000][(i * 7 % 5) as usize], 64 + i * 31 % 960))
            .collect();
        let free: Vec<Amount> = (0..1_000).map(|_| amount(16_000, 32_000)).collect();
        let packing = pack(&sizes, &free);
        assert_eq!(packing.unplaced, 0);
        assert!(f64::from(packing.hosts) <= f64::from(packing.least) * 1.05, "{packing:?}");
    }
}

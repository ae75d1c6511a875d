//! What a migration would do before it is made: how many waves, how long, what finds no room, and
//! what is risky. It counts and packs; nothing is simulated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::budget::Money;
use atoll_model::cmdb::Amount;
use atoll_model::delivery::Runtime;
use atoll_model::deployment::InstancePhase;
use atoll_model::migration::{MigrationForecast, MigrationStatus, MovedCost, MovedDeployment};
use atoll_model::run::Resources;
use atoll_model::{
    Deployment, Environment, Host, Instance, Migration, Object, Selector, Snapshot, Span,
};

use super::after::place_all;
use super::room::Room;
use super::{arbitrate, balance, sources};
use crate::Context;
use crate::budget::book::{self, Book};
use crate::budget::cost::Tariff;

/// So long an instance takes to become ready, where none of its deployment shows it.
const START: Span = Span::seconds(60);

/// Says what a migration would do.
pub fn forecast(cx: &Context, spec: &Migration) -> MigrationForecast {
    let world = cx.world;
    let status = begun(cx, spec);
    let all = moved(world, spec, &status);
    let mut of: BTreeMap<&str, u32> = BTreeMap::new();
    for instance in &all {
        *of.entry(&instance.spec.deployment).or_default() += 1;
    }
    let deployments: Vec<MovedDeployment> = of
        .iter()
        .map(|(name, count)| MovedDeployment {
            deployment: (*name).to_owned(),
            instances: *count,
            at_once: world.get::<Deployment>(name).map_or(1, |d| arbitrate::at_once(d.wanted())),
        })
        .collect();
    let nothing = match all.is_empty() {
        true => super::nothing(world, spec, &status.hosts),
        false => String::new(),
    };
    let (stays, told) = stays(&Room::of(world, spec, &status.hosts), &of);
    let (groups, free) =
        (groups(world, &without(&all, &stays)), destinations(world, spec, &status));
    let packing = pack_groups(&groups, &free);
    let unplaced = packing.unplaced + stays.values().sum::<u32>();
    let cannot = !all.is_empty() && unplaced as usize >= all.len();
    // What cannot be moved takes no time, and costs what it does.
    let (waves, takes) =
        if cannot { (0, Span(0)) } else { waves(world, spec, &deployments, &stays) };
    MigrationForecast {
        costs: if cannot { Vec::new() } else { costs(cx, spec, &status) },
        risks: told
            .into_iter()
            .chain(risks(world, &deployments, &stays, &packing))
            .chain(unpriced(cx, &all, &groups, &free))
            .chain(beyond_budgets(cx, spec))
            .collect(),
        hosts: status.hosts.into_iter().collect(),
        instances: all.len() as u32,
        nothing,
        deployments,
        waves,
        takes,
        packed: packing.hosts,
        least: packing.least,
        unplaced,
    }
}

/// How many instances of deployments stay since no host takes them, whatever else is moved, and
/// what is said of that.
fn stays<'a>(room: &Room, of: &BTreeMap<&'a str, u32>) -> (BTreeMap<&'a str, u32>, Vec<String>) {
    let mut told = Vec::new();
    let stay = of.iter().filter_map(|(name, count)| {
        let stay = count.saturating_sub(room.most(name));
        let why = room.why(name, stay).filter(|_| stay > 0)?;
        told.push(format!("{name} stays: {}", why.message));
        Some((*name, stay))
    });
    (stay.collect(), told)
}

/// The instances without so many of each deployment.
fn without<'a>(
    all: &[&'a Arc<Object<Instance>>],
    stays: &BTreeMap<&str, u32>,
) -> Vec<&'a Arc<Object<Instance>>> {
    let mut left = stays.clone();
    let mut all = all.to_vec();
    all.retain(|instance| match left.get_mut(instance.spec.deployment.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    all
}

/// How many waves, and about how long all of them take, without what stays.
fn waves(
    world: &Snapshot,
    spec: &Migration,
    of: &[MovedDeployment],
    stays: &BTreeMap<&str, u32>,
) -> (u32, Span) {
    let starts: BTreeMap<&str, Span> =
        of.iter().map(|one| (one.deployment.as_str(), start(world, &one.deployment))).collect();
    let moved = |one: &MovedDeployment| {
        one.instances - stays.get(one.deployment.as_str()).copied().unwrap_or(0)
    };
    let mut left: Vec<(&MovedDeployment, u32)> = of.iter().map(|one| (one, moved(one))).collect();
    left.retain(|(_, count)| *count > 0);
    let all: u32 = left.iter().map(|(_, count)| count).sum();
    let size = spec.wave.floor_of(all).max(1);
    let (mut waves, mut takes) = (0, Span(0));
    while !left.is_empty() {
        let mut room = size;
        let mut slowest = Span(0);
        for (one, count) in &mut left {
            let some = (*count).min(one.at_once).min(room);
            if some > 0 {
                slowest =
                    slowest.max(starts.get(one.deployment.as_str()).copied().unwrap_or(START));
            }
            *count -= some;
            room -= some;
        }
        left.retain(|(_, count)| *count > 0);
        waves += 1;
        let pause = if left.is_empty() { Span(0) } else { spec.pause };
        takes = Span(takes.0.saturating_add(slowest.0).saturating_add(pause.0));
    }
    (waves, takes)
}

/// A migration as it would begin.
pub(super) fn begun(cx: &Context, spec: &Migration) -> MigrationStatus {
    let quota = if spec.balance { balance::quota(cx.world, spec) } else { BTreeMap::new() };
    let hosts = match spec.balance {
        true => quota.keys().cloned().collect(),
        false => sources(cx, spec),
    };
    MigrationStatus { hosts, quota, ..MigrationStatus::default() }
}

/// The instances it is still to move.
pub(super) fn moved<'a>(
    world: &'a Snapshot,
    spec: &Migration,
    status: &MigrationStatus,
) -> Vec<&'a Arc<Object<Instance>>> {
    match spec.balance {
        true => balance::moves(world, spec, &status.quota, &BTreeSet::new()),
        false => arbitrate::meant(world, spec, &status.hosts),
    }
}

/// How long instances of a deployment took to become ready: half of them took less.
fn start(world: &Snapshot, deployment: &str) -> Span {
    let mut took: Vec<Span> = world
        .derived::<Instance>(deployment)
        .filter(|instance| instance.status.phase == InstancePhase::Ready)
        .filter_map(|instance| instance.took())
        .collect();
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or(START)
}

/// What may be on the same hosts, for it is of one environment and runs in one way.
type Group<'a> = (&'a Selector, Runtime, Vec<Resources>);

fn groups<'a>(world: &'a Snapshot, all: &[&'a Arc<Object<Instance>>]) -> Vec<Group<'a>> {
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

/// That some of the hosts they are on, or may go to, have no price: what they cost there is not
/// known.
fn unpriced(
    cx: &Context,
    all: &[&Arc<Object<Instance>>],
    groups: &[Group],
    free: &[(&Object<Host>, Amount)],
) -> Option<String> {
    let currencies = book::currencies(cx.world, cx.now);
    let books: Vec<Book> =
        currencies.iter().map(|currency| Book::of(cx.world, currency, cx.now)).collect();
    let here = all.iter().filter_map(|instance| cx.world.host(&instance.spec.host));
    let there = free
        .iter()
        .map(|(host, _)| *host)
        .filter(|host| groups.iter().any(|(hosts, ..)| hosts.matches(&host.meta.labels)));
    let has_none =
        |host: &&Object<Host>| books.iter().all(|book| Tariff::of(cx.world, book, host).is_err());
    let names: BTreeSet<&str> =
        here.map(|host| &**host).chain(there).filter(has_none).map(|host| host.name()).collect();
    let first = names.first().filter(|_| !books.is_empty())?;
    let more = names.len() - 1;
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Some(format!("no price is known of {first}{more}: what costs there is not counted"))
}

/// That budgets would hold it, or would be broken by it.
fn beyond_budgets(cx: &Context, spec: &Migration) -> Vec<String> {
    let (held, told) = crate::decision::of_migration(cx, spec);
    let held = held.into_iter().map(|reason| {
        let hint = reason.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("it would be refused: {}{hint}", reason.message)
    });
    held.chain(told.into_iter().map(|reason| reason.message)).collect()
}

/// What the instances cost where they are and would be placed. What finds no room stays there,
/// and costs what it does. What has no price is left out.
fn costs(cx: &Context, spec: &Migration, status: &MigrationStatus) -> Vec<MovedCost> {
    let currencies = book::currencies(cx.world, cx.now);
    if currencies.is_empty() {
        return Vec::new();
    }
    let before = moved(cx.world, spec, status);
    let names: Vec<&str> = before.iter().map(|instance| instance.name()).collect();
    let mut after = cx.world.clone();
    place_all(&mut after, spec, status);
    let told = currencies.into_iter().map(|currency| {
        let book = Book::of(cx.world, currency, cx.now);
        let sum = |world: &Snapshot| -> Money {
            let cost = |name: &&str| {
                let instance = world.get::<Instance>(name)?;
                let tariff = Tariff::of(world, &book, world.host(&instance.spec.host)?).ok()?;
                Some(tariff.share(instance.spec.resources))
            };
            names.iter().filter_map(cost).sum()
        };
        MovedCost { currency: currency.to_owned(), was: sum(cx.world), is: sum(&after) }
    });
    told.filter(|cost| cost.was != Money(0) || cost.is != Money(0)).collect()
}

/// Packs each group into those hosts its instances may be on, the one with fewest of them first.
fn pack_groups(groups: &[Group], free: &[(&Object<Host>, Amount)]) -> Packing {
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

/// What is free on the hosts instances may go to.
fn destinations<'a>(
    world: &'a Snapshot,
    spec: &Migration,
    status: &MigrationStatus,
) -> Vec<(&'a Object<Host>, Amount)> {
    let fits = |host: &&std::sync::Arc<Object<Host>>| {
        host.is_open() && !status.hosts.contains(host.name()) && spec.to.matches(&host.meta.labels)
    };
    let free = world.all::<Host>().filter(fits).map(|host| {
        let of = host.spec.usable(host.status.capacity);
        let used = world.usage(host.name()).map(|usage| usage.amount).unwrap_or_default();
        let left = Amount {
            cpu: atoll_model::Cpu(of.cpu.0.saturating_sub(used.cpu.0)),
            memory: atoll_model::Memory(of.memory.0.saturating_sub(used.memory.0)),
            instances: match of.instances {
                0 => u32::MAX,
                most => most.saturating_sub(used.instances),
            },
        };
        (&**host, left)
    });
    free.collect()
}

/// How a set of instances fits on hosts that are filled one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// So many hosts take at least one.
    pub hosts: u32,
    /// No fewer could, whatever the order.
    pub least: u32,
    /// So many find no room.
    pub unplaced: u32,
}

/// Packs host after host, the roomiest first: into each goes what fits and lies best along what it
/// has left of both, cpu and memory, weighed by what is scarce (the dot-product heuristic of
/// Panigrahy, Talwar, Uyeda and Wieder, 2011).
pub fn pack(sizes: &[Resources], free: &[Amount]) -> Packing {
    let (mut rooms, mut taken) = (free.to_vec(), BTreeSet::new());
    let least = least(sizes, free);
    let unplaced = place(sizes, &mut rooms, (0..free.len()).collect(), &mut taken);
    Packing { hosts: taken.len() as u32, least, unplaced }
}

/// Packs into those of the rooms that are open, and notes which have taken something; says how many
/// find no room.
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

fn risks(
    world: &Snapshot,
    of: &[MovedDeployment],
    stays: &BTreeMap<&str, u32>,
    packing: &Packing,
) -> Vec<String> {
    let mut risks = Vec::new();
    if packing.unplaced > 0 {
        let count = crate::instances(packing.unplaced as usize);
        let find = if packing.unplaced == 1 { "finds" } else { "find" };
        risks.push(format!("{count} {find} no room on the other hosts"));
    }
    // What stays with all of its instances risks nothing.
    let moved = |one: &&MovedDeployment| stays.get(one.deployment.as_str()) < Some(&one.instances);
    for one in of.iter().filter(moved) {
        let name = &one.deployment;
        let Some(deployment) = world.get::<Deployment>(name) else { continue };
        let (ready, wanted) = (deployment.status.ready, deployment.wanted());
        if ready < wanted {
            risks.push(format!("{name} has {ready} of {wanted} ready: it waits until it is whole"));
        }
        if wanted == 1 {
            risks.push(format!("{name} has one instance: a second one runs beside it for a while"));
        }
        if deployment.status.rollout.is_some() {
            risks.push(format!("{name} is being rolled out: it is moved afterwards"));
        }
    }
    risks
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use atoll_model::{Cpu, Memory};

    use super::*;

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

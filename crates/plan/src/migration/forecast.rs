//! What a migration would do before it is made: how many waves, how long, what finds no room, and
//! what is risky. It counts and packs; nothing is simulated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::budget::Money;
use atoll_model::cmdb::Amount;
use atoll_model::deployment::InstancePhase;
use atoll_model::migration::{
    HostsToMake, MigrationForecast, MigrationStatus, MovedCost, MovedDeployment,
};
use atoll_model::{Deployment, Host, Instance, Migration, Object, Snapshot, Span};

use super::after::place_all;
use super::packing::{Group, Packing, groups, pack_groups};
use super::room::Room;
use super::{arbitrate, balance, sources};
use crate::Context;
use crate::budget::book::{self, Book};
use crate::budget::cost::Tariff;

mod made;

/// So long an instance takes to become ready, where none of its deployment shows it.
const START: Span = Span::seconds(60);

/// Says what a migration would do.
pub fn forecast(cx: &Context, spec: &Migration) -> MigrationForecast {
    let status = begun(cx, spec);
    let all = moved(cx.world, spec, &status);
    let mut of: BTreeMap<&str, u32> = BTreeMap::new();
    for instance in &all {
        *of.entry(&instance.spec.deployment).or_default() += 1;
    }
    let asked = Asked { spec, status: &status, all: &all, of: &of };
    // What finds no room on the hosts there are has pools make more.
    let (to_make, world) = made::made(cx, &asked);
    let told = in_world(&Context { world: &world, ..*cx }, &asked, to_make);
    let budgets = beyond_budgets(cx, spec);
    MigrationForecast { risks: told.risks.into_iter().chain(budgets).collect(), ..told }
}

/// What is asked about.
struct Asked<'a> {
    spec: &'a Migration,
    /// The migration as it would begin.
    status: &'a MigrationStatus,
    /// What it would move, and how many of each deployment.
    all: &'a [&'a Arc<Object<Instance>>],
    of: &'a BTreeMap<&'a str, u32>,
}

/// How what is moved fits on the hosts of a world.
struct Fit<'a> {
    /// So many of deployments stay, whatever else is moved, and what is said of that.
    stays: BTreeMap<&'a str, u32>,
    told: Vec<String>,
    groups: Vec<Group<'a>>,
    free: Vec<(&'a Object<Host>, Amount)>,
    packing: Packing,
    /// So many find no room.
    unplaced: u32,
}

impl<'a> Fit<'a> {
    fn of(world: &'a Snapshot, asked: &Asked<'a>) -> Fit<'a> {
        let Asked { spec, status, all, of } = asked;
        let (stays, told) = stays(&Room::of(world, spec, &status.hosts), of);
        let groups = groups(world, &without(all, &stays));
        let free = destinations(world, spec, status);
        let packing = pack_groups(&groups, &free);
        let unplaced = packing.unplaced + stays.values().sum::<u32>();
        Fit { stays, told, groups, free, packing, unplaced }
    }
}

/// What is told with the hosts there are in a world, those that are still to be made among them.
fn in_world(cx: &Context, asked: &Asked, to_make: Option<HostsToMake>) -> MigrationForecast {
    let (world, &Asked { spec, status, all, of }) = (cx.world, asked);
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
    let Fit { stays, told, groups, free, packing, unplaced } = Fit::of(world, asked);
    let cannot = !all.is_empty() && unplaced as usize >= all.len();
    // What cannot be moved takes no time, and costs what it does.
    let (waves, takes) =
        if cannot { (0, Span(0)) } else { waves(world, spec, &deployments, &stays) };
    // They are all asked for as soon as it begins.
    let joining = to_make.as_ref().and_then(|hosts| hosts.join_in).unwrap_or(Span(0));
    MigrationForecast {
        costs: if cannot { Vec::new() } else { costs(cx, spec, status) },
        risks: told
            .into_iter()
            .chain(risks(world, &deployments, &stays, &packing))
            .chain(unpriced(cx, all, &groups, &free))
            .collect(),
        hosts: status.hosts.iter().cloned().collect(),
        instances: all.len() as u32,
        nothing,
        deployments,
        waves,
        takes: Span(takes.0.saturating_add(joining.0)),
        packed: packing.hosts,
        least: packing.least,
        unplaced,
        to_make,
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

//! What the fleet could carry if: so many times the load, so many orders a second, a zone lost. It
//! is worked out from what is known now, and nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::capacity::{
    CapacityReport, CapacityRow, CapacityStatus, GroupRow, Known, LossRow, ZoneRoom,
};
use atoll_model::cmdb::{Amount, HostPhase};
use atoll_model::deployment::InstancePhase;
use atoll_model::peak::{PeakApplication, PeakPhase};
use atoll_model::run::Resources;
use atoll_model::{
    Application, Capacity, Cpu, Deployment, Environment, Host, Instance, Memory, Object, Peak,
    Snapshot, Timestamp,
};

use super::Subject;
use super::calls::{application, brought, fan};
use crate::elasticity::decide;
use crate::{Context, peak};

/// What is supposed.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The load is so many times what it is.
    pub times: f64,
    /// Only of this deployment, or of the deployments of this application, and of what they call.
    pub of: Option<String>,
    /// So much a second of what the business counts, by its name.
    pub demand: BTreeMap<String, f64>,
    /// `zone/NAME` or `host/NAME` is lost.
    pub without: Option<String>,
    /// The load is the highest that is expected in the next days, and not that of now.
    pub peak: bool,
}

impl Default for Ask {
    fn default() -> Ask {
        Ask { times: 1.0, of: None, demand: BTreeMap::new(), without: None, peak: false }
    }
}

/// More times the load than that is no supposition.
pub const MOST_TIMES: f64 = 1e6;

/// Answers a question.
pub fn ask(cx: &Context, ask: &Ask) -> CapacityReport {
    let world = cx.world;
    let loads = loads(world, cx.now, ask);
    let mut hosts: Vec<Room> = world.all::<Host>().map(|host| Room::of(world, host, ask)).collect();
    let zones = zones(&hosts);
    hosts.retain(|room| !room.lost && room.open);
    let lost = |host: &str| world.get::<Host>(host).is_none_or(|host| is_lost(host, ask));
    let mut left: BTreeMap<&str, u32> = BTreeMap::new();
    for instance in world.all::<Instance>() {
        if instance.status.phase == InstancePhase::Ready && !lost(&instance.spec.host) {
            *left.entry(instance.spec.deployment.as_str()).or_default() += 1;
        }
    }
    let mut rows: Vec<CapacityRow> = world
        .all::<Capacity>()
        .filter_map(|capacity| Subject::of(world, capacity.name()))
        .map(|subject| {
            let name = subject.deployment.name();
            let left = left.get(name).copied().unwrap_or_default();
            row(world, &subject, loads.get(name).copied(), left, &hosts)
        })
        .collect();
    rows.sort_by(|a, b| (b.missing, &a.deployment).cmp(&(a.missing, &b.deployment)));
    let mut unplaced = 0;
    for row in &mut rows {
        row.placed = place(world, &row.deployment, row.missing, &mut hosts);
        unplaced = u32::saturating_add(unplaced, row.missing - row.placed);
    }
    let environment = |row: &CapacityRow| {
        world.get::<Deployment>(&row.deployment).map(|of| of.spec.environment.clone())
    };
    let names: BTreeSet<String> = rows.iter().filter_map(environment).collect();
    let environments = names.into_iter().map(|name| {
        let of = rows.iter().filter(|row| environment(row).as_ref() == Some(&name));
        let all: Vec<&CapacityRow> = of.collect();
        GroupRow { name, ..together(&all) }
    });
    let environments = environments.collect();
    let fleet = together(&rows.iter().collect::<Vec<_>>());
    let undeclared = undeclared(world, ask);
    let unmeasured = rows.iter().filter(|row| row.load.is_none()).map(|row| &row.deployment);
    let unknown = undeclared.iter().chain(unmeasured);
    let lose: Vec<LossRow> =
        unknown.filter_map(|name| loss(world, name, ask, &mut hosts)).collect();
    let lost = lose.iter().map(|row| row.lost - row.placed);
    unplaced = lost.fold(unplaced, u32::saturating_add);
    CapacityReport { deployments: rows, environments, fleet, zones, unplaced, undeclared, lose }
}

/// What a deployment loses with what is supposed to be lost. Nobody knows what its load takes: what
/// it has is taken to be what it needs.
fn loss(world: &Snapshot, name: &str, ask: &Ask, hosts: &mut [Room]) -> Option<LossRow> {
    let lost = |host: &str| world.get::<Host>(host).is_some_and(|host| is_lost(host, ask));
    let there = world.derived::<Instance>(name).filter(|instance| !instance.meta.deleting());
    let (gone, left): (Vec<_>, Vec<_>) = there.partition(|instance| lost(&instance.spec.host));
    let (lost, left) = (gone.len() as u32, left.len() as u32);
    (lost > 0).then(|| {
        let placed = place(world, name, lost, hosts);
        LossRow { deployment: name.to_owned(), lost, left, placed }
    })
}

/// The deployments that are asked for, and of which nobody says what an instance carries.
fn undeclared(world: &Snapshot, ask: &Ask) -> Vec<String> {
    let asked = |deployment: &Object<Deployment>| {
        let of = |of: &String| *of == deployment.spec.application || of == deployment.name();
        ask.of.as_ref().is_none_or(of)
    };
    let silent = |deployment: &Object<Deployment>| {
        let scaling = world
            .get::<Application>(&deployment.spec.application)
            .and_then(|application| application.spec.scaling.as_ref());
        scaling.is_none_or(|scaling| scaling.per_instance.is_none())
    };
    let all = world.all::<Deployment>().filter(|deployment| !deployment.meta.deleting());
    let without = all.filter(|deployment| asked(deployment) && silent(deployment));
    without.map(|deployment| deployment.meta.name.clone()).collect()
}

/// Several deployments as one. What is not measured counts neither as serving nor as unused.
fn together(rows: &[&CapacityRow]) -> GroupRow {
    let sum =
        |of: fn(&CapacityRow) -> u32| rows.iter().map(|row| of(row)).fold(0, u32::saturating_add);
    let known = || rows.iter().filter_map(|row| Some((*row, row.load?)));
    let left: u32 = known().map(|(row, _)| row.left).sum();
    let used: f64 = known().map(|(row, load)| load / row.each).sum();
    let share = |row: &CapacityRow| row.headroom.unwrap_or(f64::NEG_INFINITY);
    let tightest = known().min_by(|(a, _), (b, _)| share(a).total_cmp(&share(b)));
    GroupRow {
        name: String::new(),
        deployments: rows.len() as u32,
        unmeasured: (rows.len() - known().count()) as u32,
        left,
        needed: sum(|row| row.needed),
        spare: sum(|row| row.spare),
        headroom: (left > 0).then(|| thousandth(1.0 - used / f64::from(left))),
        tightest: tightest.map(|(row, _)| row.deployment.clone()),
        missing: sum(|row| row.missing),
        placed: sum(|row| row.placed),
    }
}

fn thousandth(share: f64) -> f64 {
    (share * 1_000.0).round() / 1_000.0
}

fn row(
    world: &Snapshot,
    subject: &Subject,
    load: Option<f64>,
    left: u32,
    hosts: &[Room],
) -> CapacityRow {
    let (name, status) = (subject.deployment.name(), &subject.object.status);
    let each = status.each.unwrap_or(subject.declared.target);
    let buffer = subject.object.spec.buffer;
    let takes = |more: f64| load.map_or(0, |load| decide::whole(load / each * (1.0 + more)));
    // What is lacking goes by what the load takes, as `short` does: an autoscaler keeps no buffer.
    let (bare, needed) = (takes(0.0), takes(buffer));
    let room = room(world, name, hosts);
    let most = subject.max.min(subject.deployment.status.ready.saturating_add(room));
    let mut notes = Vec::new();
    if needed > subject.max {
        notes.push(format!("may have {} instances at most", subject.max));
    }
    if !status.method.is_empty() && status.days.is_empty() {
        notes.push(format!("no forecast: {}", status.method.trim_start_matches("none: ")));
    }
    CapacityRow {
        deployment: name.to_owned(),
        load: load.map(decide::round),
        each,
        known: status.known,
        ready: subject.deployment.status.ready,
        left,
        needed,
        spare: needed - bare,
        headroom: load
            .filter(|_| left > 0)
            .map(|load| thousandth(1.0 - load / (f64::from(left) * each))),
        missing: bare.saturating_sub(left),
        placed: 0,
        room,
        runs_out: runs_out(world, name, status, most),
        notes,
    }
}

/// When more instances are expected to be needed than there is room for: on one of the next days,
/// or in a peak that is declared.
fn runs_out(world: &Snapshot, name: &str, status: &CapacityStatus, most: u32) -> Option<Timestamp> {
    let day = status.days.iter().find(|day| day.instances > most).map(|day| day.at);
    let short = to_come(world, name).filter(|(_, row)| row.needed.is_some_and(|n| n > most));
    short.map(|(peak, _)| peak.status.times.starts).chain(day).min()
}

/// What declared peaks that are not over expect of a deployment.
fn to_come<'a>(
    world: &'a Snapshot,
    name: &'a str,
) -> impl Iterator<Item = (&'a Arc<Object<Peak>>, &'a PeakApplication)> {
    peak::rows(world, name).filter(|(peak, _)| peak.status.phase != PeakPhase::Over)
}

/// The load of each deployment, as it is supposed.
fn loads(world: &Snapshot, now: Timestamp, ask: &Ask) -> BTreeMap<String, f64> {
    let base: BTreeMap<String, f64> = world
        .all::<Capacity>()
        .filter_map(|capacity| {
            let name = capacity.name();
            let days = capacity.status.days.iter().map(|day| day.high);
            // The highest of the days that are forecast: what is declared for later is none of it.
            let soon =
                |peak: &Object<Peak>| peak.status.times.starts < now + super::ahead::LOOKED_AHEAD;
            let declared = to_come(world, name).filter(|(peak, _)| soon(peak));
            let declared = declared.filter_map(|(_, row)| row.expected);
            let highest = days.chain(declared).max_by(f64::total_cmp);
            let peak = highest.filter(|_| ask.peak);
            Some((name.to_owned(), peak.or_else(|| present_load(world, capacity))?))
        })
        .collect();
    let meant = |name: &str| is_meant(world, ask.of.as_deref(), name);
    let mut loads = base.clone();
    let mut first = Vec::new();
    for capacity in world.all::<Capacity>().filter(|capacity| meant(capacity.name())) {
        let (name, load) = (capacity.name(), base.get(capacity.name()));
        // What the business counts says what the load is, also before there was any.
        let supposed = match (of_business(world, name, &ask.demand), load) {
            (Some(counted), _) => counted * ask.times,
            (None, Some(load)) if ask.demand.is_empty() || ask.of.is_some() => load * ask.times,
            _ => continue,
        };
        loads.insert(name.to_owned(), supposed);
        first.push((name.to_owned(), supposed - load.unwrap_or(&0.0)));
    }
    // Where all of it grows, what is called has grown already.
    if ask.of.is_some() || !ask.demand.is_empty() {
        let unmeasured = brought(world, &base);
        for (name, load) in &unmeasured {
            loads.entry(name.clone()).or_insert(*load);
        }
        fan(world, &base, &first, &mut loads);
        // Of what gets no more, no more is known.
        loads.retain(|name, load| unmeasured.get(name) != Some(load));
    }
    loads
}

/// The load of now, beside what serves now: what was told of it may be of more instances.
fn present_load(world: &Snapshot, capacity: &Object<Capacity>) -> Option<f64> {
    let status = &capacity.status;
    let ready = world.get::<Deployment>(capacity.name()).map_or(0, |of| of.status.ready);
    let can = status.each.map_or(f64::INFINITY, |each| f64::from(ready) * each);
    Some(super::present(status.load?, status.load_now, can))
}

/// What one instance of a deployment carries, how that is known, and so much more is kept; none
/// where nobody says what its load is.
pub(crate) fn carries(world: &Snapshot, deployment: &str) -> Option<Carries> {
    let subject = Subject::of(world, deployment)?;
    let (status, spec) = (&subject.object.status, &subject.object.spec);
    let each = spec.each.or(status.each).unwrap_or(subject.declared.target);
    let known = if spec.each.is_some() { Known::Set } else { status.known };
    let (buffer, max) = (spec.buffer, subject.max);
    (each > 0.0).then_some(Carries { each, known, buffer, max })
}

/// See [`carries`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carries {
    /// The load of one instance.
    pub each: f64,
    /// How that is known.
    pub known: Known,
    /// So much more is kept, as a share.
    pub buffer: f64,
    /// The most instances it may have.
    pub max: u32,
}

impl Carries {
    /// So many instances a load takes, the buffer among them.
    pub fn takes(&self, load: f64) -> u32 {
        decide::whole(load / self.each * (1.0 + self.buffer))
    }
}

/// How many instances would find no room on open hosts, were so many more of each deployment
/// placed: on those there are, and beside them on `more`.
pub(crate) fn unplaced(world: &Snapshot, lacking: &[(String, u32)], more: &[Object<Host>]) -> u32 {
    let nothing = Ask::default();
    let there = world.all::<Host>().map(|host| Room::of(world, host, &nothing));
    let mut hosts: Vec<Room> = there.filter(|room| room.open).collect();
    hosts.extend(more.iter().map(|host| Room { open: true, ..Room::of(world, host, &nothing) }));
    let all = lacking.iter();
    let left = all.map(|(name, count)| count - place(world, name, *count, &mut hosts));
    left.fold(0, u32::saturating_add)
}

/// Whether anything that is meant takes its load from one of these that the business counts.
pub fn is_demanded(world: &Snapshot, of: Option<&str>, name: &str) -> bool {
    let demand = BTreeMap::from([(name.to_owned(), 1.0)]);
    let mut all =
        world.all::<Deployment>().filter(|deployment| is_meant(world, of, deployment.name()));
    all.any(|deployment| of_business(world, deployment.name(), &demand).is_some())
}

/// Whether a deployment is what is asked about: by its own name, or that of its application.
fn is_meant(world: &Snapshot, of: Option<&str>, name: &str) -> bool {
    let application = world.get::<Deployment>(name).map(|d| d.spec.application.as_str());
    of.is_none_or(|of| of == name || Some(of) == application)
}

/// The load that comes with what the business counts.
fn of_business(world: &Snapshot, name: &str, demand: &BTreeMap<String, f64>) -> Option<f64> {
    let ratios = &application(world, name)?.spec.scaling.as_ref()?.demand;
    let parts = demand.iter().filter_map(|(what, each)| Some(ratios.get(what)? * each));
    parts.reduce(|a, b| a + b)
}

/// What a host has room for.
struct Room<'a> {
    host: &'a Object<Host>,
    capacity: Amount,
    used: Amount,
    open: bool,
    lost: bool,
}

impl<'a> Room<'a> {
    fn of(world: &Snapshot, host: &'a Object<Host>, ask: &Ask) -> Room<'a> {
        let used = world.usage(host.name()).map(|usage| usage.amount).unwrap_or_default();
        Room {
            host,
            capacity: host.spec.usable(host.status.capacity),
            used,
            open: host.is_open(),
            lost: is_lost(host, ask),
        }
    }

    /// How many instances of that size find room.
    fn fits(&self, need: Resources) -> u32 {
        let times = |free: u64, each: u64| free.checked_div(each).unwrap_or(u64::MAX);
        let free = |of: u64, used: u64| of.saturating_sub(used);
        let cpu = times(free(self.capacity.cpu.0, self.used.cpu.0), need.cpu.0);
        let memory = times(free(self.capacity.memory.0, self.used.memory.0), need.memory.0);
        let count = match self.capacity.instances {
            0 => u64::MAX,
            most => u64::from(most.saturating_sub(self.used.instances)),
        };
        // Without any reservation a host is not filled without end.
        cpu.min(memory).min(count).min(1_000) as u32
    }

    fn take(&mut self, need: Resources, count: u32) {
        self.used.cpu = Cpu(self.used.cpu.0 + need.cpu.0 * u64::from(count));
        self.used.memory = Memory(self.used.memory.0 + need.memory.0 * u64::from(count));
        self.used.instances += count;
    }
}

fn is_lost(host: &Object<Host>, ask: &Ask) -> bool {
    match ask.without.as_deref().and_then(|lost| lost.split_once('/')) {
        Some(("zone", zone)) => host.zone() == zone,
        Some(("host", name)) => host.name() == name,
        _ => false,
    }
}

/// The hosts a deployment may be on, and the size of its instances.
fn wanted<'w>(world: &'w Snapshot, name: &str) -> Option<(&'w Object<Environment>, Resources)> {
    let deployment = world.get::<Deployment>(name)?;
    let environment = world.get::<Environment>(&deployment.spec.environment)?;
    Some((environment, application(world, name)?.spec.run.resources))
}

/// How many more instances find room, were it alone to grow.
fn room(world: &Snapshot, name: &str, hosts: &[Room]) -> u32 {
    let Some((environment, need)) = wanted(world, name) else { return 0 };
    let fits = |room: &&Room| environment.spec.hosts.matches(&room.host.meta.labels);
    let all = hosts.iter().filter(fits).map(|room| u64::from(room.fits(need))).sum::<u64>();
    u32::try_from(all).unwrap_or(u32::MAX)
}

/// Reserves room for as many of these instances as find it.
fn place(world: &Snapshot, name: &str, count: u32, hosts: &mut [Room]) -> u32 {
    let Some((environment, need)) = wanted(world, name) else { return 0 };
    let mut placed = 0;
    for room in hosts.iter_mut() {
        if placed == count {
            break;
        }
        if environment.spec.hosts.matches(&room.host.meta.labels) {
            let some = room.fits(need).min(count - placed);
            room.take(need, some);
            placed += some;
        }
    }
    placed
}

fn zones(hosts: &[Room]) -> Vec<ZoneRoom> {
    let mut zones: BTreeMap<&str, ZoneRoom> = BTreeMap::new();
    for room in hosts {
        let zone = zones.entry(room.host.zone()).or_insert_with(|| ZoneRoom {
            zone: room.host.zone().to_owned(),
            lost: true,
            ..ZoneRoom::default()
        });
        zone.lost &= room.lost;
        if room.lost {
            continue;
        }
        if !room.open {
            let silent = room.host.status.phase == HostPhase::Unknown;
            *if silent { &mut zone.silent } else { &mut zone.closed } += 1;
            continue;
        }
        zone.hosts += 1;
        for (of, with) in [(&mut zone.capacity, room.capacity), (&mut zone.used, room.used)] {
            of.cpu = Cpu(of.cpu.0 + with.cpu.0);
            of.memory = Memory(of.memory.0 + with.memory.0);
            of.instances += with.instances;
        }
    }
    zones.into_values().collect()
}

//! Where a new instance goes: an exact minimum over all hosts, found through the snapshot's index
//! of hosts by load instead of a scan. It never moves what is placed already.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::sync::Arc;

use atoll_model::cmdb::{Amount, HostPhase, Spread};
use atoll_model::delivery::Runtime;
use atoll_model::run::Resources;
use atoll_model::snapshot::{Load, Seat, Usage};
use atoll_model::{
    Application, Deployment, Environment, Host, Instance, Object, Release, Selector, Snapshot,
    Timestamp,
};

use crate::budget::dear::Dear;
use crate::checksum;

mod told;

pub(crate) use told::no_engine;
pub use told::unplaceable;

/// The ports the platform gives out.
pub const PORTS: std::ops::RangeInclusive<u16> = 20_000..=29_999;

/// What an instance needs of its host.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// What is reserved for it.
    pub resources: Resources,
    /// Its ports by name; 0 for any free one.
    pub ports: &'a BTreeMap<String, u16>,
    /// The hosts it may be on.
    pub hosts: &'a Selector,
    /// Of those, only these: where it is moved to.
    pub to: Option<&'a Selector>,
    /// Of those, none of these: it would cost more there than a budget leaves.
    pub dear: Option<&'a Dear>,
    /// Of those, none of these: what it is of does not come up there.
    pub misfits: Option<&'a BTreeMap<String, Timestamp>>,
    /// The failure domains to spread over, the first before the second.
    pub spread: &'a [Spread],
    /// How it runs: a container needs an engine.
    pub runtime: Runtime,
}

impl<'a> Need<'a> {
    /// What one more instance of a deployment needs, as it runs now; none before it runs anything.
    pub fn of(world: &'a Snapshot, deployment: &'a Object<Deployment>) -> Option<Need<'a>> {
        let (spec, status) = (&deployment.spec, &deployment.status);
        let release = world.get::<Release>(status.release.as_ref()?)?;
        let application = world.get::<Application>(&spec.application)?;
        let environment = world.get::<Environment>(&spec.environment)?;
        Some(Need {
            resources: release.spec.run.resources,
            ports: &release.spec.run.ports,
            hosts: &environment.spec.hosts,
            to: None,
            dear: None,
            misfits: Some(&status.misfits),
            spread: &application.spec.spread,
            runtime: environment.spec.runtime,
        })
    }
}

/// How good a host is for the next instance; the least is best.
///
/// The load is the one before placing, because that is the order of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score<'a> {
    /// Own instances in the domains to spread over, in the application's order.
    pub own: (u32, u32),
    /// How full the host is.
    pub load: Load,
    /// Breaks ties.
    pub name: &'a str,
}

impl<'a> Score<'a> {
    /// The score of a host with so many own instances on it and in its zone.
    pub fn of(spread: &[Spread], in_zone: u32, on_host: u32, load: Load, name: &'a str) -> Self {
        let mut own = spread.iter().map(|domain| match domain {
            Spread::Zone => in_zone,
            Spread::Host => on_host,
        });
        let own = (own.next().unwrap_or(0), own.next().unwrap_or(0));
        Score { own, load, name }
    }
}

/// A host found, and ports free on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host.
    pub host: String,
    /// The ports by name.
    pub ports: BTreeMap<String, u16>,
}

/// Places instances of one deployment one after another, each knowing of those before.
///
/// One placement costs the number of zones plus the hosts it has to skip, each of which is
/// skipped once in the placer's life.
pub struct Placer<'a> {
    world: &'a Snapshot,
    need: Need<'a>,
    zones: Vec<Zone<'a>>,
    /// By the address of the host's object in the snapshot, which is there for as long: a name
    /// would have to be fetched for every instance there is.
    taken: BTreeMap<*const Object<Host>, Room>,
}

struct Zone<'a> {
    own: u32,
    /// Hosts without an own instance, the emptiest first.
    fresh: Peekable<Box<dyn Iterator<Item = &'a (Load, String)> + 'a>>,
    /// Hosts with own instances: their number, if it counts, and the load they bring about.
    near: BTreeSet<(u32, Load, &'a str)>,
    /// Those of them that were not looked at yet: where instances are to be on different hosts, a
    /// fresh one is always better, so they are looked at only once there is none.
    later: Vec<&'a Arc<Object<Host>>>,
    /// The first of each is known to be good.
    is_skipped: bool,
}

/// What is taken of a host beyond the snapshot.
#[derive(Default)]
pub(crate) struct Room {
    own: u32,
    amount: Amount,
    ports: BTreeSet<u16>,
}

impl Room {
    /// Takes room for an instance whose ports are already chosen.
    ///
    /// # Errors
    /// What is in the way.
    pub fn take(
        &mut self,
        world: &Snapshot,
        host: &Object<Host>,
        instance: &Instance,
    ) -> Result<(), Exclusion> {
        let need = Need {
            resources: instance.resources,
            ports: &instance.ports,
            hosts: &Selector::default(),
            to: None,
            dear: None,
            misfits: None,
            spread: &[],
            runtime: instance.runtime,
        };
        let excluded = exclusion(host, world.usage(host.name()), &need, Some(self));
        self.add(instance.resources, &instance.ports);
        excluded.map_or(Ok(()), Err)
    }

    fn add(&mut self, resources: Resources, ports: &BTreeMap<String, u16>) {
        self.amount.cpu.0 += resources.cpu.0;
        self.amount.memory.0 += resources.memory.0;
        self.amount.instances += 1;
        self.ports.extend(ports.values());
    }
}

impl<'a> Placer<'a> {
    /// A placer for one need; `own` are the instances that count for spreading.
    pub fn new(
        world: &'a Snapshot,
        need: Need<'a>,
        own: impl Iterator<Item = &'a Seat>,
    ) -> Placer<'a> {
        let mut in_zones: BTreeMap<&str, u32> = BTreeMap::new();
        let mut taken: BTreeMap<*const Object<Host>, Room> = BTreeMap::new();
        let mut near: BTreeMap<&str, Vec<&'a Arc<Object<Host>>>> = BTreeMap::new();
        for seat in own {
            let Some(host) = &seat.host else { continue };
            *in_zones.entry(&seat.zone).or_default() += 1;
            let on_host = taken.entry(Arc::as_ptr(host)).or_default();
            on_host.own += 1;
            if on_host.own == 1 {
                near.entry(&seat.zone).or_default().push(host);
            }
        }
        let zones = world.open_hosts().map(|(zone, hosts)| {
            let fresh: Box<dyn Iterator<Item = &'a (Load, String)> + 'a> = Box::new(hosts.iter());
            Zone {
                own: in_zones.get(zone.as_str()).copied().unwrap_or(0),
                fresh: fresh.peekable(),
                near: BTreeSet::new(),
                later: near.remove(zone.as_str()).unwrap_or_default(),
                is_skipped: false,
            }
        });
        let zones = zones.collect();
        Placer { world, need, zones, taken }
    }

    /// Finds the best host for one more instance and takes its room. `seed` spreads the search
    /// for free ports, so that one just given back is not given out at once.
    pub fn place(&mut self, seed: u64) -> Option<Place> {
        loop {
            let (zone, name, is_fresh) = self.best()?;
            let host = self.world.host(name)?;
            let ports = self.pick_ports(host, seed);
            self.take(zone, name, is_fresh, host, ports.as_ref());
            if let Some(ports) = ports {
                return Some(Place { host: name.to_owned(), ports });
            }
        }
    }

    fn best(&mut self) -> Option<(usize, &'a str, bool)> {
        let mut best: Option<(Score<'a>, usize, bool)> = None;
        for at in 0..self.zones.len() {
            self.skip(at);
            let zone = &mut self.zones[at];
            let spread = self.need.spread;
            let fresh = zone
                .fresh
                .peek()
                .map(|(load, name)| (Score::of(spread, zone.own, 0, *load, name), at, true));
            let near = zone.near.first().map(|(own, load, name)| {
                (Score::of(spread, zone.own, *own, *load, name), at, false)
            });
            for found in fresh.into_iter().chain(near) {
                if best.as_ref().is_none_or(|best| found.0 < best.0) {
                    best = Some(found);
                }
            }
        }
        best.map(|(score, at, is_fresh)| (at, score.name, is_fresh))
    }

    /// Drops hosts from the front of a zone that nothing more can be placed on. Room is only
    /// ever taken, so a host dropped once is never looked at again.
    fn skip(&mut self, at: usize) {
        let (world, need, taken, zone) = (self.world, &self.need, &self.taken, &mut self.zones[at]);
        if std::mem::replace(&mut zone.is_skipped, true) {
            return;
        }
        let good = |name: &str, is_fresh: bool| {
            world.host(name).is_some_and(|host| {
                let more = taken.get(&Arc::as_ptr(host));
                let may = !is_fresh || more.is_none();
                may && exclusion(host, world.usage(name), need, more).is_none()
            })
        };
        while let Some((_, name)) = zone.fresh.peek() {
            if good(name, true) {
                break;
            }
            zone.fresh.next();
        }
        let by_host = need.spread.contains(&Spread::Host);
        if !by_host || zone.fresh.peek().is_none() {
            zone.near.extend(zone.later.drain(..).filter(|host| host.is_open()).map(|host| {
                let own = if by_host { taken[&Arc::as_ptr(host)].own } else { 0 };
                (own, load_of(world, host, &Amount::default()), host.name())
            }));
        }
        while let Some((_, _, name)) = zone.near.first() {
            if good(name, false) {
                break;
            }
            zone.near.pop_first();
        }
    }

    fn take(
        &mut self,
        zone: usize,
        name: &'a str,
        is_fresh: bool,
        host: &Arc<Object<Host>>,
        ports: Option<&BTreeMap<String, u16>>,
    ) {
        let zone = &mut self.zones[zone];
        zone.is_skipped = false;
        if is_fresh {
            zone.fresh.next();
        } else {
            zone.near.pop_first();
        }
        let taken = self.taken.entry(Arc::as_ptr(host)).or_default();
        let Some(ports) = ports else { return };
        taken.own += 1;
        taken.add(self.need.resources, ports);
        zone.own += 1;
        let own = if self.need.spread.contains(&Spread::Host) { taken.own } else { 0 };
        zone.near.insert((own, load_of(self.world, host, &taken.amount), name));
    }

    fn pick_ports(&self, host: &Arc<Object<Host>>, seed: u64) -> Option<BTreeMap<String, u16>> {
        let usage = self.world.usage(host.name());
        let more = self.taken.get(&Arc::as_ptr(host));
        let mut given: BTreeMap<String, u16> = BTreeMap::new();
        let width = u64::from(PORTS.end() - PORTS.start()) + 1;
        // Two servers that have one machine as a host do not know of each other's instances: when
        // it joined each of them lets them search from different ports.
        let joined = host.meta.created_at.map_or(0, |at| at.0);
        for (name, wanted) in self.need.ports {
            let port = if *wanted != 0 {
                *wanted
            } else {
                let start =
                    checksum([name.as_bytes(), &seed.to_le_bytes(), &joined.to_le_bytes()]) % width;
                (0..width).map(|step| PORTS.start() + ((start + step) % width) as u16).find(
                    |port| is_free(*port, host, usage, more) && !given.values().any(|p| p == port),
                )?
            };
            given.insert(name.clone(), port);
        }
        Some(given)
    }
}

/// Places many instances of one deployment at once, until one finds no host.
pub fn place_all<'a>(
    world: &'a Snapshot,
    need: Need<'a>,
    own: impl Iterator<Item = &'a Seat>,
    seeds: impl Iterator<Item = u64>,
) -> Vec<Place> {
    let mut placer = Placer::new(world, need, own);
    seeds.map_while(|seed| placer.place(seed)).collect()
}

/// How full a host would be with so much more.
pub(crate) fn load_of(world: &Snapshot, host: &Object<Host>, more: &Amount) -> Load {
    let mut used = world.usage(host.name()).map(|usage| usage.amount).unwrap_or_default();
    used.cpu.0 += more.cpu.0;
    used.memory.0 += more.memory.0;
    used.instances += more.instances;
    Load::of(used, host.spec.usable(host.status.capacity))
}

fn is_free(port: u16, host: &Object<Host>, usage: Option<&Usage>, more: Option<&Room>) -> bool {
    !usage.is_some_and(|usage| usage.ports.contains(&port))
        && !more.is_some_and(|more| more.ports.contains(&port))
        && !host.status.taken_ports.contains(&port)
}

/// Why nothing can be placed on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusion {
    /// The environment's selector leaves it out.
    NotSelected,
    /// It is not among those a migration moves to.
    NotMeant,
    /// It costs more there than a budget leaves.
    Dear,
    /// What it is of does not come up there.
    Misfit,
    /// It is not heard from.
    Unknown,
    /// It is being emptied, or deleted.
    Draining,
    /// It is closed.
    Cordoned,
    /// No container engine answers there.
    Engine,
    /// Its processors are given away.
    Cpu,
    /// Its memory is given away.
    Memory,
    /// It has as many instances as it may.
    Instances,
    /// A port that is asked for is taken.
    Port,
}

fn exclusion(
    host: &Object<Host>,
    usage: Option<&Usage>,
    need: &Need,
    more: Option<&Room>,
) -> Option<Exclusion> {
    let may = |hosts: &Selector| hosts.matches(&host.meta.labels);
    if !may(need.hosts) {
        return Some(Exclusion::NotSelected);
    }
    if !need.to.is_none_or(may) {
        return Some(Exclusion::NotMeant);
    }
    if need.dear.is_some_and(|dear| dear.hosts.contains(host.name())) {
        return Some(Exclusion::Dear);
    }
    if need.misfits.is_some_and(|misfits| misfits.contains_key(host.name())) {
        return Some(Exclusion::Misfit);
    }
    if host.status.phase == HostPhase::Unknown {
        return Some(Exclusion::Unknown);
    }
    if host.spec.drain || host.meta.deleting() || host.status.phase == HostPhase::Draining {
        return Some(Exclusion::Draining);
    }
    if !host.is_open() {
        return Some(Exclusion::Cordoned);
    }
    if need.runtime == Runtime::Docker && host.status.agent.engine.is_empty() {
        return Some(Exclusion::Engine);
    }
    let usable = host.spec.usable(host.status.capacity);
    let used = usage.map(|usage| usage.amount).unwrap_or_default();
    let more_used = more.map(|more| more.amount).unwrap_or_default();
    if used.cpu.0 + more_used.cpu.0 + need.resources.cpu.0 > usable.cpu.0 {
        return Some(Exclusion::Cpu);
    }
    if used.memory.0 + more_used.memory.0 + need.resources.memory.0 > usable.memory.0 {
        return Some(Exclusion::Memory);
    }
    let count = used.instances + more_used.instances;
    if usable.instances != 0 && count >= usable.instances {
        return Some(Exclusion::Instances);
    }
    let taken = |port: &u16| *port != 0 && !is_free(*port, host, usage, more);
    need.ports.values().any(taken).then_some(Exclusion::Port)
}

/// Whether an instance of this need could be placed on the host, as the world is.
pub fn fits(world: &Snapshot, host: &Object<Host>, need: &Need) -> Result<(), Exclusion> {
    exclusion(host, world.usage(host.name()), need, None).map_or(Ok(()), Err)
}

/// How many hosts there are, and how many are left out for each cause. Looks at every host.
pub fn exclusions(world: &Snapshot, need: &Need) -> (u32, BTreeMap<Exclusion, u32>) {
    let (mut all, mut causes) = (0, BTreeMap::new());
    for host in world.all::<Host>() {
        all += 1;
        if let Err(cause) = fits(world, host, need) {
            *causes.entry(cause).or_default() += 1;
        }
    }
    (all, causes)
}

#[cfg(test)]
mod tests {
    use atoll_model::{Any, Cpu, Memory};

    use super::*;
    use crate::sim::Random;

    fn random_world(random: &mut Random) -> Snapshot {
        let mut world = Snapshot::default();
        let zones = 1 + random.below(4);
        for n in 0..1 + random.below(12) {
            let mut host = Object::new(format!("h{n}"), Host::default());
            host.meta.labels.insert("zone".to_owned(), format!("z{}", random.below(zones)));
            host.meta.labels.insert("disk".to_owned(), format!("d{}", random.below(2)));
            host.status.phase = HostPhase::Ready;
            host.spec.cordon = random.per_mille(100);
            host.spec.drain = random.per_mille(100);
            host.status.capacity = Amount {
                cpu: Cpu(500 * (1 + random.below(6))),
                memory: Memory(1 << 30),
                instances: random.below(3) as u32 * 3,
            };
            if random.per_mille(200) {
                host.status.taken_ports.insert(8080);
            }
            world.put(Any::Host(Arc::new(host)));
        }
        for n in 0..random.below(20) {
            let host = format!("h{}", random.below(12));
            let ports = random.per_mille(300).then(|| ("http".to_owned(), 8080));
            put(&mut world, "other.prod", n as u32, &host, ports.into_iter().collect());
        }
        world
    }

    fn put(
        world: &mut Snapshot,
        deployment: &str,
        ordinal: u32,
        host: &str,
        ports: BTreeMap<String, u16>,
    ) {
        let spec = Instance {
            deployment: deployment.to_owned(),
            ordinal,
            release: "r-1".to_owned(),
            host: host.to_owned(),
            ports,
            resources: Resources { cpu: Cpu(250), memory: Memory(100 << 20) },
            prefetch: None,
            runtime: Runtime::Process,
            replaces: None,
        };
        let name = format!("{deployment}.{ordinal}");
        world.put(Any::Instance(Arc::new(Object::new(name, spec))));
    }

    /// The best host, by looking at every one.
    fn by_scan<'a>(world: &'a Snapshot, need: &Need) -> Option<Score<'a>> {
        let own = |is: &dyn Fn(&Object<Host>) -> bool| {
            let all = world.derived::<Instance>("web.prod");
            all.filter(|i| world.get::<Host>(&i.spec.host).is_some_and(|host| is(host))).count()
        };
        let hosts = world.all::<Host>().filter(|host| fits(world, host, need).is_ok());
        let scores = hosts.map(|host| {
            let in_zone = own(&|other| other.zone() == host.zone()) as u32;
            let on_host = own(&|other| other.name() == host.name()) as u32;
            let load = load_of(world, host, &Amount::default());
            Score::of(need.spread, in_zone, on_host, load, host.name())
        });
        scores.min()
    }

    #[test]
    fn the_indexed_choice_is_the_least_score_of_all_hosts() {
        for seed in 0..400 {
            let mut random = Random::new(seed);
            let world = random_world(&mut random);
            let spreads: [&[Spread]; 5] = [
                &[Spread::Zone, Spread::Host],
                &[Spread::Host, Spread::Zone],
                &[Spread::Zone],
                &[Spread::Host],
                &[],
            ];
            let fixed = u16::from(random.per_mille(500)) * 8080;
            let ports = [("http".to_owned(), fixed)].into();
            let selector = if random.per_mille(300) { "disk=d1" } else { "" };
            let hosts = selector.parse().unwrap();
            let need = Need {
                resources: Resources { cpu: Cpu(250), memory: Memory(100 << 20) },
                ports: &ports,
                hosts: &hosts,
                to: None,
                dear: None,
                misfits: None,
                spread: spreads[random.below(5) as usize],
                runtime: Runtime::Process,
            };
            // What the placer keeps in its head, the other learns from a world that follows.
            let mut follows = world.clone();
            for ordinal in 0..random.below(4) as u32 {
                let host = format!("h{}", random.below(12));
                put(&mut follows, "web.prod", ordinal, &host, BTreeMap::new());
            }
            let begun = follows.clone();
            let mut placer = Placer::new(&begun, need, begun.seats("web.prod"));
            for ordinal in 100..110 {
                let expected = by_scan(&follows, &need).map(|score| score.name.to_owned());
                let place = placer.place(seed + u64::from(ordinal));
                assert_eq!(place.as_ref().map(|p| p.host.clone()), expected, "seed {seed}");
                let Some(place) = place else { break };
                let host = follows.get::<Host>(&place.host).unwrap();
                let free = |p: &u16| is_free(*p, host, follows.usage(&place.host), None);
                assert!(place.ports.values().all(free), "seed {seed}: {place:?}");
                put(&mut follows, "web.prod", ordinal, &place.host, place.ports.clone());
            }
        }
    }

    #[test]
    fn why_an_engine_does_not_answer_is_told() {
        let mut host = Object::new("h0", Host::default());
        host.status.phase = HostPhase::Ready;
        host.status.agent.no_engine = "docker at /there does not answer".to_owned();
        let world = crate::testing::world([Any::Host(Arc::new(host))]);
        let need = Need {
            resources: Resources { cpu: Cpu(0), memory: Memory(0) },
            ports: &BTreeMap::new(),
            hosts: &Selector::default(),
            to: None,
            dear: None,
            misfits: None,
            spread: &[],
            runtime: Runtime::Docker,
        };
        let told = unplaceable(&world, &need, 1).message;
        assert!(told.ends_with("that answers (h0: docker at /there does not answer)"), "{told}");
    }

    #[test]
    fn every_host_left_out_is_counted_once() {
        for seed in 0..100 {
            let world = random_world(&mut Random::new(seed));
            let (ports, hosts) = (BTreeMap::new(), Selector::default());
            let runtime = Runtime::Docker;
            let resources = Resources { cpu: Cpu(1000), memory: Memory(1) };
            let need = Need {
                resources,
                ports: &ports,
                hosts: &hosts,
                to: None,
                dear: None,
                misfits: None,
                spread: &[],
                runtime,
            };
            let (all, causes) = exclusions(&world, &need);
            let good = world.all::<Host>().filter(|h| fits(&world, h, &need).is_ok()).count();
            assert_eq!(all, causes.values().sum::<u32>() + good as u32);
        }
    }
}

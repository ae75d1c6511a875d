//! What the instances of a deployment are meant to cost: those there are, on the hosts they are on;
//! those to come, on the hosts they would be placed on, or where none has room for them, on hosts
//! that pools make for it. So nothing is promised by the price of cheap hosts that goes to dear
//! ones, or to those that are paid in another currency.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::budget::Money;
use atoll_model::cmdb::Amount;
use atoll_model::run::{Resources, Run};
use atoll_model::{
    Any, Application, Deployment, Environment, Host, Instance, Object, Pool, Release, Snapshot,
};

use super::book::Book;
use super::cost::Tariff;
use super::scope::{Meant, parts};
use crate::placement::{self, Need, Placer};
use crate::pool;

/// The prices that are missing, by the names of their fields; none, where there is no host that
/// could have any.
pub type Missing = Vec<&'static str>;

/// The prices of a deployment's instances in one currency, one after another. On a host that is
/// paid in another currency an instance costs nothing in this one, so that what it costs in each is
/// together what it costs.
pub struct Prices<'a> {
    world: &'a Snapshot,
    book: &'a Book<'a>,
    each: Resources,
    place: Option<&'a Arc<Object<Environment>>>,
    /// The mean of those hosts that have a price.
    usual: Money,
    /// So many there are, and what they cost together.
    there: (u32, Money),
    deployment: &'a str,
    /// Where the next would be placed; made once one is asked for.
    placer: Option<Placer<'a>>,
    /// What the first to come costs, the first two, and so on, as far as they were placed.
    placed: Vec<Money>,
    /// What one costs that finds no room, once one did not.
    made: Option<Money>,
}

impl<'a> Prices<'a> {
    /// The prices of a deployment whose instances ask for so much.
    ///
    /// # Errors
    /// The missing prices: none of the hosts it is on or may use has one.
    pub fn of(
        world: &'a Snapshot,
        book: &'a Book<'a>,
        deployment: &'a str,
        each: Resources,
    ) -> Result<Prices<'a>, Missing> {
        let place = world.get::<Environment>(parts(deployment).1);
        let own = world.derived::<Instance>(deployment).filter(|i| !i.meta.deleting());
        let hosts = own.filter_map(|instance| world.get::<Host>(&instance.spec.host));
        let shares: Vec<_> = hosts.map(|host| share(world, book, host, each)).collect();
        let usual = mean(shares.iter().cloned()).or_else(|missing| {
            let selector = &place.ok_or(missing)?.spec.hosts;
            let open = world.all::<Host>().filter(|host| {
                host.status.capacity.cpu.0 > 0 && selector.matches(&host.meta.labels)
            });
            mean(open.map(|host| share(world, book, host, each)))
        })?;
        let sum = shares.iter().map(|share| share.as_ref().map_or(usual, |share| *share)).sum();
        Ok(Prices {
            world,
            book,
            each,
            place,
            usual,
            there: (shares.len() as u32, sum),
            deployment,
            placer: None,
            placed: Vec::new(),
            made: None,
        })
    }

    /// What so many instances cost together an hour. Of those there are, where it is fewer, their
    /// part, rounded up: what is promised to be enough is.
    pub fn cost(&mut self, instances: u32) -> Money {
        let (there, sum) = self.there;
        if instances <= there {
            let (sum, there) = (i128::from(sum.0), i128::from(there.max(1)));
            let part = (sum * i128::from(instances) + there - 1) / there;
            return Money(i64::try_from(part).unwrap_or(i64::MAX));
        }
        let to_come = (instances - there) as usize;
        while self.made.is_none() && self.placed.len() < to_come {
            match self.next_placed() {
                Some(one) => {
                    let before = self.placed.last().copied().unwrap_or_default();
                    self.placed.push(before + one);
                }
                None => self.made = Some(self.made()),
            }
        }
        let placed = to_come.min(self.placed.len());
        let first = placed.checked_sub(1).map_or(Money(0), |last| self.placed[last]);
        let rest = self.made.unwrap_or_default().times((to_come - placed) as u64);
        sum + first + rest
    }

    /// The most instances, up to so many, that cost no more beyond `instances` than is left.
    pub fn within(&mut self, left: Money, instances: u32, up_to: u32) -> u32 {
        let base = self.cost(instances);
        let end = up_to.max(instances).saturating_add(1);
        // In steps that double, for what is dear is soon too much, and no more is placed than that.
        let (mut most, mut beyond, mut step) = (instances, end, 1_u32);
        while beyond - most > 1 {
            let middle = match beyond < end {
                true => most + (beyond - most) / 2,
                false => most.saturating_add(step).min(end - 1),
            };
            step = step.saturating_mul(2);
            match self.cost(middle) - base <= left {
                true => most = middle,
                false => beyond = middle,
            }
        }
        most
    }

    fn next_placed(&mut self) -> Option<Money> {
        let seed = self.placed.len() as u64;
        if self.placer.is_none() {
            let need = need(self.world, self.deployment, self.each)?;
            let placer = Placer::new(self.world, need, self.world.seats(self.deployment));
            self.placer = Some(placer);
        }
        let found = self.placer.as_mut()?.place(seed)?;
        let host = self.world.get::<Host>(&found.host)?;
        Some(share(self.world, self.book, host, self.each).unwrap_or(self.usual))
    }

    /// What one costs that no host has room for: as on the dearest hosts of the pools that would
    /// make one for it; if none would by itself, of those somebody could let make one; where there
    /// are none of these either, what is usual.
    fn made(&self) -> Money {
        let Some(place) = self.place else { return self.usual };
        let of = |which: &dyn Fn(&Object<Pool>) -> bool| {
            let pools = self.world.all::<Pool>().filter(|pool| pool::is_for(pool, place));
            pools.filter(|pool| which(pool)).filter_map(|pool| self.on_hosts_of(pool)).max()
        };
        of(&pool::can_grow).or_else(|| of(&|pool| !pool.meta.deleting())).unwrap_or(self.usual)
    }

    fn on_hosts_of(&self, pool: &Object<Pool>) -> Option<Money> {
        let hosts = pool.status.machines.keys().filter_map(|key| self.world.get::<Host>(key));
        let known = hosts.filter(|host| host.status.capacity.cpu.0 > 0);
        let dearest = known.filter_map(|host| share(self.world, self.book, host, self.each).ok());
        dearest.max().or_else(|| {
            let mut like = Object::new("", Host::default());
            like.meta.labels = pool.spec.labels_of_hosts(pool.name());
            let seen = pool.status.advice.as_ref().and_then(|advice| advice.host);
            // Parts cost the same whatever the size of the host they are of.
            let sized = self.book.rates(&like).host.is_none();
            let Resources { cpu, memory } = self.each;
            let own = sized.then_some(Amount { cpu, memory, instances: 0 });
            like.status.capacity = seen.or(own)?;
            share(self.world, self.book, &like, self.each).ok()
        })
    }
}

/// The world once instances that are to come of these deployments are placed, one deployment after
/// another: what one takes of the cheap hosts, the next does not find there.
pub fn filled(world: &Snapshot, deployments: &BTreeSet<String>) -> Snapshot {
    let mut filled = world.clone();
    for name in deployments {
        let Some(meant) = Meant::of(world, name) else { continue };
        let there: BTreeSet<u32> = world.seats(name).map(|seat| seat.ordinal).collect();
        let own = world.derived::<Instance>(name).filter(|i| !i.meta.deleting()).count();
        let to_come = (meant.instances as usize).saturating_sub(own);
        let Some(need) = need(world, name, meant.each).filter(|_| to_come > 0) else { continue };
        let seeds = (0..to_come).map(|seed| seed as u64);
        let places = placement::place_all(&filled, need, filled.seats(name), seeds);
        let ordinals = (0..).filter(|ordinal| !there.contains(ordinal));
        for (place, ordinal) in places.into_iter().zip(ordinals) {
            let instance = Instance {
                deployment: name.clone(),
                ordinal,
                release: String::new(),
                host: place.host,
                ports: place.ports,
                resources: meant.each,
                prefetch: None,
                runtime: need.runtime,
                replaces: None,
            };
            let object = Object::new(format!("{name}.{ordinal}"), instance);
            filled.put(Any::Instance(Arc::new(object)));
        }
    }
    filled
}

/// What an instance costs on a host.
fn share(
    world: &Snapshot,
    book: &Book,
    host: &Object<Host>,
    each: Resources,
) -> Result<Money, Missing> {
    match Tariff::of(world, book, host) {
        Ok(tariff) => Ok(tariff.share(each)),
        Err(_) if book.paid_elsewhere(host).is_some() => Ok(Money(0)),
        Err(missing) => Err(missing),
    }
}

/// The mean of those that are known, rounded up.
fn mean(shares: impl Iterator<Item = Result<Money, Missing>>) -> Result<Money, Missing> {
    let (mut sum, mut count, mut missing) = (0_i128, 0_i128, BTreeSet::new());
    for share in shares {
        match share {
            Ok(share) => (sum, count) = (sum + i128::from(share.0), count + 1),
            Err(fields) => missing.extend(fields),
        }
    }
    if count == 0 {
        return Err(missing.into_iter().collect());
    }
    Ok(Money(i64::try_from((sum + count - 1) / count).unwrap_or(i64::MAX)))
}

/// What an instance of a deployment needs of its host, also before there is any.
pub(crate) fn need<'a>(world: &'a Snapshot, deployment: &str, each: Resources) -> Option<Need<'a>> {
    let (application, environment) = parts(deployment);
    let application = world.get::<Application>(application)?;
    let place = world.get::<Environment>(environment)?;
    let there = world.get::<Deployment>(deployment);
    let named = there.and_then(|d| d.spec.release.as_ref().or(d.status.release.as_ref()));
    let release = named.and_then(|name| world.get::<Release>(name));
    let run: &Run = release.map_or(&application.spec.run, |release| &release.spec.run);
    Some(Need {
        resources: each,
        ports: &run.ports,
        hosts: &place.spec.hosts,
        to: None,
        spread: &application.spec.spread,
        runtime: place.spec.runtime,
    })
}

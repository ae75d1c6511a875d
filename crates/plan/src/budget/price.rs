//! What the instances of a deployment are meant to cost: those that stay, on the hosts they are on;
//! those to come, in the place of what is moved too, on the hosts they would be placed on, or where
//! none has room for them, on hosts that pools make for it. So nothing is promised by the price of
//! cheap hosts that goes to dear ones, or to those that are paid in another currency. What is on a
//! host without a price is counted as nothing, as it is where it is spent.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::budget::Money;
use atoll_model::cmdb::Amount;
use atoll_model::run::Resources;
use atoll_model::{Environment, Host, Object, Pool, Snapshot};

use super::book::Book;
use super::cost::Tariff;
use super::fill::need;
use super::scope::{parts, staying};
use crate::placement::Placer;
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
    /// The mean of those hosts that have a price: what costs as much that no host has room for, and
    /// no pool would make one.
    usual: Money,
    /// What those that stay cost, the dearest first: the first, the first two, and so on.
    there: Vec<Money>,
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
        let own = staying(world, deployment).into_iter();
        let hosts = own.filter_map(|instance| world.get::<Host>(&instance.spec.host));
        let shares: Vec<_> = hosts.map(|host| share(world, book, host, each)).collect();
        let usual = mean(shares.iter().cloned()).or_else(|missing| {
            let selector = &place.ok_or(missing)?.spec.hosts;
            let open = world.all::<Host>().filter(|host| {
                host.status.capacity.cpu.0 > 0 && selector.matches(&host.meta.labels)
            });
            let open = mean(open.map(|host| share(world, book, host, each)));
            open.or_else(|missing| by_pools(world, book, place, each).ok_or(missing))
        })?;
        let mut there: Vec<Money> = shares.into_iter().map(Result::unwrap_or_default).collect();
        there.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum = Money(0);
        there.iter_mut().for_each(|one| {
            sum = sum + *one;
            *one = sum;
        });
        Ok(Prices {
            world,
            book,
            each,
            place,
            usual,
            there,
            deployment,
            placer: None,
            placed: Vec::new(),
            made: None,
        })
    }

    /// What so many instances cost together an hour. Of those there are, where it is fewer, their
    /// part, rounded up.
    pub fn cost(&mut self, instances: u32) -> Money {
        let there = self.there.len();
        if (instances as usize) < there {
            let sum = self.there.last().copied().unwrap_or_default();
            let (sum, there) = (i128::from(sum.0), there as i128);
            let part = (sum * i128::from(instances) + there - 1) / there;
            return Money(i64::try_from(part).unwrap_or(i64::MAX));
        }
        self.at_most(instances)
    }

    /// What so many instances cost together an hour at most: whichever go, the dearest may stay.
    pub fn at_most(&mut self, instances: u32) -> Money {
        let stay = (instances as usize).min(self.there.len());
        let sum = stay.checked_sub(1).map_or(Money(0), |last| self.there[last]);
        let to_come = (instances as usize).saturating_sub(self.there.len());
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
        let base = self.at_most(instances);
        let end = up_to.max(instances).saturating_add(1);
        // In steps that double, for what is dear is soon too much, and no more is placed than that.
        let (mut most, mut beyond, mut step) = (instances, end, 1_u32);
        while beyond - most > 1 {
            let middle = match beyond < end {
                true => most + (beyond - most) / 2,
                false => most.saturating_add(step).min(end - 1),
            };
            step = step.saturating_mul(2);
            match self.at_most(middle) - base <= left {
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
        Some(share(self.world, self.book, host, self.each).unwrap_or_default())
    }

    /// What one costs that no host has room for.
    fn made(&self) -> Money {
        by_pools(self.world, self.book, self.place, self.each).unwrap_or(self.usual)
    }
}

/// What an instance costs on the dearest hosts of the pools that would make one; if none would
/// by itself, of those somebody could let make one.
fn by_pools(
    world: &Snapshot,
    book: &Book,
    place: Option<&Arc<Object<Environment>>>,
    each: Resources,
) -> Option<Money> {
    let place = place?;
    let of = |which: &dyn Fn(&Object<Pool>) -> bool| {
        let pools = world.all::<Pool>().filter(|pool| pool::is_for(pool, place) && which(pool));
        pools.filter_map(|pool| on_hosts_of(world, book, pool, each)).max()
    };
    of(&pool::can_grow).or_else(|| of(&|pool| !pool.meta.deleting()))
}

/// The same on the hosts of one pool. Before there was one, it is taken to be as large as the
/// smallest of the others: what an instance takes of a price for a whole host, nobody knows.
fn on_hosts_of(
    world: &Snapshot,
    book: &Book,
    pool: &Object<Pool>,
    each: Resources,
) -> Option<Money> {
    let hosts = pool.status.machines.keys().filter_map(|key| world.get::<Host>(key));
    let known = hosts.filter(|host| host.status.capacity.cpu.0 > 0);
    let dearest = known.filter_map(|host| share(world, book, host, each).ok());
    dearest.max().or_else(|| {
        let mut like = pool::next_host(world, pool);
        let seen = Some(like.status.capacity).filter(|size| size.cpu.0 > 0);
        let sizes = || world.all::<Host>().map(|host| host.status.capacity);
        let smallest =
            || sizes().filter(|size| size.cpu.0 > 0).min_by_key(|size| (size.cpu, size.memory));
        let own = Amount { cpu: each.cpu, memory: each.memory, instances: 0 };
        like.status.capacity = seen.or_else(smallest).unwrap_or(own);
        share(world, book, &like, each).ok()
    })
}

/// What an instance costs on a host.
///
/// # Errors
/// The missing prices.
pub(super) fn share(
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

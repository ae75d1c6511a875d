//! The price book, read: which prices hold for a host at a time. Not what comes of them, which is
//! in `cost.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::budget::Money;
use atoll_model::budget::price::Price;
use atoll_model::{Host, Object, Snapshot, Timestamp};

/// The prices of one currency that hold at one time, those of the narrowest selectors first.
pub struct Book<'a> {
    prices: Vec<&'a Arc<Object<Price>>>,
    /// The prices of other currencies that hold.
    others: Vec<&'a Arc<Object<Price>>>,
}

/// What the parts of one host cost an hour, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// The whole host.
    pub host: Option<Money>,
    /// A core.
    pub cpu: Option<Money>,
    /// A GiB of memory.
    pub memory: Option<Money>,
    /// A GiB of disk.
    pub disk: Option<Money>,
}

impl<'a> Book<'a> {
    /// The prices of a currency at a time.
    pub fn of(world: &'a Snapshot, currency: &str, at: Timestamp) -> Book<'a> {
        let holding = world.all::<Price>().filter(|price| price.spec.holds(at));
        let (mut prices, others): (Vec<_>, Vec<_>) =
            holding.partition(|price| price.spec.currency == currency);
        // Stable, so that of two with as many terms the first by name comes first.
        prices.sort_by_key(|price| std::cmp::Reverse(price.spec.hosts.0.len()));
        Book { prices, others }
    }

    /// What holds for a host: each price from the narrowest selector that gives it.
    pub fn rates(&self, host: &Object<Host>) -> Rates {
        Rates::of(self.prices.iter().copied(), host)
    }

    /// The currency a host is paid in, if that is another: the one that has a price for it and by
    /// the narrower selector. What is on it costs nothing here. Where two currencies price it by
    /// selectors that are as narrow, it is the same bill told twice.
    pub fn paid_elsewhere(&self, host: &Object<Host>) -> Option<&'a str> {
        if self.others.is_empty() {
            return None;
        }
        let own = narrowest(self.prices.iter().copied(), host);
        let other = |currency: &&'a str| {
            let of_it = self.others.iter().filter(|price| price.spec.currency == *currency);
            narrowest(of_it.copied(), host) > own
        };
        self.others.iter().map(|price| price.spec.currency.as_str()).find(other)
    }
}

impl Rates {
    fn of<'a>(prices: impl Iterator<Item = &'a Arc<Object<Price>>>, host: &Object<Host>) -> Rates {
        let mut rates = Rates::default();
        for price in prices.filter(|price| price.spec.hosts.matches(&host.meta.labels)) {
            let spec = &price.spec;
            rates.host = rates.host.or(spec.host_hour);
            rates.cpu = rates.cpu.or(spec.cpu_hour);
            rates.memory = rates.memory.or(spec.memory_hour);
            rates.disk = rates.disk.or(spec.disk_hour);
        }
        rates
    }

    /// What is missing to say what a host costs, by the names of the fields.
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = [("cpuHour", self.cpu), ("memoryGiBHour", self.memory)];
        let missing = parts.into_iter().filter(|(_, price)| price.is_none());
        match self.host {
            Some(_) => Vec::new(),
            None => missing.map(|(field, _)| field).collect(),
        }
    }
}

/// How many terms the narrowest selector of these prices has that is of a host; none, where they do
/// not say what it costs.
fn narrowest<'a>(
    prices: impl Iterator<Item = &'a Arc<Object<Price>>>,
    host: &Object<Host>,
) -> Option<usize> {
    let own = prices.filter(|price| price.spec.hosts.matches(&host.meta.labels));
    let own: Vec<_> = own.collect();
    let whole = Rates::of(own.iter().copied(), host).missing().is_empty();
    own.iter().map(|price| price.spec.hosts.0.len()).max().filter(|_| whole)
}

/// The currencies there are prices of at a time.
pub fn currencies(world: &Snapshot, at: Timestamp) -> BTreeSet<&str> {
    let holding = world.all::<Price>().filter(|price| price.spec.holds(at));
    holding.map(|price| price.spec.currency.as_str()).collect()
}

/// The currency of the price that is of the most: the one with the widest selector; of several, the
/// currency with more prices, and of these the first by name. Hosts that come and go change nothing
/// of it.
pub fn usual(world: &Snapshot, at: Timestamp) -> Option<&str> {
    let of = |currency: &str| {
        let holding = world.all::<Price>().filter(move |price| price.spec.holds(at));
        let own = holding.filter(|price| price.spec.currency == currency);
        let terms: Vec<usize> = own.map(|price| price.spec.hosts.0.len()).collect();
        (terms.iter().min().copied(), std::cmp::Reverse(terms.len()))
    };
    currencies(world, at).into_iter().min_by_key(|currency| of(currency))
}

/// The times after one and up to another at which prices of a currency change.
pub fn changes(
    world: &Snapshot,
    currency: &str,
    after: Timestamp,
    to: Timestamp,
) -> BTreeSet<Timestamp> {
    let of_it = world.all::<Price>().filter(|price| price.spec.currency == currency);
    let bounds = of_it.flat_map(|price| [Some(price.spec.from), price.spec.until]);
    bounds.flatten().filter(|at| *at > after && *at <= to).collect()
}

//! What a host costs an hour, and what of that is whose. Pure arithmetic in whole millionths.
//!
//! A host costs what its price says, or what its parts do. What is on it takes its share of that in
//! proportion to what it asked for, cpu and memory weighed by their prices, so a sum of shares
//! never disagrees with the bill. The rest is idle, to the last millionth.
//!
//! The split follows OpenCost's specification (asset cost = allocated + idle); what is shared is
//! what the machine keeps for itself, disks, and work of runs and jobs.

use atoll_model::budget::Money;
use atoll_model::cmdb::Amount;
use atoll_model::cmdb::facts::FactsData;
use atoll_model::deployment::InstancePhase;
use atoll_model::run::Resources;
use atoll_model::{Facts, Host, Instance, Object, Snapshot};

use super::book::{Book, Rates};

/// Bytes of a GiB.
const GIB: u128 = 1 << 30;
/// Thousandths of a core.
const CORE: u128 = 1_000;

/// What one host costs, and by what shares of it are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// The host, an hour.
    pub total: Money,
    /// Of it, disks.
    pub disk: Money,
    /// How much a thousandth of a core weighs, and a byte.
    weights: (u128, u128),
    /// What everything that may be taken weighs.
    whole: u128,
}

/// What of a host is whose, an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// What each instance takes, by its name.
    pub instances: Vec<(String, Money)>,
    /// What the machine keeps for itself, disks, and tasks.
    pub shared: Money,
    /// What nobody takes.
    pub idle: Money,
}

impl Split {
    /// What all its instances take.
    pub fn used(&self) -> Money {
        self.instances.iter().map(|(_, cost)| *cost).sum()
    }
}

impl Tariff {
    /// What a host costs, or the fields of the prices that are missing.
    ///
    /// # Errors
    /// The missing fields; none of them, where it is paid in another currency.
    pub fn of(
        world: &Snapshot,
        book: &Book,
        host: &Object<Host>,
    ) -> Result<Tariff, Vec<&'static str>> {
        let rates = book.rates(host);
        let missing = rates.missing();
        if !missing.is_empty() || book.paid_elsewhere(host).is_some() {
            return Err(missing);
        }
        let capacity = host.status.capacity;
        let disk = disk_cost(world, host.name(), &rates);
        let weights = weights(&rates, capacity);
        let (cpu, memory) = weights;
        let weigh = |amount: (u64, u64)| {
            cpu.saturating_mul(amount.0.into())
                .saturating_add(memory.saturating_mul(amount.1.into()))
        };
        let room = weigh((capacity.cpu.0, capacity.memory.0));
        let reserve = host.spec.reserve.map_or((0, 0), plain);
        let taken = world
            .usage(host.name())
            .map_or((0, 0), |usage| (usage.amount.cpu.0, usage.amount.memory.0));
        // A host that shrank may have given out more than it has; then they share what there is.
        let given = weigh((taken.0.saturating_add(reserve.0), taken.1.saturating_add(reserve.1)));
        let total = match rates.host {
            Some(price) => price,
            None => Money(whole_part(room, CORE * GIB)) + disk,
        };
        let disk = if rates.host.is_some() { Money(0) } else { disk };
        Ok(Tariff { total, disk, weights, whole: room.max(given) })
    }

    /// What something that asked for so much takes of the host, rounded down.
    pub fn share(&self, resources: Resources) -> Money {
        let (cpu, memory) = plain(resources);
        let weight = self
            .weights
            .0
            .saturating_mul(cpu.into())
            .saturating_add(self.weights.1.saturating_mul(memory.into()));
        let of = (self.total - self.disk).0.max(0).unsigned_abs();
        Money(part_of(of, weight, self.whole))
    }
}

/// Whether somebody pays for an instance: not while its host is not heard from. It is replaced, and
/// what the host goes on costing is idle.
pub fn is_charged(instance: &Object<Instance>) -> bool {
    instance.status.phase != InstancePhase::Unknown
}

/// Splits what a host costs.
///
/// **Invariant:** what is used, shared and idle is together what the host costs, and none of it is
/// less than nothing.
pub fn split(world: &Snapshot, host: &Object<Host>, tariff: &Tariff) -> Split {
    let on = world.instances_on(host.name()).filter(|instance| is_charged(instance));
    let instances: Vec<(String, Money)> =
        on.map(|i| (i.meta.name.clone(), tariff.share(i.spec.resources))).collect();
    let tasks: Money =
        world.tasks_on(host.name()).map(|task| tariff.share(task.spec.work.reserves())).sum();
    let reserve = host.spec.reserve.map_or(Money(0), |reserve| tariff.share(reserve));
    let shared = tasks + reserve + tariff.disk;
    let mut split = Split { instances, shared, idle: Money(0) };
    split.idle = tariff.total - split.used() - shared;
    split
}

/// How much a thousandth of a core weighs, and a byte: by their prices, where there are some; if
/// not, all cpu of a host as much as all its memory.
fn weights(rates: &Rates, capacity: Amount) -> (u128, u128) {
    let price = |price: Option<Money>| price.map_or(0, |price| price.0.max(0).unsigned_abs());
    let (cpu, memory) = (price(rates.cpu), price(rates.memory));
    match (cpu, memory) {
        (0, 0) => (capacity.memory.0.max(1).into(), capacity.cpu.0.max(1).into()),
        _ => (u128::from(cpu) * GIB, u128::from(memory) * CORE),
    }
}

fn plain(resources: Resources) -> (u64, u64) {
    (resources.cpu.0, resources.memory.0)
}

/// What the disks of a host cost an hour, as far as its facts tell.
fn disk_cost(world: &Snapshot, host: &str, rates: &Rates) -> Money {
    let facts = world.get::<Facts>(&format!("{host}.storage"));
    let data = facts.and_then(|facts| facts.status.data.as_ref());
    let (Some(price), Some(FactsData::Storage(storage))) = (rates.disk, data) else {
        return Money(0);
    };
    let bytes: u128 = storage.disks.iter().map(|disk| u128::from(disk.size.0)).sum();
    Money(whole_part(bytes.saturating_mul(u128::from(price.0.max(0).unsigned_abs())), GIB))
}

fn whole_part(of: u128, by: u128) -> i64 {
    i64::try_from(of / by).unwrap_or(i64::MAX)
}

/// `of` × `part` ÷ `whole`, rounded down; nothing of a whole that is nothing.
///
/// What is left of 2^127 above an amount is far more than any fleet weighs; a weight that would not
/// fit is scaled down with its whole.
fn part_of(of: u64, part: u128, whole: u128) -> i64 {
    let (mut part, mut whole) = (part.min(whole), whole);
    if whole == 0 {
        return 0;
    }
    while part.checked_mul(u128::from(of)).is_none() {
        part >>= 1;
        whole >>= 1;
    }
    whole_part(u128::from(of) * part, whole.max(1))
}

/// Shares an amount among parts in proportion to what they weigh, exactly: by whole millionths,
/// those left over going one each to the largest remainders (Hamilton's method). Nothing is shared
/// where nobody weighs anything.
pub fn apportion(amount: Money, weights: &[u64]) -> Vec<Money> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let amount = u128::from(amount.0.max(0).unsigned_abs());
    if sum == 0 {
        return vec![Money(0); weights.len()];
    }
    let exact = weights.iter().map(|weight| u128::from(*weight) * amount);
    let mut parts: Vec<(u128, u128)> = exact.map(|exact| (exact / sum, exact % sum)).collect();
    let left = amount - parts.iter().map(|(whole, _)| whole).sum::<u128>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(parts[*at].1), *at));
    for at in order.into_iter().take(left as usize) {
        parts[at].0 += 1;
    }
    parts.into_iter().map(|(whole, _)| Money(i64::try_from(whole).unwrap_or(i64::MAX))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::{Any, Cpu, Memory, Price, Timestamp};

    use super::*;
    use crate::testing;

    fn world(price: &str, reserve: Option<Resources>, on: &[(u64, u64)]) -> Snapshot {
        let Any::Host(host) = testing::host("h1") else { panic!("no host") };
        let mut host = Object::clone(&host);
        host.status.capacity = Amount { cpu: Cpu(4000), memory: Memory(8 << 30), instances: 0 };
        host.spec.reserve = reserve;
        let price: Price = serde_json::from_str(price).unwrap();
        let mut world = testing::world([
            Any::Host(Arc::new(host)),
            Any::Price(Arc::new(Object::new("list", price))),
        ]);
        for (i, (cpu, memory)) in on.iter().enumerate() {
            let Any::Instance(instance) = testing::instance(&format!("web.prod.{i}"), "h1") else {
                panic!("no instance")
            };
            let mut instance = Object::clone(&instance);
            instance.spec.resources = Resources { cpu: Cpu(*cpu), memory: Memory(*memory << 20) };
            world.put(Any::Instance(Arc::new(instance)));
        }
        world
    }

    fn parts(world: &Snapshot) -> (i64, Vec<i64>, i64, i64) {
        let book = Book::of(world, "EUR", Timestamp(1));
        let host = world.get::<Host>("h1").unwrap();
        let tariff = Tariff::of(world, &book, host).unwrap();
        let split = split(world, host, &tariff);
        let each = split.instances.iter().map(|(_, cost)| cost.0).collect();
        (tariff.total.0, each, split.shared.0, split.idle.0)
    }

    const PARTS: &str = r#"{"from":"1970-01-01T00:00:00Z","currency":"EUR",
        "cpuHour":"0.02","memoryGiBHour":"0.0025"}"#;

    #[test]
    fn without_a_price_of_its_own_a_host_costs_what_its_parts_do() {
        let reserve = Resources { cpu: Cpu(500), memory: Memory(1 << 30) };
        let world = world(PARTS, Some(reserve), &[(1000, 1024), (500, 512)]);
        assert_eq!(parts(&world), (100_000, vec![22_500, 11_250], 12_500, 53_750));
    }

    #[test]
    fn with_one_they_share_it_in_the_same_proportion() {
        let price = PARTS.replace("\"cpuHour", "\"hostHour\":\"0.30\",\"cpuHour");
        let world = world(&price, None, &[(1000, 1024), (500, 512)]);
        assert_eq!(parts(&world), (300_000, vec![67_500, 33_750], 0, 198_750));
    }

    #[test]
    fn with_nothing_else_cpu_and_memory_weigh_the_same() {
        let price = r#"{"from":"1970-01-01T00:00:00Z","currency":"EUR","hostHour":"1"}"#;
        let world = world(price, None, &[(4000, 0), (0, 4096)]);
        assert_eq!(parts(&world), (1_000_000, vec![500_000, 250_000], 0, 250_000));
    }

    #[test]
    fn a_host_that_gave_out_more_than_it_has_is_not_paid_twice() {
        let world = world(PARTS, None, &[(4000, 8192), (4000, 8192)]);
        assert_eq!(parts(&world), (100_000, vec![50_000, 50_000], 0, 0));
    }

    #[test]
    fn what_is_missing_is_named() {
        let price = r#"{"from":"1970-01-01T00:00:00Z","currency":"EUR","cpuHour":1}"#;
        let world = world(price, None, &[]);
        let (book, host) = (Book::of(&world, "EUR", Timestamp(1)), world.get::<Host>("h1"));
        let tariff = Tariff::of(&world, &book, host.unwrap());
        assert_eq!(tariff, Err(vec!["memoryGiBHour"]));
    }

    #[test]
    fn shares_are_exact() {
        assert_eq!(apportion(Money(10), &[1, 1, 1]), [Money(4), Money(3), Money(3)]);
        assert_eq!(apportion(Money(7), &[0, 0]), [Money(0), Money(0)]);
        assert_eq!(apportion(Money(1), &[1, 9]), [Money(0), Money(1)]);
    }
}

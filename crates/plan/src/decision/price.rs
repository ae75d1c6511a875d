//! What a change of the price book leaves without a price, or with two. It refuses nothing: prices
//! end.

use std::sync::Arc;

use atoll_model::{Any, Host, Kind, Object, Price, Reason, Snapshot, Span, Timestamp, Write, many};

use super::Case;
use crate::budget::book::{self, Book};

/// Notes hosts that had a price and will have none from when a price ends, or is gone.
pub(super) fn ended(case: &Case) -> Option<Reason> {
    let (before, now) = (case.cx.world, case.cx.now);
    let prices = case.plan.writes.iter().filter(|write| write.kind() == Kind::Price);
    let ends = prices.filter_map(|write| match write {
        Write::Put(Any::Price(new)) if !new.meta.deleting() => new.spec.until,
        _ => Some(now),
    });
    let first = ends.map(|at| at.max(now)).min()?;
    let after = case.after();
    // At the very time one ends it holds no more.
    let was = (first - Span::seconds(1)).max(now);
    let without =
        |host: &&Arc<Object<Host>>| is_priced(before, was, host) && !is_priced(&after, first, host);
    let mut lost = before.all::<Host>().filter(without);
    let host = lost.next()?;
    let message = match lost.count() + 1 {
        1 => format!("from {first} on host/{} has no price: what is on it", host.name()),
        hosts => format!(
            "from {first} on {} have no price, host/{} among them: what is on them",
            many(hosts, "host"),
            host.name()
        ),
    };
    let message = format!("{message} is not counted, and no budget holds it");
    let hint = "apply the price that comes after it, together with this or before it ends";
    Some(Reason::new("price-missing", message).hint(hint))
}

/// Notes that a price leaves hosts without others that say what they cost: such a price alone
/// prices nothing.
pub(super) fn partial(now: Timestamp, world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Price(new) = any else { return None };
    let book = Book::of(world, &new.spec.currency, new.spec.from.max(now));
    let lacks = |host: &Object<Host>| match book.paid_elsewhere(host) {
        Some(_) => Vec::new(),
        None => book.rates(host).missing(),
    };
    let of_it = world.all::<Host>().filter(|host| new.spec.hosts.matches(&host.meta.labels));
    let mut without = of_it.filter(|host| !lacks(host).is_empty());
    let first = without.next()?;
    let (name, hosts) = (new.name(), many(without.count() + 1, "host"));
    let missing = lacks(first).join(" and no ");
    let message = format!(
        "with price/{name} there is still no {missing} for {hosts}, host/{} among them: what is \
         there is not counted",
        first.name()
    );
    let hint = "a host costs its hostHour, or its cpuHour and memoryGiBHour together";
    Some(Reason::new("price-missing", message).hint(hint))
}

/// Notes that two prices of one currency are of one host by selectors that are as narrow: which of
/// them counts nobody has said.
pub(super) fn alike(now: Timestamp, world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Price(new) = any else { return None };
    let parts = |price: &Price| {
        [price.host_hour, price.cpu_hour, price.memory_hour, price.disk_hour].map(|p| p.is_some())
    };
    let both_give = |other: &Price| {
        parts(other).into_iter().zip(parts(&new.spec)).any(|(other, new)| other && new)
    };
    let as_narrow = |other: &&Arc<Object<Price>>| {
        let spec = &other.spec;
        other.name() != new.name()
            && spec.currency == new.spec.currency
            && spec.hosts.0.len() == new.spec.hosts.0.len()
            && spec.holds(now.max(new.spec.from))
            && new.spec.holds(now.max(new.spec.from))
            && both_give(spec)
    };
    let mut others = world.all::<Price>().filter(as_narrow);
    let (other, host) =
        others.find_map(|other| Some((other, of_both(world, &other.spec, &new.spec)?)))?;
    let first = other.name().min(new.name());
    let message = format!(
        "host/{} is priced by price/{} too, whose selector is as narrow: that of price/{first} \
         counts, the first by name",
        host.name(),
        other.name()
    );
    let hint = "give the one that is to count a narrower selector, or the other an until";
    Some(Reason::new("priced-twice", message).hint(hint))
}

/// A host that two prices are of.
pub(super) fn of_both<'a>(
    world: &'a Snapshot,
    one: &Price,
    other: &Price,
) -> Option<&'a Arc<Object<Host>>> {
    world.all::<Host>().find(|host| {
        let labels = &host.meta.labels;
        one.hosts.matches(labels) && other.hosts.matches(labels)
    })
}

/// Whether a host has a price in any currency at a time.
fn is_priced(world: &Snapshot, at: Timestamp, host: &Object<Host>) -> bool {
    let currencies = book::currencies(world, at);
    currencies.iter().any(|c| Book::of(world, c, at).rates(host).missing().is_empty())
}

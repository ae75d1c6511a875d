//! What a change of the price book leaves without a price. It refuses nothing: prices end.

use std::sync::Arc;

use atoll_model::{Any, Host, Kind, Object, Reason, Snapshot, Span, Timestamp, Write, many};

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

/// Whether a host has a price in any currency at a time.
fn is_priced(world: &Snapshot, at: Timestamp, host: &Object<Host>) -> bool {
    let currencies = book::currencies(world, at);
    currencies.iter().any(|c| Book::of(world, c, at).rates(host).missing().is_empty())
}

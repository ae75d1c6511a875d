//! On which hosts what replaces an instance would cost more than budgets leave. A rollout changes
//! no number, so no gate asks for its cost: it goes where that does not become too much, or where
//! the old one is. What is missing, or spread over zones anew, is a repair and made anywhere.

use std::collections::BTreeSet;

use atoll_model::budget::{Exceed, Money};
use atoll_model::run::Resources;
use atoll_model::{Environment, Host, Instance, Selector, Snapshot, Timestamp};

use super::book::Book;
use super::bound::{allowed_rate, is_approved};
use super::price::share;
use super::scope;

/// Hosts that are too dear for what replaces an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dear {
    /// Their names.
    pub hosts: BTreeSet<String>,
    /// The first budget that leaves no more.
    pub budget: String,
}

/// What of a deployment is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Some, and it may be the cheapest.
    Some,
    /// All of them.
    All,
}

/// The hosts a deployment may use on which one of `count` new instances, in the place of others,
/// would cost more than a budget leaves for its month that refuses, or that nobody was asked about;
/// none where there are none.
pub fn too_dear(
    world: &Snapshot,
    now: Timestamp,
    deployment: &str,
    each: Resources,
    (count, replaced): (u32, Replaced),
) -> Option<Dear> {
    let place = world.get::<Environment>(scope::parts(deployment).1)?;
    let mut dear: Option<Dear> = None;
    for budget in scope::budgets_of(world, deployment) {
        let Some(limit) = &budget.spec.month else { continue };
        let warns = budget.spec.exceed == Exceed::Warn;
        if warns || budget.meta.deleting() || is_approved(world, budget, now) {
            continue;
        }
        let book = Book::of(world, &limit.currency, now);
        let Some(base) = base(world, &book, deployment, each, replaced) else { continue };
        let left = allowed_rate(budget, now) - scope::meant_rate(world, &book, &budget.spec);
        let most = base + Money(left.0.max(0) / i64::from(count.max(1)));
        let hosts = beyond(world, &book, &place.spec.hosts, each, most);
        if !hosts.is_empty() {
            let first = || Dear { hosts: BTreeSet::new(), budget: budget.name().to_owned() };
            dear.get_or_insert_with(first).hosts.extend(hosts);
        }
    }
    dear
}

/// What one of those costs that are replaced; none where there is none.
fn base(
    world: &Snapshot,
    book: &Book,
    deployment: &str,
    each: Resources,
    replaced: Replaced,
) -> Option<Money> {
    let own = world.derived::<Instance>(deployment).filter(|i| !i.meta.deleting());
    let hosts = own.filter_map(|instance| world.get::<Host>(&instance.spec.host));
    let costs: Vec<Money> =
        hosts.map(|host| share(world, book, host, each).unwrap_or_default()).collect();
    let mean = || {
        let sum: Money = costs.iter().copied().sum();
        Money(sum.0 / i64::try_from(costs.len()).unwrap_or(i64::MAX).max(1))
    };
    let least = costs.iter().copied().min()?;
    Some(if replaced == Replaced::All { mean() } else { least })
}

/// The hosts on which one costs more.
fn beyond(
    world: &Snapshot,
    book: &Book,
    may: &Selector,
    each: Resources,
    most: Money,
) -> BTreeSet<String> {
    let open = world.all::<Host>().filter(|h| h.is_open() && may.matches(&h.meta.labels));
    let dear = open.filter(|host| share(world, book, host, each).unwrap_or_default() > most);
    dear.map(|host| host.name().to_owned()).collect()
}

//! What a peak costs more than usual, by the prices of its time, and whether the budgets that pay
//! for it hold. What a budget that does not means is the gate's to say.

use std::collections::BTreeMap;

use atoll_model::budget::month::Month;
use atoll_model::budget::{Exceed, Money, Quota, worth};
use atoll_model::peak::{PeakApplication, PeakBudget, PeakCost, PeakStatus, Times};
use atoll_model::{Budget, Object, Peak, Reason, Span};

use crate::Context;
use crate::budget::book::{self, Book};
use crate::budget::bound;
use crate::budget::price::Prices;
use crate::budget::scope::{self, Meant};
use crate::capacity::ask::carries;

/// How long all of it is paid for: from when instances are made until half of it is given back.
fn lasts(times: &Times) -> Span {
    Span(times.ends.since(times.scale).0 + times.back.since(times.ends).0 / 2)
}

/// What it costs in each currency that there are prices in.
pub(super) fn cost(cx: &Context, rows: &[PeakApplication], times: &Times) -> Vec<PeakCost> {
    let each = book::currencies(cx.world, times.starts).into_iter();
    each.map(|currency| {
        let book = Book::of(cx.world, currency, times.starts);
        let mut cost = PeakCost { currency: currency.to_owned(), ..PeakCost::default() };
        for row in rows {
            match rate(cx, &book, row) {
                Some(rate) => cost.rate = cost.rate + rate,
                None => cost.unpriced.push(row.deployment.clone()),
            }
        }
        cost.total = worth(cost.rate, lasts(times), 0).0;
        cost
    })
    .collect()
}

/// What one application costs an hour more than usual; nothing where it has no price.
fn rate(cx: &Context, book: &Book, row: &PeakApplication) -> Option<Money> {
    let usual = row.usual.zip(carries(cx.world, &row.deployment));
    let usual = usual.map_or(0, |(usual, carries)| carries.takes(usual));
    let needed = row.needed.unwrap_or(0);
    if needed <= usual {
        return Some(Money(0));
    }
    let each = Meant::of(cx.world, &row.deployment)?.each;
    let mut prices = Prices::of(cx.world, book, &row.deployment, each).ok()?;
    Some(prices.cost(needed) - prices.cost(usual))
}

/// What the budgets say that pay for it.
pub(super) fn budgets(cx: &Context, status: &PeakStatus, times: &Times) -> Vec<PeakBudget> {
    // What was granted is in what is forecast of the month already, or has been judged.
    let granted = |row: &PeakApplication| status.granted.get(&row.deployment).copied();
    let asks = |row: &PeakApplication| row.needed.unwrap_or(0) > granted(row).unwrap_or(0);
    let mut of: BTreeMap<&str, (&Object<Budget>, Vec<&PeakApplication>)> = BTreeMap::new();
    for row in &status.applications {
        for budget in scope::budgets_of(cx.world, &row.deployment) {
            let rows = of.entry(budget.name()).or_insert_with(|| (budget, Vec::new()));
            rows.1.extend(Some(row).filter(|row| asks(row)));
        }
    }
    let each = of.into_values();
    each.map(|(budget, rows)| {
        let (month, cost) = month(cx, budget, &rows, times);
        let quota = budget.spec.resources.as_ref().filter(|_| !rows.is_empty());
        let ceiling = quota.and_then(|quota| ceiling(cx, budget, quota, &rows));
        let broken: Vec<String> = [month, ceiling].into_iter().flatten().collect();
        PeakBudget {
            budget: budget.meta.name.clone(),
            broken: (!broken.is_empty()).then(|| broken.join("; ")),
            cost,
        }
    })
    .collect()
}

/// Whether a budget that was made or edited since a peak was let through does not let it have that:
/// none of those it was asked of then would be asked again, so it is asked of these alone.
pub(super) fn is_refused_since(cx: &Context, peak: &Object<Peak>, status: &PeakStatus) -> bool {
    let mut asked = status.clone();
    for row in &mut asked.applications {
        let granted = status.granted.get(&row.deployment).copied().unwrap_or(0);
        row.needed = row.needed.map(|needed| needed.min(granted));
    }
    asked.granted.clear();
    asked.budgets = budgets(cx, &asked, &status.times);
    asked.budgets.retain(|one| !was_asked(cx, status, &one.budget));
    !objections(cx, peak, &asked).is_empty()
}

/// Whether a budget, as it is now, was asked of what was let through.
pub(super) fn was_asked(cx: &Context, status: &PeakStatus, budget: &str) -> bool {
    let generation = cx.world.get::<Budget>(budget).map(|budget| budget.meta.generation);
    generation.is_some() && status.asked.get(budget).copied() == generation
}

/// The budgets that pay for it, as they are now.
pub(super) fn as_asked(cx: &Context, status: &PeakStatus) -> BTreeMap<String, u64> {
    let budgets = status.budgets.iter().filter_map(|one| cx.world.get::<Budget>(&one.budget));
    budgets.map(|budget| (budget.meta.name.clone(), budget.meta.generation)).collect()
}

/// How the month it begins in would be broken, and what it costs of that.
fn month(
    cx: &Context,
    budget: &Object<Budget>,
    rows: &[&PeakApplication],
    times: &Times,
) -> (Option<String>, Money) {
    let Some(limit) = &budget.spec.month else { return (None, Money(0)) };
    let book = Book::of(cx.world, &limit.currency, times.starts);
    let rate: Money = rows.iter().filter_map(|row| rate(cx, &book, row)).sum();
    let cost = worth(rate, lasts(times), 0).0;
    let usual = scope::meant_rate(cx.world, &book, &budget.spec);
    let month = Month::of(times.starts);
    let without = match month == Month::of(cx.now) {
        true => bound::forecast(budget, usual, cx.now),
        false => worth(usual, month.ends.since(month.begins), 0).0,
    };
    let ends = without + cost;
    let over = cost > Money(0) && ends > limit.limit;
    let told = || {
        let (most, currency) = (limit.limit.rounded(), &limit.currency);
        format!("{} would end at {} of {most} {currency}", month.name, ends.rounded())
    };
    (over.then(told), cost)
}

/// How the most it may take at once would be broken.
fn ceiling(
    cx: &Context,
    budget: &Object<Budget>,
    quota: &Quota,
    rows: &[&PeakApplication],
) -> Option<String> {
    let mut take = scope::wanted(cx.world, &budget.spec);
    for row in rows {
        let Some(meant) = Meant::of(cx.world, &row.deployment) else { continue };
        let more = u64::from(row.needed.unwrap_or(0).saturating_sub(meant.instances));
        take.cpu.0 = take.cpu.0.saturating_add(meant.each.cpu.0.saturating_mul(more));
        take.memory.0 = take.memory.0.saturating_add(meant.each.memory.0.saturating_mul(more));
    }
    let cpu = quota.cpu.ceiling.filter(|most| take.cpu > *most);
    let memory = quota.memory.ceiling.filter(|most| take.memory > *most);
    let cpu = cpu.map(|most| format!("it would take {} cpu of {most}", take.cpu));
    let memory = memory.map(|most| format!("it would take {} memory of {most}", take.memory));
    let said: Vec<String> = [cpu, memory].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Why budgets do not let a peak have what it takes.
pub(crate) fn objections(cx: &Context, peak: &Object<Peak>, status: &PeakStatus) -> Vec<Reason> {
    let broken = status.budgets.iter().filter_map(|one| Some((one, one.broken.as_ref()?)));
    broken
        .filter_map(|(one, how)| {
            let budget = cx.world.get::<Budget>(&one.budget)?;
            let (id, name) = (format!("peak/{}", peak.name()), budget.name());
            let message = format!("budget/{name} would be broken by {id}: {how}");
            let hint = match budget.spec.exceed {
                Exceed::Warn => return None,
                Exceed::Approve if bound::is_approved(cx.world, budget, cx.now) => return None,
                Exceed::Approve => format!("have it approved: atoll approve budget/{name}"),
                Exceed::Refuse => bound::ways(name),
            };
            Some(Reason::new("budget", message).hint(hint))
        })
        .collect()
}

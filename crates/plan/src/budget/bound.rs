//! How many instances budgets leave a deployment that grows by itself. It takes nothing away but
//! what was lent and is wanted back.

use atoll_model::budget::month::Month;
use atoll_model::budget::{Budget, Exceed, HOUR, Money, Take, worth};
use atoll_model::{Approval, Deployment, Kind, Object, Reason, Snapshot, Span, Timestamp};

use super::book::Book;
use super::pool;
use super::price::Prices;
use super::scope::{self, Meant};
use crate::{Context, peak};

/// The end of a month, in which the next one counts too.
const LAST: Span = Span::seconds(24 * 3600);

/// The most instances, and which budget says so.
pub struct Bound {
    /// So many.
    pub most: u32,
    /// Why.
    pub reason: Reason,
}

/// The most instances a deployment may have by the budgets it is under, where that is fewer than so
/// many; none where they leave it free.
pub fn bound(cx: &Context, deployment: &Object<Deployment>, up_to: u32) -> Option<Bound> {
    let name = deployment.name();
    let binding = scope::budgets_of(cx.world, name).filter(|budget| {
        !budget.meta.deleting()
            && budget.spec.exceed != Exceed::Warn
            && !is_approved(cx.world, budget, cx.now)
    });
    let bounds = binding.flat_map(|budget| {
        let meant = Meant::of(cx.world, name);
        let of =
            |meant: Meant| [by_money(cx, budget, name, meant, up_to), by_share(cx, budget, meant)];
        meant.map(of).into_iter().flatten().flatten()
    });
    bounds.filter(|bound| bound.most < up_to).min_by_key(|bound| bound.most)
}

/// As many as the money left for the month pays for until its end. What there is stays.
fn by_money(
    cx: &Context,
    budget: &Object<Budget>,
    name: &str,
    meant: Meant,
    up_to: u32,
) -> Option<Bound> {
    let limit = budget.spec.month.as_ref()?;
    let book = Book::of(cx.world, &limit.currency, cx.now);
    let mut prices = Prices::of(cx.world, &book, name, meant.each).ok()?;
    let left = allowed_rate(budget, cx.now) - scope::meant_rate(cx.world, &book, &budget.spec);
    let most = prices.within(Money(left.0.max(0)), meant.instances, up_to);
    let (currency, budget) = (&limit.currency, budget.name());
    let months = if counts_next(cx.now) { "this month and the next" } else { "this month" };
    let message = format!(
        "budget/{budget} leaves {name} {} for {months}: {} {currency} in all",
        crate::instances(most as usize),
        limit.limit.rounded()
    );
    Some(Bound { most, reason: Reason::new("budget", message).hint(ways(budget)) })
}

/// What may be spent an hour from now on for the month to end within its limit. On its last day it
/// is no more than the next month bears: what is left of a month buys no rate that cannot go on.
pub fn allowed_rate(budget: &Object<Budget>, now: Timestamp) -> Money {
    let Some(limit) = &budget.spec.month else { return Money(i64::MAX) };
    let month = Month::of(now);
    let rest = month.ends.since(now);
    let rate = an_hour(limit.limit - spent(budget, now), rest);
    if !counts_next(now) {
        return rate;
    }
    let next = Month::of(month.ends);
    rate.min(an_hour(limit.limit, next.ends.since(next.begins)))
}

/// Whether it is so late in a month that the next one counts too.
pub fn counts_next(now: Timestamp) -> bool {
    Month::of(now).ends.since(now) <= LAST
}

/// What an amount comes to an hour, spread evenly over a span.
fn an_hour(amount: Money, span: Span) -> Money {
    let rate = i128::from(amount.0.max(0)) * i128::from(HOUR) / i128::from(span.0.max(1));
    Money(i64::try_from(rate).unwrap_or(i64::MAX))
}

/// What was spent this month until now, as far as it was counted.
pub fn spent(budget: &Object<Budget>, now: Timestamp) -> Money {
    let month = Month::of(now).name;
    let spend = budget.status.spend.as_ref().filter(|spend| spend.month == month);
    spend.map_or(Money(0), |spend| spend.spent_at(now))
}

/// Where the month ends if what a budget is of costs so much from now on.
pub fn forecast(budget: &Object<Budget>, rate: Money, now: Timestamp) -> Money {
    let rest = Month::of(now).ends.since(now);
    spent(budget, now) + worth(rate, rest, 0).0
}

/// What the month after that of a time would cost at a rate.
pub fn next_month(rate: Money, now: Timestamp) -> Money {
    let next = Month::of(Month::of(now).ends);
    worth(rate, next.ends.since(next.begins), 0).0
}

/// As many as there is room for within its share; fewer than there are, where others want back
/// what it has of theirs. Of what goes, each deployment gives its part. What is only beyond its own
/// ceiling stays.
fn by_share(cx: &Context, budget: &Object<Budget>, meant: Meant) -> Option<Bound> {
    let share = pool::share(cx.world, budget)?;
    let left = pool::left_by_others(cx.world, budget)?;
    let of = |pick: fn(&Take) -> u64, each: u64| -> Option<u32> {
        let (wanted, may) = (pick(&share.wanted), pick(&share.may));
        let each = Some(each).filter(|each| *each > 0)?;
        if wanted <= may {
            let more = u32::try_from((may - wanted) / each).unwrap_or(u32::MAX);
            return Some(meant.instances.saturating_add(more));
        }
        let theirs = wanted.saturating_sub(pick(&left));
        let beyond = u128::from(theirs) * u128::from(meant.instances);
        let fewer = beyond.div_ceil(u128::from(wanted.max(1)));
        Some(meant.instances.saturating_sub(u32::try_from(fewer).unwrap_or(u32::MAX)))
    };
    let cpu = of(|take| take.cpu.0, meant.each.cpu.0);
    let memory = of(|take| take.memory.0, meant.each.memory.0);
    let most = cpu.into_iter().chain(memory).min()?;
    let (may, wanted) = (share.may, share.wanted);
    let why = match scope::is_beyond_ceiling(&budget.spec, &share) {
        true => {
            format!("{} cpu and {} memory are taken, beyond its ceiling", wanted.cpu, wanted.memory)
        }
        false => format!("{} cpu and {} memory may be had of it now", may.cpu, may.memory),
    };
    let name = budget.name();
    let message = format!("budget/{name} leaves it {}: {why}", crate::instances(most as usize));
    Some(Bound { most, reason: Reason::new("budget", message).hint(ways(name)) })
}

/// What can be done about a budget.
pub fn ways(budget: &str) -> String {
    format!("see atoll why budget/{budget}; whoever answers for it may raise it")
}

/// Whether somebody let a budget be broken this month.
pub fn is_approved(world: &Snapshot, budget: &Object<Budget>, now: Timestamp) -> bool {
    budget.spec.exceed == Exceed::Approve && !approvers(world, budget.name(), now).is_empty()
}

/// Who approved this month that a budget is broken.
pub fn approvers<'a>(world: &'a Snapshot, budget: &'a str, now: Timestamp) -> Vec<&'a str> {
    let valid = approvals(world, budget).filter(|approval| is_of_month(approval, now));
    valid.map(|approval| approval.spec.by.as_str()).collect()
}

/// The approvals of a budget.
pub fn approvals<'a>(
    world: &'a Snapshot,
    budget: &'a str,
) -> impl Iterator<Item = &'a std::sync::Arc<Object<Approval>>> {
    let of_it = move |approval: &&std::sync::Arc<Object<Approval>>| {
        approval.spec.subject.strip_prefix("budget/") == Some(budget)
    };
    world.derived::<Approval>(budget).filter(of_it)
}

/// Whether an approval was given in the month of a time.
pub fn is_of_month(approval: &Object<Approval>, now: Timestamp) -> bool {
    approval.meta.created_at.is_some_and(|at| at >= Month::of(now).begins)
}

/// The budget's own number for a deployment that is to have so many: what there is may stay, or
/// what was lent is given back.
pub fn bounded(cx: &Context, deployment: &Object<Deployment>, instances: u32) -> u32 {
    if cx.world.count(Kind::Budget) == 0 || instances <= deployment.wanted() {
        return instances;
    }
    match bound(cx, deployment, instances) {
        Some(bound) => {
            // What a peak takes, the gate has asked budgets for already.
            let peak = peak::kept(cx.world, deployment.name()).map_or(0, |(keep, _)| keep);
            instances.min(bound.most.max(deployment.wanted()).max(peak))
        }
        None => instances,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_month_buys_no_rate_the_next_cannot_bear() {
        let budget: Budget =
            serde_json::from_str(r#"{"team":"trade","month":{"limit":744,"currency":"EUR"}}"#)
                .unwrap();
        let budget = Object::new("trade", budget);
        let allowed = |at: &str| allowed_rate(&budget, at.parse().unwrap());
        // Nothing is spent: November's 720 hours have more an hour than December's 744.
        assert_eq!(allowed("2026-11-01T00:00:00Z"), Money(1_033_333));
        assert_eq!(allowed("2026-11-29T00:00:00Z"), Money(15_500_000));
        assert_eq!(allowed("2026-11-30T00:00:00Z"), Money(1_000_000));
        assert_eq!(allowed("2026-12-01T00:00:00Z"), Money(1_000_000));
        let at = "2026-11-30T00:00:00Z".parse().unwrap();
        assert_eq!(next_month(Money(2_000_000), at), Money(1_488_000_000));
    }
}

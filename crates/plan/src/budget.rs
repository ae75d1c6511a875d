//! Budgets: what was spent of each, at what rate, where the month will end, and what of the hosts
//! each may have. It writes a budget's own status and nothing else; whether a change would break
//! one is the gate's to say (`decision/cost.rs`), and how far an autoscaler may go is in
//! `budget/bound.rs`.
//!
//! What is spent is counted exactly, from rate to rate as they are written. The status says until
//! when: whatever time passed while nobody looked is counted at the rate that was known, and at
//! that of other prices from the day they began to hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::budget::month::Month;
use atoll_model::budget::{
    Budget, BudgetPhase, BudgetStatus, KEPT_MONTHS, Limit, Money, Share, Spend, Spent, worth,
};
use atoll_model::{
    Any, Application, Cpu, Instance, Kind, Memory, Object, Reason, Snapshot, Span, Timestamp, Write,
};

use crate::{Context, Plan, sooner};
use book::Book;

pub mod book;
pub mod bound;
pub mod cost;
pub mod dear;
pub mod fill;
pub mod pool;
pub mod price;
pub mod quota;
pub mod scope;
pub mod showback;
mod touched;

pub use touched::touched;

/// A rate that changes again and again is written no more often.
const CALM: Span = Span::seconds(10);
/// What is shown is written anew so often, where nothing else changes.
const SHOWN: Span = Span::seconds(600);

/// Plans for one budget.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let stored = cx.world.get::<Budget>(name);
    let mut plan = Plan::nothing();
    for approval in bound::approvals(cx.world, name) {
        let why = match stored {
            Some(_) if bound::is_of_month(approval, cx.now) => continue,
            Some(_) => "was for a month that is over",
            None => "was of a budget that is gone",
        };
        let (name, revision) = (approval.meta.name.clone(), approval.meta.revision);
        plan.writes.push(Write::Delete { kind: Kind::Approval, name, revision });
        let message = format!("what {} approved {why}", approval.spec.by);
        plan.reasons.push(Reason::new("over", message));
    }
    let Some(object) = stored else { return plan };
    let status = stands(cx, object);
    plan.again_at = again_at(cx, object, &status);
    if is_news(cx, object, &status) {
        plan.reasons.extend(status.reasons.iter().cloned());
        let mut new = Object::clone(object);
        new.status = status;
        plan.writes.push(Write::Put(Any::Budget(Arc::new(new))));
    }
    plan
}

/// How a budget stands now.
fn stands(cx: &Context, object: &Arc<Object<Budget>>) -> BudgetStatus {
    let (spec, stored) = (&object.spec, &object.status);
    let mut months = stored.months.clone();
    let spend = spec.month.as_ref().map(|limit| spend(cx, object, limit, &mut months));
    let names = scope::deployments(cx.world, spec);
    let instances = names.iter().map(|name| cx.world.derived::<Instance>(name).count());
    let mut status = BudgetStatus {
        observed_generation: object.meta.generation,
        phase: BudgetPhase::Within,
        instances: instances.sum::<usize>() as u32,
        spend,
        share: pool::share(cx.world, object),
        months,
        reasons: Vec::new(),
    };
    judge(cx, spec, &mut status);
    status
}

/// Counts what was spent until now.
fn spend(cx: &Context, object: &Object<Budget>, limit: &Limit, months: &mut Vec<Spent>) -> Spend {
    let (world, now, currency) = (cx.world, cx.now, &limit.currency);
    let rate_at = |at: Timestamp| {
        let book = Book::of(world, currency, at);
        let all = scope::deployments(world, &object.spec);
        all.iter().map(|name| scope::rate(world, &book, name)).sum::<Money>()
    };
    let stored = object.status.spend.clone().filter(|spend| spend.currency == *currency);
    let mut spend = stored.unwrap_or_else(|| begun(currency, now, now));
    let changes = book::changes(world, currency, spend.counted_until, now);
    let mut cuts = changes.clone();
    cuts.extend(months_after(spend.counted_until, now));
    for cut in cuts {
        spend.count(cut);
        let month = Month::of(cut);
        if month.name != spend.month {
            months.push(Spent {
                month: spend.month.clone(),
                currency: currency.clone(),
                spent: spend.spent,
            });
            spend = Spend { rate: spend.rate, carry: spend.carry, ..begun(currency, cut, cut) };
        }
        if changes.contains(&cut) {
            spend.rate = rate_at(cut);
        }
    }
    months.drain(..months.len().saturating_sub(KEPT_MONTHS));
    spend.count(now);
    spend.rate = rate_at(now);
    let rest = Month::of(now).ends.since(now);
    spend.forecast = spend.spent + worth(spend.rate, rest, spend.carry).0;
    spend
}

/// Nothing is spent yet.
fn begun(currency: &str, at: Timestamp, from: Timestamp) -> Spend {
    Spend {
        currency: currency.to_owned(),
        month: Month::of(at).name,
        spent: Money(0),
        carry: 0,
        rate: Money(0),
        counted_until: at,
        counted_from: from,
        forecast: Money(0),
    }
}

/// The beginnings of months after one time and up to another.
fn months_after(after: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut all = Vec::new();
    let mut at = Month::of(after).ends;
    while at <= to && all.last() != Some(&at) {
        all.push(at);
        at = Month::of(at).ends;
    }
    all
}

/// Says how it stands, and why, the worst first.
fn judge(cx: &Context, spec: &Budget, status: &mut BudgetStatus) {
    let (mut phase, mut uncounted) = (BudgetPhase::Within, Vec::new());
    if let (Some(limit), Some(spend)) = (&spec.month, &status.spend) {
        let currency = &limit.currency;
        let (most, forecast) = (limit.limit.rounded(), spend.forecast.rounded());
        let book = Book::of(cx.world, currency, cx.now);
        let (unpriced, elsewhere) = scope::uncounted(cx.world, &book, spec);
        if let Some((host, missing)) = unpriced.first_key_value() {
            phase = BudgetPhase::Unknown;
            let (what, which) = match unpriced.len() {
                1 => ("it", "its"),
                _ => ("them", "their"),
            };
            let message = format!(
                "what is on {} is not counted: the price book has no {} in {currency} for {what}",
                and_others(host, unpriced.len()),
                missing.join(" and no ")
            );
            let hint = format!("apply a Price whose selector matches {which} labels");
            uncounted.push(Reason::new("price-missing", message).hint(hint));
        }
        if let Some((host, other)) = elsewhere.first_key_value() {
            let host = and_others(host, elsewhere.len());
            let message = format!("what is on {host} is paid in {other} and not counted");
            let hint = format!("limit that too: one more budget, in {other}");
            uncounted.push(Reason::new("paid-elsewhere", message).hint(hint));
        }
        if spend.spent > limit.limit {
            phase = BudgetPhase::Over;
            let message =
                format!("{} of {most} {currency} is spent this month", spend.spent.rounded());
            status.reasons.push(Reason::new("over-budget", message).hint(LESS));
        } else if spend.forecast > limit.limit {
            phase = BudgetPhase::Tight;
            let message =
                format!("the month is forecast to end at {forecast} of {most} {currency}");
            status.reasons.push(Reason::new("forecast-over", message).hint(LESS));
        } else if bound::counts_next(cx.now) && bound::next_month(spend.rate, cx.now) > limit.limit
        {
            phase = BudgetPhase::Tight;
            let next = bound::next_month(spend.rate, cx.now).rounded();
            let message =
                format!("the next month would cost {next} of {most} {currency} as it is now");
            status.reasons.push(Reason::new("next-month", message).hint(LESS));
        }
    }
    if let Some(reason) = status.share.and_then(|share| short_of_guarantee(spec, &share)) {
        phase = phase.max(BudgetPhase::Tight);
        status.reasons.push(reason);
    }
    if let Some(share) = status.share.filter(|share| !scope::fits(share)) {
        phase = phase.max(BudgetPhase::Tight);
        status.reasons.push(beyond_share(spec, &share));
    }
    status.phase = phase;
    status.reasons.extend(uncounted);
}

/// A host, and how many there are beside it.
fn and_others(first: &str, hosts: usize) -> String {
    match hosts {
        0 | 1 => first.to_owned(),
        2 => format!("{first} and another host"),
        many => format!("{first} and {} other hosts", many - 1),
    }
}

/// Says that more is wanted than may be had, and what becomes of it.
fn beyond_share(spec: &Budget, share: &Share) -> Reason {
    let (wanted, may) = (share.wanted, share.may);
    let what = format!(
        "{} cpu and {} memory are wanted, and {} and {} may be had",
        wanted.cpu, wanted.memory, may.cpu, may.memory
    );
    if scope::is_beyond_ceiling(spec, share) {
        let message = format!("{what}: it is beyond its ceiling, and grows no more");
        let hint = "scale down, or raise the ceiling; nothing is taken away for it";
        return Reason::new("beyond-ceiling", message).hint(hint);
    }
    let message =
        format!("{what}: the rest is others', and is given back as its autoscalers shrink");
    let hint = "scale down what does not go by itself, or raise what is guaranteed";
    Reason::new("beyond-share", message).hint(hint)
}

/// Says so where less may be had than is guaranteed: hosts were lost, or others use them.
fn short_of_guarantee(spec: &Budget, share: &Share) -> Option<Reason> {
    let quota = spec.resources.as_ref()?;
    let (cpu, memory) = (Cpu(quota.cpu.plain().0), Memory(quota.memory.plain().0));
    let short = share.may.cpu < cpu || share.may.memory < memory;
    let message = format!(
        "{cpu} cpu and {memory} memory are guaranteed, and {} and {} may be had: hosts leave no \
         more",
        share.may.cpu, share.may.memory
    );
    let hint = "add hosts, move what other environments run there away, or guarantee less";
    short.then(|| Reason::new("guarantee-short", message).hint(hint))
}

/// What can be done about spending too much.
const LESS: &str = "scale down, or raise month.limit; whose it is: atoll budget --by application";

/// Whether a status says something that is worth a write.
fn is_news(cx: &Context, object: &Object<Budget>, new: &BudgetStatus) -> bool {
    let old = &object.status;
    let told = |status: &BudgetStatus| {
        let codes: Vec<String> = status.reasons.iter().map(|r| r.code.clone()).collect();
        let month = status.spend.as_ref().map(|s| (s.month.clone(), s.currency.clone()));
        (status.phase, status.observed_generation, status.share, codes, month)
    };
    let Some(spend) = &old.spend else {
        return told(old) != told(new) || old.instances != new.instances;
    };
    let since = cx.now.since(spend.counted_until);
    let rate = new.spend.as_ref().map(|spend| spend.rate);
    let moved = (Some(spend.rate), old.instances) != (rate, new.instances);
    told(old) != told(new) || (moved && since >= CALM) || since >= SHOWN && (spend.rate.0 != 0)
}

/// When to look again: when prices change, when the month ends, to write what is spent.
fn again_at(cx: &Context, object: &Object<Budget>, new: &BudgetStatus) -> Option<Timestamp> {
    let ends = Month::of(cx.now).ends;
    // Approvals end with the month, whatever they are of.
    let Some(spend) = &new.spend else { return Some(ends) };
    let stored = object.status.spend.as_ref();
    let counted = stored.map_or(cx.now, |stored| stored.counted_until);
    let counts = (object.status.instances, new.instances);
    let moved = stored.is_some_and(|stored| stored.rate != spend.rate) || counts.0 != counts.1;
    let waits = moved.then(|| counted + CALM).filter(|at| *at > cx.now);
    let change = book::changes(cx.world, &spend.currency, cx.now, ends).pop_first();
    let shown = (spend.rate.0 != 0).then(|| (counted + SHOWN).max(cx.now + CALM));
    sooner(sooner(waits, change), sooner(shown, Some(ends)))
}

/// The budgets that are of a deployment, by name.
fn of_deployment(world: &Snapshot, deployment: &str, names: &mut BTreeSet<String>) {
    names.extend(scope::budgets_of(world, deployment).map(|budget| budget.meta.name.clone()));
}

/// The budgets that are of an application as it was or is, by name.
fn of_application(
    world: &Snapshot,
    application: &Object<Application>,
    names: &mut BTreeSet<String>,
) {
    let (name, team) = (application.name(), scope::team_of(application));
    let mine = |budget: &&Arc<Object<Budget>>| {
        let spec = &budget.spec;
        spec.application.as_deref().is_none_or(|of| of == name)
            && (spec.team.is_none() || spec.team.as_deref() == team)
    };
    names.extend(world.all::<Budget>().filter(mine).map(|budget| budget.meta.name.clone()));
}

#[cfg(test)]
mod tests {
    use atoll_model::cmdb::Amount;
    use atoll_model::{Cpu, Environment, Memory, Price};

    use super::*;
    use crate::{Measurements, testing};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn price(name: &str, from: &str, until: Option<&str>, host_hour: i64) -> Any {
        let spec = Price {
            from: at(from),
            until: until.map(at),
            currency: "EUR".to_owned(),
            hosts: Default::default(),
            host_hour: Some(Money(host_hour)),
            cpu_hour: None,
            memory_hour: None,
            disk_hour: None,
        };
        Any::Price(Arc::new(Object::new(name, spec)))
    }

    /// One instance that takes half of the only host.
    fn world(prices: [Any; 2]) -> Snapshot {
        let Any::Host(host) = testing::host("h1") else { panic!("no host") };
        let mut host = Object::clone(&host);
        host.status.capacity = Amount { cpu: Cpu(200), memory: Memory(256 << 20), instances: 0 };
        let app: Application =
            serde_json::from_str(r#"{"owner":"team/trade","run":{"command":["x"]}}"#).unwrap();
        let budget: Budget =
            serde_json::from_str(r#"{"team":"trade","month":{"limit":900,"currency":"EUR"}}"#)
                .unwrap();
        let mut world = testing::world([
            Any::Host(Arc::new(host)),
            Any::Application(Arc::new(Object::new("web", app))),
            Any::Environment(Arc::new(Object::new("prod", Environment::default()))),
            testing::instance("web.prod.0", "h1"),
            Any::Budget(Arc::new(Object::new("trade", budget))),
        ]);
        prices.into_iter().for_each(|price| drop(world.put(price)));
        world
    }

    fn planned(world: &Snapshot, now: &str) -> Plan {
        let measured = Measurements::default();
        plan(&Context { world, measured: &measured, now: at(now) }, "trade")
    }

    fn act(world: &mut Snapshot, now: &str) -> BudgetStatus {
        for write in planned(world, now).writes {
            crate::follow::apply(world, &write);
        }
        assert_eq!(planned(world, now).writes, [], "it plans nothing twice");
        world.get::<Budget>("trade").unwrap().status.clone()
    }

    #[test]
    fn a_gap_is_counted_at_the_rates_that_held() {
        let mut world = world([
            price("old", "2026-01-01T00:00:00Z", Some("2026-11-11T00:00:00Z"), 1_000_000),
            price("new", "2026-11-11T00:00:00Z", None, 2_000_000),
        ]);
        let begun = act(&mut world, "2026-11-10T00:00:00Z").spend.unwrap();
        assert_eq!((begun.spent, begun.rate), (Money(0), Money(500_000)));
        // A day at half a EUR, and two at one; no server ran meanwhile.
        let status = act(&mut world, "2026-11-13T00:00:00Z");
        let spend = status.spend.unwrap();
        assert_eq!((spend.spent, spend.rate), (Money(60_000_000), Money(1_000_000)));
        // 18 days are left.
        assert_eq!(spend.forecast, Money(60_000_000 + 18 * 24_000_000));
        assert_eq!(status.phase, BudgetPhase::Within);
    }

    #[test]
    fn a_month_ends_in_utc_and_is_kept() {
        let mut world = world([
            price("list", "2026-01-01T00:00:00Z", None, 2_000_000),
            price("ahead", "2027-01-01T00:00:00Z", None, 2_000_000),
        ]);
        world.remove(Kind::Price, "ahead");
        act(&mut world, "2026-10-31T22:00:00Z");
        let status = act(&mut world, "2026-12-01T03:00:00Z");
        let months: Vec<_> = status.months.iter().map(|m| (m.month.as_str(), m.spent.0)).collect();
        assert_eq!(months, [("2026-10", 2_000_000), ("2026-11", 720_000_000)]);
        let spend = status.spend.unwrap();
        assert_eq!((spend.month.as_str(), spend.spent), ("2026-12", Money(3_000_000)));
        assert_eq!(spend.counted_from, at("2026-12-01T00:00:00Z"));
    }

    #[test]
    fn a_rate_that_goes_on_is_written_now_and_then() {
        let mut world = world([
            price("list", "2026-01-01T00:00:00Z", None, 2_000_000),
            price("ahead", "2027-01-01T00:00:00Z", None, 3_000_000),
        ]);
        world.remove(Kind::Price, "ahead");
        act(&mut world, "2026-11-10T00:00:00Z");
        assert_eq!(planned(&world, "2026-11-10T00:09:59Z").writes, []);
        assert_eq!(planned(&world, "2026-11-10T00:10:00Z").writes.len(), 1);
        // Nothing is lost by it.
        let spend = act(&mut world, "2026-11-10T01:00:00Z").spend.unwrap();
        assert_eq!(spend.spent, Money(1_000_000));
    }

    #[test]
    fn on_the_last_day_what_the_next_month_cannot_bear_is_told() {
        let prices = || {
            let from = "2026-01-01T00:00:00Z";
            [
                price("list", from, None, 2_500_000),
                price("x", from, Some("2026-01-02T00:00:00Z"), 1),
            ]
        };
        let phase = |now: &str| {
            let status = act(&mut world(prices()), now);
            (status.phase, status.reasons.first().map(|reason| reason.message.clone()))
        };
        assert_eq!(phase("2026-11-29T23:00:00Z"), (BudgetPhase::Within, None));
        let told = "the next month would cost 930.00 of 900.00 EUR as it is now";
        let last = (BudgetPhase::Tight, Some(told.to_owned()));
        assert_eq!(phase("2026-11-30T00:00:00Z"), last);
    }

    #[test]
    fn what_has_no_price_is_told() {
        let ahead = "2027-01-01T00:00:00Z";
        let mut world = world([price("a", ahead, None, 1), price("b", ahead, None, 2)]);
        let status = act(&mut world, "2026-11-10T00:00:00Z");
        assert_eq!(status.phase, BudgetPhase::Unknown);
        assert_eq!(status.reasons[0].code, "price-missing");
    }
}

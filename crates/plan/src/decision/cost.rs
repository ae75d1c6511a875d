//! What a change costs, and whether budgets leave room for it. It notes the cost on every change
//! that has one; what people, or commits in their place, would change beyond a budget is refused,
//! asks for an approval, or is told, as the budget says. Healing, the way back and whatever costs
//! less always pass; how far an autoscaler may go is bounded where its number is made
//! (`budget/bound.rs`).

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::budget::{Exceed, MONTH_HOURS, Money, Take};
use atoll_model::pool::provider::Provider;
use atoll_model::{
    Any, Application, Budget, Deployment, Environment, Host, Instance, Intent, Kind, Level,
    Migration, Object, Peak, Pool, Reason, Snapshot, Write, many,
};

use super::{Case, Opinion, price};
use crate::budget::book::{self, Book};
use crate::budget::bound::{self, allowed_rate, is_approved};
use crate::budget::cost::{Tariff, is_charged};
use crate::budget::fill;
use crate::budget::scope::{self, Meant};
use crate::{Context, Plan, delivery, migration, peak};

/// The code of the note that says what a change costs.
pub const COST: &str = "cost";
/// The code of what a budget says.
const BUDGET: &str = "budget";

/// **Invariant:** no edit of a target makes what is meant to run cost more than a budget that
/// refuses has left for the month, or take more than its ceiling.
pub(super) fn cost(case: &Case) -> Opinion {
    let (world, mut opinion) = (case.cx.world, Opinion::default());
    let mut puts = case.puts();
    let brings = puts.any(|any| matches!(any, Any::Price(_) | Any::Budget(_)));
    if !brings && world.count(Kind::Price) == 0 && world.count(Kind::Budget) == 0 {
        return opinion;
    }
    opinion.objections.extend(of_peaks(case));
    if !case.is_edit() {
        if case.by_planner() {
            opinion.notes.extend(of_instances(case));
        }
        return opinion;
    }
    let after = case.after();
    let priced = priced(world, &after).clone();
    opinion.notes.extend(of_pools(case, &priced));
    opinion.notes.extend(price::ended(case));
    let mut names = changed(case, &after);
    // What is emptied because a zone fails is healing, as a drain is.
    let (after, moved) = match case.by_planner() {
        true => (after, BTreeSet::new()),
        false => migration::all_moved(case.cx, case.plan, after),
    };
    let moves = !moved.is_empty();
    names.extend(moved);
    if names.is_empty() {
        return opinion;
    }
    let budgets: BTreeSet<String> = names
        .iter()
        .flat_map(|name| scope::budgets_of(&after, name))
        .filter(|budget| !budget.meta.deleting())
        .map(|budget| budget.meta.name.clone())
        .collect();
    let limits = budgets.iter().filter_map(|name| after.get::<Budget>(name));
    let beside = limits.flat_map(|budget| scope::deployments(&after, &budget.spec));
    let all = names.iter().cloned().chain(beside).collect();
    let (before, after) = (fill::filled(world, &all), fill::filled(&after, &all));
    let change = Change { case, priced, before, after, names, moves };
    change.tell(&budgets, &mut opinion);
    for budget in budgets.iter().filter_map(|name| change.after.get::<Budget>(name)) {
        change.judge(budget, &mut opinion);
    }
    opinion
}

/// The world with the prices a change is told by: those there are, as a change of prices is no
/// change of what they are of; where there are none, those it brings.
fn priced<'a>(before: &'a Snapshot, after: &'a Snapshot) -> &'a Snapshot {
    if before.count(Kind::Price) == 0 { after } else { before }
}

/// What budgets would say to a migration, were a person to make it: what they would hold it for,
/// and what they would only tell.
pub(crate) fn of_migration(cx: &Context, spec: &Migration) -> (Vec<Reason>, Vec<Reason>) {
    let made = Any::Migration(Arc::new(Object::new("", spec.clone())));
    let plan = Plan { writes: vec![Write::Put(made)], ..Plan::new(Intent::Edit) };
    let Opinion { objections, mut notes, .. } =
        cost(&Case { cx, actor: &Actor::new("", Level::Admin), plan: &plan });
    notes.retain(|note| note.code == BUDGET);
    (objections, notes)
}

/// The deployments that are meant to be something else, or another's, once a plan is done: their
/// names.
fn changed(case: &Case, after: &Snapshot) -> BTreeSet<String> {
    let before = case.cx.world;
    let mut names = BTreeSet::new();
    for write in &case.plan.writes {
        let name = write.name();
        match write.kind() {
            Kind::Deployment | Kind::Autoscaler => {
                names.insert(name.to_owned());
            }
            Kind::Application => {
                let known = [before, after].into_iter().filter_map(|w| w.get::<Application>(name));
                let places = after.all::<Environment>();
                names.extend(places.map(|place| format!("{name}.{}", place.name())));
                let there = known.flat_map(|a| before.derived::<Deployment>(a.name()));
                names.extend(there.map(|deployment| deployment.meta.name.clone()));
            }
            Kind::Environment => {
                let Some(place) = after.get::<Environment>(name) else { continue };
                let going = after.all::<Application>().filter(|a| delivery::goes_to(a, place));
                names.extend(going.map(|a| format!("{}.{name}", a.name())));
            }
            _ => {}
        }
    }
    let whose = |world: &Snapshot, name: &str| {
        let application = world.get::<Application>(scope::parts(name).0)?;
        scope::team_of(application).map(str::to_owned)
    };
    names.retain(|name| {
        Meant::of(before, name) != Meant::of(after, name)
            || whose(before, name) != whose(after, name)
    });
    names
}

/// A change by a person, with what is to come before and after it on the hosts it would be on.
struct Change<'a> {
    case: &'a Case<'a>,
    priced: Snapshot,
    before: Snapshot,
    after: Snapshot,
    names: BTreeSet<String>,
    /// It lets a migration move instances.
    moves: bool,
}

impl Change<'_> {
    /// Notes what it costs, and what is not known of that.
    fn tell(&self, budgets: &BTreeSet<String>, opinion: &mut Opinion) {
        let now = self.case.cx.now;
        let limits = budgets.iter().filter_map(|name| self.after.get::<Budget>(name));
        let limits = limits.filter_map(|budget| budget.spec.month.as_ref());
        let mut currencies = book::currencies(&self.priced, now);
        currencies.extend(limits.map(|limit| limit.currency.as_str()));
        for currency in currencies {
            let book = Book::of(&self.priced, currency, now);
            let sum = |world: &Snapshot| -> Money {
                let all = self.names.iter();
                all.filter_map(|name| Meant::of(world, name)?.cost(world, &book, name).ok()).sum()
            };
            opinion.notes.extend(note(currency, sum(&self.before), sum(&self.after)));
            let unknown = self.names.iter().find_map(|name| {
                let meant = Meant::of(&self.after, name).filter(|meant| meant.instances > 0)?;
                Some((name, meant.cost(&self.after, &book, name).err()?))
            });
            opinion
                .notes
                .extend(unknown.map(|(name, missing)| not_known(name, &missing, currency)));
        }
        opinion.notes.extend(self.not_counted());
    }

    /// That instances may be on hosts nobody knows the price of, and are not counted there.
    fn not_counted(&self) -> Option<Reason> {
        let (world, now) = (&self.after, self.case.cx.now);
        let books: Vec<Book> = book::currencies(&self.priced, now)
            .into_iter()
            .map(|currency| Book::of(&self.priced, currency, now))
            .collect();
        let is_to_be =
            |name: &&String| Meant::of(world, name).is_some_and(|meant| meant.instances > 0);
        self.names.iter().filter(is_to_be).find_map(|name| {
            let place = world.get::<Environment>(scope::parts(name).1)?;
            let mine = world.all::<Host>().filter(|host| {
                host.status.capacity.cpu.0 > 0 && place.spec.hosts.matches(&host.meta.labels)
            });
            let (priced, without): (Vec<_>, Vec<_>) = mine
                .partition(|host| books.iter().any(|book| book.rates(host).missing().is_empty()));
            let first = without.first().filter(|_| !priced.is_empty())?;
            let message = format!(
                "no price for {} of {} that {name} may use, {} among them: what is there is not \
                 counted",
                without.len(),
                many(priced.len() + without.len(), "host"),
                first.name()
            );
            let hint = "apply a Price whose selector matches their labels";
            Some(Reason::new("price-missing", message).hint(hint))
        })
    }

    /// Says what one budget thinks of it.
    fn judge(&self, budget: &Object<Budget>, opinion: &mut Opinion) {
        let broken: Vec<String> =
            [self.month(budget), self.ceiling(budget)].into_iter().flatten().collect();
        if broken.is_empty() {
            return;
        }
        let (name, what) = (budget.name(), broken.join("; "));
        let message = format!("budget/{name} would be broken: {what}");
        let back = self.case.plan.intent == Intent::Revert;
        match budget.spec.exceed {
            _ if back => {
                let message = format!("{message}; the way back is not held");
                opinion.notes.push(Reason::new(BUDGET, message));
            }
            Exceed::Warn => opinion.notes.push(Reason::new(BUDGET, message)),
            Exceed::Refuse => {
                let drain = "; what has to be empty is drained, which no budget holds";
                let hint = bound::ways(name) + if self.moves { drain } else { "" };
                let reason = Reason::new(BUDGET, message).hint(hint);
                opinion.objections.push(reason);
            }
            Exceed::Approve if is_approved(self.case.cx.world, budget, self.case.cx.now) => {
                let by = bound::approvers(self.case.cx.world, name, self.case.cx.now).join(", ");
                let message = format!("{message}; approved for this month by {by}");
                opinion.notes.push(Reason::new("budget-approved", message));
            }
            Exceed::Approve => {
                let hint = format!(
                    "have it approved for this month: atoll approve budget/{name}; then do it again"
                );
                opinion.objections.push(Reason::new(BUDGET, message).hint(hint));
            }
        }
    }

    /// What is wrong with the month, if it costs more than before and that is too much.
    fn month(&self, budget: &Object<Budget>) -> Option<String> {
        let (limit, cx) = (budget.spec.month.as_ref()?, self.case.cx);
        let book = Book::of(&self.priced, &limit.currency, cx.now);
        let was = scope::meant_rate(&self.before, &book, &budget.spec);
        let is = scope::meant_rate(&self.after, &book, &budget.spec);
        if is <= was || is <= allowed_rate(budget, cx.now) {
            return None;
        }
        let currency = &limit.currency;
        let forecast = bound::forecast(budget, is, cx.now);
        if forecast < limit.limit {
            let of = beyond(bound::next_month(is, cx.now), limit.limit);
            return Some(format!("the next month would cost {of} {currency}"));
        }
        Some(format!("the month would end at {} {currency}", beyond(forecast, limit.limit)))
    }

    /// What is wrong with the resources, if more are taken than before and that is too much.
    fn ceiling(&self, budget: &Object<Budget>) -> Option<String> {
        let quota = budget.spec.resources.as_ref()?;
        let was = scope::wanted(self.case.cx.world, &budget.spec);
        let is = scope::wanted(&self.after, &budget.spec);
        let over = |pick: fn(&Take) -> u64, most: Option<u64>| {
            pick(&is) > pick(&was) && most.is_some_and(|most| pick(&is) > most)
        };
        let mut said = Vec::new();
        if let Some(most) = quota.cpu.ceiling.filter(|m| over(|take| take.cpu.0, Some(m.0))) {
            said.push(format!("it would take {} cpu of {most}", is.cpu));
        }
        if let Some(most) = quota.memory.ceiling.filter(|m| over(|take| take.memory.0, Some(m.0))) {
            said.push(format!("it would take {} memory of {most}", is.memory));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// What budgets say of peaks that hosts and instances are about to be kept for.
fn of_peaks(case: &Case) -> Vec<Reason> {
    let mut all = Vec::new();
    for any in case.puts() {
        let Any::Peak(new) = any else { continue };
        let old = case.cx.world.get::<Peak>(new.name());
        if peak::asks(old.map(|old| &old.status), &new.status) {
            all.extend(peak::cost::objections(case.cx, new, &new.status));
        }
    }
    all
}

/// How much of a limit is taken, in as many digits as tell them apart.
fn beyond(is: Money, limit: Money) -> String {
    match is.rounded() == limit.rounded() {
        true => format!("{} of {}", is.fine(), limit.fine()),
        false => format!("{} of {}", is.rounded(), limit.rounded()),
    }
}

/// What a change costs, in words; nothing where it changes no cost.
fn note(currency: &str, was: Money, is: Money) -> Option<Reason> {
    let month = |rate: Money| rate.times(MONTH_HOURS).rounded();
    let message = format!(
        "{} -> {} {currency} an hour, {} -> {} {currency} a month",
        was.fine(),
        is.fine(),
        month(was),
        month(is)
    );
    (was != is).then(|| Reason::new(COST, message))
}

/// Why the cost of a deployment is not known.
fn not_known(name: &str, missing: &[&str], currency: &str) -> Reason {
    let why = match missing {
        [] => "there is no host it may use".to_owned(),
        _ => format!(
            "the price book has no {} in {currency} for the hosts it may use",
            missing.join(" and no ")
        ),
    };
    let hint = match missing {
        [] => "it is told once there is one; see atoll get hosts",
        _ => "apply a Price whose selector matches their labels",
    };
    let code = if missing.is_empty() { "cost-unknown" } else { "price-missing" };
    Reason::new(code, format!("what {name} costs is not known: {why}")).hint(hint)
}

/// What more or fewer hosts of pools cost.
fn of_pools(case: &Case, priced: &Snapshot) -> Vec<Reason> {
    let (world, mut notes) = (case.cx.world, Vec::new());
    for any in case.puts() {
        let Any::Pool(new) = any else { continue };
        let old = world.get::<Pool>(new.name());
        let was = old.map_or(0, |old| hosts_of(old, old));
        let is = match old {
            _ if new.meta.deleting() => 0,
            Some(old) => hosts_of(new, old),
            None => new.spec.count,
        };
        // Hosts of a list are there, and cost the same in reserve.
        if was == is || matches!(new.spec.provider, Provider::Static(_)) {
            continue;
        }
        let mut unknown = None;
        let before = notes.len();
        for currency in book::currencies(priced, case.cx.now) {
            let book = Book::of(priced, currency, case.cx.now);
            match price_of_host(world, &book, new) {
                Ok(each) => {
                    notes.extend(note(currency, each.times(was.into()), each.times(is.into())));
                }
                Err(why) => unknown = unknown.or(Some(why)),
            }
        }
        if let Some(why) = unknown.filter(|_| notes.len() == before) {
            let message = format!("what hosts of {} cost is not known: {why}", any.id());
            let hint = "it is told once there is one, and a Price that matches its labels";
            notes.push(Reason::new("cost-unknown", message).hint(hint));
        }
    }
    notes
}

/// So many hosts a pool asks for: what it declares, or what it follows instead, if it did before.
fn hosts_of(pool: &Object<Pool>, before: &Object<Pool>) -> u32 {
    match pool.spec.acts() && before.spec.acts() {
        true => before.status.wanted.max(pool.spec.min).min(pool.spec.max),
        false => pool.status.stays_at(&pool.spec),
    }
}

/// What a host of a pool costs an hour: the dearest of those there are; where there is none, what
/// the price book has for a whole host with the labels of the pool.
///
/// # Errors
/// Why that is not known.
fn price_of_host(world: &Snapshot, book: &Book, pool: &Object<Pool>) -> Result<Money, String> {
    let hosts = pool.status.machines.keys().filter_map(|key| world.get::<Host>(key));
    let joined: Vec<_> = hosts.filter(|host| host.status.capacity.cpu.0 > 0).collect();
    let known = joined.iter().filter_map(|host| Tariff::of(world, book, host).ok());
    if let Some(most) = known.map(|tariff| tariff.total).max() {
        return Ok(most);
    }
    let mut like = Object::new("", Host::default());
    like.meta.labels = pool.spec.labels_of_hosts(pool.name());
    let rates = book.rates(&like);
    match rates.host {
        Some(price) if joined.is_empty() => Ok(price),
        _ if book.paid_elsewhere(joined.first().map_or(&like, |host| host)).is_some() => {
            Ok(Money(0))
        }
        _ if joined.is_empty() && rates.missing().is_empty() => {
            Err("there is none yet, and its price is by its size".to_owned())
        }
        _ => Err("no price matches them".to_owned()),
    }
}

/// What instances that a planner makes and stops cost, on the hosts they are on.
fn of_instances(case: &Case) -> Vec<Reason> {
    let world = case.cx.world;
    let intents = [Intent::Scale, Intent::Rollout, Intent::Heal, Intent::Migrate];
    if !intents.contains(&case.plan.intent) {
        return Vec::new();
    }
    let (mut gone, mut made) = (Vec::new(), Vec::new());
    for write in &case.plan.writes {
        let Write::Put(Any::Instance(new)) = write else { continue };
        match world.get::<Instance>(new.name()) {
            None => made.push(new.clone()),
            // What nobody pays for any more was not counted either.
            Some(old) if new.meta.deleting() && !old.meta.deleting() && is_charged(old) => {
                gone.push(new.clone());
            }
            Some(_) => {}
        }
    }
    if gone.is_empty() && made.is_empty() {
        return Vec::new();
    }
    let mut notes = Vec::new();
    for currency in book::currencies(world, case.cx.now) {
        let book = Book::of(world, currency, case.cx.now);
        let cost = |all: &[Arc<Object<Instance>>]| -> Money {
            let each = all.iter().filter_map(|instance| {
                let host = world.get::<Host>(&instance.spec.host)?;
                Some(Tariff::of(world, &book, host).ok()?.share(instance.spec.resources))
            });
            each.sum()
        };
        let named = made.first().or(gone.first()).map(|i| i.spec.deployment.clone());
        let was = scope::rate(world, &book, &named.unwrap_or_default());
        notes.extend(note(currency, was, was + cost(&made) - cost(&gone)));
    }
    notes
}

#[cfg(test)]
mod tests {
    use atoll_model::{Cpu, Memory, Span};
    use serde_json::json;

    use super::*;
    use crate::sim::Sim;

    #[test]
    fn what_comes_with_its_first_prices_is_told_and_judged_by_these() {
        let mut sim = Sim::new(1);
        let capacity =
            atoll_model::cmdb::Amount { cpu: Cpu(4_000), memory: Memory(8 << 30), instances: 0 };
        sim.join("h0", &[], capacity);
        sim.advance(Span::seconds(60));
        let opinion = |limit: &str| {
            let objects = [
                ("Environment", "prod", json!({})),
                (
                    "Price",
                    "p",
                    json!({ "from": "2020-01-01T00:00:00Z", "currency": "EUR",
                    "cpuHour": "1", "memoryGiBHour": "0" }),
                ),
                (
                    "Budget",
                    "b",
                    json!({ "application": "shop", "exceed": "refuse",
                    "month": { "limit": limit, "currency": "EUR" } }),
                ),
                (
                    "Application",
                    "shop",
                    json!({ "environments": ["prod"],
                    "run": { "command": ["x"], "resources": { "cpu": "500m", "memory": "1Gi" } },
                    "scaling": { "min": 2, "max": 2 } }),
                ),
            ];
            let objects = objects.into_iter().map(|(kind, name, spec)| {
                let any = json!({ "apiVersion": "atoll/v1", "kind": kind,
                    "metadata": { "name": name }, "spec": spec });
                Any::from_value(any).unwrap()
            });
            let cx = sim.context();
            let plan = crate::edit::apply(&cx, objects.collect()).unwrap();
            cost(&Case { cx: &cx, actor: &Actor::new("", Level::Admin), plan: &plan })
        };
        let fine = opinion("9000");
        assert!(fine.objections.is_empty(), "{:?}", fine.objections);
        let told = fine.notes.iter().find(|note| note.code == COST).unwrap();
        assert!(told.message.starts_with("0.0000 -> 1.0000 EUR an hour"), "{}", told.message);
        assert!(opinion("1").objections[0].message.contains("budget/b would be broken"));
    }
}

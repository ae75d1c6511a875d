//! Whether what is written is valid by itself and together with what it names.

use std::collections::BTreeSet;

use atoll_model::centre::action::Action;
use atoll_model::migration::MigrationPhase;
use atoll_model::pool::provider::Provider;
use atoll_model::{
    Any, Application, Budget, Deployment, Environment, Host, Instance, Kind, Migration, Object,
    Peak, Pool, Price, Problem, Reason, Release, Secret, Snapshot,
};

use super::{Case, Opinion, count, odd, price};
use crate::budget::book::currencies;
use crate::centre;
use crate::cmdb::filter::Filter;
use crate::peak::nowhere;
use crate::policy::check;
use crate::{Context, pool};

/// Every object written is valid by itself.
pub(super) fn valid(case: &Case) -> Opinion {
    let mut objections = Vec::new();
    for any in case.puts() {
        let mut said = any.validate().err().map_or_else(Vec::new, |invalid| invalid.0);
        if let Any::Standard(standard) = any
            && said.is_empty()
            && case.stored(any).is_none_or(|stored| !stored.same_spec(any))
        {
            said = check::problems(&standard.spec);
            said.iter_mut().for_each(|problem| problem.path.insert_str(0, "spec."));
        }
        if let Any::Policy(policy) = any
            && said.is_empty()
            && case.stored(any).is_none_or(|stored| !stored.same_spec(any))
        {
            said = centre::check::problems(&policy.spec);
            said.iter_mut().for_each(|problem| problem.path.insert_str(0, "spec."));
        }
        if let Any::Migration(migration) = any
            && !migration.spec.off.is_empty()
            && let Err(reason) = Filter::parse(&migration.spec.off)
        {
            said.push(Problem { path: "spec.off".to_owned(), message: reason.message });
        }
        let said = said.into_iter();
        objections.extend(said.map(|p| Reason::new("invalid", format!("{}: {p}", any.id()))));
    }
    objections.into()
}

/// What a person's edit names exists, and nothing waits for itself.
pub(super) fn references(case: &Case) -> Opinion {
    if !case.is_edit() {
        return Opinion::default();
    }
    let world = case.after();
    let mut opinion = Opinion::default();
    for any in case.puts() {
        let objections = &mut opinion.objections;
        let stored = case.stored(any);
        if any.meta().deleting() || stored.as_ref().is_some_and(|stored| stored.same_spec(any)) {
            continue;
        }
        let subject = any.id();
        objections.extend(missing(&world, any).into_iter().map(|(kind, name)| {
            Reason::new("missing", format!("{subject} names {}/{name}: no such", kind.lower()))
                .hint(format!("apply it first, or together; see atoll get {}", kind.plural()))
        }));
        objections.extend(calls_itself(any));
        objections.extend(odd::never(any));
        objections.extend(crossed(&world, any));
        objections.extend(overtaken(stored.as_ref(), any));
        objections.extend(foreign_secrets(&world, any));
        objections.extend(double_price(&world, any));
        objections.extend(begun(stored.as_ref(), any));
        objections.extend(shared_host(&world, any));
        objections.extend(approves_nothing(&world, any));
        objections.extend(cycle(&world, any).map(|path| {
            let message = format!("{subject} would wait for itself: {}", path.join(" -> "));
            Reason::new("cycle", message).hint("take one of these out")
        }));
        opinion.note(any, not_there_yet(&world, any));
        // As its planner says it, so that whoever hears both hears it once.
        opinion.note(any, any.of::<Peak>().map_or_else(Vec::new, |p| nowhere(&world, &p.spec)));
        opinion.note(any, odd::nobodys(any));
        opinion.note(any, odd::nowhere(&world, stored.as_ref(), any));
        opinion.note(any, odd::doubled(any));
        let there = Context { world: &world, ..*case.cx };
        opinion.note(any, odd::off_nobody(&there, stored.as_ref(), any));
        opinion.note(any, count::remarks(&world, stored.as_ref(), any));
        opinion.note(any, pool::for_new_only(stored.as_ref(), any));
        opinion.note(any, left_outside(&world, stored.as_ref(), any));
        opinion.note(any, odd_policy(case, &world, any));
        opinion.note(any, unpriced(case, &world, any));
        opinion.note(any, long_over(case, any));
        opinion.note(any, priced_twice(case, &world, any));
        opinion.note(any, price::alike(case.cx.now, &world, any));
        opinion.note(any, price::partial(case.cx.now, &world, any));
        opinion.note(any, odd::guaranteed_twice(&world, any));
        opinion.note(any, count::budgeted(case.cx, stored.as_ref(), any));
    }
    opinion
}

/// A draft that is made live after what it was begun on was changed would undo that change.
fn overtaken(stored: Option<&Any>, any: &Any) -> Option<Reason> {
    let (Some(Any::Config(old)), Any::Config(new)) = (stored, any) else { return None };
    let (draft, on) = (old.spec.draft_content()?, old.status.drafted_on.as_ref()?);
    let pushed = new.spec.draft.is_none() && new.spec.content() == draft;
    if !pushed || *on == old.spec.content() || draft == old.spec.content() {
        return None;
    }
    let name = new.name();
    let message = format!(
        "the draft of {name} was begun before what is wanted was changed, and would undo that \
         change"
    );
    let hint = format!(
        "atoll config diff {name} shows it; begin the draft anew: atoll edit config/{name} and \
         take spec.draft out"
    );
    Some(Reason::new("draft-overtaken", message).hint(hint))
}

/// What an object speaks of by name and is not there yet; should it be misspelt, this tells.
fn not_there_yet(world: &Snapshot, any: &Any) -> Vec<Reason> {
    let named: Vec<(Kind, &str)> = match any {
        Any::Waiver(waiver) => {
            let subject = waiver.spec.subject.as_deref().and_then(|s| s.split_once('/'));
            subject.and_then(|(kind, name)| Some((Kind::parse(kind)?, name))).into_iter().collect()
        }
        Any::Policy(policy) => {
            let spec = &policy.spec;
            let of_modes = spec.modes.iter().flat_map(|rule| &rule.environments);
            let environments = spec.subjects.environments.iter().chain(of_modes);
            let config = match &spec.action {
                Action::Switch(setting) => setting.config.as_deref(),
                _ => None,
            };
            let config = config.map(|name| (Kind::Config, name));
            let environments = environments.map(|name| (Kind::Environment, name.as_str()));
            let applications = spec.subjects.applications.iter();
            let applications = applications.map(|name| (Kind::Application, name.as_str()));
            environments.chain(applications).chain(config).collect()
        }
        Any::Application(application) => {
            let calls = application.spec.scaling.iter().flat_map(|scaling| scaling.calls.keys());
            calls.map(|name| (Kind::Application, name.as_str())).collect()
        }
        Any::Capacity(capacity) => vec![(Kind::Deployment, capacity.spec.deployment.as_str())],
        _ => Vec::new(),
    };
    let gone = named.into_iter().filter(|(kind, name)| world.find(*kind, name).is_none());
    gone.map(|(kind, name)| {
        let kind = kind.lower();
        let message = format!("there is no {kind}/{name} yet; {} is for when there is", any.id());
        Reason::new("not-there-yet", message)
    })
    .collect()
}

/// What runs on hosts that an environment had and will have no more: it stays there.
fn left_outside(world: &Snapshot, stored: Option<&Any>, any: &Any) -> Option<Reason> {
    let (Some(Any::Environment(old)), Any::Environment(new)) = (stored, any) else { return None };
    if old.spec.hosts == new.spec.hosts {
        return None;
    }
    let deployments =
        world.all::<Deployment>().filter(|deployment| deployment.spec.environment == new.name());
    let instances = deployments.flat_map(|deployment| world.derived::<Instance>(deployment.name()));
    let outside = instances.filter(|instance| {
        let host = world.get::<Host>(&instance.spec.host);
        host.is_some_and(|host| !new.spec.hosts.matches(&host.meta.labels))
    });
    let hosts: Vec<&str> = outside.map(|instance| instance.spec.host.as_str()).collect();
    let names: BTreeSet<&str> = hosts.iter().copied().collect();
    let first = names.iter().next()?;
    let more = match names.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    let stay = crate::instances(hosts.len());
    let message = format!("{stay} of {} on {first}{more} will be outside of its hosts", any.id());
    let hint =
        format!("they stay until they are replaced; to move them: atoll migrate off host/{first}");
    Some(Reason::new("left-outside", message).hint(hint))
}

/// What is odd about a policy.
fn odd_policy(case: &Case, world: &Snapshot, any: &Any) -> Vec<Reason> {
    let Any::Policy(policy) = any else { return Vec::new() };
    centre::check::remarks(&Context { world, ..*case.cx }, policy)
}

/// A peak that has ended before anybody spoke of it.
fn long_over(case: &Case, any: &Any) -> Option<Reason> {
    let Any::Peak(peak) = any else { return None };
    let (_, ends) = peak.spec.window().ok()?;
    // One that is ended by this very change gives back what was kept for it.
    let stored = case.stored(any);
    let before = stored.as_ref().and_then(|any| any.of::<Peak>()?.spec.window().ok());
    let went_on = before.is_some_and(|(_, ends)| ends > case.cx.now);
    let message = format!("{} ended at {ends}: nothing is done for it", any.id());
    (ends <= case.cx.now && !went_on).then(|| Reason::new("over", message))
}

/// Bounds of an autoscaler that are none together with those of its application.
fn crossed(world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Autoscaler(autoscaler) = any else { return None };
    let spec = &autoscaler.spec;
    let deployment = world.get::<Deployment>(&spec.deployment)?;
    let application = world.get::<Application>(&deployment.spec.application)?;
    let scaling = application.spec.scaling.as_ref()?;
    let (own, whose) = ("its own", format!("that of application/{}", application.name()));
    let of = |own_one: Option<u32>, other: u32| match own_one {
        Some(bound) => (bound, own.to_owned()),
        None => (other, whose.clone()),
    };
    let (min, max) = (of(spec.min, scaling.min), of(spec.max, scaling.max));
    let message =
        format!("{}: min {}, {}, is more than max {}, {}", any.id(), min.0, min.1, max.0, max.1);
    let hint = format!("set both: atoll autoscale deployment/{} --min N --max N", spec.deployment);
    (min.0 > max.0).then(|| Reason::new("invalid", message).hint(hint))
}

/// A budget in whose currency nothing has a price: it binds nothing.
fn unpriced(case: &Case, world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Budget(budget) = any else { return None };
    let currency = &budget.spec.month.as_ref()?.currency;
    let none = !currencies(world, case.cx.now).contains(currency.as_str());
    let message = format!("there is no price in {currency} yet: {} binds nothing", any.id());
    none.then(|| Reason::new("price-missing", message).hint("see docs/guide/budgets.md"))
}

/// An approval of a budget that asks for none: it would hold as soon as that one asks.
fn approves_nothing(world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Approval(approval) = any else { return None };
    world.get::<Budget>(approval.spec.subject.strip_prefix("budget/")?)?.asks_nobody()
}

/// A price of hosts that another currency prices by a selector as narrow: neither goes before.
fn priced_twice(case: &Case, world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Price(new) = any else { return None };
    let now = case.cx.now;
    let width = |price: &Price| price.hosts.0.len();
    let same = |other: &Price| {
        other.currency != new.spec.currency
            && other.holds(now)
            && new.spec.holds(now)
            && width(other) == width(&new.spec)
    };
    let mut others = world.all::<Price>().filter(|other| same(&other.spec));
    let (other, host) =
        others.find_map(|other| Some((other, price::of_both(world, &other.spec, &new.spec)?)))?;
    let message = format!(
        "host/{} has a price in {} too, of price/{}, whose selector is as narrow: both are told, \
         as one bill in two currencies",
        host.name(),
        other.spec.currency,
        other.name()
    );
    let hint = "where it is paid in one, give that a narrower selector, or the other an until";
    Some(Reason::new("priced-twice", message).hint(hint))
}

/// A migration that would be another though it has begun.
fn begun(stored: Option<&Any>, any: &Any) -> Option<Reason> {
    let (Some(Any::Migration(old)), Any::Migration(new)) = (stored, any) else { return None };
    let what = |migration: &Migration| {
        (migration.off.clone(), migration.balance, migration.applications.clone())
    };
    if old.status.phase == MigrationPhase::Waiting || what(&old.spec) == what(&new.spec) {
        return None;
    }
    let message = format!("{} has begun: what it moves is fixed", any.id());
    Some(Reason::new("begun", message).hint("make another one, by another name"))
}

/// A host of a list that another pool has.
fn shared_host(world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Pool(new) = any else { return None };
    let Provider::Static(listed) = &new.spec.provider else { return None };
    let others = || world.all::<Pool>().filter(|other| other.name() != new.name());
    let has = |other: &Object<Pool>, host: &String| {
        let lists = match &other.spec.provider {
            Provider::Static(theirs) => theirs.hosts.contains(host),
            _ => false,
        };
        lists || other.status.machines.contains_key(host)
    };
    listed.hosts.iter().find_map(|host| {
        let other = others().find(|other| has(other, host))?;
        let message = format!("{}: {host} is a host of pool/{} already", any.id(), other.name());
        let hint = "a host belongs to one pool: each would close it to what the other runs there";
        Some(Reason::new("shared-host", message).hint(hint))
    })
}

/// A load that would make itself.
fn calls_itself(any: &Any) -> Option<Reason> {
    let Any::Application(application) = any else { return None };
    let name = application.name();
    application.spec.scaling.as_ref()?.calls.get(name)?;
    let message = format!("{}: spec.scaling.calls.{name}: it calls itself", any.id());
    Some(Reason::new("cycle", message).hint("the load it makes for itself is in its query"))
}

fn missing(world: &Snapshot, any: &Any) -> Vec<(Kind, String)> {
    let named: Vec<(Kind, &String)> = match any {
        Any::Deployment(d) => {
            let ours = |name: &str| {
                world.get::<Release>(name).is_some_and(|r| r.spec.application == d.spec.application)
            };
            let mut named = vec![
                (Kind::Application, &d.spec.application),
                (Kind::Environment, &d.spec.environment),
            ];
            if let Some(release) = d.spec.release.as_ref().filter(|name| !ours(name)) {
                return vec![(Kind::Release, release.clone())];
            }
            named.extend(d.spec.release.iter().map(|release| (Kind::Release, release)));
            named
        }
        Any::Release(r) => vec![(Kind::Application, &r.spec.application)],
        Any::Promotion(p) => {
            let release = world.get::<Release>(&p.spec.release);
            if release.is_none_or(|r| r.spec.application != p.spec.application) {
                return vec![(Kind::Release, p.spec.release.clone())];
            }
            vec![(Kind::Environment, &p.spec.environment)]
        }
        // What is excused may be what is refused now, and so not be there yet.
        Any::Waiver(w) => vec![(Kind::Standard, &w.spec.standard)],
        Any::Budget(b) => {
            let team = b.spec.team.iter().filter(|team| {
                let owned = |a: &std::sync::Arc<atoll_model::Object<Application>>| {
                    crate::budget::scope::team_of(a) == Some(team.as_str())
                };
                !world.all::<Application>().any(owned)
            });
            let application = b.spec.application.iter().map(|name| (Kind::Application, name));
            let environment = b.spec.environment.iter().map(|name| (Kind::Environment, name));
            application.chain(environment).chain(team.map(|name| (Kind::Team, name))).collect()
        }
        Any::Environment(e) => e.spec.after.iter().map(|e| (Kind::Environment, e)).collect(),
        _ => Vec::new(),
    };
    let gone = named.into_iter().filter(|(kind, name)| world.find(*kind, name).is_none());
    gone.map(|(kind, name)| (kind, name.clone())).collect()
}

/// Another price of the same hosts that holds at the same time.
fn double_price(world: &Snapshot, any: &Any) -> Option<Reason> {
    let Any::Price(new) = any else { return None };
    let other = world
        .all::<Price>()
        .find(|other| other.name() != new.name() && other.spec.overlaps(&new.spec))?;
    let until = other.spec.until.map_or("without end".to_owned(), |until| format!("until {until}"));
    let message = format!(
        "{} overlaps price/{}, which holds for the same hosts in {} from {} {until}",
        any.id(),
        other.name(),
        other.spec.currency,
        other.spec.from
    );
    let hint = "end that one with until before this begins; apply both together";
    Some(Reason::new("price-overlap", message).hint(hint))
}

/// Secrets a pipeline names that are not for it.
fn foreign_secrets(world: &Snapshot, any: &Any) -> Vec<Reason> {
    let Any::Pipeline(pipeline) = any else { return Vec::new() };
    let spec = &pipeline.spec;
    let of_steps = spec.steps.iter().flat_map(|step| step.secrets.values());
    let of_source = spec.source.iter().filter_map(|source| source.credential.as_ref());
    let named = of_steps.chain(of_source).chain(&spec.triggers.webhook);
    let foreign = named.filter(|name| {
        let secret = world.get::<Secret>(name);
        secret.is_some_and(|secret| !secret.spec.is_for(pipeline.name()))
    });
    foreign
        .map(|name| {
            let message = format!("{} names secret {name}, which is not for it", any.id());
            let hint = format!("name the pipeline in spec.pipelines of secret/{name}");
            Reason::new("secret-foreign", message).hint(hint)
        })
        .collect()
}

/// A way from an object back to itself along what has to be ready before it.
fn cycle(world: &Snapshot, any: &Any) -> Option<Vec<String>> {
    let before = |name: &str| -> Vec<String> {
        match any {
            Any::Application(_) => world
                .get::<Application>(name)
                .map(|a| a.spec.needed().map(str::to_owned).collect())
                .unwrap_or_default(),
            Any::Environment(_) => world
                .get::<Environment>(name)
                .and_then(|e| e.spec.after.clone())
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    };
    let start = any.name();
    let mut seen = std::collections::BTreeSet::new();
    let mut paths = vec![vec![start.to_owned()]];
    while let Some(path) = paths.pop() {
        let last = path.last()?.clone();
        for next in before(&last) {
            let mut longer = path.clone();
            longer.push(next.clone());
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                paths.push(longer);
            }
        }
    }
    None
}

/// The application of a deployment, where it is known.
pub(super) fn application_of<'a>(
    world: &'a Snapshot,
    deployment: &Deployment,
) -> Option<&'a Application> {
    world.get::<Application>(&deployment.application).map(|application| &application.spec)
}

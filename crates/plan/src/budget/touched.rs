//! Which budgets a changed object may concern. What it leaves out, a periodic pass finds.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::budget::Take;
use atoll_model::cmdb::HostPhase;
use atoll_model::{Any, Budget, Environment, Host, Instance, Kind, Object, Snapshot};

use super::cost::is_charged;
use super::{of_application, of_deployment, pool, scope};

/// The budgets a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let gone = matches!((old, new), (Some(Any::Budget(_)), None));
    if world.count(Kind::Budget) == 0 && !gone {
        return Vec::new();
    }
    match (old, new) {
        (Some(Any::Instance(old)), Some(Any::Instance(new))) if same_take(old, new) => {}
        (_, Some(Any::Instance(instance))) | (Some(Any::Instance(instance)), None) => {
            of_deployment(world, &instance.spec.deployment, &mut names);
            of_neighbours(world, instance, &mut names);
        }
        (Some(Any::Deployment(old)), Some(Any::Deployment(new)))
            if (old.wanted(), old.meta.deleting(), &old.spec.release)
                == (new.wanted(), new.meta.deleting(), &new.spec.release) => {}
        (_, Some(Any::Deployment(deployment))) | (Some(Any::Deployment(deployment)), None) => {
            of_deployment(world, deployment.name(), &mut names);
        }
        (Some(Any::Application(old)), Some(Any::Application(new)))
            if (&old.spec.owner, old.spec.run.resources)
                == (&new.spec.owner, new.spec.run.resources) => {}
        (Some(Any::Application(old)), Some(Any::Application(new))) => {
            of_application(world, old, &mut names);
            of_application(world, new, &mut names);
        }
        (_, Some(Any::Application(application))) | (Some(Any::Application(application)), None) => {
            of_application(world, application, &mut names);
        }
        (old, new) => of_another(world, old, new, &mut names),
    }
    names.into_iter().collect()
}

/// Of prices, budgets and hosts.
fn of_another(
    world: &Snapshot,
    old: Option<&Any>,
    new: Option<&Any>,
    names: &mut BTreeSet<String>,
) {
    match (old, new) {
        (_, Some(Any::Price(price))) | (Some(Any::Price(price)), None) => {
            let currency = &price.spec.currency;
            let of_it = world.all::<Budget>().filter(|budget| {
                budget.spec.month.as_ref().is_some_and(|month| month.currency == *currency)
            });
            names.extend(of_it.map(|budget| budget.meta.name.clone()));
        }
        (Some(Any::Budget(old)), Some(Any::Budget(new)))
            if old.spec == new.spec && wanted(old) == wanted(new) => {}
        (Some(Any::Budget(old)), Some(Any::Budget(new))) if old.spec == new.spec => {
            names.extend(pool::others(world, new));
        }
        (_, Some(Any::Budget(budget))) => {
            names.insert(budget.meta.name.clone());
            names.extend(pool::others(world, budget));
        }
        (Some(Any::Budget(gone)), None) => {
            names.insert(gone.meta.name.clone());
            names.extend(pool::others(world, gone));
        }
        (Some(Any::Host(old)), Some(Any::Host(new))) if same_host(old, new) => {}
        (_, Some(Any::Host(host))) | (Some(Any::Host(host)), None) => {
            for instance in world.instances_on(host.name()) {
                of_deployment(world, &instance.spec.deployment, names);
            }
            let sharing = world.all::<Budget>().filter(|b| b.spec.resources.is_some());
            names.extend(sharing.map(|budget| budget.meta.name.clone()));
        }
        _ => {}
    }
}

/// Budgets of resources of other environments that may use the host an instance is on.
fn of_neighbours(world: &Snapshot, instance: &Object<Instance>, names: &mut BTreeSet<String>) {
    let Some(host) = world.get::<Host>(&instance.spec.host) else { return };
    let (_, own) = scope::parts(&instance.spec.deployment);
    let beside = |budget: &&Arc<Object<Budget>>| {
        let other = budget.spec.environment.as_deref().filter(|other| *other != own);
        let place = other.and_then(|other| world.get::<Environment>(other));
        budget.spec.resources.is_some()
            && place.is_some_and(|place| place.spec.hosts.matches(&host.meta.labels))
    };
    names.extend(world.all::<Budget>().filter(beside).map(|budget| budget.meta.name.clone()));
}

fn wanted(budget: &Object<Budget>) -> Option<Take> {
    budget.status.share.map(|share| share.wanted)
}

fn same_take(old: &Object<Instance>, new: &Object<Instance>) -> bool {
    let take = |instance: &Object<Instance>| (instance.spec.resources, is_charged(instance));
    (&old.spec.host, take(old)) == (&new.spec.host, take(new))
}

fn same_host(old: &Object<Host>, new: &Object<Host>) -> bool {
    let there = |host: &Object<Host>| {
        let open = matches!(host.status.phase, HostPhase::Ready | HostPhase::Cordoned);
        (open, host.status.capacity, host.spec.reserve)
    };
    there(old) == there(new) && old.meta.labels == new.meta.labels
}

//! What a budget is of, and what the deployments it is of take and cost: as they run, and as they
//! are meant to. It judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::budget::{Budget, Money, Share, Take};
use atoll_model::run::Resources;
use atoll_model::{
    Application, Cpu, Deployment, Environment, Host, Instance, Memory, Object, Release, Snapshot,
};

use super::book::Book;
use super::cost::{Tariff, is_charged};
use super::price::{Missing, Prices};
use crate::deployment::fleet::Fleet;
use crate::{delivery, elasticity};

/// Whose applications these are: the team an owner stands for.
pub fn team_of(application: &Object<Application>) -> Option<&str> {
    application.spec.owner.as_deref()?.strip_prefix("team/")
}

/// Whether a budget is of what an application has in an environment.
pub fn covers(world: &Snapshot, budget: &Budget, application: &str, environment: &str) -> bool {
    let is = |named: &Option<String>, name: &str| named.as_ref().is_none_or(|n| n == name);
    let owned = budget.team.as_deref().is_none_or(|team| {
        world.get::<Application>(application).and_then(|app| team_of(app)) == Some(team)
    });
    owned && is(&budget.application, application) && is(&budget.environment, environment)
}

/// The budgets that are of a deployment.
pub fn budgets_of<'a>(
    world: &'a Snapshot,
    deployment: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Budget>>> {
    let (application, environment) = parts(deployment);
    let all = world.all::<Budget>();
    all.filter(move |budget| covers(world, &budget.spec, application, environment))
}

/// The application and the environment a deployment is named by.
pub fn parts(deployment: &str) -> (&str, &str) {
    deployment.rsplit_once('.').unwrap_or((deployment, ""))
}

/// The names of the deployments a budget is of: those there are, and those that will be made.
pub fn deployments(world: &Snapshot, budget: &Budget) -> Vec<String> {
    let applications: Vec<&Arc<Object<Application>>> = match &budget.application {
        Some(name) => world.get::<Application>(name).into_iter().collect(),
        None => world.all::<Application>().collect(),
    };
    let environments: Vec<&Arc<Object<Environment>>> = match &budget.environment {
        Some(name) => world.get::<Environment>(name).into_iter().collect(),
        None => world.all::<Environment>().collect(),
    };
    let mut names = Vec::new();
    for application in applications {
        let mine = environments
            .iter()
            .filter(|environment| covers(world, budget, application.name(), environment.name()));
        names.extend(mine.map(|place| format!("{}.{}", application.name(), place.name())));
    }
    names
}

/// What the instances there are of a deployment cost an hour, on the hosts they are on. Those on
/// hosts without prices are left out.
pub fn rate(world: &Snapshot, book: &Book, deployment: &str) -> Money {
    let cost = |instance: &Arc<Object<Instance>>| {
        let host = world.get::<Host>(&instance.spec.host)?;
        Some(Tariff::of(world, book, host).ok()?.share(instance.spec.resources))
    };
    world.derived::<Instance>(deployment).filter(|i| is_charged(i)).filter_map(cost).sum()
}

/// The instances of a deployment that go on living where they are. What is moved, or lost with its
/// host, is replaced: what replaces it is among these already, or is to come.
pub fn staying<'a>(world: &'a Snapshot, deployment: &str) -> Vec<&'a Arc<Object<Instance>>> {
    match world.get::<Deployment>(deployment) {
        Some(there) => {
            let all = Fleet::of(world, there).0.into_iter();
            all.filter(|member| member.stays()).map(|member| member.object).collect()
        }
        // It is supposed only, and so is what it has.
        None => world.derived::<Instance>(deployment).collect(),
    }
}

/// What a deployment is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meant {
    /// So many instances.
    pub instances: u32,
    /// What each asks for.
    pub each: Resources,
}

impl Meant {
    /// A deployment as it is meant to be, if it is to be at all: what there will be of it once an
    /// application and an environment are there, and what its newest content asks for.
    pub fn of(world: &Snapshot, deployment: &str) -> Option<Meant> {
        let (application, environment) = parts(deployment);
        let application = world.get::<Application>(application).filter(|a| !a.meta.deleting())?;
        let mut each = application.spec.run.resources;
        let Some(there) = world.get::<Deployment>(deployment) else {
            let place = world.get::<Environment>(environment)?;
            let least = application.spec.scaling.as_ref().map_or(1, |scaling| scaling.min);
            let goes = delivery::goes_to(application, place);
            return goes.then_some(Meant { instances: least, each });
        };
        if there.meta.deleting() {
            return None;
        }
        if let Some(pinned) = there.spec.release.as_ref().and_then(|r| world.get::<Release>(r)) {
            each = pinned.spec.run.resources;
        }
        let declared = there.status.scaled.filter(|s| s.declared == there.spec.instances);
        let own = declared.map_or(there.spec.instances, |scaled| scaled.instances);
        let instances = match elasticity::kept(world, deployment) {
            // It grows no further than the budget lets it, so that is what is meant.
            Some(kept) => kept.min(own.max(elasticity::least(world, deployment))),
            None => own,
        };
        Some(Meant { instances, each })
    }

    /// All its instances together.
    pub fn take(&self) -> Take {
        let count = u64::from(self.instances);
        Take {
            cpu: Cpu(self.each.cpu.0.saturating_mul(count)),
            memory: Memory(self.each.memory.0.saturating_mul(count)),
        }
    }

    /// What they cost an hour.
    ///
    /// # Errors
    /// The missing prices, as [`Prices::of`] says.
    pub fn cost(&self, world: &Snapshot, book: &Book, deployment: &str) -> Result<Money, Missing> {
        Ok(Prices::of(world, book, deployment, self.each)?.cost(self.instances))
    }

    /// What they cost an hour at most: where there are to be fewer, whichever of them go.
    fn at_most(&self, world: &Snapshot, book: &Book, deployment: &str) -> Result<Money, Missing> {
        Ok(Prices::of(world, book, deployment, self.each)?.at_most(self.instances))
    }
}

/// What all deployments of a budget are meant to take.
pub fn wanted(world: &Snapshot, budget: &Budget) -> Take {
    let all = deployments(world, budget);
    let takes = all.iter().filter_map(|name| Meant::of(world, name)).map(|meant| meant.take());
    takes.fold(Take::default(), add)
}

/// What all deployments of a budget are meant to cost an hour at most, as far as that is known.
pub fn meant_rate(world: &Snapshot, book: &Book, budget: &Budget) -> Money {
    let all = deployments(world, budget);
    let cost = |name: &String| Meant::of(world, name)?.at_most(world, book, name).ok();
    all.iter().filter_map(cost).sum()
}

fn add(a: Take, b: Take) -> Take {
    Take {
        cpu: Cpu(a.cpu.0.saturating_add(b.cpu.0)),
        memory: Memory(a.memory.0.saturating_add(b.memory.0)),
    }
}

/// Hosts by their names, and the prices that are missing of each.
pub type Unpriced = BTreeMap<String, Missing>;

/// The hosts of what a budget is of that have no price in any currency, with what is missing, and
/// those that are paid in another currency, and in which.
pub fn uncounted(
    world: &Snapshot,
    book: &Book,
    budget: &Budget,
) -> (Unpriced, BTreeMap<String, String>) {
    let (mut unpriced, mut elsewhere) = (BTreeMap::new(), BTreeMap::new());
    let all = deployments(world, budget);
    let on: BTreeSet<&str> = all
        .iter()
        .flat_map(|name| world.derived::<Instance>(name))
        .map(|instance| instance.spec.host.as_str())
        .collect();
    for host in on.into_iter().filter_map(|name| world.get::<Host>(name)) {
        if let Some(other) = book.paid_elsewhere(host) {
            elsewhere.insert(host.name().to_owned(), other.to_owned());
        } else if let Err(missing) = Tariff::of(world, book, host) {
            unpriced.insert(host.name().to_owned(), missing);
        }
    }
    (unpriced, elsewhere)
}

/// Whether all that is wanted is within what may be.
pub fn fits(share: &Share) -> bool {
    share.wanted.cpu <= share.may.cpu && share.wanted.memory <= share.may.memory
}

/// Whether more is wanted than its own ceiling lets it have.
pub fn is_beyond_ceiling(budget: &Budget, share: &Share) -> bool {
    budget.resources.as_ref().is_some_and(|quota| {
        quota.cpu.ceiling.is_some_and(|most| share.wanted.cpu > most)
            || quota.memory.ceiling.is_some_and(|most| share.wanted.memory > most)
    })
}

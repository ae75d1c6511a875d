//! Whom the rehearsal of one object concerns: these are to serve what they have to, and all others
//! are told and not asked. What others do not serve would be nothing that object could help.

use std::collections::BTreeSet;

use atoll_model::rehearsal::Check;
use atoll_model::{
    Autoscaler, Deployment, Environment, Instance, Migration, Object, Pool, Snapshot,
};

use crate::rehearsal::{named, past};
use crate::{Context, Measurements, elasticity, migration, pool};

/// What is asked of deployments, and of which nothing is, in words.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub checks: Vec<Check>,
    pub notes: Vec<String>,
}

/// That those whom `subject` concerns serve everything in so many of the minutes.
pub(super) fn asked(
    world: &Snapshot,
    subject: &str,
    concerned: &BTreeSet<String>,
    at_least: &str,
) -> Asked {
    let (mut serve, mut apart, mut observed, mut unknown) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for deployment in world.all::<Deployment>() {
        let name = deployment.meta.name.clone();
        if world.get::<Autoscaler>(&name).is_none() {
            // Nobody knows what it has to serve, and nobody asks.
        } else if !concerned.contains(&name) {
            apart.push(name);
        } else if !elasticity::acts(world, &name) {
            observed.push(name);
        } else if past::level(world, &name).is_none() {
            unknown.push(name);
        } else {
            serve.push(name);
        }
    }
    let told = [
        (apart, format!("{subject} does not concern it")),
        (observed, "its autoscaler only observes, so its number does not follow its load".into()),
        (unknown, "no load of it is known".to_owned()),
    ];
    let told = told.into_iter().filter(|(names, _)| !names.is_empty());
    let note = |(names, why): (Vec<String>, String)| {
        format!("it is not asked whether {} serves everything: {why}", named(&names))
    };
    let at_least = at_least.to_owned();
    let check = |name: String| Check::Served { of: Some(name), at_least: at_least.clone() };
    Asked { checks: serve.into_iter().map(check).collect(), notes: told.map(note).collect() }
}

/// Whose instances are on hosts of a pool, or may be.
pub(super) fn of_pool(world: &Snapshot, of: &Object<Pool>) -> BTreeSet<String> {
    let on = of.status.machines.keys().flat_map(|host| world.instances_on(host));
    let on = on.map(|instance: &std::sync::Arc<Object<Instance>>| &instance.spec.deployment);
    let may = world.all::<Deployment>().filter(|deployment| {
        let environment = &deployment.spec.environment;
        world.get::<Environment>(environment).is_some() && pool::serves(world, of, environment)
    });
    on.cloned().chain(may.map(|deployment| deployment.meta.name.clone())).collect()
}

/// Whose instances a migration moves.
pub(super) fn of_migration(
    world: &Snapshot,
    of: &Object<Migration>,
    now: atoll_model::Timestamp,
) -> BTreeSet<String> {
    let measured = Measurements::default();
    migration::of_whom(&Context { world, measured: &measured, now }, of)
}

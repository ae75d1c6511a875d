//! Who calls whom, and what load comes with that of others.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::{Application, Capacity, Deployment, Object, Snapshot};

/// Calls are followed so far.
const FARTHEST: usize = 16;

/// The names of the applications an application calls, as far as that is declared.
pub(crate) fn called(of: &Object<Application>) -> BTreeSet<String> {
    let needed = of.spec.needed().map(str::to_owned);
    let calls = of.spec.scaling.iter().flat_map(|scaling| scaling.calls.keys().cloned());
    needed.chain(calls).collect()
}

/// For each deployment, who calls it how often.
pub(crate) fn callers(world: &Snapshot) -> BTreeMap<String, Vec<(String, f64)>> {
    let mut called: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for deployment in world.all::<Deployment>() {
        let spec = &deployment.spec;
        let Some(application) = world.get::<Application>(&spec.application) else { continue };
        let Some(scaling) = &application.spec.scaling else { continue };
        for (callee, each) in &scaling.calls {
            let callee = format!("{callee}.{}", spec.environment);
            called.entry(callee).or_default().push((deployment.meta.name.clone(), *each));
        }
    }
    called
}

/// The load of what is called and not measured, as far as it comes with that of its callers.
pub(super) fn brought(world: &Snapshot, base: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let called = callers(world)
        .into_iter()
        .filter(|(name, _)| !base.contains_key(name) && world.get::<Capacity>(name).is_some());
    let load = |callers: Vec<(String, f64)>| -> f64 {
        callers.iter().filter_map(|(caller, each)| Some(base.get(caller)? * each)).sum()
    };
    called.map(|(name, callers)| (name, load(callers))).collect()
}

/// Adds what comes with more load on some deployments to those they call, and so on; those that
/// are named themselves have all of theirs.
pub(crate) fn fan(
    world: &Snapshot,
    base: &BTreeMap<String, f64>,
    more: &[(String, f64)],
    loads: &mut BTreeMap<String, f64>,
) {
    let set: BTreeSet<String> = more.iter().map(|(name, _)| name.clone()).collect();
    for (name, more) in more {
        follow(world, base, &set, name, *more, loads, FARTHEST);
    }
}

/// Adds what comes with more load on a deployment to those it calls.
fn follow(
    world: &Snapshot,
    base: &BTreeMap<String, f64>,
    set: &BTreeSet<String>,
    name: &str,
    more: f64,
    loads: &mut BTreeMap<String, f64>,
    left: usize,
) {
    if left == 0 || more == 0.0 {
        return;
    }
    for (called, ratio) in calls(world, base, name) {
        if set.contains(&called) {
            continue;
        }
        if let Some(load) = loads.get_mut(&called) {
            *load = (*load + more * ratio).max(0.0);
            follow(world, base, set, &called, more * ratio, loads, left - 1);
        }
    }
}

/// Whom a deployment calls, and how much load comes with one unit of its own: as declared, or where
/// only the need is declared, as both loads stand to each other now.
fn calls(world: &Snapshot, base: &BTreeMap<String, f64>, name: &str) -> Vec<(String, f64)> {
    let Some(deployment) = world.get::<Deployment>(name) else { return Vec::new() };
    let Some(own) = application(world, name) else { return Vec::new() };
    let environment = &deployment.spec.environment;
    let declared = own.spec.scaling.as_ref().map(|scaling| &scaling.calls);
    let mut all: BTreeMap<String, f64> = BTreeMap::new();
    for needed in own.spec.needed() {
        let to = format!("{needed}.{environment}");
        let callers = base.iter().filter(|(caller, _)| {
            let same = world.get::<Deployment>(caller);
            let same = same.is_some_and(|d| d.spec.environment == *environment);
            let needs = application(world, caller);
            same && needs.is_some_and(|a| a.spec.needed().any(|other| other == needed))
        });
        let together: f64 = callers.map(|(_, load)| load).sum();
        if let Some(load) = base.get(&to).filter(|_| together > 0.0) {
            all.insert(to, load / together);
        }
    }
    for (called, ratio) in declared.into_iter().flatten() {
        all.insert(format!("{called}.{environment}"), *ratio);
    }
    all.into_iter().collect()
}

pub(super) fn application<'a>(
    world: &'a Snapshot,
    deployment: &str,
) -> Option<&'a Object<Application>> {
    let of = &world.get::<Deployment>(deployment)?.spec.application;
    world.get::<Application>(of).map(AsRef::as_ref)
}

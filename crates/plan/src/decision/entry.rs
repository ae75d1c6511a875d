//! Entry into environments: no instance is put on a release that may not run there, and nobody
//! points a deployment at one that never may. What is asked, and of whom, stands with `delivery`.

use std::collections::BTreeMap;

use atoll_model::promotion::{Check, CheckState};
use atoll_model::{Any, Deployment, Environment, Instance, Object, Promotion, Reason, Release};

use super::{Case, Opinion};
use crate::delivery::{admission, checks};

/// **Invariant:** a release never runs in an environment that asks for what it lacks, and a vetoed
/// one is put nowhere.
pub(super) fn entry(case: &Case) -> Opinion {
    if case.is_edit() {
        let objections = case.puts().filter_map(|any| match any {
            Any::Deployment(new) => edited(case, any, new),
            Any::Promotion(new) => wished(case, new),
            _ => None,
        });
        return objections.collect::<Vec<Reason>>().into();
    }
    // One rollout writes many instances of one release.
    let mut known: BTreeMap<(&str, &str), Option<Reason>> = BTreeMap::new();
    for any in case.puts() {
        let Any::Instance(new) = any else { continue };
        let old = case.cx.world.get::<Instance>(new.name());
        if new.meta.deleting() || old.is_some_and(|old| old.spec.release == new.spec.release) {
            continue;
        }
        let key = (new.spec.deployment.as_str(), new.spec.release.as_str());
        known.entry(key).or_insert_with(|| barred(case, new));
    }
    known.into_values().flatten().collect::<Vec<_>>().into()
}

fn barred(case: &Case, instance: &Object<Instance>) -> Option<Reason> {
    let world = case.cx.world;
    let deployment = world.get::<Deployment>(&instance.spec.deployment)?;
    let environment = world.get::<Environment>(&deployment.spec.environment)?;
    let release = world.get::<Release>(&instance.spec.release)?;
    admission::barred(case.cx, deployment, &environment.spec, release)
}

/// What is wrong with the release a person wants in a deployment, where it never may run there.
/// What may only have to wait is let pass: the deployment waits.
fn edited(case: &Case, any: &Any, new: &Object<Deployment>) -> Option<Reason> {
    let world = case.cx.world;
    let old = world.get::<Deployment>(new.name());
    if old.is_some_and(|old| old.spec.release == new.spec.release) {
        return None;
    }
    let pin = old.and_then(|old| old.spec.pin.as_ref());
    if let Some(why) = pin.filter(|pin| new.spec.pin.as_ref() == Some(pin)) {
        let message = format!("{} is pinned: {why}", any.id());
        return Some(
            Reason::new("pinned", message).hint(format!("first: atoll unpin {}", any.id())),
        );
    }
    let release = world.get::<Release>(new.spec.release.as_ref()?)?;
    let environment = world.get::<Environment>(&new.spec.environment)?;
    let status = old.map(|old| &old.status);
    let good = status.and_then(|status| status.last_good.as_deref());
    if let Some(vetoed) = admission::vetoed(release) {
        return Some(vetoed);
    }
    let name = admission::promotion_name(release.name(), environment.name());
    let promotion = world.get::<atoll_model::Promotion>(&name);
    let was_good = promotion.is_some_and(|promotion| promotion.status.good_at.is_some());
    if good == Some(release.name()) || was_good {
        return None;
    }
    admission::hard(case.cx, &environment.spec, release).err()
}

/// Why a release that somebody asks for never will enter; for an emergency, which may not wait,
/// also what it would wait for all the same. A word that changes nothing must not look like one.
fn wished(case: &Case, new: &Object<Promotion>) -> Option<Reason> {
    let (world, spec) = (case.cx.world, &new.spec);
    let old = world.get::<Promotion>(new.name());
    let before =
        old.is_some_and(|old| old.spec.asked == spec.asked && old.spec.emergency == spec.emergency);
    let is_in = old.is_some_and(|old| old.status.admitted_at.is_some());
    if before || !(spec.asked || spec.emergency.is_some()) {
        return None;
    }
    let release = world.get::<Release>(&spec.release)?;
    let environment = world.get::<Environment>(&spec.environment)?;
    if let Some(vetoed) = admission::vetoed(release) {
        return Some(vetoed);
    }
    if !is_in {
        let entry = checks::Entry { cx: case.cx, spec, release, environment };
        let refused = |check: &&Check| check.state == CheckState::Refused;
        if let Some(refused) = entry.checks().iter().find(refused) {
            return checks::as_reason(refused);
        }
    }
    let deployment = format!("{}.{}", spec.application, spec.environment);
    let deployment = world.get::<Deployment>(&deployment).filter(|_| spec.emergency.is_some())?;
    admission::pinned(deployment, release.name())
}

//! Entry into environments: no instance is put on a release that may not run there, and nobody
//! points a deployment at one that never may. What is asked, and of whom, stands with `delivery`.

use std::collections::BTreeMap;

use atoll_model::{Any, Deployment, Environment, Instance, Object, Reason, Release};

use super::{Case, Opinion};
use crate::delivery::admission;

/// **Invariant:** a release never runs in an environment that asks for what it lacks, and a vetoed
/// one is put nowhere.
pub(super) fn entry(case: &Case) -> Opinion {
    if case.is_edit() {
        let objections: Vec<Reason> = case.puts().filter_map(|any| edited(case, any)).collect();
        return objections.into();
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
fn edited(case: &Case, any: &Any) -> Option<Reason> {
    let Any::Deployment(new) = any else { return None };
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

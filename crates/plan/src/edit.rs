//! How people's writes become plans: what they send is completed with what is not theirs to
//! write. Whether the change is permitted is decided by the gate, not here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::decision::OVERRIDES;
use atoll_model::deployment::RETRY_ANNOTATION;
use atoll_model::{
    Any, Application, Deployment, Environment, Instance, Intent, Item, Kind, Network, Notification,
    Object, Promotion, Reason, Release, Task, Write, many,
};

use crate::delivery::used_releases;
use crate::{Context, Plan, alerting, elasticity};

mod earlier;
mod kept;
mod number;
mod unfollowed;

pub use earlier::{at_revision, earlier};
pub(crate) use number::is_said;
pub use number::said;
pub(crate) use unfollowed::release_named;

/// Takes an object back to what it was: `past`, as it was kept then. Annotations are no target:
/// they stay as they are, with those that are `said` of this change.
///
/// # Errors
/// As [`apply`].
pub fn revert(
    cx: &Context,
    mut past: Any,
    said: &BTreeMap<String, String>,
) -> Result<Plan, Vec<Reason>> {
    let target = past.meta().revision;
    let present = cx.world.find(past.kind(), past.name());
    let annotations = &mut past.meta_mut().annotations;
    match &present {
        Some(present) => annotations.clone_from(&present.meta().annotations),
        // What let one change through then says nothing of this one.
        None => OVERRIDES.iter().for_each(|(_, name)| drop(annotations.remove(*name))),
    }
    annotations.extend(said.clone());
    past.meta_mut().revision = 0;
    // What was given out since then stays so, as where a manifest is applied.
    // Of a configuration, what policies have set since is taken back too.
    if past.kind() != Kind::Config {
        past.meta_mut().generation = 0;
    }
    past.meta_mut().deleted_at = None;
    if let Any::Deployment(deployment) = &mut past
        && let Some(scaled) = deployment.status.scaled
        && scaled.declared == deployment.spec.instances
        && elasticity::kept(cx.world, deployment.name()).is_none()
    {
        // There were as many as its autoscaler had left, and nobody had said otherwise since.
        Arc::make_mut(deployment).spec.instances = scaled.instances;
    }
    let mut plan = apply(cx, vec![past])?;
    plan.intent = Intent::Revert;
    plan.reasons.push(Reason::new("revert", format!("taken back to revision {target}")));
    plan.reasons.extend(unfollowed::held(present.as_ref(), &plan.writes));
    plan.reasons.extend(unfollowed::freed(cx.world, present.as_ref(), &plan.writes));
    Ok(plan)
}

/// Turns manifests into a plan that creates or updates their objects, all or none. Objects that
/// would not change are left out.
///
/// # Errors
/// What cannot be done at all: two manifests of one object, a change of what never changes, a
/// change of what is being deleted.
pub fn apply(cx: &Context, objects: Vec<Any>) -> Result<Plan, Vec<Reason>> {
    let mut plan = Plan::new(Intent::Edit);
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
    for any in objects {
        let id = any.id();
        if !seen.insert(id.clone()) {
            wrong.push(Reason::new("duplicate", format!("{id} is given twice")));
            continue;
        }
        let done = match cx.world.find(any.kind(), any.name()) {
            Some(stored) => {
                let (any, kept) = kept::with_taken(cx.world, any);
                plan.reasons.extend(kept);
                update(&stored, any)
            }
            None => create(cx, any, &mut numbers).map(Some),
        };
        match done {
            Ok(any) => {
                plan.writes.extend(any.map(Write::Put));
            }
            Err(reason) => wrong.push(reason),
        }
    }
    plan.reasons.extend(unfollowed::unfollowed(cx.world, &plan.writes));
    if wrong.is_empty() { Ok(plan) } else { Err(wrong) }
}

fn create(cx: &Context, any: Any, numbers: &mut BTreeMap<String, u64>) -> Result<Any, Reason> {
    let mut any = any.with_fresh_status();
    if any.kind() == Kind::Instance {
        let message = format!("{} is made by its deployment, not by hand", any.id());
        return Err(Reason::new("not-yours", message).hint("scale the deployment"));
    }
    if let Any::Release(release) = &mut any {
        let release = Arc::make_mut(release);
        number(cx, release, numbers)?;
    }
    let meta = any.meta_mut();
    meta.generation = 1;
    meta.created_at = Some(cx.now);
    meta.deleted_at = None;
    Ok(any)
}

/// Gives a release its number: one more than the newest.
fn number(
    cx: &Context,
    release: &mut Object<Release>,
    numbers: &mut BTreeMap<String, u64>,
) -> Result<(), Reason> {
    let application = &release.spec.application;
    let newest = cx.world.last_number(application);
    let last = numbers.entry(application.clone()).or_insert(newest);
    if release.spec.number == 0 {
        release.spec.number = *last + 1;
    } else if release.spec.number <= *last {
        let message = format!(
            "release/{} has number {}, and {application} is at {last} already",
            release.name(),
            release.spec.number
        );
        return Err(Reason::new("release-number", message).hint("leave spec.number out"));
    }
    *last = release.spec.number;
    Ok(())
}

fn update(stored: &Any, any: Any) -> Result<Option<Any>, Reason> {
    let mut new = any.with_status_of(stored);
    if let (Any::Release(new), Any::Release(old)) = (&mut new, stored)
        && new.spec.number == 0
    {
        Arc::make_mut(new).spec.number = old.spec.number;
    }
    if let (Any::Deployment(new), Any::Deployment(old)) = (&mut new, stored) {
        take_back_abort(Arc::make_mut(new), old);
    }
    keep_sealed(&mut new, stored);
    let changes = !new.same_spec(stored);
    let id = new.id();
    if changes && matches!(new.kind(), Kind::Release | Kind::Package) && !is_veto(&new, stored) {
        return Err(Reason::new("immutable", format!("{id} never changes once it is made"))
            .hint("make a new one under another name"));
    }
    if changes && new.kind() == Kind::Instance {
        return Err(Reason::new("not-yours", format!("{id} is changed by its deployment"))
            .hint("change the deployment; an instance may be deleted to be made anew"));
    }
    if changes && stored.meta().deleting() && !is_of_provider(&new, stored) {
        return Err(Reason::new("deleting", format!("{id} is being deleted"))
            .hint("apply it again once it is gone"));
    }
    let (old, meta) = (stored.meta(), new.meta_mut());
    let changes = changes || meta.labels != old.labels || meta.annotations != old.annotations;
    // A revision that was read guards against lost updates of the target; statuses that were
    // written since then do not count.
    let read = meta.revision;
    let same_target = meta.generation == old.generation;
    meta.revision = if read == 0 || same_target { old.revision } else { read };
    meta.generation = old.generation + u64::from(changes);
    meta.created_at = old.created_at;
    meta.deleted_at = old.deleted_at;
    Ok((new != *stored).then_some(new))
}

/// Whether nothing but the provider of a pool is changed: one that answers nothing keeps a pool
/// from going.
fn is_of_provider(new: &Any, stored: &Any) -> bool {
    let (Any::Pool(new), Any::Pool(stored)) = (new, stored) else { return false };
    let mut same = new.spec.clone();
    same.provider.clone_from(&stored.spec.provider);
    same == stored.spec
}

/// What only the server may give is kept by a manifest that leaves it out.
fn keep_sealed(new: &mut Any, stored: &Any) {
    match (new, stored) {
        (Any::User(new), Any::User(old)) if new.spec.password.is_none() => {
            Arc::make_mut(new).spec.password.clone_from(&old.spec.password);
        }
        (Any::Secret(new), Any::Secret(old)) if new.spec.sealed.is_none() => {
            Arc::make_mut(new).spec.sealed.clone_from(&old.spec.sealed);
        }
        (Any::Network(new), Any::Network(old)) if new.meta.generation == 0 => {
            // A manifest does not know to whom addresses were given since it was written; whoever
            // gives one back has read the network, or says so in a patch.
            let kept = old.spec.assigned.iter().map(|(address, to)| (*address, to.clone()));
            let new = Arc::make_mut(new);
            for (address, to) in kept {
                new.spec.assigned.entry(address).or_insert(to);
            }
        }
        _ => {}
    }
}

/// Whether nothing but the veto of a release changes.
pub(crate) fn is_veto(new: &Any, old: &Any) -> bool {
    match (new, old) {
        (Any::Release(new), Any::Release(old)) => new.spec.unchanging() == old.spec.unchanging(),
        _ => false,
    }
}

/// Whoever asks for a release that was given up no longer gives it up.
fn take_back_abort(new: &mut Object<Deployment>, old: &Object<Deployment>) {
    let retry = |of: &Object<Deployment>| of.meta.annotations.get(RETRY_ANNOTATION).cloned();
    let asks = new.spec.release != old.spec.release || retry(new) != retry(old);
    let same = new.spec.release.is_none() || new.spec.aborted == new.spec.release;
    if asks && same && new.spec.aborted == old.spec.aborted {
        new.spec.aborted = None;
    }
}

/// Turns a deletion into a plan: at once where nothing hangs on the object, otherwise by asking
/// its planner to clear away first. Deleting twice is deleting once.
///
/// # Errors
/// There is no such object, or others are in need of it.
pub fn remove(cx: &Context, kind: Kind, name: &str) -> Result<Plan, Vec<Reason>> {
    let Some(stored) = cx.world.find(kind, name) else {
        let message = format!("there is no {}/{name}", kind.lower());
        return Err(vec![Reason::new("not-found", message)]);
    };
    let mut plan = Plan::new(Intent::Edit);
    if stored.meta().deleting() {
        plan.reasons.push(Reason::new("deleting", format!("{} is being deleted", stored.id())));
        return Ok(plan);
    }
    let waits = match kind {
        Kind::Instance => true,
        Kind::Deployment => cx.world.derived::<Instance>(name).next().is_some(),
        Kind::Application => {
            cx.world.derived::<Deployment>(name).next().is_some() || cx.world.last_number(name) > 0
        }
        Kind::Run | Kind::Job => cx.world.derived::<Task>(name).next().is_some(),
        Kind::Host => cx.world.usage(name).is_some(),
        Kind::Pool => matches!(&stored, Any::Pool(pool) if !pool.status.machines.is_empty()),
        Kind::Environment => {
            cx.world.all::<Deployment>().any(|deployment| deployment.spec.environment == name)
        }
        Kind::Rule => alerting::rule::alerts_of(cx.world, name).next().is_some(),
        Kind::Receiver => cx.world.derived::<Notification>(name).next().is_some(),
        _ => false,
    };
    let users = users(cx, &stored);
    if !users.is_empty() {
        let message = format!("{} is used by {}", stored.id(), users.join(", "));
        return Err(vec![Reason::new("in-use", message)]);
    }
    plan.reasons.extend(made_again(cx, &stored));
    plan.reasons.extend(goes_with(cx, &stored));
    plan.writes.push(if waits {
        let mut new = stored;
        new.meta_mut().deleted_at = Some(cx.now);
        Write::Put(new)
    } else {
        Write::Delete { kind, name: name.to_owned(), revision: stored.meta().revision }
    });
    Ok(plan)
}

/// What is lost beside an object: deployments, and what their instances keep in volumes.
fn goes_with(cx: &Context, stored: &Any) -> Vec<Reason> {
    const NAMED: usize = 5;
    let inside = |deployment: &&Arc<Object<Deployment>>| match stored {
        Any::Environment(environment) => deployment.spec.environment == environment.name(),
        Any::Application(application) => deployment.spec.application == application.name(),
        Any::Deployment(only) => deployment.name() == only.name(),
        _ => false,
    };
    let concerned = matches!(stored.kind(), Kind::Environment | Kind::Application);
    if !concerned && stored.kind() != Kind::Deployment {
        return Vec::new();
    }
    let (mut names, mut volumes, mut instances) = (Vec::new(), BTreeSet::new(), 0);
    for deployment in cx.world.all::<Deployment>().filter(inside) {
        names.push(deployment.name());
        for instance in cx.world.derived::<Instance>(deployment.name()) {
            let Some(release) = cx.world.get::<Release>(&instance.spec.release) else { continue };
            let kept = release.spec.run.volumes.iter();
            volumes.extend(kept.map(|v| format!("{} of {}", v.name, deployment.name())));
            instances += usize::from(!release.spec.run.volumes.is_empty());
        }
    }
    let named = |all: Vec<&str>| match all.len().saturating_sub(NAMED) {
        0 => all.join(", "),
        more => format!("{} and {more} more", all[..NAMED].join(", ")),
    };
    let mut reasons = Vec::new();
    if concerned && !names.is_empty() {
        let what = many(names.len(), "deployment");
        let message = format!("with it goes what it holds, {what}: {}", named(names));
        reasons.push(Reason::new("goes-with-it", message));
    }
    let records = cx.world.all::<Promotion>().filter(|promotion| match stored {
        Any::Environment(environment) => promotion.spec.environment == environment.name(),
        Any::Application(application) => promotion.spec.application == application.name(),
        _ => false,
    });
    let records = records.count();
    if records > 0 {
        let what = many(records, "promotion");
        let message = format!("with it goes the record of {what}, of which figures are made");
        let hint = "see them while they are there: atoll delivery; the audit keeps each step";
        reasons.push(Reason::new("figures-go", message).hint(hint));
    }
    if !volumes.is_empty() {
        let what = named(volumes.iter().map(String::as_str).collect());
        let of = many(instances, "instance");
        let message = format!("what {of} kept in volumes is removed: {what}");
        let hint = "nothing brings it back: copy what is needed before the instances are gone";
        reasons.push(Reason::new("volumes-removed", message).hint(hint));
    }
    reasons
}

fn users(cx: &Context, stored: &Any) -> Vec<String> {
    match stored {
        Any::Release(release) => {
            let application = &release.spec.application;
            let used = used_releases(cx.world, application).contains(release.name());
            used.then(|| format!("a deployment of {application}")).into_iter().collect()
        }
        Any::Package(package) => {
            let uses = |release: &&Arc<Object<Release>>| {
                let of = release.spec.package.as_ref();
                of.is_some_and(|of| of.digest == package.spec.digest)
            };
            cx.world.all::<Release>().filter(uses).map(|r| Any::Release(r.clone()).id()).collect()
        }
        Any::Config(config) => {
            let names = |a: &&Arc<Object<Application>>| {
                a.spec.config.dynamic.iter().any(|name| name == config.name())
            };
            let all = cx.world.all::<Application>().filter(names);
            all.map(|a| Any::Application(a.clone()).id()).collect()
        }
        Any::ItemType(class) => {
            let of = |item: &&Arc<Object<Item>>| item.spec.of == *class.name();
            let count = cx.world.all::<Item>().filter(of).count();
            (count > 0).then(|| many(count, "item")).into_iter().collect()
        }
        Any::Network(network) => {
            let within =
                |n: &&Arc<Object<Network>>| n.spec.parent.as_deref() == Some(network.name());
            let all = cx.world.all::<Network>().filter(within);
            all.map(|n| Any::Network(n.clone()).id()).collect()
        }
        Any::Environment(environment) => {
            let name = environment.name();
            let later = cx.world.all::<Environment>();
            let later = later.filter(|e| e.spec.after.as_deref() == Some(name));
            later.map(|e| Any::Environment(e.clone()).id()).collect()
        }
        _ => Vec::new(),
    }
}

/// A deployment is derived from an application and an environment, so deleting it alone only
/// makes it anew.
fn made_again(cx: &Context, stored: &Any) -> Option<Reason> {
    match stored {
        Any::Deployment(deployment) => {
            let (name, environment) = (&deployment.spec.application, &deployment.spec.environment);
            let application = cx.world.get::<Application>(name)?;
            let there = cx.world.get::<Environment>(environment)?;
            let wanted = application.spec.environments.as_ref();
            let goes = wanted.is_none_or(|all| all.contains(environment));
            let stays = goes && !application.meta.deleting() && !there.meta.deleting();
            stays.then(|| {
                let message = format!("{name} goes to {environment}, so it is made anew, empty");
                Reason::new("made-again", message).hint(format!(
                    "to be rid of it, leave {environment} out of the application's environments"
                ))
            })
        }
        Any::Host(host) => {
            let count = cx.world.instances_on(host.name()).count();
            let lost = host.status.phase == HostPhase::Unknown;
            let how = if lost { "go with it" } else { "move away first" };
            let message = format!("{count} instances of {} {how}", host.name());
            (count > 0).then(|| Reason::new("moves", message))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::Timestamp;
    use atoll_model::decision::OVERRIDE_ANNOTATION;

    use super::*;
    use crate::Measurements;
    use crate::testing::{instance, world};

    #[test]
    fn what_goes_with_what_is_deleted_is_told() {
        let read = |kind: &str, name: &str, spec: &str| {
            let head = format!(r#""apiVersion":"atoll/v1","kind":"{kind}""#);
            let text = format!(r#"{{{head},"metadata":{{"name":"{name}"}},"spec":{spec}}}"#);
            Any::from_json(&text).unwrap()
        };
        let place = r#"{"application":"web","environment":"lab"}"#;
        let release = r#"{"application":"web","number":1,"image":"web:1",
            "run":{"volumes":[{"name":"data","path":"/data"}]}}"#;
        let promotion = r#"{"application":"web","release":"web-1","environment":"lab"}"#;
        let world = world([
            read("Environment", "lab", "{}"),
            read("Environment", "empty", "{}"),
            read("Deployment", "web.lab", place),
            read("Release", "web-1", release),
            instance("web.lab.0", "h0"),
            read("Promotion", "web-1.lab", promotion),
        ]);
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: Timestamp(0) };
        let told = |kind: Kind, name: &str| -> Vec<String> {
            let plan = remove(&cx, kind, name).unwrap();
            plan.reasons.into_iter().map(|reason| reason.message).collect()
        };
        let volumes = "what 1 instance kept in volumes is removed: data of web.lab";
        let deployments = "with it goes what it holds, 1 deployment: web.lab";
        let record = "with it goes the record of 1 promotion, of which figures are made";
        assert_eq!(told(Kind::Environment, "lab"), [deployments, record, volumes]);
        assert_eq!(told(Kind::Deployment, "web.lab"), [volumes]);
        assert!(told(Kind::Environment, "empty").is_empty());
    }
    #[test]
    fn what_is_taken_back_keeps_its_annotations_and_says_that_it_follows_no_more() {
        let deployment = |revision: u64, release: Option<&str>, annotations: serde_json::Value| {
            let value = serde_json::json!({
                "apiVersion": "atoll/v1", "kind": "Deployment",
                "metadata": {
                    "name": "web.lab", "revision": revision, "annotations": annotations,
                },
                "spec": {
                    "application": "web", "environment": "lab", "instances": 2, "release": release,
                },
            });
            Any::from_json(&value.to_string()).unwrap()
        };
        let then = serde_json::json!({ "team": "one", OVERRIDE_ANNOTATION: "fire" });
        let past = || deployment(3, Some("web-1"), then.clone());
        let measured = Measurements::default();
        let back = |present: Option<Any>, said: &[(&str, &str)]| {
            let mut world = world([]);
            if let Some(write) = present.map(Write::Put) {
                crate::follow::apply(&mut world, &write);
            }
            let cx = Context { world: &world, measured: &measured, now: Timestamp(0) };
            let said = said.iter().map(|(name, why)| (String::from(*name), String::from(*why)));
            let plan = revert(&cx, past(), &said.collect()).unwrap();
            let Some(Write::Put(new)) = plan.writes.into_iter().next() else { panic!() };
            let told: Vec<String> = plan.reasons.into_iter().map(|reason| reason.code).collect();
            (new.meta().annotations.clone(), told)
        };
        let all = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, why)| (String::from(*name), String::from(*why))).collect()
        };
        let now = || Some(deployment(7, None, serde_json::json!({ "team": "two" })));
        let (kept, told) = back(now(), &[]);
        assert_eq!(kept, all(&[("team", "two")]));
        assert_eq!(told, ["revert", "release-named"]);
        let said = (OVERRIDE_ANNOTATION, "flood");
        assert_eq!(back(now(), &[said]).0, all(&[("team", "two"), said]));
        assert_eq!(back(None, &[]).0, all(&[("team", "one")]));
        let pinned = deployment(7, Some("web-1"), serde_json::json!({ "team": "two" }));
        let mut more = pinned;
        if let Any::Deployment(more) = &mut more {
            Arc::make_mut(more).spec.instances = 5;
        }
        assert_eq!(back(Some(more), &[]).1, ["revert"], "it was held there before");
    }

    #[test]
    fn what_is_taken_back_to_following_releases_is_told_which_is_the_newest() {
        let read = |kind: &str, name: &str, spec: serde_json::Value| {
            let value = serde_json::json!({
                "apiVersion": "atoll/v1", "kind": kind,
                "metadata": { "name": name, "revision": 3 }, "spec": spec,
            });
            Any::from_json(&value.to_string()).unwrap()
        };
        let deployment = |release: Option<&str>| {
            let spec = serde_json::json!({
                "application": "web", "environment": "lab", "release": release,
            });
            read("Deployment", "web.lab", spec)
        };
        let newest = serde_json::json!({
            "application": "web", "number": 4, "image": "web", "run": {},
        });
        let world = world([read("Release", "web-4", newest), deployment(Some("web-1"))]);
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: Timestamp(0) };
        let told = |past: Any| -> Vec<String> {
            let plan = revert(&cx, past, &BTreeMap::new()).unwrap();
            plan.reasons.into_iter().skip(1).map(|reason| reason.message).collect()
        };
        assert_eq!(told(deployment(None)), ["web.lab follows releases: web-4 is the newest"]);
        assert_eq!(told(deployment(Some("web-1"))), [""; 0]);
    }

    #[test]
    fn what_is_taken_back_has_as_many_as_its_autoscaler_had_left() {
        let deployment = |instances: u32, scaled: serde_json::Value| {
            let value = serde_json::json!({
                "apiVersion": "atoll/v1", "kind": "Deployment",
                "metadata": { "name": "web.lab", "revision": 3, "generation": 1 },
                "spec": { "application": "web", "environment": "lab", "instances": instances },
                "status": scaled,
            });
            Any::from_json(&value.to_string()).unwrap()
        };
        let world = world([deployment(9, serde_json::json!({}))]);
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: Timestamp(0) };
        let back = |instances: u32, declared: u32| {
            let scaled = serde_json::json!({ "scaled": { "instances": 6, "declared": declared } });
            let plan = revert(&cx, deployment(instances, scaled), &BTreeMap::new()).unwrap();
            match &plan.writes[..] {
                [Write::Put(Any::Deployment(new))] => new.spec.instances,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(back(2, 2), 6);
        assert_eq!(back(4, 2), 4, "somebody had said how many since");
    }
}

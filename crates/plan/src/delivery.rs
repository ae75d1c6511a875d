//! From an application to its releases and its deployments. It never touches what runs: a new
//! release waits for the deployments to take it up.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::cmdb::ApplicationStatus;
use atoll_model::decision::OVERRIDE_ANNOTATION;
use atoll_model::{
    Any, Application, Deployment, Environment, Instance, Intent, Kind, Meta, Object, Package,
    Pipeline, Promotion, Reason, Release, Snapshot, Write,
};

use crate::{Context, Plan};
use admission::promotion_name;

pub(crate) mod admission;
pub(crate) mod checks;
pub(crate) mod ephemeral;
pub mod figures;
pub mod journey;
pub mod package;
pub mod promotion;

/// So many releases of an application are kept, besides those in use.
const KEPT_RELEASES: usize = 50;

/// Plans for one application.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(application) = cx.world.get::<Application>(name) else { return Plan::nothing() };
    if application.meta.deleting() {
        return remove(cx, application);
    }
    let mut plan = Plan::nothing();
    let mut status = ApplicationStatus {
        observed_generation: application.meta.generation,
        release: application.status.release.clone(),
        reasons: Vec::new(),
    };
    release(cx, application, &mut status, &mut plan);
    deployments(cx, application, &mut status, &mut plan);
    ephemeral::environments(cx, application, &mut plan);
    promotions(cx, application, &mut plan);
    prune(cx, application, &mut plan);
    // An override of a freeze is for one change; this one is taken up now.
    let overrides = application.meta.annotations.contains_key(OVERRIDE_ANNOTATION);
    if status != application.status || overrides {
        let mut new = Object::clone(application);
        new.status = status;
        new.meta.annotations.remove(OVERRIDE_ANNOTATION);
        plan.writes.push(Write::Put(Any::Application(Arc::new(new))));
    }
    plan
}

/// The applications a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Application(application)) => vec![application.meta.name.clone()],
        Some(Any::Release(release)) => vec![release.spec.application.clone()],
        Some(Any::Deployment(deployment)) => {
            let heads = |any: Option<&Any>| match any {
                Some(Any::Deployment(d)) => {
                    let to = d.status.rollout.as_ref().map(|rollout| rollout.to.clone());
                    Some((d.spec.release.clone(), to))
                }
                _ => None,
            };
            let moves = new.is_none() || heads(old) != heads(new);
            moves.then(|| deployment.spec.application.clone()).into_iter().collect()
        }
        Some(Any::Package(package)) => {
            let wanted = format!("{}:{}", package.spec.name, package.spec.version);
            let waits = |a: &&Arc<Object<Application>>| a.spec.package.as_ref() == Some(&wanted);
            world.all::<Application>().filter(waits).map(|a| a.meta.name.clone()).collect()
        }
        Some(Any::Pipeline(pipeline)) => {
            let named = pipeline.spec.application.clone();
            vec![named.unwrap_or_else(|| pipeline.meta.name.clone())]
        }
        Some(Any::Environment(environment)) => world
            .all::<Application>()
            .filter(|a| environment.spec.template.is_some() || goes_to(a, environment))
            .map(|a| a.meta.name.clone())
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether the application is deployed to an environment.
pub(crate) fn goes_to(
    application: &Object<Application>,
    environment: &Object<Environment>,
) -> bool {
    if let Some(ephemeral) = &environment.spec.ephemeral {
        return ephemeral.application == *application.name();
    }
    let named = application.spec.environments.as_ref();
    environment.spec.template.is_none()
        && named.is_none_or(|all| all.iter().any(|e| e == environment.name()))
}

/// The newest release of a branch that is not the one releases for environments come from.
pub(crate) fn newest_of_branch<'a>(
    world: &'a Snapshot,
    application: &str,
    branch: &str,
) -> Option<&'a Arc<Object<Release>>> {
    let of_it = |release: &&Arc<Object<Release>>| release.spec.branch.as_deref() == Some(branch);
    world.releases_of(application).filter(of_it).last()
}

/// Makes a release when the content of the application is not that of the last one made of it.
fn release(
    cx: &Context,
    application: &Object<Application>,
    status: &mut ApplicationStatus,
    plan: &mut Plan,
) {
    let (package, image) = match package(cx, application) {
        Ok(Some(package)) => (Some(package.reference()), package.image_reference()),
        Ok(None) => (None, None),
        Err(reason) => return status.reasons.push(reason),
    };
    let newest = cx.world.newest_release(application.name());
    let last = status.release.as_ref().and_then(|name| cx.world.get::<Release>(name)).or(newest);
    let number = cx.world.last_number(application.name()) + 1;
    let wanted = Release {
        application: application.meta.name.clone(),
        number,
        package,
        image: image.or_else(|| application.spec.image.clone()),
        run: application.spec.run.clone(),
        config: application.spec.config.fixed.clone(),
        overrides: application.spec.config.environments.clone(),
        branch: None,
        veto: None,
        notes: String::new(),
    };
    if let Some(last) = last.filter(|last| last.spec.same_content(&wanted)) {
        status.release = Some(last.meta.name.clone());
        return;
    }
    let names = (number..).map(|n| (n, format!("{}-{n}", application.name())));
    let Some((number, name)) =
        names.into_iter().find(|(_, n)| cx.world.get::<Release>(n).is_none())
    else {
        return;
    };
    plan.reasons.push(Reason::new("released", format!("{} changed: {name}", application.name())));
    status.release = Some(name.clone());
    let mut new = Object::new(name, Release { number, ..wanted });
    new.meta.generation = 1;
    new.meta.created_at = Some(cx.now);
    plan.writes.push(Write::Put(Any::Release(Arc::new(new))));
}

fn package<'a>(
    cx: &Context<'a>,
    application: &Object<Application>,
) -> Result<Option<&'a Package>, Reason> {
    let Some(wanted) = &application.spec.package else { return built(cx.world, application) };
    let (name, version) = wanted.split_once(':').unwrap_or((wanted, ""));
    match cx.world.get::<Package>(&Package::object_name(name, version)) {
        Some(package) => Ok(Some(&package.spec)),
        None => Err(Reason::new("package-missing", format!("there is no package {wanted}"))
            .hint(format!("push it: atoll package push {wanted} PATH"))),
    }
}

/// The package of an application that names none: where a pipeline makes its releases, the last one
/// made, since the manifest in the repository cannot name what is made of it.
fn built<'a>(
    world: &'a Snapshot,
    application: &Object<Application>,
) -> Result<Option<&'a Package>, Reason> {
    let name = application.name();
    let makes = |pipeline: &&Arc<Object<Pipeline>>| {
        let of = pipeline.spec.application.as_deref().unwrap_or(pipeline.name());
        // Steps that stand in the repository only may make one.
        let mut steps = pipeline.spec.steps.iter();
        of == name && (pipeline.spec.steps.is_empty() || steps.any(|step| step.release.is_some()))
    };
    let Some(pipeline) = world.all::<Pipeline>().find(makes) else { return Ok(None) };
    if application.spec.image.is_some() {
        return Ok(None);
    }
    let last = world.newest_release(name);
    let package = last.and_then(|release| release.spec.package.as_ref());
    if last.is_some() && package.is_none() {
        // It ran the host's own programs before it had a pipeline.
        return Ok(None);
    }
    let object = package.map(|last| Package::object_name(&last.name, &last.version));
    match object.and_then(|object| world.get::<Package>(&object)) {
        Some(package) => Ok(Some(&package.spec)),
        None => {
            let pipeline = pipeline.name();
            let message = format!("pipeline/{pipeline} has made no package of {name} yet");
            let hint = format!("push a commit, or run it: atoll pipeline run {pipeline}");
            Err(Reason::new("package-missing", message).hint(hint))
        }
    }
}

/// Makes the deployments that are missing, and asks for the deletion of those whose environment
/// is being deleted.
fn deployments(
    cx: &Context,
    application: &Object<Application>,
    status: &mut ApplicationStatus,
    plan: &mut Plan,
) {
    for environment in cx.world.all::<Environment>() {
        let name = format!("{}.{}", application.name(), environment.name());
        let there = cx.world.get::<Deployment>(&name);
        if let Some(there) = there {
            if environment.meta.deleting() && !there.meta.deleting() {
                plan.writes.push(ask_deletion(cx, there));
            }
        } else if goes_to(application, environment) && !environment.meta.deleting() {
            plan.reasons.push(Reason::new("deployed", format!("{name} is to be")));
            plan.writes.push(new_deployment(cx, application, environment.name(), name));
        }
    }
    // Whoever names one twice is told so as it is applied.
    let named: BTreeSet<&String> = application.spec.environments.iter().flatten().collect();
    for environment in named {
        if cx.world.get::<Environment>(environment).is_none() {
            let reason =
                Reason::new("environment-missing", format!("no environment {environment}"))
                    .hint("apply it, or take it out of spec.environments");
            status.reasons.push(reason);
        }
    }
}

fn new_deployment(
    cx: &Context,
    application: &Object<Application>,
    environment: &str,
    name: String,
) -> Write {
    let spec = Deployment {
        application: application.meta.name.clone(),
        environment: environment.to_owned(),
        release: None,
        pin: None,
        instances: application.spec.scaling.as_ref().map_or(1, |scaling| scaling.min),
        paused: false,
        promoted: None,
        aborted: None,
    };
    let mut new = Object::new(name, spec);
    new.meta.generation = 1;
    new.meta.created_at = Some(cx.now);
    Write::Put(Any::Deployment(Arc::new(new)))
}

/// Makes the records of releases and their environments that are missing: where something is asked
/// of a release, before it enters; elsewhere, once it does.
fn promotions(cx: &Context, application: &Object<Application>, plan: &mut Plan) {
    for environment in cx.world.all::<Environment>().filter(|e| goes_to(application, e)) {
        let name = format!("{}.{}", application.name(), environment.name());
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        if environment.spec.has_rules() {
            wanted.extend(cx.world.newest_release(application.name()).map(|r| r.meta.name.clone()));
        }
        if let Some(deployment) = cx.world.get::<Deployment>(&name) {
            let (spec, is) = (&deployment.spec, &deployment.status);
            let heads = is.rollout.as_ref().filter(|rollout| !rollout.back);
            wanted.extend(spec.release.iter().chain(heads.map(|rollout| &rollout.to)).cloned());
        }
        for release in wanted {
            let name = promotion_name(&release, environment.name());
            let known = cx.world.get::<Release>(&release).is_some();
            if known && cx.world.get::<Promotion>(&name).is_none() {
                let spec = Promotion {
                    application: application.meta.name.clone(),
                    release,
                    environment: environment.meta.name.clone(),
                    asked: false,
                    emergency: None,
                };
                let mut new = Object::new(name, spec);
                new.meta.generation = 1;
                new.meta.created_at = Some(cx.now);
                plan.writes.push(Write::Put(Any::Promotion(Arc::new(new))));
            }
        }
    }
}

fn ask_deletion(cx: &Context, deployment: &Arc<Object<Deployment>>) -> Write {
    let mut new = Object::clone(deployment);
    new.meta.deleted_at = Some(cx.now);
    Write::Put(Any::Deployment(Arc::new(new)))
}

/// Deployments go first, then releases, and the application last.
fn remove(cx: &Context, application: &Object<Application>) -> Plan {
    let mut plan = Plan::new(Intent::Remove);
    let deployments: Vec<_> = cx.world.derived::<Deployment>(application.name()).collect();
    if !deployments.is_empty() {
        let alive = deployments.into_iter().filter(|d| !d.meta.deleting());
        plan.writes.extend(alive.map(|d| ask_deletion(cx, d)));
        return plan;
    }
    let releases = cx.world.releases_of(application.name());
    plan.writes.extend(releases.map(|r| delete(Kind::Release, &r.meta)));
    plan.writes.push(delete(Kind::Application, &application.meta));
    plan
}

fn delete(kind: Kind, meta: &Meta) -> Write {
    Write::Delete { kind, name: meta.name.clone(), revision: meta.revision }
}

/// Deletes the oldest releases nobody uses.
fn prune(cx: &Context, application: &Object<Application>, plan: &mut Plan) {
    let count = cx.world.releases_of(application.name()).count();
    if count <= KEPT_RELEASES {
        return;
    }
    let used = used_releases(cx.world, application.name());
    let oldest = cx.world.releases_of(application.name()).take(count - KEPT_RELEASES);
    let unused = oldest.filter(|release| !used.contains(release.name()));
    plan.writes.extend(unused.map(|release| delete(Kind::Release, &release.meta)));
}

/// The releases of an application that a deployment or an instance names.
pub(crate) fn used_releases<'a>(world: &'a Snapshot, application: &str) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    for deployment in world.derived::<Deployment>(application) {
        let (spec, status) = (&deployment.spec, &deployment.status);
        let named = [&spec.release, &spec.promoted, &spec.aborted, &status.release];
        let good = [&status.last_good, &status.good_before];
        used.extend(named.into_iter().chain(good).flatten().map(String::as_str));
        used.extend(status.failed.as_ref().map(|failed| failed.release.as_str()));
        used.extend(status.rollout.as_ref().map(|rollout| rollout.to.as_str()));
        for instance in world.derived::<Instance>(deployment.name()) {
            used.insert(instance.spec.release.as_str());
            used.extend(instance.spec.prefetch.as_deref());
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Sim;
    use atoll_model::Span;

    fn application(version: &str) -> Any {
        let object = serde_json::json!({
            "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "web" },
            "spec": { "run": { "command": ["x"], "env": { "V": version } }, "environments": [] },
        });
        Any::from_value(object).unwrap()
    }

    fn names(sim: &Sim) -> Vec<String> {
        sim.world.releases_of("web").map(|release| release.meta.name.clone()).collect()
    }

    fn apply(sim: &mut Sim, any: Any) {
        sim.apply(vec![any]).unwrap();
        assert!(sim.settle(Span::seconds(3600)));
    }

    #[test]
    fn a_release_is_made_of_what_changed_only() {
        let mut sim = Sim::new(1);
        apply(&mut sim, application("1"));
        apply(&mut sim, application("1"));
        apply(&mut sim, application("2"));
        // What was before is new again: whoever follows the newest is to go back.
        apply(&mut sim, application("1"));
        assert_eq!(names(&sim), ["web-1", "web-2", "web-3"]);
    }

    #[test]
    fn a_release_made_by_hand_is_not_overruled() {
        let mut sim = Sim::new(1);
        apply(&mut sim, application("1"));
        let mut by_hand = Object::clone(sim.world.newest_release("web").unwrap());
        by_hand.meta = Meta::named("web-hot");
        by_hand.spec.number = 0;
        by_hand.spec.run.command.push("--fix".to_owned());
        apply(&mut sim, Any::Release(Arc::new(by_hand)));
        let mut scaled = application("1");
        if let Any::Application(object) = &mut scaled {
            Arc::make_mut(object).spec.owner = Some("team/web".to_owned());
        }
        apply(&mut sim, scaled);
        assert_eq!(names(&sim), ["web-1", "web-hot"]);
        apply(&mut sim, application("2"));
        assert_eq!(names(&sim), ["web-1", "web-hot", "web-3"]);
    }

    #[test]
    fn old_releases_go_unless_they_are_used() {
        let mut sim = Sim::new(1);
        apply(&mut sim, application("1"));
        apply(&mut sim, Any::Environment(Arc::new(Object::new("prod", Environment::default()))));
        let spec = serde_json::json!({
            "apiVersion": "atoll/v1", "kind": "Deployment", "metadata": { "name": "web.prod" },
            "spec": { "application": "web", "environment": "prod", "release": "web-1" },
        });
        apply(&mut sim, Any::from_value(spec).unwrap());
        for version in 2..KEPT_RELEASES + 5 {
            apply(&mut sim, application(&version.to_string()));
        }
        let names = names(&sim);
        assert_eq!(names.first().map(String::as_str), Some("web-1"), "it is used");
        assert!(!names.contains(&"web-2".to_owned()) && names.contains(&"web-54".to_owned()));
        assert!(names.len() <= KEPT_RELEASES + 1, "{names:?}");
    }
}

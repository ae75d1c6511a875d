//! Whose scorecard a changed object may concern. Costs what is touched; only a changed standard, or
//! a waiver by labels, is the business of all.

use std::collections::BTreeSet;

use atoll_model::policy::SUBJECTS;
use atoll_model::{Any, Application, Deployment, Kind, Release, Selector, Snapshot};

use super::facts::application_of;

/// Applications.
pub fn application(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    if is_idle(world) {
        return Vec::new();
    }
    let mut names: BTreeSet<String> = BTreeSet::new();
    match new.or(old) {
        Some(Any::Application(application)) => drop(names.insert(application.meta.name.clone())),
        Some(any @ Any::Release(_)) => names.extend(application_of(any).map(str::to_owned)),
        Some(any @ Any::Deployment(_)) if looks(old) != looks(new) => {
            names.extend(application_of(any).map(str::to_owned));
        }
        Some(Any::Instance(instance)) if place(old) != place(new) => {
            names.extend(application_of_deployment(&instance.spec.deployment));
        }
        Some(Any::Environment(environment)) if target_changed(old, new) => {
            let here = |d: &&std::sync::Arc<atoll_model::Object<Deployment>>| {
                d.spec.environment == *environment.name()
            };
            names
                .extend(world.all::<Deployment>().filter(here).map(|d| d.spec.application.clone()));
        }
        Some(Any::Host(host)) if zone(old) != zone(new) => {
            let there = world.instances_on(host.name());
            names.extend(there.filter_map(|i| application_of_deployment(&i.spec.deployment)));
        }
        _ => return by_rule(world, Kind::Application, old, new),
    }
    names.into_iter().collect()
}

/// Environments.
pub fn environment(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    itself(world, Kind::Environment, old, new)
}

/// Hosts.
pub fn host(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    itself(world, Kind::Host, old, new)
}

/// Configurations.
pub fn config(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    itself(world, Kind::Config, old, new)
}

/// Pipelines.
pub fn pipeline(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    itself(world, Kind::Pipeline, old, new)
}

/// Nobody asks anything, and nothing is left of when somebody did.
fn is_idle(world: &Snapshot) -> bool {
    world.count(Kind::Standard) == 0 && world.count(Kind::Scorecard) == 0
}

fn itself(world: &Snapshot, kind: Kind, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    if is_idle(world) {
        return Vec::new();
    }
    match new.or(old) {
        Some(any) if any.kind() == kind => match target_changed(old, new) {
            true => vec![any.name().to_owned()],
            false => Vec::new(),
        },
        _ => by_rule(world, kind, old, new),
    }
}

/// What people write has changed, or it has come or gone.
fn target_changed(old: Option<&Any>, new: Option<&Any>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return true };
    old.meta().generation != new.meta().generation
        || old.meta().labels != new.meta().labels
        || old.meta().deleted_at != new.meta().deleted_at
        || !old.same_spec(new)
}

/// Holders of a kind that a changed standard or waiver concerns.
fn by_rule(world: &Snapshot, kind: Kind, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let all = || world.after(kind, "").map(|any| any.name().to_owned()).collect();
    match new.or(old) {
        Some(Any::Standard(_)) => {
            let about = [old, new].into_iter().flatten().any(|any| match any {
                Any::Standard(standard) => standard.spec.kinds.iter().any(|k| stands_on(*k, kind)),
                _ => false,
            });
            if about && target_changed(old, new) { all() } else { Vec::new() }
        }
        // Whoever names one as an owner, of which there was or is none.
        Some(Any::Team(_) | Any::User(_)) if old.is_none() || new.is_none() => all(),
        Some(Any::Waiver(_)) => {
            let mut names = BTreeSet::new();
            for any in [old, new].into_iter().flatten() {
                let Any::Waiver(waiver) = any else { continue };
                if let Some(selector) = &waiver.spec.applications {
                    names.extend(selected(world, kind, selector));
                }
                names.extend(waiver.spec.subject.as_deref().and_then(|id| holder(world, id, kind)));
            }
            names.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Whether objects of a kind are on the scorecards of another.
fn stands_on(kind: Kind, holder: Kind) -> bool {
    SUBJECTS.contains(&kind)
        && match kind {
            Kind::Release | Kind::Deployment => holder == Kind::Application,
            kind => holder == kind,
        }
}

fn selected(world: &Snapshot, kind: Kind, selector: &Selector) -> Vec<String> {
    if kind != Kind::Application {
        return Vec::new();
    }
    let all = world.all::<Application>().filter(|a| selector.matches(&a.meta.labels));
    all.map(|application| application.meta.name.clone()).collect()
}

/// The name of the holder of a kind that a subject stands on.
fn holder(world: &Snapshot, subject: &str, kind: Kind) -> Option<String> {
    let (of, name) = subject.split_once('/')?;
    let of = Kind::parse(of)?;
    match of {
        Kind::Deployment if kind == Kind::Application => application_of_deployment(name),
        Kind::Release if kind == Kind::Application => {
            world.get::<Release>(name).map(|release| release.spec.application.clone())
        }
        of => (of == kind).then(|| name.to_owned()),
    }
}

fn application_of_deployment(name: &str) -> Option<String> {
    name.split_once('.').map(|(application, _)| application.to_owned())
}

/// What of a deployment standards look at; counts of what is ready change too often.
type Looks<'a> = (u64, &'a Option<String>, Option<&'a str>, u32, Option<atoll_model::Timestamp>);

fn looks(any: Option<&Any>) -> Option<Looks<'_>> {
    let Some(Any::Deployment(deployment)) = any else { return None };
    let (meta, status) = (&deployment.meta, &deployment.status);
    let to = status.rollout.as_ref().map(|rollout| rollout.to.as_str());
    Some((meta.generation, &status.release, to, deployment.wanted(), meta.deleted_at))
}

/// Where an instance is, while it stays.
fn place(any: Option<&Any>) -> Option<&str> {
    match any {
        Some(Any::Instance(instance)) if !instance.meta.deleting() => Some(&instance.spec.host),
        _ => None,
    }
}

fn zone(any: Option<&Any>) -> Option<&str> {
    match any {
        Some(Any::Host(host)) => Some(host.zone()),
        _ => None,
    }
}

//! Freezes: times in which targets are not changed and rollouts do not go on. Healing, the moves
//! of a migration, the way back to what was good, and clearing away are never frozen.

use std::sync::Arc;

use atoll_model::decision::{Holds, OVERRIDE_ANNOTATION};
use atoll_model::{
    Any, Application, Deployment, Freeze, Instance, Intent, Kind, Object, Promotion, Reason, Write,
};

use super::{Case, DECISION_CENTRE, Opinion};
use crate::delivery::admission::promotion_name;
use crate::sooner;

mod config;

/// A change that freezes may hold: of one application, in one environment or in all.
struct Change {
    application: String,
    environment: Option<String>,
    /// The object whose annotation overrides the freeze.
    object: Any,
    /// Why it may not wait, if so.
    emergency: Option<String>,
    /// Another release is what changes, or what else is rolled out.
    release: bool,
}

/// **Invariant:** inside a freeze nothing it covers changes, whichever way the change comes,
/// unless a person overrode it and said why.
pub(super) fn freeze(case: &Case) -> Opinion {
    let active = case.cx.world.all::<Freeze>().filter(|f| f.spec.active(case.cx.now));
    let active: Vec<&Arc<Object<Freeze>>> = active.collect();
    let mut opinion = Opinion::default();
    if active.is_empty() {
        return opinion;
    }
    let (stops, active): (Vec<_>, Vec<_>) =
        active.into_iter().partition(|freeze| freeze.spec.holds == Holds::Decisions);
    if let Some(stop) = stops.first() {
        // **Invariant:** while people have stopped the decision centre, it changes no target,
        // whatever it is for.
        let acts = case.actor.name == DECISION_CENTRE && case.is_edit();
        opinion.objections.extend(acts.then(|| stopped(stop)));
    }
    for change in changes(case) {
        for freeze in active.iter().filter(|freeze| covers(case, &freeze.spec, &change)) {
            rule(case, freeze, &change, &mut opinion);
        }
        let later = active.iter().filter_map(|freeze| held_later(case, freeze, &change));
        opinion.note(&change.object, later);
    }
    opinion
}

/// Why no policy does anything.
pub(crate) fn stopped(stop: &Object<Freeze>) -> Reason {
    let (name, why) = (stop.name(), &stop.spec.reason);
    let message = format!("no policy does anything since freeze/{name}: {why}");
    Reason::new("stopped", message).hint("to go on: atoll decisions resume")
}

fn rule(case: &Case, freeze: &Object<Freeze>, change: &Change, opinion: &mut Opinion) {
    let what = change.object.id();
    let why = &freeze.spec.reason;
    let said = change.object.meta().annotations.get(OVERRIDE_ANNOTATION);
    // What a person overrode is that person's change, and not what is decided meanwhile.
    let decided = case.actor.name == DECISION_CENTRE && case.is_edit();
    let said = said.filter(|why| !why.trim().is_empty() && !decided);
    if let Some(said) = said.or(change.emergency.as_ref()) {
        let message = format!("{what} changes in freeze {} ({why}): {said}", freeze.name());
        opinion.notes.push(Reason::new("freeze-overridden", message));
        return;
    }
    let until = until(&freeze.spec);
    let message = format!("{what} is frozen by freeze/{} {until}: {why}", freeze.name());
    let hint = match case.by_planner() {
        true if decided => "it goes on once that is over, if it is still voted for".to_owned(),
        true => {
            format!("to go on now, say why: --override-freeze, annotation {OVERRIDE_ANNOTATION}")
        }
        false => format!("wait, or say why: --override-freeze, annotation {OVERRIDE_ANNOTATION}"),
    };
    opinion.objections.push(Reason::new("frozen", message).hint(hint));
    opinion.again_at = sooner(opinion.again_at, freeze.spec.until);
}

/// What a person changes of an application as a whole is not held by a freeze of some environments,
/// and what comes of it there is.
fn held_later(case: &Case, freeze: &Object<Freeze>, change: &Change) -> Option<Reason> {
    let application = &change.application;
    let there = |environment: &&String| {
        let deployment = format!("{application}.{environment}");
        let here = Change {
            application: application.clone(),
            environment: Some((*environment).clone()),
            object: change.object.clone(),
            emergency: None,
            release: true,
        };
        case.cx.world.get::<Deployment>(&deployment).is_some() && covers(case, &freeze.spec, &here)
    };
    if change.environment.is_some() {
        return None;
    }
    let held: Vec<&str> = freeze.spec.environments.iter().filter(there).map(|e| &**e).collect();
    let (what, name, why) = (change.object.id(), freeze.name(), &freeze.spec.reason);
    let until = until(&freeze.spec);
    let environments = held.join(", ");
    let message =
        format!("what comes of {what} in {environments} waits for freeze/{name} {until}: {why}");
    (!held.is_empty()).then(|| Reason::new("held-later", message))
}

/// How long it holds.
fn until(freeze: &Freeze) -> String {
    match freeze.until {
        Some(until) => format!("until {until}"),
        None => "until it is deleted".to_owned(),
    }
}

fn covers(case: &Case, freeze: &Freeze, change: &Change) -> bool {
    let other = freeze.holds == Holds::Releases && !change.release;
    if other || !(freeze.named.is_empty() || freeze.named.contains(&change.application)) {
        return false;
    }
    let here = match &change.environment {
        Some(environment) => {
            freeze.environments.is_empty() || freeze.environments.contains(environment)
        }
        // A change of no one environment is held by a freeze of all; where only some are frozen,
        // it is the rollouts there that are held.
        None => freeze.environments.is_empty(),
    };
    let labels = match &change.object {
        Any::Application(application) => Some(&application.meta.labels),
        _ => case.cx.world.get::<Application>(&change.application).map(|a| &a.meta.labels),
    };
    here && match labels {
        Some(labels) => freeze.applications.matches(labels),
        None => freeze.applications.0.is_empty(),
    }
}

fn changes(case: &Case) -> Vec<Change> {
    match case.plan.intent {
        Intent::Edit | Intent::Revert => {
            let of_configs = config::edited(case);
            let edits = case.plan.writes.iter().filter_map(|write| edited(case, write));
            edits.chain(of_configs).collect()
        }
        Intent::Rollout | Intent::Scale => {
            planned(case).into_iter().chain(config::planned(case)).collect()
        }
        Intent::Heal
        | Intent::Migrate
        | Intent::Rollback
        | Intent::Remove
        | Intent::Observe
        | Intent::Report => Vec::new(),
    }
}

/// What a planner changes: the deployment whose instances it writes.
fn planned(case: &Case) -> Option<Change> {
    if let Some(change) = case.puts().find_map(|any| admitted(case, any)) {
        return Some(change);
    }
    let name = case.plan.writes.iter().find_map(|write| match write {
        Write::Put(Any::Instance(instance)) => Some(instance.spec.deployment.clone()),
        Write::Delete { kind: Kind::Instance, name, .. } => {
            Some(case.cx.world.get::<Instance>(name)?.spec.deployment.clone())
        }
        _ => None,
    })?;
    let deployment = case.cx.world.get::<Deployment>(&name)?;
    let heads = deployment.status.rollout.as_ref().map(|rollout| rollout.to.as_str());
    let promotion = heads.map(|to| promotion_name(to, &deployment.spec.environment));
    let promotion = promotion.and_then(|name| case.cx.world.get::<Promotion>(&name));
    let emergency = promotion.and_then(|promotion| promotion.spec.emergency.clone());
    let release = case.plan.intent == Intent::Rollout;
    Some(Change { emergency, release, ..of_deployment(deployment) })
}

/// A release that is let into an environment.
fn admitted(case: &Case, any: &Any) -> Option<Change> {
    let Any::Promotion(new) = any else { return None };
    let old = case.cx.world.get::<Promotion>(new.name());
    let was = old.is_some_and(|old| old.status.admitted_at.is_some());
    (new.status.admitted_at.is_some() && !was).then(|| Change {
        application: new.spec.application.clone(),
        environment: Some(new.spec.environment.clone()),
        object: any.clone(),
        emergency: new.spec.emergency.clone(),
        release: true,
    })
}

fn of_deployment(deployment: &Arc<Object<Deployment>>) -> Change {
    Change {
        application: deployment.spec.application.clone(),
        environment: Some(deployment.spec.environment.clone()),
        object: Any::Deployment(deployment.clone()),
        emergency: None,
        release: true,
    }
}

/// What a person changes, where it is something a freeze is about.
fn edited(case: &Case, write: &Write) -> Option<Change> {
    let any = match write {
        Write::Put(any) => any.clone(),
        Write::Delete { kind, name, .. } => case.cx.world.find(*kind, name)?,
    };
    let is_delete = matches!(write, Write::Delete { .. });
    match &any {
        Any::Deployment(new) => {
            let old = case.cx.world.get::<Deployment>(new.name());
            let moves = old.is_none_or(|old| moves(old, new)) || is_delete;
            let release = is_delete || old.is_none_or(|old| releases(old, new));
            moves.then(|| Change { release, ..of_deployment(new) })
        }
        Any::Application(new) => {
            let old = case.cx.world.get::<Application>(new.name());
            let changes = old.is_none_or(|old| {
                old.spec != new.spec || (new.meta.deleting() && !old.meta.deleting())
            });
            (changes || is_delete).then(|| Change {
                application: new.meta.name.clone(),
                environment: None,
                object: any.clone(),
                emergency: None,
                release: true,
            })
        }
        _ => None,
    }
}

/// Whether an edit makes something else run, or more or less of it. Pausing, giving up a release
/// and going back to the last good one, or the one that was good before it, are what a responder
/// needs, and pass.
fn moves(old: &Object<Deployment>, new: &Object<Deployment>) -> bool {
    releases(old, new) || old.spec.instances != new.spec.instances
}

/// The same, but for how many there are.
fn releases(old: &Object<Deployment>, new: &Object<Deployment>) -> bool {
    let good = [&old.status.last_good, &old.status.good_before];
    let to_good = new.spec.release.is_some() && good.contains(&&new.spec.release);
    // It does not run what was given up: to ask for that no more changes nothing by itself.
    let failed = old.status.failed.as_ref().map(|failed| &failed.release);
    let let_go =
        new.spec.release.is_none() && failed.is_some() && failed == old.spec.release.as_ref();
    (old.spec.release != new.spec.release && !to_good && !let_go)
        || (new.spec.promoted.is_some() && old.spec.promoted != new.spec.promoted)
        || (new.meta.deleting() && !old.meta.deleting())
}

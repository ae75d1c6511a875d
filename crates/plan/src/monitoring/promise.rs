//! From the promises of an application to what is kept of them for each deployment: objectives,
//! and one rule that records and alerts. It measures nothing itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::alerting::{Narrow, RuleGroup};
use atoll_model::monitoring::Promise;
use atoll_model::{
    Any, Application, Deployment, Kind, Object, Objective, Reason, Rule, Snapshot, Span, Write,
};

use super::series;
use crate::{Context, Plan};

/// Plans what is derived from one deployment.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let mut plan = Plan::nothing();
    let deployment = cx.world.get::<Deployment>(name).filter(|d| !d.meta.deleting());
    let application = deployment.and_then(|d| cx.world.get::<Application>(&d.spec.application));
    let (promises, owner) = match application {
        Some(application) => (application.spec.objectives.as_slice(), &application.spec.owner),
        // Without its application a deployment does nothing, and nothing is taken from it.
        None if deployment.is_some() => return plan,
        None => (&[][..], &None),
    };
    let mut wanted = BTreeSet::new();
    for promise in promises {
        let spec = Objective {
            deployment: name.to_owned(),
            owner: owner.clone(),
            promise: promise.clone(),
        };
        let object = format!("{name}.{}", promise.name);
        match cx.world.get::<Objective>(&object) {
            Some(there) if there.spec == spec => {}
            Some(there) => {
                let mut new = Object::clone(there);
                new.spec = spec;
                new.meta.generation += 1;
                plan.writes.push(Write::Put(Any::Objective(Arc::new(new))));
            }
            None => {
                let mut new = Object::new(object.clone(), spec);
                new.meta.generation = 1;
                new.meta.created_at = Some(cx.now);
                plan.writes.push(Write::Put(Any::Objective(Arc::new(new))));
            }
        }
        wanted.insert(object);
    }
    for objective in of_deployment(cx.world, name).filter(|o| !wanted.contains(o.name())) {
        plan.writes.push(delete(objective));
    }
    derive_rule(cx, name, promises, owner.as_deref(), &mut plan);
    if !plan.writes.is_empty() {
        let message = format!("what is promised of {name} is watched");
        plan.reasons.push(Reason::new("promised", message));
    }
    plan
}

/// The objectives of a deployment.
pub(crate) fn of_deployment<'a>(
    world: &'a Snapshot,
    deployment: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Objective>>> {
    world.derived::<Objective>(deployment).filter(move |o| o.spec.deployment == deployment)
}

pub(super) fn delete(objective: &Object<Objective>) -> Write {
    Write::Delete {
        kind: Kind::Objective,
        name: objective.meta.name.clone(),
        revision: objective.meta.revision,
    }
}

/// The rule of a deployment. It is taken away by its own planner, after its alerts.
fn derive_rule(
    cx: &Context,
    name: &str,
    promises: &[Promise],
    owner: Option<&str>,
    plan: &mut Plan,
) {
    let stored = cx.world.get::<Rule>(name);
    if promises.is_empty() {
        if let Some(stored) = stored.filter(|stored| !stored.meta.deleting()) {
            let mut new = Object::clone(stored);
            new.meta.deleted_at = Some(cx.now);
            plan.writes.push(Write::Put(Any::Rule(Arc::new(new))));
        }
        return;
    }
    let spec = rule(name, promises, owner);
    let mut new = match stored {
        // It comes anew once it has gone.
        Some(stored) if stored.meta.deleting() || stored.spec == spec => return,
        Some(stored) => Object::clone(stored),
        None => Object::new(name, Rule::default()),
    };
    new.spec = spec;
    new.meta.generation += 1;
    new.meta.created_at = new.meta.created_at.or(Some(cx.now));
    plan.writes.push(Write::Put(Any::Rule(Arc::new(new))));
}

fn rule(name: &str, promises: &[Promise], owner: Option<&str>) -> Rule {
    let group = |suffix: &str, interval: Span, rules| RuleGroup {
        name: suffix.to_owned(),
        interval,
        limit: 0,
        query_offset: None,
        labels: Default::default(),
        narrow: Some(Narrow { label: "deployment".to_owned(), value: name.to_owned() }),
        rules,
    };
    let mut groups = Vec::new();
    for promise in promises {
        let fast = series::fast(promise, name);
        groups.push(group(&format!("{} short windows", promise.name), series::FAST, fast));
        let slow = series::slow(promise, name);
        groups.push(group(&format!("{} long windows", promise.name), series::SLOW, slow));
    }
    Rule { groups, owner: owner.map(str::to_owned) }
}

/// The deployments a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Application(old)), Some(Any::Application(new)))
            if old.spec.objectives == new.spec.objectives && old.spec.owner == new.spec.owner =>
        {
            Vec::new()
        }
        (_, Some(Any::Application(application))) => {
            let all = world.derived::<Deployment>(application.name());
            all.map(|deployment| deployment.meta.name.clone()).collect()
        }
        (Some(Any::Deployment(old)), Some(Any::Deployment(new)))
            if old.meta.deleted_at == new.meta.deleted_at =>
        {
            Vec::new()
        }
        (_, Some(Any::Deployment(d))) | (Some(Any::Deployment(d)), None) => {
            vec![d.meta.name.clone()]
        }
        (Some(Any::Objective(gone)), None) => vec![gone.spec.deployment.clone()],
        (Some(Any::Rule(gone)), None) if world.get::<Deployment>(gone.name()).is_some() => {
            vec![gone.meta.name.clone()]
        }
        _ => Vec::new(),
    }
}

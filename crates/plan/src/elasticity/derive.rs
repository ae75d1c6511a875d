//! One autoscaler for each deployment whose application says what its number goes by, and one
//! capacity where it says what an instance carries. What people write in one is theirs; only
//! whether there is one is decided here.

use std::sync::Arc;

use atoll_model::{
    Any, Application, Autoscaler, Capacity, Deployment, Object, Reason, Snapshot, Spec, Write,
};

use crate::{Context, Plan};

/// Plans the autoscaler and the capacity of one deployment.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let mut plan = Plan::nothing();
    let deployment = cx.world.get::<Deployment>(name).filter(|d| !d.meta.deleting());
    let application = deployment.and_then(|d| cx.world.get::<Application>(&d.spec.application));
    if deployment.is_some() && application.is_none() {
        return plan;
    }
    let scaling = application.and_then(|application| application.spec.scaling.as_ref());
    let scaled = scaling.is_some_and(|scaling| scaling.is_automatic());
    if let Some(there) = cx.world.get::<Autoscaler>(name)
        && !scaled
    {
        plan.writes.push(delete(there));
    } else if scaled && cx.world.get::<Autoscaler>(name).is_none() {
        let spec = Autoscaler { deployment: name.to_owned(), ..Autoscaler::default() };
        plan.writes.push(Write::Put(Any::Autoscaler(Arc::new(made(cx, name, spec)))));
        let message = format!("the number of instances of {name} goes by what is measured");
        plan.reasons.push(Reason::new("scaled", message));
    }
    let carries = scaling.is_some_and(|scaling| scaling.per_instance.is_some());
    if let Some(there) = cx.world.get::<Capacity>(name)
        && !carries
    {
        plan.writes.push(delete(there));
    } else if carries && cx.world.get::<Capacity>(name).is_none() {
        let spec = Capacity { deployment: name.to_owned(), ..Capacity::default() };
        plan.writes.push(Write::Put(Any::Capacity(Arc::new(made(cx, name, spec)))));
    }
    plan
}

fn made<S: Spec>(cx: &Context, name: &str, spec: S) -> Object<S> {
    let mut new = Object::new(name, spec);
    new.meta.generation = 1;
    new.meta.created_at = Some(cx.now);
    new
}

fn delete<S: Spec>(there: &Object<S>) -> Write {
    Write::Delete { kind: S::KIND, name: there.meta.name.clone(), revision: there.meta.revision }
}

/// The deployments a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Deployment(old)), Some(Any::Deployment(new)))
            if old.meta.deleted_at == new.meta.deleted_at =>
        {
            Vec::new()
        }
        (_, Some(Any::Deployment(d))) | (Some(Any::Deployment(d)), None) => {
            vec![d.meta.name.clone()]
        }
        (Some(Any::Autoscaler(gone)), None) => vec![gone.spec.deployment.clone()],
        (Some(Any::Capacity(gone)), None) => vec![gone.spec.deployment.clone()],
        (old, new) => super::rescaled::<Deployment>(world, old, new),
    }
}

//! One autoscaler for each deployment whose application says what its number goes by. What people
//! write in one is theirs; only whether there is one is decided here.

use std::sync::Arc;

use atoll_model::{
    Any, Application, Autoscaler, Deployment, Kind, Object, Reason, Snapshot, Write,
};

use crate::{Context, Plan};

/// Plans the autoscaler of one deployment.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let mut plan = Plan::nothing();
    let deployment = cx.world.get::<Deployment>(name).filter(|d| !d.meta.deleting());
    let application = deployment.and_then(|d| cx.world.get::<Application>(&d.spec.application));
    if deployment.is_some() && application.is_none() {
        return plan;
    }
    let scaling = application.and_then(|application| application.spec.scaling.as_ref());
    let wanted = scaling.is_some_and(|scaling| scaling.is_automatic());
    match cx.world.get::<Autoscaler>(name) {
        None if wanted => {
            let spec = Autoscaler { deployment: name.to_owned(), ..Autoscaler::default() };
            let mut new = Object::new(name, spec);
            new.meta.generation = 1;
            new.meta.created_at = Some(cx.now);
            plan.writes.push(Write::Put(Any::Autoscaler(Arc::new(new))));
            let message = format!("the number of instances of {name} goes by what is measured");
            plan.reasons.push(Reason::new("scaled", message));
        }
        Some(there) if !wanted => plan.writes.push(Write::Delete {
            kind: Kind::Autoscaler,
            name: name.to_owned(),
            revision: there.meta.revision,
        }),
        _ => {}
    }
    plan
}

/// The deployments a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Application(old)), Some(Any::Application(new)))
            if old.spec.scaling == new.spec.scaling =>
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
        (Some(Any::Autoscaler(gone)), None) => vec![gone.spec.deployment.clone()],
        _ => Vec::new(),
    }
}

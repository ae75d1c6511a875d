//! A number that is said again. Where instances or hosts stayed as many as an autoscaler or what
//! ran had made them, whoever names the number that is declared means it, though nothing of the
//! target changes. A manifest that is applied once more says nothing anew.

use std::sync::Arc;

use atoll_model::{Any, Deployment, Object, Pool, Snapshot, Write};
use serde_json::Value;

use crate::{Plan, elasticity};

/// Lets the number that a patch of an object names count from now on.
pub fn said(world: &Snapshot, plan: &mut Plan, stored: &Any, patch: &Value) {
    let id = stored.id();
    let written = plan.writes.iter().position(|write| match write {
        Write::Put(any) => any.id() == id,
        Write::Delete { .. } => false,
    });
    let mut new = match written.map(|at| &plan.writes[at]) {
        Some(Write::Put(any)) => any.clone(),
        _ => stored.clone(),
    };
    let named = |field: &str| patch.get("spec").and_then(|spec| spec.get(field)).is_some();
    let means = match &mut new {
        Any::Pool(pool) if named("count") => of_pool(Arc::make_mut(pool)),
        Any::Deployment(deployment) if named("instances") => {
            of_deployment(world, Arc::make_mut(deployment))
        }
        _ => false,
    };
    if !means {
        return;
    }
    match written {
        Some(at) => plan.writes[at] = Write::Put(new),
        None => {
            new.meta_mut().generation += 1;
            plan.writes.push(Write::Put(new));
        }
    }
}

fn of_pool(pool: &mut Object<Pool>) -> bool {
    let (count, left) = (pool.spec.count, pool.status.left_at);
    let stays = !pool.spec.acts() && left.is_some_and(|left| left.wanted != count);
    if stays {
        pool.status.left_at = None;
    }
    stays
}

fn of_deployment(world: &Snapshot, deployment: &mut Object<Deployment>) -> bool {
    let (declared, scaled) = (deployment.spec.instances, deployment.status.scaled);
    let stays = scaled.is_some_and(|scaled| scaled.instances != declared)
        && elasticity::kept(world, deployment.name()).is_none();
    if stays {
        deployment.status.scaled = None;
    }
    stays
}

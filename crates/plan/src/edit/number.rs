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

/// Whether nothing of a status is changed but that a number which was left does not count any more.
pub(crate) fn is_said(stored: &Any, new: &Any) -> bool {
    let mut same = new.with_status_of(stored);
    match &mut same {
        Any::Pool(pool) => Arc::make_mut(pool).status.left_at = None,
        Any::Deployment(deployment) => Arc::make_mut(deployment).status.scaled = None,
        _ => return false,
    }
    same == *new
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

#[cfg(test)]
mod tests {
    use atoll_model::deployment::Scaled;
    use atoll_model::pool::LeftAt;
    use serde_json::json;

    use super::*;
    use crate::decision::{Verdict, decide};
    use crate::sim::Sim;
    use crate::{Context, Measurements, edit};

    /// What the gate lets be written where a patch is applied to an object; nothing, where that
    /// changes nothing.
    fn patched(stored: &Any, patch: &Value) -> Option<Any> {
        let mut world = Snapshot::default();
        world.put(stored.clone());
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: atoll_model::Timestamp(1) };
        let mut plan = edit::apply(&cx, vec![stored.clone()]).unwrap();
        said(&world, &mut plan, stored, patch);
        let Verdict::Commit(plan) = decide(&cx, &Sim::person(), plan) else { panic!("held") };
        plan.writes.into_iter().find_map(|write| match write {
            Write::Put(any) => Some(any),
            Write::Delete { .. } => None,
        })
    }

    #[test]
    fn a_number_that_is_named_counts_though_it_is_the_declared_one() {
        let spec = json!({ "application": "web", "environment": "prod", "instances": 2 });
        let mut web: Object<Deployment> =
            Object::new("web.prod", serde_json::from_value(spec).unwrap());
        web.status.scaled = Some(Scaled { instances: 6, declared: 2 });
        let web = Any::Deployment(Arc::new(web));
        let number = json!({ "spec": { "instances": 2 } });
        let Some(Any::Deployment(new)) = patched(&web, &number) else { panic!("unchanged") };
        assert_eq!((new.wanted(), new.meta.generation), (2, web.meta().generation + 1));
        assert_eq!(patched(&web, &json!({ "spec": { "paused": false } })), None);
        assert_eq!(patched(&Any::Deployment(new), &number), None, "it counts already");
    }

    #[test]
    fn so_does_that_of_a_pool_which_no_longer_follows() {
        let pool = |mode: &str| {
            let spec = json!({ "count": 2, "max": 9, "autoscale": { "mode": mode },
                "provider": { "static": { "hosts": [] } } });
            let mut pool: Object<Pool> = Object::new("own", serde_json::from_value(spec).unwrap());
            pool.status.left_at = Some(LeftAt { count: 2, wanted: 5 });
            Any::Pool(Arc::new(pool))
        };
        let number = json!({ "spec": { "count": 2 } });
        let Some(Any::Pool(new)) = patched(&pool("observe"), &number) else { panic!("unchanged") };
        assert_eq!(new.status.stays_at(&new.spec), 2);
        assert_eq!(patched(&pool("act"), &number), None, "it follows");
    }
}

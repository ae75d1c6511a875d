//! Spent error budgets: no release goes on where a promise's budget is spent. Going back, healing,
//! migrating and scaling are never held, and a person may let a release through.

use atoll_model::monitoring::OVERRIDE_BUDGET_ANNOTATION;
use atoll_model::{Any, Deployment, Instance, Intent, Kind, Reason, Write};

use super::{Case, Opinion};
use crate::monitoring::promise::of_deployment;

/// **Invariant:** no step of a rollout is taken while a budget of its deployment is spent, unless
/// a person said why it may.
pub(super) fn budget(case: &Case) -> Opinion {
    let mut opinion = Opinion::default();
    if !case.by_planner() || case.plan.intent != Intent::Rollout {
        return opinion;
    }
    let Some(name) = case.plan.writes.iter().find_map(|write| deployment_of(case, write)) else {
        return opinion;
    };
    let Some(deployment) = case.cx.world.get::<Deployment>(&name) else { return opinion };
    let said = deployment.meta.annotations.get(OVERRIDE_BUDGET_ANNOTATION);
    let said = said.filter(|why| !why.trim().is_empty());
    for objective in of_deployment(case.cx.world, &name).filter(|o| o.status.is_spent()) {
        let (promise, window) = (&objective.spec.promise.name, objective.spec.promise.window);
        let what = format!("the error budget of {promise} over {window} is spent");
        match said {
            Some(why) => {
                let message = format!("deployment/{name} rolls out although {what}: {why}");
                opinion.notes.push(Reason::new("budget-overridden", message));
            }
            None => {
                let message = format!("deployment/{name} is held: {what}");
                let hint = format!(
                    "going back is not held; to go on now, deploy it with --override-budget \
                     REASON (the annotation {OVERRIDE_BUDGET_ANNOTATION}); see atoll why \
                     objective/{}",
                    objective.name()
                );
                opinion.objections.push(Reason::new("budget-spent", message).hint(hint));
            }
        }
    }
    opinion
}

fn deployment_of(case: &Case, write: &Write) -> Option<String> {
    match write {
        Write::Put(Any::Instance(instance)) => Some(instance.spec.deployment.clone()),
        Write::Put(Any::Deployment(deployment)) => Some(deployment.meta.name.clone()),
        Write::Delete { kind: Kind::Instance, name, .. } => {
            Some(case.cx.world.get::<Instance>(name)?.spec.deployment.clone())
        }
        _ => None,
    }
}

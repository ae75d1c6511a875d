//! Pipelines by themselves: the numbers of their runs, and the times at which runs begin. Not what
//! a run does.

use std::sync::Arc;

use atoll_model::ci::pipeline::PipelineStatus;
use atoll_model::ci::run::Cause;
use atoll_model::{Any, Intent, Object, Pipeline, Reason, Run, Snapshot, Write};

use super::begin::{Ask, begin};
use crate::{Context, Plan, schedule};

/// Plans for one pipeline.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(pipeline) = cx.world.get::<Pipeline>(name) else { return Plan::nothing() };
    let mut plan = Plan::new(Intent::Observe);
    let mut status = pipeline.status.clone();
    status.reasons = status.unseen.iter().cloned().collect();
    let newest = cx.world.derived::<Run>(name).map(|run| run.spec.number).max();
    status.last_run = status.last_run.max(newest.unwrap_or(0));
    if !pipeline.meta.deleting() {
        schedules(cx, pipeline, &mut status, &mut plan);
    }
    if status != pipeline.status {
        let mut new = Object::clone(pipeline);
        new.status = status;
        plan.writes.push(Write::Put(Any::Pipeline(Arc::new(new))));
    }
    plan
}

/// The pipelines a changed object may concern.
pub fn touched(_: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Pipeline(pipeline)) => vec![pipeline.meta.name.clone()],
        Some(Any::Run(run)) if old.is_none() || new.is_none() => vec![run.spec.pipeline.clone()],
        _ => Vec::new(),
    }
}

/// Begins a run for a time that has come.
fn schedules(
    cx: &Context,
    pipeline: &Object<Pipeline>,
    status: &mut PipelineStatus,
    plan: &mut Plan,
) {
    let all = &pipeline.spec.triggers.schedules;
    plan.again_at = schedule::turn(cx.now, all, &mut status.scheduled, |schedule, due| {
        let ask = Ask {
            pipeline: pipeline.meta.name.clone(),
            cause: Cause::Schedule,
            key: format!("{} {due}", schedule.cron),
            branch: schedule.branch.clone(),
            commit: None,
            source: None,
            definition: None,
            params: schedule.params.clone(),
        };
        if let Ok((run, name)) = begin(cx, &ask) {
            plan.reasons.push(Reason::new("due", format!("{name} begins: {}", ask.key)));
            plan.writes.extend(run.writes);
        }
    });
}

//! Pipelines by themselves: the numbers of their runs, and the times at which runs begin. Not what
//! a run does.

use std::sync::Arc;

use atoll_model::ci::pipeline::{PipelineStatus, Schedule};
use atoll_model::ci::run::Cause;
use atoll_model::{Any, Intent, Object, Pipeline, Reason, Run, Snapshot, Span, Timestamp, Write};

use super::begin::{Ask, begin};
use crate::{Context, Plan, sooner};

/// A time that was missed by more than this, because no server ran, is let pass.
const LATEST: Span = Span::seconds(3_600);

/// Plans for one pipeline.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(pipeline) = cx.world.get::<Pipeline>(name) else { return Plan::nothing() };
    let mut plan = Plan::new(Intent::Observe);
    let mut status = pipeline.status.clone();
    status.reasons.clear();
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

/// The newest time of a schedule that has come since it was seen to last, unless that is long ago.
pub(crate) fn due(now: Timestamp, schedule: &Schedule, last: Timestamp) -> Option<Timestamp> {
    let since = last.max(now - LATEST);
    let times = std::iter::successors(schedule.next_after(since), |t| schedule.next_after(*t));
    times.take_while(|time| *time <= now).last()
}

/// Begins a run for each time that has come. Of several that were missed, one is made up for.
fn schedules(
    cx: &Context,
    pipeline: &Object<Pipeline>,
    status: &mut PipelineStatus,
    plan: &mut Plan,
) {
    let all = &pipeline.spec.triggers.schedules;
    if status.scheduled.len() != all.len() {
        // A schedule that is new, or has another place, begins with the next of its times.
        status.scheduled = vec![cx.now; all.len()];
    }
    let mut begun = false;
    for (at, schedule) in all.iter().enumerate() {
        if let Some(due) = due(cx.now, schedule, status.scheduled[at]) {
            // Numbers are given one after another: another that is due has its turn at once.
            if std::mem::replace(&mut begun, true) {
                plan.again_at = Some(cx.now);
                continue;
            }
            status.scheduled[at] = due;
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
        }
        let next = schedule.next_after(status.scheduled[at].max(cx.now));
        plan.again_at = sooner(plan.again_at, next);
    }
}

//! Runbooks by themselves: the numbers of their jobs, and the times at which jobs begin. Not what a
//! job does.

use std::sync::Arc;

use atoll_model::api::JobRequest;
use atoll_model::job::RunbookStatus;
use atoll_model::{Any, Intent, Job, Object, Runbook, Snapshot, Write};

use super::begin::{begin, number};
use crate::ci::pipeline::due;
use crate::{Context, Plan, sooner};

/// Plans for one runbook.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(book) = cx.world.get::<Runbook>(name) else { return Plan::nothing() };
    let mut plan = Plan::new(Intent::Observe);
    let mut status = book.status.clone();
    status.reasons.clear();
    let newest = cx.world.derived::<Job>(name).filter_map(|job| number(job.name())).max();
    status.last_job = status.last_job.max(newest.unwrap_or(0));
    if !book.meta.deleting() {
        schedules(cx, book, &mut status, &mut plan);
    }
    if status != book.status {
        let mut new = Object::clone(book);
        new.status = status;
        plan.writes.push(Write::Put(Any::Runbook(Arc::new(new))));
    }
    plan
}

/// The runbooks a changed object may concern.
pub fn touched(_: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Runbook(book)) => vec![book.meta.name.clone()],
        Some(Any::Job(job)) if old.is_none() || new.is_none() => {
            job.spec.runbook.clone().into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Begins a job for the first time that has come; another that is due has its turn at once.
fn schedules(cx: &Context, book: &Object<Runbook>, status: &mut RunbookStatus, plan: &mut Plan) {
    let all = &book.spec.schedules;
    if status.scheduled.len() != all.len() {
        // A schedule that is new, or has another place, begins with the next of its times.
        status.scheduled = vec![cx.now; all.len()];
    }
    let mut begun = false;
    for (at, schedule) in all.iter().enumerate() {
        if let Some(due) = due(cx.now, schedule, status.scheduled[at]) {
            if std::mem::replace(&mut begun, true) {
                plan.again_at = Some(cx.now);
                continue;
            }
            status.scheduled[at] = due;
            let ask = JobRequest { params: schedule.params.clone(), ..JobRequest::default() };
            match begin(cx, book.name(), &ask) {
                Ok((job, _)) => plan.writes.extend(job.writes),
                Err(why) => status.reasons.extend(why),
            }
        }
        let next = schedule.next_after(status.scheduled[at].max(cx.now));
        plan.again_at = sooner(plan.again_at, next);
    }
}

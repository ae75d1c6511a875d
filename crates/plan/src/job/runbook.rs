//! Runbooks by themselves: the numbers of their jobs, and the times at which jobs begin. Not what a
//! job does.

use std::sync::Arc;

use atoll_model::api::JobRequest;
use atoll_model::job::RunbookStatus;
use atoll_model::{Any, Intent, Job, Object, Reason, Runbook, Snapshot, Write};

use super::begin::{begin, number};
use crate::{Context, Plan, schedule};

/// Plans for one runbook.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(book) = cx.world.get::<Runbook>(name) else { return Plan::nothing() };
    let mut plan = Plan::new(Intent::Observe);
    let mut status = book.status.clone();
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

/// Begins a job for a time that has come. What keeps it from beginning is told until another does.
fn schedules(cx: &Context, book: &Object<Runbook>, status: &mut RunbookStatus, plan: &mut Plan) {
    let RunbookStatus { scheduled, reasons, .. } = status;
    plan.again_at = schedule::turn(cx.now, &book.spec.schedules, scheduled, |schedule, due| {
        reasons.clear();
        let ask = JobRequest { params: schedule.params.clone(), ..JobRequest::default() };
        match begin(cx, book.name(), &ask) {
            Ok((job, name)) => {
                let message = format!("{name} begins: {} {due}", schedule.cron);
                plan.reasons.push(Reason::new("due", message));
                plan.writes.extend(job.writes);
            }
            Err(why) => reasons.extend(why),
        }
    });
}

//! Why jobs and runbooks are as they are, and what they wait for.

use atoll_model::job::{JobPhase, RunbookStatus};
use atoll_model::{Job, Object, Runbook, Task, many};

use super::{Told, ago, word};
use crate::Context;

pub(super) fn tell(cx: &Context, it: &Object<Job>, told: &mut Told) {
    let (name, status) = (it.name(), &it.status);
    let since = ago(cx, status.ended_at.or(status.started_at).or(it.meta.created_at));
    let command = it.spec.deed.command.join(" ");
    told.state = format!(
        "{name} ({command:?}) is {}{since}: {} of {} have done it, {} failed, {} lost.",
        word(&status.phase),
        status.succeeded,
        many(status.targets.len(), "host"),
        status.failed,
        status.lost,
    );
    if status.phase == JobPhase::Paused {
        told.waiting_for.push("a person to let it go on".to_owned());
    }
    let mut waits = Vec::new();
    for host in status.targets.iter().take(status.begun as usize) {
        let task = Job::task(name, status.round, host);
        let Some(task) = cx.world.get::<Task>(&task) else { continue };
        let phase = task.status.phase;
        if !phase.is_over() {
            waits.push(format!("{host}: {}{}", word(&phase), ago(cx, task.status.since)));
        } else if phase != atoll_model::ci::task::TaskPhase::Succeeded
            && told.see.len() < super::NAMED
        {
            told.see(format!("task/{}", task.name()));
        }
    }
    told.wait_each(waits);
    if let Some(runbook) = &it.spec.runbook {
        told.see(format!("runbook/{runbook}"));
    }
}

pub(super) fn tell_runbook(cx: &Context, it: &Object<Runbook>, told: &mut Told) {
    let name = it.name();
    let RunbookStatus { last_job, .. } = it.status;
    let newest = format!("{name}.{last_job}");
    told.state = match cx.world.get::<Job>(&newest) {
        Some(job) => {
            told.see(format!("job/{newest}"));
            let since = ago(cx, job.status.ended_at.or(job.status.started_at));
            format!("{name}: its newest job, {newest}, is {}{since}.", word(&job.status.phase))
        }
        None => format!("{name} has no job: atoll run runbook/{name}"),
    };
}

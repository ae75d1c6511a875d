//! Why pipelines, runs and tasks are as they are, and what they wait for.

use atoll_model::ci::run::{CellPhase, RunPhase};
use atoll_model::{Any, Object, Pipeline, Run, Task, many};

use super::{Told, ago, word};
use crate::Context;
use crate::ci::queue::why_it_waits;
use crate::ci::run::{LAST_STEPS, NO_HOST};

pub(super) fn tell_pipeline(cx: &Context, it: &Object<Pipeline>, told: &mut Told) {
    let name = it.name();
    let runs: Vec<_> = cx.world.derived::<Run>(name).collect();
    let going = runs.iter().filter(|run| !run.status.phase.is_over()).count();
    let newest = runs.iter().max_by_key(|run| run.spec.number);
    let last = match newest {
        Some(run) => format!("the newest, {}, is {}", run.name(), word(&run.status.phase)),
        None => "it was never run".to_owned(),
    };
    told.state = format!("{name} has {}, {going} of them going; {last}.", many(runs.len(), "run"));
    if let Some(run) = newest {
        told.see(format!("run/{}", run.name()));
    }
    told.reasons.extend(it.spec.source.as_ref().and_then(|source| source.tells_nobody()));
    let every = it.spec.source.as_ref().and_then(|source| source.poll);
    if let (Some(_), Some(every)) = (&it.status.unseen, every) {
        told.waiting_for.push("its repository to answer".to_owned());
        let at = it.status.polled_at.map(|at| at + every).filter(|at| *at > cx.now);
        let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
        told.next.push(format!("asks its repository again{at}, every {every}"));
    }
    if it.spec.source.is_some() && it.spec.triggers.webhook.is_none() {
        let polled = it.spec.source.as_ref().is_some_and(|source| source.poll.is_some());
        if !polled && it.spec.source.as_ref().is_some_and(|source| source.git.is_some()) {
            told.next.push("runs begin by hand: it has neither webhook nor poll".to_owned());
        }
    }
}

pub(super) fn tell_run(cx: &Context, it: &Object<Run>, told: &mut Told) {
    let status = &it.status;
    let done = status.cells.iter().filter(|cell| cell.phase.is_over()).count();
    let since = ago(cx, status.ended_at.or(status.started_at).or(it.meta.created_at));
    let of = match &status.commit {
        Some(commit) => format!(" of {} {:?}", commit.id.get(..8).unwrap_or(""), commit.subject),
        None => String::new(),
    };
    told.state = format!(
        "{}{of} is {}{since}; {done} of {} done.",
        it.name(),
        word(&status.phase),
        many(status.cells.len(), "step"),
    );
    match status.phase {
        RunPhase::Pending => told.waiting_for.push("its source".to_owned()),
        RunPhase::Waiting => {
            told.waiting_for.extend(status.reasons.iter().map(|reason| reason.message.clone()));
        }
        _ => {}
    }
    if let Some(at) = status.ending_at.filter(|_| !status.phase.is_over()) {
        told.state.push_str(&format!(" It is being ended{}.", ago(cx, Some(at))));
        let until = at + LAST_STEPS;
        told.next.push(format!("steps that are always done have until {until}"));
    }
    // Each task that has no host is told of below, as it is now.
    told.reasons.retain(|reason| reason.code != NO_HOST);
    told.reasons.extend(status.untold.clone());
    let mut waits = Vec::new();
    for cell in status.cells.iter().filter(|cell| cell.phase == CellPhase::Going) {
        let Some(task) = cell.task.as_ref().and_then(|name| cx.world.get::<Task>(name)) else {
            continue;
        };
        told.see(Any::Task(task.clone()).id());
        waits.push(match &task.spec.host {
            Some(host) => {
                let said = task.status.reasons.first();
                let said = said.map(|why| format!(": {}", why.message)).unwrap_or_default();
                format!("{}, {} on {host}{said}", task.name(), word(&task.status.phase))
            }
            None => {
                let why = why_it_waits(cx.world, &task.spec);
                let why: Vec<String> = why.iter().map(|reason| reason.message.clone()).collect();
                format!("{} has no host: {}", task.name(), why.join("; "))
            }
        });
    }
    told.wait_each(waits);
    let failed = status.cells.iter().filter(|cell| cell.phase == CellPhase::Failed);
    for task in failed.filter_map(|cell| cell.task.as_ref()) {
        told.see(format!("task/{task}"));
    }
}

pub(super) fn tell_task(cx: &Context, it: &Object<Task>, told: &mut Told) {
    let (spec, status) = (&it.spec, &it.status);
    let host = spec.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    let code = status.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let since = ago(cx, status.since);
    told.state = format!("{} is {}{host}{since}{code}.", it.name(), word(&status.phase));
    let of = if spec.work.run_as.is_some() { "job" } else { "run" };
    told.see(format!("{of}/{}", spec.run));
    if status.phase.is_over() {
        return;
    }
    match &spec.host {
        Some(host) if spec.cancelled => told.waiting_for.push(format!("{host} to end it")),
        Some(host) => {
            told.see(format!("host/{host}"));
            told.waiting_for.push(format!("{host} to do it"));
        }
        None => {
            let why = why_it_waits(cx.world, spec);
            told.waiting_for.push("a host".to_owned());
            // As it is now; what was written may be older.
            told.reasons = why;
        }
    }
}

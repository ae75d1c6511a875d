//! The lines of pipelines, their runs and their tasks, and of secrets.

use atoll_model::ci::run::RunPhase;
use atoll_model::ci::task::TaskPhase;
use atoll_model::{Object, Pipeline, Run, Secret, Task, Timestamp};

use super::{Cell, aged, cell, name, reason, text, word};
use crate::clock::short;
use crate::terminal::Tone;

pub(super) fn pipeline(o: &Object<Pipeline>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let source = spec.source.as_ref().map(|source| match &source.git {
        Some(git) => git.clone(),
        None => format!("/git/{}.git", o.name()),
    });
    let branch = spec.source.as_ref().map(|source| source.branch.clone());
    vec![
        name(&o.meta),
        cell("SOURCE", text(&source)),
        cell("BRANCH", text(&branch)),
        cell("STEPS", spec.steps.len().to_string()),
        cell("LAST-RUN", o.status.last_run.to_string()),
        cell("PRIORITY", spec.priority.to_string()).wide(),
        cell("LOOKED", o.status.polled_at.map(|at| short(now.since(at))).unwrap_or_default())
            .wide(),
        aged(&o.meta, now),
        reason(&o.status.reasons),
    ]
}

pub(super) fn run(o: &Object<Run>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let tone = match status.phase {
        RunPhase::Succeeded => Tone::Good,
        RunPhase::Failed | RunPhase::TimedOut => Tone::Bad,
        RunPhase::Cancelled => Tone::Plain,
        RunPhase::Pending | RunPhase::Waiting | RunPhase::Running => Tone::Busy,
    };
    let commit = status.commit.as_ref().map(|commit| &commit.id).or(o.spec.commit.as_ref());
    let done = status.cells.iter().filter(|cell| cell.phase.is_over()).count();
    let took = status.started_at.map(|began| status.ended_at.unwrap_or(now).since(began));
    let tests = status.tests.values().fold((0, 0), |(all, bad), totals| {
        (all + totals.passed + totals.failed, bad + totals.failed)
    });
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("STEPS", format!("{done}/{}", status.cells.len())),
        cell("BRANCH", text(&o.spec.branch)),
        cell("COMMIT", commit.map_or("", |id| id.get(..8).unwrap_or(id))),
        cell("CAUSE", word(&o.spec.cause)),
        cell("TESTS", if tests.0 == 0 { String::new() } else { tests.0.to_string() }),
        cell("FAILED", if tests.0 == 0 { String::new() } else { tests.1.to_string() }),
        cell("MADE", status.made.as_ref().map_or("", |made| &made.version)),
        cell("TOOK", took.map(short).unwrap_or_default()),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn task(o: &Object<Task>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let tone = match status.phase {
        TaskPhase::Succeeded => Tone::Good,
        TaskPhase::Failed | TaskPhase::TimedOut | TaskPhase::OverLimit | TaskPhase::Lost => {
            Tone::Bad
        }
        TaskPhase::Cancelled => Tone::Plain,
        _ => Tone::Busy,
    };
    let took = status.started_at.map(|began| status.ended_at.unwrap_or(now).since(began));
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("HOST", text(&o.spec.host)),
        cell("EXIT", status.exit_code.map(|code| code.to_string()).unwrap_or_default()),
        cell("TOOK", took.map(short).unwrap_or_default()),
        cell("IMAGE", text(&o.spec.work.image)).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn secret(o: &Object<Secret>, now: Timestamp) -> Vec<Cell> {
    vec![
        name(&o.meta),
        cell("VALUE", if o.spec.sealed.is_some() { "set" } else { "" }),
        cell("DESCRIPTION", &o.spec.description),
        aged(&o.meta, now),
    ]
}

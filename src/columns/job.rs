//! The lines of jobs and runbooks.

use atoll_model::job::JobPhase;
use atoll_model::{Job, Object, Runbook, Timestamp};

use super::{Cell, aged, cell, name, reason, text, word};
use crate::clock::short;
use crate::terminal::Tone;

pub(super) fn job(o: &Object<Job>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let tone = match status.phase {
        JobPhase::Succeeded => Tone::Good,
        JobPhase::Failed => Tone::Bad,
        JobPhase::Cancelled => Tone::Plain,
        JobPhase::Pending | JobPhase::Running | JobPhase::Paused => Tone::Busy,
    };
    let took = status.started_at.map(|began| status.ended_at.unwrap_or(now).since(began));
    let command = o.spec.deed.command.join(" ");
    let shown: String = command.chars().take(40).collect();
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("DONE", format!("{}/{}", status.over(), status.targets.len())),
        cell("FAILED", (status.errors()).to_string()),
        cell("ROUND", o.spec.round.to_string()).wide(),
        cell("AS", &o.spec.deed.run_as).wide(),
        cell("COMMAND", if shown == command { command } else { format!("{shown}…") }),
        cell("TOOK", took.map(short).unwrap_or_default()),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn runbook(o: &Object<Runbook>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let times: Vec<&str> = spec.schedules.iter().map(|s| s.cron.as_str()).collect();
    let params: Vec<&str> = spec.params.keys().map(String::as_str).collect();
    let on = spec.on.to_string();
    vec![
        name(&o.meta),
        cell("ON", if on.is_empty() { "all".to_owned() } else { on }),
        cell("PARAMS", params.join(",")),
        cell("SCHEDULE", times.join("; ")),
        cell("LAST-JOB", o.status.last_job.to_string()),
        cell("OWNER", text(&spec.owner)).wide(),
        cell("DESCRIPTION", &spec.description),
        aged(&o.meta, now),
        reason(&o.status.reasons),
    ]
}

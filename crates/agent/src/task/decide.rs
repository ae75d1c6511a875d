//! What a task needs next, and what its end means. Pure: it does none of it.

use atoll_model::agent::{AssignedTask, TaskReport};
use atoll_model::ci::step::Limits;
use atoll_model::ci::task::{TaskPhase, Yields};
use atoll_model::{Reason, Timestamp};
use nix::libc;
use serde::{Deserialize, Serialize};

use crate::runtime::orders::{Ended, How};

/// What is written down of a task, so that an agent that comes later goes on with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The task, without the values of its secrets.
    pub task: AssignedTask,
    /// The user it has.
    pub user: Option<u32>,
    /// How far it is.
    pub stage: Stage,
    /// Why it was asked to end, if it was.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// The keys of its caches, as the workspace had them at the start.
    #[serde(default)]
    pub caches: Vec<String>,
    /// Keys of caches that were found.
    #[serde(default)]
    pub cache_hits: Vec<String>,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Its workspace is being made. Nothing has run, so that this may be done again.
    Preparing,
    /// It has been, or is about to be, begun. From here on it is never begun again.
    Begun,
    /// It has ended; what it left is being kept.
    Ended(Conclusion),
    /// It is over, and this is said until nobody asks any more.
    Over(Box<TaskReport>),
}

/// Why a task was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// A person, or the run, wants it ended.
    Cancelled,
    /// Its workspace holds more than it may.
    Disk,
}

/// What the end of a command means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conclusion {
    /// What it becomes once all is kept.
    pub phase: TaskPhase,
    /// Its exit code, or 128 + the signal's number.
    pub exit_code: Option<i32>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its workspace is to be made.
    Prepare,
    /// Nothing has begun and nothing is to.
    GiveUp,
    /// It is to be followed to its end, and asked to end if that is wanted.
    Follow,
    /// What it left is to be kept.
    Keep,
    /// Its end is to be said.
    Say,
    /// Everything of it is to be removed.
    Clear,
}

/// What a task needs next; nothing wanted means that it is to be forgotten.
pub fn next_step(record: Option<&Record>, wanted: Option<&AssignedTask>) -> Step {
    let Some(wanted) = wanted else { return Step::Clear };
    let Some(record) = record else {
        return if wanted.cancel { Step::GiveUp } else { Step::Prepare };
    };
    if record.task.created_at != wanted.created_at {
        // Another task that has the name of one before; nothing of that may be left.
        return Step::Clear;
    }
    match &record.stage {
        Stage::Preparing if wanted.cancel => Step::GiveUp,
        Stage::Preparing => Step::Prepare,
        Stage::Begun => Step::Follow,
        Stage::Ended(_) => Step::Keep,
        Stage::Over(_) => Step::Say,
    }
}

/// What becomes of a task whose supervisor has said the last word.
pub fn conclude(
    ended: &Ended,
    late: bool,
    cause: Option<Cause>,
    task: &AssignedTask,
) -> Conclusion {
    let limits = &task.work.limits;
    let code = match ended.how {
        How::Exited(code) | How::Crowded(code) => Some(code),
        How::Signalled(number) => Some(128 + number),
        How::OutOfMemory => Some(137),
        How::NotStarted(number, _) if number != 0 => Some(127),
        How::NotStarted(..) | How::Unknown | How::WithEngine => None,
    };
    let (phase, reason) = match (&ended.how, cause) {
        (_, Some(Cause::Cancelled)) => {
            (TaskPhase::Cancelled, Some(Reason::new("cancelled", "it was asked to end")))
        }
        (_, Some(Cause::Disk)) => {
            let message = format!("its workspace held more than {}", limits.disk);
            let hint = "raise limits.disk, or find out what fills it";
            (TaskPhase::OverLimit, Some(Reason::new("disk-limit", message).hint(hint)))
        }
        _ if late => {
            let message = format!("it took longer than {}", limits.timeout);
            let hint = "raise limits.timeout, or see its log for what it waited for";
            (TaskPhase::TimedOut, Some(Reason::new("time-limit", message).hint(hint)))
        }
        (How::Exited(0), _) => (TaskPhase::Succeeded, None),
        (How::OutOfMemory, _) => (TaskPhase::OverLimit, Some(starved(limits, true))),
        // Nothing in a container can kill its first process so, and whatever the agent ends it for
        // was told above.
        (How::Signalled(libc::SIGKILL), None) if task.work.image.is_some() => {
            (TaskPhase::OverLimit, Some(starved(limits, false)))
        }
        (How::Crowded(_), _) => {
            let message = format!(
                "it wanted more than {} processes and threads at the same time",
                limits.processes
            );
            let hint = "raise limits.processes, or find out what begins them";
            (TaskPhase::OverLimit, Some(Reason::new("process-limit", message).hint(hint)))
        }
        (How::Unknown | How::WithEngine, _) => {
            let message = "it ended while its supervisor had died, and nobody knows how";
            (TaskPhase::Lost, Some(Reason::new("end-unknown", message)))
        }
        (How::NotStarted(0, why), _) => {
            (TaskPhase::Lost, Some(Reason::new("not-begun", why.clone())))
        }
        (How::NotStarted(..), _) => {
            let hint = "correct the step's shell, or run it on a host that has the program";
            (TaskPhase::Failed, Some(Reason::new(ended.code(), ended.to_string()).hint(hint)))
        }
        (How::Exited(_) | How::Signalled(_), _) => {
            (TaskPhase::Failed, Some(Reason::new("exited", ended.to_string())))
        }
    };
    Conclusion {
        phase,
        exit_code: code,
        started_at: Some(ended.at - ended.ran),
        ended_at: Some(ended.at),
        reasons: reason.into_iter().collect(),
    }
}

/// That there was too little memory. An engine of containers hears of that apart from the end, and
/// not always in time, so it may not have `said` so.
fn starved(limits: &Limits, said: bool) -> Reason {
    let (bound, hint) =
        (limits.resources.memory, "raise limits.resources.memory, or find out what");
    let (message, hint) = match said {
        true => (format!("it used more memory than {bound}"), format!("{hint} uses it")),
        false => (
            format!("it was killed, most likely as it used more memory than {bound}"),
            format!("{hint} uses it or who killed it: its container engine does not say"),
        ),
    };
    Reason::new("memory-limit", message).hint(hint)
}

/// The end of a task that has nothing to run.
pub fn succeeded(at: Timestamp) -> Conclusion {
    Conclusion {
        phase: TaskPhase::Succeeded,
        exit_code: None,
        started_at: Some(at),
        ended_at: Some(at),
        reasons: Vec::new(),
    }
}

/// The end of a task that was asked to end before its command had begun.
pub fn cancelled() -> Conclusion {
    let end = lost("cancelled", "it was asked to end before it had begun");
    Conclusion { phase: TaskPhase::Cancelled, ..end }
}

/// The end of a task of which nobody knows how it ended.
pub fn lost(code: &str, message: impl Into<String>) -> Conclusion {
    Conclusion {
        phase: TaskPhase::Lost,
        exit_code: None,
        started_at: None,
        ended_at: None,
        reasons: vec![Reason::new(code, message)],
    }
}

impl Record {
    /// How the task is, as far as it stands here.
    pub fn report(&self, phase: TaskPhase, started_at: Option<Timestamp>) -> TaskReport {
        TaskReport {
            name: self.task.name.clone(),
            generation: self.task.generation,
            phase,
            exit_code: None,
            started_at,
            ended_at: None,
            yields: Yields { cache_hits: self.cache_hits.clone(), ..Yields::default() },
            reasons: Vec::new(),
        }
    }

    /// How it is while something is waited for, before its command or after.
    pub fn report_waiting(&self, why: Option<Reason>) -> TaskReport {
        let mut report = match &self.stage {
            Stage::Ended(end) => {
                TaskReport { phase: TaskPhase::Keeping, ..self.report_end(end, Yields::default()) }
            }
            _ => self.report(TaskPhase::Preparing, None),
        };
        report.reasons.extend(why);
        report
    }

    /// How it is once it has ended.
    pub fn report_end(&self, end: &Conclusion, yields: Yields) -> TaskReport {
        TaskReport {
            exit_code: end.exit_code,
            ended_at: end.ended_at,
            yields,
            reasons: end.reasons.clone(),
            ..self.report(end.phase, end.started_at)
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::Span;

    use super::*;

    fn task(created_at: i64, cancel: bool) -> AssignedTask {
        let text = serde_json::json!({
            "name": "shop.1.unit.0", "generation": 1, "createdAt": Timestamp(created_at),
            "work": { "command": ["true"] }, "cancel": cancel,
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn what_is_waited_for_stands_with_the_task() {
        let why = Reason::new("registry-down", "r:5000 does not answer");
        let before = record(Stage::Preparing).report_waiting(Some(why.clone()));
        assert_eq!((before.phase, before.reasons), (TaskPhase::Preparing, vec![why.clone()]));
        let end = Conclusion {
            phase: TaskPhase::Succeeded,
            exit_code: Some(0),
            ended_at: Some(Timestamp(5)),
            ..lost("noted", "something")
        };
        let after = record(Stage::Ended(end)).report_waiting(Some(why));
        assert_eq!((after.phase, after.exit_code), (TaskPhase::Keeping, Some(0)));
        assert_eq!(after.reasons.len(), 2, "what was known before is said, too");
        assert!(record(Stage::Preparing).report_waiting(None).reasons.is_empty());
    }

    fn record(stage: Stage) -> Record {
        let task = task(1, false);
        Record { task, user: None, stage, cause: None, caches: vec![], cache_hits: vec![] }
    }

    fn end() -> Conclusion {
        lost("x", "y")
    }

    #[test]
    fn what_has_begun_is_never_begun_again() {
        let over = record(Stage::Preparing).report(TaskPhase::Lost, None);
        let stages = [
            (Stage::Preparing, Step::Prepare, Step::GiveUp),
            (Stage::Begun, Step::Follow, Step::Follow),
            (Stage::Ended(end()), Step::Keep, Step::Keep),
            (Stage::Over(Box::new(over)), Step::Say, Step::Say),
        ];
        for (stage, wanted, cancelled) in stages {
            let record = record(stage);
            let next = |task: Option<&AssignedTask>| next_step(Some(&record), task);
            assert_eq!(next(Some(&task(1, false))), wanted);
            assert_eq!(next(Some(&task(1, true))), cancelled);
            assert_eq!(next(Some(&task(2, false))), Step::Clear, "it is another");
            assert_eq!(next(None), Step::Clear);
        }
        assert_eq!(next_step(None, Some(&task(1, false))), Step::Prepare);
        assert_eq!(next_step(None, Some(&task(1, true))), Step::GiveUp);
    }

    #[test]
    fn ends_are_told_apart_by_their_cause() {
        let said = |how: How, late, cause| {
            let ended = Ended { at: Timestamp(9), ran: Span(4), how, line: None, why: None };
            let end = conclude(&ended, late, cause, &task(1, false));
            let code = end.reasons.first().map_or("", |r| r.code.as_str()).to_owned();
            (end.phase, end.exit_code, code)
        };
        use TaskPhase::*;
        let is = |phase, code, reason: &str| (phase, code, reason.to_owned());
        assert_eq!(said(How::Exited(0), false, None), is(Succeeded, Some(0), ""));
        assert_eq!(said(How::Exited(3), false, None), is(Failed, Some(3), "exited"));
        assert_eq!(said(How::Signalled(11), false, None), is(Failed, Some(139), "exited"));
        assert_eq!(said(How::Signalled(9), true, None), is(TimedOut, Some(137), "time-limit"));
        let cancelled = is(Cancelled, Some(143), "cancelled");
        assert_eq!(said(How::Signalled(15), false, Some(Cause::Cancelled)), cancelled);
        let disk = is(OverLimit, Some(137), "disk-limit");
        assert_eq!(said(How::Signalled(9), false, Some(Cause::Disk)), disk);
        assert_eq!(said(How::OutOfMemory, false, None), is(OverLimit, Some(137), "memory-limit"));
        assert_eq!(said(How::Signalled(9), false, None), is(Failed, Some(137), "exited"));
        assert_eq!(said(How::Crowded(2), false, None), is(OverLimit, Some(2), "process-limit"));
        assert_eq!(said(How::Unknown, false, None), is(Lost, None, "end-unknown"));
        let none = How::NotStarted(2, "no such".to_owned());
        assert_eq!(said(none, false, None), is(Failed, Some(127), "no-such-program"));
        let sandbox = How::NotStarted(0, "no sandbox".to_owned());
        assert_eq!(said(sandbox, false, None), is(Lost, None, "not-begun"));
    }

    #[test]
    fn a_container_that_nobody_here_killed_has_most_likely_run_out_of_memory() {
        let said = |how: How, late, image: Option<&str>| {
            let mut task = task(1, false);
            task.work.image = image.map(str::to_owned);
            let ended = Ended { at: Timestamp(9), ran: Span(4), how, line: None, why: None };
            conclude(&ended, late, None, &task).phase
        };
        let image = Some("steps:1");
        assert_eq!(said(How::Signalled(9), false, image), TaskPhase::OverLimit);
        assert_eq!(said(How::Signalled(9), true, image), TaskPhase::TimedOut);
        assert_eq!(said(How::Signalled(15), false, image), TaskPhase::Failed);
        assert_eq!(said(How::Signalled(9), false, None), TaskPhase::Failed);
    }
}

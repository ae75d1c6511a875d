//! What is watched: the promises of applications as objectives and rules (`promise.rs`), how well
//! they are kept (`objective.rs`), and what the server's prober sees of monitors. Not alerts,
//! which are in `alerting.rs`.

use std::sync::Arc;

use atoll_model::monitoring::{MonitorPhase, MonitorStatus};
use atoll_model::{Any, Intent, Monitor, Object, Reason, Write};

use crate::{Context, Plan};

pub mod objective;
pub mod promise;
pub mod series;

/// So many targets that are down are named; the rest is counted.
const NAMED: usize = 5;

/// What the prober last saw of one target of a monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetResult {
    /// As it stands in the monitor.
    pub target: String,
    /// Whether it answered as it should.
    pub up: bool,
    /// What was wrong, where it did not.
    pub problem: Option<String>,
    /// How often in a row it did not.
    pub failures: u32,
    /// Why samples of it were not kept, if some were not.
    pub refused: Option<String>,
}

/// Notes how the targets of a monitor are; writes where that differs from what was known. A
/// target is down once it has failed as often in a row as the monitor says; with the same target
/// down, another problem is noted, and the same one with other numbers is not.
pub fn observed(cx: &Context, monitor: &str, results: &[TargetResult]) -> Plan {
    let Some(stored) = cx.world.get::<Monitor>(monitor) else { return Plan::nothing() };
    let limit = stored.spec.failures.max(1);
    let down: Vec<_> = results.iter().filter(|r| !r.up && r.failures >= limit).collect();
    let old = &stored.status;
    // One that fails for too short a time to tell is still what it was, if that is known.
    let is_new = old.phase == MonitorPhase::Unknown;
    let untold = results.iter().filter(|r| is_new && !r.up && r.failures < limit).count();
    let up = results.len() - down.len() - untold;
    let phase = match (up, down.len()) {
        (0, 0) => MonitorPhase::Unknown,
        (_, 0) => MonitorPhase::Up,
        (0, _) => MonitorPhase::Down,
        _ => MonitorPhase::Degraded,
    };
    let known = |message: &str| {
        let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        old.reasons.iter().find(|reason| words(&reason.message) == words(message)).cloned()
    };
    let mut reasons: Vec<Reason> = Vec::new();
    for target in down.iter().take(NAMED) {
        let problem = target.problem.as_deref().unwrap_or("no answer");
        let message = format!("{} is down: {problem}", target.target);
        reasons.push(known(&message).unwrap_or_else(|| Reason::new("target-down", message)));
    }
    if down.len() > NAMED {
        let message = format!("{} more targets are down", down.len() - NAMED);
        reasons.push(Reason::new("target-down", message));
    }
    let refused = results.iter().filter_map(|r| Some((r, r.refused.as_ref()?)));
    for (target, why) in refused.take(NAMED) {
        let message = format!("some samples of {} were not kept: {why}", target.target);
        let hint = "/api/v1/status/tsdb of the server shows who has how many series";
        let reason = || Reason::new("samples-refused", message.clone()).hint(hint);
        reasons.push(known(&message).unwrap_or_else(reason));
    }
    let since = if phase == old.phase { old.since } else { Some(cx.now) };
    let (up, down) = (up as u32, down.len() as u32);
    let status = MonitorStatus { phase, since, up, down, reasons };
    let mut plan = Plan::new(Intent::Observe);
    if status != *old {
        plan.reasons.clone_from(&status.reasons);
        let mut new = Object::clone(stored);
        new.status = status;
        plan.writes.push(Write::Put(Any::Monitor(Arc::new(new))));
    }
    plan
}

#[cfg(test)]
mod tests;

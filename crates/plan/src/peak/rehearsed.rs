//! What came of the last rehearsal of a peak, and whether it was of what is declared now.

use std::sync::Arc;

use atoll_model::peak::{PeakStatus, Rehearsed};
use atoll_model::rehearsal::report::RehearsalReport;
use atoll_model::{Any, Intent, Object, Peak, Reason, Write, many};

use super::ready;
use crate::{Context, Plan, checksum};

/// A checksum of what a peak declares, which its labels are no part of.
pub(super) fn basis(spec: &Peak) -> u32 {
    let sum = checksum([serde_json::to_vec(spec).unwrap_or_default().as_slice()]);
    (sum ^ (sum >> 32)) as u32
}

/// Keeps what came of a rehearsal of a peak as it was then.
pub fn rehearsed(cx: &Context, then: &Object<Peak>, report: &RehearsalReport) -> Plan {
    let name = then.name();
    let Some(peak) = cx.world.get::<Peak>(name) else { return Plan::nothing() };
    let rows = then.status.applications.iter();
    let needed = rows.filter_map(|row| Some((row.deployment.clone(), row.needed?))).collect();
    let broken = report.checks.iter().find(|check| !check.held);
    let told = match broken {
        Some(check) => format!("{}: {}", check.what, check.found),
        None => format!("{} held", many(report.checks.len(), "check")),
    };
    let mut new = Object::clone(peak);
    let held = report.held;
    let (generation, spec) = (then.meta.generation, Some(basis(&then.spec)));
    new.status.rehearsed = Some(Rehearsed { at: cx.now, held, generation, spec, needed, told });
    enter(cx, peak, &mut new.status);
    let mut plan = Plan::new(Intent::Observe);
    let word = if held { "held" } else { "did not hold" };
    plan.reasons.push(Reason::new("rehearsed", format!("{name} was rehearsed, and {word}")));
    plan.writes.push(Write::Put(Any::Peak(Arc::new(new))));
    plan
}

/// Whoever reads the calendar after a rehearsal reads of that one, and not of what was before it
/// until the planner has looked again: also where what was ready when the peak began stays so.
fn enter(cx: &Context, peak: &Object<Peak>, status: &mut PeakStatus) {
    if cx.now >= status.times.ends {
        return;
    }
    let line = ready::rehearsal(cx, peak, status);
    let checks = status.checks.iter_mut().filter(|check| check.name == line.name);
    checks.for_each(|check| check.clone_from(&line));
    status.reasons = super::reasons(cx, peak, status);
}

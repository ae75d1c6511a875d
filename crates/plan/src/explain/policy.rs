//! Why standards, waivers and scorecards are as they are, and what of them stands against an
//! object.

use std::sync::Arc;

use atoll_model::policy::{Finding, FindingState, Mode};
use atoll_model::{Any, Object, Reason, Scorecard, Standard, Waiver, many};

use super::{NAMED, Told, word};
use crate::Context;
use crate::policy::{card_name, findings_of, waivers_of};

pub(super) fn standard(cx: &Context, it: &Object<Standard>, told: &mut Told) {
    let (name, spec, status) = (it.name(), &it.spec, &it.status);
    let kinds: Vec<&str> = spec.kinds.iter().map(|kind| kind.plural()).collect();
    let mode = match spec.mode {
        Mode::Off => "is off",
        Mode::Trial => "is on trial, and only recorded",
        Mode::Warn => "warns",
        Mode::Enforce => "is enforced",
    };
    let broken = match (spec.mode, status.broken) {
        (Mode::Off, _) => "nobody looks at it".to_owned(),
        (_, 0) => "nothing breaks it".to_owned(),
        (_, broken) => format!("{} it", break_it(broken)),
    };
    told.state = format!("{name} {mode}, about {}; {broken}.", kinds.join(" and "));
    if !spec.description.is_empty() {
        told.state = format!("{} {}.", told.state, spec.description.trim_end_matches('.'));
    }
    if status.observed_generation < it.meta.generation {
        told.waiting_for.push("its planner to take up the last edit".to_owned());
    }
    list(status.findings.iter(), told);
    for waiver in waivers_of(cx, name).take(NAMED) {
        told.see(Any::Waiver(waiver.clone()).id());
    }
    let before = "which past changes it would have stopped";
    if matches!(spec.mode, Mode::Trial | Mode::Warn) {
        told.next
            .push(format!("before it is enforced, see {before}: atoll standard replay {name}"));
    }
}

fn break_it(count: u32) -> String {
    if count == 1 { "1 object breaks".to_owned() } else { format!("{count} objects break") }
}

pub(super) fn waiver(cx: &Context, it: &Object<Waiver>, told: &mut Told) {
    let spec = &it.spec;
    let whom = match (&spec.subject, &spec.applications) {
        (Some(subject), _) => subject.clone(),
        (None, selector) => {
            let selector = selector.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("everything of applications with {selector}")
        }
    };
    let ends = match spec.active(cx.now) {
        true => format!("until {}, for {}", spec.ends, spec.ends.since(cx.now).rough()),
        false => format!("no more: it ended at {}", spec.ends),
    };
    let (standard, owner, reason) = (&spec.standard, &spec.owner, &spec.reason);
    told.state = format!("{whom} is excused from {standard} {ends}; {owner} says: {reason}.");
    told.see(format!("standard/{standard}"));
    told.see.extend(spec.subject.clone());
}

pub(super) fn scorecard(it: &Arc<Object<Scorecard>>, told: &mut Told) {
    let (subject, status) = (&it.spec.subject, &it.status);
    let score = match status.score {
        Some(score) => format!("keeps {score} of 100"),
        None => "is asked nothing that counts".to_owned(),
    };
    let (checks, broken) = (many(status.checks as usize, "check"), status.broken);
    told.state = format!("{subject} {score}: {broken} of {checks} broken.");
    told.see(subject.clone());
    list(status.findings.iter(), told);
}

/// What stands against an object.
pub(super) fn against(cx: &Context, any: &Any, told: &mut Told) {
    let findings = findings_of(cx.world, any);
    if findings.is_empty() {
        return;
    }
    list(findings.into_iter(), told);
    let own = card_name(any.kind(), any.name());
    if cx.world.get::<Scorecard>(&own).is_some() {
        told.see(format!("scorecard/{own}"));
    }
}

/// The first findings, those on trial last.
fn list<'a>(findings: impl Iterator<Item = &'a Finding>, told: &mut Told) {
    let findings: Vec<&Finding> = findings.collect();
    for finding in findings.iter().take(NAMED) {
        let (subject, standard, message) = (&finding.subject, &finding.standard, &finding.message);
        let at =
            if finding.field.is_empty() { String::new() } else { format!(" ({})", finding.field) };
        let (code, how) = match finding.state {
            FindingState::Broken => ("standard-broken", "breaks"),
            FindingState::Unknown => ("standard-unknown", "cannot be judged by"),
            FindingState::Waived => ("standard-waived", "is excused from"),
        };
        let mode = match finding.until {
            Some(until) => format!("until {until}"),
            None => format!("{}, since {}", word(&finding.mode), finding.since),
        };
        let said = format!("{subject} {how} {standard} ({mode}): {message}{at}");
        let reason = Reason::new(code, said);
        let fix = (!finding.fix.is_empty()).then(|| finding.fix.clone());
        told.reasons.push(Reason { hint: fix, ..reason });
    }
    let more = findings.len().saturating_sub(NAMED);
    if more > 0 {
        told.reasons.push(Reason::new("standard-broken", format!("{more} more like these")));
    }
}

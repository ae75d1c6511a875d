//! The lines of promotions and approvals.

use atoll_model::promotion::{CheckState, PromotionPhase};
use atoll_model::{Approval, Object, Promotion, Timestamp};

use super::{Cell, aged, cell, name, reason, text, word};
use crate::clock::short;
use crate::terminal::Tone;

pub(super) fn promotion(o: &Object<Promotion>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        PromotionPhase::Good => Tone::Good,
        PromotionPhase::Failed | PromotionPhase::Refused => Tone::Bad,
        PromotionPhase::Superseded => Tone::Dim,
        PromotionPhase::Waiting | PromotionPhase::Admitted | PromotionPhase::Rolling => Tone::Busy,
    };
    let given = |state| matches!(state, CheckState::Passed | CheckState::Skipped);
    let checks = match status.checks.len() {
        0 => String::new(),
        all => format!("{}/{all}", status.checks.iter().filter(|c| given(c.state)).count()),
    };
    let at = |at: Option<Timestamp>| at.map(|at| short(now.since(at))).unwrap_or_default();
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("RELEASE", spec.release.clone()),
        cell("ENVIRONMENT", spec.environment.clone()),
        cell("CHECKS", checks),
        cell("EMERGENCY", text(&spec.emergency)).tone(Tone::Bad),
        cell("HANDS", if status.by_hand { "yes" } else { "no" }).wide(),
        cell("ADMITTED", at(status.admitted_at)).wide(),
        cell("GOOD", at(status.good_at)).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn approval(o: &Object<Approval>, now: Timestamp) -> Vec<Cell> {
    vec![
        name(&o.meta),
        cell("SUBJECT", o.spec.subject.clone()),
        cell("BY", o.spec.by.clone()),
        cell("ROLE", o.spec.role.clone()),
        aged(&o.meta, now),
        cell("COMMENT", o.spec.comment.clone()),
    ]
}

//! How a standard is kept, counted from the scorecards that list something of it. Judging is done
//! for the scorecards.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::policy::{Finding, FindingState, Mode, StandardStatus};
use atoll_model::{Any, Object, Reason, Snapshot, Standard, Write};

use super::judge::Ready;
use crate::{Context, Plan};

/// So many findings are listed with a standard.
const LISTED: usize = 20;

/// Plans for one standard.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(it) = cx.world.get::<Standard>(name) else { return Plan::nothing() };
    let mut status =
        StandardStatus { observed_generation: it.meta.generation, ..StandardStatus::default() };
    let cards = cx.world.scorecards_with(name);
    let all = cards.flat_map(|card| card.status.findings.iter());
    for finding in all.filter(|finding| finding.standard == *name) {
        match finding.state {
            FindingState::Broken => status.broken += 1,
            FindingState::Waived => status.waived += 1,
            FindingState::Unknown => status.unknown += 1,
        }
        if status.findings.len() < LISTED {
            status.findings.push(finding.clone());
        }
    }
    if let Err(problems) = Ready::read(&it.spec) {
        let all: Vec<String> = problems.iter().map(|p| format!("spec.{p}")).collect();
        let message = format!("it cannot be read: {}", all.join("; "));
        status.reasons.push(Reason::new("invalid", message).hint("correct it"));
    }
    let mut plan = Plan::nothing();
    if status != it.status {
        let mut new = Object::clone(it);
        new.status = status;
        plan.writes.push(Write::Put(Any::Standard(Arc::new(new))));
    }
    plan
}

/// The standards a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Standard(standard)) => {
            let same = old.zip(new).is_some_and(|(old, new)| {
                old.same_spec(new) && old.meta().generation == new.meta().generation
            });
            if same { Vec::new() } else { vec![standard.meta.name.clone()] }
        }
        Some(Any::Scorecard(_)) => {
            let (old, new) = (told(old), told(new));
            let changed = old.symmetric_difference(&new).map(|(standard, ..)| *standard);
            let names: BTreeSet<&str> = changed.collect();
            let there = names.into_iter().filter(|name| world.get::<Standard>(name).is_some());
            there.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// What a scorecard says of each standard.
type Said<'a> = (&'a str, &'a str, FindingState, Mode, &'a str);

fn told(any: Option<&Any>) -> BTreeSet<Said<'_>> {
    let Some(Any::Scorecard(card)) = any else { return BTreeSet::new() };
    card.status.findings.iter().map(said).collect()
}

fn said(finding: &Finding) -> Said<'_> {
    let Finding { standard, subject, state, mode, message, .. } = finding;
    (standard, subject, *state, *mode, message)
}

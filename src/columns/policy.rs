//! The lines of standards, waivers and scorecards.

use atoll_model::policy::Mode;
use atoll_model::{Object, Scorecard, Standard, Timestamp, Waiver};

use super::{Cell, aged, cell, name, text, word};
use crate::clock::short;
use crate::terminal::Tone;

pub(super) fn standard(o: &Object<Standard>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let kinds: Vec<&str> = spec.kinds.iter().map(|kind| kind.name()).collect();
    let points: Vec<String> = spec.points.iter().map(word).collect();
    let points = if points.is_empty() { "all".to_owned() } else { points.join(",") };
    let tone = match spec.mode {
        Mode::Off => Tone::Dim,
        Mode::Trial => Tone::Plain,
        Mode::Warn => Tone::Busy,
        Mode::Enforce => Tone::Strong,
    };
    let broken = match (spec.mode, status.broken) {
        (_, 0) | (Mode::Off | Mode::Trial, _) => Tone::Plain,
        (Mode::Warn, _) => Tone::Busy,
        (Mode::Enforce, _) => Tone::Bad,
    };
    vec![
        name(&o.meta),
        cell("MODE", word(&spec.mode)).tone(tone),
        cell("ABOUT", kinds.join(",")),
        cell("BROKEN", status.broken.to_string()).tone(broken),
        cell("WAIVED", status.waived.to_string()),
        cell("UNKNOWN", status.unknown.to_string()).wide(),
        cell("POINTS", points).wide(),
        cell("FAILURE", word(&spec.failure)).wide(),
        cell("WEIGHT", spec.weight.to_string()).wide(),
        cell("REQUIRE", spec.require.clone()).wide(),
        aged(&o.meta, now),
        cell("DESCRIPTION", spec.description.clone()),
    ]
}

pub(super) fn waiver(o: &Object<Waiver>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let whom = spec
        .subject
        .clone()
        .unwrap_or_else(|| spec.applications.as_ref().map(ToString::to_string).unwrap_or_default());
    let (ends, tone) = match spec.active(now) {
        true => (format!("in {}", short(spec.ends.since(now))), Tone::Plain),
        false => (format!("{} ago", short(now.since(spec.ends))), Tone::Dim),
    };
    vec![
        name(&o.meta),
        cell("STANDARD", spec.standard.clone()),
        cell("EXCUSED", whom),
        cell("OWNER", spec.owner.clone()),
        cell("ENDS", ends).tone(tone),
        aged(&o.meta, now),
        cell("REASON", spec.reason.clone()),
    ]
}

pub(super) fn scorecard(o: &Object<Scorecard>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let first = status.findings.first();
    let first = first.map(|finding| format!("{}: {}", finding.standard, finding.message));
    vec![
        name(&o.meta),
        cell("OF", o.spec.subject.clone()),
        cell("SCORE", text(&status.score.map(|score| score.to_string()))).tone(tone(status.score)),
        cell("CHECKS", status.checks.to_string()),
        cell("BROKEN", status.broken.to_string()),
        cell("FINDINGS", (status.findings.len() + status.more as usize).to_string()),
        cell("OWNER", text(&status.owner)).wide(),
        aged(&o.meta, now),
        cell("FIRST", text(&first)),
    ]
}

/// How a score looks.
pub fn tone(score: Option<u32>) -> Tone {
    match score {
        None => Tone::Dim,
        Some(90..) => Tone::Good,
        Some(60..90) => Tone::Busy,
        Some(_) => Tone::Bad,
    }
}

//! Lines of what keeps the number of instances, of what they carry, of peaks, and of what moves
//! them.

use atoll_model::capacity::CapacityPhase;
use atoll_model::elasticity::{AutoscalerPhase, Score};
use atoll_model::migration::MigrationPhase;
use atoll_model::peak::{Expected, PeakPhase, State, when};
use atoll_model::{Autoscaler, Capacity, Migration, Object, Peak, Timestamp};

use super::{Cell, aged, cell, name, reason, word};
use crate::terminal::Tone;

pub(super) fn autoscaler(o: &Object<Autoscaler>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let tone = match status.phase {
        AutoscalerPhase::Acting => Tone::Good,
        AutoscalerPhase::Observing => Tone::Plain,
        AutoscalerPhase::Waiting => Tone::Busy,
        AutoscalerPhase::Blind => Tone::Bad,
    };
    let signals = status.signals.iter().map(|signal| match (signal.value, signal.wants) {
        (Some(value), Some(wants)) => format!("{} {value} -> {wants}", signal.name),
        _ => format!("{} not measured", signal.name),
    });
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("DESIRED", status.desired.map(|desired| desired.to_string()).unwrap_or_default()),
        cell("BOUNDS", format!("{}-{}", status.min, status.max)),
        cell("SIGNALS", signals.collect::<Vec<_>>().join(", ")),
        cell("SCORE", status.score.as_ref().map(score).unwrap_or_default()).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

/// The share of the time in which there would have been too few, that in which there were, and how
/// many times as many instances.
fn score(score: &Score) -> String {
    if score.seconds <= 0.0 {
        return "nothing measured".to_owned();
    }
    let (would, was) = score.too_few();
    format!("{:.1} % short, was {:.1} %, at {:.2} x", would * 100.0, was * 100.0, score.times())
}

pub(super) fn capacity(o: &Object<Capacity>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let tone = match status.phase {
        CapacityPhase::Ample => Tone::Good,
        CapacityPhase::Unknown => Tone::Plain,
        CapacityPhase::Tight => Tone::Busy,
        CapacityPhase::Short => Tone::Bad,
    };
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let peak = status.days.iter().max_by(|a, b| a.high.total_cmp(&b.high));
    let peak = peak.map(|day| format!("{} -> {} at {}", day.high, day.instances, day.at));
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("EACH", number(status.each)),
        cell("KNOWN", word(&status.known)),
        cell("LOAD", number(status.load)),
        cell("READY", status.ready.to_string()),
        cell("NEEDED", status.needed.to_string()),
        cell("PEAK", peak.unwrap_or_default()).wide(),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn migration(o: &Object<Migration>, now: Timestamp) -> Vec<Cell> {
    let (spec, status) = (&o.spec, &o.status);
    let tone = match status.phase {
        MigrationPhase::Done => Tone::Good,
        MigrationPhase::Stuck => Tone::Bad,
        MigrationPhase::Moving | MigrationPhase::GoingBack => Tone::Busy,
        MigrationPhase::Waiting | MigrationPhase::Paused | MigrationPhase::Cancelled => Tone::Plain,
    };
    let off = if spec.balance { "the fullest".to_owned() } else { spec.off.clone() };
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("OFF", off),
        cell("HOSTS", status.hosts.len().to_string()),
        cell("WAVE", status.wave.to_string()),
        cell("MOVED", status.moved.to_string()),
        cell("LEFT", status.left.to_string()),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

pub(super) fn peak(o: &Object<Peak>, now: Timestamp) -> Vec<Cell> {
    let (status, zone) = (&o.status, o.spec.time_zone.as_deref());
    let late = status.checks.iter().filter(|check| check.state == State::Late).count();
    let done = status.checks.iter().filter(|check| check.state == State::Done).count();
    let tone = match status.phase {
        PeakPhase::Over => Tone::Plain,
        PeakPhase::Planned => Tone::Good,
        _ => Tone::Busy,
    };
    let shown = |at: Option<Timestamp>| at.map(|at| when::shown(at, zone)).unwrap_or_default();
    let window = o.spec.window().ok();
    let needed: u32 = status.applications.iter().filter_map(|row| row.needed).sum();
    let have = status.there();
    let times: Vec<String> = o
        .spec
        .applications
        .iter()
        .map(|(name, expected)| match expected {
            Expected::Times(times) => format!("{name} x{times}"),
            Expected::Volume { volume } => format!("{name} {volume}"),
        })
        .collect();
    vec![
        name(&o.meta),
        cell("PHASE", word(&status.phase)).tone(tone),
        cell("STARTS", shown(window.map(|(starts, _)| starts))),
        cell("ENDS", shown(window.map(|(_, ends)| ends))).wide(),
        cell("IN", o.spec.environment.clone()),
        cell("EXPECTS", times.join(", ")),
        cell("INSTANCES", format!("{have}/{needed}")),
        cell("READY", format!("{done}/{}", status.checks.len())).tone(if late > 0 {
            Tone::Bad
        } else {
            Tone::Plain
        }),
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
}

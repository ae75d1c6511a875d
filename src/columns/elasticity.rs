//! Lines of what keeps the number of instances, of what they carry, and of what moves them.

use atoll_model::capacity::CapacityPhase;
use atoll_model::elasticity::AutoscalerPhase;
use atoll_model::migration::MigrationPhase;
use atoll_model::{Autoscaler, Capacity, Migration, Object, Timestamp};

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
        aged(&o.meta, now),
        reason(&status.reasons),
    ]
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

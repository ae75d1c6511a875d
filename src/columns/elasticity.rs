//! Lines of what keeps the number of instances, and of what they carry.

use atoll_model::capacity::CapacityPhase;
use atoll_model::elasticity::AutoscalerPhase;
use atoll_model::{Autoscaler, Capacity, Object, Timestamp};

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

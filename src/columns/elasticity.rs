//! Lines of what keeps the number of instances.

use atoll_model::elasticity::AutoscalerPhase;
use atoll_model::{Autoscaler, Object, Timestamp};

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

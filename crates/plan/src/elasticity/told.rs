//! What an autoscaler says of its signals, and when that is worth a write. What follows from them
//! is in `decide.rs`.

use atoll_model::elasticity::{AutoscalerStatus, SignalStatus};
use atoll_model::{Span, Timestamp};

use super::Subject;
use super::decide::{self, Needs};
use crate::capacity;

/// What is shown is written anew so often, where the number stays.
pub(super) const SHOWN: Span = Span::seconds(60);

/// What each signal says now, or when it said something last.
pub(super) fn signals(subject: &Subject, needs: &[Needs], now: Timestamp) -> Vec<SignalStatus> {
    let serving = f64::from(subject.deployment.status.ready.max(1));
    let each = subject.signals.iter().zip(needs);
    let stored = &subject.object.status.signals;
    each.map(|(signal, needs)| {
        let need = needs.now(now);
        // What is kept of it is forgotten sooner than somebody may ask.
        let known = stored.iter().find(|known| known.name == signal.name);
        let last = || match needs.points.last() {
            Some((at, _)) => Some(*at),
            None => known?.measured_at,
        };
        let value = |need: f64| match (signal.per_instance, signal.below) {
            (Some(each), _) => need * each,
            (None, Some(below)) => need * below / serving,
            (None, None) => 0.0,
        };
        SignalStatus {
            name: signal.name.to_owned(),
            value: need.map(|need| decide::round(value(need))),
            wants: need.map(decide::whole),
            measured_at: if need.is_none() { last() } else { None },
        }
    })
    .collect()
}

/// Whether a status says something that is worth a write.
pub(super) fn is_news(old: &AutoscalerStatus, new: &AutoscalerStatus) -> bool {
    let seen = |status: &AutoscalerStatus| {
        let codes = status.reasons.iter().map(|reason| reason.code.clone());
        let codes: Vec<String> = codes.collect();
        (status.phase, status.desired, status.min, status.max, codes)
    };
    let late = old.seen_at.zip(new.seen_at).is_none_or(|(old, new)| new.since(old) >= SHOWN);
    let other = old.score != new.score
        || old.unread_at != new.unread_at
        || (&old.signals, &old.reasons, &old.forecast)
            != (&new.signals, &new.reasons, &new.forecast);
    // What people and rehearsals go by is never far from what is.
    let value = |all: &[SignalStatus], at: usize| all.get(at).and_then(|signal| signal.value);
    let count = old.signals.len().max(new.signals.len());
    let moved =
        (0..count).any(|at| capacity::has_moved(value(&old.signals, at), value(&new.signals, at)));
    seen(old) != seen(new) || moved || (late && other)
}

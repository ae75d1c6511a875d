//! Takes measurements apart into what may be believed: no impossible values, no frozen metric, no
//! known events. It does not fill gaps and does not smooth; a gap stays a gap, written as NaN.
//!
//! Everything here decides about a value from that value and earlier ones only.

use super::{Event, Series};

/// Nothing that is counted or timed is larger than this.
const LARGEST: f64 = 1e15;
/// A value so many times the largest one ever accepted is a mistake...
const JUMP: f64 = 1000.0;
/// ...unless so many in a row agree.
const AGREE: usize = 5;
/// How many minutes a metric must stand still to count as frozen.
const FROZEN: i64 = 30;
/// ...and how many values it must stand still for at least.
const FROZEN_VALUES: usize = 10;
/// A load that often repeats its last value is coarse, not frozen: the largest share of repeats.
const REPEATS: f64 = 0.05;

/// Measurements that may be believed.
pub(super) struct Clean {
    /// The load as measured; NaN where there is none or it cannot be believed.
    pub measured: Vec<f64>,
    /// The load as it would be without known events; NaN where unknown.
    pub load: Vec<f64>,
    /// As `load`, without any value from a frozen metric or an outage: what a season is made of.
    pub usual: Vec<f64>,
    /// How many times the usual load the events make it, also beyond the end of the series.
    pub factor: Vec<f64>,
}

/// Cleans a series, with factors of events for so many steps beyond its end.
pub(super) fn clean(series: &Series, events: &[Event], beyond: usize) -> Clean {
    let mut measured = believable(series.values);
    let factor = factors(series, events, beyond);
    let usual = thaw(&mut measured, series.step);
    let without = |values: &[f64]| {
        let pairs = values.iter().zip(&factor);
        pairs.map(|(value, by)| if *by > 0.0 { value / by } else { f64::NAN }).collect()
    };
    let (load, usual) = (without(&measured), without(&usual));
    Clean { measured, load, usual, factor }
}

/// Removes values that are not numbers, are negative, or are absurd.
fn believable(values: &[Option<f64>]) -> Vec<f64> {
    let (mut largest, mut absurd) = (0.0_f64, 0);
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        let value = value.filter(|value| (0.0..=LARGEST).contains(value)).unwrap_or(f64::NAN);
        if largest > 0.0 && value > JUMP * largest {
            absurd += 1;
        } else if !value.is_nan() {
            absurd = 0;
        }
        if value.is_nan() || (1..AGREE).contains(&absurd) {
            kept.push(f64::NAN);
        } else {
            largest = largest.max(value);
            kept.push(value);
        }
    }
    kept
}

/// Removes values of a metric that stands still although it usually does not.
///
/// In `measured` a frozen metric is removed from the moment this is certain; in the answer, from
/// where it began, and an outage (standing still at zero) too.
fn thaw(measured: &mut [f64], step: i64) -> Vec<f64> {
    let enough = FROZEN_VALUES.max(usize::try_from(FROZEN * 60_000 / step.max(1)).unwrap_or(0));
    let mut usual = measured.to_vec();
    let (mut held, mut run, mut seen, mut repeats) = (f64::NAN, 0_usize, 0_usize, 0_usize);
    let mut began = 0;
    for (at, value) in measured.iter_mut().enumerate() {
        if value.is_nan() {
            continue;
        }
        if *value == held {
            run += 1;
        } else {
            let counted = if run < enough { run } else { 0 };
            (seen, repeats) = (seen + 1 + counted, repeats + counted);
            (held, run, began) = (*value, 0, at);
        }
        let unusual = seen >= 4 * enough && (repeats as f64) < REPEATS * seen as f64;
        if run >= enough && unusual {
            if let Some(still) = usual.get_mut(began..=at) {
                still.fill(f64::NAN);
            }
            began = at;
            if held > 0.0 {
                *value = f64::NAN;
            }
        }
    }
    usual
}

/// The product of the factors of all events at each time.
fn factors(series: &Series, events: &[Event], beyond: usize) -> Vec<f64> {
    let length = series.values.len() + beyond;
    let mut factors = vec![1.0; length];
    let index = |time: i64| {
        let steps = (i128::from(time) - i128::from(series.start) + i128::from(series.step) - 1)
            .div_euclid(i128::from(series.step.max(1)));
        usize::try_from(steps.max(0)).unwrap_or(length).min(length)
    };
    for event in events.iter().filter(|event| (0.0..=1e6).contains(&event.factor)) {
        if let Some(during) =
            factors.get_mut(index(event.from)..index(event.to).max(index(event.from)))
        {
            during.iter_mut().for_each(|factor| *factor *= event.factor);
        }
    }
    factors
}

//! How far forecasts were off: the simplest ones everyone has (last, day ago, week ago), and any
//! other. It makes no forecasts of its own and chooses none.

use super::clean::Clean;
use super::sums::{get, quantile};

/// How wrong forecasts were, as shares of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// The error of the own forecast: the sum of the absolute errors over the sum of the load.
    pub wape: f64,
    /// The error of saying the last value again.
    pub last: f64,
    /// The error of saying the value of a day before again; `None` without a day to look at.
    pub day_ago: Option<f64>,
    /// The error of saying the value of a week before again; `None` without a week to look at.
    pub week_ago: Option<f64>,
    /// How many values were compared.
    pub points: usize,
}

impl Accuracy {
    /// The least error of the simplest forecasts.
    #[must_use]
    pub fn best_simple(&self) -> f64 {
        let day = self.day_ago.unwrap_or(f64::INFINITY);
        self.last.min(day).min(self.week_ago.unwrap_or(f64::INFINITY))
    }
}

/// Which of the simplest forecasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Simplest {
    Last,
    DayAgo,
    WeekAgo,
}

/// The load with each gap filled by the value before it: what the simplest forecasts repeat.
pub(super) struct Held {
    values: Vec<f64>,
    day: usize,
}

impl Held {
    pub fn new(clean: &Clean, day: usize) -> Self {
        let mut held = f64::NAN;
        let hold = |value: &f64| {
            held = if value.is_nan() { held } else { *value };
            held
        };
        Self { values: clean.measured.iter().map(hold).collect(), day }
    }

    /// What one of the simplest forecasts says about a time, so many steps before.
    pub fn say(&self, which: Simplest, time: usize, lead: usize) -> f64 {
        let cycle = match which {
            Simplest::Last => return get(&self.values, time.wrapping_sub(lead)),
            Simplest::DayAgo => self.day,
            Simplest::WeekAgo => 7 * self.day,
        };
        get(&self.values, time.wrapping_sub(lead.div_ceil(cycle.max(1)).max(1) * cycle))
    }
}

/// The error of forecasts as a share of the load, and how many could be compared; `None` if none.
pub(super) fn wape(
    measured: &[f64],
    times: impl Iterator<Item = usize>,
    said: impl Fn(usize) -> f64,
) -> Option<(f64, usize)> {
    let (mut wrong, mut load, mut points) = (0.0, 0.0, 0);
    for time in times {
        let (truth, said) = (get(measured, time), said(time));
        if !truth.is_nan() && !said.is_nan() {
            wrong += (truth - said).abs();
            load += truth;
            points += 1;
        }
    }
    if load > 0.0 { Some((wrong / load, points)) } else { None }
}

/// The bounds between which errors lie: as shares of what was said, eight times of ten.
///
/// Source: quantiles of past errors, "split conformal prediction" (Lei and others, 2018).
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub low: f64,
    pub high: f64,
}

impl Bounds {
    /// The bounds of the errors of what was said, in order of time; `size` is about how large the
    /// load is, `recent` how many of the last are looked at for whether errors have become larger.
    ///
    /// Source of the latter: adaptive conformal inference (Gibbs and Candès, 2021), in essence.
    pub fn new(pairs: impl Iterator<Item = (f64, f64)>, size: f64, recent: [usize; 2]) -> Self {
        let mut errors: Vec<f64> = pairs
            .map(|(said, truth)| (truth - said) / (said + FLOOR * size))
            .filter(|error| error.is_finite())
            .collect();
        let wider = |recent: usize| {
            let (before, lately) = errors.split_at(errors.len().saturating_sub(recent));
            spread(lately) / spread(before)
        };
        let wide = recent.map(wider).into_iter().fold(1.0, f64::max);
        errors.sort_unstable_by(f64::total_cmp);
        let wide = if wide > WIDER { wide.min(WIDEST) } else { 1.0 };
        let bound = |share: f64| {
            let bound = wide * quantile(&errors, share);
            if bound.is_nan() { 0.0 } else { bound }
        };
        Self { low: bound(LOW), high: bound(HIGH) }
    }

    /// The bounds between these and others, `share` of the way.
    pub fn between(self, other: Self, share: f64) -> Self {
        let mix = |one: f64, two: f64| one + (two - one) * share;
        Self { low: mix(self.low, other.low), high: mix(self.high, other.high) }
    }

    /// The bounds around a forecast.
    pub fn around(self, said: f64, size: f64) -> (f64, f64) {
        let about = said + FLOOR * size;
        ((said + self.low * about).min(said).max(0.0), (said + self.high * about).max(said))
    }
}

/// How large errors are, four times of five at most.
fn spread(errors: &[f64]) -> f64 {
    let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    let place = sizes.len() * 4 / 5;
    if place >= sizes.len() {
        return f64::NAN;
    }
    *sizes.select_nth_unstable_by(place, f64::total_cmp).1
}

/// Errors so many times as large as before are not chance: the bounds are widened as much...
const WIDER: f64 = 1.5;
/// ...up to so many times.
const WIDEST: f64 = 10.0;
/// The share of errors below the lower bound, and below the upper.
const LOW: f64 = 0.1;
/// See `LOW`.
const HIGH: f64 = 0.9;
/// What part of the mean load is added to a forecast before errors are taken as shares of it: next
/// to nothing is not forecast to a share of itself.
const FLOOR: f64 = 0.05;

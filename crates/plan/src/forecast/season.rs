//! What the load usually does at a time of the day or week, found robustly from earlier days. It
//! only knows shapes; how high the load is at the moment is the matter of `level.rs`.
//!
//! A pattern at a time is made only of values at least a cycle (less a few minutes) older, so it
//! may be used to forecast up to that far ahead; `older` says what to do for longer ways.

use super::sums::{Ordered, Sums, get, smoothed};

/// How many days the long pattern is made of.
const LONG: usize = 28;
/// How many days the short pattern is made of: a week, so each day of it has one vote.
const SHORT: usize = 7;
/// How many weeks the weekly pattern is made of.
const WEEKS: usize = 4;
/// How many minutes to either side are averaged.
const SIDE: usize = 6;
/// The largest growth or decline in a week that is believed, as a logarithm.
const MOST: f64 = 0.4;
/// How many minutes less than a cycle a pattern may be used ahead.
const MARGIN: usize = 15;

/// Which pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Always 1: no season.
    Flat,
    /// The middle of the last four weeks at the same time of the day.
    Long,
    /// The same, averaged over some minutes.
    Smooth,
    /// The middle of the last seven days, averaged over some minutes.
    Short,
    /// Yesterday, averaged over some minutes.
    Yesterday,
    /// The middle of the last weeks at the same time of the week, averaged over some minutes.
    Weekly,
    /// `Weekly`, with the detail of single minutes from `Long`.
    Detailed,
}

/// All patterns, in order.
pub(super) const KINDS: [Kind; 7] = [
    Kind::Flat,
    Kind::Long,
    Kind::Smooth,
    Kind::Short,
    Kind::Yesterday,
    Kind::Weekly,
    Kind::Detailed,
];

/// How many points a day has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Points a day.
    pub day: usize,
}

impl Pace {
    /// So many minutes as a number of points, at least one.
    pub fn minutes(self, minutes: usize) -> usize {
        (minutes * self.day / 1440).max(1)
    }

    /// As `minutes`, but none where a point is longer than that.
    pub fn side(self, minutes: usize) -> usize {
        minutes * self.day / 1440
    }
}

/// The patterns of a series.
pub(super) struct Patterns {
    /// How many points a day has.
    pub pace: Pace,
    /// The first time at which they are known.
    pub since: usize,
    /// By kind, each from the start of the series to a day after its end.
    shapes: [Vec<f64>; 7],
    /// The mean of the day that ends at each time.
    pub day_mean: Vec<f64>,
    /// The mean of the week that ends at each time.
    pub week_mean: Vec<f64>,
    /// The growth in a week, as a logarithm, as seen at each hour since `since`.
    growth: Vec<f64>,
}

impl Patterns {
    /// Finds the patterns in a load, of which outages and the like are left out; they are not
    /// asked for before `since`.
    pub fn new(usual: &[f64], pace: Pace, since: usize) -> Self {
        let (day, side, length) = (pace.day, pace.side(SIDE), usual.len() + pace.day);
        let sums = Sums::new(usual);
        let day_mean = trailing(&sums, usual.len(), day);
        let week_mean = trailing(&sums, usual.len(), 7 * day);
        let daily = divide(usual, &day_mean);
        let calm = without_spikes(usual, pace);
        let calm_daily = divide(&calm, &day_mean);
        let long = middle(&daily, &calm_daily, day, LONG, since);
        let short = smoothed(&middle(&daily, &calm_daily, day, SHORT, since), side);
        let smooth = smoothed(&long, side);
        let before = smoothed(&calm_daily, side);
        let yesterday = (0..length).map(|at| get(&before, at.wrapping_sub(day))).collect();
        let weekly = weeks(&smoothed(&divide(&calm, &week_mean), side), day, since);
        let fine = long.iter().zip(&smooth).map(|(long, smooth)| long / smooth.max(0.02));
        let detailed = weekly.iter().zip(fine).map(|(weekly, fine)| weekly * fine).collect();
        let flat = vec![1.0; length];
        let shapes = [flat, long, smooth, short, yesterday, weekly, detailed];
        let hour = pace.minutes(60);
        let growth = (since..usual.len()).step_by(hour).map(|at| growth(&day_mean, at, day));
        let growth = growth.collect();
        Self { pace, since, shapes, day_mean, week_mean, growth }
    }

    /// By how many times the load grows in so many steps, as seen at a time.
    pub fn grown(&self, at: usize, lead: usize) -> f64 {
        let growth = get(&self.growth, at.saturating_sub(self.since) / self.pace.minutes(60));
        let growth = if growth.is_nan() { 0.0 } else { growth.clamp(-MOST, MOST) };
        (growth * lead as f64 / (7 * self.pace.day) as f64).exp()
    }

    /// The shape of a kind at each time; NaN where it is not known.
    pub fn shape(&self, kind: Kind) -> &[f64] {
        self.shapes.get(kind as usize).map_or(&[], Vec::as_slice)
    }

    /// How much older a shape must be to be known that many steps ahead.
    pub fn older(&self, kind: Kind, lead: usize) -> usize {
        let (day, ahead) = (self.pace.day, lead + self.pace.side(MARGIN));
        match kind {
            Kind::Flat => 0,
            Kind::Weekly => ahead / (7 * day) * 7 * day,
            // Half of it is known for a day only, and the other half must be of the same weekday.
            Kind::Detailed if ahead >= day => (ahead / (7 * day) + 1) * 7 * day,
            Kind::Detailed => 0,
            _ => ahead / day * day,
        }
    }
}

/// The mean of the `length` values up to and including each; at the start, of the first `length`,
/// which is no look ahead because a pattern is only used a cycle later.
fn trailing(sums: &Sums, count: usize, length: usize) -> Vec<f64> {
    let mean = |at: usize| {
        let end = (at + 1).max(length.min(count));
        let mean = sums.mean(end.saturating_sub(length), end);
        if mean > 0.0 { mean } else { f64::NAN }
    };
    (0..count).map(mean).collect()
}

/// The growth from week to week, as a logarithm: the middle of those of seven days, and the lesser
/// of the last two weeks, so that a single step up is not taken for growth.
fn growth(day_mean: &[f64], at: usize, day: usize) -> f64 {
    let week = |back: usize| {
        let mut seen = Ordered::default();
        for past in (0..7).map(|past| back + past) {
            let place = |days: usize| get(day_mean, at.wrapping_sub(days * day));
            // A mean of the first day is also given to times before it was known.
            if at >= (past + 8) * day {
                seen.insert((place(past) / place(past + 7)).ln());
            }
        }
        if seen.len() >= 4 { seen.median() } else { f64::NAN }
    };
    let (last, before) = (week(0), week(7));
    if last.is_nan() || before.is_nan() || last * before <= 0.0 {
        0.0
    } else if last.abs() < before.abs() {
        last
    } else {
        before
    }
}

fn divide(values: &[f64], by: &[f64]) -> Vec<f64> {
    values.iter().zip(by).map(|(value, by)| value / by).collect()
}

/// Cuts each value down to twice, and up to half, the median of the minutes before it.
fn without_spikes(values: &[f64], pace: Pace) -> Vec<f64> {
    let width = pace.side(6) + 1;
    if width < 4 {
        return values.to_vec();
    }
    let mut near = Ordered::default();
    let mut calm: Vec<f64> = Vec::with_capacity(values.len());
    let mut last = f64::NAN;
    for (at, value) in values.iter().enumerate() {
        // Most values are near the one before, and need no median.
        if value.is_nan() || (0.75 * last..1.33 * last).contains(value) {
            calm.push(*value);
        } else {
            near.clear();
            let recent = values.get((at + 1).saturating_sub(width)..=at).unwrap_or(&[]);
            recent.iter().for_each(|value| near.insert(*value));
            let median = near.median();
            calm.push(value.max(0.5 * median).min(2.0 * median));
        }
        last = calm.last().copied().filter(|value| !value.is_nan()).unwrap_or(last);
    }
    calm
}

/// The middle of the values at the same time of so many days before; NaN before `since`.
fn middle(daily: &[f64], calm: &[f64], day: usize, days: usize, since: usize) -> Vec<f64> {
    // With one day only there is nothing to tell a spike from a habit.
    let from = |at: usize| if at < day { get(calm, at) } else { get(daily, at) };
    let mut slots = vec![Ordered::default(); day];
    let first = since.saturating_sub(days * day);
    let mut shape = vec![f64::NAN; daily.len() + day];
    let mut last = f64::NAN;
    for (at, shape) in shape.iter_mut().enumerate().skip(first) {
        let Some(slot) = slots.get_mut(at % day.max(1)) else { break };
        let before = at.wrapping_sub(day);
        slot.insert(from(before));
        slot.remove(from(before.wrapping_sub(days * day)));
        if at >= since {
            *shape = slot.middle(last);
            last = if shape.is_nan() { last } else { *shape };
        }
    }
    shape
}

/// The middle of the values at the same time of the weeks before; NaN before `since`.
fn weeks(values: &[f64], day: usize, since: usize) -> Vec<f64> {
    let mut last = f64::NAN;
    let mut seen = Ordered::default();
    let mut shape = vec![f64::NAN; values.len() + day];
    for (at, shape) in shape.iter_mut().enumerate().skip(since.max(7 * day)) {
        seen.clear();
        for week in 1..=WEEKS {
            seen.insert(get(values, at.wrapping_sub(7 * day * week)));
        }
        *shape = seen.middle(last);
        last = if shape.is_nan() { last } else { *shape };
    }
    shape
}

//! How high the load is at the moment compared with a pattern: over minutes, over hours, and over
//! the longest stretch in which it did not change. It knows nothing of what comes next.

use super::season::{Kind, Pace, Patterns};
use super::sums::{Ordered, get};

/// How many minutes the stretches have that are tried for a change.
const STRETCHES: [usize; 5] = [4, 12, 36, 110, 330];
/// How many deviations apart two stretches may be and still be the same level.
const SAME: f64 = 2.0;
/// How many values the median runs over that tells an outlier, at most.
const NEAR: usize = 7;
/// A value so many deviations away from that median is an outlier.
const OUTLIER: f64 = 4.0;
/// How much of a stretch's weight is the mean of the day, for times at which next to nothing is
/// usual and a ratio would say nothing.
const PRIOR: f64 = 0.02;

/// Over what a level is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Span {
    /// So many minutes.
    Minutes(usize),
    /// As long as nothing changed.
    Unchanged,
    /// A whole cycle of the pattern: a day, or a week.
    Cycle,
}

/// The load without outliers, and how noisy it is.
pub(super) struct Calm {
    /// The load, outliers cut down to what was usual just before.
    pub load: Vec<f64>,
    /// The relative deviation from one value to the next.
    pub noise: Vec<f64>,
}

/// Cuts off outliers: values far from the median of the last few, compared with the pattern.
///
/// Before `since` nothing is answered.
///
/// Source: Hampel, "The influence curve and its role in robust estimation" (1974), one-sided.
pub(super) fn calm(load: &[f64], shape: &[f64], pace: Pace, since: usize) -> Calm {
    let mut near = Ordered::default();
    let mut recent = [f64::NAN; NEAR];
    // Values far apart in time may well differ: the median is over minutes, not hours.
    let width = (pace.side(20)).clamp(3, NEAR);
    let cuts = pace.side(20) >= 2;
    let keep = 0.5_f64.powf(1.0 / pace.minutes(360) as f64);
    let (mut noise, mut place) = (0.1_f64, 0);
    let before = since.min(load.len());
    let mut calm = Calm { load: vec![f64::NAN; before], noise: vec![f64::NAN; before] };
    for (at, value) in load.iter().enumerate().skip(since) {
        let usual = get(shape, at);
        let usual = if usual.is_nan() { 1.0 } else { usual.max(PRIOR) };
        let ratio = value / usual;
        if !ratio.is_nan() {
            if let Some(oldest) = recent.get_mut(place % width) {
                near.remove(*oldest);
                *oldest = ratio;
            }
            near.insert(ratio);
            place += 1;
        }
        let median = near.median();
        let away = ((ratio - median) / median).abs();
        let outlier = cuts && away > OUTLIER * noise.max(0.01) && median > 0.0;
        calm.load.push(if outlier { median * usual } else { *value });
        if away.is_finite() {
            // 1.35 makes of the mean distance to a median of seven a standard deviation.
            noise = keep * noise + (1.0 - keep) * (1.35 * away).min(3.0 * noise + 1e-4);
        }
        calm.noise.push(noise);
    }
    calm
}

/// The levels of a load against one pattern.
pub(super) struct Levels<'a> {
    /// The first time that counts.
    since: usize,
    /// Before each time from `since` on: the sum of the load, of the pattern, and how many values
    /// these are.
    before: Vec<[f64; 3]>,
    noise: &'a [f64],
    /// What a level is where nothing better is known.
    mean: &'a [f64],
    /// The weight of that.
    prior: f64,
    cycle: usize,
    pace: Pace,
}

impl<'a> Levels<'a> {
    /// Prepares the levels of a load against a pattern.
    pub fn new(calm: &'a Calm, patterns: &'a Patterns, kind: Kind) -> Self {
        let (pace, since) = (patterns.pace, patterns.since);
        let mut sums = [0.0; 3];
        let mut before = Vec::with_capacity((calm.load.len() + 1).saturating_sub(since));
        before.push(sums);
        for (load, shape) in calm.load.iter().zip(patterns.shape(kind)).skip(since) {
            if !load.is_nan() && !shape.is_nan() {
                let [loads, shapes, count] = sums;
                sums = [loads + load, shapes + shape, count + 1.0];
            }
            before.push(sums);
        }
        let (mean, cycle) = match kind {
            Kind::Weekly | Kind::Detailed => (&patterns.week_mean, 7 * pace.day),
            _ => (&patterns.day_mean, pace.day),
        };
        let prior = if kind == Kind::Flat { 0.0 } else { PRIOR };
        Self { since, before, noise: &calm.noise, mean, prior, cycle, pace }
    }

    /// The level over a span that ends with, and includes, a time; NaN if it has no value.
    pub fn at(&self, at: usize, span: Span) -> f64 {
        match span {
            Span::Minutes(minutes) => self.over(at, self.pace.minutes(minutes)).0,
            Span::Cycle => self.over(at, self.cycle).0,
            Span::Unchanged => self.unchanged(at),
        }
    }

    /// The level over so many values, and how many there were.
    fn over(&self, at: usize, length: usize) -> (f64, f64) {
        let end = (at + 1).saturating_sub(self.since);
        let from = end.saturating_sub(length);
        let (Some(start), Some(end)) = (self.before.get(from), self.before.get(end)) else {
            return (f64::NAN, 0.0);
        };
        let [load, shape, count] = [end[0] - start[0], end[1] - start[1], end[2] - start[2]];
        let weight = self.prior * count;
        // A missing mean is taken as none, which `max` does.
        let mean = get(self.mean, at).max(0.0);
        let level = (load.max(0.0) + weight * mean) / (shape + weight);
        (if count > 0.0 && level.is_finite() { level } else { f64::NAN }, count)
    }

    /// The level over the longest stretch that agrees with all shorter ones.
    ///
    /// Source: Goldenshluger and Nemirovski, "On spatially adaptive estimation of nonparametric
    /// regression" (1997), the intersection of confidence intervals, after Lepski (1991).
    fn unchanged(&self, at: usize) -> f64 {
        let noise = get(self.noise, at);
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        let mut best = f64::NAN;
        for minutes in STRETCHES {
            let (level, count) = self.over(at, self.pace.minutes(minutes));
            if level.is_nan() {
                continue;
            }
            let about = SAME * noise * level / count.sqrt();
            (low, high) = (low.max(level - about), high.min(level + about));
            if low > high {
                break;
            }
            best = level;
        }
        best
    }
}

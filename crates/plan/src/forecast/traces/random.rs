//! Traces of which everything is drawn, and what could be known of them beforehand.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use super::{Chance, DAY, DAYS, Trace, chance, count, crowds, hill, multiply, plateau, trace};

/// What a random trace is like: everything that a [`Shape`] has, drawn.
struct Drawn {
    base: f64,
    /// Where they are, how wide and how high.
    hills: Vec<(f64, f64, f64)>,
    /// From when, until when, how softly and how high.
    work: Option<(f64, f64, f64, f64)>,
    /// Each so many minutes, so long and so high.
    job: Option<(f64, f64, f64)>,
    /// How many times the load a weekend has.
    weekend: f64,
    /// Growth in a week, as a share.
    growth: f64,
}

impl Drawn {
    fn new(chance: &mut Chance) -> Self {
        let hill = |chance: &mut Chance| {
            let (centre, width) = (chance.between(0.0, 1440.0), chance.between(3.5, 5.7).exp());
            (centre, width, chance.between(0.3, 2.0))
        };
        let count = 1 + chance.next_bits() % 3;
        Self {
            base: chance.between(0.05, 0.8),
            hills: (0..count).map(|_| hill(chance)).collect(),
            work: one_in(chance, 3).then(|| {
                let (from, soft) = (chance.between(300.0, 700.0), chance.between(0.7, 3.5).exp());
                (from, from + chance.between(60.0, 600.0), soft, chance.between(0.5, 2.5))
            }),
            job: one_in(chance, 4).then(|| {
                let every = [15.0, 20.0, 30.0, 60.0, 120.0][(chance.next_bits() % 5) as usize];
                (every, chance.between(1.0, 6.0).floor(), chance.between(0.3, 2.0))
            }),
            weekend: if one_in(chance, 2) { chance.between(0.2, 1.6) } else { 1.0 },
            growth: if one_in(chance, 3) { chance.between(-0.1, 0.15) } else { 0.0 },
        }
    }

    fn at(&self, at: usize) -> f64 {
        let minute = (at % DAY) as f64;
        let hills =
            self.hills.iter().map(|(centre, width, high)| high * hill(minute, *centre, *width));
        let work =
            self.work.map_or(0.0, |(from, to, soft, high)| high * plateau(minute, from, to, soft));
        let job = self.job.map_or(
            0.0,
            |(every, long, high)| {
                if minute % every < long { high } else { 0.0 }
            },
        );
        let times = if at / DAY % 7 >= 5 { self.weekend } else { 1.0 };
        let grown = (1.0 + self.growth).powf(at as f64 / (7 * DAY) as f64);
        (self.base + hills.sum::<f64>() + work + job) * times * grown
    }
}

fn one_in(chance: &mut Chance, many: u64) -> bool {
    chance.next_bits().is_multiple_of(many)
}

/// A random trace, and what may be known of it beforehand by who knows everything that happens but
/// not the chance of each minute.
#[derive(Clone, Debug)]
pub struct Random {
    /// The trace.
    pub trace: Trace,
    /// What the load of each minute goes up and down around.
    means: Vec<f64>,
    /// The deviation of its logarithm.
    noise: f64,
    /// Where the load is a count of events: so many of them are one unit of the means.
    counted: Option<f64>,
}

impl Random {
    /// How likely the load of a minute is above one.
    #[must_use]
    pub fn above(&self, minute: usize, load: f64) -> f64 {
        let mean = self.means[minute];
        if mean <= 0.0 {
            return 0.0;
        }
        let Some(by) = self.counted else {
            return beyond((load / mean).ln() / self.noise);
        };
        let parts = MIDDLES.iter().map(|deviations| {
            let events = mean * by * (self.noise * deviations).exp();
            beyond((load + 0.5 - events) / events.sqrt())
        });
        parts.sum::<f64>() / MIDDLES.len() as f64
    }
}

/// A normal number in parts that are all equally likely: their middles, in deviations.
static MIDDLES: LazyLock<Vec<f64>> = LazyLock::new(|| {
    const PARTS: u32 = 40;
    (0..PARTS).map(|part| quantile((f64::from(part) + 0.5) / f64::from(PARTS))).collect()
});

/// How likely a normal number is so many deviations above its mean or more.
///
/// Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.2.17.
fn beyond(deviations: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * deviations.abs());
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let tail = sum * (-0.5 * deviations * deviations).exp() / TAU.sqrt();
    if deviations >= 0.0 { tail } else { 1.0 - tail }
}

/// What a normal number is below with so much likelihood, in deviations.
fn quantile(below: f64) -> f64 {
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        match beyond(middle) > 1.0 - below {
            true => low = middle,
            false => high = middle,
        }
    }
    low
}

/// So many traces with shapes, noise and mishaps that are all drawn: to tell what was fitted to
/// those of [`super::all`].
#[must_use]
pub fn all(seed: u64, count: u64) -> Vec<Random> {
    (0..count).map(|i| drawn(&mut chance(seed.wrapping_mul(1000) + i, "random"))).collect()
}

fn drawn(chance: &mut Chance) -> Random {
    let shape = Drawn::new(chance);
    let noise = chance.between(-4.6, -1.4).exp();
    let (deep, kept) = match chance.next_bits() % 3 {
        0 => (chance.between(0.03, 0.15), 1.0 - chance.between(-7.6, -2.3).exp()),
        _ => (0.0, 0.0),
    };
    let mut slow = deep * chance.normal();
    let mut load = Vec::with_capacity(DAY * DAYS);
    let mut means = Vec::with_capacity(DAY * DAYS);
    for at in 0..DAY * DAYS {
        slow = kept * slow + deep * (1.0 - kept * kept).sqrt() * chance.normal();
        let alone = noise * chance.normal();
        load.push(200.0 * shape.at(at) * (alone + slow).exp());
        means.push((-alone).exp());
    }
    if one_in(chance, 5) {
        let (high, stay) = (chance.between(0.5, 4.0), chance.between(5.0, 60.0));
        let per_day = chance.between(0.3, 5.0);
        crowds(&mut load, chance, per_day, high, stay);
    }
    let anywhere = |chance: &mut Chance| chance.between(0.0, (DAY * DAYS) as f64) as usize;
    if one_in(chance, 6) {
        for _ in 0..4 {
            let (at, factor) = (anywhere(chance), chance.between(-0.6, 0.6).exp());
            multiply(&mut load, at, usize::MAX, |_| factor);
        }
    }
    if one_in(chance, 8) {
        for _ in 0..8 {
            let (at, length) = (anywhere(chance), chance.between(10.0, 120.0) as usize);
            multiply(&mut load, at, length, |_| 0.0);
        }
    }
    // What happened to the load happened to its mean as well.
    means.iter_mut().zip(&load).for_each(|(mean, load)| *mean *= load);
    let counted = one_in(chance, 6).then(|| chance.between(1.5, 4.0).exp() / 200.0);
    if let Some(by) = counted {
        load.iter_mut().for_each(|value| *value = count(*value * by, chance));
    }
    Random { trace: trace("random", true, load), means, noise, counted }
}

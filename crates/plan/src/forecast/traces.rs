//! Made-up load traces with a known character, to measure forecasts on: four weeks at one minute,
//! the same for the same seed. They are not recordings and are not fitted to any forecast; nothing
//! in the forecast itself reads this file.

pub mod random;

use std::f64::consts::TAU;

/// Minutes in a day: the number of points a trace has per day.
const DAY: usize = 1440;
/// The length of every trace, in days.
const DAYS: usize = 28;
/// Monday, 1 January 2024, 00:00 UTC: where every trace starts.
const START: i64 = 1_704_067_200_000;

/// One trace: load each minute for four weeks.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What it is like, in a word or two.
    pub name: &'static str,
    /// Whether there is a daily or weekly season to find.
    pub seasonal: bool,
    /// The time of the first value, in milliseconds since 1970.
    pub start: i64,
    /// The time between values, in milliseconds.
    pub step: i64,
    /// The load, in requests per second; `None` where nothing was measured.
    pub values: Vec<Option<f64>>,
}

/// Pseudo-random numbers, the same for the same seed.
///
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Starts a sequence.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, all 64 bits of it.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly between 0 and 1, never 0.
    pub fn even(&mut self) -> f64 {
        ((self.next_bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Evenly between two bounds.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.even()
    }

    /// Normal with mean 0 and deviation 1, after Box and Muller (1958).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.even().ln()).sqrt() * (TAU * self.even()).cos()
    }
}

/// What a trace is built from, before anything happens to it.
struct Shape {
    /// The load at a minute of the day, about 1 on average; the flag says it is a weekend.
    day: fn(f64, bool) -> f64,
    /// The mean load.
    mean: f64,
    /// The deviation of the logarithm of the independent noise of each minute.
    noise: f64,
    /// The deviation of slow noise, and how much of it is left after a minute.
    slow: (f64, f64),
    /// Growth in a week, as a share.
    growth: f64,
}

const PLAIN: Shape = Shape { day: sine, mean: 200.0, noise: 0.05, slow: (0.0, 0.0), growth: 0.0 };

fn hill(minute: f64, centre: f64, width: f64) -> f64 {
    let away = (minute - centre + 720.0).rem_euclid(1440.0) - 720.0;
    (-0.5 * (away / width) * (away / width)).exp()
}

/// A soft step up at `from` and down at `to`, each taking about `soft` minutes.
fn plateau(minute: f64, from: f64, to: f64, soft: f64) -> f64 {
    let up = 1.0 / (1.0 + (-(minute - from) / soft).exp());
    let down = 1.0 / (1.0 + ((minute - to) / soft).exp());
    up * down
}

fn sine(minute: f64, _: bool) -> f64 {
    1.0 - 0.6 * (TAU * (minute - 180.0) / 1440.0).cos()
}

fn steep(minute: f64, _: bool) -> f64 {
    0.2 + 1.5 * hill(minute, 780.0, 150.0) + 0.8 * hill(minute, 1200.0, 80.0)
}

fn flat(_: f64, _: bool) -> f64 {
    1.0
}

fn double_peak(minute: f64, _: bool) -> f64 {
    0.3 + 1.4 * hill(minute, 560.0, 70.0) + 1.7 * hill(minute, 1170.0, 110.0)
}

fn weekly(minute: f64, weekend: bool) -> f64 {
    if weekend {
        0.35 + 0.4 * hill(minute, 840.0, 240.0)
    } else {
        0.4 + 1.3 * hill(minute, 720.0, 200.0)
    }
}

fn weekend_heavy(minute: f64, weekend: bool) -> f64 {
    if weekend {
        0.5 + 2.0 * hill(minute, 960.0, 260.0)
    } else {
        0.4 + 0.9 * hill(minute, 1230.0, 130.0)
    }
}

fn business(minute: f64, weekend: bool) -> f64 {
    if weekend { 0.03 } else { 0.03 + 2.4 * plateau(minute, 525.0, 1050.0, 9.0) }
}

fn lunch(minute: f64, weekend: bool) -> f64 {
    let work = plateau(minute, 480.0, 1080.0, 20.0) * (1.0 - 0.5 * hill(minute, 745.0, 25.0));
    0.15 + work * if weekend { 0.5 } else { 2.0 }
}

fn quiet_night(minute: f64, _: bool) -> f64 {
    (2.2 * hill(minute, 840.0, 190.0) - 0.15).max(0.0)
}

fn night_batch(minute: f64, _: bool) -> f64 {
    0.6 + 0.3 * hill(minute, 800.0, 240.0) + 2.5 * plateau(minute, 120.0, 165.0, 1.5)
}

fn capped(minute: f64, _: bool) -> f64 {
    sine(minute, false).min(1.25)
}

fn hourly_jobs(minute: f64, _: bool) -> f64 {
    let job = if minute % 60.0 < 4.0 { 2.0 } else { 0.0 };
    0.5 + 0.4 * hill(minute, 840.0, 240.0) + job
}

fn quarter_jobs(minute: f64, weekend: bool) -> f64 {
    let job = if minute % 20.0 < 2.0 { 1.2 } else { 0.0 };
    0.6 * sine(minute, weekend) + job
}

/// The load without noise at a point, its day moved by so many minutes.
fn clean_load(shape: &Shape, at: usize, moved: f64) -> f64 {
    let time = at as f64 - moved;
    let day = (time / DAY as f64).floor().rem_euclid(7.0);
    let minute = time.rem_euclid(DAY as f64);
    let grown = (1.0 + shape.growth).powf(at as f64 / (7 * DAY) as f64);
    shape.mean * (shape.day)(minute, day >= 5.0) * grown
}

/// Draws the load: shape, growth and noise; `moved` says by how many minutes a point's day is late.
fn draw(shape: &Shape, chance: &mut Chance, moved: impl Fn(usize) -> f64) -> Vec<f64> {
    let (deep, kept) = shape.slow;
    let mut slow = deep * chance.normal();
    let mut load = Vec::with_capacity(DAY * DAYS);
    for at in 0..DAY * DAYS {
        slow = kept * slow + deep * (1.0 - kept * kept).sqrt() * chance.normal();
        let noise = (shape.noise * chance.normal() + slow).exp();
        load.push(clean_load(shape, at, moved(at)) * noise);
    }
    load
}

fn multiply(load: &mut [f64], from: usize, length: usize, factor: impl Fn(usize) -> f64) {
    for (offset, value) in load.iter_mut().skip(from).take(length).enumerate() {
        *value *= factor(offset);
    }
}

/// Sudden crowds at unforeseeable times, each leaving slowly.
fn crowds(load: &mut [f64], chance: &mut Chance, per_day: f64, high: f64, stay: f64) {
    for _ in 0..(per_day * DAYS as f64) as usize {
        let from = chance.between(0.0, (DAY * DAYS) as f64) as usize;
        let (high, stay) = (high * chance.between(0.5, 1.0), stay * chance.between(0.5, 1.5));
        multiply(load, from, (6.0 * stay) as usize, |offset| {
            1.0 + high * (-(offset as f64) / stay).exp()
        });
    }
}

/// Counts with the given mean: a sum of whole events, so small loads are coarse.
fn count(mean: f64, chance: &mut Chance) -> f64 {
    if mean > 60.0 {
        return (mean + mean.sqrt() * chance.normal()).round().max(0.0);
    }
    let (limit, mut product, mut events) = ((-mean).exp(), chance.even(), 0.0);
    while product > limit {
        product *= chance.even();
        events += 1.0;
    }
    events
}

fn walk(chance: &mut Chance, stride: f64) -> Vec<f64> {
    let mut level = 0.0;
    let mut load = Vec::with_capacity(DAY * DAYS);
    for _ in 0..DAY * DAYS {
        level = (level + stride * chance.normal()).clamp(-3.0, 3.0);
        load.push(100.0 * f64::exp(level));
    }
    load
}

fn trace(name: &'static str, seasonal: bool, load: Vec<f64>) -> Trace {
    let values = load.into_iter().map(Some).collect();
    Trace { name, seasonal, start: START, step: 60_000, values }
}

/// All traces for a seed, those with a season first.
#[must_use]
pub fn all(seed: u64) -> Vec<Trace> {
    let mut traces = steady(seed);
    traces.extend(disturbed(seed));
    traces.extend(broken(seed));
    traces.extend(without_season(seed));
    traces
}

/// A sequence of its own for each trace, so that adding one does not change the others.
fn chance(seed: u64, name: &str) -> Chance {
    let mixed = name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut chance = Chance::new(mixed);
    chance.next_bits();
    chance
}

/// Traces that are a shape and noise, and nothing else.
fn steady(seed: u64) -> Vec<Trace> {
    let shapes: [(&'static str, Shape); 18] = [
        ("daily", PLAIN),
        ("daily quiet", Shape { noise: 0.01, ..PLAIN }),
        ("daily noisy", Shape { noise: 0.25, ..PLAIN }),
        ("daily steep", Shape { day: steep, ..PLAIN }),
        ("weekly", Shape { day: weekly, ..PLAIN }),
        ("growth", Shape { day: weekly, growth: 0.15, ..PLAIN }),
        ("decline", Shape { day: steep, growth: -0.12, ..PLAIN }),
        ("slow noise", Shape { noise: 0.04, slow: (0.08, 0.97), ..PLAIN }),
        ("drifting level", Shape { noise: 0.05, slow: (0.15, 0.9995), ..PLAIN }),
        ("hourly jobs", Shape { day: hourly_jobs, ..PLAIN }),
        ("quarter jobs", Shape { day: quarter_jobs, noise: 0.1, ..PLAIN }),
        ("double peak", Shape { day: double_peak, noise: 0.06, ..PLAIN }),
        ("business hours", Shape { day: business, ..PLAIN }),
        ("lunch", Shape { day: lunch, noise: 0.06, ..PLAIN }),
        ("weekend heavy", Shape { day: weekend_heavy, growth: 0.03, ..PLAIN }),
        ("quiet night", Shape { day: quiet_night, noise: 0.08, ..PLAIN }),
        ("night batch", Shape { day: night_batch, ..PLAIN }),
        ("capped", Shape { day: capped, noise: 0.03, ..PLAIN }),
    ];
    let draw = |(name, shape): (&'static str, Shape)| {
        trace(name, true, draw(&shape, &mut chance(seed, name), |_| 0.0))
    };
    shapes.into_iter().map(draw).collect()
}

/// Traces to which something real happens.
fn disturbed(seed: u64) -> Vec<Trace> {
    let mut traces = Vec::new();
    let mut add =
        |name, shape: Shape, moved: fn(usize) -> f64, change: fn(&mut [f64], &mut Chance)| {
            let mut chance = chance(seed, name);
            let mut load = draw(&shape, &mut chance, moved);
            change(&mut load, &mut chance);
            traces.push(trace(name, true, load));
        };
    let weekly = || Shape { day: weekly, ..PLAIN };
    add("bursts", weekly(), |_| 0.0, |load, chance| crowds(load, chance, 6.0, 0.8, 12.0));
    add("flash crowds", PLAIN, |_| 0.0, |load, chance| crowds(load, chance, 0.5, 4.0, 60.0));
    add(
        "spikes",
        weekly(),
        |_| 0.0,
        |load, chance| {
            for _ in 0..DAYS * 4 {
                let at = chance.between(0.0, (DAY * DAYS) as f64) as usize;
                let high = chance.between(3.0, 12.0);
                multiply(load, at, 1, |_| high);
            }
        },
    );
    add(
        "level shift",
        weekly(),
        |_| 0.0,
        |load, chance| {
            let at = DAY * DAYS - chance.between(500.0, 2600.0) as usize;
            multiply(load, at, usize::MAX, |_| 2.0);
        },
    );
    add(
        "level shifts",
        Shape { day: steep, ..PLAIN },
        |_| 0.0,
        |load, chance| {
            for _ in 0..8 {
                let at = chance.between(0.0, (DAY * DAYS) as f64) as usize;
                let factor = chance.between(-0.6, 0.6).exp();
                multiply(load, at, usize::MAX, |_| factor);
            }
        },
    );
    add(
        "outages",
        weekly(),
        |_| 0.0,
        |load, chance| {
            for _ in 0..10 {
                let at = chance.between(0.0, (DAY * DAYS) as f64) as usize;
                multiply(load, at, chance.between(20.0, 150.0) as usize, |_| 0.0);
            }
        },
    );
    let late = |at| if at >= 26 * DAY + 300 { 120.0 } else { 0.0 };
    add("two-hour shift", Shape { day: double_peak, ..PLAIN }, late, |_, _| {});
    let late = |at| if at >= 21 * DAY + 120 { -60.0 } else { 0.0 };
    add("clock change", Shape { day: lunch, ..PLAIN }, late, |_, _| {});
    add(
        "counts",
        Shape { mean: 12.0, noise: 0.0, day: sine, ..PLAIN },
        |_| 0.0,
        |load, chance| {
            load.iter_mut().for_each(|value| *value = count(*value, chance));
        },
    );
    traces
}

/// Traces that are measured badly.
fn broken(seed: u64) -> Vec<Trace> {
    let base = |name, day| {
        let mut chance = chance(seed, name);
        let load = draw(&Shape { day, ..PLAIN }, &mut chance, |_| 0.0);
        (trace(name, true, load), chance)
    };
    let (mut gaps, mut chance) = base("gaps", weekly);
    for _ in 0..60 {
        let from = chance.between(0.0, (DAY * DAYS) as f64) as usize;
        let length = chance.between(1.0, 180.0) as usize;
        gaps.values.iter_mut().skip(from).take(length).for_each(|value| *value = None);
    }
    let (mut absurd, mut chance) = base("absurd", steep);
    for value in &mut absurd.values {
        match chance.next_bits() % 400 {
            0 => *value = Some(f64::NAN),
            1 => *value = Some(1e300),
            2 => *value = Some(-5.0),
            3 => *value = Some(f64::INFINITY),
            _ => {}
        }
    }
    let (mut frozen, mut chance) = base("frozen", double_peak);
    for _ in 0..8 {
        let from = chance.between(0.0, (DAY * DAYS) as f64) as usize;
        let held = frozen.values.get(from).copied().flatten();
        let length = chance.between(60.0, 240.0) as usize;
        frozen.values.iter_mut().skip(from).take(length).for_each(|value| *value = held);
    }
    vec![gaps, absurd, frozen]
}

/// Traces in which there is no season to find.
fn without_season(seed: u64) -> Vec<Trace> {
    let (mut strides, mut bursts) = (chance(seed, "random walk"), chance(seed, "bursts only"));
    let mut steps = chance(seed, "random steps");
    let mut crowded = draw(&Shape { day: flat, noise: 0.01, ..PLAIN }, &mut bursts, |_| 0.0);
    crowds(&mut crowded, &mut bursts, 12.0, 5.0, 90.0);
    let mut level = 100.0;
    let stepped = (0..DAY * DAYS).map(|_| {
        if steps.even() < 1.0 / 180.0 {
            level = 100.0 * steps.between(-1.0, 1.0).exp();
        }
        level
    });
    vec![
        trace("random steps", false, stepped.collect()),
        trace("random walk", false, walk(&mut strides, 0.01)),
        trace("bursts only", false, crowded),
        trace("constant", false, vec![42.0; DAY * DAYS]),
    ]
}

//! The forecast itself: many simple ones, each a pattern at some level, weighed by how well they
//! did. It is tried on the past exactly as it is used for the future; whether it is any good is
//! decided elsewhere.

use std::collections::VecDeque;

use super::blend::Blend;
use super::clean::Clean;
use super::level::{Levels, Span, calm};
use super::season::{KINDS, Kind, Pace, Patterns};
use super::sums::get;

/// How many days half of what the weights are based on is remembered.
const HALF_LIFE: f64 = 3.0;
/// ...or how many values, if these are more.
const HALF_LIFE_VALUES: f64 = 1000.0;

/// How many simple forecasts there are.
const COUNT: usize = 18;
/// The simple forecasts that are weighed.
const SIMPLE: [(Kind, Span); COUNT] = [
    (Kind::Flat, Span::Minutes(1)),
    (Kind::Flat, Span::Minutes(5)),
    (Kind::Flat, Span::Unchanged),
    (Kind::Long, Span::Minutes(5)),
    (Kind::Long, Span::Unchanged),
    (Kind::Long, Span::Cycle),
    (Kind::Smooth, Span::Minutes(5)),
    (Kind::Smooth, Span::Minutes(60)),
    (Kind::Smooth, Span::Unchanged),
    (Kind::Smooth, Span::Cycle),
    (Kind::Short, Span::Unchanged),
    (Kind::Yesterday, Span::Minutes(20)),
    (Kind::Yesterday, Span::Unchanged),
    (Kind::Weekly, Span::Minutes(240)),
    (Kind::Weekly, Span::Unchanged),
    (Kind::Weekly, Span::Cycle),
    (Kind::Detailed, Span::Unchanged),
    (Kind::Detailed, Span::Cycle),
];

/// The place of `Smooth` over a `Cycle` among the simple forecasts.
const USUAL: usize = 9;
/// A level so many times another, or more, as a logarithm, is another level...
const APART: f64 = 0.2;
/// ...if that is also so many deviations of the noise.
const DEVIATIONS: f64 = 2.0;

/// All simple forecasts over the time they are tried on.
pub(super) struct Model<'a> {
    clean: &'a Clean,
    patterns: Patterns,
    pace: Pace,
    /// The first time from which a forecast is made.
    from: usize,
    /// The level of each simple forecast at each time since `from`.
    levels: Vec<[f64; COUNT]>,
    /// Whether at that time the load is at another level than usual: a release, a crowd, an outage.
    unusual: Vec<bool>,
}

/// How the model did, so many steps ahead.
pub(super) struct Trial {
    /// The time a forecast was for, and what it said.
    pub said: Vec<(usize, f64)>,
    /// The weights at the end of the series.
    pub weights: Weights,
}

/// How much each simple forecast counts.
pub(super) type Weights = [f64; COUNT];

impl<'a> Model<'a> {
    /// Finds patterns and levels in a load; forecasts are made from `from` on.
    pub fn new(clean: &'a Clean, pace: Pace, from: usize) -> Self {
        // A level looks back a week at most.
        let since = from.saturating_sub(7 * pace.day + pace.minutes(60));
        let patterns = Patterns::new(&clean.usual, pace, since);
        let calm = calm(&clean.load, patterns.shape(Kind::Long), pace, since);
        let mut levels = vec![[f64::NAN; COUNT]; clean.load.len().saturating_sub(from)];
        let mut kind = Kind::Flat;
        let mut against = Levels::new(&calm, &patterns, kind);
        for (place, (next, span)) in SIMPLE.into_iter().enumerate() {
            if next != kind {
                kind = next;
                against = Levels::new(&calm, &patterns, kind);
            }
            let mut held = f64::NAN;
            for (offset, levels) in levels.iter_mut().enumerate() {
                let level = against.at(from + offset, span);
                held = if level.is_nan() { held } else { level };
                if let Some(place) = levels.get_mut(place) {
                    *place = held;
                }
            }
        }
        let noise = calm.noise.iter().skip(from);
        let unusual = levels.iter().zip(noise).map(|(levels, noise)| unusual(levels, *noise));
        let unusual = unusual.collect();
        Self { clean, patterns, pace, from, levels, unusual }
    }

    /// Whether the load is at an unusual level at a time.
    fn unusual_at(&self, origin: usize) -> bool {
        self.unusual.get(origin.wrapping_sub(self.from)).copied().unwrap_or(false)
    }

    /// What each simple forecast says at `origin` of the load `lead` steps later.
    ///
    /// One that has nothing to say says what the first of them says, the last value.
    fn simple(&self, origin: usize, lead: usize) -> [f64; COUNT] {
        let Some(levels) = self.levels.get(origin.wrapping_sub(self.from)) else {
            return [f64::NAN; COUNT];
        };
        let shapes = KINDS.map(|kind| {
            let older = self.patterns.older(kind, lead);
            get(self.patterns.shape(kind), (origin + lead).wrapping_sub(older))
        });
        let mut said = [f64::NAN; COUNT];
        let last = levels.first().copied().unwrap_or(f64::NAN);
        // After hours the last value says nothing; that it does after whole days is no excuse.
        let usual = get(levels, USUAL) * get(&shapes, Kind::Smooth as usize);
        let far = lead > self.pace.day / 6 && !usual.is_nan();
        let grown = self.patterns.grown(origin, lead);
        for ((said, level), (kind, _)) in said.iter_mut().zip(levels).zip(SIMPLE) {
            let value = level * get(&shapes, kind as usize) * grown;
            *said = match kind {
                Kind::Flat if far => usual * grown,
                _ if value.is_nan() => {
                    if far {
                        usual * grown
                    } else {
                        last
                    }
                }
                _ => value,
            };
        }
        said
    }

    /// Forecasts every so many steps of the past, so many steps ahead, learning on the way.
    pub fn try_out(&self, lead: usize, stride: usize) -> Trial {
        let values = (HALF_LIFE * self.pace.day as f64).max(HALF_LIFE_VALUES);
        let half_life = values / stride.max(1) as f64;
        let follows = |(_, span)| matches!(span, Span::Unchanged | Span::Minutes(..=5));
        let mut blends = Blends {
            usual: Blend::new(half_life),
            unusual: Blend::only(half_life, SIMPLE.map(follows)),
        };
        let origins = (self.from..self.clean.load.len()).step_by(stride.max(1));
        let mut said: Vec<(usize, f64)> = Vec::with_capacity(origins.len());
        let mut open = VecDeque::new();
        for origin in origins {
            self.check(&mut blends, &mut open, origin);
            let each = self.simple(origin, lead);
            let mixed = blends.of(self.unusual_at(origin)).mix(&each);
            said.push((origin + lead, mixed));
            open.push_back(Open { origin, time: origin + lead, each, mixed });
        }
        let end = self.clean.load.len().saturating_sub(1);
        self.check(&mut blends, &mut open, end);
        Trial { said, weights: blends.of(self.unusual_at(end)).weights }
    }

    /// Learns from all forecasts for times up to now that have not been checked yet.
    fn check(&self, blends: &mut Blends, open: &mut VecDeque<Open>, now: usize) {
        while let Some(next) = open.pop_front_if(|next| next.time <= now) {
            let truth = get(&self.clean.load, next.time);
            if !truth.is_nan() {
                let size = get(&self.patterns.day_mean, next.time);
                let blend = blends.of(self.unusual_at(next.origin));
                blend.learn(&next.each, next.mixed, truth, size);
            }
        }
    }

    /// What the weighed forecasts say at the end of the series, so many steps ahead.
    pub fn ahead(&self, lead: usize, weights: &Weights) -> f64 {
        let each = self.simple(self.clean.load.len().saturating_sub(1), lead);
        each.iter().zip(weights).map(|(value, weight)| value * weight).sum()
    }
}

/// A forecast whose time has not come yet.
struct Open {
    origin: usize,
    time: usize,
    each: [f64; COUNT],
    mixed: f64,
}

/// What is learned when the level is usual, and apart from it what is learned when it is not: then
/// the simple forecasts that follow the load are the better ones.
struct Blends {
    usual: Blend<COUNT>,
    unusual: Blend<COUNT>,
}

impl Blends {
    fn of(&mut self, unusual: bool) -> &mut Blend<COUNT> {
        if unusual { &mut self.unusual } else { &mut self.usual }
    }
}

/// Whether the level while nothing changed is far from that of the day, and that of the week.
fn unusual(levels: &[f64; COUNT], noise: f64) -> bool {
    let level = |kind, span| {
        let place = SIMPLE.iter().position(|simple| *simple == (kind, span));
        place.map_or(f64::NAN, |place| get(levels, place))
    };
    let far = |kind| {
        let away = (level(kind, Span::Unchanged) / level(kind, Span::Cycle)).ln().abs();
        // Where nothing is known of the week, the day decides.
        away.is_nan() || away > APART.max(DEVIATIONS * noise)
    };
    !level(Kind::Smooth, Span::Cycle).is_nan() && far(Kind::Smooth) && far(Kind::Weekly)
}

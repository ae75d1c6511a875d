//! Forecasts of load: daily and weekly seasons, growth, known events and gaps, with bounds and a
//! measured accuracy. A series that cannot be forecast better than by repeating it is refused; no
//! forecast is made up. This is not a general library of time series, and it knows no clock: all
//! times are those of the series.
//!
//! The method is a robust pattern of the day and week (means of the middle half of earlier days)
//! at the present level, in many variants, weighed by how well each has done. Every forecast that
//! is measured was made only of values before it.

mod accuracy;
mod blend;
mod clean;
mod level;
mod model;
mod season;
mod sums;
#[cfg(test)]
mod tests;
pub mod traces;

use std::fmt;

pub use accuracy::Accuracy;
use accuracy::{Bounds, Held, Simplest, wape};
use clean::{Clean, clean};
use model::{Model, Trial, Weights};
use season::Pace;

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;
/// The shortest series that is forecast, in days.
const SHORTEST: usize = 2;
/// The share of values that must be there, of the last week.
const PRESENT: f64 = 0.5;
/// How old the last value may be, in hours.
const OLDEST: i64 = 3;
/// Over how many days the accuracy is measured, at most.
const MEASURED: usize = 7;
/// For how many days before that the weights are learned, at most.
const LEARNED: usize = 2;
/// For how many steps they are learned, at least, if there are so many.
const LEARNED_STEPS: usize = 1500;
/// How many minutes are looked at for whether errors are larger than they used to be.
const RECENT: [usize; 2] = [120, 1440];
/// What the own error must be of the best simplest one, at most, to be used.
const BETTER: f64 = 0.97;

/// Measured load at a regular step.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The time of the first value, in milliseconds since 1970.
    pub start: i64,
    /// The time from one value to the next, in milliseconds: a second to six hours, and a day must
    /// be a multiple of it.
    pub step: i64,
    /// The load, in any unit, not negative; `None` is a gap.
    pub values: &'a [Option<f64>],
}

/// A known event: from `from` until before `to` the load is `factor` times what it would be.
///
/// An event in the past is taken out before anything is learned; one in the future is put in.
/// Where events overlap, their factors are multiplied. A factor that is negative, not a number or
/// above a million is ignored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When it begins, in milliseconds since 1970.
    pub from: i64,
    /// When it is over, in milliseconds since 1970.
    pub to: i64,
    /// How many times the usual load; 0 for none at all.
    pub factor: f64,
}

/// The load to be expected at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The load that is as likely exceeded as not, in the unit of the series.
    pub expected: f64,
    /// One time in ten the load is lower.
    pub low: f64,
    /// One time in ten the load is higher.
    pub high: f64,
}

/// What a forecast was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The own method: patterns of the day and week at the present level.
    Seasonal,
    /// The load of a day ago again, which did better.
    DayAgo,
    /// The load of a week ago again, which did better.
    WeekAgo,
}

impl Method {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Method::Seasonal => "seasons of days and weeks at the present level",
            Method::DayAgo => "as a day ago",
            Method::WeekAgo => "as a week ago",
        }
    }
}

/// A forecast that did better than repeating the last value.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// One for each step after the end of the series.
    pub points: Vec<Point>,
    /// What it was made with.
    pub method: Method,
    /// How wrong forecasts were lately, `lead` steps ahead.
    pub accuracy: Accuracy,
}

/// Why a series is not forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refused {
    /// The step is less than a second or more than six hours, or a day is not a multiple of it.
    Step {
        /// The step, in milliseconds.
        step: i64,
    },
    /// There are too few days to find a season in.
    TooShort {
        /// How long the series is, in milliseconds.
        have: i64,
        /// How long it must be, in milliseconds.
        need: i64,
    },
    /// Too much of it was not measured, or cannot be believed.
    TooManyGaps {
        /// The share of the last week that is there.
        present: f64,
    },
    /// There is no value at its end.
    Stale {
        /// How long there has been none, in milliseconds.
        since: i64,
    },
    /// It has been the same for days, so there is nothing to forecast.
    Constant {
        /// The load all the time.
        value: f64,
    },
    /// It does not repeat itself: a forecast is no better than the last value.
    NoPattern {
        /// How wrong the own forecast was, as a share of the load.
        own: f64,
        /// How wrong repeating the last value was.
        last: f64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = |time: i64| time as f64 / 3_600_000.0;
        match *self {
            Self::Step { step } => {
                write!(
                    f,
                    "values every {step} ms do not divide a day evenly, or are too few or many"
                )
            }
            Self::TooShort { have, need } => {
                let (have, need) = (hours(have), hours(need));
                write!(f, "only {have:.1} h were measured; a forecast needs {need:.1} h")
            }
            Self::TooManyGaps { present } => {
                write!(f, "only {:.0} % of the last week was measured", present * 100.0)
            }
            Self::Stale { since } => write!(f, "nothing was measured for {:.1} h", hours(since)),
            Self::Constant { value } => write!(f, "the load has been {value} for days"),
            Self::NoPattern { own, last } => {
                let (own, last) = (own * 100.0, last * 100.0);
                write!(f, "the load follows no pattern: a forecast is {own:.1} % wrong, ")?;
                write!(f, "repeating the last value {last:.1} %")
            }
        }
    }
}

impl std::error::Error for Refused {}

/// Forecasts a series for `horizon` steps after its end, at most as many as it has values.
///
/// The accuracy is measured `lead` steps ahead (a quarter of an hour, say) over the last days of
/// the series, every forecast made only of what was known then.
///
/// # Errors
/// Says why the series cannot be forecast, or is not forecast better than by its last value.
pub fn forecast(
    series: &Series,
    events: &[Event],
    horizon: usize,
    lead: usize,
) -> Result<Forecast, Refused> {
    let pace = pace(series)?;
    let count = series.values.len();
    let (horizon, lead) = (horizon.min(count), lead.clamp(1, pace.day));
    let need = shortest(pace, lead);
    if count < need {
        let time =
            |steps: usize| i64::try_from(steps).unwrap_or(i64::MAX).saturating_mul(series.step);
        return Err(Refused::TooShort { have: time(count), need: time(need) });
    }
    let clean = clean(series, events, horizon.max(lead));
    check(series, &clean, pace)?;
    let days = count / pace.day;
    // A whole week, so that no day of it is left out, or else one day.
    let measured = if days < 14 { 1 } else { MEASURED };
    let tried = Tried {
        series,
        held: Held::new(&clean, pace.day),
        model: Model::new(&clean, pace, first(count, pace, measured)),
        clean: &clean,
        measured: count - measured * pace.day..count,
        pace,
    };
    let trial = tried.model.try_out(lead, 1);
    let accuracy = tried.accuracy(&trial, lead);
    if accuracy.points == 0 {
        return Err(Refused::TooManyGaps { present: present(&clean, count, pace) });
    }
    let method = choose(&accuracy)?;
    let points = tried.points(method, horizon, lead, trial);
    Ok(Forecast { points, method, accuracy })
}

/// The time from which forecasts are tried on the past.
fn first(count: usize, pace: Pace, measured: usize) -> usize {
    let learned = (LEARNED * pace.day).max(LEARNED_STEPS);
    let most = count.saturating_sub(measured * pace.day + learned);
    // A pattern of the week is not to be judged by a time at which it cannot be known.
    let cycle = if count >= 17 * pace.day { 7 * pace.day } else { pace.day };
    most.max(known(pace, cycle)).min(count)
}

/// So many steps before a pattern of that length is tried.
fn known(pace: Pace, cycle: usize) -> usize {
    cycle + pace.minutes(30)
}

/// So many steps are needed: days enough, and as many that a forecast can be measured, the first of
/// which is of a time `lead` after what it was made of.
fn shortest(pace: Pace, lead: usize) -> usize {
    (SHORTEST * pace.day).max(known(pace, pace.day) + lead + 1)
}

fn pace(series: &Series) -> Result<Pace, Refused> {
    let step = series.step;
    if !(1000..=DAY / 4).contains(&step) || DAY % step != 0 {
        return Err(Refused::Step { step });
    }
    let day = usize::try_from(DAY / step).map_err(|_| Refused::Step { step })?;
    Ok(Pace { day })
}

/// The share of the last week that is there, and can be believed.
fn present(clean: &Clean, count: usize, pace: Pace) -> f64 {
    let all = count.min(7 * pace.day);
    let believed = clean.measured.iter().rev().take(all).filter(|value| !value.is_nan());
    believed.count() as f64 / all.max(1) as f64
}

/// Refuses a series of which there is too little, or in which nothing happens.
fn check(series: &Series, clean: &Clean, pace: Pace) -> Result<(), Refused> {
    let believed = || clean.measured.iter().rev().take(7 * pace.day);
    let all = series.values.len().min(7 * pace.day);
    let values = || {
        let given = series.values.iter().rev().take(all);
        given.flatten().copied().filter(|value| value.is_finite())
    };
    if let Some(value) = values().next()
        && values().count() * 2 > all
        && values().all(|other| other == value)
    {
        return Err(Refused::Constant { value });
    }
    let present = present(clean, series.values.len(), pace);
    if present < PRESENT {
        return Err(Refused::TooManyGaps { present });
    }
    let missing = believed().take_while(|value| value.is_nan()).count();
    let since = i64::try_from(missing).unwrap_or(i64::MAX).saturating_mul(series.step);
    if since > OLDEST * 3_600_000 {
        return Err(Refused::Stale { since });
    }
    Ok(())
}

fn choose(accuracy: &Accuracy) -> Result<Method, Refused> {
    if accuracy.wape <= BETTER * accuracy.best_simple() {
        return Ok(Method::Seasonal);
    }
    let simple = [(accuracy.day_ago, Method::DayAgo), (accuracy.week_ago, Method::WeekAgo)];
    let best = accuracy.best_simple();
    let best = simple.into_iter().find(|(error, _)| *error == Some(best));
    match best {
        Some((Some(error), method)) if error <= BETTER * accuracy.last => Ok(method),
        _ => Err(Refused::NoPattern { own: accuracy.wape, last: accuracy.last }),
    }
}

/// A model and what it is compared with.
struct Tried<'a> {
    series: &'a Series<'a>,
    clean: &'a Clean,
    held: Held,
    model: Model<'a>,
    measured: std::ops::Range<usize>,
    pace: Pace,
}

impl Tried<'_> {
    fn factor(&self, time: usize) -> f64 {
        self.clean.factor.get(time).copied().unwrap_or(1.0)
    }

    fn accuracy(&self, trial: &Trial, lead: usize) -> Accuracy {
        let first = trial.said.first().map_or(0, |(time, _)| *time);
        let own = |time: usize| {
            let said = trial.said.get(time.wrapping_sub(first));
            said.map_or(f64::NAN, |(_, said)| said * self.factor(time))
        };
        let times = || self.measured.clone().filter(|time| !own(*time).is_nan());
        let error = |said: &dyn Fn(usize) -> f64| wape(&self.clean.measured, times(), said);
        let simple = |which| error(&|time| self.held.say(which, time, lead));
        let (wape, points) = error(&own).unwrap_or((f64::INFINITY, 0));
        Accuracy {
            wape,
            last: simple(Simplest::Last).map_or(f64::INFINITY, |(error, _)| error),
            day_ago: simple(Simplest::DayAgo).map(|(error, _)| error),
            week_ago: simple(Simplest::WeekAgo).map(|(error, _)| error),
            points,
        }
    }

    /// The mean load of the days that are measured.
    fn size(&self) -> f64 {
        let values = self.clean.measured.get(self.measured.clone()).unwrap_or(&[]);
        let (sum, count) = values
            .iter()
            .filter(|value| !value.is_nan())
            .fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// The points of a forecast: tried at a few leads, and between them mixed.
    fn points(&self, method: Method, horizon: usize, lead: usize, trial: Trial) -> Vec<Point> {
        let size = self.size();
        let mut known: Vec<(usize, Weights, Bounds)> = Vec::new();
        let mut trial = Some(trial);
        let stride = self.pace.minutes(5);
        for ahead in leads(horizon, lead, self.pace) {
            let trial = if ahead == lead { trial.take() } else { None };
            let trial = trial.unwrap_or_else(|| self.model.try_out(ahead, stride));
            let each = if ahead == lead { 1 } else { stride };
            let recent = RECENT.map(|minutes| (self.pace.minutes(minutes) / each).max(12));
            let bounds = self.bounds(method, &trial, ahead, (size, recent));
            known.push((ahead, trial.weights, bounds));
        }
        let end = self.series.values.len() - 1;
        let point = |ahead: usize| {
            let after = known.iter().find(|(lead, ..)| *lead >= ahead).or(known.last())?;
            let before = known.iter().rfind(|(lead, ..)| *lead <= ahead).unwrap_or(after);
            let way = (after.0.saturating_sub(before.0)).max(1) as f64;
            let share = (ahead.saturating_sub(before.0) as f64 / way).min(1.0);
            let mixed = |one: f64, two: f64| one + (two - one) * share;
            let time = end + ahead;
            let expected = match method {
                Method::Seasonal => {
                    let one = self.model.ahead(ahead, &before.1);
                    mixed(one, self.model.ahead(ahead, &after.1)) * self.factor(time)
                }
                Method::DayAgo => self.held.say(Simplest::DayAgo, time, ahead),
                Method::WeekAgo => self.held.say(Simplest::WeekAgo, time, ahead),
            };
            let bounds = before.2.between(after.2, share);
            let (low, high) = bounds.around(expected, size * self.factor(time));
            let offset = i64::try_from(time).ok()?.saturating_mul(self.series.step);
            Some(Point { at: self.series.start.saturating_add(offset), expected, low, high })
        };
        (1..=horizon).filter_map(point).collect()
    }

    fn bounds(
        &self,
        method: Method,
        trial: &Trial,
        lead: usize,
        recent: (f64, [usize; 2]),
    ) -> Bounds {
        let pair = |(time, said): &(usize, f64)| {
            let said = match method {
                Method::Seasonal => said * self.factor(*time),
                Method::DayAgo => self.held.say(Simplest::DayAgo, *time, lead),
                Method::WeekAgo => self.held.say(Simplest::WeekAgo, *time, lead),
            };
            (said, self.clean.measured.get(*time).copied().unwrap_or(f64::NAN))
        };
        let since = self.measured.start.saturating_sub(self.pace.day);
        let said = trial.said.iter().filter(|(time, _)| *time >= since);
        Bounds::new(said.map(pair), recent.0, recent.1)
    }
}

/// The leads at which a forecast is tried: `lead`, and others each two and a half times the one
/// before, or six hours more.
fn leads(horizon: usize, lead: usize, pace: Pace) -> Vec<usize> {
    let mut leads = vec![lead];
    let mut ahead = 1;
    while ahead < horizon {
        leads.push(ahead);
        ahead += (ahead + ahead / 2 + 1).min(pace.minutes(360));
    }
    leads.push(horizon.max(1));
    leads.sort_unstable();
    leads.dedup();
    leads
}

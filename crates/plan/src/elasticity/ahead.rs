//! How high the load will be by the time a new instance serves: asked of the kept series now and
//! then, forecast, and kept in the autoscaler's status. What is forecast is the highest of each
//! step and not its mean, so that what lasts a minute of each hour is foreseen as well; in which
//! minutes of a step that is follows from the days before. How a forecast is made is in
//! `forecast.rs`.

use std::collections::BTreeMap;

use atoll_model::elasticity::{ForecastPoint, ForecastStatus, LOAD, Simplest};
use atoll_model::{Snapshot, Span, Timestamp};

use super::SIGNAL;
use super::decide::{self, EVERY, Foreseen};
use crate::forecast::{Event, Point, Series, forecast};
use crate::peak;
use crate::query::{Answer, Answers, Period, Query};

/// The name of the answer.
pub(crate) const HISTORY: &str = "history";
/// From one value of the history to the next, and from one forecast to the next.
const STEP: Span = Span::seconds(300);
/// So much of the past is looked at.
const PAST: Span = Span::seconds(28 * 86_400);
/// So many steps ahead are forecast: an hour.
const HORIZON: usize = 12;
/// A step has so many parts,
const PARTS: usize = 5;
/// each so long, which are looked at
const PART: Span = Span::seconds(60);
/// on so many days before,
const DAYS: u64 = 7;
/// of which so many have to be known.
const ENOUGH: usize = 3;
/// A part that had more than this share of its step's highest is as high as that.
const SHARP: f64 = 0.8;
/// So many steps ahead the error is measured: a quarter of an hour.
const LEAD: usize = 3;
/// A forecast older than this is not used.
const OLD: Span = Span::seconds(1_800);
/// A forecast of more than was measured on the last day, and than so many times what was measured
/// lately, is not believed beyond that.
const BELIEVED: f64 = 2.0;
/// So many steps are lately.
const LATELY: usize = 8;
/// A day,
const A_DAY: Span = Span::seconds(86_400);
/// and so many steps it has.
const DAY: usize = 288;

/// What is asked for a forecast, when it is time for one.
pub(super) fn queries(
    deployment: &str,
    last: Option<&ForecastStatus>,
    at: Timestamp,
) -> Vec<Query> {
    let to = grid(at);
    if last.is_some_and(|last| last.at >= to) {
        return Vec::new();
    }
    let ask = |name: String, period: Period, step: Span| {
        let kept = format!("{SIGNAL}{{deployment=\"{deployment}\",signal=\"{LOAD}\"}}");
        let mut query = Query::at(name, format!("max_over_time({kept}[{step}])"), to);
        query.period = period;
        query
    };
    let past = Period::Range { from: to - PAST, to, step: STEP };
    let near = (1..=DAYS).map(|days| ask(near(days), around(to, days), PART));
    std::iter::once(ask(HISTORY.to_owned(), past, STEP)).chain(near).collect()
}

/// The name of the answer for what was around this time of the day so many days ago.
fn near(days: u64) -> String {
    format!("{HISTORY} {days}")
}

/// Whether a query is for what was on a day before a forecast that is made at that time.
pub(crate) fn is_day_before(query: &Query, at: Timestamp) -> bool {
    let day = (1..=DAYS).find(|days| query.name == near(*days));
    day.is_some_and(|days| query.period == around(at, days))
}

/// The coming hour, so many days ago.
fn around(at: Timestamp, days: u64) -> Period {
    let then = at - Span(days * A_DAY.0);
    Period::Range { from: then + PART, to: then + Span(STEP.0 * HORIZON as u64), step: PART }
}

/// What was around this time of the day on the days before, if it was asked for.
pub(super) fn days(answers: &Answers) -> Vec<(Timestamp, f64)> {
    let each = (1..=DAYS).filter_map(|days| answers.get(&near(days))?.as_ref().ok());
    each.filter_map(|answer| answer.series.first()).flat_map(|all| all.points.clone()).collect()
}

/// The share of its step's highest that each part of coming steps had at most on the days before.
fn shares(days: &[(Timestamp, f64)], at: Timestamp) -> Vec<f64> {
    let mut known: BTreeMap<(usize, i64), [f64; PARTS]> = BTreeMap::new();
    for (time, value) in days {
        // A part ends at its time.
        let since = time.0 - at.0 - 1;
        let part = (since.rem_euclid(A_DAY.0 as i64) / PART.0 as i64) as usize;
        let day = (part / PARTS, since.div_euclid(A_DAY.0 as i64));
        known.entry(day).or_insert([f64::NAN; PARTS])[part % PARTS] = *value;
    }
    let mut shares = vec![(0.0_f64, 0); PARTS * HORIZON];
    for ((step, _), values) in known.into_iter().filter(|((step, _), _)| *step < HORIZON) {
        let most = values.into_iter().fold(0.0, |most: f64, value| most.max(value));
        if most > 0.0 && values.iter().all(|value| value.is_finite()) {
            for ((share, count), value) in shares[step * PARTS..].iter_mut().zip(values) {
                (*share, *count) = (share.max(value / most), *count + 1);
            }
        }
    }
    let believed = |(share, count)| if count < ENOUGH || share > SHARP { 1.0 } else { share };
    shares.into_iter().map(believed).collect()
}

fn grid(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(STEP.0 as i64) * STEP.0 as i64)
}

/// What is known of the load besides: the peaks of a deployment, from when instances are made for
/// them. Before, a forecast that sees one come would raise the number past what the peak says it
/// is to be, and past whoever has to let it.
pub(super) fn events(world: &Snapshot, deployment: &str, now: Timestamp) -> Vec<Event> {
    peak::begun(world, deployment, STEP, now)
}

/// Forecasts the load from its history, what was minute by minute in the coming hour on the days
/// before, and what is known of it besides.
pub fn made(
    history: &Answer,
    days: &[(Timestamp, f64)],
    at: Timestamp,
    events: &[Event],
) -> ForecastStatus {
    let at = grid(at);
    let points = history.series.first().map(|series| series.points.as_slice()).unwrap_or_default();
    let known: BTreeMap<Timestamp, f64> = points.iter().copied().collect();
    let Some(first) = known.keys().next().copied() else {
        let method = "none: there is no past of it yet".to_owned();
        return ForecastStatus { at, method, ..ForecastStatus::default() };
    };
    let times = std::iter::successors(Some(first), |time| Some(*time + STEP));
    let values: Vec<Option<f64>> =
        times.take_while(|time| *time <= at).map(|time| known.get(&time).copied()).collect();
    let most = |last: usize| {
        let lately = values.iter().rev().take(last).flatten().copied();
        lately.filter(|value| value.is_finite()).max_by(f64::total_cmp).unwrap_or_default()
    };
    let believed = (most(LATELY) * BELIEVED).max(most(DAY));
    let series = Series { start: first.0, step: STEP.0 as i64, values: &values };
    match forecast(&series, events, HORIZON, LEAD) {
        Err(refused) => {
            let method = format!("none: {refused}");
            ForecastStatus { at, method, ..ForecastStatus::default() }
        }
        Ok(found) => ForecastStatus {
            at,
            points: told(&found.points, &shares(days, at), |at| believed * raised(events, at)),
            method: found.method.words().to_owned(),
            error: Some(decide::round(found.accuracy.wape)),
            simplest: Some(Simplest {
                last: decide::round(found.accuracy.last),
                day_ago: found.accuracy.day_ago.map(decide::round),
                week_ago: found.accuracy.week_ago.map(decide::round),
            }),
        },
    }
}

/// How many times the usual load is known to come around a step.
fn raised(events: &[Event], at: i64) -> f64 {
    let step = STEP.0 as i64;
    let around = events.iter().filter(|event| event.from - step < at && at < event.to + step);
    around.map(|event| event.factor).filter(|factor| *factor > 1.0).product()
}

/// What is forecast for each step, and for each of its parts where these differ.
fn told(steps: &[Point], shares: &[f64], believed: impl Fn(i64) -> f64) -> Vec<ForecastPoint> {
    let mut points = Vec::with_capacity(steps.len());
    for (step, shares) in steps.iter().zip(shares.chunks(PARTS)) {
        let point = |at: i64, share: f64| {
            let of = |value: f64| decide::round(value.min(believed(step.at)) * share);
            let (expected, low, high) = (of(step.expected), of(step.low), of(step.high));
            ForecastPoint { at: Timestamp(at), expected, low, high }
        };
        if shares.iter().all(|share| *share >= 1.0) {
            points.push(point(step.at, 1.0));
            continue;
        }
        let ends = (0..PARTS as i64).rev().map(|left| step.at - left * PART.0 as i64);
        points.extend(ends.zip(shares).map(|(at, share)| point(at, *share)));
    }
    points
}

/// How many instances a forecast says are needed until what is begun now serves, with what one of
/// them carries and how long it takes to start; none where there is no forecast, or an old one.
pub fn need(forecast: &ForecastStatus, each: f64, now: Timestamp, start: Span) -> Option<Foreseen> {
    if now.since(forecast.at) > OLD {
        return None;
    }
    // It may take two decisions to be there: none more than doubles.
    let until = now + start + EVERY + EVERY;
    let begin = std::iter::once(forecast.at).chain(forecast.points.iter().map(|point| point.at));
    let steps = begin.zip(&forecast.points);
    let within = steps.filter(|(begins, point)| point.at > now && *begins <= until);
    let (_, most) = within.max_by(|(_, a), (_, b)| a.high.total_cmp(&b.high))?;
    Some(Foreseen { expected: most.expected / each, high: most.high / each })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::peak::{Peak, PeakApplication, PeakReport, Shortfall, Times};
    use atoll_model::{Any, Object};

    use super::*;
    use crate::query::Series as Asked;

    const MINUTE: i64 = 60_000;
    const NOW: i64 = 40 * 86_400_000;

    /// Four days that are highest now, with so many times the load from one time to another.
    fn history(starts: i64, ends: i64, factor: f64) -> Answer {
        let step = STEP.0 as i64;
        let points = (0..4 * 288).map(|i| {
            let at = NOW - i * step;
            let day = (at - NOW) as f64 / 86_400_000.0 * std::f64::consts::TAU;
            let usual = 30.0 + 10.0 * day.cos() + (i * 7 % 5) as f64 * 0.4;
            let times = if at >= starts && at - step < ends { factor } else { 1.0 };
            (Timestamp(at), usual * times)
        });
        let mut points: Vec<_> = points.collect();
        points.reverse();
        let series = vec![Asked { points, ..Asked::default() }];
        Answer { series, ..Answer::default() }
    }

    /// A peak of four times the usual load at these times.
    fn peak(times: Times) -> Object<Peak> {
        let spec = serde_json::json!({
            "starts": "1970-01-01T00:00:00Z", "ends": "1970-01-02T00:00:00Z",
            "environment": "prod", "applications": { "shop": 4 },
        });
        let mut peak = Object::new("sale", serde_json::from_value::<Peak>(spec).unwrap());
        peak.status.times = times;
        peak.status.applications = vec![PeakApplication {
            deployment: "shop.prod".to_owned(),
            usual: Some(40.0),
            expected: Some(160.0),
            ..PeakApplication::default()
        }];
        peak
    }

    /// What is foreseen after a half hour's peak three minutes ago in which there was `times` the
    /// usual load: by who knows of no peak, and by who knows.
    fn foreseen_after(peak: &Object<Peak>, times: f64) -> [ForecastStatus; 2] {
        let (starts, ends) = (peak.status.times.starts.0, peak.status.times.ends.0);
        let world = crate::testing::world([Any::Peak(Arc::new(peak.clone()))]);
        let now = Timestamp(NOW);
        [Vec::new(), events(&world, "shop.prod", now)]
            .map(|events| made(&history(starts, ends, times), &[], now, &events))
    }

    fn most(of: &ForecastStatus) -> f64 {
        of.points.iter().map(|point| point.expected).fold(0.0, f64::max)
    }

    fn over() -> Object<Peak> {
        let (starts, ends) = (Timestamp(NOW - 33 * MINUTE), Timestamp(NOW - 3 * MINUTE));
        peak(Times { starts, ends, ..Times::default() })
    }

    const USUAL: std::ops::Range<f64> = 36.0..45.0;

    #[test]
    fn a_peak_that_is_over_is_not_taken_for_what_is_usual_now() {
        let [without, with] = foreseen_after(&over(), 4.0).map(|found| most(&found));
        assert!(USUAL.contains(&with), "{with}, and {without} without");
        assert!(!USUAL.contains(&without), "{without}");
        let world = crate::testing::world([Any::Peak(Arc::new(over()))]);
        assert_eq!(events(&world, "stock.prod", Timestamp(NOW)), []);
    }

    #[test]
    fn a_peak_that_did_not_come_takes_nothing_from_a_forecast() {
        let mut peak = over();
        let [without, believed] = foreseen_after(&peak, 1.0).map(|found| found.error.unwrap());
        assert!(believed > without * 3.0, "as long as nobody says what was seen: {believed}");
        let shop = Shortfall { highest: Some(41.0), ..Shortfall::default() };
        peak.status.report = Some(PeakReport {
            until: peak.status.times.ends,
            applications: [("shop.prod".to_owned(), shop)].into(),
            ..PeakReport::default()
        });
        let [without, with] = foreseen_after(&peak, 1.0);
        assert!(USUAL.contains(&most(&with)), "{}", most(&with));
        assert!(with.error < without.error.map(|error| error * 1.5), "{:?}", with.error);
    }

    /// One that starts in five minutes, with that lead to scale.
    fn coming(scale: i64) -> Snapshot {
        let times = Times {
            scale: Timestamp(NOW + (5 - scale) * MINUTE),
            starts: Timestamp(NOW + 5 * MINUTE),
            ends: Timestamp(NOW + 35 * MINUTE),
            ..Times::default()
        };
        crate::testing::world([Any::Peak(Arc::new(peak(times)))])
    }

    #[test]
    fn a_peak_that_comes_is_foreseen_from_its_lead_on_and_not_before() {
        let now = Timestamp(NOW);
        let expected = |world: &Snapshot, minutes: i64| {
            let found = made(&history(0, 0, 1.0), &[], now, &events(world, "shop.prod", now));
            let mut points = found.points.into_iter();
            points.find(|point| point.at.0 == NOW + minutes * MINUTE).unwrap().expected
        };
        assert!(expected(&coming(4), 10) < 50.0, "its instances are not due for a minute yet");
        assert!(expected(&coming(6), 10) > 120.0, "they are due");
        assert!(expected(&coming(6), 5) < 50.0, "in the five minutes before it starts");
        assert!(expected(&coming(6), 35) > 120.0, "in the step at whose end it ends");
        assert!(expected(&coming(6), 40) < 50.0, "after it");
    }

    #[test]
    fn what_a_forecast_asks_for_is_that_until_what_is_begun_now_serves() {
        let seconds = |at: i64| Timestamp(NOW + at * 1000);
        let point = |at, expected| ForecastPoint {
            at: seconds(at),
            expected,
            low: expected,
            high: expected * 1.2,
        };
        let points = vec![point(300, 100.0), point(600, 500.0), point(900, 200.0)];
        let forecast = ForecastStatus { at: seconds(0), points, ..ForecastStatus::default() };
        let need = |at| need(&forecast, 10.0, seconds(at), Span::seconds(60));
        let most = |expected| Some(Foreseen { expected, high: expected * 1.2 });
        assert_eq!(need(0), most(10.0));
        assert_eq!(need(209), most(10.0), "there is time yet");
        assert_eq!(need(210), most(50.0), "a start and two decisions before it begins");
        assert_eq!(need(599), most(50.0), "until it is over");
        assert_eq!(need(600), most(20.0));
        assert_eq!(need(900), None, "nothing is said of the time");
        assert_eq!(need(1_801), None, "it is old");
    }

    #[test]
    fn what_there_was_within_a_day_is_believed() {
        // Four times the load for half an hour each day, from ten minutes after now.
        let day = 86_400_000;
        let job = |at: i64| (10 * MINUTE..40 * MINUTE).contains(&(at - NOW).rem_euclid(day));
        let with = |believed: bool| {
            let mut history = history(0, 0, 1.0);
            for (at, value) in &mut history.series[0].points {
                *value *= if job(at.0 - 1) && (believed || at.0 < NOW - day) { 4.0 } else { 1.0 };
            }
            let found = made(&history, &[], Timestamp(NOW), &[]);
            found.points.iter().map(|point| point.expected).fold(0.0, f64::max)
        };
        assert!(with(true) > 120.0, "as on each day: {}", with(true));
        assert!(with(false) <= 85.0, "not within a day, so twice of now: {}", with(false));
    }

    #[test]
    fn a_step_of_which_a_part_is_high_is_told_by_its_parts() {
        // The second minute of the third step is high on each day; the last was not measured.
        let value = |part: i64| if part == 11 { 90.0 } else { 30.0 };
        let day = |days: i64| {
            (0..60).filter(move |part| (days, *part) != (2, 57)).map(move |part| {
                (Timestamp(NOW - days * A_DAY.0 as i64 + (part + 1) * MINUTE), value(part))
            })
        };
        let told = |days: std::ops::Range<i64>| {
            let days: Vec<_> = days.flat_map(day).collect();
            made(&history(0, 0, 1.0), &days, Timestamp(NOW), &[]).points
        };
        assert_eq!(told(1..3).len(), HORIZON, "two days are too few");
        let points = told(1..5);
        let ends = points.iter().map(|point| (point.at.0 - NOW) / MINUTE).collect::<Vec<_>>();
        assert_eq!(ends[..9], [5, 10, 11, 12, 13, 14, 15, 20, 25]);
        let (high, low) = (points[3].expected, points[4].expected);
        assert!((low * 3.0 - high).abs() < 1.0, "a third of the step's highest: {low} of {high}");
        assert_eq!(points.len(), HORIZON + PARTS - 1);
    }
}

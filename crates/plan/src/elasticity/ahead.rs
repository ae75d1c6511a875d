//! What the load will be by the time a new instance serves: asked of the kept series now and then,
//! forecast, and kept in the autoscaler's status. How a forecast is made is in `forecast.rs`.

use std::collections::BTreeMap;

use atoll_model::elasticity::{ForecastPoint, ForecastStatus, LOAD};
use atoll_model::{Span, Timestamp};

use super::{SIGNAL, decide};
use crate::forecast::{Series, forecast};
use crate::query::{Answer, Period, Query};

/// The name of the answer.
pub(super) const HISTORY: &str = "history";
/// From one value of the history to the next, and from one forecast to the next.
const STEP: Span = Span::seconds(300);
/// So much of the past is looked at.
const PAST: Span = Span::seconds(28 * 86_400);
/// So many steps ahead are forecast: an hour.
const HORIZON: usize = 12;
/// So many steps ahead the error is measured: a quarter of an hour.
const LEAD: usize = 3;
/// A forecast older than this is not used.
const OLD: Span = Span::seconds(1_800);
/// A forecast of more than so many times what was asked for lately is not believed beyond that.
const BELIEVED: f64 = 2.0;

/// What is asked for a forecast, when it is time for one.
pub(super) fn query(
    deployment: &str,
    last: Option<&ForecastStatus>,
    at: Timestamp,
) -> Option<Query> {
    let to = grid(at);
    if last.is_some_and(|last| last.at >= to) {
        return None;
    }
    let kept =
        format!("avg_over_time({SIGNAL}{{deployment=\"{deployment}\",signal=\"{LOAD}\"}}[{STEP}])");
    let mut query = Query::at(HISTORY, kept, to);
    query.period = Period::Range { from: to - PAST, to, step: STEP };
    Some(query)
}

fn grid(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(STEP.0 as i64) * STEP.0 as i64)
}

/// Forecasts the load from its history.
pub fn made(history: &Answer, at: Timestamp) -> ForecastStatus {
    let at = grid(at);
    let points = history.series.first().map(|series| series.points.as_slice()).unwrap_or_default();
    let known: BTreeMap<Timestamp, f64> = points.iter().copied().collect();
    let Some(first) = known.keys().next().copied() else {
        let method = "none: nothing was measured yet".to_owned();
        return ForecastStatus { at, method, ..ForecastStatus::default() };
    };
    let times = std::iter::successors(Some(first), |time| Some(*time + STEP));
    let values: Vec<Option<f64>> =
        times.take_while(|time| *time <= at).map(|time| known.get(&time).copied()).collect();
    let series = Series { start: first.0, step: STEP.0 as i64, values: &values };
    match forecast(&series, &[], HORIZON, LEAD) {
        Err(refused) => {
            let method = format!("none: {refused}");
            ForecastStatus { at, method, ..ForecastStatus::default() }
        }
        Ok(found) => ForecastStatus {
            at,
            points: found
                .points
                .iter()
                .map(|point| ForecastPoint {
                    at: Timestamp(point.at),
                    expected: decide::round(point.expected),
                    low: decide::round(point.low),
                    high: decide::round(point.high),
                })
                .collect(),
            method: found.method.words().to_owned(),
            error: Some(decide::round(found.accuracy.wape)),
        },
    }
}

/// How many instances a forecast asks for until a time: what is expected at most, over what one
/// carries; none where there is no forecast, or an old one.
pub fn need(
    forecast: &ForecastStatus,
    each: f64,
    lately: f64,
    (now, until): (Timestamp, Timestamp),
) -> Option<f64> {
    if now.since(forecast.at) > OLD {
        return None;
    }
    let ahead = forecast.points.iter().filter(|point| point.at > now);
    // The first point after that time bounds what lies between.
    let within = ahead.clone().filter(|point| point.at <= until + STEP);
    let most = within.map(|point| point.expected).max_by(f64::total_cmp)?;
    Some((most / each).min(lately * BELIEVED))
}

//! The highest load of each of the next days: asked of the kept series once an hour, and forecast.
//! How a forecast is made is in `forecast.rs`.

use std::collections::BTreeMap;

use atoll_model::capacity::{CapacityStatus, Peak};
use atoll_model::elasticity::LOAD;
use atoll_model::{Snapshot, Span, Timestamp};

use crate::elasticity::{SIGNAL, decide};
use crate::forecast::{Series, forecast};
use crate::peak;
use crate::query::{Answer, Period, Query};

/// The name of the answer.
pub(super) const HISTORY: &str = "history";
/// Why there is no forecast where there is no past.
const NOTHING: &str = "none: no whole hour of its load was measured yet";
/// From one value to the next, and from one forecast to the next.
const STEP: Span = Span::seconds(3_600);
/// So much of the past is looked at.
const PAST: Span = Span::seconds(28 * 86_400);
/// So many hours are forecast.
const HORIZON: usize = 7 * 24;
/// The same as a time.
pub(super) const LOOKED_AHEAD: Span = Span(HORIZON as u64 * STEP.0);
/// The error is measured so many hours ahead.
const LEAD: usize = 24;

/// What is asked, when it is time for a forecast: once an hour, and every five minutes as long as
/// there is no past at all, since one may be handed in.
pub(super) fn query(deployment: &str, status: &CapacityStatus, at: Timestamp) -> Option<Query> {
    let to = grid(at);
    let soon = status.method == NOTHING && at.0.div_euclid(60_000) % 5 == 0;
    if status.forecast_at.is_some_and(|last| last >= to) && !soon {
        return None;
    }
    Some(past(HISTORY.to_owned(), deployment, to))
}

/// The highest load of each hour of the past.
pub(crate) fn past(name: String, deployment: &str, to: Timestamp) -> Query {
    let kept =
        format!("max_over_time({SIGNAL}{{deployment=\"{deployment}\",signal=\"{LOAD}\"}}[{STEP}])");
    let mut query = Query::at(name, kept, to);
    query.period = Period::Range { from: to - PAST, to, step: STEP };
    query
}

/// The hour a time is in.
pub(crate) fn grid(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(STEP.0 as i64) * STEP.0 as i64)
}

/// The highest load of each day, counted from now, and how it was forecast or why it was not, with
/// the peaks there are. The instances are left for whoever knows what one carries.
pub(super) fn days(
    history: &Answer,
    (world, deployment): (&Snapshot, &str),
    at: Timestamp,
) -> (Vec<Peak>, String) {
    let events = peak::events(world, deployment, STEP);
    let at = grid(at);
    let points = history.series.first().map(|series| series.points.as_slice()).unwrap_or_default();
    let known: BTreeMap<Timestamp, f64> = points.iter().copied().collect();
    let Some(first) = known.keys().next().copied() else {
        return (Vec::new(), NOTHING.to_owned());
    };
    let times = std::iter::successors(Some(first), |time| Some(*time + STEP));
    let values: Vec<Option<f64>> =
        times.take_while(|time| *time <= at).map(|time| known.get(&time).copied()).collect();
    let series = Series { start: first.0, step: STEP.0 as i64, values: &values };
    let found = match forecast(&series, &events, HORIZON, LEAD) {
        Err(refused) => return (Vec::new(), format!("none: {refused}")),
        Ok(found) => found,
    };
    let mut days: BTreeMap<i64, Peak> = BTreeMap::new();
    for point in &found.points {
        let time = Timestamp(point.at);
        let peak = Peak {
            at: time,
            expected: decide::round(point.expected),
            high: decide::round(point.high),
            instances: 0,
        };
        let day = days.entry(time.since(at).0 as i64 / 86_400_000).or_insert(peak);
        if peak.high > day.high {
            *day = peak;
        }
    }
    let error = found.accuracy.wape * 100.0;
    let method = format!("{}, usually {error:.0} % wrong a day ahead", found.method.words());
    (days.into_values().take(HORIZON / 24).collect(), method)
}

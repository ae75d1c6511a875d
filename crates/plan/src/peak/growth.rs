//! How a usual load grows from week to week. What is usual is the middle of weeks that lie before a
//! peak, so that what grows is more by then. It is no forecast of what the peak brings, and what
//! shrinks is not counted on to go on shrinking.

use std::collections::BTreeMap;

use atoll_model::{Span, Timestamp};

const WEEK: Span = Span::seconds(7 * 86_400);
/// So many weeks are compared with the one before, and two at least.
const WEEKS: u64 = 3;
/// So many hours of two weeks have to be there to compare them.
const HOURS: usize = 84;
/// Less than this a week is within what differs anyway.
const LEAST: f64 = 1.01;
/// More than this a week is no growth that goes on.
const MOST: f64 = 1.15;
/// It is counted on for so many weeks at most.
const LONGEST: f64 = 8.0;

/// How many times as much a load is each week, from its hours: 1, where it does not grow or that
/// cannot be told. Every week has to be more than the one before, so that one odd week makes no
/// growth.
pub(super) fn per_week(hours: &BTreeMap<Timestamp, f64>) -> f64 {
    let Some((last, _)) = hours.last_key_value() else { return 1.0 };
    let mut each = Vec::new();
    for back in 0..WEEKS {
        let end = *last - Span(back * WEEK.0);
        let week = hours.range(end - WEEK..=end).filter(|(at, _)| **at > end - WEEK);
        let before = |at: Timestamp| hours.get(&(at - WEEK)).copied().filter(|load| *load > 0.0);
        let mut all: Vec<f64> = week.filter_map(|(at, load)| Some(load / before(*at)?)).collect();
        if all.len() >= HOURS {
            all.sort_by(f64::total_cmp);
            each.push(all[all.len() / 2]);
        }
    }
    let least = each.iter().copied().fold(f64::INFINITY, f64::min);
    if each.len() < 2 || least < LEAST { 1.0 } else { least.min(MOST) }
}

/// How many times as much it is after so many weeks.
pub(super) fn after(per_week: f64, weeks: f64) -> f64 {
    per_week.powf(weeks.clamp(0.0, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours of so many weeks, each so many times the one before.
    fn weeks(factors: &[f64]) -> BTreeMap<Timestamp, f64> {
        let hour = |n: usize| Timestamp(n as i64 * 3_600_000);
        let day = |n: usize| 100.0 + 50.0 * ((n % 24) as f64 / 24.0);
        let all = factors.iter().enumerate().flat_map(|(week, factor)| {
            (week * 168..(week + 1) * 168).map(move |n| (hour(n), day(n) * factor))
        });
        all.collect()
    }

    #[test]
    fn growth_is_what_every_week_shows() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(per_week(&weeks(&[1.0, 1.05, 1.1025, 1.157_625])), 1.05));
        assert_eq!(per_week(&weeks(&[1.0, 1.5, 2.25])), 1.15, "no growth goes on like that");
        assert_eq!(per_week(&weeks(&[1.0, 1.0, 1.0, 1.4])), 1.0, "one odd week is no growth");
        assert_eq!(per_week(&weeks(&[1.0, 1.4, 1.4, 1.4])), 1.0, "it has come, and stays");
        assert_eq!(per_week(&weeks(&[1.0, 0.9, 0.8, 0.7])), 1.0);
        assert_eq!(per_week(&weeks(&[1.0, 1.2])), 1.0, "one week more is no growth yet");
        assert_eq!(per_week(&BTreeMap::new()), 1.0);
        assert!(close(after(1.05, 2.0), 1.1025) && close(after(1.05, 99.0), after(1.05, 8.0)));
    }
}

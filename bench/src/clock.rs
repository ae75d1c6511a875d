//! The one place of the bench that reads the time. Not a measurement: what is timed is said where
//! it is done.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use atoll_model::Timestamp;

/// A point to measure from.
#[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day, as hosts put it into their reports.
#[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn time_of_day() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

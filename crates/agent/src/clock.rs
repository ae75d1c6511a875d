//! The only place of this crate that reads a clock. Everything that decides takes the time as an
//! argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use atoll_model::Timestamp;

/// The time of day.
#[allow(clippy::disallowed_methods, reason = "this is the crate's clock")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// For measuring spans; nobody sets it.
#[allow(clippy::disallowed_methods, reason = "this is the crate's clock")]
pub fn instant() -> Instant {
    Instant::now()
}

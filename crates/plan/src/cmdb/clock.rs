//! Hosts whose clocks differ from the servers': what is measured there counts for another time. It
//! reads no clock; how far apart two are, a server finds out where a host asks it.

use atoll_model::agent::Report;
use atoll_model::{Host, Object, Reason, Span};

/// The code of what is told of such a clock.
pub(super) const CLOCK: &str = "clock";
/// A clock that is off by fewer seconds is near enough, and so is what is known of one.
const NEAR: u64 = 30;

/// What is to be reported of a host whose clock is so many milliseconds ahead; none where that is
/// known.
pub fn news(host: &Object<Host>, ahead: i64) -> Option<Report> {
    let is_far = |seconds: i64| seconds.unsigned_abs() >= NEAR;
    let seconds = Some(ahead / 1_000).filter(|seconds| is_far(*seconds)).unwrap_or(0);
    let known = host.status.clock_ahead.unwrap_or(0);
    let is_news = is_far(seconds) != is_far(known) || is_far(seconds - known);
    is_news.then(|| Report { clock_ahead: Some(seconds), ..Report::default() })
}

/// What is told of a host whose clock is off.
pub(crate) fn reason(host: &Object<Host>) -> Option<Reason> {
    let seconds = host.status.clock_ahead?;
    let side = if seconds < 0 { "behind" } else { "ahead of" };
    let by = Span::seconds(seconds.unsigned_abs()).rough();
    let message = format!(
        "its clock is {by} {side} the server's: what is measured on it counts for another time, or \
         is refused"
    );
    Some(Reason::new(CLOCK, message).hint("set its clock, and have it kept by NTP"))
}

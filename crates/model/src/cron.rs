//! Times that come again and again, as crontab writes them: five fields, in UTC. It reads no clock.

use crate::Timestamp;

/// Whether it can be read.
///
/// # Errors
/// What is wrong with it.
pub fn check(text: &str) -> Result<(), String> {
    parsed(text).map(|_| ())
}

/// The first of its times after another; none where there is none, or it cannot be read.
pub fn next_after(text: &str, after: Timestamp) -> Option<Timestamp> {
    let after = jiff::Timestamp::from_millisecond(after.0).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let next = parsed(text).ok()?.find_next_occurrence(&after, false).ok()?;
    Some(Timestamp(next.timestamp().as_millisecond()))
}

fn parsed(text: &str) -> Result<croner::Cron, String> {
    let parser = croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Disallowed)
        .year(croner::parser::Year::Disallowed)
        .build();
    parser.parse(text).map_err(|e| format!("{text:?} is no time as cron writes it: {e}"))
}

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

/// Whether it can be read and there is none of its times: on the 30th of February, say.
pub fn is_never(text: &str) -> bool {
    // In 400 years days come as they came before.
    check(text).is_ok() && next_after(text, Timestamp(0)).is_none()
}

fn parsed(text: &str) -> Result<croner::Cron, String> {
    let parser = croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Disallowed)
        .year(croner::parser::Year::Disallowed)
        .build();
    parser.parse(text).map_err(|e| format!("{text:?} is no time as cron writes it: {}", words(&e)))
}

/// What is wrong, without what the reader calls its own parts.
fn words(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError;
    match error {
        CronError::EmptyPattern => "it is empty".to_owned(),
        CronError::ComponentError(told)
        | CronError::InvalidPattern(told)
        | CronError::IllegalCharacters(told) => {
            told.trim_end_matches('.').replace("CronPattern", "it")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_in_words_of_cron() {
        for text in ["61 * * * *", "* * * *", "", "a b c d e", "0 8 32 1 *"] {
            let told = check(text).unwrap_err();
            assert!(
                told.starts_with(&format!("{text:?} is no time as cron writes it: ")),
                "{told}"
            );
            for odd in ["omponent", "CronPattern", "Scheduler", "attern:"] {
                assert!(!told.contains(odd), "{told}");
            }
        }
    }

    #[test]
    fn a_day_no_month_has_never_comes() {
        for (text, never) in [("0 8 30 2 *", true), ("0 8 31 4,6 *", true), ("0 8 29 2 *", false)] {
            assert_eq!(is_never(text), never, "{text}");
        }
        assert!(!is_never("no time"), "it is wrong, which is told otherwise");
    }
}

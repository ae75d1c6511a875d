//! Times and spans of time in texts. Not spans as people read them, which are `number::duration`.

use super::{Wrong, number};

const NANOSECONDS: f64 = 1e9;
/// The units of Prometheus in milliseconds, in the only order in which they may follow each other.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Seconds since 1970 as Go prints a time: `2024-05-01 12:00:00.5 +0000 UTC`.
pub(super) fn timestamp(seconds: f64) -> Result<String, Wrong> {
    if !seconds.is_finite() {
        return Ok(number::significant(seconds, 4));
    }
    let nanoseconds = seconds * NANOSECONDS;
    if nanoseconds.abs() >= i64::MAX as f64 {
        return Err(Wrong::Unclear);
    }
    let milliseconds = nanoseconds as i64 / 1_000_000;
    let (day, of_day) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    let (year, month, day) = date(day);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, behind) = (of_day / 1000 % 60, of_day % 1000);
    let behind = if behind == 0 { String::new() } else { format!(".{behind:03}") };
    let behind = behind.trim_end_matches('0');
    Ok(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{behind} +0000 UTC"))
}

/// The date of a day since 1970. Years begin in March here, so that a leap day is their last.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let of_era_year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_year + of_era_year / 4 - of_era_year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (of_era_year + era * 400 + i64::from(month <= 2), month, day)
}

/// `1h30m` in seconds.
pub(super) fn seconds(text: &str) -> Result<f64, Wrong> {
    if text.is_empty() {
        return Err(Wrong::Missing);
    }
    if text == "0" {
        return Ok(0.0);
    }
    let (mut total, mut rest, mut units) = (0u64, text, UNITS.iter());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(Wrong::Unclear)?;
        let (count, behind) = rest.split_at_checked(digits).ok_or(Wrong::Unclear)?;
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(end).ok_or(Wrong::Unclear)?;
        let (_, size) = units.find(|(name, _)| *name == unit).ok_or(Wrong::Unclear)?;
        let count: u64 = count.parse().map_err(|_| Wrong::Unclear)?;
        let part = count.checked_mul(*size).ok_or(Wrong::Unclear)?;
        total = total.checked_add(part).ok_or(Wrong::Unclear)?;
        rest = behind;
    }
    // It is counted in nanoseconds there.
    if total > i64::MAX as u64 / 1_000_000 {
        return Err(Wrong::Unclear);
    }
    Ok(total as f64 / 1000.0)
}

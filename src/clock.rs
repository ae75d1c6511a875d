//! The one place of the command line that reads the time of day, or waits for it. Everything that
//! shows an age takes the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use atoll_model::{Span, Timestamp};

/// The time of day.
#[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Holds this thread up.
#[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn pause(span: std::time::Duration) {
    std::thread::sleep(span);
}

/// A span as a person says it: at most two units, `45s`, `3m20s`, `5h`, `12d`.
pub fn short(span: Span) -> String {
    const UNITS: [(&str, u64, u64); 4] =
        [("d", 86_400, 2), ("h", 3_600, 10), ("m", 60, 10), ("s", 1, u64::MAX)];
    let seconds = span.0 / 1_000;
    for (i, (unit, size, whole_from)) in UNITS.into_iter().enumerate() {
        let count = seconds / size;
        if count == 0 {
            continue;
        }
        let Some((lower, lower_size, _)) = UNITS.get(i + 1) else {
            return format!("{count}{unit}");
        };
        let rest = seconds % size / lower_size;
        return match rest {
            _ if count >= whole_from => format!("{count}{unit}"),
            0 => format!("{count}{unit}"),
            rest => format!("{count}{unit}{rest}{lower}"),
        };
    }
    "0s".to_owned()
}

/// How long ago `at` was, or `-` where it is not known.
pub fn age(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "-".to_owned(), |at| short(now.since(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let cases = [
            (400, "0s"),
            (45_000, "45s"),
            (200_000, "3m20s"),
            (600_000, "10m"),
            (5 * 3_600_000 + 61_000, "5h1m"),
            (30 * 3_600_000, "1d6h"),
            (40 * 86_400_000, "40d"),
        ];
        for (milliseconds, wanted) in cases {
            assert_eq!(short(Span(milliseconds)), wanted);
        }
        assert_eq!(age(None, Timestamp(0)), "-");
    }
}

//! Months of the calendar in UTC, as budgets count by them. Not a clock: the time is given.

use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// One month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    /// `2026-11`.
    pub name: String,
    /// Its first instant.
    pub begins: Timestamp,
    /// The first instant of the next.
    pub ends: Timestamp,
}

impl Month {
    /// The month a time is in. A time outside the calendar is in a month without a name that ends
    /// with it.
    pub fn of(at: Timestamp) -> Month {
        let none = Month { name: String::new(), begins: at, ends: at };
        read(at).unwrap_or(none)
    }
}

fn read(at: Timestamp) -> Option<Month> {
    let date = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(TimeZone::UTC).date();
    let (first, next) = (date.first_of_month(), date.last_of_month().tomorrow().ok()?);
    let start = |date: jiff::civil::Date| {
        let zoned = date.to_zoned(TimeZone::UTC).ok()?;
        Some(Timestamp(zoned.timestamp().as_millisecond()))
    };
    let name = format!("{:04}-{:02}", date.year(), date.month());
    Some(Month { name, begins: start(first)?, ends: start(next)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_and_end_in_utc() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let month = Month::of(at("2028-02-29T23:59:59.999Z"));
        let wanted = Month {
            name: "2028-02".to_owned(),
            begins: at("2028-02-01T00:00:00Z"),
            ends: at("2028-03-01T00:00:00Z"),
        };
        assert_eq!(month, wanted);
        assert_eq!(Month::of(month.ends).name, "2028-03");
        assert_eq!(Month::of(at("2026-12-05T00:00:00Z")).ends, at("2027-01-01T00:00:00Z"));
        let never = Timestamp(i64::MAX);
        assert_eq!(Month::of(never).ends, never);
    }
}

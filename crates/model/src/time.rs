//! Points and spans of time as data. Never reads a clock.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time, in milliseconds since 1970 in UTC; written as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// How long ago `earlier` was; zero where it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub_unsigned(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "@{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = String;
    fn from_str(text: &str) -> Result<Timestamp, String> {
        let at: jiff::Timestamp = text
            .parse()
            .map_err(|_| format!("{text:?} is not a time like 2026-11-11T00:00:00Z"))?;
        Ok(Timestamp(at.as_millisecond()))
    }
}

/// A length of time in milliseconds; written as `90s`, `1m30s`, `250ms`, `30d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

/// Understood as Prometheus does, and written in days.
const LONG_UNITS: [(&str, u64); 2] = [("y", 365 * 86_400_000), ("w", 7 * 86_400_000)];
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// So many seconds.
    pub const fn seconds(count: u64) -> Span {
        Span(count.saturating_mul(1_000))
    }

    /// In whole seconds from one second on: for sentences that people read.
    pub const fn rough(self) -> Span {
        if self.0 < 1_000 { self } else { Span(self.0 - self.0 % 1_000) }
    }

    /// For the standard library's timers.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Span, String> {
        let wrong = || format!("{text:?} is not a span of time like 10s, 1m30s or 250ms");
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = &rest[..letters];
            rest = &rest[letters..];
            let known = UNITS.iter().chain(&LONG_UNITS).find(|(name, _)| *name == unit);
            let size = known.map(|(_, size)| *size);
            let size = match size {
                Some(size) => size,
                None if unit.is_empty() && count == 0 => 1,
                None => return Err(wrong()),
            };
            total = count
                .checked_mul(size)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(wrong)?;
        }
        Ok(Span(total))
    }
}

/// A span that may grow between two bounds, written as `1s..1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRange {
    /// The first, shortest span.
    pub from: Span,
    /// The longest.
    pub to: Span,
}

impl fmt::Display for SpanRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl FromStr for SpanRange {
    type Err = String;
    fn from_str(text: &str) -> Result<SpanRange, String> {
        let (from, to) = match text.split_once("..") {
            Some((from, to)) => (from.parse()?, to.parse()?),
            None => (text.parse()?, text.parse()?),
        };
        if from > to {
            return Err(format!("{text:?} ends before it begins; write the shorter span first"));
        }
        Ok(SpanRange { from, to })
    }
}

/// Writes and reads a type as its text, with a pattern for the JSON Schema.
macro_rules! as_text {
    ($($type:ty, $name:literal, $pattern:literal, $what:literal;)+) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                from.deserialize_any(Text)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> { $name.into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schemars::json_schema!({
                    "type": ["string", "number"], "pattern": $pattern, "description": $what
                })
            }
        }
    )+ };
}
pub(crate) use as_text;

as_text! {
    Timestamp, "Timestamp", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T", "a time like 2026-11-11T00:00:00Z";
    Span, "Span", "^([0-9]+(d|h|m|s|ms))+$|^0$", "a span of time like 10s, 1m30s or 250ms";
    SpanRange, "SpanRange", "^[0-9a-z]+(\\.\\.[0-9a-z]+)?$", "two spans of time like 1s..1m";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for text in ["0s", "250ms", "10s", "1m30s", "30d", "1h1ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for bad in ["", "10", "s", "1.5s", "-1s", "1s 2m", "99999999999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?} was taken");
        }
        assert!("1m..1s".parse::<SpanRange>().is_err());
    }

    #[test]
    fn timestamps_are_read_as_they_are_written() {
        let at: Timestamp = "2026-11-11T00:00:00Z".parse().unwrap();
        assert_eq!(at.to_string(), "2026-11-11T00:00:00.000Z");
        assert_eq!(Timestamp(5).since(Timestamp(9)), Span(0));
    }
}

//! Amounts: cpu, memory, portions of a count, and counts in words. Not spans of time, which are in
//! `time.rs`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::as_text;

/// So many of something, in words for people: `1 host`, `3 hosts`. `what` is one of them, and takes
/// an `s` where there are more or none.
pub fn many(count: impl TryInto<u64>, what: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// Processor time in thousandths of a core; written as `500m` or `2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(pub u64);

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(f, "{}", self.0 / 1000)
        } else {
            write!(f, "{}m", self.0)
        }
    }
}

impl FromStr for Cpu {
    type Err = String;
    fn from_str(text: &str) -> Result<Cpu, String> {
        let wrong = || format!("{text:?} is not an amount of cpu like 500m, 2 or 1.5");
        if let Some(milli) = text.strip_suffix('m') {
            return milli.parse().map(Cpu).map_err(|_| wrong());
        }
        let cores: f64 = text.parse().map_err(|_| wrong())?;
        if !(0.0..=1_000_000.0).contains(&cores) {
            return Err(wrong());
        }
        // In range, so the cast keeps the value.
        Ok(Cpu((cores * 1000.0).round() as u64))
    }
}

/// Memory in bytes; written as `256Mi`, `1Gi`, `500M` or a number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory(pub u64);

const MEMORY_UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = MEMORY_UNITS
            .iter()
            .take(4)
            .find(|(_, size)| self.0 != 0 && self.0.is_multiple_of(*size));
        match unit {
            Some((name, size)) => write!(f, "{}{name}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Memory {
    type Err = String;
    fn from_str(text: &str) -> Result<Memory, String> {
        let wrong = || format!("{text:?} is not an amount of memory like 256Mi, 1Gi or 500M");
        let (number, size) = MEMORY_UNITS
            .iter()
            .find_map(|(unit, size)| text.strip_suffix(unit).map(|n| (n, *size)))
            .unwrap_or((text, 1));
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(size).map(Memory).ok_or_else(wrong);
        }
        let part: f64 = number.parse().map_err(|_| wrong())?;
        let bytes = part * size as f64;
        if size == 1 || !(0.0..9e18).contains(&bytes) {
            return Err(wrong());
        }
        // In range, so the cast keeps the value.
        Ok(Memory(bytes.round() as u64))
    }
}

/// A part of some count: so many, or so many percent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    /// That many, however large the whole.
    Count(u32),
    /// Hundredths of a percent of the whole.
    Percent(u32),
}

impl Portion {
    /// A whole number of percent.
    pub const fn percent(percent: u32) -> Portion {
        Portion::Percent(percent * 100)
    }

    /// The portion of `whole`, rounded down.
    pub fn floor_of(self, whole: u32) -> u32 {
        match self {
            Portion::Count(count) => count,
            Portion::Percent(p) => (u64::from(whole) * u64::from(p) / 10_000) as u32,
        }
    }

    /// The portion of `whole`, rounded up.
    pub fn ceil_of(self, whole: u32) -> u32 {
        match self {
            Portion::Count(count) => count,
            Portion::Percent(p) => (u64::from(whole) * u64::from(p)).div_ceil(10_000) as u32,
        }
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Portion::Count(count) => write!(f, "{count}"),
            Portion::Percent(p) if p.is_multiple_of(100) => write!(f, "{}%", p / 100),
            Portion::Percent(p) => write!(f, "{}%", f64::from(*p) / 100.0),
        }
    }
}

impl FromStr for Portion {
    type Err = String;
    fn from_str(text: &str) -> Result<Portion, String> {
        let wrong = || format!("{text:?} is neither a count like 2 nor a percentage like 25%");
        match text.strip_suffix('%') {
            None => text.parse().map(Portion::Count).map_err(|_| wrong()),
            Some(number) => {
                let percent: f64 = number.trim().parse().map_err(|_| wrong())?;
                if !(0.0..=100.0).contains(&percent) {
                    return Err(format!("{text:?} is not between 0% and 100%"));
                }
                Ok(Portion::Percent((percent * 100.0).round() as u32))
            }
        }
    }
}

as_text! {
    Cpu, "Cpu", "^[0-9.]+m?$", "an amount of cpu like 500m, 2 or 1.5";
    Memory, "Memory", "^[0-9.]+(Ti|Gi|Mi|Ki|T|G|M|k)?$", "an amount of memory like 256Mi or 1Gi";
    Portion, "Portion", "^[0-9.]+%?$", "a count like 2 or a percentage like 25%";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_users_write_them() {
        assert_eq!("500m".parse(), Ok(Cpu(500)));
        assert_eq!("1.5".parse(), Ok(Cpu(1500)));
        assert_eq!("256Mi".parse(), Ok(Memory(256 << 20)));
        assert_eq!("1.5Gi".parse(), Ok(Memory(3 << 29)));
        assert_eq!(Memory(3 << 29).to_string(), "1536Mi");
        assert_eq!("25%".parse(), Ok(Portion::percent(25)));
        assert!("101%".parse::<Portion>().is_err());
        assert!("lots".parse::<Memory>().is_err());
        assert!("-1".parse::<Cpu>().is_err());
        assert!("NaN".parse::<Cpu>().is_err());
    }

    #[test]
    fn portions_round_both_ways() {
        assert_eq!(Portion::percent(25).floor_of(3), 0);
        assert_eq!(Portion::percent(25).ceil_of(3), 1);
        assert_eq!(Portion::Count(2).floor_of(100), 2);
    }
}

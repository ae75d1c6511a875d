//! Amounts of money, exact. Not a rate of exchange: amounts of two currencies are never added.

use std::borrow::Cow;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::as_text;

/// Millionths in one unit of a currency.
const UNIT: i64 = 1_000_000;

/// An amount of money in millionths of a unit of its currency; written as `12.50`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub i64);

impl Money {
    /// The amount with two decimals, for people; half a hundredth is rounded away from zero. What
    /// would be told as zero and is not keeps its first two digits: `0.001`, `0.000043`.
    pub fn rounded(self) -> String {
        let size = self.0.unsigned_abs();
        if size == 0 || size >= UNIT.unsigned_abs() / 200 {
            return self.to_decimals(2);
        }
        let text = self.to_decimals((7 - size.ilog10()).min(6));
        text.trim_end_matches('0').to_owned()
    }

    /// The same with four decimals: an hour of something small is less than a hundredth.
    pub fn fine(self) -> String {
        self.to_decimals(4)
    }

    fn to_decimals(self, decimals: u32) -> String {
        let (parts, least) = (10_u128.pow(decimals), u128::from(UNIT.unsigned_abs()));
        let least = least / parts;
        let all = (u128::from(self.0.unsigned_abs()) + least / 2) / least;
        let sign = if self.0 < 0 && all > 0 { "-" } else { "" };
        let width = decimals as usize;
        format!("{sign}{}.{:0width$}", all / parts, all % parts)
    }

    /// So many times as much; at the bounds of the type it stays there.
    #[must_use]
    pub fn times(self, count: u64) -> Money {
        Money(self.0.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(all: I) -> Money {
        all.fold(Money::default(), Money::add)
    }
}

/// Exact, with two decimals at least.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, unit) = (self.0.unsigned_abs(), UNIT.unsigned_abs());
        let mut decimals = format!("{:06}", amount % unit);
        while decimals.len() > 2 && decimals.ends_with('0') {
            decimals.pop();
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{decimals}", amount / unit)
    }
}

impl FromStr for Money {
    type Err = String;
    fn from_str(text: &str) -> Result<Money, String> {
        let wrong = || format!("{text:?} is not an amount of money like 12.50 or 0.000125");
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(part) || part.len() > 6 {
            return Err(wrong());
        }
        let part: i64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
        let whole: Option<i64> = whole.parse().ok();
        let amount = whole.and_then(|w| w.checked_mul(UNIT)).and_then(|w| w.checked_add(part));
        let amount = amount.ok_or_else(|| format!("{text:?} is more than is counted with"))?;
        Ok(Money(if negative { -amount } else { amount }))
    }
}

as_text! {
    Money, "Money", "^-?[0-9]+(\\.[0-9]{1,6})?$", "an amount of money like 12.50";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_as_it_is_written() {
        for text in ["0.00", "12.50", "0.000125", "-3.10", "9000000000000.00"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        assert_eq!("7".parse::<Money>().unwrap(), Money(7_000_000));
        for bad in ["", ".5", "1.", "1e3", "0.0000001", "--1", "1,5", "99999999999999"] {
            assert!(bad.parse::<Money>().is_err(), "{bad:?} was taken");
        }
        let number: Money = serde_json::from_str("0.02").unwrap();
        assert_eq!(number, Money(20_000));
    }

    #[test]
    fn people_see_two_decimals() {
        let cases = [(1_005_000, "1.01"), (1_004_999, "1.00"), (-5_000, "-0.01"), (0, "0.00")];
        for (amount, text) in cases {
            assert_eq!(Money(amount).rounded(), text);
        }
        // Small is not nothing.
        for (amount, text) in [
            (-4_999, "-0.005"),
            (1_000, "0.001"),
            (1_234, "0.0012"),
            (120, "0.00012"),
            (43, "0.000043"),
            (1, "0.000001"),
        ] {
            assert_eq!(Money(amount).rounded(), text);
        }
        assert_eq!(
            (Money(1_250).fine(), Money(12_500_000).fine()),
            ("0.0013".into(), "12.5000".into())
        );
    }
}

//! The price book: what hosts cost, from when until when. Not what anybody pays in the end, which
//! is a bill's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Money;
use super::month::Month;
use crate::Kind;
use crate::name::Invalid;
use crate::object::{Explained, Spec};
use crate::selector::Selector;
use crate::time::Timestamp;

/// What some hosts cost for a time. Each price of a host is the one of the narrowest selector that
/// gives it: the one with most terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Price {
    /// When it begins to hold.
    pub from: Timestamp,
    /// When it holds no more; it has no end, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Three letters, as in ISO 4217: `EUR`.
    pub currency: String,
    /// The hosts it is of, by their labels; all, if absent.
    #[serde(default)]
    pub hosts: Selector,
    /// A whole host for an hour. What is on it pays its share of that, by the other prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_hour: Option<Money>,
    /// A core for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_hour: Option<Money>,
    /// A GiB of memory for an hour.
    #[serde(default, rename = "memoryGiBHour", skip_serializing_if = "Option::is_none")]
    pub memory_hour: Option<Money>,
    /// A GiB of disk for an hour. Nothing on a host asks for disk, so all share it.
    #[serde(default, rename = "diskGiBHour", skip_serializing_if = "Option::is_none")]
    pub disk_hour: Option<Money>,
}

impl Price {
    /// Whether it holds at a time.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether both hold at some time for the same hosts, in the same currency.
    pub fn overlaps(&self, other: &Price) -> bool {
        let before = |a: &Price, b: &Price| a.until.is_some_and(|until| until <= b.from);
        self.currency == other.currency
            && self.hosts == other.hosts
            && !before(self, other)
            && !before(other, self)
    }

    /// Its prices, each with the name of its field.
    pub fn all(&self) -> [(&'static str, Option<Money>); 4] {
        [
            ("hostHour", self.host_hour),
            ("cpuHour", self.cpu_hour),
            ("memoryGiBHour", self.memory_hour),
            ("diskGiBHour", self.disk_hour),
        ]
    }
}

/// Prices have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PriceStatus {}

impl Explained for PriceStatus {}

/// Notes what is wrong with the name of a currency.
pub(super) fn check_currency(invalid: &mut Invalid, path: &str, currency: &str) {
    let plain = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
    invalid.add_if(!plain, path, format!("{currency:?} is not three capital letters like EUR"));
}

/// The highest price of anything for an hour: what a sum over a large fleet leaves exact.
const MOST: Money = Money(1_000_000_000_000);

impl Spec for Price {
    const KIND: Kind = Kind::Price;
    type Status = PriceStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        check_currency(&mut invalid, "currency", &self.currency);
        let backwards = self.until.is_some_and(|until| until <= self.from);
        invalid.add_if(backwards, "until", "is not after from");
        invalid.add_if(Month::of(self.from).name.is_empty(), "from", "is outside the calendar");
        let given = self.all();
        invalid.add_if(
            given.iter().all(|(_, price)| price.is_none()),
            "",
            "gives no price; write hostHour, or cpuHour and memoryGiBHour",
        );
        for (field, price) in given {
            let wrong = price.is_some_and(|price| price.0 < 0 || price > MOST);
            invalid.add_if(wrong, field, format!("is not between 0 and {MOST}"));
        }
        invalid.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Price {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn prices_overlap_for_the_same_hosts_only() {
        let one = price(
            r#"{"from":"2026-01-01T00:00:00Z","until":"2026-07-01T00:00:00Z","currency":"EUR",
                "cpuHour":"0.02"}"#,
        );
        let next = Price { from: one.until.unwrap(), until: None, ..one.clone() };
        assert!(!one.overlaps(&next) && !next.overlaps(&one));
        let early = Price { from: Timestamp(0), ..next.clone() };
        assert!(early.overlaps(&one) && early.overlaps(&next));
        let big = Price { hosts: "size=big".parse().unwrap(), ..early.clone() };
        assert!(!big.overlaps(&one));
        assert!(!Price { currency: "USD".to_owned(), ..early }.overlaps(&one));
        assert!(one.holds(one.from) && !one.holds(next.from) && next.holds(next.from));
    }

    #[test]
    fn a_price_is_not_less_than_nothing() {
        for (text, at) in [
            (r#"{"from":"2026-01-01T00:00:00Z","currency":"EUR"}"#, ""),
            (r#"{"from":"2026-01-01T00:00:00Z","currency":"euro","cpuHour":1}"#, "currency"),
            (r#"{"from":"2026-01-01T00:00:00Z","currency":"EUR","cpuHour":-1}"#, "cpuHour"),
        ] {
            let Err(Invalid(said)) = price(text).validate() else { panic!("{text} was taken") };
            assert_eq!(said[0].path, at);
        }
    }
}

//! Prefixes of addresses: `10.0.0.0/24`, `fd00::/64`. Arithmetic only; who has which is
//! `network.rs`.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A prefix of IPv4 or IPv6 addresses, written with its first address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    six: bool,
    first: u128,
    length: u8,
}

impl Prefix {
    /// The prefix an address is in, given its length in bits; none, where it is too long.
    pub fn around(address: IpAddr, length: u8) -> Option<Prefix> {
        let (six, number) = number(address);
        let bits = if six { 128 } else { 32 };
        (length <= bits).then(|| Prefix { six, first: number & !low_bits(bits - length), length })
    }

    /// How many bits all its addresses share.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether it is of IPv6.
    pub fn is_six(&self) -> bool {
        self.six
    }

    /// Its first address.
    pub fn first(&self) -> IpAddr {
        address(self.six, self.first)
    }

    /// Its last address.
    pub fn last(&self) -> IpAddr {
        address(self.six, self.end())
    }

    /// How many addresses there are; the most there can be, where that is more than a number holds.
    pub fn size(&self) -> u128 {
        low_bits(self.bits() - self.length).saturating_add(1)
    }

    /// Whether an address is in it.
    pub fn contains(&self, of: IpAddr) -> bool {
        let (six, number) = number(of);
        six == self.six && (self.first..=self.end()).contains(&number)
    }

    /// Whether all of another are in it.
    pub fn covers(&self, other: &Prefix) -> bool {
        self.six == other.six && self.first <= other.first && other.end() <= self.end()
    }

    /// Whether they share an address.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Its addresses, one after another.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let six = self.six;
        (self.first..=self.end()).map(move |number| address(six, number))
    }

    /// The first prefix of this length within it that shares no address with any of `taken`.
    pub fn free_prefix(&self, length: u8, taken: &[Prefix]) -> Option<Prefix> {
        if length < self.length || length > self.bits() {
            return None;
        }
        let step = low_bits(self.bits() - length);
        let mut first = self.first;
        loop {
            let candidate = Prefix { six: self.six, first, length };
            let Some(in_the_way) = taken.iter().find(|other| other.overlaps(&candidate)) else {
                return Some(candidate);
            };
            // Goes on behind whatever is in the way.
            let behind = in_the_way.end().max(candidate.end());
            let next = behind.checked_add(1)?;
            first = next.checked_add(step)? & !step;
            if first.checked_add(step)? > self.end() {
                return None;
            }
        }
    }

    fn bits(&self) -> u8 {
        if self.six { 128 } else { 32 }
    }

    fn end(&self) -> u128 {
        self.first | low_bits(self.bits() - self.length)
    }
}

fn low_bits(count: u8) -> u128 {
    1u128.checked_shl(u32::from(count)).map_or(u128::MAX, |bit| bit - 1)
}

fn number(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(four) => (false, u128::from(four.to_bits())),
        IpAddr::V6(six) => (true, six.to_bits()),
    }
}

fn address(six: bool, number: u128) -> IpAddr {
    match six {
        true => IpAddr::V6(Ipv6Addr::from_bits(number)),
        false => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.length)
    }
}

impl FromStr for Prefix {
    type Err = String;
    fn from_str(text: &str) -> Result<Prefix, String> {
        let wrong = || format!("{text:?} is no prefix; write it like 10.0.0.0/24");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let length: u8 = length.parse().map_err(|_| wrong())?;
        let prefix = Prefix::around(address, length).ok_or_else(wrong)?;
        if prefix.first() == address {
            return Ok(prefix);
        }
        Err(format!("{text:?} does not begin at its first address; write {prefix}"))
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Prefix, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Prefix {
    fn schema_name() -> Cow<'static, str> {
        "Prefix".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "a prefix of addresses, like 10.0.0.0/24"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_are_read_and_written() {
        for text in ["10.0.0.0/24", "0.0.0.0/0", "10.1.2.3/32", "fd00::/64", "::/0"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/1", "fd00::/129", "10.0.0.0/-1", ""] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad} was taken");
        }
        let said = "10.0.0.7/24".parse::<Prefix>().unwrap_err();
        assert!(said.ends_with("write 10.0.0.0/24"), "{said}");
        assert_eq!(prefix("::/0").size(), u128::MAX);
        assert_eq!(prefix("10.0.0.0/24").last().to_string(), "10.0.0.255");
    }

    #[test]
    fn what_overlaps_does_so_both_ways() {
        let (wide, narrow) = (prefix("10.0.0.0/16"), prefix("10.0.3.0/24"));
        assert!(wide.overlaps(&narrow) && narrow.overlaps(&wide) && wide.covers(&narrow));
        assert!(!narrow.covers(&wide) && !narrow.overlaps(&prefix("10.0.4.0/24")));
        assert!(!prefix("0.0.0.0/0").overlaps(&prefix("::/0")));
    }

    #[test]
    fn the_next_free_is_found() {
        let all: Vec<String> = prefix("10.0.0.4/31").addresses().map(|a| a.to_string()).collect();
        assert_eq!(all, ["10.0.0.4", "10.0.0.5"]);
        let taken = [prefix("10.0.0.0/26"), prefix("10.0.0.128/25")];
        let free = prefix("10.0.0.0/24").free_prefix(26, &taken).unwrap();
        assert_eq!(free.to_string(), "10.0.0.64/26");
        assert_eq!(prefix("10.0.0.0/24").free_prefix(25, &taken), None);
        assert_eq!(prefix("10.0.0.0/24").free_prefix(23, &taken), None);
        assert_eq!(prefix("0.0.0.0/0").free_prefix(0, &[]).unwrap(), prefix("0.0.0.0/0"));
        assert_eq!(prefix("255.255.255.0/24").free_prefix(25, &[prefix("255.255.255.0/24")]), None);
    }
}

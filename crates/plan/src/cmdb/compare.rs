//! Whether a value is as somebody wants it: numbers, amounts like `8Gi`, versions and words are
//! each compared as people mean them. No paths, no language.

use std::borrow::Cow;
use std::cmp::Ordering;

use atoll_model::{Cpu, Memory};
use serde_json::Value;

use atoll_model::cmdb::item::plain;

/// What is compared: a value, or a text that stands in none. Very many may be, so that no value is
/// made of a text for that.
#[derive(Clone, Copy, Debug)]
enum Said<'a> {
    Text(&'a str),
    Other(&'a Value),
}

impl<'a> From<&'a Value> for Said<'a> {
    fn from(value: &'a Value) -> Said<'a> {
        match value {
            Value::String(text) => Said::Text(text),
            other => Said::Other(other),
        }
    }
}

impl Said<'_> {
    fn is_array(self) -> bool {
        matches!(self, Said::Other(Value::Array(_)))
    }

    fn is_null(self) -> bool {
        matches!(self, Said::Other(Value::Null))
    }

    fn is_number(self) -> bool {
        matches!(self, Said::Other(Value::Number(_)))
    }

    fn is(self, other: Said) -> bool {
        match (self, other) {
            (Said::Text(a), Said::Text(b)) => a == b,
            (Said::Other(a), Said::Other(b)) => a == b,
            _ => false,
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Is,
    /// Not the same.
    IsNot,
    /// Less.
    Less,
    /// Less, or the same.
    AtMost,
    /// More.
    More,
    /// More, or the same.
    AtLeast,
    /// As a text with `*` for anything; without one, somewhere within.
    Like,
}

impl Comparison {
    /// Those that are written with two characters stand before those with one.
    pub const WRITTEN: [(&'static str, Comparison); 8] = [
        ("!=", Comparison::IsNot),
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("==", Comparison::Is),
        ("=", Comparison::Is),
        ("<", Comparison::Less),
        (">", Comparison::More),
        ("~", Comparison::Like),
    ];

    /// Whether a value is so. A list is, where one of its members is.
    pub fn holds(self, value: &Value, wanted: &Value) -> bool {
        self.is_so(value.into(), wanted.into())
    }

    /// Whether a text is so.
    pub fn holds_text(self, text: &str, wanted: &Value) -> bool {
        self.is_so(Said::Text(text), wanted.into())
    }

    fn is_so(self, value: Said, wanted: Said) -> bool {
        if let (Said::Other(Value::Array(all)), false) = (value, wanted.is_array()) {
            return match self {
                Comparison::IsNot => all.iter().all(|one| self.is_so(one.into(), wanted)),
                _ => all.iter().any(|one| self.is_so(one.into(), wanted)),
            };
        }
        match self {
            Comparison::Is => same(value, wanted),
            Comparison::IsNot => !same(value, wanted),
            Comparison::Like => like(&typed(value), &typed(wanted)),
            Comparison::Less => order(value, wanted) == Some(Ordering::Less),
            Comparison::More => order(value, wanted) == Some(Ordering::Greater),
            Comparison::AtMost => order(value, wanted).is_some_and(Ordering::is_le),
            Comparison::AtLeast => order(value, wanted).is_some_and(Ordering::is_ge),
        }
    }
}

/// Whether what is, is what should be. What should be may be a condition: `>= 16Gi`, `~ debian*`.
pub fn satisfies(is: &Value, should: &Value) -> bool {
    if let Value::String(text) = should {
        let written = Comparison::WRITTEN.iter();
        let found = written.filter_map(|(sign, how)| Some((how, text.strip_prefix(sign)?))).next();
        if let Some((how, rest)) = found {
            return how.holds(is, &Value::from(rest.trim()));
        }
    }
    if should.is_array() || should.is_object() {
        return is == should;
    }
    Comparison::Is.holds(is, should)
}

fn same(value: Said, wanted: Said) -> bool {
    if value.is(wanted) {
        return true;
    }
    if value.is_array() || wanted.is_array() {
        return false;
    }
    match (number(value), number(wanted)) {
        (Some(a), Some(b)) if value.is_number() || wanted.is_number() || has_unit(wanted) => {
            (a - b).abs() <= f64::EPSILON * a.abs().max(b.abs())
        }
        _ => {
            let (value, wanted) = (typed(value), typed(wanted));
            // A hardware address is one, however it is written: it has 12, 14 or 17 characters.
            let address = |text: &str| matches!(text.len(), 12 | 14 | 17);
            value.eq_ignore_ascii_case(&wanted)
                || address(&value) && address(&wanted) && plain(&value) == plain(&wanted)
        }
    }
}

fn has_unit(value: Said) -> bool {
    matches!(value, Said::Text(text) if text.ends_with(|c: char| c.is_ascii_alphabetic()))
}

fn order(value: Said, wanted: Said) -> Option<Ordering> {
    if value.is_null() || wanted.is_null() {
        return None;
    }
    match (number(value), number(wanted)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        // A word is neither more nor less than a number.
        (Some(_), None) if !begins(wanted) => None,
        (None, Some(_)) if !begins(value) => None,
        // A version is no number, and `10` is more than `9` in one too.
        _ => Some(natural(&typed(value), &typed(wanted))),
    }
}

/// A number, or an amount with its unit.
fn number(value: Said) -> Option<f64> {
    match value {
        Said::Other(Value::Number(number)) => number.as_f64(),
        // Most texts are none, and to find that out three times takes long.
        Said::Text(text) if !begins_a_number(text) => None,
        Said::Text(text) => {
            let plain = text.parse::<f64>().ok().filter(|n| n.is_finite());
            let memory = || text.parse::<Memory>().ok().map(|m| m.0 as f64);
            let cpu = || text.parse::<Cpu>().ok().map(|c| c.0 as f64 / 1000.0);
            plain.or_else(memory).or_else(cpu)
        }
        Said::Other(_) => None,
    }
}

fn begins(value: Said) -> bool {
    matches!(value, Said::Text(text) if begins_a_number(text))
}

fn begins_a_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
}

/// A value as it is typed.
pub fn text(value: &Value) -> String {
    typed(value.into()).into_owned()
}

fn typed(value: Said<'_>) -> Cow<'_, str> {
    match value {
        Said::Text(text) => Cow::Borrowed(text),
        Said::Other(other) => Cow::Owned(other.to_string()),
    }
}

/// Compares numbers in texts as numbers: `6.1.9` comes before `6.1.10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b) = (pieces(a), pieces(b));
    for (left, right) in a.iter().zip(&b) {
        let order = match (left.parse::<u128>(), right.parse::<u128>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left.cmp(right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Runs of digits and runs of anything else.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces
}

/// In lower case; most texts are.
fn lower(text: &str) -> Cow<'_, str> {
    let is_lower = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

/// Whether a text is like a pattern, whatever its case.
fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (lower(text), lower(pattern));
    if !pattern.contains('*') {
        return text.contains(&*pattern);
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let middle: Vec<&str> = parts.collect();
    let Some((last, middle)) = middle.split_last() else { return true };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hardware_address_is_one_however_it_is_written() {
        let is = Value::from("aa:bb:cc:dd:ee:01");
        assert!(satisfies(&is, &"AA-BB-CC-DD-EE-01".into()));
        assert!(satisfies(&is, &"aabb.ccdd.ee01".into()));
        assert!(!satisfies(&is, &"AA-BB-CC-DD-EE-02".into()));
    }

    #[test]
    fn values_are_compared_as_people_mean_them() {
        let (is, more, like) = (Comparison::Is, Comparison::More, Comparison::Like);
        assert!(is.holds(&json!("Debian"), &json!("debian")));
        assert!(is.holds(&json!(12), &json!("12")) && is.holds(&json!("1Gi"), &json!("1024Mi")));
        assert!(!is.holds(&json!("12"), &json!("12.0")), "versions are words");
        assert!(more.holds(&json!("16Gi"), &json!("8Gi")) && more.holds(&json!(2), &json!("500m")));
        assert!(more.holds(&json!("6.1.10-2"), &json!("6.1.9-18")));
        for (value, wanted) in [("many", "3"), ("3", "many"), ("true", "0.5")] {
            let (value, wanted) = (json!(value), json!(wanted));
            assert!(!more.holds(&value, &wanted) && !Comparison::Less.holds(&value, &wanted));
        }
        assert!(more.holds(&json!("12.0.1"), &json!("9")) && more.holds(&json!("b"), &json!("a")));
        assert!(!more.holds(&json!(null), &json!(1)) && !more.holds(&json!("1Gi"), &json!("2Gi")));
        assert!(
            like.holds(&json!("web-12"), &json!("web-*")) && like.holds(&json!("web"), &json!("E"))
        );
        assert!(
            !like.holds(&json!("web-12"), &json!("*13"))
                && like.holds(&json!("abc"), &json!("a*c"))
        );
        assert!(is.holds(&json!(["a", "b"]), &json!("b")));
        assert!(!Comparison::IsNot.holds(&json!(["a", "b"]), &json!("b")));
        assert!(is.holds(&json!(true), &json!("true")));
    }

    #[test]
    fn what_should_be_may_be_a_condition() {
        assert!(satisfies(&json!("16Gi"), &json!(">= 15Gi")));
        assert!(!satisfies(&json!("14Gi"), &json!(">= 15Gi")));
        assert!(satisfies(&json!("debian"), &json!("~deb*")));
        assert!(satisfies(&json!([1, 2]), &json!([1, 2])) && !satisfies(&json!([1]), &json!([2])));
        assert!(satisfies(&json!("12"), &json!("12")) && !satisfies(&json!("11"), &json!("12")));
    }
}

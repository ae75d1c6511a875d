//! Label selectors in the field's usual language: `a=b, c!=d, e in (f, g), h notin (i), j, !k`.
//! Not a filter over specs or statuses.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::as_text;

/// A conjunction of terms over labels. The empty selector selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(pub Vec<Term>);

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// The label is one of these.
    In(String, Vec<String>),
    /// The label is none of these, or is absent.
    NotIn(String, Vec<String>),
    /// There is such a label.
    Has(String),
    /// There is none.
    Lacks(String),
}

impl Selector {
    /// That of one label with one value.
    pub fn one(key: &str, value: &str) -> Selector {
        Selector(vec![Term::In(key.to_owned(), vec![value.to_owned()])])
    }

    /// Whether it says nothing, and so selects all.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these labels are selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|term| match term {
            Term::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Term::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
            Term::Has(key) => labels.contains_key(key),
            Term::Lacks(key) => !labels.contains_key(key),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match term {
                Term::In(key, values) if values.len() == 1 => write!(f, "{key}={}", values[0])?,
                Term::NotIn(key, values) if values.len() == 1 => write!(f, "{key}!={}", values[0])?,
                Term::In(key, values) => write!(f, "{key} in ({})", values.join(", "))?,
                Term::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(", "))?,
                Term::Has(key) => f.write_str(key)?,
                Term::Lacks(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Selector {
    type Err = String;
    fn from_str(text: &str) -> Result<Selector, String> {
        split_terms(text)?.into_iter().map(parse_term).collect::<Result<_, _>>().map(Selector)
    }
}

/// Splits at commas outside brackets.
fn split_terms(text: &str) -> Result<Vec<&str>, String> {
    let (mut terms, mut start, mut open) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' if !open => open = true,
            ')' if open => open = false,
            '(' | ')' => return Err(format!("brackets of selector {text:?} do not match")),
            ',' if !open => {
                terms.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if open {
        return Err(format!("brackets of selector {text:?} do not match"));
    }
    terms.push(text[start..].trim());
    if terms.len() == 1 && terms[0].is_empty() {
        terms.clear();
    }
    Ok(terms)
}

fn parse_term(term: &str) -> Result<Term, String> {
    let wrong = || {
        format!("{term:?} is not a condition like zone=a, zone!=a, zone in (a, b), zone or !zone")
    };
    let word = |w: &str| {
        let w = w.trim();
        let good = !w.is_empty()
            && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:@+".contains(&b));
        if good { Ok(w.to_owned()) } else { Err(wrong()) }
    };
    if let Some(list) = term.strip_suffix(')') {
        let (head, list) = list.split_once('(').ok_or_else(wrong)?;
        let values = list.split(',').map(word).collect::<Result<Vec<_>, _>>()?;
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
        return match operator {
            "in" => Ok(Term::In(word(key)?, values)),
            "notin" => Ok(Term::NotIn(word(key)?, values)),
            _ => Err(wrong()),
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(Term::NotIn(word(key)?, vec![word(value)?]));
    }
    if let Some((key, value)) = term.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return Ok(Term::In(word(key)?, vec![word(value)?]));
    }
    match term.strip_prefix('!') {
        Some(key) => Ok(Term::Lacks(word(key)?)),
        None => Ok(Term::Has(word(term)?)),
    }
}

as_text! {
    Selector, "Selector", "", "a label selector like zone in (a, b), tier=core";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select() {
        let labels: BTreeMap<String, String> =
            [("zone".into(), "a".into()), ("tier".into(), "core".into())].into();
        let yes = ["", "zone=a", "zone==a", "zone in (a, b),tier", "zone!=b", "!x", "x notin (y)"];
        for text in yes {
            let selector: Selector = text.parse().unwrap();
            assert!(selector.matches(&labels), "{text}");
            assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
        }
        for text in ["zone=b", "!zone", "x", "zone notin (a, b)"] {
            assert!(!text.parse::<Selector>().unwrap().matches(&labels), "{text}");
        }
        for text in ["zone in (a", "=", "zone in a)", ",", "a=b=c d", "zone on (a)"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}

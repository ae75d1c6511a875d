//! The labels that name a series, and matchers that select by them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The label that holds the name of a metric.
pub const METRIC_NAME: &str = "__name__";

/// The labels of a series: pairs sorted by name, no name twice, no empty value. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// Sorts; the last of pairs of one name wins, and an empty value is the same as no label.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Labels {
        let mut all: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        // Stable, so that of one name the last stays last.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(all.len());
        for pair in all {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, value)| !value.is_empty());
        Labels(kept.into())
    }

    /// The value of a label; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.binary_search_by(|(n, _)| n.as_ref().cmp(name));
        found.map_or("", |at| &self.0[at].1)
    }

    /// The name of the metric; empty where there is none.
    pub fn metric(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// Name and value of each, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The same as shared text, for building others without copying.
    pub fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose name is kept by `keep`.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Labels {
        Labels(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// The same with one label set, or taken away by an empty value.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let others = self.0.iter().filter(|(n, _)| n.as_ref() != name).cloned();
        Labels::new(others.chain([(Arc::from(name), Arc::from(value))]))
    }

    /// Whether all matchers match.
    pub fn match_all(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().all(|matcher| matcher.matches(self.get(&matcher.name)))
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// By the first difference of name, then value; a prefix comes first. As Prometheus compares.
    fn cmp(&self, other: &Labels) -> Ordering {
        // Most texts are shared by the series of a store.
        let text = |a: &Arc<str>, b: &Arc<str>| match Arc::ptr_eq(a, b) {
            true => Ordering::Equal,
            false => a.cmp(b),
        };
        let pairs = self.0.iter().zip(other.0.iter());
        let mut each = pairs.map(|(a, b)| text(&a.0, &b.0).then_with(|| text(&a.1, &b.1)));
        each.find(|order| order.is_ne()).unwrap_or_else(|| self.len().cmp(&other.len()))
    }
}

impl fmt::Display for Labels {
    /// As Prometheus writes a series: `name{label="value"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric())?;
        let rest: Vec<(&str, &str)> = self.iter().filter(|(n, _)| *n != METRIC_NAME).collect();
        if rest.is_empty() && !self.metric().is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in rest.into_iter().enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// How a matcher compares.
#[derive(Clone, Debug)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the whole value matches.
    Regex(regex::Regex),
    /// `!~`: the whole value does not match.
    NotRegex(regex::Regex),
}

/// Selects series by one label; a series without the label has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// What it is compared with; the text of the expression for `=~` and `!~`.
    pub value: String,
    /// How.
    pub operator: Operator,
}

impl Matcher {
    /// `name="value"`.
    pub fn equal(name: &str, value: &str) -> Matcher {
        Matcher { name: name.to_owned(), value: value.to_owned(), operator: Operator::Equal }
    }

    /// `name!="value"`.
    pub fn not_equal(name: &str, value: &str) -> Matcher {
        Matcher { operator: Operator::NotEqual, ..Matcher::equal(name, value) }
    }

    /// `name=~"expression"`, anchored at both ends as Prometheus does.
    ///
    /// # Errors
    /// What is wrong with the expression, or that it is too large.
    pub fn regex(name: &str, expression: &str) -> Result<Matcher, String> {
        Ok(Matcher {
            operator: Operator::Regex(anchored(expression)?),
            ..Matcher::equal(name, expression)
        })
    }

    /// `name!~"expression"`, anchored at both ends.
    ///
    /// # Errors
    /// What is wrong with the expression, or that it is too large.
    pub fn not_regex(name: &str, expression: &str) -> Result<Matcher, String> {
        Ok(Matcher {
            operator: Operator::NotRegex(anchored(expression)?),
            ..Matcher::equal(name, expression)
        })
    }

    /// Whether a value matches.
    pub fn matches(&self, value: &str) -> bool {
        match &self.operator {
            Operator::Equal => value == self.value,
            Operator::NotEqual => value != self.value,
            Operator::Regex(regex) => regex.is_match(value),
            Operator::NotRegex(regex) => !regex.is_match(value),
        }
    }

    /// Whether a series without the label matches.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

fn anchored(expression: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(&format!("^(?s:{expression})$"))
        .size_limit(1 << 20)
        .build()
        .map_err(|e| format!("{expression:?} is not a regular expression: {e}"))
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Regex(_) => "=~",
            Operator::NotRegex(_) => "!~",
        };
        write!(f, "{}{operator}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_the_last_of_a_name_wins() {
        let labels = Labels::new([("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        assert_eq!(labels.with("a", "").with("__name__", "up").to_string(), "up{b=\"3\"}");
        assert_eq!(Labels::default().to_string(), "{}");
    }

    #[test]
    fn expressions_match_the_whole_value() {
        let matcher = Matcher::regex("a", "x|yy").unwrap();
        assert!(matcher.matches("x") && matcher.matches("yy"));
        assert!(!matcher.matches("xx") && !matcher.matches("ayy") && !matcher.matches_empty());
        assert!(Matcher::not_regex("a", "x.+").unwrap().matches("x"));
        assert!(Matcher::regex("a", "(").is_err());
    }
}

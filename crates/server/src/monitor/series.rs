//! The series one look at a target gives, and those the look before gave: what is gone is marked
//! as ended. Labels a target claims for itself that are ours are moved aside.

use std::borrow::Cow;
use std::collections::HashSet;

use atoll_metrics::Sample;
use atoll_metrics::exposition::{Format, Limits, ParseError, Parsed, parse};
use atoll_metrics::labels::METRIC_NAME;
use atoll_model::Timestamp;

use crate::metrics::write::Intake;

/// What lies so many milliseconds ahead of our clock is left out.
const AHEAD: i64 = 10 * 60 * 1000;
/// Stands between names and values; no text in UTF-8 holds it.
const BETWEEN: u8 = 0xff;
/// Put before a label of a target that is ours.
const ASIDE: &str = "exported_";

/// The labels of a series in one piece, sorted by name: 50,000 of them are kept for each target.
type Key = Box<[u8]>;

/// The series a target had last.
#[derive(Debug, Default)]
pub(super) struct Series(HashSet<Key>);

/// The rows of one look.
#[derive(Debug)]
pub(super) struct Rows {
    own: Vec<(String, String)>,
    at: Timestamp,
    rows: Vec<Row>,
    /// How many were left out because of their time.
    pub(super) ahead: usize,
}

#[derive(Debug)]
struct Row {
    key: Key,
    value: f64,
    /// The time the target gives; such a series is not marked as ended, as its end is told by it.
    at: Option<i64>,
}

impl Rows {
    /// None yet; `own` are the labels each gets, `at` is when the look began.
    pub(super) fn new(own: &[(String, String)], at: Timestamp) -> Rows {
        Rows { own: own.to_vec(), at, rows: Vec::new(), ahead: 0 }
    }

    /// Adds a figure of our own.
    pub(super) fn figure(&mut self, name: &str, value: f64) {
        let all = self.own.iter().map(|(n, v)| (Cow::Borrowed(n.as_str()), v.as_str()));
        let key = key(all.chain([(METRIC_NAME.into(), name)]).collect());
        self.rows.push(Row { key, value, at: None });
    }

    /// Adds what a text exposes; nothing of it, if a line is wrong.
    pub(super) fn text(&mut self, text: &str, format: Format) -> Result<Parsed, ParseError> {
        let before = self.rows.len();
        let latest = self.at.0.saturating_add(AHEAD);
        let (own, rows, ahead) = (&self.own, &mut self.rows, &mut self.ahead);
        let parsed = parse(text, format, &Limits::default(), |row| {
            if row.at.is_some_and(|at| at > latest) {
                *ahead += 1;
                return;
            }
            rows.push(Row { key: relabelled(row.labels, own), value: row.value, at: row.at });
        });
        if parsed.is_err() {
            self.rows.truncate(before);
        }
        parsed
    }

    /// Hands all in, with an end to each series of `before` that is not among them; gives those
    /// there are now.
    pub(super) fn append(&self, before: &Series, intake: &mut Intake) -> Series {
        let mut now = Series::default();
        for row in &self.rows {
            let at = row.at.unwrap_or(self.at.0);
            intake.add(&labels(&row.key), &[Sample { at, value: row.value }]);
            if row.at.is_none() {
                now.0.insert(row.key.clone());
            }
        }
        for gone in before.0.difference(&now.0) {
            intake.end(&labels(gone), self.at);
        }
        now
    }
}

impl Series {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Marks all as ended.
    pub(super) fn end(&self, intake: &mut Intake, at: Timestamp) {
        for key in &self.0 {
            intake.end(&labels(key), at);
        }
    }
}

fn key(mut all: Vec<(Cow<str>, &str)>) -> Key {
    all.sort_unstable();
    let mut bytes = Vec::with_capacity(all.iter().map(|(n, v)| n.len() + v.len() + 2).sum());
    for (name, value) in &all {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(BETWEEN);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(BETWEEN);
    }
    bytes.into()
}

fn labels(key: &[u8]) -> Vec<(&str, &str)> {
    let text = |part| std::str::from_utf8(part).unwrap_or_default();
    let mut parts = key.split(|byte| *byte == BETWEEN).map(text);
    let mut all = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        all.push((name, value));
    }
    all
}

/// A target's labels with ours; its own of the same name are kept as `exported_NAME`.
fn relabelled(theirs: &[(&str, &str)], own: &[(String, String)]) -> Key {
    let is_own = |name: &str| own.iter().any(|(n, _)| n == name);
    let mut all: Vec<(Cow<str>, &str)> =
        own.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), value.as_str())).collect();
    for (name, value) in theirs {
        let mut name = Cow::Borrowed(*name);
        if is_own(&name) {
            name = Cow::Owned(format!("{ASIDE}{name}"));
            while is_own(&name) || theirs.iter().any(|(n, _)| *n == name) {
                name = Cow::Owned(format!("{ASIDE}{name}"));
            }
        }
        all.push((name, value));
    }
    key(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Vec<(String, String)> {
        [("instance", "i"), ("job", "m")].map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec()
    }

    fn shown(rows: &Rows) -> Vec<String> {
        let text = |(n, v)| format!("{n}={v}");
        let all = rows.rows.iter();
        all.map(|row| labels(&row.key).into_iter().map(text).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn labels_that_are_ours_are_moved_aside() {
        let mut rows = Rows::new(&own(), Timestamp(0));
        let text = "a{job=\"x\",exported_job=\"y\",z=\"1\"} 1\n";
        rows.text(text, Format::Prometheus).unwrap();
        let wanted = "__name__=a exported_exported_job=x exported_job=y instance=i job=m z=1";
        assert_eq!(shown(&rows), [wanted]);
    }

    #[test]
    fn times_are_taken_but_not_those_far_ahead() {
        let mut rows = Rows::new(&own(), Timestamp(1_000_000));
        let text = "a 1 5000\nb 2 1600000\nc 3 1600001\nd 4 86400000000\n";
        let parsed = rows.text(text, Format::Prometheus).unwrap();
        assert_eq!((parsed.rows, rows.rows.len(), rows.ahead), (4, 2, 2));
        assert_eq!(rows.rows[0].at, Some(5000));
    }

    #[test]
    fn nothing_of_a_wrong_text_is_kept() {
        let mut rows = Rows::new(&own(), Timestamp(0));
        rows.figure("up", 0.0);
        assert!(rows.text("a 1\nb{ 2\n", Format::Prometheus).is_err());
        let long = format!("a{{b=\"{}\"}} 1\n", "x".repeat(1 << 20));
        assert!(rows.text(&long, Format::Prometheus).is_err());
        assert_eq!(shown(&rows), ["__name__=up instance=i job=m"]);
    }
}

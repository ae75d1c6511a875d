//! The text of alerts: the part of Go's templates that rule files use. What is not known here is
//! left as it is written and said; nothing fails. Not the text of messages, which the server
//! writes.
//!
//! The rules are those of <https://pkg.go.dev/text/template> and, for what Prometheus adds, of
//! <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>. Where they
//! make a text fail, the action stays as it is written, and so does a block whose head does.
//!
//! **Invariant:** a text takes bounded time, memory and stack, whatever is written in it.

use std::collections::BTreeMap;

use super::number;

mod evaluate;
mod function;
mod parse;
mod pattern;
mod piece;
mod pipeline;
mod print;
mod text;
mod time;
mod value;
mod word;

/// The most bytes of a text, before and after it is filled in, and of each value in it.
const LONGEST: usize = 64 * 1024;
/// The most blocks, or parentheses, inside each other.
const DEEPEST: usize = 32;
/// The most steps of a text. One is about a value, or 16 bytes that are written.
const MOST_STEPS: usize = 100_000;
/// The most bytes of what is said of a text.
const LONGEST_SAID: usize = 200;

/// What is filled in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The labels of the series.
    pub labels: &'a BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Why a part of a text is not filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    /// It is not understood, or Go would not do it.
    Unclear,
    /// It needs a number and there is empty text, as where a label is missing. It is understood.
    Missing,
    /// A bound is reached, so the whole text stays as it is written.
    TooMuch,
}

/// Whether a text holds anything to be filled in.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Fills in a text; what is not understood stays and is returned as well.
pub(crate) fn expand(text: &str, facts: Facts) -> (String, Option<String>) {
    if !is_template(text) {
        return (text.to_owned(), None);
    }
    let filled = || {
        if text.len() > LONGEST {
            return Err(Wrong::TooMuch);
        }
        let (nodes, unclear) = parse::parse(text)?;
        let (said, unclear_now) = evaluate::evaluate(&nodes, facts)?;
        Ok((said, unclear.or(unclear_now).map(shortened)))
    };
    filled().unwrap_or_else(|_: Wrong| (text.to_owned(), Some(shortened(text))))
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_SAID {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST_SAID);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;

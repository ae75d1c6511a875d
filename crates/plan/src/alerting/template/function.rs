//! What functions do with values. Not how they are called, which is `evaluate.rs`.
//!
//! The rules are those of <https://pkg.go.dev/text/template#hdr-Functions> and of
//! <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>. A value of
//! another kind than Go asks for is an error there, and not understood here.

use std::rc::Rc;

use super::number::{duration, humanized, significant};
use super::value::{Value, equal, label, less};
use super::{Wrong, pattern, print, text, time};

/// The names of all functions. `query` and what leads to a page of Prometheus are not among them.
const NAMES: [&str; 33] = [
    "and",
    "eq",
    "first",
    "ge",
    "gt",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "or",
    "parseDuration",
    "print",
    "printf",
    "println",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "title",
    "toLower",
    "toUpper",
    "value",
];

pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The steps of a call.
pub(super) fn cost(function: &str, values: &[Value]) -> usize {
    let size = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Labels(labels) => 64 * labels.len(),
        Value::Results(results) => 64 * results.len(),
        _ => 16,
    };
    let bytes: usize = values.iter().map(size).sum();
    match function {
        "match" | "reReplaceAll" => 1000 + bytes,
        _ => 1 + bytes / 16,
    }
}

/// The value of a function; a piped value is the last argument.
pub(super) fn call<'a>(function: &str, values: &[Value<'a>]) -> Result<Value<'a>, Wrong> {
    let said = match (function, values) {
        ("humanize", [value]) => humanized(value.number()?, 1000.0),
        ("humanize1024", [value]) => humanized(value.number()?, 1024.0),
        ("humanizePercentage", [value]) => {
            format!("{}%", significant(value.number()? * 100.0, 4))
        }
        ("humanizeDuration", [value]) => duration(value.number()?),
        ("humanizeTimestamp", [value]) => time::timestamp(value.number()?)?,
        ("parseDuration", [Value::Text(text)]) => {
            return time::seconds(text).map(Value::Number);
        }
        ("print", values) => print::print(values)?,
        ("println", values) => print::println(values)?,
        ("printf", [Value::Text(format), values @ ..]) => print::printf(format, values)?,
        ("match", [Value::Text(pattern), Value::Text(text)]) => {
            return pattern::matches(pattern, text).map(Value::Truth);
        }
        ("reReplaceAll", [Value::Text(pattern), Value::Text(by), Value::Text(text)]) => {
            pattern::replaced(pattern, by, text)?
        }
        ("title", [Value::Text(text)]) => text::title(text),
        ("toUpper", [Value::Text(text)]) => text.chars().map(text::upper).collect(),
        ("toLower", [Value::Text(text)]) => text.chars().map(text::lower).collect(),
        ("stripPort", [Value::Text(text)]) => text::strip_port(text).to_owned(),
        ("stripDomain", [Value::Text(text)]) => text::strip_domain(text),
        ("safeHtml", [Value::Text(text)]) => return Ok(Value::Text(Rc::clone(text))),
        _ => return logic(function, values).or_else(|_| of_results(function, values)),
    };
    Ok(Value::of(said))
}

fn logic<'a>(function: &str, values: &[Value<'a>]) -> Result<Value<'a>, Wrong> {
    let truth = match (function, values) {
        // Whatever decides has been found before; the last value is left.
        ("and" | "or", [.., last]) => return Ok(last.clone()),
        ("not", [value]) => !value.is_true(),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            for other in others {
                if equal(first, other)? {
                    return Ok(Value::Truth(true));
                }
            }
            false
        }
        ("ne", [left, right]) => !equal(left, right)?,
        ("lt", [left, right]) => less(left, right)?,
        ("le", [left, right]) => less(left, right)? || equal(left, right)?,
        // Go makes these of the ones above, so both are true of what is not a number.
        ("gt", [left, right]) => !(less(left, right)? || equal(left, right)?),
        ("ge", [left, right]) => !less(left, right)?,
        ("len", [value]) => return length(value).map(|length| Value::Integer(length as i64)),
        ("index", [value, keys @ ..]) => return index(value, keys),
        _ => return Err(Wrong::Unclear),
    };
    Ok(Value::Truth(truth))
}

fn length(value: &Value) -> Result<usize, Wrong> {
    match value {
        Value::Text(text) => Ok(text.len()),
        Value::Labels(labels) => Ok(labels.len()),
        Value::Results(results) => Ok(results.len()),
        _ => Err(Wrong::Unclear),
    }
}

fn index<'a>(value: &Value<'a>, keys: &[Value<'a>]) -> Result<Value<'a>, Wrong> {
    match (value, keys) {
        (value, []) => Ok(value.clone()),
        (Value::Labels(labels), [Value::Text(name)]) => Ok(label(labels, name)),
        (Value::Results(results), [Value::Integer(at)]) => {
            let sample = usize::try_from(*at).ok().and_then(|at| results.get(at));
            sample.map(|sample| Value::Sample(*sample)).ok_or(Wrong::Unclear)
        }
        _ => Err(Wrong::Unclear),
    }
}

fn of_results<'a>(function: &str, values: &[Value<'a>]) -> Result<Value<'a>, Wrong> {
    match (function, values) {
        ("first", [Value::Results(results)]) => {
            results.first().map(|sample| Value::Sample(*sample)).ok_or(Wrong::Unclear)
        }
        ("label", [Value::Text(name), Value::Sample(sample)]) => Ok(label(sample.labels, name)),
        ("strvalue", [Value::Sample(sample)]) => Ok(label(sample.labels, "__value__")),
        ("value", [Value::Sample(sample)]) => Ok(Value::Number(sample.value)),
        ("sortByLabel", [Value::Text(name), Value::Results(results)]) => {
            let mut sorted = results.to_vec();
            sorted.sort_by_key(|sample| sample.labels.get(&**name).map_or("", String::as_str));
            Ok(Value::Results(sorted.into()))
        }
        _ => Err(Wrong::Unclear),
    }
}

//! The operators and functions of expressions, over values. Not their order of evaluation.

use std::borrow::Cow;
use std::rc::Rc;

use atoll_model::{Cpu, Memory, Span};

use super::evaluate::{Failure, Outcome, overflow, wrong};
use super::tree::{Function, Operator};
use super::value::Value;

/// What a text costs to be looked through, in steps.
pub(super) fn text_cost(value: &Value) -> u32 {
    match value {
        Value::Text(text) => u32::try_from(text.len() / 32).unwrap_or(u32::MAX),
        // To copy one, every element is looked at.
        other => u32::try_from(other.size().unwrap_or(0)).unwrap_or(u32::MAX),
    }
}

/// What a value costs to be compared or printed, in steps: all that is in it.
pub(super) fn whole_cost(value: &Value) -> u32 {
    fn of(json: &serde_json::Value) -> u32 {
        match json {
            serde_json::Value::Array(all) => all.iter().map(of).fold(1, u32::saturating_add),
            serde_json::Value::Object(all) => all.values().map(of).fold(1, u32::saturating_add),
            serde_json::Value::String(text) => 1 + u32::try_from(text.len() / 32).unwrap_or(0),
            _ => 1,
        }
    }
    match value {
        Value::Json(json) => of(json),
        Value::List(all) => all.iter().map(whole_cost).fold(1, u32::saturating_add),
        Value::Map(all) => {
            let each = all.iter().map(|(key, value)| whole_cost(key) + whole_cost(value));
            each.fold(1, u32::saturating_add)
        }
        other => text_cost(other),
    }
}

pub(super) fn binary<'a>(operator: Operator, a: &Value<'a>, b: &Value<'a>) -> Outcome<'a> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let no = |sign: &str| wrong(format!("{} {sign} {}", a.kind(), b.kind()));
    let ordered = |sign: &str, is: &[std::cmp::Ordering]| match a.compare(b) {
        Some(order) => Ok(Value::Bool(is.contains(&order))),
        // No number is less or more than one that is none.
        None if matches!((a, b), (Value::Double(_), _) | (_, Value::Double(_))) => match (a, b) {
            (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => {
                Ok(Value::Bool(false))
            }
            _ => no(sign),
        },
        None => no(sign),
    };
    match operator {
        Operator::Equal => Ok(Value::Bool(a.equals(b))),
        Operator::Unequal => Ok(Value::Bool(!a.equals(b))),
        Operator::Less => ordered("<", &[Less]),
        Operator::AtMost => ordered("<=", &[Less, Equal]),
        Operator::More => ordered(">", &[Greater]),
        Operator::AtLeast => ordered(">=", &[Greater, Equal]),
        Operator::Add => add(a, b).unwrap_or_else(|| no("+")),
        Operator::Subtract => arithmetic(a, b, i64::checked_sub, |a, b| a - b, "-"),
        Operator::Multiply => arithmetic(a, b, i64::checked_mul, |a, b| a * b, "*"),
        Operator::Divide | Operator::Remainder
            if matches!((a, b), (Value::Int(_), Value::Int(0))) =>
        {
            wrong("divides by nothing".to_owned())
        }
        Operator::Divide => arithmetic(a, b, i64::checked_div, |a, b| a / b, "/"),
        Operator::Remainder => match (a, b) {
            (Value::Int(a), Value::Int(b)) => {
                a.checked_rem(*b).map(Value::Int).ok_or_else(overflow)
            }
            _ => no("%"),
        },
        Operator::In => no("in"),
    }
}

fn add<'a>(a: &Value<'a>, b: &Value<'a>) -> Option<Outcome<'a>> {
    Some(match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Value::Text(Cow::Owned(format!("{a}{b}")))),
        (Value::Json(_) | Value::List(_), Value::Json(_) | Value::List(_))
            if !a.is_map() && !b.is_map() =>
        {
            let all = a.elements().into_iter().flatten().chain(b.elements().into_iter().flatten());
            Ok(Value::List(Rc::new(all.collect())))
        }
        _ => arithmetic(a, b, i64::checked_add, |a, b| a + b, "+"),
    })
}

fn arithmetic<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    whole: fn(i64, i64) -> Option<i64>,
    broken: fn(f64, f64) -> f64,
    sign: &str,
) -> Outcome<'a> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => whole(*a, *b).map(Value::Int).ok_or_else(overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(broken(*a, *b))),
        (Value::Span(a), Value::Span(b)) if matches!(sign, "+" | "-") => {
            whole(*a, *b).map(Value::Span).ok_or_else(overflow)
        }
        (Value::Int(_), Value::Double(_)) | (Value::Double(_), Value::Int(_)) => {
            wrong(format!("{} {sign} {}; write double(…) or int(…)", a.kind(), b.kind()))
        }
        _ => wrong(format!("{} {sign} {}", a.kind(), b.kind())),
    }
}

pub(super) fn call<'a>(function: Function, given: Vec<Value<'a>>) -> Outcome<'a> {
    let mut given = given.into_iter();
    let (first, second) = (given.next().unwrap_or(Value::Null), given.next());
    match function {
        Function::Size => match (&first, first.size()) {
            (_, Some(size)) => Ok(Value::Int(size as i64)),
            (Value::Text(text), None) => Ok(Value::Int(text.chars().count() as i64)),
            (other, None) => wrong(format!("size of {}", other.kind())),
        },
        Function::Contains => texts(&first, second.as_ref(), "contains", |a, b| a.contains(b)),
        Function::StartsWith => {
            texts(&first, second.as_ref(), "startsWith", |a, b| a.starts_with(b))
        }
        Function::EndsWith => texts(&first, second.as_ref(), "endsWith", |a, b| a.ends_with(b)),
        Function::LowerAscii => text(&first, "lowerAscii", |t| t.to_ascii_lowercase()),
        Function::UpperAscii => text(&first, "upperAscii", |t| t.to_ascii_uppercase()),
        Function::Trim => text(&first, "trim", |t| t.trim().to_owned()),
        Function::Join => join(&first, second.as_ref()),
        Function::Int => int(&first),
        Function::Double => double(&first),
        Function::Text => match &first {
            Value::Bool(_) | Value::Int(_) | Value::Double(_) | Value::Text(_) | Value::Span(_) => {
                Ok(Value::Text(Cow::Owned(first.to_string())))
            }
            other => wrong(format!("string of {}", other.kind())),
        },
        Function::Cpu => amount(&first, "cpu", |t| t.parse::<Cpu>().map(|v| v.0)),
        Function::Memory => amount(&first, "memory", |t| t.parse::<Memory>().map(|v| v.0)),
        Function::Duration => match &first {
            Value::Text(text) => match text.parse::<Span>() {
                Ok(span) => Ok(Value::Span(i64::try_from(span.0).map_err(|_| overflow())?)),
                Err(why) => wrong(why),
            },
            other => wrong(format!("duration of {}", other.kind())),
        },
    }
}

fn texts<'a>(
    a: &Value<'a>,
    b: Option<&Value<'a>>,
    name: &str,
    holds: fn(&str, &str) -> bool,
) -> Outcome<'a> {
    match (a, b) {
        (Value::Text(a), Some(Value::Text(b))) => Ok(Value::Bool(holds(a, b))),
        (a, Some(b)) => wrong(format!("{name} of {} with {}", a.kind(), b.kind())),
        (a, None) => wrong(format!("{name} of {} with nothing", a.kind())),
    }
}

fn text<'a>(value: &Value<'a>, name: &str, change: fn(&str) -> String) -> Outcome<'a> {
    match value {
        Value::Text(text) => Ok(Value::Text(Cow::Owned(change(text)))),
        other => wrong(format!("{name} of {}", other.kind())),
    }
}

fn join<'a>(list: &Value<'a>, between: Option<&Value<'a>>) -> Outcome<'a> {
    let between = match between {
        None => "",
        Some(Value::Text(text)) => text,
        Some(other) => return wrong(format!("join with {}", other.kind())),
    };
    let Some(elements) = list.elements() else { return wrong(format!("join of {}", list.kind())) };
    let all: Vec<String> = elements.map(|element| element.to_string()).collect();
    Ok(Value::Text(Cow::Owned(all.join(between))))
}

fn int<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(value) => Ok(Value::Int(*value)),
        Value::Double(value) if value.abs() < 9e18 => Ok(Value::Int(*value as i64)),
        Value::Text(text) => match text.parse() {
            Ok(value) => Ok(Value::Int(value)),
            Err(_) => wrong(format!("{text:?} is no whole number")),
        },
        Value::Double(_) => Err(overflow()),
        other => wrong(format!("int of {}", other.kind())),
    }
}

fn double<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(value) => Ok(Value::Double(*value as f64)),
        Value::Double(value) => Ok(Value::Double(*value)),
        Value::Text(text) => match text.parse() {
            Ok(value) => Ok(Value::Double(value)),
            Err(_) => wrong(format!("{text:?} is no number")),
        },
        other => wrong(format!("double of {}", other.kind())),
    }
}

/// An amount as manifests write it, in its smallest unit.
fn amount<'a>(
    value: &Value<'a>,
    name: &str,
    read: impl Fn(&str) -> Result<u64, String>,
) -> Outcome<'a> {
    let read = match value {
        Value::Text(text) => read(text),
        Value::Int(value) => read(&value.to_string()),
        other => return wrong(format!("{name} of {}", other.kind())),
    };
    let value = read.map_err(Failure::Wrong)?;
    i64::try_from(value).map(Value::Int).map_err(|_| overflow())
}

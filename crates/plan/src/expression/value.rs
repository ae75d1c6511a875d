//! What expressions are about and what they come to. Lists and maps of facts are borrowed; only
//! what an expression makes itself is owned.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use serde_json::Value as Json;

/// A value of an expression.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Double(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// A span of time, in milliseconds.
    Span(i64),
    /// A list or map of the facts.
    Json(&'a Json),
    /// A list that was made.
    List(Rc<Vec<Value<'a>>>),
    /// A map that was made, in the order it was written.
    Map(Rc<Vec<(Value<'a>, Value<'a>)>>),
}

impl<'a> Value<'a> {
    /// A fact as a value.
    pub fn of(json: &'a Json) -> Value<'a> {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Value::Int(whole),
                None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(Cow::Borrowed(text)),
            Json::Array(_) | Json::Object(_) => Value::Json(json),
        }
    }

    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing (null)",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Double(_) => "a number",
            Value::Text(_) => "a text",
            Value::Span(_) => "a span of time",
            Value::Json(Json::Array(_)) | Value::List(_) => "a list",
            Value::Json(_) | Value::Map(_) => "a map",
        }
    }

    /// The element of a map.
    pub(super) fn field(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Value::Json(Json::Object(map)) => map.get(key).map(Value::of),
            Value::Map(all) => {
                let is = |(k, _): &&(Value, Value)| matches!(k, Value::Text(t) if t == key);
                all.iter().find(is).map(|(_, value)| value.clone())
            }
            _ => None,
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Value::Json(Json::Object(_)) | Value::Map(_))
    }

    /// How many elements it has; none, if it has no elements.
    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Value::Json(Json::Array(all)) => Some(all.len()),
            Value::Json(Json::Object(all)) => Some(all.len()),
            Value::List(all) => Some(all.len()),
            Value::Map(all) => Some(all.len()),
            _ => None,
        }
    }

    /// The elements of a list, or the keys of a map.
    pub(super) fn elements(&self) -> Option<Elements<'a>> {
        match self {
            Value::Json(Json::Array(all)) => Some(Elements::Facts(all.iter())),
            Value::Json(Json::Object(all)) => Some(Elements::Keys(all.keys())),
            Value::List(all) => Some(Elements::Made(all.clone(), 0)),
            Value::Map(all) => {
                let keys = all.iter().map(|(key, _)| key.clone()).collect();
                Some(Elements::Made(Rc::new(keys), 0))
            }
            _ => None,
        }
    }

    /// Numbers are equal by their value, whatever they are written as; of two kinds, nothing is.
    pub(super) fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Span(a), Value::Span(b)) => a == b,
            (Value::Json(a), Value::Json(b)) if std::ptr::eq(*a, *b) => true,
            (a, b) if a.is_map() && b.is_map() => {
                let keys = |v: &Value<'_>| v.size();
                keys(a) == keys(b)
                    && a.entries().all(|(key, value)| match &key {
                        Value::Text(key) => b.field(key).is_some_and(|b| value.equals(&b)),
                        key => b.entries().any(|(k, v)| k.equals(key) && v.equals(&value)),
                    })
            }
            (a, b) => match (a.compare(b), a.elements(), b.elements()) {
                (Some(order), ..) => order == Ordering::Equal,
                (None, Some(left), Some(right)) if !a.is_map() && !b.is_map() => {
                    a.size() == b.size() && left.zip(right).all(|(a, b)| a.equals(&b))
                }
                _ => false,
            },
        }
    }

    fn entries(&self) -> Box<dyn Iterator<Item = (Value<'a>, Value<'a>)> + '_> {
        match self {
            Value::Json(Json::Object(all)) => Box::new(
                all.iter().map(|(k, v)| (Value::Text(Cow::Borrowed(k.as_str())), Value::of(v))),
            ),
            Value::Map(all) => Box::new(all.iter().cloned()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The order of two values that have one.
    pub(super) fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
            (Value::Int(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
            (Value::Double(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Span(a), Value::Span(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// The elements of a list, or the keys of a map.
pub(super) enum Elements<'a> {
    Facts(std::slice::Iter<'a, Json>),
    Keys(serde_json::map::Keys<'a>),
    Made(Rc<Vec<Value<'a>>>, usize),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;
    fn next(&mut self) -> Option<Value<'a>> {
        match self {
            Elements::Facts(all) => all.next().map(Value::of),
            Elements::Keys(all) => all.next().map(|key| Value::Text(Cow::Borrowed(key.as_str()))),
            Elements::Made(all, at) => {
                *at += 1;
                all.get(*at - 1).cloned()
            }
        }
    }
}

/// As people read it: lists with commas, nothing in quotes.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("none"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Double(value) => value.fmt(f),
            Value::Text(text) => f.write_str(text),
            Value::Span(value) => match u64::try_from(*value) {
                Ok(span) => atoll_model::Span(span).fmt(f),
                Err(_) => write!(f, "-{}", atoll_model::Span(value.unsigned_abs())),
            },
            other if other.is_map() => {
                for (i, (key, value)) in other.entries().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{key}: {value}")?;
                }
                Ok(())
            }
            other => {
                for (i, value) in other.elements().into_iter().flatten().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                Ok(())
            }
        }
    }
}

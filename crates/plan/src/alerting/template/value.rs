//! The values of templates, when they are true, and how they compare. Not how they are printed,
//! which is `print.rs`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Facts, Wrong};

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// What a pipeline comes to. Whole numbers are apart from others, because Go does not compare them.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// What the text is filled in with: `$`, and `.` where no block has changed it.
    Root(Facts<'a>),
    Truth(bool),
    Integer(i64),
    Number(f64),
    Text(Rc<str>),
    Labels(&'a BTreeMap<String, String>),
    /// One result of a query.
    Sample(Facts<'a>),
    /// What a query finds.
    #[cfg_attr(not(test), expect(dead_code, reason = "nothing asks queries yet"))]
    Results(Rc<[Facts<'a>]>),
}

impl<'a> Value<'a> {
    pub fn of(text: impl Into<Rc<str>>) -> Value<'a> {
        Value::Text(text.into())
    }

    /// No labels of the outside are known here, so each of them is empty.
    pub fn external_labels() -> Value<'a> {
        Value::Labels(&NO_LABELS)
    }

    /// Nor is any address of a server: where it is asked for, nothing is written.
    pub fn external_url() -> Value<'a> {
        Value::of("")
    }

    /// `.name`. A label that is missing is empty text.
    pub fn field(&self, name: &str) -> Result<Value<'a>, Wrong> {
        match (self, name) {
            (Value::Labels(labels), _) => Ok(label(labels, name)),
            (Value::Root(facts) | Value::Sample(facts), "Labels") => {
                Ok(Value::Labels(facts.labels))
            }
            (Value::Root(facts) | Value::Sample(facts), "Value") => Ok(Value::Number(facts.value)),
            (Value::Root(_), "ExternalLabels") => Ok(Value::external_labels()),
            (Value::Root(_), "ExternalURL") => Ok(Value::external_url()),
            _ => Err(Wrong::Unclear),
        }
    }

    /// "The empty values are false, 0, any nil pointer or interface value, and any array, slice,
    /// map, or string of length zero."
    pub fn is_true(&self) -> bool {
        match self {
            Value::Root(_) | Value::Sample(_) => true,
            Value::Truth(truth) => *truth,
            Value::Integer(number) => *number != 0,
            Value::Number(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Labels(labels) => !labels.is_empty(),
            Value::Results(results) => !results.is_empty(),
        }
    }

    /// A number, or a text that is one.
    pub fn number(&self) -> Result<f64, Wrong> {
        match self {
            Value::Number(number) => Ok(*number),
            Value::Integer(number) => Ok(*number as f64),
            Value::Text(text) if text.is_empty() => Err(Wrong::Missing),
            Value::Text(text) => {
                let number: f64 = text.parse().map_err(|_| Wrong::Unclear)?;
                let said = text.to_ascii_lowercase().contains("inf");
                if number.is_infinite() && !said { Err(Wrong::Unclear) } else { Ok(number) }
            }
            _ => Err(Wrong::Unclear),
        }
    }
}

/// A label as a value.
pub(super) fn label<'a>(labels: &BTreeMap<String, String>, name: &str) -> Value<'a> {
    Value::of(labels.get(name).map_or("", String::as_str))
}

/// `==`, for two values of one kind.
pub(super) fn equal(left: &Value, right: &Value) -> Result<bool, Wrong> {
    match (left, right) {
        (Value::Truth(left), Value::Truth(right)) => Ok(left == right),
        (Value::Integer(left), Value::Integer(right)) => Ok(left == right),
        (Value::Number(left), Value::Number(right)) => Ok(left == right),
        (Value::Text(left), Value::Text(right)) => Ok(left == right),
        _ => Err(Wrong::Unclear),
    }
}

/// `<`, for two values of one kind that has an order.
pub(super) fn less(left: &Value, right: &Value) -> Result<bool, Wrong> {
    let order = match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        _ => return Err(Wrong::Unclear),
    };
    Ok(order == Some(Ordering::Less))
}

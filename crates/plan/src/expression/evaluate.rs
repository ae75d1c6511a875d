//! Evaluates an expression. Every node is a step and steps are bounded, so it ends soon whatever is
//! written; depth is bounded when it is read.

use std::borrow::Cow;
use std::rc::Rc;

use regex::Regex;

use super::Facts;
use super::functions::{binary, call, text_cost, whole_cost};
use super::tree::{Each, Function, Macro, Node, Operator};
use super::value::Value;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It takes more steps than it may.
    TooMuch,
    /// It cannot be evaluated over these facts: what is so.
    Wrong(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::TooMuch => write!(f, "takes more than {} steps", super::MOST_STEPS),
            Failure::Wrong(what) => f.write_str(what),
        }
    }
}

pub(super) type Outcome<'a> = Result<Value<'a>, Failure>;

pub(super) fn evaluate<'a>(node: &'a Node, facts: &'a dyn Facts, left: &mut u32) -> Outcome<'a> {
    Evaluation { facts, variables: Vec::new(), left }.value(node)
}

struct Evaluation<'a, 'b> {
    facts: &'a dyn Facts,
    variables: Vec<Value<'a>>,
    left: &'b mut u32,
}

impl<'a> Evaluation<'a, '_> {
    fn spend(&mut self, steps: u32) -> Result<(), Failure> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                *self.left = left;
                Ok(())
            }
            None => {
                *self.left = 0;
                Err(Failure::TooMuch)
            }
        }
    }

    fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        self.spend(1)?;
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Double(value) => Value::Double(*value),
            Node::Text(text) => Value::Text(Cow::Borrowed(text)),
            Node::Fact(index) => Value::of(self.facts.fact(*index)),
            Node::Variable(up) => self.variables[self.variables.len() - 1 - up].clone(),
            Node::Field(of, field) => {
                let of = self.value(of)?;
                return of.field(field).ok_or_else(|| missing(&of, field));
            }
            Node::Has(of, field) => {
                let of = self.value(of)?;
                if !of.is_map() {
                    return Err(missing(&of, field));
                }
                Value::Bool(of.field(field).is_some())
            }
            Node::Index(of, index) => return self.index(of, index),
            Node::Not(of) => Value::Bool(!self.truth(of)?),
            Node::Minus(of) => return negative(self.value(of)?),
            Node::And(all) => return self.any_order(all, false),
            Node::Or(all) => return self.any_order(all, true),
            Node::Binary(operator, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                if *operator == Operator::In {
                    return self.contains(&a, &b);
                }
                let cost = match operator {
                    Operator::Equal | Operator::Unequal => whole_cost,
                    _ => text_cost,
                };
                self.spend(cost(&a).saturating_add(cost(&b)))?;
                return binary(*operator, &a, &b);
            }
            Node::Choice(condition, yes, no) => {
                return match self.truth(condition)? {
                    true => self.value(yes),
                    false => self.value(no),
                };
            }
            Node::List(all) => {
                let all: Result<Vec<Value>, Failure> = all.iter().map(|n| self.value(n)).collect();
                Value::List(Rc::new(all?))
            }
            Node::Map(all) => {
                let each =
                    all.iter().map(|(key, value)| Ok((self.value(key)?, self.value(value)?)));
                let all: Result<Vec<(Value, Value)>, Failure> = each.collect();
                Value::Map(Rc::new(all?))
            }
            Node::Each(each) => return self.each(each),
            Node::Call(function, arguments) => {
                let mut given = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    let value = self.value(argument)?;
                    let cost = if *function == Function::Join { whole_cost } else { text_cost };
                    self.spend(cost(&value))?;
                    given.push(value);
                }
                return call(*function, given);
            }
            Node::Matches(text, pattern) => return self.matches(text, pattern),
        })
    }

    fn matches(&mut self, text: &'a Node, pattern: &Regex) -> Outcome<'a> {
        match self.value(text)? {
            Value::Text(text) => {
                self.spend(u32::try_from(text.len() / 8).unwrap_or(u32::MAX))?;
                Ok(Value::Bool(pattern.is_match(&text)))
            }
            other => wrong(format!("matches on {}", other.kind())),
        }
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, Failure> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(Failure::Wrong(format!("{} where true or false should be", other.kind()))),
        }
    }

    /// `&&` and `||`: one operand that decides it makes up for others that cannot be evaluated.
    fn any_order(&mut self, all: &'a [Node], decides: bool) -> Outcome<'a> {
        let mut failure = None;
        for node in all {
            match self.truth(node) {
                Ok(value) if value == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(Failure::TooMuch) => return Err(Failure::TooMuch),
                Err(wrong) => failure = failure.or(Some(wrong)),
            }
        }
        failure.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn index(&mut self, of: &'a Node, index: &'a Node) -> Outcome<'a> {
        let (of, index) = (self.value(of)?, self.value(index)?);
        if of.is_map() {
            return match &index {
                Value::Text(key) => of.field(key).ok_or_else(|| missing(&of, key)),
                other => wrong(format!("a map has no key that is {}", other.kind())),
            };
        }
        let (Value::Int(at), Some(size)) = (&index, of.size()) else {
            return wrong(format!("[{index}] of {}", of.kind()));
        };
        let found = usize::try_from(*at).ok().and_then(|at| match &of {
            Value::Json(serde_json::Value::Array(all)) => all.get(at).map(Value::of),
            Value::List(all) => all.get(at).cloned(),
            _ => None,
        });
        found.ok_or_else(|| Failure::Wrong(format!("[{at}] of a list of {size}")))
    }

    fn contains(&mut self, what: &Value<'a>, list: &Value<'a>) -> Outcome<'a> {
        if let (true, Value::Text(key)) = (list.is_map(), what) {
            return Ok(Value::Bool(list.field(key).is_some()));
        }
        let Some(elements) = list.elements() else {
            return wrong(format!("in {}", list.kind()));
        };
        for element in elements {
            self.spend(whole_cost(&element).saturating_add(1))?;
            if element.equals(what) {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }

    fn each(&mut self, each: &'a Each) -> Outcome<'a> {
        let over = self.value(&each.over)?;
        let Some(elements) = over.elements() else {
            return wrong(format!("a macro over {}, which has no elements", over.kind()));
        };
        let (mut holding, mut failure, mut made) = (0, None, Vec::new());
        for element in elements {
            self.spend(1)?;
            self.variables.push(element);
            let holds = self.truth(&each.holds);
            let makes = match (&holds, &each.makes) {
                (Ok(true), Some(makes)) => Some(self.value(makes)),
                _ => None,
            };
            let element = self.variables.pop().unwrap_or(Value::Null);
            match (holds, each.what) {
                (Err(Failure::TooMuch), _) => return Err(Failure::TooMuch),
                (Err(wrong), Macro::All | Macro::Exists) => failure = failure.or(Some(wrong)),
                (Err(wrong), _) => return Err(wrong),
                (Ok(false), Macro::All) => return Ok(Value::Bool(false)),
                (Ok(true), Macro::Exists) => return Ok(Value::Bool(true)),
                (Ok(true), Macro::Filter) => made.push(element),
                (Ok(true), Macro::ExistsOne) => holding += 1,
                (Ok(_), _) => {}
            }
            made.extend(makes.transpose()?);
        }
        match (each.what, failure) {
            (_, Some(failure)) => Err(failure),
            (Macro::All, None) => Ok(Value::Bool(true)),
            (Macro::Exists, None) => Ok(Value::Bool(false)),
            (Macro::ExistsOne, None) => Ok(Value::Bool(holding == 1)),
            (Macro::Filter | Macro::Map, None) => Ok(Value::List(Rc::new(made))),
        }
    }
}

fn negative<'a>(value: Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        other => wrong(format!("- before {}", other.kind())),
    }
}

pub(super) fn wrong<'a>(message: String) -> Outcome<'a> {
    Err(Failure::Wrong(message))
}

pub(super) fn overflow() -> Failure {
    Failure::Wrong("a number is out of range".to_owned())
}

fn missing(of: &Value, field: &str) -> Failure {
    Failure::Wrong(match of.is_map() {
        true => format!("there is no field {field}; ask has(….{field}) first"),
        false => format!("{} has no field {field}", of.kind()),
    })
}

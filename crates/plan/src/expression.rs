//! Conditions over objects in CEL, the Common Expression Language: read once, evaluated often, over
//! facts as JSON. Evaluating is total, deterministic and counted in steps; it knows no clock, no
//! names but those it is told, and no way to go on for ever. What facts there are is not decided
//! here. Bytes, unsigned numbers, messages and timestamps of CEL are left out.

use std::borrow::Cow;

mod evaluate;
mod functions;
mod lexer;
mod parser;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use evaluate::Failure;
pub use tree::{Comparison, ELEMENT, Literal};
pub use value::Value;

use tree::Node;

/// An expression may be so long, in bytes.
pub const LONGEST: usize = 4_096;
/// An expression may take so many steps; each node evaluated is one, and so is each 32 bytes of a
/// text that is looked through.
pub const MOST_STEPS: u32 = 50_000;

/// What is filled into a text is cut off after so many characters.
const LONGEST_FILLED: usize = 300;

/// An expression that has been read.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
    used: u32,
}

/// What is wrong with the text of an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct Wrong {
    /// Where, from 1.
    pub column: usize,
    /// What, and what to write instead.
    pub message: String,
}

impl Expression {
    /// Reads an expression that may name `names`.
    ///
    /// # Errors
    /// What is wrong with it, and where: the grammar, a name or a function that is not known, or
    /// that it is too large or too deep.
    pub fn read(text: &str, names: &[&str]) -> Result<Expression, Wrong> {
        let (root, used) = parser::parse(text, names)?;
        Ok(Expression { root, used })
    }

    /// Evaluates it. `facts` gives the value of the name at an index of `names`; steps are taken
    /// from `left`, and it fails when none are left.
    ///
    /// # Errors
    /// What could not be evaluated, and why.
    pub fn evaluate<'a>(
        &'a self,
        facts: &'a dyn Facts,
        left: &mut u32,
    ) -> Result<Value<'a>, Failure> {
        evaluate::evaluate(&self.root, facts, left)
    }

    /// The same, where it has to be true or false.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; it is neither true nor false.
    pub fn is_true(&self, facts: &dyn Facts, left: &mut u32) -> Result<bool, Failure> {
        match self.evaluate(facts, left)? {
            Value::Bool(value) => Ok(value),
            other => Err(Failure::Wrong(format!("it is {}, neither true nor false", other.kind()))),
        }
    }

    /// The fields that are read of what is named at an index of `names`.
    pub fn fields_of(&self, index: usize) -> Vec<&str> {
        self.root.fields_of(index)
    }

    /// A field of what is named at an index of `names`, all of whose fields but these are numbers,
    /// that is compared or reckoned with a text, or with true or false.
    pub fn no_number_beside(&self, index: usize, but: &[&str]) -> Option<&str> {
        self.root.no_number_beside(index, but)
    }

    /// Whatever is compared with something that is written out.
    pub fn comparisons(&self) -> Vec<Comparison<'_>> {
        self.root.comparisons()
    }

    /// The fields that are read of the name at an index of `names`, as whole paths, and those of
    /// them it asks for with `has`. What is read of an element of a list, be it by a macro, is
    /// below [`ELEMENT`].
    pub fn paths_of(&self, index: usize) -> (Vec<Vec<&str>>, Vec<Vec<&str>>) {
        self.root.paths_of(index)
    }

    /// Whether it can be true, as far as its form tells, and what is known of fields, by the index
    /// of the name and the path below it: whether one may be true or false. A number never is.
    pub fn is_condition(&self, field: &dyn Fn(usize, &[&str]) -> bool) -> bool {
        self.root.may_be_true(field)
    }

    /// Why some part of it can never be told, whatever there is.
    pub fn fails(&self) -> Option<String> {
        self.root.fails(&|part| match evaluate::evaluate(part, &Nothing, &mut { MOST_STEPS }) {
            Err(Failure::Wrong(why)) => Some(why),
            Ok(_) | Err(Failure::TooMuch) => None,
        })
    }

    /// Whether it names the name at an index of `names`.
    pub fn uses(&self, index: usize) -> bool {
        self.used & (1 << index) != 0
    }
}

/// What expressions are evaluated over.
pub trait Facts {
    /// The value of a name, by its index.
    fn fact(&self, index: usize) -> &serde_json::Value;
}

/// The facts of what names none.
struct Nothing;

impl Facts for Nothing {
    fn fact(&self, _: usize) -> &serde_json::Value {
        &serde_json::Value::Null
    }
}

/// A text in which `{{ expression }}` is filled in.
#[derive(Clone, Debug)]
pub struct Text {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Plain(String),
    Filled(Expression),
}

impl Text {
    /// Reads a text whose expressions may name `names`.
    ///
    /// # Errors
    /// As [`Expression::read`]; a `{{` without its `}}`.
    pub fn read(text: &str, names: &[&str]) -> Result<Text, Wrong> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(start) = rest.find("{{") {
            let before = text.len() - rest.len() + start;
            let Some(length) = rest[start + 2..].find("}}") else {
                let message = "{{ has no }} after it".to_owned();
                return Err(Wrong { column: before + 1, message });
            };
            parts.push(Part::Plain(rest[..start].to_owned()));
            let inner = &rest[start + 2..start + 2 + length];
            let read = Expression::read(inner, names);
            let read = read.map_err(|e| Wrong { column: before + 2 + e.column, ..e })?;
            parts.push(Part::Filled(read));
            rest = &rest[start + length + 4..];
        }
        parts.push(Part::Plain(rest.to_owned()));
        Ok(Text { parts })
    }

    /// The fields that are read of what is named at an index of `names`.
    pub fn fields_of(&self, index: usize) -> Vec<&str> {
        self.expressions().flat_map(|expression| expression.fields_of(index)).collect()
    }

    /// The expressions in it.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Plain(_) => None,
            Part::Filled(expression) => Some(expression),
        })
    }

    /// Fills it in. What cannot be evaluated is written as `?`: the text is for people, and is
    /// better with a gap than missing; a number that is not whole is rounded to four digits.
    pub fn fill(&self, facts: &dyn Facts, left: &mut u32) -> String {
        let each = self.parts.iter().map(|part| match part {
            Part::Plain(text) => Cow::Borrowed(text.as_str()),
            Part::Filled(expression) => match expression.evaluate(facts, left) {
                Ok(Value::Double(value)) => Cow::Owned(legible(value).to_string()),
                Ok(value) => Cow::Owned(shortened(value.to_string())),
                Err(_) => Cow::Borrowed("?"),
            },
        });
        each.collect()
    }
}

/// To four digits, and never less than whole.
fn legible(value: f64) -> f64 {
    let digits = value.abs().log10().floor();
    if !digits.is_finite() {
        return value;
    }
    let scale = 10_f64.powi((3.0 - digits).clamp(0.0, 15.0) as i32);
    (value * scale).round() / scale
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_FILLED) {
        text.truncate(end);
        text.push('…');
    }
    text
}

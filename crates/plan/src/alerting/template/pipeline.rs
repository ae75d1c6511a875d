//! From the words of an action to its pipeline. Not what it comes to, which is `evaluate.rs`.
//!
//! The rules are those of <https://pkg.go.dev/text/template#hdr-Pipelines> and
//! <https://pkg.go.dev/text/template#hdr-Variables>.

use super::value::Value;
use super::word::{Placed, Word, words};
use super::{DEEPEST, function};

/// Commands whose result is the last argument of the next, and the variables that hold the last.
#[derive(Debug)]
pub(super) struct Pipeline<'a> {
    /// At most one, or two in a range.
    pub names: Vec<&'a str>,
    /// `=` and not `:=`: the variables are there already.
    pub assigns: bool,
    pub commands: Vec<Command<'a>>,
}

#[derive(Debug)]
pub(super) enum Command<'a> {
    Call { function: &'a str, arguments: Vec<Operand<'a>> },
    Operand(Operand<'a>),
}

/// A value with fields of it: `$labels.job`, `.Value`, `(index $labels "job")`.
#[derive(Debug)]
pub(super) struct Operand<'a> {
    pub base: Base<'a>,
    pub fields: Vec<&'a str>,
}

#[derive(Debug)]
pub(super) enum Base<'a> {
    Constant(Value<'a>),
    Dot,
    Variable(&'a str),
    /// A function without arguments.
    Function(&'a str),
    Inner(Box<Pipeline<'a>>),
}

/// The pipeline of an action; nothing if it is not understood. `ranges` is for the head of a range.
pub(super) fn pipeline(inside: &str, ranges: bool) -> Option<Pipeline<'_>> {
    let mut reader = Reader { words: words(inside)?, at: 0 };
    let pipeline = reader.pipeline(ranges, 0)?;
    reader.words.get(reader.at).is_none().then_some(pipeline)
}

struct Reader<'a> {
    words: Vec<Placed<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn word(&self, ahead: usize) -> Option<&Word<'a>> {
        self.words.get(self.at + ahead).map(|placed| &placed.word)
    }

    fn sign(&mut self, wanted: char) -> bool {
        let found = matches!(self.word(0), Some(Word::Sign(sign)) if *sign == wanted);
        self.at += usize::from(found);
        found
    }

    fn pipeline(&mut self, ranges: bool, depth: usize) -> Option<Pipeline<'a>> {
        if depth > DEEPEST {
            return None;
        }
        let (names, assigns) = self.names(ranges)?;
        let mut commands = vec![self.command(depth)?];
        while self.sign('|') {
            let next = self.command(depth)?;
            // A value can't take an argument.
            if matches!(next, Command::Operand(_)) {
                return None;
            }
            commands.push(next);
        }
        Some(Pipeline { names, assigns, commands })
    }

    /// `$name :=`, `$name =`, and in a range also `$key, $value :=`.
    fn names(&mut self, ranges: bool) -> Option<(Vec<&'a str>, bool)> {
        let (Some(Word::Variable(name)), Some(Word::Sign(sign))) = (self.word(0), self.word(1))
        else {
            return Some((Vec::new(), false));
        };
        let (mut names, mut sign) = (vec![*name], *sign);
        if sign == ',' && ranges {
            let (Some(Word::Variable(second)), Some(Word::Sign(next))) =
                (self.word(2), self.word(3))
            else {
                return None;
            };
            names.push(*second);
            sign = *next;
        }
        match sign {
            ':' | '=' => self.at += 2 * names.len(),
            _ if names.len() > 1 => return None,
            _ => names.clear(),
        }
        Some((names, sign == '='))
    }

    fn command(&mut self, depth: usize) -> Option<Command<'a>> {
        let first = self.operand(depth)?;
        let mut arguments = Vec::new();
        while let Some(placed) = self.words.get(self.at) {
            if matches!(placed.word, Word::Sign(')' | '|')) {
                break;
            }
            if !placed.apart {
                return None;
            }
            arguments.push(self.operand(depth)?);
        }
        match first.base {
            Base::Function(function) => Some(Command::Call { function, arguments }),
            _ if arguments.is_empty() => Some(Command::Operand(first)),
            _ => None,
        }
    }

    fn operand(&mut self, depth: usize) -> Option<Operand<'a>> {
        let word = self.word(0)?.clone();
        self.at += 1;
        let (base, mut fields) = match word {
            Word::Name(name) if function::is_known(name) => (Base::Function(name), Vec::new()),
            Word::Name(_) => return None,
            Word::Variable(name) => (Base::Variable(name), Vec::new()),
            Word::Field(name) => (Base::Dot, vec![name]),
            Word::Dot => (Base::Dot, Vec::new()),
            Word::Constant(value) => (Base::Constant(value), Vec::new()),
            Word::Sign('(') => {
                let inner = self.pipeline(false, depth + 1)?;
                if !self.sign(')') {
                    return None;
                }
                (Base::Inner(Box::new(inner)), Vec::new())
            }
            Word::Sign(_) => return None,
        };
        while let Some(Placed { word: Word::Field(name), apart: false }) = self.words.get(self.at) {
            let has_fields = match base {
                Base::Variable(_) | Base::Inner(_) => true,
                Base::Dot => !fields.is_empty(),
                Base::Constant(_) | Base::Function(_) => false,
            };
            if !has_fields {
                return None;
            }
            fields.push(*name);
            self.at += 1;
        }
        Some(Operand { base, fields })
    }
}

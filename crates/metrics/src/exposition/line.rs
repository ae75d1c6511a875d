//! Reads one line of an exposition from left to right. It knows the grammar of names, labels and
//! quotes; not what a family is, nor which lines stand next to which.

use std::borrow::Cow;

use super::{cut, number};
use crate::labels::METRIC_NAME;

/// Whether the labels of a row are as they stand in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labeled {
    Plain,
    /// At least one name or value has a backslash.
    Escaped,
}

/// A place in a line. It only ever stands between characters, because it only steps over ASCII
/// or up to ASCII.
pub(super) struct Cursor<'t> {
    line: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(line: &'t str) -> Cursor<'t> {
        Cursor { line, at: 0 }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    /// Steps over one byte of ASCII, if it is there.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.line[self.at..]
    }

    #[inline]
    pub(super) fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Up to a space or the end.
    pub(super) fn word(&mut self) -> &'t str {
        self.run(|byte| !matches!(byte, b' ' | b'\t'))
    }

    #[inline]
    fn run(&mut self, goes_on: impl Fn(u8) -> bool) -> &'t str {
        let from = self.at;
        let bytes = &self.line.as_bytes()[from..];
        self.at += bytes.iter().position(|byte| !goes_on(*byte)).unwrap_or(bytes.len());
        &self.line[from..self.at]
    }

    fn name(&mut self) -> &'t str {
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return "";
        }
        self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
    }

    /// `name`, `name{…}` or `{"name",…}`.
    pub(super) fn series(
        &mut self,
        into: &mut Vec<(&'t str, &'t str)>,
        most: usize,
    ) -> Result<Labeled, String> {
        let name = self.name();
        if !name.is_empty() {
            into.push((METRIC_NAME, name));
        }
        self.spaces();
        match self.peek() {
            Some(b'{') => self.braces(into, most),
            _ if name.is_empty() => {
                Err(format!("{:?} is not the name of a metric", cut(self.rest(), 64)))
            }
            _ => Ok(Labeled::Plain),
        }
    }

    /// `{name="value", …}`; a comma may stand at the end.
    pub(super) fn braces(
        &mut self,
        into: &mut Vec<(&'t str, &'t str)>,
        most: usize,
    ) -> Result<Labeled, String> {
        if !self.take(b'{') {
            return Err(format!("{:?} where {{ was expected", cut(self.rest(), 64)));
        }
        let mut labeled = Labeled::Plain;
        loop {
            self.spaces();
            if self.take(b'}') {
                return Ok(labeled);
            }
            if into.len() >= most {
                return Err(format!("more than {most} labels"));
            }
            if self.label(into)? == Labeled::Escaped {
                labeled = Labeled::Escaped;
            }
            self.spaces();
            if !self.take(b',') && self.peek() != Some(b'}') {
                return Err(match self.peek() {
                    None => "the labels have no closing }".to_owned(),
                    Some(_) => format!("{:?} where , or }} was expected", cut(self.rest(), 64)),
                });
            }
        }
    }

    /// `name="value"`, `"name"="value"`, or the name of the metric in quotes.
    fn label(&mut self, into: &mut Vec<(&'t str, &'t str)>) -> Result<Labeled, String> {
        let quoted = self.peek() == Some(b'"');
        let (name, mut escaped) = if quoted { self.quoted()? } else { (self.name(), false) };
        if name.is_empty() || (!quoted && name.contains(':')) {
            let found = if name.is_empty() { cut(self.rest(), 64) } else { cut(name, 64) };
            return Err(format!("{found:?} is not the name of a label"));
        }
        self.spaces();
        if self.take(b'=') {
            self.spaces();
            let (value, also) = self.quoted()?;
            escaped |= also;
            into.push((name, value));
        } else if quoted {
            into.push((METRIC_NAME, name));
        } else {
            return Err(format!("the label {:?} has no value", cut(name, 64)));
        }
        Ok(if escaped { Labeled::Escaped } else { Labeled::Plain })
    }

    /// What stands between quotes, as it stands there, and whether it has escapes.
    pub(super) fn quoted(&mut self) -> Result<(&'t str, bool), String> {
        if !self.take(b'"') {
            return Err(format!("{:?} where a quote was expected", cut(self.rest(), 64)));
        }
        let from = self.at;
        let bytes = &self.line.as_bytes()[from..];
        let mut escaped = false;
        let mut at = 0;
        loop {
            at += plain(&bytes[at.min(bytes.len())..]);
            match bytes.get(at) {
                None => return Err("a quote is not closed".to_owned()),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(_) => at += 1,
            }
        }
        self.at = from + at + 1;
        Ok((&self.line[from..from + at], escaped))
    }

    /// A value, which must be there.
    pub(super) fn value(&mut self) -> Result<f64, String> {
        match self.word() {
            "" => Err("a row without a value".to_owned()),
            word => number::value(word),
        }
    }
}

/// How many bytes from the begin hold neither a quote nor a backslash; at most seven fewer.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Whether a byte of the word is zero.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let mut at = 0;
    for word in bytes.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*word);
        let found = zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at
}

/// Takes the escapes out: `\\` and `\n`, and `\"` where the text stood in quotes. Another
/// character after a backslash stays, with the backslash, as Prometheus has it.
pub(super) fn unescape(text: &str, in_quotes: bool) -> Cow<'_, str> {
    let Some(first) = text.find('\\') else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut characters = text[first..].chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('\\') => out.push('\\'),
            Some('"') if in_quotes => out.push('"'),
            other => {
                out.push('\\');
                out.extend(other);
            }
        }
    }
    Cow::Owned(out)
}

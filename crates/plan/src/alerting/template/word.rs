//! The words of an action. Not their order, which is `pipeline.rs`.
//!
//! The rules are those of <https://pkg.go.dev/text/template#hdr-Arguments> and, for constants,
//! <https://go.dev/ref/spec#Lexical_elements>. Constants that rule files do not use are not
//! known: single characters, complex numbers, and numbers with `_` or in hexadecimal fractions.

use super::piece::BLANK;
use super::value::Value;

#[derive(Clone, Debug)]
pub(super) enum Word<'a> {
    /// The name of a function.
    Name(&'a str),
    /// `$name`, without `$`.
    Variable(&'a str),
    /// `.name`, without the dot.
    Field(&'a str),
    Dot,
    Constant(Value<'a>),
    /// One of `(`, `)`, `|`, `,` and `=`, and `:` for `:=`.
    Sign(char),
}

/// A word, and whether something blank is before it.
#[derive(Clone, Debug)]
pub(super) struct Placed<'a> {
    pub word: Word<'a>,
    pub apart: bool,
}

/// All words; nothing if one is not known.
pub(super) fn words(inside: &str) -> Option<Vec<Placed<'_>>> {
    let (mut all, mut rest) = (Vec::new(), inside);
    loop {
        let bare = rest.trim_start_matches(BLANK);
        let apart = bare.len() != rest.len();
        let Some(first) = bare.chars().next() else { return Some(all) };
        let (word, behind) = word(first, bare)?;
        all.push(Placed { word, apart });
        rest = behind;
    }
}

fn word(first: char, text: &str) -> Option<(Word<'_>, &str)> {
    let behind = text.strip_prefix(first)?;
    match first {
        '"' => quoted(behind),
        '`' => {
            let (raw, behind) = behind.split_once('`')?;
            Some((Word::Constant(Value::of(raw.replace('\r', ""))), behind))
        }
        '(' | ')' | '|' | ',' | '=' => Some((Word::Sign(first), behind)),
        ':' => Some((Word::Sign(first), behind.strip_prefix('=')?)),
        '$' => {
            let (name, behind) = name(behind);
            Some((Word::Variable(name), behind))
        }
        '.' if !behind.starts_with(|c: char| c.is_ascii_digit()) => {
            let (name, behind) = name(behind);
            Some((if name.is_empty() { Word::Dot } else { Word::Field(name) }, behind))
        }
        '0'..='9' | '.' | '+' | '-' => number(text),
        _ => {
            let (name, behind) = name(text);
            match name {
                "" => None,
                "true" | "false" => Some((Word::Constant(Value::Truth(name == "true")), behind)),
                _ => Some((Word::Name(name), behind)),
            }
        }
    }
}

fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn number(text: &str) -> Option<(Word<'_>, &str)> {
    let mut before = None;
    let ends = |c: char| {
        let sign = matches!(c, '+' | '-') && matches!(before, None | Some('e' | 'E'));
        before = Some(c);
        !sign && !c.is_alphanumeric() && c != '.' && c != '_'
    };
    let end = text.find(ends).unwrap_or(text.len());
    let (said, behind) = text.split_at_checked(end)?;
    Some((Word::Constant(constant(said)?), behind))
}

/// A number without a point and an exponent is a whole one.
fn constant<'a>(said: &str) -> Option<Value<'a>> {
    let digits = said.strip_prefix(['+', '-']).unwrap_or(said);
    let lower = digits.to_ascii_lowercase();
    let (radix, bare) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?),
        [b'0', b'o', ..] => (8, lower.get(2..)?),
        [b'0', b'b', ..] => (2, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if bare.chars().all(|c| c.is_digit(radix)) {
        let size = i64::from_str_radix(bare, radix).ok()?;
        return Some(Value::Integer(if said.starts_with('-') { -size } else { size }));
    }
    let decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-');
    if !lower.contains(['.', 'e']) || !lower.chars().all(decimal) {
        return None;
    }
    said.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Number)
}

/// A text in quotes, from behind the first of them.
fn quoted(text: &str) -> Option<(Word<'_>, &str)> {
    let mut said = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\', '\n'])?;
        said.push_str(rest.get(..at)?);
        rest = rest.get(at..)?;
        if let Some(behind) = rest.strip_prefix('"') {
            return Some((Word::Constant(Value::of(said)), behind));
        }
        let (c, behind) = escape(rest.strip_prefix('\\')?)?;
        said.push(c);
        rest = behind;
    }
}

/// What a backslash and the text behind it stand for. Single bytes only where they are ASCII.
fn escape(text: &str) -> Option<(char, &str)> {
    let first = text.chars().next()?;
    let behind = text.strip_prefix(first)?;
    let coded = |text: &'_ str, digits: usize, radix: u32| {
        let code = text.get(..digits).filter(|code| code.chars().all(|c| c.is_digit(radix)))?;
        char::from_u32(u32::from_str_radix(code, radix).ok()?)
    };
    let (c, length) = match first {
        'a' => ('\u{7}', 0),
        'b' => ('\u{8}', 0),
        'f' => ('\u{c}', 0),
        'n' => ('\n', 0),
        'r' => ('\r', 0),
        't' => ('\t', 0),
        'v' => ('\u{b}', 0),
        '\\' | '"' => (first, 0),
        'x' => (coded(behind, 2, 16).filter(char::is_ascii)?, 2),
        'u' => (coded(behind, 4, 16)?, 4),
        'U' => (coded(behind, 8, 16)?, 8),
        '0'..='7' => return Some((coded(text, 3, 8).filter(char::is_ascii)?, text.get(3..)?)),
        _ => return None,
    };
    Some((c, behind.get(length..)?))
}

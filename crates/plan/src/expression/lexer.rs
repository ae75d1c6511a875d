//! The words of an expression. Not their order, which is the parser's.

use super::Wrong;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Int(i64),
    Double(f64),
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Longer ones first, so that `<=` is not read as `<`.
const SIGNS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}", "=",
];

/// All words with the columns they begin at, from 1.
pub(super) fn words(text: &str) -> Result<Vec<(Token, usize)>, Wrong> {
    let mut reader = Reader { text, at: 0 };
    let mut all = Vec::new();
    loop {
        reader.skip();
        let column = reader.column();
        let token = reader.token()?;
        let end = token == Token::End;
        all.push((token, column));
        if end {
            return Ok(all);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong { column: self.column(), message: message.into() })
    }

    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn token(&mut self) -> Result<Token, Wrong> {
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        let (one, two) = (&self.rest()[first.len_utf8()..], self.rest().as_bytes());
        let dotted = first == '.' && one.starts_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_digit() || dotted {
            return self.number();
        }
        if first == '"' || first == '\'' {
            return self.quoted(false);
        }
        if two.len() > 1 && matches!(two[1], b'"' | b'\'') {
            match first {
                'r' | 'R' => {
                    self.at += 1;
                    return self.quoted(true);
                }
                'b' | 'B' => return self.wrong("bytes are not known here; leave the b out"),
                _ => {}
            }
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            let length = self.rest().find(part).unwrap_or(self.rest().len());
            let name = self.rest()[..length].to_owned();
            self.at += length;
            return Ok(Token::Name(name));
        }
        match SIGNS.iter().find(|sign| self.rest().starts_with(**sign)) {
            Some(sign) => {
                self.at += sign.len();
                Ok(Token::Sign(sign))
            }
            None => self.wrong(format!("{first:?} means nothing here")),
        }
    }

    fn number(&mut self) -> Result<Token, Wrong> {
        let rest = self.rest();
        if let Some(hex) = rest.strip_prefix("0x") {
            let length = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            let Ok(value) = i64::from_str_radix(&hex[..length], 16) else {
                return self.wrong("is no number that fits");
            };
            self.at += 2 + length;
            return Ok(Token::Int(value));
        }
        let bytes = rest.as_bytes();
        let (mut end, mut whole) = (0, true);
        while let Some(byte) = bytes.get(end) {
            let digit_after = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'))
                && bytes.get(end + 2).is_some_and(u8::is_ascii_digit);
            match byte {
                b'0'..=b'9' => {}
                b'.' if whole && digit_after => whole = false,
                b'e' | b'E' if digit_after || signed => {
                    whole = false;
                    end += usize::from(signed);
                }
                _ => break,
            }
            end += 1;
        }
        let text = &rest[..end];
        let token = match whole {
            true => text.parse().map(Token::Int).ok(),
            false => text.parse().map(Token::Double).ok(),
        };
        let Some(token) = token else { return self.wrong(format!("{text} is no number")) };
        self.at += end;
        match self.rest().chars().next() {
            Some('u' | 'U') => self.wrong("numbers have no sign of their own here; leave u out"),
            Some(c) if c.is_ascii_alphanumeric() || c == '_' => {
                self.wrong(format!("{c:?} after a number; text stands in quotes"))
            }
            _ => Ok(token),
        }
    }

    fn quoted(&mut self, raw: bool) -> Result<Token, Wrong> {
        let rest = self.rest().to_owned();
        let quote = &rest[..1];
        let triple = quote.repeat(3);
        let close = if rest.starts_with(&triple) { triple.as_str() } else { quote };
        let begun = self.column();
        self.at += close.len();
        let mut value = String::new();
        loop {
            if self.rest().starts_with(close) {
                self.at += close.len();
                return Ok(Token::Text(value));
            }
            match self.rest().chars().next() {
                Some('\\') if !raw => value.push(self.escape()?),
                Some(c) if c != '\n' || close.len() == 3 => {
                    value.push(c);
                    self.at += c.len_utf8();
                }
                _ => {
                    let message = format!("the text has no {close} at its end");
                    return Err(Wrong { column: begun, message });
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        let letter = self.rest().chars().nth(1);
        let (skip, length, radix) = match letter {
            Some('x' | 'X') => (2, 2, 16),
            Some('u') => (2, 4, 16),
            Some('U') => (2, 8, 16),
            Some('0'..='3') => (1, 3, 8),
            _ => {
                let known = match letter {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('a') => '\u{7}',
                    Some('b') => '\u{8}',
                    Some('f') => '\u{c}',
                    Some('v') => '\u{b}',
                    Some(c @ ('\\' | '"' | '\'' | '`' | '?')) => c,
                    _ => return self.wrong("\\ is not followed by what it may be; write \\\\"),
                };
                self.at += 2;
                return Ok(known);
            }
        };
        let digits = self.rest().get(skip..skip + length);
        let code = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok());
        let Some(c) = code.and_then(char::from_u32) else {
            return self.wrong("\\ names no character");
        };
        self.at += skip + length;
        Ok(c)
    }
}

//! Reads what is written in the filter language, character by character. Not what it means.

use serde_json::Value;

use super::Term;
use crate::cmdb::compare::Comparison;

/// The deepest, in parentheses and `not`.
const DEEPEST: usize = 64;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(Comparison),
    Open,
    Close,
    Comma,
}

impl Token {
    fn text(&self) -> String {
        match self {
            Token::Word(word) => format!("{word:?}"),
            Token::Quoted(text) => format!("{text:?}"),
            Token::Sign(_) => "a comparison".to_owned(),
            Token::Open => "(".to_owned(),
            Token::Close => ")".to_owned(),
            Token::Comma => ",".to_owned(),
        }
    }
}

/// Where it is wrong, in bytes, and what was expected.
pub(super) type Wrong = (usize, String);

/// Reads a filter; an empty one is a list of no conditions.
pub(super) fn term(text: &str) -> Result<Term, Wrong> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len() };
    if tokens.is_empty() {
        return Ok(Term::All(Vec::new()));
    }
    let term = parser.any(0)?;
    match parser.peek() {
        None => Ok(term),
        Some((at, token)) => {
            Err((*at, format!("expected and, or, or the end, found {}", token.text())))
        }
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Wrong> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let begun = at;
        let sign = Comparison::WRITTEN.iter().find(|(sign, _)| rest.starts_with(sign));
        let token = match (first, sign) {
            (c, _) if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            ('(', _) => Token::Open,
            (')', _) => Token::Close,
            (',', _) => Token::Comma,
            ('"', _) => {
                let (value, length) =
                    quoted(rest).ok_or((at, "a quote is not closed".to_owned()))?;
                at += length;
                tokens.push((begun, Token::Quoted(value)));
                continue;
            }
            (_, Some((sign, how))) => {
                at += sign.len();
                tokens.push((begun, Token::Sign(*how)));
                continue;
            }
            ('!' | '&' | '|', None) => {
                return Err((at, format!("{first:?} is not known; write and, or, not, !=")));
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "()\",=!<>~".contains(c);
                let end = rest.find(ends).unwrap_or(rest.len());
                at += end;
                tokens.push((begun, Token::Word(rest[..end].to_owned())));
                continue;
            }
        };
        at += 1;
        tokens.push((begun, token));
    }
    Ok(tokens)
}

/// A text in quotes, and how many bytes it takes with them.
fn quoted(rest: &str) -> Option<(String, usize)> {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((value, at + 1)),
            c => value.push(c),
        }
    }
    None
}

struct Parser<'t> {
    tokens: &'t [(usize, Token)],
    at: usize,
    end: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&(usize, Token)> {
        self.tokens.get(self.at)
    }

    fn place(&self) -> usize {
        self.peek().map_or(self.end, |(at, _)| *at)
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, Wrong> {
        let found = self.peek().map_or("the end".to_owned(), |(_, token)| token.text());
        Err((self.place(), format!("expected {expected}, found {found}")))
    }

    /// Takes a word, should it be next.
    fn keyword(&mut self, word: &str) -> bool {
        let found =
            matches!(self.peek(), Some((_, Token::Word(w))) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn token(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|(_, next)| next == token);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Term, Wrong> {
        let mut terms = vec![self.all(depth)?];
        while self.keyword("or") {
            terms.push(self.all(depth)?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Term::Any(terms) })
    }

    fn all(&mut self, depth: usize) -> Result<Term, Wrong> {
        let mut terms = vec![self.not(depth)?];
        while self.keyword("and") {
            terms.push(self.not(depth)?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Term::All(terms) })
    }

    fn not(&mut self, depth: usize) -> Result<Term, Wrong> {
        if depth > DEEPEST {
            return Err((self.place(), format!("it is deeper than {DEEPEST}")));
        }
        if self.keyword("not") {
            return Ok(Term::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.token(&Token::Open) {
            let inner = self.any(depth + 1)?;
            return if self.token(&Token::Close) { Ok(inner) } else { self.wrong(")") };
        }
        self.condition()
    }

    fn condition(&mut self) -> Result<Term, Wrong> {
        let Some((_, Token::Word(path))) = self.peek().cloned() else {
            return self.wrong("a path like os.name, or (");
        };
        if ["and", "or", "in"].iter().any(|word| path.eq_ignore_ascii_case(word))
            && !matches!(self.tokens.get(self.at + 1), Some((_, Token::Open)))
        {
            return self.wrong("a path like os.name");
        }
        self.at += 1;
        if self.token(&Token::Open) {
            return self.called(path);
        }
        if self.keyword("in") {
            return self.members(path);
        }
        if self.keyword("exists") {
            return Ok(Term::Exists(path));
        }
        match self.peek() {
            Some((_, Token::Sign(how))) => {
                let how = *how;
                self.at += 1;
                Ok(Term::Compare(path, how, self.value()?))
            }
            _ => Ok(Term::Exists(path)),
        }
    }

    /// `runs(application/shop)`, `age(status.since) > 5m`.
    fn called(&mut self, name: String) -> Result<Term, Wrong> {
        let place = self.place();
        let argument = match self.peek().cloned() {
            Some((_, Token::Word(word) | Token::Quoted(word))) => {
                self.at += 1;
                word
            }
            _ => String::new(),
        };
        if !self.token(&Token::Close) {
            return self.wrong(")");
        }
        if name == "age" {
            let Some((_, Token::Sign(how))) = self.peek().cloned() else {
                return self.wrong("a comparison, as in age(status.since) > 5m");
            };
            self.at += 1;
            let place = self.place();
            let value = self.value()?;
            let span = value.as_str().unwrap_or_default().parse();
            let span = span.map_err(|_| (place, "expected a span like 5m".to_owned()))?;
            return Ok(Term::Age(argument, how, span));
        }
        if name != "drifts" && !argument.contains('/') {
            let message = format!("{name}(…) takes KIND/NAME, as in {name}(application/shop)");
            return Err((place, message));
        }
        Ok(Term::Related(name, argument))
    }

    fn members(&mut self, path: String) -> Result<Term, Wrong> {
        if !self.token(&Token::Open) {
            return self.wrong("(, as in zone in (a, b)");
        }
        let mut values = vec![self.value()?];
        while self.token(&Token::Comma) {
            values.push(self.value()?);
        }
        if self.token(&Token::Close) { Ok(Term::In(path, values)) } else { self.wrong(", or )") }
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        let value = match self.peek() {
            Some((_, Token::Quoted(text))) => Value::from(text.clone()),
            Some((_, Token::Word(word))) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                word => Value::from(word),
            },
            _ => return self.wrong("a value"),
        };
        self.at += 1;
        Ok(value)
    }
}

//! Reads an expression as text before the parser does: bounds how deep it nests, so that no input
//! can overflow the stack; refuses durations the parser cannot hold; and notes where functions
//! stand, for annotations. It does not judge grammar.

use super::QueryError;

/// How deep an expression may nest: parentheses and chained operators together.
const DEEPEST: usize = 200;

/// How long an expression may be, in bytes.
const LONGEST: usize = 1 << 20;

/// No duration is longer than this, in seconds: about three thousand years.
const LONGEST_DURATION: f64 = 1e11;

/// Words that take parentheses and are not functions.
const MODIFIERS: [&str; 14] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "fill_right",
    "and",
    "or",
    "unless",
    "atan2",
    "bool",
];

/// Words that chain two expressions.
const WORD_OPERATORS: [&str; 4] = ["and", "or", "unless", "atan2"];

/// A place in the text: line and column from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

/// Where a function or aggregation stands, and each of its arguments.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    pub name: String,
    pub at: Position,
    pub arguments: Vec<Position>,
}

/// What the scan found.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The same expression with raw strings quoted, which the parser reads wrongly.
    pub text: String,
    pub sites: Vec<Site>,
}

/// One level of parentheses.
#[derive(Default)]
struct Level {
    operators: usize,
    /// The deepest below the present argument.
    below: usize,
    /// The deepest of earlier arguments.
    earlier: usize,
    site: Option<usize>,
    wants_argument: bool,
}

struct Scan<'a> {
    query: &'a str,
    at: usize,
    line: usize,
    line_start: usize,
    out: String,
    sites: Vec<Site>,
    levels: Vec<Level>,
    /// The function whose parenthesis has not come yet.
    pending: Option<usize>,
    /// The last word or sign, in lower case.
    previous: String,
    bracket: bool,
    brace: bool,
}

/// Scans an expression.
pub(super) fn scan(query: &str) -> Result<Scanned, QueryError> {
    if query.len() > LONGEST {
        return Err(QueryError::Limit(format!(
            "the query is longer than {LONGEST} bytes; shorten it"
        )));
    }
    let mut scan = Scan {
        query,
        at: 0,
        line: 1,
        line_start: 0,
        out: String::with_capacity(query.len()),
        sites: Vec::new(),
        levels: vec![Level::default()],
        pending: None,
        previous: String::new(),
        bracket: false,
        brace: false,
    };
    while scan.at < query.len() {
        scan.token()?;
    }
    Ok(Scanned { text: scan.out, sites: scan.sites })
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        &self.query[self.at..]
    }

    fn position(&self) -> Position {
        Position { line: self.line, column: self.at - self.line_start + 1 }
    }

    fn take(&mut self, length: usize) {
        let taken = &self.query[self.at..self.at + length];
        self.out.push_str(taken);
        if let Some(last) = taken.rfind('\n') {
            self.line += taken.matches('\n').count();
            self.line_start = self.at + last + 1;
        }
        self.at += length;
    }

    fn token(&mut self) -> Result<(), QueryError> {
        let Some(first) = self.rest().chars().next() else { return Ok(()) };
        if first.is_whitespace() {
            self.take(first.len_utf8());
            return Ok(());
        }
        if first == '#' {
            let length = self.rest().find('\n').unwrap_or(self.rest().len());
            self.take(length);
            return Ok(());
        }
        self.note_argument(first);
        match first {
            '"' | '\'' | '`' => self.string(first),
            c if c.is_alphabetic() || c == '_' || c == ':' && !self.bracket => self.word(),
            c if c.is_ascii_digit() || c == '.' => self.number(),
            _ => self.sign(first),
        }
    }

    fn note_argument(&mut self, first: char) {
        let place = self.position_if_wanted();
        if let Some(level) = self.levels.last_mut()
            && let (Some(place), Some(site)) = (place, level.site)
        {
            level.wants_argument = false;
            if first != ')' {
                self.sites[site].arguments.push(place);
            }
        }
    }

    fn position_if_wanted(&self) -> Option<Position> {
        self.levels.last().is_some_and(|level| level.wants_argument).then(|| self.position())
    }

    fn string(&mut self, quote: char) -> Result<(), QueryError> {
        let body = &self.query[self.at + 1..];
        let mut escaped = false;
        let end = body.char_indices().find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = quote != '`' && !escaped && *c == '\\';
            ends
        });
        let Some((end, _)) = end else {
            return Err(QueryError::Parse(format!("a string is not closed by {quote}")));
        };
        let length = end + 2;
        let raw = body[..end].to_owned();
        let before = self.out.len();
        self.take(length);
        if quote == '`' {
            self.out.truncate(before);
            let quoted = raw.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.out.push_str(&format!("\"{quoted}\""));
        } else if let Some(plain) = plain_bytes(&raw)? {
            self.out.truncate(before);
            self.out.push_str(&format!("{quote}{plain}{quote}"));
        }
        self.previous = "\"".to_owned();
        Ok(())
    }

    fn word(&mut self) -> Result<(), QueryError> {
        let length = self
            .rest()
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_lowercase();
        let place = self.at;
        if !self.brace && !self.bracket {
            if WORD_OPERATORS.contains(&word.as_str()) {
                self.operator()?;
            }
            self.refuse_odd_offset(&word)?;
            let next = next_word(&self.query[self.at + length..]);
            let called = next == "(" || matches!(next.as_str(), "by" | "without");
            if called && !MODIFIERS.contains(&word.as_str()) && word != "offset" {
                let at = self.position();
                let name = self.query[place..place + length].to_owned();
                self.pending = Some(self.sites.len());
                self.sites.push(Site { name, at, arguments: Vec::new() });
            }
        }
        self.take(length);
        self.previous = word;
        Ok(())
    }

    /// `inf` and `nan` are numbers, which as durations would break the parser.
    fn refuse_odd_offset(&self, word: &str) -> Result<(), QueryError> {
        let odd = matches!(word, "inf" | "nan") && self.previous.starts_with("offset");
        if odd { Err(QueryError::Parse(format!("{word} is not a duration"))) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), QueryError> {
        let rest = self.rest();
        let mut length = 0;
        let mut last = ' ';
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        for c in rest.chars() {
            let exponent = matches!(c, '+' | '-') && matches!(last, 'e' | 'E') && !hex;
            if !(c.is_ascii_alphanumeric() || c == '.' || exponent) {
                break;
            }
            length += c.len_utf8();
            last = c;
        }
        let number = &rest[..length];
        if self.bracket || self.previous.starts_with("offset") {
            let value: Option<f64> = number.parse().ok();
            if value.is_some_and(|v| !(0.0..=LONGEST_DURATION).contains(&v)) {
                return Err(QueryError::Parse(format!("{number} is too long a duration")));
            }
            let digits = number.bytes().filter(u8::is_ascii_hexdigit).count();
            if hex && digits > 10 {
                return Err(QueryError::Parse(format!("{number} is too long a duration")));
            }
        }
        self.take(length);
        self.previous = "0".to_owned();
        Ok(())
    }

    fn sign(&mut self, first: char) -> Result<(), QueryError> {
        let rest = self.rest();
        let two = ["==", "!=", ">=", "<=", "=~", "!~"].into_iter().find(|s| rest.starts_with(s));
        let length = two.map_or(first.len_utf8(), str::len);
        match first {
            '{' => self.brace = true,
            '}' => self.brace = false,
            '[' => {
                self.bracket = true;
                self.operator()?;
            }
            ']' => self.bracket = false,
            '(' => self.open()?,
            ')' => self.close(),
            ',' => self.comma(),
            '+' | '-' | '*' | '/' | '%' | '^' | '=' | '!' | '<' | '>'
                if !self.brace && !self.bracket =>
            {
                self.operator()?;
            }
            _ => {}
        }
        self.take(length);
        // `offset -5m`: the sign does not hide that a duration follows.
        if !(matches!(first, '-' | '+') && self.previous == "offset") {
            self.previous = first.to_string();
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), QueryError> {
        let site = if MODIFIERS.contains(&self.previous.as_str()) || self.brace {
            None
        } else {
            self.pending.take()
        };
        self.levels.push(Level { site, wants_argument: site.is_some(), ..Level::default() });
        self.refuse_depth()
    }

    fn close(&mut self) {
        if self.levels.len() < 2 {
            return;
        }
        let Some(level) = self.levels.pop() else { return };
        let depth = level.earlier.max(level.operators + level.below) + 1;
        if let Some(outer) = self.levels.last_mut() {
            outer.below = outer.below.max(depth);
        }
    }

    fn comma(&mut self) {
        if self.brace {
            return;
        }
        if let Some(level) = self.levels.last_mut() {
            level.earlier = level.earlier.max(level.operators + level.below);
            level.operators = 0;
            level.below = 0;
            level.wants_argument = level.site.is_some();
        }
    }

    fn operator(&mut self) -> Result<(), QueryError> {
        if let Some(level) = self.levels.last_mut() {
            level.operators += 1;
        }
        self.refuse_depth()
    }

    fn refuse_depth(&self) -> Result<(), QueryError> {
        let outer: usize = self.levels.iter().map(|level| level.operators + 1).sum();
        let below = self.levels.last().map_or(0, |level| level.below);
        if outer + below <= DEEPEST {
            return Ok(());
        }
        Err(QueryError::Limit(format!(
            "the query nests or chains more than {DEEPEST} expressions; split it"
        )))
    }
}

/// Bytes written as `\xc3` or `\303` in a string, put together to characters: the parser takes each
/// byte for a character. None where there are no such bytes.
fn plain_bytes(raw: &str) -> Result<Option<String>, QueryError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    let mut changed = false;
    while let [first, after @ ..] = rest {
        let hex = (after.first() == Some(&b'x')).then(|| number_in(after, 1..3, 16)).flatten();
        let escaped = hex.or_else(|| number_in(after, 0..3, 8)).filter(|byte| *byte >= 0x80);
        let length = match (first, escaped) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                changed = true;
                4
            }
            (b'\\', None) => {
                bytes.extend_from_slice(&rest[..rest.len().min(2)]);
                2
            }
            _ => {
                bytes.push(*first);
                1
            }
        };
        rest = &rest[length.min(rest.len())..];
    }
    if !changed {
        return Ok(None);
    }
    let refuse = |_| {
        let text = format!("a text has to be UTF-8, or it is an invalid label name \"{raw}\"");
        QueryError::Parse(text)
    };
    String::from_utf8(bytes).map(Some).map_err(refuse)
}

fn number_in(bytes: &[u8], at: std::ops::Range<usize>, radix: u32) -> Option<u8> {
    let digits = std::str::from_utf8(bytes.get(at)?).ok()?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u8::from_str_radix(digits, radix).ok()).flatten()
}

/// The next word, or sign, after blanks and comments.
fn next_word(text: &str) -> String {
    let mut rest = text.trim_start();
    while rest.starts_with('#') {
        rest = rest.find('\n').map_or("", |at| rest[at..].trim_start());
    }
    if rest.starts_with('(') {
        return "(".to_owned();
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    rest[..end].to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_know_their_arguments() {
        let scanned = scan("sum by (a) (histogram_quantile(0.2,  rate(x{a=\"(\"}[5m])))").unwrap();
        let found: Vec<(String, usize, Vec<usize>)> = scanned
            .sites
            .into_iter()
            .map(|s| (s.name, s.at.column, s.arguments.iter().map(|a| a.column).collect()))
            .collect();
        let expected = [
            ("sum".to_owned(), 1, vec![13]),
            ("histogram_quantile".to_owned(), 13, vec![32, 38]),
            ("rate".to_owned(), 38, vec![43]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn raw_strings_are_quoted() {
        assert_eq!(scan("x{a=~`\\d\"`}").unwrap().text, "x{a=~\"\\\\d\\\"\"}");
    }

    #[test]
    fn depth_counts_operators_around_a_deep_argument() {
        let deep = format!("{}x{}", "(".repeat(150), ")".repeat(150));
        assert!(scan(&deep).is_ok());
        assert!(scan(&format!("{deep}{}", "+1".repeat(60))).is_err());
        assert!(scan(&"-".repeat(100_000)).is_err());
        assert!(scan(&"x or ".repeat(150)).is_ok());
    }
}

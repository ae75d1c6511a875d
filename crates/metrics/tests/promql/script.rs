//! Reads the format of Prometheus' own PromQL tests. It evaluates nothing.

use std::sync::LazyLock;

use atoll_metrics::{Labels, STALE};
use regex::Regex;

/// `a`, `a+bxN` or `axN`.
static REPEATED: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"[+-]?(?:(?i:nan|inf)|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)";
    Regex::new(&format!(r"^({number})(?:([+-])({number}))?(?:x(\d+))?$")).unwrap()
});

/// One command of a script.
#[derive(Debug)]
pub enum Command {
    Clear,
    Load { step: i64, nhcb: bool, series: Vec<Described> },
    Eval(Box<Eval>),
}

/// A series with its points.
#[derive(Clone, Debug)]
pub struct Described {
    pub labels: Labels,
    pub points: Vec<Point>,
}

/// One point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    Missing,
    Float(f64),
    Native,
}

/// When an expression is evaluated.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// How an annotation or an error has to read.
#[derive(Debug)]
pub enum Wording {
    Any,
    Message(String),
    Regex(String),
}

/// One evaluation and what is expected of it.
#[derive(Debug)]
pub struct Eval {
    pub line: usize,
    pub query: String,
    pub when: When,
    pub fail: Option<Wording>,
    pub warn: Option<Wording>,
    pub info: Option<Wording>,
    pub no_warn: bool,
    pub no_info: bool,
    pub ordered: bool,
    pub text: Option<String>,
    pub range_vector: Option<(i64, i64, i64)>,
    pub scalar: Option<f64>,
    pub series: Vec<Described>,
}

/// Reads a script.
pub fn read(text: &str) -> Vec<Command> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let number = at + 1;
        at += 1;
        if line.is_empty() {
            continue;
        }
        let from = at;
        if line != "clear" {
            while at < lines.len() && !lines[at].is_empty() {
                at += 1;
            }
        }
        let block = &lines[from..at];
        commands.push(match line.split_whitespace().next() {
            Some("clear") => Command::Clear,
            Some(word @ ("load" | "load_with_nhcb")) => Command::Load {
                step: duration(line[word.len()..].trim()),
                nhcb: word != "load",
                series: block.iter().map(|line| described(line)).collect(),
            },
            Some(word) if word.starts_with("eval") => {
                Command::Eval(Box::new(eval(number, word, line[word.len()..].trim(), block)))
            }
            _ => panic!("line {number}: unknown command {line}"),
        });
    }
    commands
}

fn eval(number: usize, word: &str, rest: &str, block: &[&str]) -> Eval {
    let (when, query) = if let Some(rest) = rest.strip_prefix("instant at ") {
        let (at, query) = rest.split_once(char::is_whitespace).unwrap();
        (When::Instant(duration(at)), query)
    } else {
        let rest = rest.strip_prefix("range from ").unwrap();
        let (start, rest) = rest.split_once(" to ").unwrap();
        let (end, rest) = rest.split_once(" step ").unwrap();
        let (step, query) = rest.trim_start().split_once(char::is_whitespace).unwrap();
        let [start, end, step] = [start, end, step].map(|text| duration(text.trim()));
        (When::Range { start, end, step }, query)
    };
    let mut eval = Eval {
        line: number,
        query: query.trim().to_owned(),
        when,
        fail: (word == "eval_fail").then_some(Wording::Any),
        warn: (word == "eval_warn").then_some(Wording::Any),
        info: (word == "eval_info").then_some(Wording::Any),
        no_warn: false,
        no_info: false,
        ordered: word == "eval_ordered",
        text: None,
        range_vector: None,
        scalar: None,
        series: Vec::new(),
    };
    for line in block {
        match line.strip_prefix("expect ") {
            Some(rest) => expectation(&mut eval, rest.trim()),
            None if line.starts_with("expected_fail_message") => {
                let text = line.trim_start_matches("expected_fail_message").trim();
                eval.fail = Some(Wording::Message(text.to_owned()));
            }
            None => match number_of(line) {
                Some(value) => eval.scalar = Some(value),
                None => eval.series.push(described(line)),
            },
        }
    }
    eval
}

fn expectation(eval: &mut Eval, text: &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match word {
        "fail" => eval.fail = Some(wording(rest)),
        "warn" => eval.warn = Some(wording(rest)),
        "info" => eval.info = Some(wording(rest)),
        "no_warn" => eval.no_warn = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.ordered = true,
        "string" => eval.text = Some(rest[1..rest.len() - 1].to_owned()),
        "range" => {
            let rest = rest.strip_prefix("vector from ").unwrap();
            let (start, rest) = rest.split_once(" to ").unwrap();
            let (end, step) = rest.split_once(" step ").unwrap();
            eval.range_vector = Some((duration(start), duration(end), duration(step)));
        }
        other => panic!("line {}: unknown expectation {other}", eval.line),
    }
}

fn wording(text: &str) -> Wording {
    if let Some(message) = text.strip_prefix("msg:") {
        Wording::Message(message.trim().to_owned())
    } else if let Some(regex) = text.strip_prefix("regex:") {
        Wording::Regex(regex.trim().to_owned())
    } else {
        Wording::Any
    }
}

/// A duration, or a number of seconds, in milliseconds.
pub fn duration(text: &str) -> i64 {
    if let Some(rest) = text.strip_prefix('-') {
        return -duration(rest);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds * 1000.0).round() as i64;
    }
    let units = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    let mut rest = text;
    let mut sum = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).expect("a unit");
        let count: i64 = rest[..digits].parse().expect("a number");
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = units.iter().find(|(name, _)| *name == &rest[..end]);
        sum += count * unit.unwrap_or_else(|| panic!("duration {text}")).1;
        rest = &rest[end..];
    }
    sum
}

fn number_of(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// A series: labels, then points.
fn described(line: &str) -> Described {
    let (labels, rest) = labels(line);
    let mut points = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() {
        let mut depth = 0;
        let end = rest.find(|c: char| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            c.is_whitespace() && depth == 0
        });
        let end = end.unwrap_or(rest.len());
        points.extend(expanded(&rest[..end]));
        rest = rest[end..].trim_start();
    }
    Described { labels, points }
}

fn expanded(text: &str) -> Vec<Point> {
    if text.starts_with("{{") {
        let times = text.rsplit_once("}}x").map(|(_, times)| times.parse::<usize>().unwrap());
        return vec![Point::Native; times.map_or(1, |times| times + 1)];
    }
    if let Some(rest) = text.strip_prefix('_') {
        let times = rest.strip_prefix('x').map_or(1, |times| times.parse().unwrap());
        return vec![Point::Missing; times];
    }
    if let Some(rest) = text.strip_prefix("stale") {
        let times = rest.strip_prefix('x').map_or(0, |times| times.parse().unwrap());
        return vec![Point::Float(STALE); times + 1];
    }
    let Some(parts) = REPEATED.captures(text) else { panic!("points {text}") };
    let first: f64 = parts[1].parse().unwrap();
    let by: f64 = parts.get(3).map_or(0.0, |by| by.as_str().parse().unwrap());
    let by = if parts.get(2).is_some_and(|sign| sign.as_str() == "-") { -by } else { by };
    let times: usize = parts.get(4).map_or(0, |times| times.as_str().parse().unwrap());
    let mut value = first;
    let mut points = Vec::new();
    for _ in 0..=times {
        points.push(Point::Float(value));
        value += by;
    }
    points
}

/// Labels at the start of a line, and the rest.
fn labels(line: &str) -> (Labels, &str) {
    let end = line.find(|c: char| c.is_whitespace() || c == '{').unwrap_or(line.len());
    let mut pairs: Vec<(String, String)> = Vec::new();
    if end > 0 {
        pairs.push(("__name__".to_owned(), line[..end].to_owned()));
    }
    let mut rest = line[end..].trim_start();
    if !rest.starts_with('{') || rest.starts_with("{{") {
        return (Labels::new(pairs), rest);
    }
    rest = &rest[1..];
    loop {
        rest = rest.trim_start().trim_start_matches(',').trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return (Labels::new(pairs), after);
        }
        let (name, after) = if rest.starts_with(['"', '\'', '`']) {
            quoted(rest)
        } else {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).expect("a label");
            (rest[..end].to_owned(), &rest[end..])
        };
        rest = after.trim_start();
        match rest.strip_prefix('=') {
            Some(after) => {
                let (value, after) = quoted(after.trim_start());
                pairs.push((name, value));
                rest = after;
            }
            None => pairs.push(("__name__".to_owned(), name)),
        }
    }
}

fn quoted(text: &str) -> (String, &str) {
    let quote = text.chars().next().expect("a quote");
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        if c == quote {
            return (value, &text[at + 1..]);
        }
        if c != '\\' || quote == '`' {
            value.push(c);
            continue;
        }
        match characters.next().expect("an escaped character").1 {
            'n' => value.push('\n'),
            't' => value.push('\t'),
            other => value.push(other),
        }
    }
    panic!("a text that does not end: {text}")
}

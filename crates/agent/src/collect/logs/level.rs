//! How grave a line of a log is, and what it says, in the forms that are usual: JSON, logfmt, the
//! letters of glog, and words. It allocates only for what a line says.

use std::borrow::Cow;

/// How grave, from least to most; a line that does not say is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It does not say.
    Unknown,
    /// Every step.
    Trace,
    /// For who wrote it.
    Debug,
    /// As it should be.
    Info,
    /// It may become wrong.
    Warn,
    /// It is wrong.
    Error,
    /// It is so wrong that the program ends.
    Fatal,
}

impl Level {
    /// All, in the order of their numbers.
    pub const ALL: [Level; 7] = [
        Level::Unknown,
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ];

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Level::Unknown => "unknown",
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    /// Of a word, in any case.
    pub fn of(word: &str) -> Option<Level> {
        const WORDS: [(&str, Level); 19] = [
            ("trace", Level::Trace),
            ("verbose", Level::Trace),
            ("debug", Level::Debug),
            ("dbg", Level::Debug),
            ("info", Level::Info),
            ("information", Level::Info),
            ("notice", Level::Info),
            ("warn", Level::Warn),
            ("warning", Level::Warn),
            ("error", Level::Error),
            ("err", Level::Error),
            ("eror", Level::Error),
            ("severe", Level::Error),
            ("fatal", Level::Fatal),
            ("panic", Level::Fatal),
            ("critical", Level::Fatal),
            ("crit", Level::Fatal),
            ("alert", Level::Fatal),
            ("emerg", Level::Fatal),
        ];
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
    }

    /// Of a number, as some loggers in JavaScript write it.
    fn of_number(number: u32) -> Level {
        match number {
            10..20 => Level::Trace,
            20..30 => Level::Debug,
            30..40 => Level::Info,
            40..50 => Level::Warn,
            50..60 => Level::Error,
            60..70 => Level::Fatal,
            _ => Level::Unknown,
        }
    }
}

/// Names the level goes by in JSON and logfmt.
const KEYS: [&str; 5] = ["level", "severity", "lvl", "levelname", "log.level"];
/// Names of what is said.
const MESSAGES: [&str; 3] = ["msg", "message", "event"];
/// Where words are looked for: what comes later is what is said, not how grave it is.
const HEAD: usize = 120;
/// What begins a line that tells of an end nobody planned.
const CRASHES: [&str; 6] = [
    "Traceback (most recent call last)",
    "panic:",
    "fatal error:",
    "Exception in thread ",
    "Unhandled exception",
    "Segmentation fault",
];

/// How grave a line is.
pub fn detect(line: &[u8]) -> Level {
    let line = line.trim_ascii_start();
    if line.first() == Some(&b'{') {
        let found = KEYS.iter().find_map(|key| json_value(line, key)).map(|value| {
            let number = || value.parse().map_or(Level::Unknown, Level::of_number);
            Level::of(&value).unwrap_or_else(number)
        });
        return found.unwrap_or(Level::Unknown);
    }
    if let Some(level) = KEYS.iter().find_map(|key| Level::of(&logfmt_value(line, key)?)) {
        return level;
    }
    let head = String::from_utf8_lossy(&line[..line.len().min(HEAD)]);
    glog(&head).or_else(|| crash(&head)).or_else(|| word(&head)).unwrap_or(Level::Unknown)
}

/// What a line says, without what goes with it, as far as its form lets that be told.
pub fn message(line: &[u8]) -> Cow<'_, str> {
    let line = line.trim_ascii();
    let is_json = line.first() == Some(&b'{');
    let value = |key: &str| {
        if is_json { json_value(line, key) } else { logfmt_value(line, key) }
    };
    let Some(mut text) = MESSAGES.iter().find_map(|key| value(key)) else {
        return String::from_utf8_lossy(line);
    };
    if let Some(error) = value("error").or_else(|| value("err")) {
        text.push_str(": ");
        text.push_str(&error);
    }
    text.into()
}

/// `E0102 15:04:05.000000 …`
fn glog(head: &str) -> Option<Level> {
    let (letter, rest) = head.split_at_checked(1)?;
    let (date, rest) = rest.split_at_checked(4)?;
    if !date.bytes().all(|b| b.is_ascii_digit()) || !rest.starts_with(' ') {
        return None;
    }
    Some(match letter {
        "I" => Level::Info,
        "W" => Level::Warn,
        "E" => Level::Error,
        "F" => Level::Fatal,
        _ => return None,
    })
}

fn crash(head: &str) -> Option<Level> {
    let rust = head.starts_with("thread '") && head.contains("panicked at");
    (rust || CRASHES.iter().any(|start| head.starts_with(start))).then_some(Level::Error)
}

/// The first word in capitals that is a level; in small letters only where something sets it off,
/// as in `[error]` or `error: …`, or "no error" would be one.
fn word(head: &str) -> Option<Level> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut start = 0;
    while start < head.len() {
        let rest = &head[start..];
        let Some(begin) = rest.find(|c: char| c.is_ascii_alphabetic()) else { break };
        let begin = start + begin;
        let end = head[begin..].find(|c: char| !is_part(c)).map_or(head.len(), |at| begin + at);
        let text = &head[begin..end];
        let before = head[..begin].chars().next_back();
        let after = head[end..].chars().next();
        let joined = before.is_some_and(|c| is_part(c) || matches!(c, '.' | '/'));
        if let Some(level) = Level::of(text).filter(|_| !joined) {
            let capitals = text.bytes().all(|b| b.is_ascii_uppercase());
            let set_off =
                matches!((before, after), (Some('['), Some(']')) | (Some('<'), Some('>')))
                    || (begin == 0 && after == Some(':'));
            if capitals || set_off {
                return Some(level);
            }
        }
        start = end.max(begin + 1);
    }
    None
}

/// The value of a key somewhere in a line of JSON, be it a text or a number. Good enough for what
/// is counted, at a part of the cost of reading it all.
fn json_value(line: &[u8], key: &str) -> Option<String> {
    let mut from = 0;
    while let Some(at) = find(&line[from..], key.as_bytes()) {
        let (begin, end) = (from + at, from + at + key.len());
        from = end;
        if begin == 0 || line[begin - 1] != b'"' || line.get(end) != Some(&b'"') {
            continue;
        }
        let rest = line[end + 1..].trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else { continue };
        return Some(match rest.strip_prefix(b"\"") {
            Some(text) => quoted(text),
            None => {
                let end = rest.iter().position(|b| matches!(b, b',' | b'}' | b' '));
                String::from_utf8_lossy(&rest[..end.unwrap_or(rest.len())]).into_owned()
            }
        });
    }
    None
}

/// The value of a key of a line of logfmt.
pub fn logfmt_value(line: &[u8], key: &str) -> Option<String> {
    let mut from = 0;
    while let Some(at) = find(&line[from..], key.as_bytes()) {
        let (begin, end) = (from + at, from + at + key.len());
        from = end;
        let starts = begin == 0 || matches!(line[begin - 1], b' ' | b'\t');
        let Some(rest) = line[end..].strip_prefix(b"=").filter(|_| starts) else { continue };
        return Some(match rest.strip_prefix(b"\"") {
            Some(text) => quoted(text),
            None => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                String::from_utf8_lossy(&rest[..end]).into_owned()
            }
        });
    }
    None
}

/// A text up to its closing quote; of what is escaped, the character itself is taken.
fn quoted(text: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut escaped = false;
    for byte in text {
        match byte {
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            b'"' if !escaped => break,
            b'n' | b't' | b'r' if escaped => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
        escaped = false;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|b| *b == first) {
        if text[from + at..].starts_with(part) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_in_every_form() {
        for (line, level) in [
            (r#"{"ts":1,"level":"error","msg":"x"}"#, Level::Error),
            (r#"{"severity" : "WARNING","message":"level"}"#, Level::Warn),
            (r#"{"level":30,"msg":"x"}"#, Level::Info),
            (r#"{"msg":"ERROR is only said"}"#, Level::Unknown),
            (r#"ts=1 level=warn msg="ERROR is only said""#, Level::Warn),
            ("E0102 15:04:05.0 1 file.go:7] no", Level::Error),
            ("I0102 15:04:05.0 1 file.go:7] ERROR", Level::Info),
            ("2026-01-02 03:04:05,678 ERROR [main] boom", Level::Error),
            ("2026/01/02 03:04:05 [error] 7#7: *1 open() failed", Level::Error),
            ("[warn] low", Level::Warn),
            ("error: no such file", Level::Error),
            ("finished without error", Level::Unknown),
            ("ERROR_COUNT=0 is fine", Level::Unknown),
            ("7:M 02 Jan 2026 * Ready to accept connections", Level::Unknown),
            ("Traceback (most recent call last):", Level::Error),
            ("thread 'main' panicked at src/main.rs:1:1:", Level::Error),
            ("panic: runtime error: index out of range", Level::Error),
            ("2026-01-02T03:04:05Z  INFO shop: served errors=0", Level::Info),
            ("CRITICAL:root:out of space", Level::Fatal),
            ("", Level::Unknown),
        ] {
            assert_eq!(detect(line.as_bytes()), level, "{line}");
        }
        assert_eq!(detect(&[0xff, 0xfe, b'{']), Level::Unknown);
    }

    #[test]
    fn what_is_said_is_told_from_what_goes_with_it() {
        for (line, said) in [
            (r#"{"level":"error","msg":"no \"route\"","err":"eof"}"#, "no \"route\": eof"),
            (r#"time=1 level=error msg="no route" host=a"#, "no route"),
            ("ERROR no route\n", "ERROR no route"),
        ] {
            assert_eq!(message(line.as_bytes()), said);
        }
    }
}

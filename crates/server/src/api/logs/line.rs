//! What a line of a log says of itself: when it was written, and how grave it is. The forms that
//! are usual are known: JSON, logfmt, and the times and words other logs begin with.

use atoll_model::Timestamp;
use serde_json::Value;

/// What a line says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) at: Option<Timestamp>,
    pub(super) level: Option<&'static str>,
}

/// Where times and words are looked for: what comes later is what is said.
const HEAD: usize = 120;
const TIMES: [&str; 6] = ["time", "ts", "timestamp", "@timestamp", "datetime", "t"];
const LEVELS: [&str; 5] = ["level", "severity", "lvl", "levelname", "log.level"];
const WORDS: [(&str, &str); 19] = [
    ("trace", "trace"),
    ("verbose", "trace"),
    ("debug", "debug"),
    ("dbg", "debug"),
    ("info", "info"),
    ("information", "info"),
    ("notice", "info"),
    ("warn", "warn"),
    ("warning", "warn"),
    ("error", "error"),
    ("err", "error"),
    ("eror", "error"),
    ("severe", "error"),
    ("fatal", "fatal"),
    ("panic", "fatal"),
    ("critical", "fatal"),
    ("crit", "fatal"),
    ("alert", "fatal"),
    ("emerg", "fatal"),
];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads a line.
pub(super) fn read(line: &str) -> Told {
    let line = line.trim_start();
    if line.starts_with('{')
        && let Ok(Value::Object(object)) = serde_json::from_str(line)
    {
        let first = |names: &[&str]| names.iter().find_map(|name| object.get(*name));
        let level = first(&LEVELS).and_then(level_of);
        return Told { at: first(&TIMES).and_then(time_of), level };
    }
    let head = &line[..line.floor_char_boundary(HEAD)];
    let at = TIMES.iter().find_map(|name| time_in(logfmt(line, name)?));
    let level = LEVELS.iter().find_map(|name| word(logfmt(line, name)?));
    Told { at: at.or_else(|| time_in(head)), level: level.or_else(|| word_in(head)) }
}

fn time_of(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => time_in(text),
        Value::Number(number) => of_number(number.as_f64()?),
        _ => None,
    }
}

/// Of a number since 1970, whose unit shows in its size.
fn of_number(number: f64) -> Option<Timestamp> {
    let milliseconds = match number.abs() {
        1e8..1e11 => number * 1e3,
        1e11..1e14 => number,
        1e14..1e17 => number / 1e3,
        1e17..1e20 => number / 1e6,
        _ => return None,
    };
    Some(Timestamp(milliseconds.round() as i64))
}

fn level_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => word(text),
        // As some loggers in JavaScript write it.
        Value::Number(number) => Some(match number.as_u64()? {
            10..20 => "trace",
            20..30 => "debug",
            30..40 => "info",
            40..50 => "warn",
            50..60 => "error",
            60..70 => "fatal",
            _ => return None,
        }),
        _ => None,
    }
}

fn word(text: &str) -> Option<&'static str> {
    WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, level)| *level)
}

/// The first word that is a level: in capitals, or set apart as `[error]` or `error:`.
fn word_in(head: &str) -> Option<&'static str> {
    let mut at = 0;
    head.split(|c: char| !c.is_ascii_alphabetic()).find_map(|part| {
        let (begin, end) = (at, at + part.len());
        // What ends a part is one character of one or more bytes.
        at = end + head[end..].chars().next().map_or(0, char::len_utf8);
        let level = word(part)?;
        let capitals = part.bytes().all(|byte| byte.is_ascii_uppercase());
        let before = head[..begin].chars().next_back();
        let after = head[end..].chars().next();
        let in_brackets = before == Some('[') && after == Some(']');
        let before_colon = after == Some(':') && before.is_none_or(char::is_whitespace);
        (capitals || in_brackets || before_colon).then_some(level)
    })
}

/// The value of a key in `key=value key="value"`.
fn logfmt<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(found) = line[from..].find(key) {
        let begin = from + found;
        let end = begin + key.len();
        let apart = line[..begin].chars().next_back().is_none_or(char::is_whitespace);
        if apart && line[end..].starts_with('=') {
            let value = &line[end + 1..];
            return match value.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next(),
                None => value.split_whitespace().next(),
            };
        }
        from = end;
    }
    None
}

/// The first time in a text: as RFC 3339 and its kin, as web servers write it, or a number.
fn time_in(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number);
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    for at in 0..bytes.len() {
        // A time begins where a number begins.
        if !digit(at) || (at > 0 && digit(at - 1)) {
            continue;
        }
        let part = &text[at..];
        if let Some(time) = year_first(part).or_else(|| day_first(part)) {
            return Some(time);
        }
    }
    None
}

/// `2026-01-02T15:04:05.678Z`, `2026-01-02 15:04:05,678`, `2026/01/02 15:04:05`.
fn year_first(text: &str) -> Option<Timestamp> {
    let date = text.get(..10)?.as_bytes();
    let separated = matches!((date[4], date[7]), (b'-', b'-') | (b'/', b'/'));
    let (year, month, day) = (text.get(..4)?, text.get(5..7)?, text.get(8..10)?);
    if !separated || !matches!(text.as_bytes().get(10)?, b'T' | b' ' | b't' | b'_') {
        return None;
    }
    joined(year, month, day, text.get(11..)?)
}

/// `02/Jan/2026:15:04:05 +0100`, `02 Jan 2026 15:04:05.678`.
fn day_first(text: &str) -> Option<Timestamp> {
    let (day, month, year) = (text.get(..2)?, text.get(3..6)?, text.get(7..11)?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    joined(year, &format!("{month:02}"), day, text.get(12..)?)
}

/// A date with the time and the zone a text begins with; UTC, if it names none.
fn joined(year: &str, month: &str, day: &str, rest: &str) -> Option<Timestamp> {
    let time = rest.get(..8)?;
    let mut rest = &rest[8..];
    let mut text = format!("{year}-{month}-{day}T{time}");
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            text.push('.');
            text.push_str(&fraction[..digits.min(9)]);
            rest = &fraction[digits..];
        }
    }
    text.push_str(&zone(rest.strip_prefix(' ').unwrap_or(rest)));
    text.parse().ok()
}

fn zone(rest: &str) -> String {
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let offset = || {
        let sign = rest.get(..1).filter(|sign| matches!(*sign, "+" | "-"))?;
        let after = rest.get(3..)?;
        let minutes = after.strip_prefix(':').unwrap_or(after).get(..2)?;
        let hours = rest.get(1..3)?;
        (digits(hours) && digits(minutes)).then(|| format!("{sign}{hours}:{minutes}"))
    };
    offset().unwrap_or_else(|| "Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_logs_have() {
        let at = "2026-01-02T03:04:05.678Z".parse::<Timestamp>().unwrap();
        let second = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap();
        for (line, wanted) in [
            ("2026-01-02T03:04:05.678Z INFO up", at),
            ("2026-01-02T03:04:05.678901234Z up", at),
            ("2026-01-02 03:04:05,678 - root - ERROR - no", at),
            ("2026-01-02T05:04:05.678+02:00 up", at),
            ("2026/01/02 03:04:05 [error] 7#7: *1 no", second),
            ("[2026-01-02 03:04:05] up", second),
            ("10.0.0.1 - - [02/Jan/2026:05:04:05 +0200] \"GET / HTTP/1.1\" 200", second),
            ("1:M 02 Jan 2026 03:04:05.678 * Ready", at),
            ("level=info ts=2026-01-02T03:04:05.678Z msg=\"at 2020-01-01T00:00:00Z\"", at),
            ("time=\"2026-01-02T03:04:05Z\" level=warning", second),
            ("{\"time\":\"2026-01-02T03:04:05.678Z\"}", at),
            ("{\"ts\":1767323045.678,\"level\":\"info\"}", at),
            ("{\"timestamp\":1767323045678}", at),
            ("{\"@timestamp\":1767323045678000}", at),
        ] {
            assert_eq!(read(line).at, Some(wanted), "{line}");
        }
        for line in
            ["up", "", "{}", "{\"ts\":7}", "12:34:56 up", "2026-13-45T99:99:99Z", "日本 2026"]
        {
            assert_eq!(read(line).at, None, "{line}");
        }
    }

    #[test]
    fn levels_are_read_in_the_forms_logs_have() {
        for (line, wanted) in [
            ("2026-01-02T03:04:05Z ERROR no", Some("error")),
            ("2026/01/02 03:04:05 [crit] no", Some("fatal")),
            ("warning: deprecated", Some("warn")),
            ("ts=1 level=warn msg=\"ERROR\"", Some("warn")),
            ("{\"severity\":\"WARNING\"}", Some("warn")),
            ("{\"level\":50}", Some("error")),
            ("an error is no news", None),
            ("ERRORS: 0", None),
            ("日本 INFO up", Some("info")),
        ] {
            assert_eq!(read(line).level, wanted, "{line}");
        }
    }

    #[test]
    fn any_line_can_be_read() {
        let mut line = "2026-01-02T03:04:05.678+02:00 02/Jan/2026:03:04:05 level=\"é".to_owned();
        while line.pop().is_some() {
            read(&line);
            read(&format!("é{line}é"));
        }
        read(&"日".repeat(200));
    }
}

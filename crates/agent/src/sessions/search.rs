//! Which lines of a log are wanted: by text, by field, by level. It sees bytes as they are read,
//! and decides nothing about where reading starts and ends.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use atoll_model::agent::LogFilter;
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use crate::collect::logs::level::{self, Level};

/// One search may read so much,
const MOST_BYTES: usize = 4 << 30;
/// and last so long, from one end of the log to the other.
const MOST_TIME: Duration = Duration::from_secs(60);
/// The last lines are kept up to so many bytes.
const MOST_TAIL: usize = 8 << 20;
/// A line is looked at up to here, and sent up to here.
const LONGEST: usize = 1 << 20;

/// What a search has cost so far.
pub struct Spent {
    begun: Instant,
    bytes: usize,
}

impl Spent {
    /// Nothing yet.
    pub fn begin(now: Instant) -> Spent {
        Spent { begun: now, bytes: 0 }
    }

    /// Counts what was read; what to say, if that is enough.
    pub fn too_much(&mut self, bytes: usize, now: Instant) -> Option<String> {
        self.bytes = self.bytes.saturating_add(bytes);
        let long = now.saturating_duration_since(self.begun) > MOST_TIME;
        (long || self.bytes > MOST_BYTES).then(|| {
            let mib = self.bytes >> 20;
            format!("the search was given up after {mib} MiB; ask for a shorter time")
        })
    }
}

/// Picks lines out of what is read.
pub struct Picker {
    text: Option<Text>,
    fields: BTreeMap<String, String>,
    level: Option<Level>,
    /// The beginning of a line whose end has not been read.
    rest: Vec<u8>,
    /// The last lines picked, until the end has been reached.
    tail: Option<Tail>,
}

/// A text that is looked for.
enum Text {
    /// As it is: found in many lines at once.
    Plain(Regex),
    /// An expression: tried on each line, as it might match across two.
    Expression(Regex),
}

struct Tail {
    most: usize,
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Picker {
    /// Of a filter; none, if that looks at no line. With `tail`, what is picked is held back until
    /// [`Picker::caught_up`], and only the last so many lines are given.
    ///
    /// # Errors
    /// One sentence for people.
    pub fn new(filter: &LogFilter, tail: Option<u32>) -> Result<Option<Picker>, String> {
        if !filter.looks_at_lines() {
            return Ok(None);
        }
        let text = filter.contains.as_deref().filter(|text| !text.is_empty());
        let text = match text {
            None => None,
            Some(text) if filter.regex => Some(Text::Expression(expression(text)?)),
            Some(text) => Some(Text::Plain(expression(&regex::escape(text))?)),
        };
        let level = match filter.level.as_deref() {
            None => None,
            Some("unknown") => Some(Level::Unknown),
            Some(name) => Some(Level::of(name).ok_or_else(|| {
                let all: Vec<&str> = Level::ALL.iter().map(|level| level.name()).collect();
                format!("{name:?} is not a level; give one of {}", all.join(", "))
            })?),
        };
        let tail = tail.map(|most| Tail {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            lines: VecDeque::new(),
            bytes: 0,
        });
        let fields = filter.fields.clone();
        Ok(Some(Picker { text, fields, level, rest: Vec::new(), tail }))
    }

    /// Takes what was read, and gives the lines that are wanted, each with its end.
    pub fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut picked = Vec::new();
        let Some(last) = piece.iter().rposition(|b| *b == b'\n') else {
            self.keep(piece);
            return picked;
        };
        let (mut block, rest) = piece.split_at(last + 1);
        if !self.rest.is_empty() {
            let end = block.iter().position(|b| *b == b'\n').map_or(block.len(), |at| at + 1);
            let mut line = std::mem::take(&mut self.rest);
            line.extend_from_slice(&block[..end]);
            self.pick_block(&line, &mut picked);
            line.clear();
            self.rest = line;
            block = &block[end..];
        }
        self.pick_block(block, &mut picked);
        self.keep(rest);
        picked
    }

    /// The end has been reached for now: the last lines, where those were asked for. A line
    /// without an end is taken as it is if nothing more comes.
    pub fn caught_up(&mut self, for_good: bool) -> Vec<u8> {
        let mut picked = Vec::new();
        if for_good && !self.rest.is_empty() {
            let line = std::mem::take(&mut self.rest);
            self.pick_block(&line, &mut picked);
        }
        let tail = self.tail.take();
        let mut out: Vec<u8> = tail.into_iter().flat_map(|tail| tail.lines).flatten().collect();
        out.append(&mut picked);
        out
    }

    fn keep(&mut self, rest: &[u8]) {
        let room = LONGEST.saturating_sub(self.rest.len());
        self.rest.extend_from_slice(&rest[..rest.len().min(room)]);
    }

    /// Picks from whole lines.
    fn pick_block(&mut self, mut block: &[u8], picked: &mut Vec<u8>) {
        while !block.is_empty() {
            if let Some(Text::Plain(text)) = &self.text {
                // Lines before the next one that holds it are not looked at at all.
                let Some(found) = text.find(block) else { return };
                let before = block[..found.start()].iter().rposition(|b| *b == b'\n');
                block = &block[before.map_or(0, |at| at + 1)..];
            }
            let end = block.iter().position(|b| *b == b'\n').map_or(block.len(), |at| at + 1);
            let (line, rest) = block.split_at(end);
            if self.wants(line.strip_suffix(b"\n").unwrap_or(line)) {
                self.give(line, picked);
            }
            block = rest;
        }
    }

    fn wants(&self, line: &[u8]) -> bool {
        if let Some(Text::Expression(text)) = &self.text
            && !text.is_match(line)
        {
            return false;
        }
        if self.level.is_some_and(|level| level::detect(line) != level) {
            return false;
        }
        if self.fields.is_empty() {
            return true;
        }
        if line.trim_ascii_start().first() == Some(&b'{') {
            let Ok(object) = serde_json::from_slice::<Value>(line) else { return false };
            return self.fields.iter().all(|(name, value)| has(&object, name, value));
        }
        let equal = |(name, value): (&String, &String)| {
            level::logfmt_value(line, name).is_some_and(|found| found == *value)
        };
        self.fields.iter().all(equal)
    }

    fn give(&mut self, line: &[u8], picked: &mut Vec<u8>) {
        let Some(tail) = &mut self.tail else {
            picked.extend_from_slice(line);
            return;
        };
        tail.bytes += line.len();
        tail.lines.push_back(line.to_vec());
        while tail.lines.len() > tail.most || tail.bytes > MOST_TAIL {
            let Some(first) = tail.lines.pop_front() else { break };
            tail.bytes -= first.len();
        }
    }
}

fn expression(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(1 << 20).dfa_size_limit(4 << 20).build();
    built.map_err(|e| format!("{text:?} is not a regular expression: {e}"))
}

/// Whether an object has that value under that name: as it is, or as a way through objects.
fn has(object: &Value, name: &str, value: &str) -> bool {
    let direct = object.get(name);
    let found = direct.or_else(|| name.split('.').try_fold(object, |at, part| at.get(part)));
    match found {
        Some(Value::String(text)) => text == value,
        Some(Value::Null) | None => false,
        Some(other) => serde_json::to_string(other).is_ok_and(|text| text == value),
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::agent::Ask;
    use serde_json::json;

    use super::*;

    const LOG: &str = "{\"level\":\"error\",\"msg\":\"no route\",\"http\":{\"status\":502}}\n\
                       level=warn msg=\"slow answer\" path=/cart status=200\n\
                       ERROR no route to host\n\
                       fine\n\
                       {\"level\":\"info\",\"msg\":\"route found\",\"ok\":true}\n";

    fn picker(filter: Value, tail: Option<u32>) -> Picker {
        let filter: LogFilter = serde_json::from_value(filter).unwrap();
        Picker::new(&filter, tail).unwrap().unwrap()
    }

    /// The numbers of the lines picked, read in pieces of that size.
    fn picked(filter: &Value, tail: Option<u32>, size: usize) -> Vec<usize> {
        let mut picker = picker(filter.clone(), tail);
        let mut out: Vec<u8> = LOG.as_bytes().chunks(size).flat_map(|p| picker.take(p)).collect();
        out.extend(picker.caught_up(true));
        let number = |line: &str| LOG.lines().position(|l| l == line).unwrap();
        std::str::from_utf8(&out).unwrap().lines().map(number).collect()
    }

    #[test]
    fn lines_are_picked_by_text_field_and_level() {
        for (filter, wanted) in [
            (json!({ "contains": "no route" }), vec![0, 2]),
            (json!({ "contains": "NO ROUTE" }), vec![]),
            (json!({ "contains": "(?i)NO ROUTE", "regex": true }), vec![0, 2]),
            (json!({ "contains": "^fine$", "regex": true }), vec![3]),
            (json!({ "contains": "e\\s+E", "regex": true }), vec![]),
            (json!({ "contains": "." }), vec![]),
            (json!({ "fields": { "http.status": "502" } }), vec![0]),
            (json!({ "fields": { "path": "/cart", "status": "200" } }), vec![1]),
            (json!({ "fields": { "msg": "slow answer" } }), vec![1]),
            (json!({ "fields": { "ok": "true" }, "level": "info" }), vec![4]),
            (json!({ "level": "error" }), vec![0, 2]),
            (json!({ "level": "WARNING", "contains": "slow" }), vec![1]),
            (json!({ "level": "unknown" }), vec![3]),
        ] {
            for size in [1, 7, 64, 10_000] {
                assert_eq!(picked(&filter, None, size), wanted, "{filter} in pieces of {size}");
            }
        }
    }

    #[test]
    fn the_last_of_those_picked_are_given_at_the_end() {
        let filter = json!({ "contains": "route" });
        assert_eq!(picked(&filter, Some(2), 10), [2, 4]);
        assert_eq!(picked(&filter, Some(0), 10), Vec::<usize>::new());
        let mut picker = picker(filter, Some(1));
        assert!(picker.take(LOG.as_bytes()).is_empty());
        assert!(picker.caught_up(false).starts_with(b"{\"level\":\"info\""));
        assert_eq!(picker.take(b"a route\n"), b"a route\n", "then as they come");
    }

    #[test]
    fn wrong_filters_are_refused_and_empty_ones_are_none() {
        let new = |filter| Picker::new(&serde_json::from_value(filter).unwrap(), None);
        assert!(new(json!({ "until": "5m" })).unwrap().is_none());
        let why = new(json!({ "contains": "(", "regex": true })).err().unwrap();
        assert!(why.contains("is not a regular expression"), "{why}");
        let why = new(json!({ "level": "loud" })).err().unwrap();
        assert!(why.contains("give one of"), "{why}");
        let huge = new(json!({ "contains": "a{1000}{1000}", "regex": true }));
        assert!(huge.is_err(), "an expression that would take all memory");
    }

    #[test]
    fn old_and_new_agents_understand_what_is_asked() {
        let old = json!({ "type": "logs", "follow": true, "tail": 3, "since": "5m" });
        let Ask::Logs { tail, filter, .. } = serde_json::from_value(old).unwrap() else { panic!() };
        assert_eq!((tail, filter), (Some(3), LogFilter::default()));
        let fields = [("a".to_owned(), "b".to_owned())].into();
        let filter = LogFilter { fields, regex: true, ..LogFilter::default() };
        let ask = Ask::Logs { follow: false, tail: None, since: None, filter };
        let text = serde_json::to_value(&ask).unwrap();
        assert_eq!((&text["fields"]["a"], &text["regex"]), (&json!("b"), &json!(true)));
        assert_eq!(serde_json::from_value::<Ask>(text).unwrap(), ask);
    }

    #[test]
    fn a_search_has_an_end() {
        let now = crate::clock::instant();
        let mut spent = Spent::begin(now);
        assert_eq!(spent.too_much(1000, now), None);
        assert!(spent.too_much(1000, now + 2 * MOST_TIME).is_some());
        assert!(spent.too_much(MOST_BYTES, now).is_some());
        let mut picker = picker(json!({ "contains": "x" }), None);
        for _ in 0..50 {
            picker.take(&[b'x'; 100_000]);
        }
        assert!(picker.rest.len() <= LONGEST);
    }
}

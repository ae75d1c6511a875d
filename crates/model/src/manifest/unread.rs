//! Everything of a document that cannot be read, not only the first: what was found wrong is left
//! out, and the rest is read again.

use serde_json::{Map, Value};

use super::place::left;
use crate::name::{Invalid, Problem};
use crate::object::Unread;

/// So many mistakes of a document are told.
const MOST: usize = 100;
/// So many of them are looked for in the fields of an entry, which is read anew for each of these.
const MOST_LOOKED_INTO: usize = 20;

/// What cannot be read of a document.
pub(super) struct Unreadable<T> {
    /// All of it.
    pub all: Vec<Unread>,
    /// What could be read once that was left out.
    rest: Option<Box<T>>,
    /// The paths of what was left out, as it was written.
    gone: Vec<String>,
    /// The words of that: its names, and what it said.
    words: Vec<String>,
}

/// Reads a value.
///
/// # Errors
/// All that cannot be read.
pub(super) fn read_all<T>(
    value: Value,
    read: impl Fn(Value) -> Result<T, Unread>,
) -> Result<T, Unreadable<T>> {
    let mut rest = value;
    let mut found = Unreadable { all: Vec::new(), rest: None, gone: Vec::new(), words: Vec::new() };
    loop {
        let mut wrong = match read(rest.clone()) {
            Ok(read) if found.all.is_empty() => return Ok(read),
            Ok(read) => {
                found.rest = Some(Box::new(read));
                return Err(found);
            }
            Err(wrong) => wrong,
        };
        if wrong.path == "." {
            wrong.path.clear();
        }
        if found.all.len() < MOST_LOOKED_INTO {
            wrong.path = in_entry(&rest, &wrong, &read).unwrap_or(wrong.path);
        }
        // Of what is missing, all that misses it is left out; what else is wrong in it is told
        // before that.
        let place = wrong.path.clone();
        let written = as_written(&place, &found.gone);
        wrong.path.clone_from(&written);
        if !found.is_told(&wrong) {
            found.all.push(wrong);
        }
        // Without its kind nobody knows how a document is read.
        if written == "kind" || found.all.len() >= MOST {
            return Err(found);
        }
        let Some(removed) = remove(&mut rest, &place) else { return Err(found) };
        found
            .words
            .extend(written.rsplit(['.', '[', ']']).find(|w| !w.is_empty()).map(str::to_owned));
        words(&removed, &mut found.words);
        found.gone.push(written);
    }
}

impl<T> Unreadable<T> {
    /// What is missing because it was left out itself, or has another name, is told already.
    fn is_told(&self, wrong: &Unread) -> bool {
        let beside =
            |told: &Unread| told.path.rsplit_once('.').map_or("", |(of, _)| of) == wrong.path;
        wrong.missing().is_some_and(|field| {
            let field = match wrong.path.as_str() {
                "" => field.to_owned(),
                path => format!("{path}.{field}"),
            };
            self.gone.contains(&field) || self.all.iter().any(beside)
        })
    }

    /// What is not valid of the rest, with its paths as they were written: only what would be so
    /// whatever stood in the place of what could not be read. That has nothing to say of what it
    /// stands in or beside, nor of what speaks of it by name.
    pub(super) fn invalid(&self, valid: impl Fn(&T) -> Result<(), Invalid>) -> Vec<Problem> {
        let problems = self.rest.as_deref().and_then(|rest| valid(rest).err());
        let written = problems.into_iter().flat_map(|Invalid(all)| all).map(|problem| Problem {
            path: as_written(&problem.path, &self.gone),
            message: problem.message,
        });
        let of_its_own = |problem: &Problem| {
            let near = self.gone.iter().any(|gone| {
                left(&problem.path, around(gone)).is_some() || left(gone, &problem.path).is_some()
            });
            let letter = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
            let mut said = problem.message.split(letter);
            !near && !said.any(|word| self.words.iter().any(|gone| gone == word))
        };
        written.filter(of_its_own).collect()
    }
}

/// The path of what a path stands in; an entry of a list stands by itself.
fn around(path: &str) -> &str {
    match path.ends_with(']') {
        true => path,
        false => path.rfind('.').map_or("", |at| &path[..at]),
    }
}

/// All that a value says: texts, and the names of fields.
fn words(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(entries) => entries.iter().for_each(|entry| words(entry, all)),
        Value::Object(fields) => fields.iter().for_each(|(key, inner)| {
            all.push(key.clone());
            words(inner, all);
        }),
        _ => {}
    }
}

/// The path of the field that cannot be read, where a reader tells only the entry it is in: one
/// that says by a field what it is, which has to be known before the others can be read. Fields
/// are read in their order, so it is the first with which the same is told as with all.
fn in_entry<T>(
    value: &Value,
    wrong: &Unread,
    read: &impl Fn(Value) -> Result<T, Unread>,
) -> Option<String> {
    let mut whole = value.clone();
    let fields = at_path(&mut whole, &wrong.path)?.as_object_mut().map(std::mem::take)?;
    if wrong.missing().is_some() {
        return None;
    }
    let mut told = |fields: &Map<String, Value>| {
        *at_path(&mut whole, &wrong.path)? = Value::Object(fields.clone());
        read(whole.clone()).err().filter(|e| e.path.trim_start_matches('.') == wrong.path)
    };
    let kind = told(&Map::new())?.missing()?.to_owned();
    let mut kept = Map::new();
    let first = fields.get_key_value(&kind).into_iter();
    for (key, field) in first.chain(fields.iter().filter(|(key, _)| **key != kind)) {
        kept.insert(key.clone(), field.clone());
        if told(&kept).is_some_and(|other| other.says(wrong)) {
            return Some(format!("{}.{key}", wrong.path));
        }
    }
    None
}

/// Fields that were written as a list, of which a reader takes one entry after another for the next
/// field: what was read has names for them.
pub(super) fn lists_for_fields(written: &Value, read: &Value, path: &str) -> Vec<Problem> {
    match (written, read) {
        (Value::Array(_), Value::Object(_)) => {
            let message = "invalid type: a list, expected fields with values".to_owned();
            vec![Problem { path: path.to_owned(), message }]
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            let both = written.iter().zip(read).enumerate();
            both.flat_map(|(i, (a, b))| lists_for_fields(a, b, &format!("{path}[{i}]"))).collect()
        }
        (Value::Object(written), Value::Object(read)) => {
            let at = |key: &str| {
                if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
            };
            let both = written.iter().filter_map(|(key, a)| Some((key, a, read.get(key)?)));
            both.flat_map(|(key, a, b)| lists_for_fields(a, b, &at(key))).collect()
        }
        _ => Vec::new(),
    }
}

/// A path of what was written, from one of what is left of it once these were left out: the entries
/// after one that is gone have moved up.
fn as_written(path: &str, gone: &[String]) -> String {
    let (mut written, mut rest) = (String::new(), path);
    while let Some((before, (index, after))) =
        rest.split_once('[').and_then(|(before, rest)| Some((before, rest.split_once(']')?)))
    {
        written.push_str(before);
        let entry = |one: &String| {
            let index = one.strip_prefix(&written)?.strip_prefix('[')?.strip_suffix(']')?;
            index.parse::<usize>().ok()
        };
        let mut before: Vec<usize> = gone.iter().filter_map(entry).collect();
        before.sort_unstable();
        let index = index.parse::<usize>().unwrap_or_default();
        let index = before.into_iter().fold(index, |index, one| index + usize::from(one <= index));
        written.push_str(&format!("[{index}]"));
        rest = after;
    }
    written + rest
}

/// Takes away what a path leads to, if it leads anywhere.
fn remove(value: &mut Value, path: &str) -> Option<Value> {
    match step(value, path)? {
        (Value::Object(fields), At::Field(key), "") => fields.remove(&key),
        (Value::Array(entries), At::Entry(index), "") => Some(entries.remove(index)),
        (inner, at, rest) => remove(at.of(inner)?, rest),
    }
}

/// What a path leads to.
fn at_path<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    if path.is_empty() {
        return Some(value);
    }
    let (inner, at, rest) = step(value, path)?;
    at_path(at.of(inner)?, rest)
}

/// One part of a path.
enum At {
    Field(String),
    Entry(usize),
}

impl At {
    fn of(self, value: &mut Value) -> Option<&mut Value> {
        match self {
            At::Field(key) => value.get_mut(key),
            At::Entry(index) => value.get_mut(index),
        }
    }
}

/// The first part of a path in a value, if that has it, and what is left of the path.
fn step<'v, 'p>(value: &'v mut Value, path: &'p str) -> Option<(&'v mut Value, At, &'p str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    let (at, rest) = match value {
        Value::Object(fields) => {
            let fits = fields.keys().filter(|key| left(path, key).is_some());
            let key = fits.max_by_key(|key| key.len())?.clone();
            let rest = left(path, &key)?;
            (At::Field(key), rest)
        }
        Value::Array(entries) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            let index = index.parse::<usize>().ok().filter(|index| *index < entries.len())?;
            (At::Entry(index), rest)
        }
        _ => return None,
    };
    Some((value, at, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_told_by_where_they_were_written() {
        let gone = ["spec.a[0]", "spec.a[2]", "spec.a[3].b[1]"].map(str::to_owned);
        for (left, written) in [
            ("spec.a[0].c", "spec.a[1].c"),
            ("spec.a[1]", "spec.a[3]"),
            ("spec.a[1].b[1]", "spec.a[3].b[2]"),
            ("spec.a[2].b[1]", "spec.a[4].b[1]"),
            ("spec.b[0]", "spec.b[0]"),
            ("spec", "spec"),
        ] {
            assert_eq!(as_written(left, &gone), written);
        }
    }

    #[test]
    fn what_a_path_leads_to_is_taken_away() {
        let mut value = json!({ "a.b": [1, { "c": 2 }], "a": { "b": 3 } });
        assert_eq!(remove(&mut value, "a.b[1].c"), Some(json!(2)));
        assert_eq!(remove(&mut value, "a.b[0]"), Some(json!(1)));
        assert_eq!(remove(&mut value, "a.b[1]"), None);
        assert_eq!(remove(&mut value, "z"), None);
        assert_eq!(value, json!({ "a.b": [{}], "a": { "b": 3 } }));
    }
}

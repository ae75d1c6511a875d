//! Everything of a document that cannot be read, not only the first: what was found wrong is left
//! out, and the rest is read again.

use serde_json::Value;

use super::place::left;
use crate::name::Problem;
use crate::object::Unread;

/// So many mistakes of a document are told.
const MOST: usize = 100;

/// Reads a value.
///
/// # Errors
/// All that cannot be read.
pub(super) fn read_all<T>(
    value: Value,
    read: impl Fn(Value) -> Result<T, Unread>,
) -> Result<T, Vec<Unread>> {
    let (mut rest, mut gone) = (value, Vec::new());
    let mut all: Vec<Unread> = Vec::new();
    loop {
        let mut wrong = match read(rest.clone()) {
            Ok(read) if all.is_empty() => return Ok(read),
            Ok(_) => return Err(all),
            Err(wrong) => wrong,
        };
        if wrong.path == "." {
            wrong.path.clear();
        }
        // Of what is missing, all that misses it is left out; what else is wrong in it is told
        // before that.
        let (place, written) = (wrong.path.clone(), as_written(&wrong.path, &gone));
        wrong.path = as_written(&wrong.path, &gone);
        // What is missing because it was left out itself, or has another name, is told already.
        let beside =
            |told: &Unread| told.path.rsplit_once('.').map_or("", |(of, _)| of) == wrong.path;
        let is_told = wrong.missing().is_some_and(|field| {
            let field = match wrong.path.as_str() {
                "" => field.to_owned(),
                path => format!("{path}.{field}"),
            };
            gone.contains(&field) || all.iter().any(beside)
        });
        if !is_told {
            all.push(wrong);
        }
        // Without its kind nobody knows how a document is read.
        if written == "kind" || all.len() >= MOST || !remove(&mut rest, &place) {
            return Err(all);
        }
        gone.push(written);
    }
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

/// Takes away what a path leads to; false, where it leads nowhere.
fn remove(value: &mut Value, path: &str) -> bool {
    let path = path.strip_prefix('.').unwrap_or(path);
    match value {
        Value::Object(fields) => {
            let fits = fields.keys().filter(|key| left(path, key).is_some());
            let Some(key) = fits.max_by_key(|key| key.len()).cloned() else { return false };
            match left(path, &key) {
                Some("") | None => fields.remove(&key).is_some(),
                Some(rest) => fields.get_mut(&key).is_some_and(|inner| remove(inner, rest)),
            }
        }
        Value::Array(entries) => {
            let split = path.strip_prefix('[').and_then(|path| path.split_once(']'));
            let index = split.and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest)));
            match index.filter(|(index, _)| *index < entries.len()) {
                Some((index, "")) => {
                    entries.remove(index);
                    true
                }
                Some((index, rest)) => remove(&mut entries[index], rest),
                None => false,
            }
        }
        _ => false,
    }
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
        assert!(remove(&mut value, "a.b[1].c"));
        assert!(remove(&mut value, "a.b[0]"));
        assert!(!remove(&mut value, "a.b[1]"));
        assert!(!remove(&mut value, "z"));
        assert_eq!(value, json!({ "a.b": [{}], "a": { "b": 3 } }));
    }
}

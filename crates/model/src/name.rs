//! Names, labels, and what is said of a field that is wrong. Not the parsing of manifests.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const LONGEST: usize = 128;

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Where: `spec.run.command`; empty for the whole.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// Everything wrong with an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Invalid(pub Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

impl Invalid {
    /// A single problem.
    pub fn one(path: &str, message: impl Into<String>) -> Invalid {
        Invalid(vec![Problem { path: path.to_owned(), message: message.into() }])
    }

    /// Notes a problem.
    pub fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(Problem { path: path.to_owned(), message: message.into() });
    }

    /// Notes a problem where `wrong`.
    pub fn add_if(&mut self, wrong: bool, path: &str, message: impl Into<String>) {
        if wrong {
            self.add(path, message);
        }
    }

    /// Takes over the problems of a part, their paths below `path`.
    pub fn nest(&mut self, path: &str, part: Result<(), Invalid>) {
        if let Err(Invalid(problems)) = part {
            self.0.extend(problems.into_iter().map(|p| {
                let alone = path.is_empty() || p.path.is_empty();
                let below = if alone || p.path.starts_with('[') {
                    format!("{path}{}", p.path)
                } else {
                    format!("{path}.{}", p.path)
                };
                Problem { path: below, message: p.message }
            }));
        }
    }

    /// `Ok` where nothing was noted.
    ///
    /// # Errors
    /// What was noted.
    pub fn into_result(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// Checks the name of an object made by a person: lower-case letters, digits and `-`.
///
/// # Errors
/// What is wrong with it.
pub fn check_simple(name: &str) -> Result<(), Invalid> {
    check(name, false)
}

/// Checks the name of a derived object, whose parents are joined with dots.
///
/// # Errors
/// What is wrong with it.
pub fn check_derived(name: &str) -> Result<(), Invalid> {
    check(name, true)
}

fn check(name: &str, dots: bool) -> Result<(), Invalid> {
    let wrong = |why: &str| Err(Invalid::one("", format!("{name:?} {why}")));
    if name.is_empty() {
        return wrong("is empty; give it a name");
    }
    if name.len() > LONGEST {
        return wrong(&format!("is longer than {LONGEST} characters"));
    }
    let part = |p: &str| {
        !p.is_empty()
            && !p.starts_with('-')
            && !p.ends_with('-')
            && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let good = if dots { name.split('.').all(part) } else { part(name) };
    if good {
        Ok(())
    } else if dots {
        wrong("may hold lower-case letters, digits and '-', its parts joined with single dots")
    } else {
        wrong("may hold lower-case letters, digits and '-' only, and starts and ends with neither")
    }
}

/// Checks a version of a package: letters, digits, `.`, `_`, `-` and `+`.
///
/// # Errors
/// What is wrong with it.
pub fn check_version(version: &str) -> Result<(), Invalid> {
    let good = !version.is_empty()
        && version.len() <= LONGEST
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b))
        && !version.starts_with('.')
        && !version.contains("..");
    if good {
        Ok(())
    } else {
        Err(Invalid::one(
            "",
            format!("version {version:?} may hold letters, digits and ._-+ and starts with no dot"),
        ))
    }
}

/// Checks labels: keys as names with `.`, `_` and `/`, values up to 128 visible characters.
///
/// # Errors
/// Every label that is wrong.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    for (key, value) in labels {
        let good = |s: &str, extra: &[u8]| {
            s.len() <= LONGEST && s.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
        };
        if key.is_empty() || !good(key, b"-_./") {
            invalid.add("", format!("key {key:?} may hold letters, digits and -_./ only"));
        }
        if !good(value, b"-_./:@+") {
            invalid
                .add("", format!("value {value:?} of {key:?} may hold letters, digits, -_./:@+"));
        }
    }
    invalid.into_result()
}

/// The candidate nearest to a mistyped word, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let known = synonym(&word);
    candidates
        .map(|c| {
            let lower = c.to_ascii_lowercase();
            let far = if known == Some(c) { 0 } else { distance(&word, &lower) };
            (far, c)
        })
        .filter(|(far, c)| {
            let longest = c.chars().count().max(word.chars().count());
            // As far apart as the longer one is long, they have nothing in common.
            *far <= (longest / 3).max(1) && *far < longest
        })
        .min_by_key(|(far, _)| *far)
        .map(|(_, c)| c)
}

/// What users of other systems write for a field of ours.
fn synonym(word: &str) -> Option<&'static str> {
    Some(match word {
        "replica" | "replicas" | "count" => "instances",
        "image" | "artifact" => "package",
        "cmd" | "args" | "entrypoint" => "command",
        "nodeselector" | "nodes" => "hosts",
        "environment" | "vars" => "env",
        "limits" | "requests" => "resources",
        "healthcheck" | "probe" | "livenessprobe" | "readinessprobe" => "health",
        _ => return None,
    })
}

/// Optimal string alignment distance, for words of a manifest's length.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let swap = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + swap);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// Turns a serde message into a problem with the near field suggested.
pub(crate) fn explain_serde(path: &str, message: &str) -> Invalid {
    let path = if path == "." { "" } else { path };
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let what = if message.starts_with("unknown field") { "field" } else { "value" };
        let word = quoted.next().unwrap_or_default().to_owned();
        let known: Vec<&str> = quoted.collect();
        let at = path.strip_suffix(&word).unwrap_or(path).trim_end_matches('.');
        let place = if at.is_empty() { String::new() } else { format!(" at {at}") };
        let near = nearest(&word, known.iter().copied());
        let hint = match near {
            Some(near) => format!("; did you mean {near:?}?"),
            None => format!("; known here: {}", known.join(", ")),
        };
        return Invalid::one(at, format!("unknown {what} {word:?}{place}{hint}"));
    }
    if message.starts_with("missing field") {
        let word = quoted.next().unwrap_or_default();
        let place = if path.is_empty() { String::new() } else { format!(" at {path}") };
        return Invalid::one(path, format!("field {word:?} is missing{place}"));
    }
    let (told, expected) = message.rsplit_once("expected ").unwrap_or((message, ""));
    let message = match in_words(expected) {
        Some(words) => format!("{told}expected {words}"),
        None => message.to_owned(),
    };
    // What was written instead.
    let told = WRITTEN.iter().find_map(|(reader, words)| {
        Some(format!("invalid type: {words}{}", message.strip_prefix(reader)?))
    });
    Invalid::one(path, told.unwrap_or(message))
}

/// What a reader calls what was written, and what people do.
const WRITTEN: [(&str, &str); 4] = [
    ("invalid type: sequence,", "a list,"),
    ("invalid type: map,", "fields with values,"),
    ("invalid type: unit value,", "nothing,"),
    ("invalid type: null,", "nothing,"),
];

/// What a reader expects, in words of what people write.
fn in_words(expected: &str) -> Option<&'static str> {
    Some(match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "a map" => "fields with values",
        "string or map" => "a word, or a word with fields below it",
        "map with a single key" => "one word with fields below it",
        _ => {
            let forms = ["struct ", "internally tagged enum ", "struct variant "];
            return forms
                .iter()
                .any(|form| expected.starts_with(form))
                .then_some("fields with values");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_a_path_would_follow() {
        assert!(check_simple("shop-2").is_ok());
        for bad in ["", "..", "a/b", "Shop", "-a", "a-", "a.b", "a\0", "é"] {
            assert!(check_simple(bad).is_err(), "{bad:?} was taken");
        }
        assert!(check_derived("shop.prod.3").is_ok());
        for bad in ["a..b", ".a", "a.", "../x"] {
            assert!(check_derived(bad).is_err(), "{bad:?} was taken");
        }
        assert!(check_version("1.2.3-rc1+5").is_ok());
        for bad in ["", "..", "a/b", "1..2", ".hidden"] {
            assert!(check_version(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn the_near_word_is_suggested() {
        let fields = ["application", "environment", "instances", "release"];
        assert_eq!(nearest("replica", fields.into_iter()), Some("instances"));
        assert_eq!(nearest("instnaces", fields.into_iter()), Some("instances"));
        assert_eq!(nearest("zebra", fields.into_iter()), None);
        let short = ["a", "ab"];
        assert_eq!(nearest("b", ["a"].into_iter()), None, "they have nothing in common");
        assert_eq!(nearest("b", short.into_iter()), Some("ab"));
    }
}

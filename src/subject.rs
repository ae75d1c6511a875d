//! How objects are named on the command line: `KIND/NAME`, or `KIND NAME…`. Knows kinds, and
//! nothing of whether an object is there.

use std::fmt;
use std::str::FromStr;

use atoll_model::{Any, Kind, name};

use crate::exit::Failure;

/// One object by kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.lower(), self.name)
    }
}

impl FromStr for Subject {
    type Err = String;
    fn from_str(text: &str) -> Result<Subject, String> {
        let (kind, name) = text
            .split_once('/')
            .ok_or_else(|| format!("{text:?}: write it as KIND/NAME, like deployment/shop.prod"))?;
        let kind: Kind = kind.parse()?;
        name::check_derived(name).map_err(|e| e.to_string())?;
        Ok(Subject { kind, name: name.to_owned() })
    }
}

impl Subject {
    /// The subject an object is.
    pub fn is(any: &Any) -> Subject {
        Subject { kind: any.kind(), name: any.name().to_owned() }
    }

    /// The same, where only some kinds make sense.
    ///
    /// # Errors
    /// A usage failure naming the kinds that do.
    pub fn of(self, kinds: &[Kind]) -> Result<Subject, Failure> {
        if kinds.contains(&self.kind) {
            return Ok(self);
        }
        let known: Vec<String> = kinds.iter().map(|k| format!("{}/NAME", k.lower())).collect();
        Err(Failure::usage(format!("{self}: this is done to {} only", known.join(" or "))))
    }
}

/// What `get` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Every object of every kind.
    Everything,
    /// Every object of some kinds: `get hosts,zones`.
    Kinds(Vec<Kind>),
    /// Objects by name.
    Subjects(Vec<Subject>),
}

/// Reads `all`, `KIND[,KIND]`, `KIND NAME…` and `KIND/NAME…`.
///
/// # Errors
/// A usage failure saying which word is wrong.
pub fn asked(words: &[String]) -> Result<Asked, Failure> {
    let Some((first, rest)) = words.split_first() else {
        return Err(Failure::usage("say what to get: a kind, KIND/NAME or all"));
    };
    if words.iter().any(|w| w.contains('/')) {
        let subjects: Result<Vec<Subject>, String> = words.iter().map(|w| w.parse()).collect();
        return subjects.map(Asked::Subjects).map_err(Failure::usage);
    }
    if first == "all" && rest.is_empty() {
        return Ok(Asked::Everything);
    }
    let kinds: Result<Vec<Kind>, String> = first.split(',').map(str::parse).collect();
    let kinds = kinds.map_err(|wrong| Failure::usage(with_kinds(wrong)))?;
    if rest.is_empty() {
        return Ok(Asked::Kinds(kinds));
    }
    let [kind] = kinds[..] else {
        return Err(Failure::usage("names go with one kind; write KIND/NAME for several"));
    };
    let subjects: Result<Vec<Subject>, String> =
        rest.iter().map(|name| format!("{}/{name}", kind.lower()).parse()).collect();
    subjects.map(Asked::Subjects).map_err(Failure::usage)
}

/// Where no kind is near what was typed, all of them are named.
fn with_kinds(wrong: String) -> String {
    if wrong.contains("did you mean") {
        return wrong;
    }
    let all: Vec<&str> = Kind::ALL.iter().map(|k| k.plural()).collect();
    format!("{wrong}; there are {}", all.join(", "))
}

/// Reads `KIND/NAME…` and `KIND NAME…`, where nothing but names makes sense.
///
/// # Errors
/// A usage failure saying which word is wrong.
pub fn named(words: &[String]) -> Result<Vec<Subject>, Failure> {
    match asked(words)? {
        Asked::Subjects(subjects) => Ok(subjects),
        Asked::Everything | Asked::Kinds(_) => {
            let word = words.join(" ");
            let message = format!("{word:?}: write it as KIND/NAME, like deployment/shop.prod");
            Err(Failure::usage(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Asked, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        asked(&words).map_err(|e| e.to_string())
    }

    #[test]
    fn objects_are_named_in_the_usual_ways() {
        let shop = Subject { kind: Kind::Deployment, name: "shop.prod".into() };
        for line in ["deployment/shop.prod", "deploy shop.prod", "deployments/shop.prod"] {
            assert_eq!(read(line), Ok(Asked::Subjects(vec![shop.clone()])), "{line}");
        }
        assert_eq!(read("all"), Ok(Asked::Everything));
        assert_eq!(read("hosts,zone"), Ok(Asked::Kinds(vec![Kind::Host, Kind::Zone])));
        assert_eq!(shop.to_string(), "deployment/shop.prod");
    }

    #[test]
    fn wrong_names_say_what_is_meant() {
        let hint = read("deploymnet").unwrap_err();
        assert!(hint.contains("did you mean \"Deployment\"?"), "{hint}");
        let all = read("nonsense").unwrap_err();
        assert!(all.contains("there are applications, "), "{all}");
        assert!(read("host/../x").is_err());
        assert!(read("hosts,zones a").is_err());
        let host: Subject = "host/h1".parse().unwrap();
        let wrong = host.of(&[Kind::Deployment]).unwrap_err();
        assert_eq!(wrong.to_string(), "host/h1: this is done to deployment/NAME only");
    }
}

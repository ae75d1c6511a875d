//! The texts objects were read from, kept to find in them what is said of the objects later: by
//! the server, which sees no file. Only what stands before a message is looked at, never the
//! message.

use std::sync::OnceLock;

use serde_json::Value;

use super::place::{Fields, Place};
use super::{documents, options, rule_file};
use crate::rehearsal::KIND;
use crate::{Kind, Reason};

/// The documents of some files.
#[derive(Clone, Debug, Default)]
pub struct Texts(Vec<Document>);

#[derive(Clone, Debug)]
struct Document {
    file: String,
    /// The line it begins at.
    start: usize,
    text: String,
    /// What it is of, once somebody has asked.
    id: OnceLock<Option<String>>,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file, as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Texts {
    /// Adds the documents of a file.
    pub fn add(&mut self, file: &str, text: &str) {
        let all = documents(text).into_iter();
        self.0.extend(all.map(|(start, text)| Document {
            file: file.to_owned(),
            start,
            text: text.to_owned(),
            id: OnceLock::new(),
        }));
    }

    /// Where each document begins to say what it is of, of those that are of an object.
    pub fn of(&self, id: &str) -> Vec<Spot> {
        let all = self.0.iter().filter(|document| document.is_of(id));
        all.map(|document| document.spot("metadata.name")).collect()
    }

    /// Where that stands which a message is about: `kind/name: path: what is wrong`, or of a
    /// scenario `path: what is wrong`.
    pub fn about(&self, message: &str) -> Option<Spot> {
        let (first, rest) = message.split_once(": ").unwrap_or((message, ""));
        if is_path(first) {
            let scenario = self.0.iter().find(|document| document.is_of(KIND))?;
            return Some(scenario.spot(first));
        }
        let id = first.split(' ').next()?;
        let document = self.0.iter().find(|document| document.is_of(id))?;
        let path = rest.split(": ").next().filter(|path| first == id && is_path(path));
        Some(document.spot(path.unwrap_or("metadata.name")))
    }

    /// Says where that stands which a reason is about, if it stands in the texts.
    pub fn place(&self, reason: &mut Reason) -> bool {
        let spot = self.about(&reason.message);
        spot.map(|spot| reason.message.insert_str(0, &format!("{spot}: "))).is_some()
    }
}

/// Whether a word is the path of a field of an object.
fn is_path(word: &str) -> bool {
    let of = |root: &str| word.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'));
    !word.contains(' ') && (of("spec") || of("metadata"))
}

impl Document {
    /// Whether it is of an object, or a scenario where that is asked for.
    fn is_of(&self, id: &str) -> bool {
        self.id.get_or_init(|| self.read_id()).as_deref() == Some(id)
    }

    fn read_id(&self) -> Option<String> {
        let read = serde_saphyr::from_str_with_options(&self.text, options());
        let value = rule_file(&self.file, read.ok()?);
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        match text("/kind")? {
            KIND => Some(KIND.to_owned()),
            kind => Some(format!("{}/{}", Kind::parse(kind)?.lower(), text("/metadata/name")?)),
        }
    }

    fn spot(&self, path: &str) -> Spot {
        let fields = Fields::of(&self.text, options());
        let whole = fields.value("kind");
        let path = if whole == (1, 1) && !self.text.contains("kind") {
            path.strip_prefix("spec.").unwrap_or(path)
        } else {
            path
        };
        let (line, column): Place = fields.value(path);
        Spot { file: self.file.clone(), line: self.start + line - 1, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_an_object_is_found_where_it_was_written() {
        let mut texts = Texts::default();
        texts.add(
            "a.yaml",
            "# both\n---\nkind: Zone\nmetadata: { name: a }\nspec: {}\n---\nkind: Application\n\
             metadata:\n  name: shop\nspec:\n  scaling:\n    schedules:\n      - cron: x\n",
        );
        texts.add("b/alerts.rules.yml", "groups:\n- name: g\n  rules:\n  - expr: up ==\n");
        texts.add(
            "s.yaml",
            "kind: Rehearsal\nmetadata: { name: s }\nspec:\n  faults:\n  - at: 1h\n",
        );
        let at = |message: &str| texts.about(message).map(|spot| spot.to_string());
        for (message, expected) in [
            ("application/shop: spec.scaling.schedules[0].cron: never comes", "a.yaml:13:15"),
            ("application/shop: spec.scaling.max: is less", "a.yaml:11:3"),
            ("application/shop: min 4 is more: much", "a.yaml:9:9"),
            ("application/shop names team/x: no such", "a.yaml:9:9"),
            ("zone/a is given twice", "a.yaml:4:19"),
            ("rule/alerts: spec.groups[0].rules[0].expr: wrong", "b/alerts.rules.yml:4:11"),
            ("spec.faults[0].at: is after the end", "s.yaml:5:9"),
        ] {
            assert_eq!(at(message).as_deref(), Some(expected), "{message}");
        }
        for message in ["application/other: spec.run: x", "no right to do it", "spec: x", ""] {
            assert_eq!(at(message), None, "{message}");
        }
        assert_eq!(texts.of("zone/a").len(), 1);
    }
}

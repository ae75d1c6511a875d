//! Items as a table, and back: every attribute, relation and label a column, each value so written
//! that it is read again as it was. Not tables for people, nor of columns somebody chose.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::cmdb::view::Record;
use atoll_model::{Item, Object};
use serde_json::Value;

use crate::csv::{self, Table};

/// The column records are called by where nobody says otherwise.
pub(super) const NAME: &str = "name";
/// The column of the class.
const TYPE: &str = "type";
/// The column of who answers for an item.
const OWNER: &str = "spec.owner";
/// Before the names of attributes which without would be taken for something else.
const ATTRIBUTE: &str = "spec.attributes.";
const LABEL: &str = "labels.";
const ANNOTATION: &str = "annotations.";
const RELATION: &str = "relations.";

/// The types a schema gives its properties.
pub(super) type Types = BTreeMap<String, String>;

/// The types a schema gives its properties.
pub(super) fn types(schema: Option<&Value>) -> Types {
    let properties = schema.and_then(|schema| schema["properties"].as_object());
    let of = |(name, property): (&String, &Value)| {
        Some((name.clone(), property["type"].as_str()?.to_owned()))
    };
    properties.into_iter().flatten().filter_map(of).collect()
}

/// A record as it stands in a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Row {
    /// Its key may be empty.
    pub record: Record,
    /// The class it names.
    pub of: Option<String>,
}

/// The column of an attribute.
fn title(attribute: &str) -> String {
    let parts = [LABEL, ANNOTATION, RELATION, "spec."];
    let taken = [NAME, TYPE].contains(&attribute);
    match taken || parts.iter().any(|part| attribute.starts_with(part)) {
        true => format!("{ATTRIBUTE}{attribute}"),
        false => attribute.to_owned(),
    }
}

/// Items of classes with these types.
pub(super) fn write(items: &[&Object<Item>], types: &BTreeMap<String, Types>) -> Table {
    let fields: Vec<BTreeMap<String, String>> =
        items.iter().map(|item| fields(item, types.get(&item.spec.of))).collect();
    let all: BTreeSet<&String> = fields.iter().flat_map(BTreeMap::keys).collect();
    // Attributes first, as people read them; then what relates and labels.
    let rank = |title: &str| match title {
        _ if title.starts_with(RELATION) => 1,
        OWNER => 2,
        _ if title.starts_with(LABEL) => 3,
        _ if title.starts_with(ANNOTATION) => 4,
        _ => 0,
    };
    let mut rest: Vec<&String> = all.into_iter().collect();
    rest.sort_by_key(|title| rank(title));
    let head = [NAME, TYPE].into_iter().map(str::to_owned);
    let titles: Vec<String> = head.chain(rest.iter().map(|title| (*title).clone())).collect();
    let row = |(item, fields): (&&Object<Item>, &BTreeMap<String, String>)| {
        let head = [item.name().to_owned(), item.spec.of.clone()];
        let rest = rest.iter().map(|title| fields.get(*title).cloned().unwrap_or_default());
        head.into_iter().chain(rest).collect()
    };
    Table { rows: items.iter().zip(&fields).map(row).collect(), titles }
}

fn fields(item: &Object<Item>, types: Option<&Types>) -> BTreeMap<String, String> {
    let text = |value: &String| csv::field(&Value::from(value.as_str()), Some("string"));
    let of = |key: &String| types.and_then(|types| types.get(key)).map(String::as_str);
    let attributes = item.spec.attributes.iter();
    let attributes = attributes.map(|(key, value)| (title(key), csv::field(value, of(key))));
    let labels = item.meta.labels.iter();
    let labels = labels.map(|(key, value)| (format!("{LABEL}{key}"), text(value)));
    let notes = item.meta.annotations.iter();
    let notes = notes.map(|(key, value)| (format!("{ANNOTATION}{key}"), text(value)));
    let relations = item.spec.relations.iter().map(|(key, all)| {
        let all = if all.is_empty() { "[]".to_owned() } else { all.join(";") };
        (format!("{RELATION}{key}"), all)
    });
    let owner = item.spec.owner.iter().map(|owner| (OWNER.to_owned(), text(owner)));
    attributes.chain(labels).chain(notes).chain(relations).chain(owner).collect()
}

/// The records of a table, each called by one of its columns.
pub(super) fn read(table: &Table, key: &str, types: &Types) -> Vec<Row> {
    let row = |fields: &Vec<String>| {
        let mut row = Row::default();
        let cells = table.titles.iter().zip(fields);
        // An empty field says nothing.
        for (title, field) in cells.filter(|(_, field)| !field.is_empty()) {
            take(&mut row, title, field, key, types);
        }
        row
    };
    table.rows.iter().map(row).collect()
}

fn take(row: &mut Row, title: &str, field: &str, key: &str, types: &Types) {
    let text = || match csv::unfield(field, Some("string")) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let record = &mut row.record;
    if title == key {
        record.key = text();
    } else if title == TYPE {
        row.of = Some(text());
    } else if title == OWNER {
        record.owner = Some(text());
    } else if let Some(label) = title.strip_prefix(LABEL) {
        record.labels.insert(label.to_owned(), text());
    } else if let Some(note) = title.strip_prefix(ANNOTATION) {
        record.annotations.insert(note.to_owned(), text());
    } else if let Some(relation) = title.strip_prefix(RELATION) {
        let listed = field.starts_with('[').then(|| serde_json::from_str(field).ok()).flatten();
        let all = field.split(';').map(str::trim).filter(|to| !to.is_empty());
        let all = listed.unwrap_or_else(|| all.map(str::to_owned).collect());
        record.relations.insert(relation.to_owned(), all);
    } else {
        let name = title.strip_prefix(ATTRIBUTE).unwrap_or(title);
        let of = types.get(name).map(String::as_str);
        record.attributes.insert(name.to_owned(), csv::unfield(field, of));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A generator of numbers that is the same on every run of a seed.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, of: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(self.0 >> 33).unwrap() % of
        }

        fn any(&mut self, all: &[&str]) -> String {
            all[self.roll(all.len())].to_owned()
        }

        fn text(&mut self) -> String {
            let known = [
                "",
                "true",
                "false",
                "null",
                "12",
                "-3",
                "007",
                "1e9",
                "1E9",
                "0.5",
                "=1+1",
                "+49",
                "-=x",
                "'=x",
                "@a",
                "'",
                "\"",
                "\"12\"",
                "[1]",
                "{}",
                "[x",
                "a;b",
                "a,b",
                "x\ny",
                "x\r\ny",
                " a ",
                "\u{feff}x",
                "ü",
            ];
            match self.roll(3) {
                0 => (0..self.roll(4)).map(|_| self.any(&known)).collect(),
                _ => self.any(&known),
            }
        }

        fn value(&mut self, deep: bool) -> Value {
            let numbers = [
                json!(1e21),
                json!(-1e300),
                json!(1e-7),
                json!(1e15),
                json!(1.0),
                json!(0.1),
                json!(-0.000_001),
                json!(u64::MAX),
                json!(i64::MIN),
                json!(0),
                json!(12),
            ];
            match self.roll(if deep { 6 } else { 3 }) {
                0 => json!(self.roll(2) == 0),
                1 => numbers[self.roll(numbers.len())].clone(),
                2 | 3 => json!(self.text()),
                4 => (0..self.roll(3)).map(|_| self.value(false)).collect(),
                _ => (0..self.roll(3)).map(|_| (self.text(), self.value(false))).collect(),
            }
        }

        fn value_of(&mut self, of: &str) -> Value {
            loop {
                let value = self.value(true);
                let fits = match of {
                    "string" => value.is_string(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "array" => value.is_array(),
                    _ => true,
                };
                if fits {
                    return value;
                }
            }
        }

        fn item(&mut self, at: usize, types: &Types) -> Object<Item> {
            let mut item = Object::new(format!("r{at}"), Item::default());
            item.spec.of = "rack".to_owned();
            let free = ["name", "type", "owner", "spec.owner", "labels.a", "relations.in", "x"];
            for name in free.map(str::to_owned).iter().chain(types.keys()) {
                if self.roll(2) == 0 {
                    let value = self.value_of(types.get(name).map_or("", String::as_str));
                    item.spec.attributes.insert(name.clone(), value);
                }
            }
            for label in ["site", "team.io/x"] {
                if self.roll(2) == 0 {
                    item.meta.labels.insert(label.to_owned(), self.text());
                    item.meta.annotations.insert(label.to_owned(), self.text());
                }
            }
            let all = ["zone/a", "item/true", "host/12"];
            for relation in ["in", "feeds"] {
                if self.roll(2) == 0 {
                    let all = (0..self.roll(3)).map(|_| self.any(&all)).collect();
                    item.spec.relations.insert(relation.to_owned(), all);
                }
            }
            item.spec.owner = (self.roll(2) == 0).then(|| "team/dc".to_owned());
            item
        }
    }

    #[test]
    fn whatever_is_exported_is_imported_as_it_was() {
        for seed in 0..2_000 {
            let mut dice = Dice(seed);
            let kinds = ["string", "number", "boolean", "array"];
            let types: Types = kinds.map(|of| (format!("a-{of}"), of.to_owned())).into();
            let items: Vec<_> = (0..1 + dice.roll(4)).map(|at| dice.item(at, &types)).collect();
            let all: Vec<&Object<Item>> = items.iter().collect();
            let text = csv::write(&write(&all, &[("rack".to_owned(), types.clone())].into()));
            let rows = read(&csv::read(&text).unwrap(), NAME, &types);
            let expected: Vec<Row> = items.iter().map(row_of).collect();
            assert_eq!(rows, expected, "seed {seed}\n{text}");
        }
    }

    fn row_of(item: &Object<Item>) -> Row {
        let record = Record {
            key: item.name().to_owned(),
            attributes: item.spec.attributes.clone(),
            relations: item.spec.relations.clone(),
            owner: item.spec.owner.clone(),
            labels: item.meta.labels.clone(),
            annotations: item.meta.annotations.clone(),
        };
        Row { record, of: Some("rack".to_owned()) }
    }
}

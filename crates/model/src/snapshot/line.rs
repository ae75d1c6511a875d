//! Items, a line each: the short values of an item's attributes, one behind the other in one piece
//! of memory, so that a hundred thousand are searched without following a dozen pointers for every
//! one. A line is made from its item whenever that changes, and says nothing the item does not say.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};
use serde_json::Value;

use super::Snapshot;
use crate::{Item, Object};

/// The longest text that stands in a line, in bytes; longer ones are read where they are.
const LONGEST: usize = 256;

/// One item as a search looks at it.
#[derive(Clone, Debug)]
pub struct Line {
    /// The item.
    pub item: Arc<Object<Item>>,
    /// Its class. All items of a class share the text.
    pub class: Arc<str>,
    /// It was not merged into another.
    pub stands: bool,
    /// What does not stand in the line, the item does not say either.
    complete: bool,
    /// First how many attributes there are; for each its number, and where its value ends; the
    /// values, each with what it is before it.
    cells: Box<[u8]>,
}

/// What a line says of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// A text.
    Text(&'a str),
    /// A number, yes or no, or null.
    Plain(Value),
    /// Nothing; nor does the target of the item, nor what was seen of it.
    Nothing,
    /// It has to be looked up in the item.
    Elsewhere,
}

const TEXT: u8 = 0;
const INTEGER: u8 = 1;
const FLOAT: u8 = 2;
const NO: u8 = 3;
const YES: u8 = 4;
const NULL: u8 = 5;
const ELSEWHERE: u8 = 6;

/// Bytes of a number in a line.
const SHORT: usize = 2;

/// All lines by the names of their items.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    all: OrdMap<String, Line>,
    /// The classes there have been: there are few.
    classes: HashMap<String, Arc<str>>,
    /// The attributes there have been, by name.
    attributes: HashMap<String, u16>,
}

impl Lines {
    pub fn all(&self) -> impl Iterator<Item = (&String, &Line)> {
        self.all.iter()
    }

    pub fn put(&mut self, item: &Arc<Object<Item>>) {
        let spec = &item.spec;
        let class = match self.classes.get(&spec.of) {
            Some(class) => class.clone(),
            None => self
                .classes
                .entry(spec.of.clone())
                .or_insert_with(|| spec.of.as_str().into())
                .clone(),
        };
        let (cells, all) = self.cells(&spec.attributes);
        let line = Line {
            item: item.clone(),
            class,
            stands: spec.merged_into.is_none(),
            complete: all && item.status.seen.is_empty(),
            cells,
        };
        self.all.insert(item.meta.name.clone(), line);
    }

    pub fn remove(&mut self, item: &str) {
        self.all.remove(item);
    }

    /// What a line says of an attribute.
    pub fn cell<'l>(&self, line: &'l Line, attribute: &str) -> Cell<'l> {
        let bytes = self.attributes.get(attribute).and_then(|number| line.bytes(*number));
        match bytes {
            Some(bytes) => read(bytes),
            None if line.complete => Cell::Nothing,
            None => Cell::Elsewhere,
        }
    }

    /// The attributes as they stand in a line, and whether all do.
    fn cells(&mut self, attributes: &BTreeMap<String, Value>) -> (Box<[u8]>, bool) {
        let (mut index, mut values) = (Vec::new(), Vec::new());
        let mut count: u16 = 0;
        for (name, value) in attributes {
            let Some(number) = self.number(name) else { continue };
            let before = values.len();
            write(value, &mut values);
            let Ok(end) = u16::try_from(values.len()) else {
                values.truncate(before);
                continue;
            };
            index.extend(number.to_le_bytes());
            index.extend(end.to_le_bytes());
            count += 1;
        }
        let all = [&count.to_le_bytes(), &index[..], &values[..]].concat();
        (all.into(), usize::from(count) == attributes.len())
    }

    /// The number of an attribute; none, if there have been too many.
    fn number(&mut self, attribute: &str) -> Option<u16> {
        if let Some(number) = self.attributes.get(attribute) {
            return Some(*number);
        }
        let number = u16::try_from(self.attributes.len()).ok()?;
        self.attributes.insert(attribute.to_owned(), number);
        Some(number)
    }
}

impl Snapshot {
    /// All items by name, a line each.
    pub fn lines(&self) -> impl Iterator<Item = (&String, &Line)> {
        self.lines.all()
    }

    /// What a line says of an attribute of its item.
    pub fn cell<'l>(&self, line: &'l Line, attribute: &str) -> Cell<'l> {
        self.lines.cell(line, attribute)
    }
}

impl Line {
    /// What stands there for an attribute, by its number.
    fn bytes(&self, number: u16) -> Option<&[u8]> {
        let (count, rest) = self.cells.split_first_chunk::<SHORT>()?;
        let (index, values) = rest.split_at(usize::from(u16::from_le_bytes(*count)) * 2 * SHORT);
        let (entries, _) = index.as_chunks::<{ 2 * SHORT }>();
        let at = entries.iter().position(|[a, b, ..]| u16::from_le_bytes([*a, *b]) == number)?;
        let end = |[.., a, b]: &[u8; 2 * SHORT]| usize::from(u16::from_le_bytes([*a, *b]));
        let from = at.checked_sub(1).map_or(0, |before| end(&entries[before]));
        values.get(from..end(&entries[at]))
    }
}

fn write(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Null => to.push(NULL),
        Value::Bool(yes) => to.push(if *yes { YES } else { NO }),
        Value::String(text) if text.len() <= LONGEST => {
            to.push(TEXT);
            to.extend(text.as_bytes());
        }
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => {
                to.push(INTEGER);
                to.extend(integer.to_le_bytes());
            }
            (None, Some(float)) if number.is_f64() => {
                to.push(FLOAT);
                to.extend(float.to_le_bytes());
            }
            _ => to.push(ELSEWHERE),
        },
        _ => to.push(ELSEWHERE),
    }
}

fn read(bytes: &[u8]) -> Cell<'_> {
    let Some((tag, rest)) = bytes.split_first() else { return Cell::Elsewhere };
    match (*tag, rest.first_chunk()) {
        (TEXT, _) => std::str::from_utf8(rest).map_or(Cell::Elsewhere, Cell::Text),
        (INTEGER, Some(bytes)) => Cell::Plain(i64::from_le_bytes(*bytes).into()),
        (FLOAT, Some(bytes)) => Cell::Plain(f64::from_le_bytes(*bytes).into()),
        (NO, _) => Cell::Plain(false.into()),
        (YES, _) => Cell::Plain(true.into()),
        (NULL, _) => Cell::Plain(Value::Null),
        _ => Cell::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Timestamp;
    use crate::cmdb::item::Observed;

    fn item(attributes: Value) -> Object<Item> {
        let attributes = serde_json::from_value(attributes).unwrap();
        Object::new("a", Item { of: "rack".into(), attributes, ..Item::default() })
    }

    #[test]
    fn a_line_says_what_its_item_says_or_that_it_does_not_know() {
        let all = json!({
            "text": "fra", "empty": "", "n": -3, "most": i64::MAX, "f": 0.5, "yes": true,
            "no": false, "null": null, "beyond": u64::MAX, "list": [1], "long": "x".repeat(257),
            "umlaut": "zürich",
        });
        let mut lines = Lines::default();
        lines.put(&Arc::new(item(json!({ "other": 1, "n": 2 }))));
        lines.put(&Arc::new(item(all.clone())));
        let (_, line) = lines.all().next().unwrap();
        for (name, value) in all.as_object().unwrap() {
            let elsewhere = ["beyond", "list", "long"].contains(&name.as_str());
            let expected = match value {
                _ if elsewhere => Cell::Elsewhere,
                Value::String(text) => Cell::Text(text),
                other => Cell::Plain(other.clone()),
            };
            assert_eq!(lines.cell(line, name), expected, "{name}");
        }
        assert_eq!(lines.cell(line, "other"), Cell::Nothing, "it was said before");
        assert_eq!(lines.cell(line, "never"), Cell::Nothing);
        lines.remove("a");
        assert_eq!(lines.all().count(), 0);
    }

    #[test]
    fn what_was_seen_of_an_item_is_not_in_its_line() {
        let mut seen = item(json!({ "site": "fra" }));
        let said = Observed { value: json!(4), source: "scan".into(), at: Timestamp(0) };
        seen.status.seen.insert("units".into(), vec![said]);
        let mut lines = Lines::default();
        lines.put(&Arc::new(seen));
        let (_, line) = lines.all().next().unwrap();
        assert_eq!(lines.cell(line, "site"), Cell::Text("fra"));
        assert_eq!(lines.cell(line, "units"), Cell::Elsewhere);
    }

    #[test]
    fn more_than_a_line_holds_is_looked_up_in_the_item() {
        let names: serde_json::Map<String, Value> =
            (0..400).map(|n| (format!("a{n:03}"), json!("x".repeat(250)))).collect();
        let mut lines = Lines::default();
        lines.put(&Arc::new(item(Value::Object(names))));
        let (_, line) = lines.all().next().unwrap();
        assert!(matches!(lines.cell(line, "a000"), Cell::Text(_)));
        assert_eq!(lines.cell(line, "a399"), Cell::Elsewhere);
        assert_eq!(lines.cell(line, "b"), Cell::Elsewhere);
    }
}

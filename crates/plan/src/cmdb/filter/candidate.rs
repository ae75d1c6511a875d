//! What a filter looks at, and what it sees there: the value at a path, of a whole object or of the
//! line of an item. Not whether that is as it is wanted, which is `compare.rs`.

use std::borrow::Cow;
use std::sync::Arc;

use atoll_model::snapshot::{Cell, Line};
use atoll_model::{Any, Item, Kind, Object};
use serde_json::Value;

use super::Search;
use crate::cmdb::compare::{self, Comparison};
use crate::cmdb::{attribute, facts, item};

/// A thing as filters look at it.
#[derive(Clone, Debug)]
pub enum Candidate<'a> {
    /// As a whole.
    Whole(Any),
    /// An item, by its name, as its line: there may be very many, and the items themselves are only
    /// touched for what does not stand in their lines.
    Line(&'a str, &'a Line),
}

impl Candidate<'_> {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Candidate::Whole(any) => any.kind(),
            Candidate::Line(..) => Kind::Item,
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Candidate::Whole(any) => any.name(),
            Candidate::Line(name, _) => name,
        }
    }

    /// The object itself.
    pub fn whole(&self) -> Any {
        match self {
            Candidate::Whole(any) => any.clone(),
            Candidate::Line(_, line) => Any::Item(line.item.clone()),
        }
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Told<'a> {
    /// A text, as it stands there: very many are compared without a copy of any.
    Text(&'a str),
    /// Anything.
    Value(Cow<'a, Value>),
}

impl Told<'_> {
    fn owned(text: &str) -> Option<Self> {
        Some(Told::Value(Cow::Owned(text.into())))
    }

    /// Whether it is as it is wanted.
    pub fn is(&self, how: Comparison, wanted: &Value) -> bool {
        match self {
            Told::Text(text) => how.holds_text(text, wanted),
            Told::Value(value) => how.holds(value, wanted),
        }
    }

    /// The text it is, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Told::Text(text) => Some(text),
            Told::Value(value) => value.as_str(),
        }
    }

    /// As it is typed.
    pub fn typed(&self) -> String {
        match self {
            Told::Text(text) => (*text).to_owned(),
            Told::Value(value) => compare::text(value),
        }
    }
}

impl<'a> Search<'a> {
    /// What stands at a path of a thing, as filters see it.
    pub fn told<'o>(&'o self, of: &'o Candidate<'o>, path: &str) -> Option<Told<'o>> {
        match path {
            "kind" => return Told::owned(&of.kind().lower()),
            "name" => return Some(Told::Text(of.name())),
            _ => {}
        }
        match of {
            Candidate::Line(name, line) => self.of_line(name, line, path),
            Candidate::Whole(Any::Item(item)) => self.of_item(item, path),
            Candidate::Whole(any) => self.of_any(any, path),
        }
    }

    fn of_line<'o>(&'o self, name: &str, line: &'o Line, path: &str) -> Option<Told<'o>> {
        if path == "type" {
            return Some(Told::Text(&line.class));
        }
        if path.starts_with("labels.") {
            return self.of_item(&line.item, path);
        }
        match self.cx.world.cell(line, path) {
            Cell::Text(text) => Some(Told::Text(text)),
            Cell::Plain(value) => Some(Told::Value(Cow::Owned(value))),
            Cell::Nothing if is_own(path) && !self.cx.world.stands_for_others(name) => None,
            Cell::Nothing | Cell::Elsewhere => self.of_item(&line.item, path),
        }
    }

    fn of_item<'o>(&'o self, item: &'o Arc<Object<Item>>, path: &str) -> Option<Told<'o>> {
        if path == "type" {
            return Some(Told::Text(&item.spec.of));
        }
        if let Some(label) = path.strip_prefix("labels.") {
            return item.meta.labels.get(label).map(|value| Told::Text(value));
        }
        if let Some(value) = item.spec.attributes.get(path) {
            return Some(Told::Value(Cow::Borrowed(value)));
        }
        if path == "owner" {
            return item::owner(self.cx.world, &item.spec).and_then(|owner| Told::owned(&owner));
        }
        let world = self.cx.world;
        if item.status.seen.contains_key(path) || world.stands_for_others(item.name()) {
            let found = attribute::effective(&self.cx, item).remove(path);
            return found.map(|value| Told::Value(Cow::Owned(value)));
        }
        // There may be very many, and most have no such attribute: nothing is written out to look
        // for it.
        if is_own(path) { None } else { written_out(&Any::Item(item.clone()), path) }
    }

    fn of_any<'o>(&'o self, any: &'o Any, path: &str) -> Option<Told<'o>> {
        if let Some(label) = path.strip_prefix("labels.") {
            return any.meta().labels.get(label).map(|value| Told::Text(value));
        }
        if let Any::Host(host) = any {
            let found = facts::lookup(self.cx.world, host.name(), path);
            if let Some((value, _)) = found.filter(|(value, _)| !value.is_null()) {
                return Some(Told::Value(Cow::Owned(value)));
            }
        }
        written_out(any, path)
    }
}

/// Whether a path can only be that of an item's own attribute.
fn is_own(path: &str) -> bool {
    let written = ["spec.", "status.", "metadata."];
    path != "owner" && !written.iter().any(|part| path.starts_with(part))
}

/// What stands at a path of an object as it is written.
fn written_out<'o>(any: &Any, path: &str) -> Option<Told<'o>> {
    let whole = any.to_value();
    let below = [Some(&whole), whole.get("spec"), whole.get("status"), whole.get("metadata")];
    let mut found = below.into_iter().flatten().filter_map(|part| facts::walk(part, path));
    let found = found.next().filter(|value| !value.is_null());
    found.map(|value| Told::Value(Cow::Owned(value.clone())))
}

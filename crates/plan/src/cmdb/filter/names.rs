//! What a filter that finds nothing may have got wrong: names nothing has, with those there are.
//! Such a filter is no error, for what it asks of may come.

use std::collections::BTreeSet;

use atoll_model::{Any, Item, ItemType, Kind, Reason, Snapshot};
use serde_json::Value;

use super::{Candidate, Comparison, Filter, Search, Term};
use crate::cmdb::facts;

/// So many objects of each kind are looked at.
const LOOKED_AT: usize = 2_000;
/// So many names are told.
const TOLD: usize = 16;
/// What everything has, or may have, or what is written out in full.
const KNOWN: [&str; 4] = ["kind", "name", "type", "owner"];
const WHOLE: [&str; 4] = ["labels.", "spec.", "status.", "metadata."];

/// The names in a filter that nothing of its kinds has.
pub fn unknown(search: &Search, filter: &Filter) -> Vec<Reason> {
    let world = search.cx.world;
    let mut classes = Vec::new();
    filter.0.classes(&mut classes);
    let mut told: Vec<Reason> = Vec::new();
    for class in classes.iter().filter(|class| world.get::<ItemType>(class).is_none()) {
        let there = world.all::<ItemType>().map(|class| class.name().to_owned()).collect();
        told.push(nothing("there is no class", class, &there));
    }
    let mut paths = BTreeSet::new();
    filter.0.paths(&mut paths);
    let known =
        |path: &&str| KNOWN.contains(path) || WHOLE.iter().any(|part| path.starts_with(part));
    paths.retain(|path| !known(path));
    if paths.is_empty() || !told.is_empty() {
        return told;
    }
    let mut names = BTreeSet::new();
    for kind in filter.kinds() {
        let of = |any: &Any| match any {
            Any::Item(item) => classes.is_empty() || classes.contains(&item.spec.of.as_str()),
            _ => true,
        };
        for any in world.after(kind, "").filter(of).take(LOOKED_AT) {
            take_names(world, &any, &mut names);
            let thing = Candidate::Whole(any);
            paths.retain(|path| search.told(&thing, path).is_none());
        }
    }
    for class in world.all::<ItemType>().filter(|class| classes.contains(&class.name())) {
        let schema = class.spec.schema.as_ref();
        let declared = schema.and_then(|schema| schema["properties"].as_object());
        names.extend(declared.into_iter().flatten().map(|(name, _)| name.clone()));
    }
    paths.retain(|path| !names.contains(*path));
    told.extend(paths.iter().map(|path| nothing("nothing here has", path, &names)));
    told
}

fn nothing(what: &str, name: &str, there: &BTreeSet<String>) -> Reason {
    // Those that look like it come first.
    let like = |other: &&String| {
        let length = name.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
        std::cmp::Reverse(length)
    };
    let mut all: Vec<&String> = there.iter().collect();
    all.sort_by_key(like);
    let mut words: Vec<&str> = all.iter().take(TOLD).map(|name| name.as_str()).collect();
    let more = all.len().saturating_sub(TOLD);
    let more_words = format!("{more} more");
    if more > 0 {
        words.push(&more_words);
    }
    let there = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    Reason::new("unknown-name", format!("{what} {name}; there is: {there}"))
}

/// The names a filter may ask an object by.
fn take_names(world: &Snapshot, any: &Any, names: &mut BTreeSet<String>) {
    match any {
        Any::Item(item) => {
            let Item { attributes, .. } = &item.spec;
            names.extend(attributes.keys().chain(item.status.seen.keys()).cloned());
        }
        Any::Host(host) => {
            names.extend(["address", "zone", "phase", "cordon"].map(str::to_owned));
            for part in ["os", "cpu", "hardware", "kernel", "memory", "custom"] {
                match facts::lookup(world, host.name(), part) {
                    Some((Value::Object(map), _)) => {
                        names.extend(map.keys().map(|key| format!("{part}.{key}")));
                    }
                    Some(_) => drop(names.insert(part.to_owned())),
                    None => {}
                }
            }
        }
        other if other.kind() != Kind::Secret => {
            let whole = other.to_value();
            let parts = [&whole["spec"], &whole["status"]].into_iter();
            let keys = parts.filter_map(Value::as_object).flat_map(|map| map.keys());
            names.extend(keys.cloned());
        }
        _ => {}
    }
}

impl Term {
    /// The paths whose values it looks at.
    fn paths<'t>(&'t self, into: &mut BTreeSet<&'t str>) {
        match self {
            Term::All(terms) | Term::Any(terms) => terms.iter().for_each(|term| term.paths(into)),
            Term::Not(term) => term.paths(into),
            Term::Compare(path, ..) | Term::In(path, _) | Term::Exists(path) => {
                into.insert(path);
            }
            Term::Age(path, ..) => drop(into.insert(path)),
            Term::Related(..) => {}
        }
    }

    /// The classes it names.
    fn classes<'t>(&'t self, into: &mut Vec<&'t str>) {
        match self {
            Term::All(terms) | Term::Any(terms) => terms.iter().for_each(|term| term.classes(into)),
            Term::Compare(path, Comparison::Is, value) if path == "type" => {
                into.extend(value.as_str());
            }
            Term::In(path, values) if path == "type" => {
                into.extend(values.iter().filter_map(Value::as_str));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::{Host, Object, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::testing::world;
    use crate::{Context, Measurements};

    #[test]
    fn names_nothing_has_are_told_with_those_there_are() {
        let class = Object::new("rack", ItemType::default());
        let attributes = [("units".to_owned(), json!(42)), ("site".to_owned(), json!("fra"))];
        let spec = Item { of: "rack".into(), attributes: attributes.into(), ..Item::default() };
        let world = world([
            Any::ItemType(Arc::new(class)),
            Any::Item(Arc::new(Object::new("r1", spec))),
            Any::Host(Arc::new(Object::new("h0", Host::default()))),
        ]);
        let measured = Measurements::default();
        let search = Search::new(Context { world: &world, measured: &measured, now: Timestamp(0) });
        let told = |filter: &str| -> Vec<String> {
            let all = unknown(&search, &Filter::parse(filter).unwrap());
            all.into_iter().map(|reason| reason.message).collect()
        };
        let none: [&str; 0] = [];
        assert_eq!(told("type = rack and units > 50"), none, "there is one, of another value");
        assert_eq!(
            told("type = rack and unit > 50"),
            ["nothing here has unit; there is: units, site"]
        );
        assert_eq!(told("type = rak and units > 50"), ["there is no class rak; there is: rack"]);
        assert_eq!(told("kind = host and labels.x = 1 and spec.y = 2"), none);
        let host = told("kind = host and not sto.name = x");
        assert!(host[0].starts_with("nothing here has sto.name; there is: "), "{host:?}");
    }
}

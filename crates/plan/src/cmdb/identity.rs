//! Who is who: whether a record is of something known. Rules are asked in their order, values that
//! say nothing are passed over, one weak sign never decides, and what was decided is said in words.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::cmdb::facts::SystemFacts;
use atoll_model::cmdb::item::{IdentityRule, Match, plain};
use atoll_model::cmdb::view::Record;
use atoll_model::{Host, Item, ItemType, Object, Snapshot, Timestamp};
use serde_json::Value;

use super::compare::text;
use super::{attribute, facts};

/// What makers leave in where a serial number should be.
const JUNK: [&str; 24] = [
    "",
    "-",
    "0",
    "none",
    "n/a",
    "na",
    "null",
    "unknown",
    "default",
    "default string",
    "to be filled by o.e.m.",
    "to be filled by oem",
    "not specified",
    "not applicable",
    "not available",
    "system serial number",
    "system product name",
    "chassis serial number",
    "base board serial number",
    "0123456789",
    "123456789",
    "1234567890",
    "oem",
    "xxxxxxxx",
];

/// Whether a value says nothing about who somebody is.
pub fn is_junk(value: &str, more: &[String]) -> bool {
    let bare = value.trim().to_lowercase();
    let plain: BTreeSet<char> = bare.chars().filter(|c| c.is_alphanumeric()).collect();
    // All of one character: 0000-0000, FFFFFFFF.
    JUNK.contains(&bare.as_str())
        || plain.len() < 2
        || more.iter().any(|junk| junk.trim().eq_ignore_ascii_case(&bare))
}

/// Whether a value says nothing at all, as what makers leave in does. Less is passed over than
/// where somebody is to be told by it: what is short is a value as good as any.
pub(super) fn says_nothing(value: &str, more: &[String]) -> bool {
    let bare = value.trim().to_lowercase();
    bare != "0" && JUNK.contains(&bare.as_str())
        || bare.len() >= 6 && is_junk(&bare, &[])
        || more.iter().any(|junk| junk.trim().eq_ignore_ascii_case(&bare))
}

/// The signs a machine is told by, the strongest first: what each is called, and its value. Those
/// that say nothing are left out.
pub fn signs(system: &SystemFacts) -> Vec<(&'static str, String)> {
    let all = system.signs().into_iter();
    let telling = all.filter(|(_, parts)| parts.iter().all(|part| !is_junk(part, &[])));
    telling.map(|(sign, parts)| (sign, parts.join("/"))).collect()
}

/// Another host that shows the same signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The other host.
    pub host: String,
    /// The strongest sign they share.
    pub sign: &'static str,
    /// Its value.
    pub value: String,
    /// Whether the sign alone would do: a serial number or an installation's id may be a copy.
    pub strong: bool,
}

/// Hosts that may be the same machine as this one. A host is its agent, so none is merged for that:
/// a person decides.
pub fn twins(world: &Snapshot, host: &Object<Host>) -> Vec<Twin> {
    let Some((system, _)) = facts::system(world, host.name()) else { return Vec::new() };
    let mut found: BTreeMap<String, Twin> = BTreeMap::new();
    for (sign, value) in signs(system) {
        for other in world.hosts_with(sign, &value).filter(|other| *other != host.name()) {
            found.entry(other.to_owned()).or_insert_with(|| Twin {
                host: other.to_owned(),
                strong: matches!(sign, "cloud-instance" | "uuid-and-serial"),
                value: value.clone(),
                sign,
            });
        }
    }
    found.into_values().collect()
}

/// Another item of the class that shows the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemTwin {
    /// The other item.
    pub item: String,
    /// The rule that points to it.
    pub rule: String,
    /// The values both have.
    pub value: String,
    /// Whether the rule alone would do.
    pub strong: bool,
}

/// So many others that show the same are looked at.
const MOST_TWINS: usize = 100;

/// Items that may be the same thing as this one, by the rules of their class, the first rule that
/// points to each. Those that were merged are one already.
pub fn item_twins(world: &Snapshot, item: &Object<Item>) -> Vec<ItemTwin> {
    let Some(class) = world.get::<ItemType>(&item.spec.of) else { return Vec::new() };
    let records = attribute::records(world, item);
    let said = |attribute: &str| records.iter().flat_map(|r| r.said(attribute)).collect();
    let mut found: BTreeMap<String, ItemTwin> = BTreeMap::new();
    for (at, rule) in class.spec.identity.iter().enumerate() {
        for values in keys(rule, &class.spec.junk, said) {
            for other in world.items_with(class.name(), at, &values).take(MOST_TWINS) {
                let other = world.get::<Item>(other).map(|other| {
                    other.spec.merged_into.clone().unwrap_or_else(|| other.meta.name.clone())
                });
                let Some(other) = other.filter(|other| other != item.name()) else { continue };
                found.entry(other.clone()).or_insert_with(|| ItemTwin {
                    item: other,
                    rule: rule.name.clone(),
                    value: values.join(", "),
                    strong: !rule.weak,
                });
            }
        }
    }
    found.into_values().collect()
}

/// The items that show something this one shows in one version of it and not in the other.
pub(super) fn items_alike(
    world: &Snapshot,
    old: Option<&Object<Item>>,
    new: Option<&Object<Item>>,
) -> Vec<String> {
    let Some(item) = new.or(old) else { return Vec::new() };
    let Some(class) = world.get::<ItemType>(&item.spec.of) else { return Vec::new() };
    let merged = |item: Option<&Object<Item>>| item.and_then(|item| item.spec.merged_into.clone());
    let moved = merged(old) != merged(new);
    let mut names = BTreeSet::new();
    for (at, rule) in class.spec.identity.iter().enumerate() {
        let all = |item: Option<&Object<Item>>| -> BTreeSet<Vec<String>> {
            let said = |attribute: &str| item.map(|i| i.said(attribute)).unwrap_or_default();
            keys(rule, &class.spec.junk, said).into_iter().collect()
        };
        let (old, new) = (all(old), all(new));
        for values in
            old.union(&new).filter(|key| moved || old.contains(*key) != new.contains(*key))
        {
            let others = world.items_with(class.name(), at, values).take(MOST_TWINS);
            for other in others.filter_map(|other| world.get::<Item>(other)) {
                let into = other.spec.merged_into.as_ref();
                names.insert(into.unwrap_or(&other.meta.name).clone());
            }
        }
    }
    names.into_iter().collect()
}

/// How a host is known, in words.
pub fn of_host(world: &Snapshot, host: &Object<Host>) -> Vec<String> {
    let name = host.name();
    let mut said =
        vec![format!("the agent of {name} shows a token that was made for {name} alone")];
    let Some((system, _)) = facts::system(world, name) else { return said };
    let all = signs(system);
    said.extend(all.iter().map(|(sign, value)| format!("{sign} is {value}")));
    let hardware = &system.hardware;
    for (what, value) in [("uuid", &hardware.uuid), ("serial", &hardware.serial)] {
        if !value.is_empty() && is_junk(value, &[]) {
            said.push(format!("{what} {value:?} says nothing and is passed over"));
        }
    }
    for twin in twins(world, host) {
        let how = if twin.strong { "is most likely" } else { "may be" };
        let line = format!(
            "host/{} {how} the same machine: both have {} {}",
            twin.host, twin.sign, twin.value
        );
        said.push(line);
    }
    said
}

/// What a class's items are looked up by: for each rule, who has which values.
#[derive(Debug)]
pub struct Index<'a> {
    class: &'a Object<ItemType>,
    rules: Vec<BTreeMap<Vec<String>, BTreeSet<String>>>,
    /// Items by what a source has called them before.
    known: BTreeMap<(String, String), String>,
}

/// What was found out about a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The item it is of; a new one, if absent.
    pub item: Option<String>,
    /// Why, to be kept.
    pub reason: Match,
}

impl<'a> Index<'a> {
    /// The items of a class as they are now.
    pub fn of(world: &'a Snapshot, class: &'a Object<ItemType>) -> Index<'a> {
        let rules = class.spec.identity.iter().map(|_| BTreeMap::new()).collect();
        let mut index = Index { class, rules, known: BTreeMap::new() };
        for item in world.all::<Item>().filter(|item| item.spec.of == *class.name()) {
            index.add(item);
        }
        index
    }

    /// Takes an item in; of one that was merged, what stands for it.
    pub fn add(&mut self, item: &Object<Item>) {
        let name = item.spec.merged_into.as_deref().unwrap_or(item.name());
        for found in &item.status.matches {
            // What a source has called this very record stays its own when it is split off again.
            self.known.insert((found.source.clone(), found.key.clone()), item.name().to_owned());
        }
        let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (key, value) in &item.spec.attributes {
            values.entry(key.as_str()).or_default().push(text(value));
        }
        for (key, seen) in &item.status.seen {
            let all = values.entry(key.as_str()).or_default();
            all.extend(seen.iter().map(|said| text(&said.value)));
        }
        self.sort_in(name, &values);
    }

    /// Takes a record in that was found to be of this item, so that the next one is compared with
    /// it as well; of an item that was merged, with what stands for it.
    pub fn take(&mut self, item: &str, merged: Option<&str>, source: &str, record: &Record) {
        self.known.insert((source.to_owned(), record.key.clone()), item.to_owned());
        let all = record.attributes.iter();
        let values = all.map(|(key, value)| (key.as_str(), vec![text(value)])).collect();
        self.sort_in(merged.unwrap_or(item), &values);
    }

    fn sort_in(&mut self, name: &str, values: &BTreeMap<&str, Vec<String>>) {
        for (rule, table) in self.class.spec.identity.iter().zip(&mut self.rules) {
            for key in keys(rule, &self.class.spec.junk, |attribute| {
                values.get(attribute).cloned().unwrap_or_default()
            }) {
                table.entry(key).or_default().insert(name.to_owned());
            }
        }
    }

    /// Whose a record of a source is.
    pub fn resolve(
        &self,
        source: &str,
        key: &str,
        record: &BTreeMap<String, Value>,
        at: Timestamp,
    ) -> Found {
        let found = |item: Option<String>, rule: &str, explanation: String| Found {
            item,
            reason: Match {
                source: source.to_owned(),
                key: key.to_owned(),
                rule: rule.to_owned(),
                explanation,
                at,
            },
        };
        if let Some(item) = self.known.get(&(source.to_owned(), key.to_owned())) {
            let why = format!("{source} has called item/{item} {key:?} before");
            return found(Some(item.clone()), "known", why);
        }
        let mut passed = Vec::new();
        for (rule, table) in self.class.spec.identity.iter().zip(&self.rules) {
            let values = |attribute: &str| -> Vec<String> {
                record.get(attribute).map(text).into_iter().collect()
            };
            let all = keys(rule, &self.class.spec.junk, values);
            let Some(values) = all.first() else {
                passed.push(format!("rule {} does not apply", rule.name));
                continue;
            };
            let said = values.join(", ");
            match table.get(values).map(|names| names.iter().collect::<Vec<_>>()).as_deref() {
                Some([one]) if !rule.weak => {
                    let why = format!(
                        "rule {}: item/{one} has the same {} ({said})",
                        rule.name,
                        rule.attributes.join(" and ")
                    );
                    return found(Some((*one).clone()), &rule.name, why);
                }
                Some([one]) => passed.push(format!(
                    "rule {} is weak and only points to item/{one} ({said})",
                    rule.name
                )),
                Some(many) => passed.push(format!(
                    "rule {} points to {} items ({said}), so it does not decide",
                    rule.name,
                    many.len()
                )),
                None => passed.push(format!("rule {} finds nobody ({said})", rule.name)),
            }
        }
        let why =
            if passed.is_empty() { "its class has no rules".to_owned() } else { passed.join("; ") };
        found(None, "new", why)
    }
}

/// The values a rule looks at, where all are there and none is junk: one key for each choice of
/// values, of which an attribute has several where sources disagree.
fn keys(
    rule: &IdentityRule,
    junk: &[String],
    values: impl Fn(&str) -> Vec<String>,
) -> Vec<Vec<String>> {
    let of_class: BTreeSet<String> = junk.iter().map(|value| plain(value)).collect();
    let says = |value: &String| !is_junk(value, junk) && !of_class.contains(&plain(value));
    rule.keys(|attribute| values(attribute).into_iter().filter(says).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::Any;
    use serde_json::json;

    use super::*;
    use crate::testing::world;

    #[test]
    fn junk_says_nothing() {
        for junk in [
            "Default string",
            "0",
            "  ",
            "FFFFFFFF",
            "00000000-0000-0000-0000-000000000000",
            "To be filled by O.E.M.",
            "N/A",
        ] {
            assert!(is_junk(junk, &[]), "{junk}");
        }
        assert!(!is_junk("5CD9", &[]) && is_junk("5CD9", &["5cd9".to_owned()]));
    }

    fn class() -> Object<ItemType> {
        let rule = |name: &str, attributes: &[&str], weak: bool| IdentityRule {
            name: name.to_owned(),
            attributes: attributes.iter().map(|a| (*a).to_owned()).collect(),
            weak,
        };
        let identity = vec![
            rule("serial", &["vendor", "serial"], false),
            rule("mac", &["mac"], false),
            rule("name", &["hostname"], true),
        ];
        Object::new("server", ItemType { identity, ..ItemType::default() })
    }

    fn server(name: &str, attributes: Value) -> Any {
        let attributes = serde_json::from_value(attributes).unwrap();
        let of = "server".to_owned();
        Any::Item(Arc::new(Object::new(name, Item { of, attributes, ..Item::default() })))
    }

    #[test]
    fn items_that_show_the_same_are_twins_until_they_are_one() {
        let dell = |serial: &str| json!({ "vendor": "Dell", "serial": serial, "hostname": "web" });
        let mut world = world([
            Any::ItemType(Arc::new(class())),
            server("s1", dell("A1B2")),
            server("s2", dell("a1b2")),
            server("s3", dell("Default string")),
            server("s4", json!({ "vendor": "Dell", "hostname": "db" })),
        ]);
        let twins = |world: &Snapshot, name: &str| -> Vec<(String, String, bool)> {
            let all = item_twins(world, world.get::<Item>(name).unwrap()).into_iter();
            all.map(|twin| (twin.item, twin.rule, twin.strong)).collect()
        };
        let (strong, weak) = (
            |name: &str| (name.to_owned(), "serial".to_owned(), true),
            |name: &str| (name.to_owned(), "name".to_owned(), false),
        );
        assert_eq!(twins(&world, "s1"), [strong("s2"), weak("s3")]);
        assert_eq!(twins(&world, "s3"), [weak("s1"), weak("s2")], "what says nothing tells nobody");
        assert_eq!(twins(&world, "s4"), []);
        let old = world.get::<Item>("s2").unwrap().clone();
        let mut new = Object::clone(&old);
        new.spec.merged_into = Some("s1".to_owned());
        assert_eq!(items_alike(&world, Some(&old), Some(&old)), [""; 0], "nothing has changed");
        assert_eq!(items_alike(&world, Some(&old), Some(&new)), ["s1", "s2", "s3"]);
        world.put(Any::Item(Arc::new(new)));
        assert_eq!(twins(&world, "s1"), [weak("s3")], "what was merged is one");
    }

    #[test]
    fn rules_are_asked_in_order_and_a_weak_one_never_decides() {
        let world = world([
            Any::ItemType(Arc::new(class())),
            server("s1", json!({ "vendor": "Dell", "serial": "A1B2", "hostname": "web" })),
            server("s2", json!({ "mac": "aa:bb:cc:00:00:02", "hostname": "db" })),
            server("s3", json!({ "vendor": "Dell", "serial": "Default string" })),
            server("s4", json!({ "mac": "aa:bb:cc:00:00:09" })),
            server("s5", json!({ "mac": "aa:bb:cc:00:00:09" })),
        ]);
        let class = class();
        let index = Index::of(&world, &class);
        let who = |record: Value| {
            let record = serde_json::from_value(record).unwrap();
            let found = index.resolve("scan", "k", &record, Timestamp(0));
            (found.item, found.reason.rule, found.reason.explanation)
        };
        let (item, rule, why) = who(json!({ "vendor": "dell", "serial": "a1b2", "mac": "x1" }));
        assert_eq!((item.as_deref(), rule.as_str()), (Some("s1"), "serial"));
        assert!(why.contains("item/s1 has the same vendor and serial"), "{why}");
        let junk =
            json!({ "vendor": "Dell", "serial": "Default string", "mac": "AA:BB:CC:00:00:02" });
        assert_eq!(who(junk).0.as_deref(), Some("s2"), "junk is passed over");
        let (item, rule, why) = who(json!({ "hostname": "web" }));
        assert_eq!((item, rule.as_str()), (None, "new"));
        assert!(why.contains("rule name is weak and only points to item/s1"), "{why}");
        let (item, _, why) = who(json!({ "mac": "aa:bb:cc:00:00:09" }));
        assert!(item.is_none() && why.contains("points to 2 items"), "{why}");
        for mac in ["AA-BB-CC-00-00-02", "AABBCC000002", "aabb.cc00.0002", "aa:bb:cc:00:00:02"] {
            assert_eq!(who(json!({ "mac": mac })).0.as_deref(), Some("s2"), "{mac}");
        }
        for other in ["aa:bb:cc:00:00", "aa:bb-cc:00:00:02", "aabb:cc00:0002"] {
            assert_eq!(who(json!({ "mac": other })).0, None, "{other}");
        }
    }
}

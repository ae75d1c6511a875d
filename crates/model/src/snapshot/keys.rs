//! What hosts and items are looked up by: signs of machines, identities by the rules of a class,
//! and what was merged. Not the index, which is `snapshot.rs`.

use crate::cmdb::facts::FactsData;
use crate::{Facts, Item, ItemType, Object};

/// What the machine of a host is told by, as it is looked up.
pub(super) fn signs(facts: &Object<Facts>) -> impl Iterator<Item = (String, String)> {
    let system = match &facts.status.data {
        Some(FactsData::System(system)) => Some(system),
        _ => None,
    };
    let all = system.into_iter().flat_map(|system| system.signs());
    let known = all.filter(|(_, parts)| parts.iter().all(|part| !part.is_empty()));
    let host = facts.spec.host.clone();
    known.map(move |(sign, parts)| (format!("{sign}={}", parts.join("/")), host.clone()))
}

/// What an item is looked up by, according to the rules of its class: each key with the item.
pub(super) fn keys(class: &Object<ItemType>, item: &Object<Item>) -> Vec<(String, String)> {
    let rules = class.spec.identity.iter().enumerate();
    let keys = rules.flat_map(|(at, rule)| {
        let all = rule.keys(|attribute| item.said(attribute)).into_iter();
        all.map(move |values| told_by(&class.meta.name, at, &values))
    });
    keys.map(|key| (key, item.meta.name.clone())).collect()
}

/// What a rule of a class, by its place among them, makes of values.
pub(super) fn told_by(class: &str, rule: usize, values: &[String]) -> String {
    format!("{class}\u{1}{rule}\u{1}{}", values.join("\u{1}"))
}

/// The item that one was merged into, if it was, with the one.
pub(super) fn merged(item: &Object<Item>) -> impl Iterator<Item = (String, String)> {
    let into = item.spec.merged_into.clone();
    let name = item.meta.name.clone();
    into.into_iter().map(move |into| (into, name.clone()))
}

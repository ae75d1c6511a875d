//! Items of users' own classes: whether they fit, and the class of each. Which sources are believed
//! is in `attribute.rs`, who is who in `identity.rs`.

use atoll_model::cmdb::item::RelationRule;
use atoll_model::cmdb::view::Attribute;
use atoll_model::schema::Compiled;
use atoll_model::{Any, Item, ItemType, Kind, Object, Reason, Snapshot};
use serde_json::Value;

/// The schema of a class, read; nothing where it has none.
pub(crate) fn compiled(class: &Object<ItemType>) -> Option<Compiled> {
    class.spec.schema.clone().and_then(|schema| Compiled::of(schema).ok())
}

/// What of an item does not fit its class: the attribute, and why. One that was only observed has
/// no targets that could be lacking.
pub(crate) fn problems(schema: Option<&Compiled>, item: &Object<Item>) -> Vec<(String, String)> {
    let Some(schema) = schema else { return Vec::new() };
    if item.spec.attributes.is_empty() && !item.status.seen.is_empty() {
        return Vec::new();
    }
    schema.problems(&Value::Object(item.spec.attributes.clone().into_iter().collect()))
}

/// The attributes whose value that is believed was seen, and does not fit the class, and why. That
/// something was not seen is no misfit.
pub(crate) fn ill_seen<'a>(
    schema: Option<&Compiled>,
    attributes: &'a [Attribute],
) -> Vec<(&'a Attribute, String)> {
    let seen =
        attributes.iter().filter_map(|a| Some((a.name.clone(), a.is.first()?.value.clone())));
    let seen: serde_json::Map<String, Value> = seen.collect();
    let Some(schema) = schema.filter(|_| !seen.is_empty()) else { return Vec::new() };
    let mut wrong: Vec<(&Attribute, String)> = Vec::new();
    for (path, why) in schema.problems(&Value::Object(seen)) {
        // The path of the attribute itself, or of something within it.
        let below = |a: &&Attribute| {
            let rest = path.strip_prefix(a.name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let of = attributes.iter().filter(below).max_by_key(|a| a.name.len());
        if let Some(of) = of.filter(|of| wrong.iter().all(|(known, _)| known.name != of.name)) {
            wrong.push((of, why));
        }
    }
    wrong
}

/// What of an item's relations does not fit its class, or leads nowhere: the relation, and why.
pub(crate) fn misled(
    world: &Snapshot,
    class: &Object<ItemType>,
    of: &Object<Item>,
) -> Vec<(String, Reason)> {
    let mut wrong = Vec::new();
    for (relation, all) in &of.spec.relations {
        let mut add = |reason| wrong.push((relation.clone(), reason));
        let Some(rule) = class.spec.relations.get(relation) else {
            let known: Vec<&str> = class.spec.relations.keys().map(String::as_str).collect();
            let message = format!("there is no such relation; known here: {}", known.join(", "));
            add(Reason::new("invalid", message));
            continue;
        };
        if !rule.many && all.len() > 1 {
            add(Reason::new("invalid", "leads to one thing only"));
        }
        all.iter().filter_map(|to| leads(world, rule, to)).for_each(&mut add);
    }
    wrong
}

/// Why a relation cannot lead there.
fn leads(world: &Snapshot, rule: &RelationRule, to: &str) -> Option<Reason> {
    let (kind, name) = to.split_once('/')?;
    let kind = Kind::parse(kind)?;
    let Some(target) = world.find(kind, name) else {
        let message = format!("there is no {to}");
        return Some(Reason::new("missing", message).hint("apply it first, or together"));
    };
    let fits = |word: &String| match (word.split_once('/'), &target) {
        (Some((_, class)), Any::Item(item)) => item.spec.of == class,
        (Some(_), _) => false,
        (None, _) => Kind::parse(word) == Some(kind),
    };
    if rule.to.is_empty() || rule.to.iter().any(fits) {
        return None;
    }
    let message = format!("may not lead to {to}, but to {}", rule.to.join(", "));
    Some(Reason::new("invalid", message))
}

/// Who answers for an item.
pub(crate) fn owner(world: &Snapshot, item: &Item) -> Option<String> {
    let of_class = || world.get::<ItemType>(&item.of).and_then(|class| class.spec.owner.clone());
    item.owner.clone().or_else(of_class)
}

#[cfg(test)]
mod tests {
    use atoll_model::Timestamp;
    use atoll_model::cmdb::item::Observed;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_only_observed_lacks_nothing() {
        let spec =
            ItemType { schema: Some(json!({ "required": ["vendor"] })), ..ItemType::default() };
        let schema = compiled(&Object::new("server", spec));
        let mut item = Object::new("s1", Item { of: "server".to_owned(), ..Item::default() });
        assert_eq!(problems(schema.as_ref(), &item).len(), 1, "nobody has seen it");
        let said = Observed { value: json!("HP"), source: "scan".to_owned(), at: Timestamp(0) };
        item.status.seen.insert("vendor".to_owned(), vec![said]);
        assert!(problems(schema.as_ref(), &item).is_empty());
        item.spec.attributes.insert("size".to_owned(), json!(1));
        assert_eq!(problems(schema.as_ref(), &item).len(), 1, "a target is there, and not whole");
    }
}

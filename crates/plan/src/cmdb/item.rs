//! Items of users' own classes: whether they fit, and the class of each. Which sources are believed
//! is in `attribute.rs`, who is who in `identity.rs`.

use atoll_model::schema::Compiled;
use atoll_model::{Item, ItemType, Object, Snapshot};
use serde_json::Value;

/// The schema of a class, read; nothing where it has none.
pub(crate) fn compiled(class: &Object<ItemType>) -> Option<Compiled> {
    class.spec.schema.clone().and_then(|schema| Compiled::of(schema).ok())
}

/// What of an item does not fit its class: the attribute, and why.
pub(crate) fn problems(schema: Option<&Compiled>, item: &Item) -> Vec<(String, String)> {
    let Some(schema) = schema else { return Vec::new() };
    schema.problems(&Value::Object(item.attributes.clone().into_iter().collect()))
}

/// Who answers for an item.
pub(crate) fn owner(world: &Snapshot, item: &Item) -> Option<String> {
    let of_class = || world.get::<ItemType>(&item.of).and_then(|class| class.spec.owner.clone());
    item.owner.clone().or_else(of_class)
}

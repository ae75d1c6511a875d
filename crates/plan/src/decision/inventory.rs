//! What the inventory refuses: networks that overlap, items that do not fit their class, relations
//! that lead nowhere. A class may change under its items: those that no longer fit are counted, and
//! become findings.

use std::collections::BTreeMap;

use atoll_model::schema::Compiled;
use atoll_model::{Any, Item, ItemType, Kind, Network, Object, Reason, Snapshot};

use super::{Case, Opinion};
use crate::cmdb::{item, network};

/// Networks do not overlap, and items fit their classes.
pub(super) fn inventory(case: &Case) -> Opinion {
    let of_ours = |any: &&Any| {
        matches!(any, Any::Network(_) | Any::Item(_) | Any::ItemType(_))
            && !case.stored(any).is_some_and(|stored| stored.same_spec(any))
    };
    let ours: Vec<&Any> = case.puts().filter(of_ours).collect();
    if ours.is_empty() {
        return Opinion::default();
    }
    let world = case.after();
    let mut opinion = Opinion::default();
    let mut schemas: BTreeMap<String, Option<Compiled>> = BTreeMap::new();
    for any in ours {
        match any {
            Any::Network(of) => {
                opinion.objections.extend(named(&world, Kind::Network, of.spec.parent.as_ref()));
                opinion.objections.extend(around(&world, of));
                opinion.objections.extend(network::conflicts(&world, of));
            }
            Any::Item(of) => opinion.objections.extend(misfits(&world, of, &mut schemas)),
            Any::ItemType(of) => opinion.note(any, left_behind(&world, of)),
            _ => {}
        }
    }
    opinion
}

fn named(world: &Snapshot, kind: Kind, name: Option<&String>) -> Option<Reason> {
    let name = name.filter(|name| world.find(kind, name).is_none())?;
    let message = format!("there is no {}/{name}", kind.lower());
    Some(Reason::new("missing", message).hint("apply it first, or together"))
}

/// A network that is cut out of itself.
fn around(world: &Snapshot, of: &Object<Network>) -> Option<Reason> {
    let mut at = of.spec.parent.clone();
    // No network is so deep that its parents are more than there are networks.
    for _ in 0..=world.count(Kind::Network) {
        let parent = at?;
        if parent == of.name() {
            let message = format!("network/{parent} would be within itself");
            return Some(Reason::new("cycle", message).hint("take its parent out"));
        }
        at = world.get::<Network>(&parent).and_then(|parent| parent.spec.parent.clone());
    }
    None
}

/// Why an item is not of its class.
fn misfits(
    world: &Snapshot,
    of: &Object<Item>,
    schemas: &mut BTreeMap<String, Option<Compiled>>,
) -> Vec<Reason> {
    let id = format!("item/{}", of.name());
    let Some(class) = world.get::<ItemType>(&of.spec.of) else {
        return named(world, Kind::ItemType, Some(&of.spec.of)).into_iter().collect();
    };
    let compiled = schemas.entry(of.spec.of.clone()).or_insert_with(|| item::compiled(class));
    let problems = item::problems(compiled.as_ref(), of).into_iter();
    let mut wrong: Vec<Reason> = problems
        .map(|(field, why)| {
            let at = if field.is_empty() { String::new() } else { format!(".{field}") };
            Reason::new("invalid", format!("{id}: spec.attributes{at}: {why}"))
                .hint(format!("see atoll get itemtype/{} -o yaml", of.spec.of))
        })
        .collect();
    let relations = item::misled(world, class, of).into_iter();
    wrong.extend(relations.map(|(relation, mut reason)| {
        reason.message = format!("{id}: spec.relations.{relation}: {}", reason.message);
        reason
    }));
    wrong.extend(merged(world, of));
    wrong
}

/// Why an item cannot be merged into another.
fn merged(world: &Snapshot, of: &Object<Item>) -> Option<Reason> {
    let into = of.spec.merged_into.as_ref()?;
    let wrong = |why: String| {
        let message = format!("item/{} cannot be merged into item/{into}: {why}", of.name());
        Some(Reason::new("invalid", message))
    };
    let Some(other) = world.get::<Item>(into) else { return wrong("it is not there".to_owned()) };
    if into == of.name() {
        return wrong("it is the same".to_owned());
    }
    if other.spec.of != of.spec.of {
        return wrong(format!("one is of {}, the other of {}", of.spec.of, other.spec.of));
    }
    match &other.spec.merged_into {
        Some(further) => wrong(format!("that was merged into item/{further}")),
        None => None,
    }
}

/// How many items a changed class leaves behind.
fn left_behind(world: &Snapshot, class: &Object<ItemType>) -> Option<Reason> {
    let compiled = item::compiled(class);
    let mut names = world
        .all::<Item>()
        .filter(|item| item.spec.of == *class.name())
        .filter(|item| !item::problems(compiled.as_ref(), item).is_empty())
        .map(|item| item.name());
    let first = names.next()?;
    let count = 1 + names.count();
    let name = class.name();
    let message = match count {
        1 => format!("item/{first} of {name} does not fit it"),
        count => format!("{count} items of {name} do not fit it, item/{first} first"),
    };
    Some(Reason::new("misfits", message).hint(format!(
        "what does not fit stays as it is and is found by atoll drift --of {name}, until it is \
         edited"
    )))
}

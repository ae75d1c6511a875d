//! Why things of the inventory are as they are: facts, networks, classes, items and findings.

use atoll_model::cmdb::drift::DriftCause;
use atoll_model::cmdb::item::Match;
use atoll_model::{Any, Drift, Facts, Item, ItemType, Kind, Network, Object, many};

use super::{Told, ago};
use crate::Context;
use crate::cmdb::{attribute, compare, network};

/// Tells of an object of the inventory; false, if it is none.
pub(super) fn tell(cx: &Context, any: &Any, told: &mut Told) -> bool {
    match any {
        Any::Facts(it) => facts(cx, it, told),
        Any::Network(it) => of_network(cx, it, told),
        Any::ItemType(it) => class(cx, it, told),
        Any::Item(it) => item(cx, it, told),
        Any::Drift(it) => drift(cx, it, told),
        _ => return false,
    }
    true
}

fn facts(cx: &Context, it: &Object<Facts>, told: &mut Told) {
    let host = &it.spec.host;
    let since = ago(cx, it.status.since);
    told.state = format!("The {} of host/{host} have been so{since}.", it.spec.part.name());
    told.see(format!("host/{host}"));
}

fn of_network(cx: &Context, it: &Object<Network>, told: &mut Told) {
    let name = it.name();
    let prefixes: Vec<String> = it.spec.prefixes.iter().map(ToString::to_string).collect();
    let taken = network::taken(cx.world, &it.spec).len();
    let next = match network::free_address(cx.world, name) {
        Ok(address) => format!("{address} is free next"),
        Err(reason) => reason.message,
    };
    let prefixes = prefixes.join(", ");
    let taken = match taken {
        1 => "1 address is".to_owned(),
        count => format!("{count} addresses are"),
    };
    told.state = format!("{name} has {prefixes}; {taken} taken, {next}.");
    told.reasons.extend(network::conflicts(cx.world, it));
    it.spec.parent.iter().for_each(|parent| told.see(format!("network/{parent}")));
}

fn class(cx: &Context, it: &Object<ItemType>, told: &mut Told) {
    let items = cx.world.all::<Item>().filter(|item| item.spec.of == *it.name()).count();
    let rules: Vec<&str> = it.spec.identity.iter().map(|rule| rule.name.as_str()).collect();
    let rules = match rules.is_empty() {
        true => "told apart by their names".to_owned(),
        false => format!("told apart by {}", rules.join(", then ")),
    };
    told.state = format!("{} is a class of {}, {rules}.", it.name(), many(items, "item"));
}

fn item(cx: &Context, it: &Object<Item>, told: &mut Told) {
    let name = it.name();
    if let Some(other) = &it.spec.merged_into {
        told.state = format!("{name} was merged into item/{other}, which stands for both.");
        told.next.push(format!("stands for itself again after: atoll split item/{name}"));
        told.see(format!("item/{other}"));
        return;
    }
    let all = attribute::of_item(cx, it);
    let seen = all.iter().filter(|attribute| !attribute.is.is_empty()).count();
    let of = &it.spec.of;
    told.state = format!("{name} is a {of} with {}; {seen} seen.", many(all.len(), "attribute"));
    for Match { source, key, explanation, .. } in &it.status.matches {
        told.next.push(format!("{source} calls it {key:?}: {explanation}"));
    }
    for drift in cx.world.derived::<Drift>(&Drift::prefix(&format!("item/{name}"))) {
        told.see(format!("drift/{}", drift.name()));
    }
}

fn drift(cx: &Context, it: &Object<Drift>, told: &mut Told) {
    let (subject, attribute) = (&it.spec.subject, &it.spec.attribute);
    let owner = it.status.owner.as_deref().unwrap_or("nobody");
    let since = ago(cx, it.status.since);
    let value = |value: Option<&serde_json::Value>| value.map(compare::text);
    let should = value(it.status.should.as_ref()).unwrap_or("nothing in particular".to_owned());
    let is = value(it.status.is.as_ref().map(|is| &is.value)).unwrap_or("not seen".to_owned());
    // The whole of something has no value of its own.
    let found = match it.status.cause {
        DriftCause::Unfit => "does not fit its class".to_owned(),
        DriftCause::Twin => "is another thing's as well".to_owned(),
        _ => format!("should be {should} and is {is}"),
    };
    told.state = format!("{attribute} of {subject} {found}{since}; {owner} answers for it.");
    told.waiting_for.push("the world, or the record, to change: it closes by itself".to_owned());
    if let Some((kind, name)) = subject.split_once('/')
        && Kind::parse(kind).is_some_and(|kind| cx.world.find(kind, name).is_some())
    {
        told.see(subject.clone());
    }
}

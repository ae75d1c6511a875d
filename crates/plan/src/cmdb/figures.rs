//! How good the inventory is, class by class: how much of it somebody has seen, how much of that is
//! fresh, and how much is as it should be. And facets: how many have which value.

use std::collections::BTreeMap;

use atoll_model::cmdb::HostPhase;
use atoll_model::cmdb::view::{
    Attribute, ClassFigures, Facet, FacetValue, InventoryFigures, Standing,
};
use atoll_model::{Drift, Host, Item, ItemType};

use super::filter::{Candidate, Search};
use super::{attribute, facts};
use crate::Context;

/// So many values of a facet are told.
const TOLD: usize = 20;

#[derive(Default)]
struct Tally {
    things: usize,
    seen: usize,
    known: usize,
    fresh: usize,
    judged: usize,
    right: usize,
}

impl Tally {
    fn add(&mut self, all: &[Attribute]) {
        for attribute in all.iter().filter(|attribute| !attribute.is.is_empty()) {
            self.known += 1;
            self.fresh += usize::from(attribute.standing != Standing::Stale);
            if attribute.should.is_some() {
                self.judged += 1;
                self.right += usize::from(attribute.standing == Standing::Agrees);
            }
        }
    }

    fn figures(&self, class: &str, drift: usize) -> ClassFigures {
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        ClassFigures {
            class: class.to_owned(),
            things: self.things,
            // Of nothing, all was seen.
            coverage: share(self.seen, self.things).unwrap_or(1.0),
            freshness: share(self.fresh, self.known),
            correctness: share(self.right, self.judged),
            drift,
        }
    }
}

/// The figures of every class.
pub fn figures(cx: &Context) -> InventoryFigures {
    let mut hosts = Tally::default();
    for host in cx.world.all::<Host>() {
        hosts.things += 1;
        hosts.seen += usize::from(facts::system(cx.world, host.name()).is_some());
        hosts.known += 1;
        hosts.fresh += usize::from(host.status.phase != HostPhase::Unknown);
        hosts.add(&attribute::of_host(cx, host));
    }
    let mut classes: BTreeMap<&str, Tally> = BTreeMap::new();
    for class in cx.world.all::<ItemType>() {
        classes.insert(class.name(), Tally::default());
    }
    let standing =
        |item: &&std::sync::Arc<atoll_model::Object<Item>>| item.spec.merged_into.is_none();
    for item in cx.world.all::<Item>().filter(standing) {
        let tally = classes.entry(item.spec.of.as_str()).or_default();
        tally.things += 1;
        tally.seen += usize::from(!item.status.seen.is_empty());
        tally.add(&attribute::of_item(cx, item));
    }
    let mut drift: BTreeMap<String, usize> = BTreeMap::new();
    for finding in cx.world.all::<Drift>() {
        let class = match finding.spec.subject.split_once('/') {
            Some(("item", name)) => cx.world.get::<Item>(name).map(|item| item.spec.of.clone()),
            Some((kind, _)) => Some(kind.to_owned()),
            None => None,
        };
        *drift.entry(class.unwrap_or_default()).or_default() += 1;
    }
    let open = |class: &str| drift.get(class).copied().unwrap_or(0);
    let mut all = vec![hosts.figures("host", open("host"))];
    all.extend(classes.iter().map(|(class, tally)| tally.figures(class, open(class))));
    InventoryFigures { classes: all }
}

/// How many of some objects have which values at some paths.
pub fn facets(search: &Search, things: &[Candidate], paths: &[String]) -> Vec<Facet> {
    let one = |path: &String| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for thing in things {
            if let Some(told) = search.told(thing, path) {
                *counts.entry(told.typed()).or_default() += 1;
            }
        }
        let mut values: Vec<FacetValue> =
            counts.into_iter().map(|(value, count)| FacetValue { value, count }).collect();
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        let more = values.len().saturating_sub(TOLD);
        values.truncate(TOLD);
        Facet { path: path.clone(), values, more }
    };
    paths.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::cmdb::item::Observed;
    use atoll_model::{Any, Object, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::Measurements;
    use crate::testing::world;

    #[test]
    fn what_nobody_has_seen_is_not_known_to_be_right() {
        let mut item = Object::new("r1", Item { of: "rack".to_owned(), ..Item::default() });
        item.spec.attributes.insert("units".to_owned(), json!(42));
        let class = Any::ItemType(Arc::new(Object::new(
            "rack",
            ItemType { stale_after: atoll_model::Span::seconds(60), ..ItemType::default() },
        )));
        let told = |item: &Object<Item>| {
            let world = world([class.clone(), Any::Item(Arc::new(item.clone()))]);
            let measured = Measurements::default();
            let cx = Context { world: &world, measured: &measured, now: Timestamp(1) };
            let rack = figures(&cx).classes.pop().unwrap();
            (rack.coverage, rack.freshness, rack.correctness)
        };
        assert_eq!(told(&item), (0.0, None, None));
        let said = |value| Observed { value, source: "scan".to_owned(), at: Timestamp(0) };
        item.status.seen.insert("units".to_owned(), vec![said(json!(40))]);
        assert_eq!(told(&item), (1.0, Some(1.0), Some(0.0)));
        item.status.seen.insert("units".to_owned(), vec![said(json!(42))]);
        assert_eq!(told(&item), (1.0, Some(1.0), Some(1.0)));
    }
}

//! The lines of the inventory: facts, networks, classes, items and findings.

use atoll_model::cmdb::drift::DriftCause;
use atoll_model::cmdb::facts::FactsData;
use atoll_model::{Drift, Facts, Item, ItemType, Network, Object, Timestamp, many};
use serde_json::Value;

use super::{Cell, aged, cell, name, reason, text, word};
use crate::clock::short;
use crate::terminal::Tone;

pub(super) fn facts(o: &Object<Facts>, now: Timestamp) -> Vec<Cell> {
    let entries = match &o.status.data {
        Some(FactsData::System(system)) => system.os.pretty.clone(),
        Some(FactsData::Storage(all)) => many(all.disks.len(), "disk"),
        Some(FactsData::Network(all)) => many(all.interfaces.len(), "interface"),
        Some(FactsData::Listeners(all)) => many(all.len(), "port"),
        Some(FactsData::Links(all)) => many(all.len(), "link"),
        Some(FactsData::Packages(all)) => many(all.len(), "package"),
        Some(FactsData::Custom(all)) => many(all.len(), "plug-in"),
        Some(FactsData::Mends(all)) => format!("{} not mended", all.len()),
        None => String::new(),
    };
    vec![
        name(&o.meta),
        cell("HOST", o.spec.host.clone()),
        cell("PART", o.spec.part.name()),
        cell("HOLDS", entries),
        cell("SINCE", o.status.since.map(|at| short(now.since(at))).unwrap_or_default()),
        cell("DIGEST", o.status.digest.clone()).wide(),
    ]
}

pub(super) fn network(o: &Object<Network>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let prefixes: Vec<String> = spec.prefixes.iter().map(ToString::to_string).collect();
    vec![
        name(&o.meta),
        cell("PREFIXES", prefixes.join(",")),
        cell("PARENT", text(&spec.parent)),
        cell("ZONE", text(&spec.zone)),
        cell("VLAN", spec.vlan.map(|vlan| vlan.to_string()).unwrap_or_default()),
        cell("GIVEN", spec.assigned.len().to_string()),
        cell("DOMAIN", spec.domain()).wide(),
        cell("OWNER", text(&spec.owner)).wide(),
        aged(&o.meta, now),
        cell("DESCRIPTION", spec.description.clone()),
    ]
}

pub(super) fn class(o: &Object<ItemType>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let properties = spec.schema.as_ref().and_then(|schema| schema["properties"].as_object());
    let rules: Vec<&str> = spec.identity.iter().map(|rule| rule.name.as_str()).collect();
    let relations: Vec<&str> = spec.relations.keys().map(String::as_str).collect();
    vec![
        name(&o.meta),
        cell("ATTRIBUTES", properties.map_or(0, serde_json::Map::len).to_string()),
        cell("RELATIONS", relations.join(",")),
        cell("IDENTITY", rules.join(",")),
        cell("STALE-AFTER", spec.stale_after.to_string()).wide(),
        cell("OWNER", text(&spec.owner)),
        aged(&o.meta, now),
        cell("DESCRIPTION", spec.description.clone()),
    ]
}

pub(super) fn item(o: &Object<Item>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let attributes = spec.attributes.iter().map(|(key, value)| format!("{key}={}", said(value)));
    let related: usize = spec.relations.values().map(Vec::len).sum();
    vec![
        name(&o.meta),
        cell("TYPE", spec.of.clone()),
        cell("OWNER", text(&spec.owner)).wide(),
        cell("RELATED", related.to_string()),
        cell("SEEN", o.status.seen.len().to_string()),
        cell("MERGED-INTO", text(&spec.merged_into)).wide(),
        aged(&o.meta, now),
        cell("ATTRIBUTES", attributes.collect::<Vec<String>>().join(" ")),
    ]
}

pub(super) fn drift(o: &Object<Drift>, now: Timestamp) -> Vec<Cell> {
    let status = &o.status;
    let tone = match status.cause {
        DriftCause::Differs | DriftCause::Unusable | DriftCause::Missing => Tone::Bad,
        DriftCause::Stale | DriftCause::Unfit | DriftCause::Twin => Tone::Busy,
    };
    let is = status.is.as_ref();
    vec![
        name(&o.meta),
        cell("CAUSE", word(&status.cause)).tone(tone),
        cell("SUBJECT", o.spec.subject.clone()),
        cell("ATTRIBUTE", o.spec.attribute.clone()),
        cell("SHOULD", status.should.as_ref().map(said).unwrap_or_default()),
        cell("IS", is.map(|is| said(&is.value)).unwrap_or_default()),
        cell("SAYS", is.map(|is| is.source.clone()).unwrap_or_default()).wide(),
        cell("USED-BY", status.used.as_ref().map(|u| u.consumer.clone()).unwrap_or_default())
            .wide(),
        cell("OPEN", status.since.map(|at| short(now.since(at))).unwrap_or_default()),
        cell("OWNER", text(&status.owner)),
        reason(&status.reasons),
    ]
}

/// A value as it is typed.
pub fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

//! Findings: where should, is and used do not agree, where something may be another thing, and
//! where an item no longer fits its class. They open and close by themselves: each time anything of
//! a subject changes, what there should be is worked out anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::cmdb::drift::{DriftCause, DriftStatus};
use atoll_model::cmdb::facts::FactsPart;
use atoll_model::cmdb::view::{Attribute, Standing};
use atoll_model::{
    Any, Drift, Host, Intent, Item, ItemType, Kind, Object, Reason, Snapshot, Timestamp, Write,
};
use serde_json::Value;

use super::attribute::{self, EVIDENCE_LIFE};
use super::{compare, facts, identity, item};
use crate::{Context, Plan};

/// The label that names who answers for a host.
const OWNER_LABEL: &str = "owner";

/// The attribute that stands for who somebody is.
const IDENTITY: &str = "identity";
/// So many others are named.
const TOLD_TWINS: usize = 3;

/// Plans the findings of one host.
pub fn plan_host(cx: &Context, name: &str) -> Plan {
    let subject = format!("host/{name}");
    let Some(host) = cx.world.get::<Host>(name) else {
        return settle(cx, &subject, BTreeMap::new(), None);
    };
    let owner = host.meta.labels.get(OWNER_LABEL).map(|owner| match owner.contains('/') {
        true => owner.clone(),
        false => format!("team/{owner}"),
    });
    let mut found = BTreeMap::new();
    let attributes = attribute::of_host(cx, host);
    let again_at = attributes.iter().filter_map(|a| evidence_ends(cx, a)).min();
    for attribute in &attributes {
        add(&subject, attribute, &owner, &mut found);
        if host.spec.mend.contains(&attribute.name)
            && let Some(status) = found.get_mut(&attribute.name)
            && let Some(why) = facts::not_mended(cx.world, name, &attribute.name)
        {
            let message = format!("the agent of {name} could not make it so: {why}");
            let hint = format!(
                "once its program is right, atoll drift mend {} has it tried again",
                Drift::object_name(&subject, &attribute.name)
            );
            status.reasons.push(Reason::new("not-mended", message).hint(hint));
        }
    }
    let twins = identity::twins(cx.world, host);
    if let Some(first) = twins.first() {
        let strong = twins.iter().any(|twin| twin.strong);
        let names: Vec<String> = twins.iter().map(|twin| format!("host/{}", twin.host)).collect();
        let how = if strong { "is most likely" } else { "may be" };
        let message = format!(
            "{subject} {how} the same machine as {}: {} is {}",
            names.join(", "),
            first.sign,
            first.value
        );
        let hint = "delete the one that has gone, or give the copy an identity of its own";
        let status = DriftStatus {
            cause: DriftCause::Twin,
            owner: owner.clone(),
            reasons: vec![Reason::new("same-identity", message).hint(hint)],
            ..DriftStatus::default()
        };
        found.insert(IDENTITY.to_owned(), status);
    }
    settle(cx, &subject, found, again_at)
}

/// Plans the findings of one item.
pub fn plan_item(cx: &Context, name: &str) -> Plan {
    let subject = format!("item/{name}");
    let merged = |item: &&Arc<Object<Item>>| item.spec.merged_into.is_some();
    let Some(item) = cx.world.get::<Item>(name).filter(|item| !merged(item)) else {
        return settle(cx, &subject, BTreeMap::new(), None);
    };
    let owner = item::owner(cx.world, &item.spec);
    let mut found = BTreeMap::new();
    let attributes = attribute::of_item(cx, item);
    let class = cx.world.get::<ItemType>(&item.spec.of);
    let stale = attributes.iter().filter_map(|a| {
        let authority = class.and_then(|class| class.spec.authority.get(&a.name));
        let usual = class.map(|class| class.spec.stale_after);
        let after = authority.and_then(|authority| authority.stale_after).or(usual)?;
        Some(a.is.first()?.at + after).filter(|at| *at > cx.now)
    });
    let over = attributes.iter().filter_map(|a| evidence_ends(cx, a));
    let again_at = over.chain(stale).min();
    for attribute in &attributes {
        // What is only declared and never looked for is no finding: nobody said who would look.
        if attribute.standing != Standing::Unseen {
            add(&subject, attribute, &owner, &mut found);
        }
    }
    let schema = class.and_then(|class| item::compiled(class));
    for (attribute, why) in item::ill_seen(schema.as_ref(), &attributes) {
        let (cause, is) = (DriftCause::Unfit, attribute.is.first().cloned());
        let said =
            is.as_ref().map(|is| format!("{}, says {},", compare::text(&is.value), is.source));
        let message = format!(
            "{} is {} which does not fit its class: {why}",
            attribute.name,
            said.unwrap_or_default()
        );
        let hint = "correct what the source sees, or the class's schema";
        let usual = || DriftStatus { cause, is, owner: owner.clone(), ..DriftStatus::default() };
        let status = found.entry(attribute.name.clone()).or_insert_with(usual);
        status.reasons.push(Reason::new("unfit", message).hint(hint));
    }
    let problems = item::problems(schema.as_ref(), item);
    let mut unfit: BTreeMap<String, Vec<Reason>> = BTreeMap::new();
    for (field, why) in problems {
        let at = if field.is_empty() { String::new() } else { format!("{field}: ") };
        let reason = Reason::new("misfit", format!("{at}{why}"));
        unfit.entry("schema".to_owned()).or_default().push(reason);
    }
    // What a relation leads to may have gone since, or be another thing.
    for (relation, why) in
        class.map(|class| item::misled(cx.world, class, item)).unwrap_or_default()
    {
        let reason = Reason::new("misled", format!("{relation}: {}", why.message));
        let hint = format!("atoll edit {subject} leads it elsewhere");
        unfit.entry(format!("relations.{relation}")).or_default().push(reason.hint(hint));
    }
    for (attribute, reasons) in unfit {
        let (cause, owner) = (DriftCause::Unfit, owner.clone());
        found.insert(attribute, DriftStatus { cause, owner, reasons, ..DriftStatus::default() });
    }
    let twins = identity::item_twins(cx.world, item);
    found
        .extend(twin_of_item(&subject, &twins, &owner).map(|status| (IDENTITY.to_owned(), status)));
    settle(cx, &subject, found, again_at)
}

/// That others show what an item shows; two records of one thing, or one of them is wrong.
fn twin_of_item(
    subject: &str,
    twins: &[identity::ItemTwin],
    owner: &Option<String>,
) -> Option<DriftStatus> {
    let first = twins.iter().find(|twin| twin.strong).or(twins.first())?;
    let mut names: Vec<String> =
        twins.iter().take(TOLD_TWINS).map(|twin| format!("item/{}", twin.item)).collect();
    if let Some(more) = twins.len().checked_sub(TOLD_TWINS + 1) {
        names.push(format!("{} more", more + 1));
    }
    let how = if first.strong { "is most likely" } else { "may be" };
    let message = format!(
        "{subject} {how} the same thing as {}: rule {} finds {} of both",
        names.join(", "),
        first.rule,
        first.value
    );
    let hint = format!(
        "atoll merge {subject} --into item/{} makes them one; else correct the one that is wrong",
        first.item
    );
    Some(DriftStatus {
        cause: DriftCause::Twin,
        owner: owner.clone(),
        reasons: vec![Reason::new("same-identity", message).hint(hint)],
        ..DriftStatus::default()
    })
}

/// When a failure that was met is over by itself.
fn evidence_ends(cx: &Context, attribute: &Attribute) -> Option<Timestamp> {
    let used = attribute.used.as_ref().filter(|used| !used.works)?;
    Some(used.at + EVIDENCE_LIFE).filter(|at| *at > cx.now)
}

/// Adds the finding of an attribute, should there be one.
fn add(
    subject: &str,
    of: &Attribute,
    owner: &Option<String>,
    found: &mut BTreeMap<String, DriftStatus>,
) {
    let (name, is) = (&of.name, of.is.first());
    let words = |value: Option<&Value>| value.map(compare::text).unwrap_or_default();
    let (should, seen) = (words(of.should.as_ref()), words(is.map(|said| &said.value)));
    let source = is.map_or("nobody", |said| said.source.as_str());
    let accept = format!("atoll drift accept {}", Drift::object_name(subject, name));
    let (cause, reason) = match of.standing {
        Standing::Agrees | Standing::Undeclared => return,
        Standing::Differs => {
            let message = format!("{name} should be {should} and is {seen}, says {source}");
            let hint = format!("{accept} takes what is; atoll drift mend makes the world match");
            (DriftCause::Differs, Reason::new("differs", message).hint(hint))
        }
        Standing::Unseen => {
            let message = format!("{name} should be {should}, and there is none");
            (DriftCause::Missing, Reason::new("missing", message).hint(accept))
        }
        Standing::Stale => {
            let since = of.seen.map(|at| format!(" since {at}")).unwrap_or_default();
            let message = format!("{name} was {seen}, says {source}; nobody has looked{since}");
            (DriftCause::Stale, Reason::new("stale", message))
        }
        Standing::Unusable => {
            let Some(used) = of.used.as_ref() else { return };
            let value = compare::text(&used.value);
            let mut message = format!("{} relied on {name} {value} and failed", used.consumer);
            if !used.message.is_empty() {
                message.push_str(&format!(": {}", used.message));
            }
            let hint = "whoever looks after it was asked to look again";
            (DriftCause::Unusable, Reason::new("unusable", message).hint(hint))
        }
    };
    let status = DriftStatus {
        cause,
        should: of.should.clone(),
        is: is.cloned(),
        used: of.used.clone(),
        since: None,
        owner: owner.clone(),
        reasons: vec![reason],
    };
    found.insert(name.clone(), status);
}

/// Opens, changes and closes the findings of a subject.
fn settle(
    cx: &Context,
    subject: &str,
    mut found: BTreeMap<String, DriftStatus>,
    again_at: Option<Timestamp>,
) -> Plan {
    let mut plan = Plan::nothing();
    plan.again_at = again_at;
    for known in cx.world.derived::<Drift>(&Drift::prefix(subject)) {
        let name = &known.meta.name;
        match found.remove(&known.spec.attribute) {
            None => {
                let (kind, revision) = (Kind::Drift, known.meta.revision);
                plan.intent = Intent::Remove;
                plan.reasons.push(Reason::new("closed", format!("drift/{name} is no more")));
                plan.writes.push(Write::Delete { kind, name: name.clone(), revision });
            }
            Some(mut status) => {
                let same = known.status.cause == status.cause;
                status.since = known.status.since.filter(|_| same).or(Some(cx.now));
                if status != known.status {
                    let mut new = Object::clone(known);
                    new.status = status;
                    plan.writes.push(Write::Put(Any::Drift(Arc::new(new))));
                }
            }
        }
    }
    for (attribute, mut status) in found {
        status.since = Some(cx.now);
        let name = Drift::object_name(subject, &attribute);
        // Two attributes whose names differ in their punctuation only share a finding.
        if cx.world.get::<Drift>(&name).is_some() || plan.writes.iter().any(|w| w.name() == name) {
            continue;
        }
        let mut new = Object::new(name, Drift { subject: subject.to_owned(), attribute });
        (new.meta.generation, new.meta.created_at) = (1, Some(cx.now));
        plan.reasons.extend(status.reasons.first().cloned());
        new.status = status;
        plan.writes.push(Write::Put(Any::Drift(Arc::new(new))));
    }
    if plan.writes.iter().any(|write| matches!(write, Write::Put(_))) {
        plan.intent = Intent::Observe;
    }
    plan
}

/// The hosts whose findings a changed object may concern.
pub fn touched_hosts(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (_, Some(Any::Host(host))) | (Some(Any::Host(host)), None) => vec![host.meta.name.clone()],
        (_, Some(Any::Facts(facts))) | (Some(Any::Facts(facts)), None) => {
            let mut names = vec![facts.spec.host.clone()];
            if facts.spec.part == FactsPart::System {
                // Those that were, or now are, taken for the same.
                for any in [old, new].into_iter().flatten() {
                    if let Any::Facts(facts) = any {
                        names.extend(alike(world, facts));
                    }
                }
            }
            names.sort();
            names.dedup();
            names
        }
        _ => Vec::new(),
    }
}

fn alike(world: &Snapshot, facts: &Object<atoll_model::Facts>) -> Vec<String> {
    let Some(atoll_model::cmdb::facts::FactsData::System(system)) = &facts.status.data else {
        return Vec::new();
    };
    let signs = identity::signs(system);
    let all = signs.iter().flat_map(|(sign, value)| world.hosts_with(sign, value));
    all.map(str::to_owned).collect()
}

/// The items whose findings a changed object may concern.
pub fn touched_items(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (_, Some(Any::Item(item))) | (Some(Any::Item(item)), None) => {
            let into = |any: Option<&Any>| match any {
                Some(Any::Item(item)) => item.spec.merged_into.clone(),
                _ => None,
            };
            let merged = [into(old), into(new)].into_iter().flatten();
            let of = |any: Option<&Any>| any.and_then(Any::of::<Item>).cloned();
            let (old, new) = (of(old), of(new));
            let alike = identity::items_alike(world, old.as_deref(), new.as_deref());
            [item.meta.name.clone()].into_iter().chain(merged).chain(alike).collect()
        }
        (Some(Any::ItemType(old)), Some(Any::ItemType(new))) if old.spec == new.spec => Vec::new(),
        (_, Some(Any::ItemType(class))) => {
            let of = world.all::<Item>().filter(|item| item.spec.of == *class.name());
            of.map(|item| item.meta.name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

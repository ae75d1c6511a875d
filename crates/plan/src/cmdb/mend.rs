//! Mending a finding either way: taking what is for what should be, or having the world made to
//! match. Both are edits of the target, and pass the gate as anybody's.

use std::sync::Arc;

use atoll_model::cmdb::drift::DriftCause;
use atoll_model::{Any, Drift, Intent, Item, Kind, Object, Reason, Write};
use serde_json::Value;

use super::evidence::attributes;
use crate::{Context, Plan};

/// Takes what is for what should be.
///
/// # Errors
/// There is no such finding, or nothing that could be taken.
pub fn accept(cx: &Context, name: &str) -> Result<Plan, Vec<Reason>> {
    let (drift, subject) = find(cx, name)?;
    let key = &drift.spec.attribute;
    let all = attributes(cx, &subject);
    let is = all.iter().find(|a| a.name == *key).and_then(|a| a.is.first());
    if !matches!(drift.status.cause, DriftCause::Differs | DriftCause::Missing) {
        return Err(refused(name, "there is no other value to take"));
    }
    let is = is.map(|said| said.value.clone());
    let changed = match subject {
        Any::Host(host) => {
            let mut new = Object::clone(&host);
            set(&mut new.spec.expect, key, is);
            new.spec.mend.remove(key);
            Any::Host(Arc::new(new))
        }
        Any::Item(item) => {
            let mut new = Object::clone(&item);
            set(&mut new.spec.attributes, key, is);
            Any::Item(Arc::new(new))
        }
        other => return Err(refused(name, &format!("{} has no attributes", other.id()))),
    };
    Ok(edit(changed, "accepted", format!("{name}: what is, is what should be from now on")))
}

/// Has the world made to match. Of a host its agent does it; nobody can of an item.
///
/// # Errors
/// There is no such finding, or nobody who could make it so.
pub fn mend(cx: &Context, name: &str) -> Result<Plan, Vec<Reason>> {
    let (drift, subject) = find(cx, name)?;
    let key = &drift.spec.attribute;
    let Any::Host(host) = subject else {
        let why = "nobody here can make it so: change the thing itself, and it closes by itself";
        return Err(refused(name, why));
    };
    if !host.spec.expect.contains_key(key) {
        return Err(refused(name, "nothing is expected of it that could be made so"));
    }
    let mut new = Object::clone(&host);
    let again = match new.spec.mend.insert(key.clone()) {
        true => "",
        // It was told so already: then it is tried once more.
        false => {
            new.spec.mend_round += 1;
            " again"
        }
    };
    let message = format!("{name}: the agent of {} is to run mend.d/{key}{again}", host.name());
    Ok(edit(Any::Host(Arc::new(new)), "mending", message))
}

/// Lets an item stand for itself again.
///
/// # Errors
/// There is no such item, or it was not merged.
pub fn split(cx: &Context, name: &str) -> Result<Plan, Vec<Reason>> {
    let item = item(cx, name)?;
    let Some(into) = &item.spec.merged_into else {
        return Err(vec![Reason::new("invalid", format!("item/{name} was not merged"))]);
    };
    let message = format!("item/{name} stands for itself again, and not in item/{into}");
    let mut new = Object::clone(item);
    new.spec.merged_into = None;
    Ok(edit(Any::Item(Arc::new(new)), "split", message))
}

/// Has an item stand for another as well. Nothing of the other is lost, so it can be undone.
///
/// # Errors
/// One of them is not there.
pub fn merge(cx: &Context, name: &str, into: &str) -> Result<Plan, Vec<Reason>> {
    item(cx, into)?;
    let mut new = Object::clone(item(cx, name)?);
    new.spec.merged_into = Some(into.to_owned());
    let message = format!("item/{into} stands for item/{name} as well");
    Ok(edit(Any::Item(Arc::new(new)), "merged", message))
}

fn item<'a>(cx: &Context<'a>, name: &str) -> Result<&'a Arc<Object<Item>>, Vec<Reason>> {
    let missing = || vec![Reason::new("not-found", format!("there is no item/{name}"))];
    cx.world.get::<Item>(name).ok_or_else(missing)
}

fn find<'a>(cx: &Context<'a>, name: &str) -> Result<(&'a Object<Drift>, Any), Vec<Reason>> {
    let missing = |id: &str| vec![Reason::new("not-found", format!("there is no {id}"))];
    let drift = cx.world.get::<Drift>(name).ok_or_else(|| missing(&format!("drift/{name}")))?;
    let subject = &drift.spec.subject;
    let (kind, of) = subject.split_once('/').ok_or_else(|| missing(subject))?;
    let kind = Kind::parse(kind).ok_or_else(|| missing(subject))?;
    let found = cx.world.find(kind, of).ok_or_else(|| missing(subject))?;
    Ok((drift, found))
}

fn refused(name: &str, why: &str) -> Vec<Reason> {
    vec![Reason::new("cannot-mend", format!("drift/{name}: {why}"))]
}

fn set(map: &mut std::collections::BTreeMap<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(map.insert(key.to_owned(), value)),
        None => drop(map.remove(key)),
    }
}

fn edit(mut changed: Any, code: &str, message: String) -> Plan {
    changed.meta_mut().generation += 1;
    let mut plan = Plan::new(Intent::Edit);
    plan.writes.push(Write::Put(changed));
    plan.reasons.push(Reason::new(code, message));
    plan
}

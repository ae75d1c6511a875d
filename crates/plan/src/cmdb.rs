//! Hosts: whether they are heard from, open or being emptied; in `cmdb/`, the inventory. Not the
//! placing or moving of what runs on hosts, which the deployments do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::deployment::InstancePhase;
use atoll_model::{
    Any, Facts, Host, Instance, Intent, Migration, Object, Reason, Snapshot, Timestamp, Write,
};
use serde_json::Value;

use crate::{Context, Plan, migration, pool};

pub mod attribute;
pub mod clock;
pub mod compare;
pub mod drift;
pub mod evidence;
pub mod facts;
pub mod feed;
pub mod figures;
pub mod filter;
pub mod graph;
pub mod identity;
pub mod impact;
pub(crate) mod item;
pub mod mend;
pub mod network;
pub mod record;
pub mod thing;

/// The code of what is told of a migration that keeps a host closed.
const MIGRATING: &str = "migrating";

/// Plans for one host.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(host) = cx.world.get::<Host>(name) else { return Plan::nothing() };
    let phase = phase(cx, host);
    let mut plan = if host.meta.deleting() && ready_to_go(cx, host, phase) {
        forget(cx, host)
    } else {
        observe(cx, host, phase)
    };
    plan.again_at = match cx.measured.last_heard.get(name) {
        Some(heard) if phase != HostPhase::Unknown => Some(*heard + cx.measured.host_timeout),
        _ => None,
    };
    plan
}

/// The hosts a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Host(host)) => vec![host.meta.name.clone()],
        Some(Any::Migration(_)) => {
            let hosts = |any: Option<&Any>| match any {
                Some(Any::Migration(m)) => m.status.hosts.clone(),
                _ => BTreeSet::new(),
            };
            let closes = |any: Option<&Any>, host: &str| match any {
                Some(Any::Migration(m)) => m.spec.closes(&m.status, host),
                _ => false,
            };
            let is_over = |any: Option<&Any>| match any {
                Some(Any::Migration(m)) => m.status.phase.is_over(),
                _ => false,
            };
            // One that is over may keep them closed: until when is told otherwise then.
            let ends = is_over(old) != is_over(new);
            let all = hosts(old).into_iter().chain(hosts(new));
            let concerned = |host: &String| {
                closes(old, host) != closes(new, host) || (ends && closes(new, host))
            };
            all.filter(concerned).collect()
        }
        Some(Any::Pool(_)) => pool::hosts_changed(old, new),
        // Only the last instance to leave makes a difference, and only where that is awaited.
        Some(Any::Instance(instance)) if new.is_none() || old.is_none() => {
            let emptied = world.get::<Host>(&instance.spec.host).filter(|host| is_emptied(host));
            emptied.map(|host| host.meta.name.clone()).into_iter().collect()
        }
        Some(Any::Task(task)) if new.is_none() || task.status.phase.is_over() => {
            let host = task.spec.host.as_ref().and_then(|host| world.get::<Host>(host));
            let emptied = host.filter(|host| is_emptied(host));
            emptied.map(|host| host.meta.name.clone()).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Whether what runs on a host is moved, whoever wants that.
fn is_emptied(host: &Object<Host>) -> bool {
    host.spec.drain || host.meta.deleting() || host.status.phase == HostPhase::Draining
}

/// What a host's agent is asked: since when to look again at everything, what to make so, and
/// which time that is asked. What is as it should be is not made so again.
pub(crate) fn asked(
    world: &Snapshot,
    host: &Object<Host>,
) -> (Option<Timestamp>, BTreeMap<String, Value>, u32) {
    let failures = host.status.used.values().filter(|used| !used.works);
    let mend = host.spec.expect.iter().filter(|(fact, _)| host.spec.mend.contains(*fact));
    let is_so = |fact: &str, value: &Value| {
        let found = facts::lookup(world, host.name(), fact);
        found.is_some_and(|(is, _)| compare::satisfies(&is, value))
    };
    let mend = mend.filter(|(fact, value)| !is_so(fact, value));
    let mend = mend.map(|(fact, value)| (fact.clone(), value.clone()));
    (failures.map(|used| used.at).max(), mend.collect(), host.spec.mend_round)
}

/// Whether a write of a host changes what its agent is asked.
pub fn asks_anew(world: &Snapshot, old: &Object<Host>, new: &Object<Host>) -> bool {
    asked(world, old) != asked(world, new)
}

/// The host whose agent may be asked something else after a write of facts.
pub fn asked_by_facts<'a>(world: &Snapshot, facts: &'a Object<Facts>) -> Option<&'a str> {
    let host = world.get::<Host>(&facts.spec.host)?;
    (!host.spec.mend.is_empty()).then_some(facts.spec.host.as_str())
}

fn phase(cx: &Context, host: &Object<Host>) -> HostPhase {
    let known = host.status.phase != HostPhase::Unknown;
    let heard = match cx.measured.last_heard.get(host.name()) {
        Some(at) => cx.now.since(*at) < cx.measured.host_timeout,
        // No measurement is no verdict: a server that has just started has heard nobody.
        None => known,
    };
    if !heard {
        HostPhase::Unknown
    } else if host.spec.drain
        || host.meta.deleting()
        || pool::emptying(cx.world, host.name()).is_some()
    {
        match cx.world.usage(host.name()) {
            Some(_) => HostPhase::Draining,
            None => HostPhase::Drained,
        }
    } else if host.spec.cordon
        || closed_by(cx, host).is_some()
        || pool::reserving(cx.world, host.name()).is_some()
    {
        HostPhase::Cordoned
    } else {
        HostPhase::Ready
    }
}

/// The migration that keeps new instances off a host, from the moment it joins.
fn closed_by<'a>(cx: &Context<'a>, host: &Object<Host>) -> Option<&'a Arc<Object<Migration>>> {
    migration::closing(cx.world, host.name()).or_else(|| migration::joining(cx, host))
}

fn ready_to_go(cx: &Context, host: &Object<Host>, phase: HostPhase) -> bool {
    phase == HostPhase::Unknown || cx.world.usage(host.name()).is_none()
}

fn forget(cx: &Context, host: &Object<Host>) -> Plan {
    let mut plan = Plan::new(Intent::Remove);
    for instance in cx.world.instances_on(host.name()) {
        plan.writes.push(delete(instance));
    }
    plan.reasons.push(match plan.writes.len() {
        0 => Reason::new("deleted", format!("nothing is left on {}", host.name())),
        n => Reason::new(
            "deleted",
            format!("{} is not heard from; {} go with it", host.name(), crate::instances(n)),
        ),
    });
    plan.writes.push(Write::Delete {
        kind: atoll_model::Kind::Host,
        name: host.meta.name.clone(),
        revision: host.meta.revision,
    });
    plan
}

fn delete(instance: &Object<Instance>) -> Write {
    Write::Delete {
        kind: atoll_model::Kind::Instance,
        name: instance.meta.name.clone(),
        revision: instance.meta.revision,
    }
}

/// **Invariant:** a status is written on a transition only, or where another keeps the host closed
/// than before, or its clock is off by another time; heartbeats write nothing.
fn observe(cx: &Context, host: &Arc<Object<Host>>, phase: HostPhase) -> Plan {
    let mut plan = Plan::nothing();
    if phase == host.status.phase && phase != HostPhase::Unknown {
        let told = reasons(cx, host);
        if passing(&told) != passing(&host.status.reasons) {
            let mut new = Object::clone(host);
            new.status.reasons = told;
            plan.writes.push(Write::Put(Any::Host(Arc::new(new))));
        }
        return plan;
    }
    if phase != host.status.phase || (phase == HostPhase::Unknown && host.status.since.is_none()) {
        let mut new = Object::clone(host);
        let heard = cx.measured.last_heard.get(host.name()).copied();
        new.status.last_seen = heard.or(host.status.last_seen);
        new.status.phase = phase;
        new.status.since = Some(cx.now);
        new.status.reasons = reasons(cx, &new);
        plan.reasons = new.status.reasons.clone();
        plan.writes.push(Write::Put(Any::Host(Arc::new(new))));
    }
    if phase == HostPhase::Unknown {
        for instance in cx.world.instances_on(host.name()) {
            lose(cx, instance, &mut plan);
        }
    }
    plan
}

/// What is told that comes and goes while a host's phase stays: the migration that keeps it closed,
/// and that its clock is off.
fn passing(reasons: &[Reason]) -> [Option<&Reason>; 2] {
    let told = |code| reasons.iter().find(|reason| reason.code == code);
    [told(MIGRATING), told(clock::CLOCK)]
}

fn lose(cx: &Context, instance: &Arc<Object<Instance>>, plan: &mut Plan) {
    if matches!(instance.status.phase, InstancePhase::Stopped | InstancePhase::Unknown) {
        return;
    }
    let mut new = Object::clone(instance);
    new.status.phase = InstancePhase::Unknown;
    new.status.since = Some(cx.now);
    new.status.reasons = vec![Reason::new(
        "host-unknown",
        format!("its host {} is not heard from", instance.spec.host),
    )];
    plan.writes.push(Write::Put(Any::Instance(Arc::new(new))));
}

/// Until when a migration keeps hosts closed.
fn until(by: &Object<Migration>) -> String {
    let name = by.name();
    match (by.status.phase.is_over(), by.spec.retire) {
        (true, _) => format!("until: atoll delete migration/{name}"),
        (false, true) => {
            format!("also once that is over, until: atoll delete migration/{name}")
        }
        (false, false) => format!("until that is over, or: atoll cancel migration/{name}"),
    }
}

fn reasons(cx: &Context, host: &Object<Host>) -> Vec<Reason> {
    let mut reasons = of_phase(cx, host);
    // Of a host that is not heard it is not known what its clock says now.
    let heard = host.status.phase != HostPhase::Unknown;
    reasons.extend(clock::reason(host).filter(|_| heard));
    reasons
}

fn of_phase(cx: &Context, host: &Object<Host>) -> Vec<Reason> {
    match host.status.phase {
        HostPhase::Unknown => {
            let message = match host.status.last_seen {
                Some(at) => format!("not heard from since {at}"),
                None => "has never been heard from".to_owned(),
            };
            vec![Reason::new("not-heard", message).hint(format!(
                "look whether `atoll agent` runs on it and reaches a server; after {} of silence \
                 its instances are replaced elsewhere",
                cx.measured.host_timeout
            ))]
        }
        HostPhase::Draining => {
            let by = pool::emptying(cx.world, host.name());
            let why = match by {
                _ if host.spec.drain => "its drain was asked for".to_owned(),
                Some(pool) => format!("pool/{} lets it go", pool.name()),
                None => "its deletion was asked for".to_owned(),
            };
            vec![Reason::new("draining", format!("{why}; its instances move"))]
        }
        HostPhase::Cordoned => {
            let by = closed_by(cx, host);
            let told = |by: &Arc<Object<Migration>>| {
                let message = format!("migration/{} keeps new instances off it", by.name());
                Reason::new(MIGRATING, message).hint(until(by))
            };
            let spare = pool::reserving(cx.world, host.name()).map(|pool| {
                let (name, soon) = (pool.name(), pool.status.machines.contains_key(host.name()));
                let message = match soon {
                    true => format!("pool/{name} lets it go before long"),
                    false => format!("pool/{name} keeps it in reserve"),
                };
                Reason::new("in-reserve", message)
            });
            by.map(told).into_iter().chain(spare).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::Facts;
    use atoll_model::cmdb::facts::{FactsData, FactsPart, SystemFacts};
    use serde_json::json;

    use super::*;
    use crate::testing::{host, world};

    #[test]
    fn what_is_as_it_should_be_is_not_made_so_again() {
        let Any::Host(host) = host("h0") else { unreachable!("it is a host") };
        let mut host = Object::clone(&host);
        host.spec.expect = [("kernel".to_owned(), json!("~ 6.1*"))].into();
        host.spec.mend = ["kernel".to_owned()].into();
        let mut world = world([Any::Host(Arc::new(host.clone()))]);
        let mend = |world: &Snapshot| asked(world, &host).1.into_keys().collect::<Vec<_>>();
        assert_eq!(mend(&world), ["kernel"], "nobody knows what it is");
        for (kernel, wanted) in [("5.10", &["kernel"][..]), ("6.1.0", &[]), ("6.2", &["kernel"])] {
            let spec = Facts { host: "h0".to_owned(), part: FactsPart::System };
            let mut facts = Object::new("h0.system", spec);
            let system = SystemFacts { kernel: kernel.to_owned(), ..SystemFacts::default() };
            facts.status.data = Some(FactsData::System(Box::new(system)));
            assert_eq!(asked_by_facts(&world, &facts), Some("h0"));
            world.put(Any::Facts(Arc::new(facts)));
            assert_eq!(mend(&world), wanted, "{kernel}");
        }
    }
}

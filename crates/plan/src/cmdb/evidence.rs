//! What consumers met who relied on a recorded value. A failure is evidence against it: it is kept
//! beside the value, opens a finding, and has the host's agent look again. What is then found
//! decides; evidence alone changes no record.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use atoll_model::cmdb::item::{Used, check_key};
use atoll_model::cmdb::view::UseReport;
use atoll_model::monitoring::MonitorPhase;
use atoll_model::{Any, Host, Intent, Item, Monitor, Object, Reason, Snapshot, Span, Write};
use serde_json::Value;

use super::{attribute, compare};
use crate::{Context, Plan};

pub mod work;

/// The same evidence is not written more often than this.
const AGAIN: Span = Span::seconds(60);

/// Turns one word of a consumer into a plan; `consumer` is who says so.
///
/// # Errors
/// There is no such subject, or it is none that evidence is kept of.
pub fn note(cx: &Context, consumer: &str, told: &UseReport) -> Result<Plan, Vec<Reason>> {
    let wrong = |message: String| vec![Reason::new("invalid", message)];
    check_key(&told.attribute).map_err(|e| wrong(format!("attribute: {e}")))?;
    let used = Used {
        value: told.value.clone(),
        consumer: told.consumer.clone().unwrap_or_else(|| consumer.to_owned()),
        works: told.works,
        message: told.message.chars().take(400).collect(),
        at: cx.now,
    };
    let mut plan = Plan::nothing();
    let missing = || vec![Reason::new("not-found", format!("there is no {}", told.subject))];
    match told.subject.split_once('/') {
        Some(("host", name)) => {
            let host = cx.world.get::<Host>(name).ok_or_else(missing)?;
            on_host(host, &told.attribute, used, &mut plan);
        }
        Some(("item", name)) => {
            let item = cx.world.get::<Item>(name).ok_or_else(missing)?;
            on_item(item, &told.attribute, used, &mut plan);
        }
        _ => return Err(wrong(format!("{:?} is neither host/NAME nor item/NAME", told.subject))),
    }
    Ok(plan)
}

/// Whether a word adds to what is known: a failure does, and a success of whoever failed before.
fn adds(known: Option<&Used>, new: &Used) -> bool {
    let Some(known) = known else { return true };
    let same =
        (known.works, &known.value, &known.consumer) == (new.works, &new.value, &new.consumer);
    if same {
        return !new.works && new.at.since(known.at) >= AGAIN;
    }
    // Somebody else's success does not unsay a failure with the same value.
    !new.works || known.works || known.consumer == new.consumer || known.value != new.value
}

fn reason(subject: &str, attribute: &str, used: &Used) -> Reason {
    let how = if used.works { "used" } else { "failed with" };
    let value = compare::text(&used.value);
    Reason::new("used", format!("{} {how} {attribute} {value} of {subject}", used.consumer))
}

fn on_host(host: &Arc<Object<Host>>, key: &str, used: Used, plan: &mut Plan) {
    if adds(host.status.used.get(key), &used) {
        let mut new = Object::clone(host);
        plan.reasons.push(reason(&format!("host/{}", host.name()), key, &used));
        new.status.used.insert(key.to_owned(), used);
        plan.writes.push(Write::Put(Any::Host(Arc::new(new))));
    }
}

fn on_item(item: &Arc<Object<Item>>, key: &str, used: Used, plan: &mut Plan) {
    if adds(item.status.used.get(key), &used) {
        let mut new = Object::clone(item);
        plan.reasons.push(reason(&format!("item/{}", item.name()), key, &used));
        new.status.used.insert(key.to_owned(), used);
        plan.writes.push(Write::Put(Any::Item(Arc::new(new))));
    }
}

/// Whether a failure shows that whoever has the address was there: a port that refuses, or says
/// something nobody wanted, is no evidence against the address.
pub(crate) fn answered(message: &str) -> bool {
    const SIGNS: [&str; 10] = [
        "refused",
        "was answered",
        "answered with",
        "not answered in HTTP",
        "reset",
        "broke off",
        "closes every",
        "certificate",
        "does not hold",
        "exposes what",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}

/// Plans for one monitor: it relies on the recorded address of whatever has the address it looks
/// at, and what it meets there is evidence.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let mut plan = Plan::new(Intent::Observe);
    let Some(monitor) = cx.world.get::<Monitor>(name) else { return plan };
    let works = match monitor.status.phase {
        MonitorPhase::Up => true,
        MonitorPhase::Down => false,
        // Which of several targets is meant is not known.
        MonitorPhase::Unknown | MonitorPhase::Degraded => return plan,
    };
    for target in monitor.spec.probe.targets() {
        let Some(address) = address_of(target) else { continue };
        let message = monitor.status.reasons.first().map(|r| r.message.clone());
        // Somebody was there, and only what was to listen is wrong, which the monitor says itself.
        let works = works || message.as_deref().is_some_and(answered);
        let used = Used {
            value: Value::from(address),
            consumer: format!("monitor/{name}"),
            works,
            message: message.filter(|_| !works).unwrap_or_default(),
            at: cx.now,
        };
        for (subject, key) in holders(cx.world, address) {
            match subject {
                Any::Host(host) => on_host(&host, &key, used.clone(), &mut plan),
                Any::Item(item) => on_item(&item, &key, used.clone(), &mut plan),
                _ => {}
            }
        }
    }
    // One object is written once, however many of its attributes are concerned.
    let mut writes: BTreeMap<String, Write> = BTreeMap::new();
    for write in plan.writes.drain(..) {
        writes.entry(format!("{}/{}", write.kind(), write.name())).or_insert(write);
    }
    plan.writes = writes.into_values().collect();
    plan
}

/// The monitors a changed object may concern: those that have found something else.
pub fn touched(_: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Monitor(old)), Some(Any::Monitor(new)))
            if old.status.phase == new.status.phase =>
        {
            Vec::new()
        }
        (_, Some(Any::Monitor(monitor))) => vec![monitor.meta.name.clone()],
        _ => Vec::new(),
    }
}

/// The host of `http://HOST:PORT/path` or `HOST:PORT`; none for this very machine.
fn address_of(target: &str) -> Option<&str> {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let place = rest.split(['/', '?']).next()?;
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(six) => six.split(']').next()?,
        None => place.rsplit_once(':').map_or(place, |(host, _)| host),
    };
    let here = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) || host == "localhost";
    (!here && !host.is_empty()).then_some(host)
}

/// Whose address is recorded to be this, and as which attribute.
fn holders(world: &Snapshot, address: &str) -> Vec<(Any, String)> {
    let mut found = Vec::new();
    for host in world.all::<Host>().filter(|host| host.status.address == address) {
        found.push((Any::Host(host.clone()), "address".to_owned()));
    }
    for item in world.all::<Item>() {
        let declared = item.spec.attributes.iter();
        let seen = item.status.seen.iter();
        let seen = seen.flat_map(|(key, all)| all.iter().map(move |said| (key, &said.value)));
        let key = declared.chain(seen).find(|(_, value)| value.as_str() == Some(address));
        found.extend(key.map(|(key, _)| (Any::Item(item.clone()), key.clone())));
    }
    found
}

/// What should be of a subject, for whoever mends it.
pub(crate) fn attributes(cx: &Context, subject: &Any) -> Vec<atoll_model::cmdb::view::Attribute> {
    match subject {
        Any::Host(host) => attribute::of_host(cx, host),
        Any::Item(item) => attribute::of_item(cx, item),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::testing::{host, world};
    use crate::{Measurements, follow};

    #[test]
    fn addresses_are_found_in_targets() {
        let cases = [
            ("http://10.0.0.1:80/healthz", Some("10.0.0.1")),
            ("https://user@db.example", Some("db.example")),
            ("[fd00::1]:53", Some("fd00::1")),
            ("db.example:5432", Some("db.example")),
            ("127.0.0.1:80", None),
            ("http://localhost/", None),
        ];
        for (target, address) in cases {
            assert_eq!(address_of(target), address, "{target}");
        }
    }

    #[test]
    fn a_failure_is_kept_until_whoever_failed_succeeds() {
        let mut world = world([host("h0")]);
        let mut tell = |consumer: &str, works: bool, at: i64| {
            let measured = Measurements::default();
            let cx = Context { world: &world, measured: &measured, now: Timestamp(at) };
            let told = UseReport {
                subject: "host/h0".to_owned(),
                attribute: "address".to_owned(),
                value: json!("10.0.0.1"),
                works,
                consumer: Some(consumer.to_owned()),
                message: String::new(),
            };
            let plan = note(&cx, "user/anna", &told).unwrap();
            let count = plan.writes.len();
            plan.writes.iter().for_each(|write| drop(follow::apply(&mut world, write)));
            count
        };
        assert_eq!(tell("monitor/a", false, 0), 1);
        assert_eq!(tell("monitor/a", false, 1_000), 0, "nothing new");
        assert_eq!(tell("monitor/b", true, 2_000), 0, "others do not unsay it");
        assert_eq!(tell("monitor/a", false, 61_000), 1, "it goes on");
        assert_eq!(tell("monitor/a", true, 62_000), 1);
        assert_eq!(tell("monitor/a", true, 200_000), 0);
        let used = &world.get::<Host>("h0").unwrap().status.used["address"];
        assert!(used.works && used.at == Timestamp(62_000));
    }
}

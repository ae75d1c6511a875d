//! Facts of hosts: what an agent hands in becomes objects, what it still has to hand in is worked
//! out from digests, and facts go with their host. A fact is looked up here by its path.

use std::sync::Arc;

use atoll_model::cmdb::facts::{
    FactsData, FactsPart, FactsReport, FactsWanted, FoundFacts, SystemFacts,
};
use atoll_model::{Any, Facts, Host, Intent, Kind, Object, Reason, Snapshot, Timestamp, Write};
use serde_json::Value;

use crate::{Context, Plan};

/// Adds to a report's plan what a host says it is.
///
/// **Invariant:** what has the digest that is known writes nothing, and what is too large, or
/// cannot be, is kept nowhere.
pub(crate) fn take(cx: &Context, host: &str, found: &[FoundFacts], plan: &mut Plan) {
    for found in found {
        let part = found.data.part();
        if let Err(invalid) = found.data.check() {
            plan.reasons.push(Reason::new("facts-refused", format!("{host}: {invalid}")));
            continue;
        }
        let name = part.of_host(host);
        let mut new = match cx.world.get::<Facts>(&name) {
            Some(known) if known.status.digest == found.digest => continue,
            Some(known) => Object::clone(known),
            None => {
                let mut new = Object::new(name.as_str(), Facts { host: host.to_owned(), part });
                (new.meta.generation, new.meta.created_at) = (1, Some(cx.now));
                new
            }
        };
        new.status.digest.clone_from(&found.digest);
        new.status.since = Some(cx.now);
        new.status.data = Some(found.data.clone());
        plan.writes.push(Write::Put(Any::Facts(Arc::new(new))));
    }
}

/// What a host still has to hand in, after what it has handed in was taken.
pub fn wanted(world: &Snapshot, host: &str, report: &FactsReport) -> FactsWanted {
    let mut wanted = FactsWanted::default();
    for (part, digest) in &report.digests {
        let known = world.get::<Facts>(&part.of_host(host));
        if known.is_none_or(|known| known.status.digest != *digest) {
            wanted.parts.push(*part);
        }
    }
    for found in &report.parts {
        if let Err(invalid) = found.data.check() {
            wanted.refused.push(Reason::new("facts-refused", invalid.to_string()));
        }
    }
    wanted
}

/// Plans for one part of the facts of a host: it goes with its host.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(facts) = cx.world.get::<Facts>(name) else { return Plan::nothing() };
    if cx.world.get::<Host>(&facts.spec.host).is_some() {
        return Plan::nothing();
    }
    let mut plan = Plan::new(Intent::Remove);
    plan.reasons.push(Reason::new("deleted", format!("there is no host {}", facts.spec.host)));
    let revision = facts.meta.revision;
    plan.writes.push(Write::Delete { kind: Kind::Facts, name: name.to_owned(), revision });
    plan
}

/// The facts a changed object may concern: those of a host that goes.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Host(host)), None) => {
            world.derived::<Facts>(host.name()).map(|facts| facts.meta.name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// The content of one part, and when it became so.
pub fn part<'a>(
    world: &'a Snapshot,
    host: &str,
    part: FactsPart,
) -> Option<(&'a FactsData, Timestamp)> {
    let facts = world.get::<Facts>(&part.of_host(host))?;
    Some((facts.status.data.as_ref()?, facts.status.since.unwrap_or_default()))
}

/// What kind of machine a host is.
pub fn system<'a>(world: &'a Snapshot, host: &str) -> Option<(&'a SystemFacts, Timestamp)> {
    match part(world, host, FactsPart::System)? {
        (FactsData::System(system), since) => Some((system, since)),
        _ => None,
    }
}

/// A fact of a host by its path, and when it became so: `os.name`, `packages.bash`,
/// `custom.rack.row`, `interfaces.0.mac`, `address`.
pub fn lookup(world: &Snapshot, host: &str, path: &str) -> Option<(Value, Timestamp)> {
    let path = path.strip_prefix("facts.").unwrap_or(path);
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let object = world.get::<Host>(host)?;
    let of = |part: FactsPart| self::part(world, host, part);
    let (value, since) = match head {
        "address" => {
            let since = object.status.since.unwrap_or_default();
            return Some((Value::from(object.status.address.clone()), since));
        }
        "zone" => return Some((Value::from(object.zone()), Timestamp::default())),
        // The names of packages have dots of their own.
        "packages" => match of(FactsPart::Packages)? {
            (FactsData::Packages(all), since) => {
                return all.get(rest).map(|version| (Value::from(version.clone()), since));
            }
            _ => return None,
        },
        "disks" | "filesystems" => inner(of(FactsPart::Storage)?)?,
        "interfaces" | "routes" | "resolvers" => inner(of(FactsPart::Network)?)?,
        "custom" => {
            let (value, since) = inner(of(FactsPart::Custom)?)?;
            return walk(&value, rest).map(|value| (value.clone(), since));
        }
        _ => inner(of(FactsPart::System)?)?,
    };
    walk(&value, path).map(|found| (found.clone(), since))
}

/// Why the agent of a host could not make a fact so, if it tried.
pub(crate) fn not_mended<'a>(world: &'a Snapshot, host: &str, fact: &str) -> Option<&'a String> {
    match part(world, host, FactsPart::Mends)? {
        (FactsData::Mends(all), _) => all.get(fact),
        _ => None,
    }
}

fn inner((data, since): (&FactsData, Timestamp)) -> Option<(Value, Timestamp)> {
    let value = match data {
        FactsData::System(facts) => serde_json::to_value(facts),
        FactsData::Storage(facts) => serde_json::to_value(facts),
        FactsData::Network(facts) => serde_json::to_value(facts),
        FactsData::Listeners(facts) => serde_json::to_value(facts),
        FactsData::Links(facts) => serde_json::to_value(facts),
        FactsData::Packages(facts) => serde_json::to_value(facts),
        FactsData::Custom(facts) => serde_json::to_value(facts),
        FactsData::Mends(facts) => serde_json::to_value(facts),
    };
    Some((value.ok()?, since))
}

/// What stands at a path of keys and numbers of lists.
pub(crate) fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    // A key may hold dots, so the longest that is there is taken.
    if let Value::Object(map) = value {
        let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]).rev();
        return ends.into_iter().find_map(|end| {
            let rest = path[end..].strip_prefix('.').unwrap_or_default();
            map.get(&path[..end]).and_then(|below| walk(below, rest))
        });
    }
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let at: usize = head.parse().ok()?;
    value.get(at).and_then(|below| walk(below, rest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::{host, world};
    use crate::{Measurements, follow};

    fn report(world: &mut Snapshot, found: FoundFacts) -> usize {
        let measured = Measurements::default();
        let cx = Context { world, measured: &measured, now: Timestamp(5) };
        let mut plan = Plan::new(Intent::Report);
        take(&cx, "h0", &[found], &mut plan);
        let writes = plan.writes;
        writes.iter().for_each(|write| drop(follow::apply(world, write)));
        writes.len()
    }

    fn packages(version: &str) -> FoundFacts {
        let all: BTreeMap<String, String> = [("libc6.1".to_owned(), version.to_owned())].into();
        FoundFacts { digest: version.to_owned(), data: FactsData::Packages(all) }
    }

    #[test]
    fn only_what_has_changed_is_written_and_what_is_lost_is_asked_for() {
        let mut world = world([host("h0")]);
        assert_eq!(report(&mut world, packages("1")), 1);
        assert_eq!(report(&mut world, packages("1")), 0);
        let digests = [(FactsPart::Packages, "2".to_owned()), (FactsPart::Links, "x".to_owned())];
        let said = FactsReport { digests: digests.into(), parts: Vec::new() };
        let wanted = wanted(&world, "h0", &said).parts;
        assert_eq!(wanted, [FactsPart::Links, FactsPart::Packages]);
        assert_eq!(report(&mut world, packages("2")), 1);
        let found = lookup(&world, "h0", "facts.packages.libc6.1").unwrap();
        assert_eq!(found, (Value::from("2"), Timestamp(5)));
    }

    #[test]
    fn facts_are_found_by_their_paths() {
        let mut world = world([host("h0")]);
        let mut system = SystemFacts::default();
        system.os.name = "debian".to_owned();
        let data = FactsData::System(Box::new(system));
        report(&mut world, FoundFacts { digest: "1".into(), data });
        let plug_in = serde_json::json!({ "row": [1, { "a.b": 2 }] });
        let data = FactsData::Custom([("rack".to_owned(), plug_in)].into());
        report(&mut world, FoundFacts { digest: "1".into(), data });
        let at = |path: &str| lookup(&world, "h0", path).map(|(value, _)| value.to_string());
        assert_eq!(at("os.name").as_deref(), Some("\"debian\""));
        assert_eq!(at("custom.rack.row.1.a.b").as_deref(), Some("2"));
        assert_eq!(at("custom.rack.row.9"), None);
        assert_eq!(at("os.nothing"), None);
        assert_eq!(lookup(&world, "h9", "os.name"), None);
    }

    #[test]
    fn facts_go_with_their_host() {
        let mut world = world([host("h0")]);
        report(&mut world, packages("1"));
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: Timestamp(9) };
        assert_eq!(plan(&cx, "h0.packages").writes.len(), 0);
        let gone = world.remove(Kind::Host, "h0");
        assert_eq!(touched(&world, gone.as_ref(), None), ["h0.packages"]);
        let cx = Context { world: &world, measured: &measured, now: Timestamp(9) };
        assert_eq!(plan(&cx, "h0.packages").writes.len(), 1);
    }
}

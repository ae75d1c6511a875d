//! What is rehearsed of one object, where no scenario is written: of a deployment, its release that
//! waits or the loss of a zone at its next peak; of a migration, itself; of a peak, itself; of a
//! pool, that its provider fails at the peak.

use std::collections::BTreeMap;

use atoll_model::deployment::Phase;
use atoll_model::rehearsal::{Change, Check, Fault, Known, Load, Rehearsal, Scenario};
use atoll_model::{
    Autoscaler, Capacity, Deployment, Host, Instance, Kind, Migration, Object, Peak, Pool, Reason,
    Snapshot, Span, Timestamp,
};
use serde_json::json;

pub(super) mod peak;

/// What happens, happens so long after the beginning.
const SOON: Span = Span::seconds(600);
const HOUR: Span = Span::seconds(3_600);
/// So long after a peak has begun.
const BEGUN: Span = Span::seconds(60);

/// The scenario of an object.
///
/// # Errors
/// There is none of it, or no such object.
pub fn scenario(
    world: &Snapshot,
    (kind, name): (Kind, &str),
    now: Timestamp,
) -> Result<Scenario, Vec<Reason>> {
    let missing = || {
        let message = format!("there is no {}/{name}", kind.lower());
        vec![Reason::new("not-found", message)]
    };
    let spec = match kind {
        Kind::Deployment => deployment(world, name, now).ok_or_else(missing)?,
        Kind::Migration => migration(world, name).ok_or_else(missing)?,
        Kind::Peak => peak::scenario(world, name, now)?,
        Kind::Pool => pool(world, name, now).ok_or_else(missing)?,
        _ => {
            let message = format!("{}/{name} cannot be rehearsed by itself", kind.lower());
            let hint = "deployment/NAME, migration/NAME, peak/NAME and pool/NAME can; write a \
                        scenario, see docs/guide/rehearsal.md";
            return Err(vec![Reason::new("invalid", message).hint(hint)]);
        }
    };
    Ok(Scenario::new(format!("{}-{}", kind.lower(), name.replace('.', "-")), spec))
}

fn forecast() -> BTreeMap<String, Load> {
    [("*".to_owned(), Load { known: Some(Known::Forecast), ..Load::default() })].into()
}

fn deployment(world: &Snapshot, name: &str, now: Timestamp) -> Option<Rehearsal> {
    let deployment = world.get::<Deployment>(name)?;
    let status = &deployment.status;
    let newest = world.newest_release(&deployment.spec.application);
    let waits = newest.filter(|newest| {
        let settled = status.phase == Phase::Settled || deployment.spec.paused;
        status.release.as_deref() != Some(newest.name())
            && status.failed.as_ref().is_none_or(|failed| failed.release != newest.name())
            && (settled || status.rollout.is_none())
    });
    if let Some(release) = waits {
        let (of, release) = (name.to_owned(), Some(release.meta.name.clone()));
        let settled = Check::Settled { of: Some(name.to_owned()) };
        return Some(Rehearsal {
            lasts: Span(HOUR.0 * 2),
            load: forecast(),
            changes: vec![Change::Deploy { at: SOON, of, release }],
            checks: served(world, name, "99.5%").into_iter().chain([settled]).collect(),
            ..Rehearsal::default()
        });
    }
    let peak = next_peak(world, name, now);
    let from = peak.map_or(now, |peak| (peak - HOUR).max(now));
    // While the peak is there, and be it a short one.
    let at = peak.map_or(HOUR, |peak| (peak + BEGUN).since(from));
    let known = served(world, name, "99%");
    let fault = match (zone(world, name), host(world, name)) {
        (Some(zone), _) => Fault::Loss { at, of: format!("zone/{zone}"), lasts: None },
        (None, Some(host)) if known.is_none() => {
            Fault::Loss { at, of: format!("host/{host}"), lasts: None }
        }
        _ => Fault::Load { at, of: Some(name.to_owned()), times: 2.0, lasts: Some(HOUR) },
    };
    Some(Rehearsal {
        from: Some(from),
        lasts: Span(HOUR.0 * 3),
        load: forecast(),
        faults: vec![fault],
        checks: vec![known.unwrap_or_else(|| Check::Settled { of: Some(name.to_owned()) })],
        ..Rehearsal::default()
    })
}

/// That so much of its load is served; none where nobody measures a load of it.
fn served(world: &Snapshot, name: &str, at_least: &str) -> Option<Check> {
    world.get::<Autoscaler>(name)?;
    Some(Check::Served { of: Some(name.to_owned()), at_least: at_least.to_owned() })
}

/// When the next peak of a deployment is that is declared, or else when the highest load of the
/// next days is expected.
fn next_peak(world: &Snapshot, name: &str, now: Timestamp) -> Option<Timestamp> {
    let declared = crate::peak::rows(world, name).map(|(peak, _)| &peak.status.times);
    let ahead = declared.filter(|times| times.ends > now).map(|times| times.starts.max(now));
    ahead.min().or_else(|| {
        let capacity = world.get::<Capacity>(name)?;
        let ahead = capacity.status.days.iter().filter(|day| day.at > now);
        Some(ahead.max_by(|a, b| a.high.total_cmp(&b.high))?.at)
    })
}

/// The zone most of its instances are in, if there is another.
fn zone(world: &Snapshot, name: &str) -> Option<String> {
    let zones = counted(world, name, Object::zone);
    let others = world.all::<Host>().any(|host| !zones.contains_key(host.zone()));
    let more = zones.len() > 1 || others;
    fullest(zones).filter(|_| more)
}

/// The host most of its instances are on.
fn host(world: &Snapshot, name: &str) -> Option<String> {
    fullest(counted(world, name, Object::name))
}

/// How many instances of a deployment there are by something of their hosts.
fn counted<'a>(
    world: &'a Snapshot,
    name: &str,
    by: impl Fn(&'a Object<Host>) -> &'a str,
) -> BTreeMap<&'a str, u32> {
    let mut counts = BTreeMap::new();
    for instance in world.derived::<Instance>(name) {
        if let Some(host) = world.get::<Host>(&instance.spec.host) {
            *counts.entry(by(host)).or_default() += 1;
        }
    }
    counts
}

fn fullest(counts: BTreeMap<&str, u32>) -> Option<String> {
    let most = counts.into_iter().max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name)));
    most.map(|(name, _)| name.to_owned())
}

fn migration(world: &Snapshot, name: &str) -> Option<Rehearsal> {
    world.get::<Migration>(name)?;
    let go = Change::Edit {
        at: Span::seconds(60),
        of: format!("migration/{name}"),
        patch: json!({ "spec": { "paused": false } }),
    };
    Some(Rehearsal {
        lasts: Span(HOUR.0 * 12),
        load: forecast(),
        changes: vec![go],
        checks: vec![
            Check::Moved { within: None },
            Check::Served { of: None, at_least: "99.5%".to_owned() },
        ],
        ..Rehearsal::default()
    })
}

fn pool(world: &Snapshot, name: &str, now: Timestamp) -> Option<Rehearsal> {
    world.get::<Pool>(name)?;
    let declared = world.all::<Peak>().filter(|peak| !peak.meta.deleting());
    let declared = declared.map(|peak| &peak.status.times).filter(|times| times.ends > now);
    let days = world.all::<Capacity>().flat_map(|capacity| &capacity.status.days);
    let highest = days.filter(|day| day.at > now).max_by_key(|day| day.instances);
    let next = declared.map(|times| times.starts.max(now)).min();
    let from_peak = |peak: Timestamp| {
        let from = (peak - Span(HOUR.0 * 2)).max(now);
        (from, Span(peak.since(from).0.saturating_sub(HOUR.0 / 2)))
    };
    let (from, at) = next.or(highest.map(|day| day.at)).map_or((now, HOUR), from_peak);
    let fails = Fault::Provider { at, of: name.to_owned(), lasts: Some(HOUR) };
    Some(Rehearsal {
        from: Some(from),
        lasts: Span(HOUR.0 * 6),
        load: forecast(),
        faults: vec![fails],
        checks: vec![Check::Served { of: None, at_least: "99.5%".to_owned() }],
        ..Rehearsal::default()
    })
}

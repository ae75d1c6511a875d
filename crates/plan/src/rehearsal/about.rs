//! What is rehearsed of one object, where no scenario is written: of a deployment, its release that
//! waits or the loss of a zone at its next peak; of a migration, itself; of a peak, itself; of a
//! pool, that its provider fails at the peak. What that is stands in the scenario's notes.

use std::collections::BTreeMap;

use atoll_model::deployment::Phase;
use atoll_model::migration::MigrationPhase;
use atoll_model::rehearsal::report::{Checked, RehearsalReport};
use atoll_model::rehearsal::{Change, Check, Fault, Known, Load, Rehearsal, Scenario};
use atoll_model::{
    Autoscaler, Capacity, Deployment, Host, Instance, Kind, Migration, Object, Peak, Pool, Reason,
    Snapshot, Span, Timestamp,
};
use serde_json::json;

use super::checks::words_of_moved;
use super::unknown::no_such;
use crate::migration::forecast;
use crate::{Context, Measurements};

mod asked;
pub(super) mod peak;

/// What comes of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// It is played.
    Played(Box<Scenario>),
    /// It is known without.
    Known(Box<RehearsalReport>),
}

/// What happens, happens so long after the beginning.
const SOON: Span = Span::seconds(600);
const HOUR: Span = Span::seconds(3_600);
/// A migration is played for so long at least and at most, and between for twice as long as it is
/// expected to take.
const SHORTEST: Span = Span::seconds(900);
const LONGEST: Span = Span::seconds(12 * 3_600);
/// So long after a peak has begun.
const BEGUN: Span = Span::seconds(60);

/// What is rehearsed of an object.
///
/// # Errors
/// Nothing is of it, or there is no such object.
pub fn question(
    world: &Snapshot,
    (kind, name): (Kind, &str),
    now: Timestamp,
) -> Result<Question, Vec<Reason>> {
    let missing = || vec![no_such(world, kind, name)];
    let spec = match kind {
        Kind::Deployment => deployment(world, name, now).ok_or_else(missing)?,
        Kind::Migration => {
            let migration = world.get::<Migration>(name).ok_or_else(missing)?;
            if let Some(report) = over(world, migration, now) {
                return Ok(Question::Known(Box::new(report)));
            }
            self::migration(world, migration, now)
        }
        Kind::Peak => peak::scenario(world, name, now)?,
        Kind::Pool => pool(world, name, now).ok_or_else(missing)?,
        _ => {
            let message = format!("{}/{name} cannot be rehearsed by itself", kind.lower());
            let hint = "deployment/NAME, migration/NAME, peak/NAME and pool/NAME can; write a \
                        scenario, see docs/guide/rehearsal.md";
            return Err(vec![Reason::new("invalid", message).hint(hint)]);
        }
    };
    Ok(Question::Played(Box::new(Scenario::new(called(kind, name), spec))))
}

/// What the rehearsal of an object is called.
fn called(kind: Kind, name: &str) -> String {
    format!("{}-{}", kind.lower(), name.replace('.', "-"))
}

fn usual_load() -> BTreeMap<String, Load> {
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
        let note = format!("played: {}, which waits, is deployed {SOON} in", release.name());
        let (of, release) = (name.to_owned(), Some(release.meta.name.clone()));
        let settled = Check::Settled { of: Some(name.to_owned()) };
        return Some(Rehearsal {
            lasts: Span(HOUR.0 * 2),
            load: usual_load(),
            changes: vec![Change::Deploy { at: SOON, of, release }],
            checks: served(world, name, "99.5%").into_iter().chain([settled]).collect(),
            notes: vec![note],
            ..Rehearsal::default()
        });
    }
    let peak = next_peak(world, name, now);
    let from = peak.map_or(now, |peak| (peak - HOUR).max(now));
    // While the peak is there, and be it a short one.
    let at = peak.map_or(HOUR, |peak| (peak + BEGUN).since(from));
    let known = served(world, name, "99%");
    let lost = |of: String| Fault::Loss { at, of, lasts: None };
    let (fault, what) = match (zone(world, name), host(world, name)) {
        (Some(zone), _) => {
            let what = format!("zone {zone}, where most of its instances are, is lost for good");
            (lost(format!("zone/{zone}")), what)
        }
        (None, Some(host)) if known.is_none() => {
            let what = format!(
                "host {host} is lost for good: all hosts are in one zone, and no load of it is \
                 known"
            );
            (lost(format!("host/{host}")), what)
        }
        (None, host) => {
            let of = Some(name.to_owned());
            let fault = Fault::Load { at, of, times: 2.0, lasts: Some(HOUR) };
            let why = match host {
                Some(_) => "all hosts are in one zone, and the loss of that would leave none",
                None => "it has no instance on any host that could be lost",
            };
            (fault, format!("there is twice the load that was thought, for {HOUR}: {why}"))
        }
    };
    let when = match peak {
        Some(peak) if peak > now => format!("{BEGUN} into its next peak, of {peak}"),
        Some(_) => format!("{BEGUN} in, in the peak there is"),
        None => format!("{HOUR} in, as no peak of it is known"),
    };
    Some(Rehearsal {
        from: Some(from),
        lasts: Span(HOUR.0 * 3),
        load: usual_load(),
        faults: vec![fault],
        checks: vec![known.unwrap_or_else(|| Check::Settled { of: Some(name.to_owned()) })],
        notes: vec![format!("played, {when}: {what}")],
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

/// What there is to say of a migration that is over: nobody waits for hours of nothing.
fn over(
    world: &Snapshot,
    migration: &Object<Migration>,
    now: Timestamp,
) -> Option<RehearsalReport> {
    let (status, name) = (&migration.status, migration.name());
    if !status.phase.is_over() || migration.spec.back > status.back {
        return None;
    }
    let when = status.ended_at.map_or(String::new(), |at| format!(" at {at}"));
    let found = match status.phase {
        MigrationPhase::Done => format!("nothing is left to move: it was over{when}"),
        _ => format!(
            "nothing more is moved: it was cancelled{when}, with {} left",
            crate::instances(status.left as usize)
        ),
    };
    let what = words_of_moved(Some(name), None);
    Some(RehearsalReport {
        name: called(Kind::Migration, name),
        from: now,
        held: true,
        checks: vec![Checked { what, held: true, found }],
        hosts: world.count(Kind::Host) as u32,
        instances: world.count(Kind::Instance) as u32,
        assumed: vec![format!("nothing is played of migration/{name}, which is over")],
        ..RehearsalReport::default()
    })
}

fn migration(world: &Snapshot, migration: &Object<Migration>, now: Timestamp) -> Rehearsal {
    let subject = format!("migration/{}", migration.name());
    let go = Change::Edit {
        at: Span::seconds(60),
        of: subject.clone(),
        patch: json!({ "spec": { "paused": false } }),
    };
    let moved = Check::Moved { of: Some(migration.meta.name.clone()), within: None };
    let concerned = asked::of_migration(world, migration, now);
    let asked = asked::asked(world, &subject, &concerned, "99.5%");
    let takes = takes(world, migration, now).0.saturating_mul(2);
    Rehearsal {
        lasts: Span(takes.clamp(SHORTEST.0, LONGEST.0)),
        load: usual_load(),
        changes: vec![go],
        checks: [moved].into_iter().chain(asked.checks).collect(),
        notes: asked.notes,
        ..Rehearsal::default()
    }
}

/// About how long a migration takes from now on: what is left, as it would be said before it is
/// made, and as long for each wave that is taken back as that took.
fn takes(world: &Snapshot, migration: &Object<Migration>, now: Timestamp) -> Span {
    let (spec, status) = (&migration.spec, &migration.status);
    let back = spec.back.saturating_sub(status.back) as usize;
    if back > 0 {
        let forth = status.waves.iter().filter(|wave| !wave.back).rev();
        let waves = forth.skip(status.back as usize).take(back);
        return Span(waves.map(|wave| wave.ended.since(wave.began).0).sum());
    }
    let measured = Measurements::default();
    forecast::forecast(&Context { world, measured: &measured, now }, spec).takes
}

fn pool(world: &Snapshot, name: &str, now: Timestamp) -> Option<Rehearsal> {
    let pool = world.get::<Pool>(name)?;
    let concerned = asked::of_pool(world, pool);
    let asked = asked::asked(world, &format!("pool/{name}"), &concerned, "99.5%");
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
        load: usual_load(),
        faults: vec![fails],
        checks: asked.checks,
        notes: asked.notes,
        ..Rehearsal::default()
    })
}

#[cfg(test)]
mod tests {
    use atoll_model::Any;
    use serde_json::Value;

    use super::*;
    use crate::testing::instance;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn object(kind: &str, name: &str, spec: &Value, status: &Value) -> Any {
        let meta = match kind {
            "Host" => json!({ "name": name, "labels": { "zone": spec["zone"] } }),
            _ => json!({ "name": name }),
        };
        let spec = if kind == "Host" { &json!({}) } else { spec };
        let value = json!({
            "apiVersion": "atoll/v1", "kind": kind, "metadata": meta, "spec": spec,
            "status": status,
        });
        Any::from_value(value).unwrap()
    }

    fn put(world: &mut Snapshot, kind: &str, name: &str, spec: &Value, status: &Value) {
        let write = atoll_model::Write::Put(object(kind, name, spec, status));
        crate::follow::apply(world, &write);
    }

    /// An application in an environment, with one instance and a load that is known, and an
    /// autoscaler.
    fn deployed(world: &mut Snapshot, name: &str, host: &str, mode: &str) {
        let (application, environment) = name.rsplit_once('.').unwrap();
        let load = json!({ "query": "load", "target": 10 });
        let scaling = json!({ "min": 1, "max": 9, "mode": mode, "perInstance": load });
        let run = json!({ "command": ["x"] });
        put(
            world,
            "Application",
            application,
            &json!({ "run": run, "scaling": scaling }),
            &json!({}),
        );
        let place = json!({ "application": application, "environment": environment });
        put(world, "Deployment", name, &place, &json!({ "phase": "settled" }));
        let signals = json!({ "signals": [{ "name": "load", "value": 5 }] });
        put(world, "Autoscaler", name, &json!({ "deployment": name }), &signals);
        let one = atoll_model::Write::Put(instance(&format!("{name}.0"), host));
        crate::follow::apply(world, &one);
    }

    /// Hosts in these zones.
    fn fleet(zones: &[&str]) -> Snapshot {
        let mut world = Snapshot::default();
        put(&mut world, "Environment", "prod", &json!({}), &json!({}));
        let ready = json!({ "phase": "ready" });
        for (i, zone) in zones.iter().enumerate() {
            put(&mut world, "Host", &format!("h{i}"), &json!({ "zone": zone }), &ready);
        }
        world
    }

    fn played(world: &Snapshot, kind: Kind, name: &str) -> Rehearsal {
        match question(world, (kind, name), NOW).unwrap() {
            Question::Played(scenario) => scenario.spec,
            Question::Known(report) => panic!("{report}"),
        }
    }

    #[test]
    fn what_is_played_of_a_deployment_is_said_with_why() {
        let told = |world: &Snapshot| played(world, Kind::Deployment, "shop.prod");
        let mut one = fleet(&["a", "a"]);
        deployed(&mut one, "shop.prod", "h0", "act");
        let double = told(&one);
        assert!(matches!(double.faults[..], [Fault::Load { .. }]), "{double:?}");
        assert_eq!(
            double.notes,
            ["played, 1h in, as no peak of it is known: there is twice the load that was \
                 thought, for 1h: all hosts are in one zone, and the loss of that would leave none"]
        );
        let mut two = fleet(&["a", "b"]);
        deployed(&mut two, "shop.prod", "h1", "act");
        let lost = told(&two);
        assert!(matches!(lost.faults[..], [Fault::Loss { .. }]), "{lost:?}");
        assert!(lost.notes[0].contains("zone b, where most of its instances are"), "{lost:?}");
        let release = json!({ "application": "shop", "number": 2, "run": { "command": ["x"] } });
        put(&mut two, "Release", "shop-2", &release, &json!({}));
        let waits = told(&two);
        assert_eq!(waits.notes, ["played: shop-2, which waits, is deployed 10m in"]);
    }

    #[test]
    fn only_those_whom_it_concerns_are_to_serve() {
        let mut world = fleet(&["a", "a", "a"]);
        put(&mut world, "Environment", "lab", &json!({ "hosts": "for=lab" }), &json!({}));
        deployed(&mut world, "shop.prod", "h0", "act");
        deployed(&mut world, "slow.prod", "h0", "observe");
        deployed(&mut world, "far.lab", "h1", "act");
        let provider = json!({ "exec": { "create": ["x"], "list": ["x"], "delete": ["x"] } });
        let spec = json!({ "count": 1, "max": 2, "provider": provider });
        put(&mut world, "Pool", "web", &spec, &json!({ "machines": { "h0": {} } }));
        put(&mut world, "Migration", "off", &json!({ "off": "name = h0" }), &json!({}));
        let shop =
            || Check::Served { of: Some("shop.prod".to_owned()), at_least: "99.5%".to_owned() };
        for (kind, name) in [(Kind::Pool, "web"), (Kind::Migration, "off")] {
            let of = played(&world, kind, name);
            let served = of.checks.iter().filter(|check| matches!(check, Check::Served { .. }));
            assert_eq!(served.collect::<Vec<_>>(), [&shop()], "{kind}");
            let ask = "it is not asked whether";
            let id = format!("{}/{name}", kind.lower());
            assert_eq!(
                of.notes,
                [
                    format!("{ask} far.lab serves everything: {id} does not concern it"),
                    format!(
                        "{ask} slow.prod serves everything: its autoscaler only observes, so its \
                         number does not follow its load"
                    ),
                ]
            );
        }
    }

    #[test]
    fn of_a_migration_that_is_over_it_is_said_that_nothing_is_left() {
        let mut world = fleet(&["a"]);
        let over = |phase: &str| json!({ "phase": phase, "endedAt": NOW, "left": 2 });
        for (phase, told) in [
            ("done", "nothing is left to move: it was over at 1970-01-01T00:16:40.000Z"),
            ("cancelled", "nothing more is moved: it was cancelled"),
        ] {
            put(&mut world, "Migration", "off", &json!({ "off": "name = h0" }), &over(phase));
            let Question::Known(report) = question(&world, (Kind::Migration, "off"), NOW).unwrap()
            else {
                panic!("{phase} is played")
            };
            assert!(report.held && report.checks[0].found.starts_with(told), "{report}");
            let page = report.to_string();
            assert!(page.starts_with("migration-off: nothing is played, at"), "{page}");
            assert!(!page.contains("MINUTES"), "{page}");
        }
        let back = json!({ "off": "name = h0", "back": 1 });
        put(&mut world, "Migration", "off", &back, &over("done"));
        assert_eq!(played(&world, Kind::Migration, "off").lasts, SHORTEST, "a wave goes back");
    }

    #[test]
    fn a_migration_is_played_for_twice_as_long_as_it_takes() {
        let mut world = fleet(&["a", "a"]);
        deployed(&mut world, "shop.prod", "h0", "act");
        for number in 1..4 {
            let one = atoll_model::Write::Put(instance(&format!("shop.prod.{number}"), "h0"));
            crate::follow::apply(&mut world, &one);
        }
        let room = json!({ "phase": "ready", "capacity": { "cpu": "8", "memory": "16Gi" } });
        put(&mut world, "Host", "h1", &json!({ "zone": "a" }), &room);
        let mut lasts = |pause: &str, back: u32| {
            let spec = json!({ "off": "name = h0", "wave": 1, "pause": pause, "back": back });
            let wave = |number: u32, began: i64, ended: i64| {
                let (began, ended) = (Timestamp(began), Timestamp(ended));
                json!({ "number": number, "began": began, "ended": ended, "moved": {} })
            };
            let waves = [wave(1, 0, 5_000_000), wave(2, 6_000_000, 6_600_000)];
            put(&mut world, "Migration", "off", &spec, &json!({ "waves": waves }));
            played(&world, Kind::Migration, "off").lasts.0 / 60_000
        };
        let dry = |minutes: u64| 2 * (4 + 3 * minutes);
        assert_eq!((lasts("10s", 0), lasts("10m", 0)), (15, dry(10)));
        assert_eq!(lasts("5h", 0), 12 * 60);
        assert_eq!((lasts("10s", 1), lasts("10s", 2)), (20, 186));
    }
}

//! Peaks: what each takes along the graph of dependencies, what that costs, what must be ready by
//! when, and what was seen. A peak's planner writes its status and a freeze, and nothing else: how
//! many instances there are, the autoscaler decides, how many hosts, the pool does; both read here
//! what is kept for a peak. Where a peak stands follows from the time, so a server that is killed
//! leaves nothing half done.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::decision::Holds;
use atoll_model::peak::{Freezes, PeakApplication, PeakPhase, PeakStatus, State, Times};
use atoll_model::{
    Any, Deployment, Environment, Freeze, Host, Intent, Kind, Object, Peak, Reason, Snapshot, Span,
    Timestamp, Write,
};

use crate::capacity::ahead;
use crate::elasticity::{SIGNAL, decide};
use crate::forecast::Event;
use crate::query::Query;
use crate::{Context, Plan, sooner};

mod absent;
mod back;
pub(crate) mod cost;
mod ended;
mod grant;
mod growth;
mod hosts;
mod ready;
mod rehearsed;
mod report;
mod touched;
mod volume;

pub(crate) use absent::nowhere;
pub(crate) use back::{Number, unmeasured};
pub(crate) use grant::{asks, held};
pub use rehearsed::rehearsed;
pub use touched::touched;
pub(crate) use volume::{is_brought, is_known, is_measured};

/// How often it is looked at while something is there for it.
const EVERY: Span = Span::seconds(30);
/// And else.
const SELDOM: Span = Span::seconds(600);
/// What is shown is written anew so often, where nothing else changes.
const SHOWN: Span = Span::seconds(60);
/// So many times what was expected is clearly more.
const BEYOND: f64 = 1.2;

/// The name of the freeze of a peak.
pub(crate) fn freeze_name(peak: &str) -> String {
    format!("{peak}.peak")
}

/// What the load of a deployment is asked by.
fn now_of(deployment: &str) -> String {
    format!("now {deployment}")
}

/// What is asked for one peak: the past of what it concerns once an hour until instances are made
/// for it, the load of now from then on.
pub fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let Some(peak) = cx.world.get::<Peak>(name) else { return Vec::new() };
    let Some(times) = peak.spec.times() else { return Vec::new() };
    let (status, now) = (&peak.status, cx.now);
    let fresh =
        status.planned_at.is_some_and(|at| at >= ahead::grid(now)) && volume::is_whole(status);
    let same = status.observed_generation == peak.meta.generation;
    let names = volume::concerned(cx.world, &peak.spec).into_keys();
    if now < times.back && (!same || (!fresh && now < times.scale)) {
        // What a peak itself brings is nothing usual.
        let to = ahead::grid(now.min(times.scale));
        return names.map(|of| ahead::past(volume::past_of(&of), &of, to)).collect();
    }
    if now < times.scale || now > times.back {
        return Vec::new();
    }
    names
        .map(|of| {
            let kept = format!("{SIGNAL}{{deployment=\"{of}\",signal=\"load\"}}");
            Query::at(now_of(&of), format!("max_over_time({kept}[1m])"), now)
        })
        .collect()
}

/// Plans for one peak.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(peak) = cx.world.get::<Peak>(name) else { return without(cx, name) };
    let Some(times) = peak.spec.times() else { return Plan::nothing() };
    let mut plan = Plan::new(Intent::Observe);
    plan.again_at = again(cx.now, &times);
    let status = seen(cx, peak, times);
    let frozen = frozen(cx, peak, &status);
    let mut status = status;
    // A step at a time: whether it may be raised is asked for by itself, so that what the gate
    // holds is nothing else.
    let withdrawn = peak.status.raised_at.is_some() && status.raised_at.is_none();
    if frozen.is_none() && !withdrawn && grant::may_be_raised(cx, &status) {
        status.raised_at = status.raised_at.or(Some(cx.now));
        grant::grant(cx, &mut status);
        status.phase = phase(cx.now, &status);
        keep(cx.now, &mut status);
        plan.intent = Intent::Scale;
    }
    back::remember(cx, peak, &mut status);
    if is_news(&peak.status, &status, cx.now) {
        status.seen_at = Some(cx.now);
        // Why this is written is what was not said before, and not what still stands.
        let old = &peak.status.reasons;
        plan.reasons = status.reasons.iter().filter(|new| !old.contains(new)).cloned().collect();
        let mut new = Object::clone(peak);
        new.status = status;
        plan.writes.push(Write::Put(Any::Peak(Arc::new(new))));
    } else if peak.status != status {
        // It is shown as soon as it may be, whenever else it is looked at.
        plan.again_at = sooner(plan.again_at, shown_from(&peak.status, status.phase));
    }
    plan.writes.extend(frozen);
    plan
}

/// When something is due, or it is looked at again.
fn again(now: Timestamp, times: &Times) -> Option<Timestamp> {
    if now >= times.back {
        return None;
    }
    let due = [
        times.plan,
        times.hosts,
        times.prefetch,
        times.rehearse,
        times.scale,
        times.freeze,
        times.starts,
        times.ends,
        times.back,
    ];
    let next = due.into_iter().filter(|at| *at > now).min();
    let every = if now >= times.scale { EVERY } else { SELDOM };
    let grid = every.0 as i64;
    sooner(next, Some(Timestamp((now.0.div_euclid(grid) + 1) * grid)))
}

/// Nothing is held for a peak that is gone.
fn without(cx: &Context, name: &str) -> Plan {
    let mut plan = Plan::new(Intent::Remove);
    let freeze = cx.world.get::<Freeze>(&freeze_name(name));
    plan.writes.extend(freeze.map(|freeze| delete(freeze)));
    plan
}

fn delete(freeze: &Object<Freeze>) -> Write {
    Write::Delete {
        kind: Kind::Freeze,
        name: freeze.meta.name.clone(),
        revision: freeze.meta.revision,
    }
}

/// How it stands, but for whether it may be raised.
fn seen(cx: &Context, peak: &Arc<Object<Peak>>, times: Times) -> PeakStatus {
    let (stored, now) = (&peak.status, cx.now);
    let same = stored.observed_generation == peak.meta.generation;
    let mut status = PeakStatus { times, ..stored.clone() };
    if stored.report.as_ref().is_some_and(|report| report.closed) && same {
        status.phase = PeakPhase::Over;
        return status;
    }
    let environment = &peak.spec.environment;
    let answered = volume::is_answered(cx, peak);
    let early = now < times.scale && (answered || !volume::is_whole(stored));
    let anew = !same || stored.applications.is_empty();
    // Once it has ended, what it had stands, and not what there is since.
    let last = now <= times.ends + EVERY && stored.phase < PeakPhase::GivingBack && !anew;
    if now < times.ends || last {
        status.applications = match (early || anew) && now < times.ends {
            true => volume::plan(cx, peak, &times),
            false => volume::again(cx, peak, &times, now >= times.scale),
        };
        status.applications.iter_mut().for_each(|row| had(cx, row));
        status.hosts = hosts::look(cx, environment, &status.applications);
    }
    if answered {
        status.planned_at = Some(now);
    }
    status.observed_generation = peak.meta.generation;
    if now < times.ends {
        status.cost = cost::cost(cx, &status.applications, &times);
        grant::ask(cx, peak, &mut status, grant::is_begun(stored));
    }
    keep(now, &mut status);
    report::watch(cx, peak.meta.created_at, environment, &mut status);
    status.phase = phase(now, &status);
    // One that is past when it is declared has nothing to be ready for.
    if now < times.ends {
        let found = ready::checks(cx, peak, &status);
        // What is changed while it is there has to be ready anew.
        status.checks = match now <= times.starts || stored.checks.is_empty() || !same {
            true => found,
            false => ready::caught_up(&stored.checks, found),
        };
    } else {
        ended::past(&mut status.checks, peak.name());
    }
    status.reasons = reasons(cx, peak, &status);
    status
}

/// What there is of one row, and what comes.
fn had(cx: &Context, row: &mut PeakApplication) {
    let deployment = cx.world.get::<Deployment>(&row.deployment);
    row.have = deployment.map_or(0, |deployment| deployment.status.ready);
    row.release = deployment.and_then(|deployment| {
        deployment.spec.release.clone().or_else(|| deployment.status.release.clone())
    });
    row.missing = row.needed.unwrap_or(0).saturating_sub(row.have);
    row.load = report::load(cx, &row.deployment).map(decide::round).or(row.load);
}

fn phase(now: Timestamp, status: &PeakStatus) -> PeakPhase {
    let times = &status.times;
    let raised = status.raised_at.is_some();
    match now {
        _ if now >= times.back => PeakPhase::Over,
        _ if now >= times.ends => PeakPhase::GivingBack,
        _ if now >= times.starts => PeakPhase::Live,
        _ if now >= times.freeze => PeakPhase::Frozen,
        _ if now >= times.scale && raised => PeakPhase::Scaling,
        _ if now >= times.prefetch => PeakPhase::Fetching,
        _ if now >= times.hosts && raised => PeakPhase::Procuring,
        _ => PeakPhase::Planned,
    }
}

/// What is kept for it now: all of it until it ends, then less and less.
fn keep(now: Timestamp, status: &mut PeakStatus) {
    let times = status.times;
    let left = |needed: u32| match now {
        _ if now >= times.back => 0,
        _ if now < times.ends => needed,
        _ => {
            let all = times.back.since(times.ends).0.max(1);
            let share = times.back.since(now).0 as f64 / all as f64;
            decide::whole(f64::from(needed) * share)
        }
    };
    for row in &mut status.applications {
        let granted = status.granted.get(&row.deployment).copied().unwrap_or(0);
        let kept = left(row.needed.unwrap_or(0).min(granted));
        row.room = if now >= times.hosts { kept } else { 0 };
        row.keep = if now >= times.scale { kept } else { 0 };
    }
    status.fetching = now >= times.prefetch && now < times.ends;
}

/// Why it is as it is: what there is no plan for, what is late, and what stands in its way.
fn reasons(cx: &Context, peak: &Object<Peak>, status: &PeakStatus) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if status.phase >= PeakPhase::GivingBack {
        return reasons;
    }
    let unplanned = status.applications.iter().filter(|row| row.needed.is_none());
    for reason in unplanned.filter_map(|row| row.reasons.first()) {
        // Each may lack the same.
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
    let others = cx.world.all::<Peak>().filter(|other| overlaps(peak, other));
    for other in others {
        let message = format!("peak/{} is of the same at the same time", other.name());
        reasons.push(Reason::new("overlaps", message).hint("what asks for more holds; join them"));
    }
    if status.phase == PeakPhase::Live {
        reasons.extend(status.applications.iter().filter_map(beyond));
    }
    let late = status.checks.iter().filter(|check| check.state == State::Late);
    for check in late {
        let reason = Reason::new("late", format!("{}: {}", check.name, check.message));
        reasons.push(if check.hint.is_empty() { reason } else { reason.hint(&check.hint) });
    }
    reasons
}

/// That clearly more came than was planned for.
fn beyond(row: &PeakApplication) -> Option<Reason> {
    let (load, expected) = (row.load?, row.expected?);
    let of = &row.deployment;
    let message = format!("the load of {of} is {load}, and {expected} at most was expected");
    let hint = format!("what it has and may have: atoll why autoscaler/{of}");
    (load > expected * BEYOND).then(|| Reason::new("more-than-planned", message).hint(hint))
}

/// Whether two peaks reach the same deployment at the same time.
fn overlaps(one: &Object<Peak>, other: &Object<Peak>) -> bool {
    let windows = one.spec.window().ok().zip(other.spec.window().ok());
    one.name() != other.name()
        && one.spec.environment == other.spec.environment
        && windows.is_some_and(|(a, b)| a.0 < b.1 && b.0 < a.1)
        && takes(one).any(|name| takes(other).any(|also| also == name))
}

/// The deployments a peak reaches, by name or by what calls them.
fn takes(peak: &Object<Peak>) -> impl Iterator<Item = String> {
    let named = peak.spec.applications.keys();
    let named = named.map(|name| format!("{name}.{}", peak.spec.environment));
    named.chain(peak.status.applications.iter().map(|row| row.deployment.clone()))
}

/// What is to be done about its freeze: made with the plan, with its times in it, so that it holds
/// whoever is there then; gone when it is over.
fn frozen(cx: &Context, peak: &Object<Peak>, status: &PeakStatus) -> Option<Write> {
    let (name, times) = (freeze_name(peak.name()), &status.times);
    let there = cx.world.get::<Freeze>(&name);
    let wanted = peak.spec.freezes != Freezes::Nothing
        && times.freeze < times.ends
        && cx.now >= times.plan
        && cx.now < times.ends;
    if !wanted {
        return there.map(|there| delete(there));
    }
    let rows = status.applications.iter().map(|row| row.deployment.as_str());
    let applications = rows.filter_map(|name| name.rsplit_once('.'));
    let spec = Freeze {
        from: Some(times.freeze),
        until: Some(times.ends),
        environments: vec![peak.spec.environment.clone()],
        applications: atoll_model::Selector::default(),
        named: match peak.spec.freezes {
            Freezes::Applications => applications.map(|(name, _)| name.to_owned()).collect(),
            Freezes::Environment | Freezes::Nothing => Vec::new(),
        },
        holds: Holds::Releases,
        reason: format!("peak/{}", peak.name()),
    };
    let mut new = match there {
        Some(there) if there.spec == spec => return None,
        Some(there) => Object::clone(there),
        None => Object::new(name, spec.clone()),
    };
    new.spec = spec;
    new.meta.generation += 1;
    new.meta.created_at = new.meta.created_at.or(Some(cx.now));
    Some(Write::Put(Any::Freeze(Arc::new(new))))
}

/// Whether a status says something that is worth a write.
fn is_news(old: &PeakStatus, new: &PeakStatus, now: Timestamp) -> bool {
    let sharp = |status: &PeakStatus| {
        let rows = status.applications.iter();
        let rows: Vec<_> = rows
            .map(|row| (row.deployment.clone(), row.needed, row.keep, row.room, row.missing == 0))
            .collect();
        let checks = status.checks.iter();
        // Who reads what is to be done does it.
        let checks: Vec<_> = checks.map(|c| (c.name.clone(), c.state, c.hint.clone())).collect();
        let codes: Vec<_> = status.reasons.iter().map(|reason| reason.code.clone()).collect();
        let seen = status.report.as_ref().map(report::extremes);
        let told = (status.phase, status.times, status.fetching, status.observed_generation);
        (told, rows, checks, codes, seen, status.raised_at, status.planned_at)
    };
    let late = shown_from(old, new.phase).is_none_or(|from| now >= from);
    sharp(old) != sharp(new) || (late && old != new)
}

/// From when on what is told may be written anew, where nothing of it is sharply another.
fn shown_from(old: &PeakStatus, phase: PeakPhase) -> Option<Timestamp> {
    // While it is there people watch it.
    let shown = if phase == PeakPhase::Live { EVERY } else { SHOWN };
    Some(old.seen_at? + shown)
}

/// What rows of peaks say of one deployment.
pub(crate) fn rows<'a>(
    world: &'a Snapshot,
    deployment: &'a str,
) -> impl Iterator<Item = (&'a Arc<Object<Peak>>, &'a PeakApplication)> {
    let peaks = world.all::<Peak>().filter(|peak| !peak.meta.deleting());
    peaks.flat_map(move |peak| {
        let rows = peak.status.applications.iter().filter(move |row| row.deployment == deployment);
        rows.map(move |row| (peak, row))
    })
}

/// A deployment's peaks, past and coming, as forecasts by steps of the highest load of each take
/// them: a step in which one ends has its load too, one at whose end it starts has none of it.
pub(crate) fn events(world: &Snapshot, deployment: &str, step: Span) -> Vec<Event> {
    rows(world, deployment).filter_map(|row| event(row, step)).collect()
}

/// Those of them for which instances may be made by now: what comes later is no reason yet to
/// have more.
pub(crate) fn begun(world: &Snapshot, deployment: &str, step: Span, now: Timestamp) -> Vec<Event> {
    let due = rows(world, deployment).filter(|(peak, _)| peak.status.times.scale <= now);
    due.filter_map(|row| event(row, step)).collect()
}

/// All of them as what was measured has them: one that is there has brought what was seen of it by
/// now, and not what is expected.
pub(crate) fn brought(world: &Snapshot, deployment: &str, step: Span) -> Vec<Event> {
    let all = rows(world, deployment);
    all.filter_map(|(peak, row)| as_brought((peak, row), seen_of(peak, row), step)).collect()
}

/// One that is over has brought what was seen, whatever was expected of it.
fn event((peak, row): (&Arc<Object<Peak>>, &PeakApplication), step: Span) -> Option<Event> {
    let until = peak.status.report.as_ref().map(|report| report.until);
    let over = until.is_some_and(|until| until >= peak.status.times.ends);
    as_brought((peak, row), seen_of(peak, row).filter(|_| over), step)
}

/// The highest load of a deployment that was seen in a peak.
fn seen_of(peak: &Object<Peak>, row: &PeakApplication) -> Option<f64> {
    peak.status.report.as_ref()?.applications.get(&row.deployment)?.highest
}

fn as_brought(
    (peak, row): (&Arc<Object<Peak>>, &PeakApplication),
    seen: Option<f64>,
    step: Span,
) -> Option<Event> {
    let times = &peak.status.times;
    let usual = row.usual.filter(|usual| *usual > 0.0 && is_known(row))?;
    let factor = seen.or(row.expected)? / usual;
    Some(Event { from: times.starts.0 + 1, to: (times.ends + step).0, factor })
}

/// The releases whose packages a host fetches ahead of a peak.
pub(crate) fn ahead(world: &Snapshot, host: &Object<Host>) -> BTreeSet<String> {
    let fetching = world.all::<Peak>().filter(|peak| peak.status.fetching);
    let here = fetching.filter(|peak| {
        let place = world.get::<Environment>(&peak.spec.environment);
        place.is_some_and(|place| place.spec.hosts.matches(&host.meta.labels))
    });
    here.flat_map(|peak| &peak.status.applications).filter_map(|row| row.release.clone()).collect()
}

/// Whether a change of a peak is one of what hosts fetch.
pub fn wakes_hosts(old: Option<&Any>, new: Option<&Any>) -> bool {
    let fetched = |any: Option<&Any>| match any {
        Some(Any::Peak(peak)) if peak.status.fetching => {
            let rows = peak.status.applications.iter().map(|row| row.release.clone());
            Some((peak.spec.environment.clone(), rows.collect::<Vec<_>>()))
        }
        _ => None,
    };
    fetched(old) != fetched(new)
}

/// So many instances the autoscaler of a deployment keeps at least, and for which peak.
pub(crate) fn kept<'a>(world: &'a Snapshot, deployment: &'a str) -> Option<(u32, &'a str)> {
    let all = rows(world, deployment).filter(|(_, row)| row.keep > 0);
    all.map(|(peak, row)| (row.keep, peak.name())).max_by_key(|(keep, _)| *keep)
}

/// The deployments of which a change of a peak keeps another number.
pub(crate) fn kept_changed(old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let kept = |any: Option<&Any>| -> BTreeSet<(String, u32)> {
        let Some(Any::Peak(peak)) = any else { return BTreeSet::new() };
        let rows = peak.status.applications.iter().filter(|row| row.keep > 0);
        rows.map(|row| (row.deployment.clone(), row.keep)).collect()
    };
    let (old, new) = (kept(old), kept(new));
    let names: BTreeSet<&String> = old.symmetric_difference(&new).map(|(name, _)| name).collect();
    names.into_iter().cloned().collect()
}

/// Whether a change of a peak keeps room for another number.
pub(crate) fn room_changed(old: Option<&Any>, new: Option<&Any>) -> bool {
    let room = |any: Option<&Any>| match any {
        Some(Any::Peak(peak)) => peak.status.applications.iter().map(|row| row.room).collect(),
        _ => Vec::new(),
    };
    let sum = |rooms: &Vec<u32>| rooms.iter().map(|room| u64::from(*room)).sum::<u64>();
    let (old, new) = (room(old), room(new));
    sum(&old) != sum(&new) || (sum(&new) > 0 && old != new)
}

/// So many instances of a deployment pools keep room for at least.
pub(crate) fn room(world: &Snapshot, deployment: &str) -> u32 {
    rows(world, deployment).map(|(_, row)| row.room).max().unwrap_or(0)
}

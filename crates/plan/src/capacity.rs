//! What each deployment can carry and will have to: learned from the load there is and the
//! objectives held under it, and said in the status of its `Capacity`. It changes no number of
//! instances; the autoscaler reads what an instance carries. Questions about what would be are
//! answered in `ask.rs`.

use std::sync::Arc;

use atoll_model::capacity::{CapacityPhase, CapacityStatus, Known, Peak};
use atoll_model::elasticity::{LOAD, PerInstance};
use atoll_model::monitoring::ObjectivePhase;
use atoll_model::{
    Any, Application, Autoscaler, Capacity, Deployment, Intent, Object, Objective, Reason,
    Snapshot, Span, Timestamp, Write,
};

use crate::elasticity::{self, SIGNAL, decide};
use crate::monitoring::promise::of_deployment;
use crate::monitoring::series::{BAD_5M, EVENTS, selector};
use crate::query::{Answer, Query};
use crate::{Context, Plan, checksum};
use carried::Kept;

pub(crate) mod ahead;
pub mod ask;
pub(crate) mod calls;
mod carried;
pub mod size;

/// How often.
const EVERY: Span = Span::seconds(60);
/// The time load and objectives are looked at over.
const OVER: Span = Span::seconds(300);
/// The time over which the load is what it is now: a sudden rise is hidden by more.
const NOW: Span = Span::seconds(60);
/// What is shown is written anew so often, where nothing else changes.
const SHOWN: Span = Span::seconds(300);
/// A load that has changed by more than this share of it is told at once.
const TOLD_AT_ONCE: f64 = 0.1;
/// So many bad events at least, and a promise counts as broken.
const LEAST_BAD: f64 = 2.0;
/// What is measured never takes away more than so much of what was declared.
const LEAST_SHARE: f64 = 0.2;
/// Nor is anything learned of an instance that is said to bear so many times what was declared: a
/// counter that was wrong for some minutes would be remembered for good.
const MOST_TIMES: f64 = 10.0;

/// A capacity with what it is of.
struct Subject<'a> {
    object: &'a Arc<Object<Capacity>>,
    deployment: &'a Arc<Object<Deployment>>,
    declared: &'a PerInstance,
    /// The most instances it may have.
    max: u32,
}

impl<'a> Subject<'a> {
    fn of(world: &'a Snapshot, name: &str) -> Option<Subject<'a>> {
        let object = world.get::<Capacity>(name)?;
        let deployment = world.get::<Deployment>(&object.spec.deployment)?;
        let application = world.get::<Application>(&deployment.spec.application)?;
        let scaling = application.spec.scaling.as_ref()?;
        let bound = world.get::<Autoscaler>(name).and_then(|scaler| scaler.spec.max);
        let (declared, max) = (scaling.per_instance.as_ref()?, bound.unwrap_or(scaling.max));
        Some(Subject { object, deployment, declared, max })
    }
}

/// What is asked for one capacity.
pub fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let Some(subject) = Subject::of(cx.world, name) else { return Vec::new() };
    let at = due_at(name, cx.now);
    let load = |over: Span| {
        format!("avg_over_time({SIGNAL}{{deployment=\"{name}\",signal=\"{LOAD}\"}}[{over}])")
    };
    let mut all = vec![Query::at("load", load(OVER), at), Query::at("load now", load(NOW), at)];
    for objective in of_deployment(cx.world, name) {
        let promise = &objective.spec.promise.name;
        let of = selector(name, promise);
        all.push(Query::at(format!("bad {promise}"), format!("{BAD_5M}{of}"), at));
        all.push(Query::at(format!("events {promise}"), format!("{EVENTS}{of}"), at));
    }
    all.extend(ahead::query(name, &subject.object.status, at));
    all
}

fn due_at(name: &str, now: Timestamp) -> Timestamp {
    let every = EVERY.0 as i64;
    let offset = (checksum([b"capacity", name.as_bytes()]) % EVERY.0) as i64;
    Timestamp((now.0 - offset).div_euclid(every) * every + offset)
}

/// Plans for one capacity.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(subject) = Subject::of(cx.world, name) else { return Plan::nothing() };
    let mut plan = Plan::nothing();
    plan.again_at = Some(due_at(name, cx.now) + EVERY);
    if cx.measured.answers.is_empty() {
        return plan;
    }
    let status = found(cx, &subject);
    if is_news(&subject.object.status, &status) {
        plan.intent = Intent::Observe;
        plan.reasons.clone_from(&status.reasons);
        let mut new = Object::clone(subject.object);
        new.status = status;
        plan.writes.push(Write::Put(Any::Capacity(Arc::new(new))));
    }
    plan
}

fn found(cx: &Context, subject: &Subject) -> CapacityStatus {
    let (stored, spec) = (&subject.object.status, &subject.object.spec);
    let of = &subject.deployment.status;
    let declared = subject.declared.target;
    let said = number(cx, "load");
    let believed = |load: &f64| *load <= elasticity::most_believed(declared, subject.max);
    let latest = number(cx, "load now").filter(believed);
    let mean = said.filter(believed);
    let one = mean.map(|load| load / f64::from(of.ready.max(1)));
    let mut releases = stored.releases.clone();
    if let (Some(each), Some(release)) = (one, settled(cx, subject))
        && each <= declared * MOST_TIMES
    {
        releases = carried::learn(&releases, &release, each, kept(cx, subject), cx.now);
    }
    let (each, known) = carried::each(spec, declared, &releases, of.release.as_deref());
    let can = f64::from(of.ready) * each;
    // One value nobody believes is in the mean for as long as that looks back.
    let load = mean.or(latest.filter(|_| said.is_some()));
    let load = load.map(|load| present(load, latest, can));
    let count = |load: f64| decide::whole(load / each * (1.0 + spec.buffer));
    let (mut days, mut method, mut forecast_at) =
        (stored.days.clone(), stored.method.clone(), stored.forecast_at);
    if let Some(Ok(history)) = cx.measured.answers.get(ahead::HISTORY) {
        (days, method) = ahead::days(history, (cx.world, subject.deployment.name()), cx.now);
        forecast_at = Some(ahead::grid(cx.now));
    }
    for day in &mut days {
        day.instances = count(day.high);
    }
    let needed = load.map(count).unwrap_or_default();
    let mut status = CapacityStatus {
        phase: CapacityPhase::Unknown,
        each: Some(decide::round(each)),
        known,
        releases,
        load: load.map(decide::round),
        load_now: latest.map(decide::round),
        ready: of.ready,
        needed,
        days,
        method,
        forecast_at,
        seen_at: Some(cx.now),
        reasons: Vec::new(),
    };
    status.reasons = judge(subject, &mut status);
    status.reasons.extend(unbelieved(subject, said, load, one));
    status
}

/// The load there is to be enough for, by its mean and that of the last minute: a sudden rise is
/// told of at once, and what has fallen is what it is now where instances have gone with it and
/// `can` carry no more than that, however far the mean looks back.
pub(crate) fn present(mean: f64, latest: Option<f64>, can: f64) -> f64 {
    match latest {
        Some(now) if now > can => now.max(mean),
        Some(now) if mean > can => now,
        _ => mean,
    }
}

/// What is said of the load and not gone by.
fn unbelieved(
    subject: &Subject,
    said: Option<f64>,
    load: Option<f64>,
    one: Option<f64>,
) -> Option<Reason> {
    let (name, declared) = (subject.deployment.name(), subject.declared.target);
    if let (Some(said), None) = (said, load) {
        let message = format!("its load is said to be {said:.3e}, which nobody believes");
        let hint = format!("mend scaling.perInstance.query; atoll why autoscaler/{name}");
        return Some(Reason::new("absurd", message).hint(hint));
    }
    let one = one.filter(|one| *one > declared * MOST_TIMES)?;
    let message = format!(
        "an instance is said to bear {}, where {declared} was declared: nothing is learned of that",
        decide::round(one)
    );
    let hint = "mend scaling.perInstance: its query, or its target if that is so";
    Some(Reason::new("implausible", message).hint(hint))
}

/// Says how it stands, and why.
fn judge(subject: &Subject, status: &mut CapacityStatus) -> Vec<Reason> {
    let (name, max) = (subject.deployment.name(), subject.max);
    let mut reasons = Vec::new();
    let each = status.each.unwrap_or_default();
    if status.known == Known::Bounded && each < subject.declared.target {
        let declared = subject.declared.target;
        let message =
            format!("an instance carries {each} and not {declared}: beyond, an objective broke");
        let hint = format!(
            "its number goes by what it carries; see atoll why capacity/{name}, and mend the \
             release or scaling.perInstance.target"
        );
        reasons.push(Reason::new("carries-less", message).hint(hint));
    }
    let Some(load) = status.load else {
        let message = "its load is not measured".to_owned();
        let hint = format!("why: atoll why autoscaler/{name}");
        reasons.push(Reason::new("no-data", message).hint(hint));
        return reasons;
    };
    let high = status.days.iter().find(|day| day.instances > max).copied();
    let can = f64::from(status.ready) * each;
    status.phase = match high {
        _ if load > can => CapacityPhase::Short,
        Some(_) => CapacityPhase::Tight,
        None => CapacityPhase::Ample,
    };
    if load > can {
        let ready = crate::instances(status.ready as usize);
        let word = if status.ready == 1 { "carries" } else { "carry" };
        let message = format!("{ready} {word} {}; the load is {load}", decide::round(can));
        let hint = format!("what adds instances: atoll why autoscaler/{name}");
        reasons.push(Reason::new("short", message).hint(hint));
    }
    reasons.extend(high.map(|day| too_few(name, max, &day)));
    reasons
}

fn too_few(name: &str, max: u32, day: &Peak) -> Reason {
    let message = format!(
        "by {} the load may reach {}, which takes {}; there may be {max}",
        day.at,
        day.high,
        crate::instances(day.instances as usize)
    );
    let hint = format!("atoll autoscale deployment/{name} --max {}", day.instances);
    Reason::new("tight", message).hint(hint)
}

/// The one release that has run, by as many instances, for as long as is looked back.
fn settled(cx: &Context, subject: &Subject) -> Option<String> {
    let status = &subject.deployment.status;
    let steady = |at: Option<Timestamp>| at.is_none_or(|at| cx.now.since(at) >= OVER);
    let name = subject.deployment.name();
    // What one that only observes would have changes nothing.
    let scaler = cx.world.get::<Autoscaler>(name).filter(|_| elasticity::acts(cx.world, name));
    let calm = status.rollout.is_none()
        && status.ready > 0
        && status.ready == subject.deployment.wanted()
        && steady(status.good_since)
        && steady(scaler.and_then(|scaler| scaler.status.since));
    status.release.clone().filter(|_| calm)
}

/// Whether what the deployment promises was kept over the last minutes.
fn kept(cx: &Context, subject: &Subject) -> Kept {
    let name = subject.deployment.name();
    let of = |what: &str, objective: &Object<Objective>| {
        number(cx, &format!("{what} {}", objective.spec.promise.name))
    };
    let mut kept = Kept::Unknown;
    for objective in of_deployment(cx.world, name) {
        let measured = of("bad", objective).zip(of("events", objective));
        let Some((share, events)) = measured else { return Kept::Unknown };
        if share > objective.spec.promise.allowed() && share * events >= LEAST_BAD {
            // Whoever waits for somebody else is slow with any load.
            return if needs_suffer(cx, subject) { Kept::Unknown } else { Kept::Broken };
        }
        kept = Kept::All;
    }
    kept
}

/// Whether something the application needs does not keep what it promises.
fn needs_suffer(cx: &Context, subject: &Subject) -> bool {
    let spec = &subject.deployment.spec;
    let Some(application) = cx.world.get::<Application>(&spec.application) else { return false };
    let mut needed = application.spec.needed();
    needed.any(|name| {
        let name = format!("{name}.{}", spec.environment);
        let few = cx.world.get::<Deployment>(&name).is_some_and(|d| d.status.ready < d.wanted());
        let broken = [ObjectivePhase::Burning, ObjectivePhase::Spent];
        few || of_deployment(cx.world, &name).any(|o| broken.contains(&o.status.phase))
    })
}

fn number(cx: &Context, name: &str) -> Option<f64> {
    let answer: &Arc<Answer> = cx.measured.answers.get(name)?.as_ref().ok()?;
    let (_, value) = answer.series.first()?.points.last()?;
    (value.is_finite() && *value >= 0.0).then_some(*value)
}

/// Whether a status says something that is worth a write.
fn is_news(old: &CapacityStatus, new: &CapacityStatus) -> bool {
    let seen = |status: &CapacityStatus| {
        let codes: Vec<String> = status.reasons.iter().map(|reason| reason.code.clone()).collect();
        // A past may be handed in between two forecasts of an hour.
        let forecast = (status.forecast_at, status.method.clone());
        (status.phase, status.each, status.known, forecast, codes)
    };
    let late = old.seen_at.zip(new.seen_at).is_none_or(|(old, new)| new.since(old) >= SHOWN);
    let other = (&old.load, old.ready, old.needed, &old.releases)
        != (&new.load, new.ready, new.needed, &new.releases);
    // What people work out more by is never long behind what is.
    let moved = has_moved(old.load, new.load) || has_moved(old.load_now, new.load_now);
    let counts = |status: &CapacityStatus| (status.ready, status.needed);
    seen(old) != seen(new) || moved || counts(old) != counts(new) || (late && other)
}

/// Whether a measured value is so far from what was told of it that it is told at once.
pub(crate) fn has_moved(old: Option<f64>, new: Option<f64>) -> bool {
    match old.zip(new) {
        Some((old, new)) => (old - new).abs() > old.abs() * TOLD_AT_ONCE,
        None => old.is_some() != new.is_some(),
    }
}

/// The load of one instance that its deployment's number goes by: what is declared, or less where
/// instances were seen not to carry that, or what a person has set.
pub(crate) fn target(world: &Snapshot, deployment: &str, declared: f64) -> f64 {
    let Some(capacity) = world.get::<Capacity>(deployment) else { return declared };
    match (capacity.spec.each, capacity.status.known, capacity.status.each) {
        (Some(set), ..) => set,
        (None, Known::Bounded, Some(each)) => each.clamp(declared * LEAST_SHARE, declared),
        _ => declared,
    }
}

/// The capacities a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Capacity(old)), Some(Any::Capacity(new))) if old.spec == new.spec => Vec::new(),
        (_, Some(Any::Capacity(capacity))) => vec![capacity.meta.name.clone()],
        (old, new) => elasticity::rescaled::<Capacity>(world, old, new),
    }
}

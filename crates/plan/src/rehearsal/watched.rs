//! What the guard of a rollout asks in a rehearsal: which instance ran which release, how many
//! requests it got, and how many of these failed.

use std::collections::BTreeMap;

use atoll_model::{Application, Deployment, Instance, Object, Snapshot, Span, Timestamp};

use super::measures::Measures;
use crate::query::{Answer, Period, Query, Series};

/// The most instances of a deployment that are looked at one by one.
const MOST: usize = 200;

/// The answer to what is asked of one rollout.
pub(super) fn answer(
    measures: &Measures,
    world: &Snapshot,
    deployment: &str,
    query: &Query,
) -> Answer {
    let Some(what) = query.name.strip_prefix("guard:") else { return Answer::default() };
    let Period::Range { from, to, step } = query.period else { return Answer::default() };
    if what.contains(':') {
        // Earlier days, and parts: instances are told apart already.
        return Answer::default();
    }
    let Some(of) = world.get::<Deployment>(deployment) else { return Answer::default() };
    let old = replaced(world, of);
    let value = match value(world, &of.spec.application, what) {
        Some(value) => value,
        None if what == "releases" => Value::One,
        None => return Answer::default(),
    };
    // Shared evenly by those that serve now: how many did is not kept.
    let serving = f64::from(of.status.ready.max(1));
    let share = |at: Timestamp| measures.loads.at(deployment, at).unwrap_or_default() / serving;
    let mut series = Vec::new();
    for instance in world.derived::<Instance>(deployment).take(MOST) {
        let status = &instance.status;
        let Some(release) = &status.release else { continue };
        let began = status.started_at.unwrap_or(from);
        let made = instance.meta.created_at.unwrap_or(from);
        let times = |from: Timestamp, to: Timestamp| {
            let first = from.0.div_euclid(step.0 as i64) * step.0 as i64;
            let all = std::iter::successors(Some(Timestamp(first)), |at| Some(*at + step));
            all.skip_while(move |at| *at < from).take_while(move |at| *at <= to)
        };
        let point = |release: &str, at: Timestamp| {
            let failing = measures.failing.get(release).copied().unwrap_or_default();
            (at, value.of(failing, share(at)))
        };
        let is_new = *release != old;
        let own: Vec<_> = times(began.max(from), to).map(|at| point(release, at)).collect();
        // What ran in its place before, if it is older than the process that runs now.
        let until = if is_new { began - Span(1) } else { from };
        let before: Vec<_> =
            times(made.max(from), until.min(to)).map(|at| point(&old, at)).collect();
        let labels = |release: &str| {
            let all = [("instance", instance.name()), ("release", release)];
            let used = all.iter().take(if matches!(value, Value::One) { 2 } else { 1 });
            used.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
        };
        if matches!(value, Value::One) {
            series.push(Series { labels: labels(release), points: own, lag: None });
            if is_new && !before.is_empty() {
                series.push(Series { labels: labels(&old), points: before, lag: None });
            }
        } else {
            let points = before.into_iter().chain(own).collect();
            series.push(Series { labels: labels(release), points, lag: None });
        }
    }
    Answer { series, ..Answer::default() }
}

/// What those ran before that run a new release: what was rolled out before or, where nothing runs
/// that any more, what most of the rest run.
fn replaced(world: &Snapshot, of: &Object<Deployment>) -> String {
    let status = &of.status;
    let before = status.release.clone().or(status.last_good.clone()).unwrap_or_default();
    let to = status.rollout.as_ref().map(|rollout| rollout.to.as_str());
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for seat in world.seats(of.name()).filter(|seat| Some(&*seat.release) != to) {
        *counts.entry(&seat.release).or_default() += 1;
    }
    if counts.contains_key(before.as_str()) {
        return before;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or(before, |(release, _)| release.to_owned())
}

/// What a signal says of an instance of which a share of the requests fails.
enum Value {
    /// That it is there.
    One,
    /// The share that fails.
    Failing,
    /// The share that does not.
    Good,
    /// How many requests it gets in a second.
    Requests,
}

impl Value {
    fn of(&self, failing: f64, requests: f64) -> f64 {
        match self {
            Value::Requests => requests,
            Value::One => 1.0,
            Value::Failing => failing,
            Value::Good => 1.0 - failing,
        }
    }
}

fn value(world: &Snapshot, application: &str, signal: &str) -> Option<Value> {
    match signal {
        "errors" => return Some(Value::Failing),
        "requests" => return Some(Value::Requests),
        _ => {}
    }
    let application = world.get::<Application>(application)?;
    let promise = application.spec.objectives.iter().find(|promise| promise.name == signal)?;
    match promise.bound() {
        // How long answers take is not supposed.
        Some(_) => None,
        None if promise.good.is_some() => Some(Value::Failing),
        None => Some(Value::Good),
    }
}

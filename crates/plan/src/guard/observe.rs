//! Turns what the metrics store answered into an observation: which instance runs which release
//! since when, and which series is whose. It judges nothing.

use std::collections::BTreeMap;

use atoll_model::deployment::RolloutStatus;
use atoll_model::guard::SignalKind;
use atoll_model::rollout::Strategy;
use atoll_model::{
    Analysis, Application, Deployment, Instance, Object, Portion, Snapshot, Timestamp,
};

use super::ask::{self, DAYS, Part, RELEASES, name_of, sources, subject};
use super::{Day, Observation, Observed, Past, Track};
use crate::query::{Answer, Answers, Series};

/// When each instance of the deployment was changed; none while it runs the old release.
type Changes<'a> = BTreeMap<&'a str, Option<Timestamp>>;

/// What the answers to [`queries`](super::queries) say of a deployment in a rollout; none where
/// none is watched.
pub fn observe<'a>(
    world: &'a Snapshot,
    deployment: &'a Object<Deployment>,
    answers: &'a Answers,
    now: Timestamp,
) -> Option<Observation<'a>> {
    let (application, rollout) = subject(world, deployment)?;
    let changes = changes(world, deployment, rollout, answers, now);
    let signals = sources(&application.spec)
        .into_iter()
        .map(|source| observed(source, &changes, rollout, answers))
        .collect();
    let soak = application.spec.rollout.steps.get(rollout.step as usize).map(|step| step.soak);
    Some(Observation {
        signals,
        step_at: step_at(&application.spec, deployment, rollout, &changes),
        since: rollout.since,
        soak_until: rollout.soaking_since.zip(soak).map(|(since, soak)| since + soak),
        history: history(world, deployment, rollout),
        now,
    })
}

fn found<'a>(answers: &'a Answers, name: &str) -> Option<&'a Answer> {
    answers.get(name).and_then(|answer| answer.as_deref().ok())
}

fn label<'a>(series: &'a Series, name: &str) -> Option<&'a str> {
    series.labels.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// The first point an instance has on the new release tells when it was changed. Where nothing was
/// measured, the time its process was started does, unless it was started again since.
fn changes<'a>(
    world: &'a Snapshot,
    deployment: &Object<Deployment>,
    rollout: &RolloutStatus,
    answers: &Answers,
    now: Timestamp,
) -> Changes<'a> {
    let mut measured: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for series in found(answers, RELEASES).into_iter().flat_map(|answer| &answer.series) {
        let instance = label(series, "instance");
        let first = series.points.iter().map(|point| point.0).find(|at| *at >= rollout.since);
        if let (Some(instance), Some(at)) = (instance, first)
            && label(series, "release") == Some(rollout.to.as_str())
        {
            let known = measured.entry(instance).or_insert(at);
            *known = (*known).min(at);
        }
    }
    let change_of = |instance: &Object<Instance>| {
        if instance.spec.release != rollout.to {
            return None;
        }
        let status = &instance.status;
        let started =
            status.started_at.filter(|_| status.restarts == 0).or(instance.meta.created_at);
        let started = started.unwrap_or(rollout.since).clamp(rollout.since, now.max(rollout.since));
        Some(measured.get(instance.name()).copied().unwrap_or(started))
    };
    world
        .derived::<Instance>(deployment.name())
        .map(|instance| (instance.meta.name.as_str(), change_of(instance)))
        .collect()
}

/// The steps before this one changed so many instances; the first change beyond them is this
/// step's.
fn step_at(
    application: &Application,
    deployment: &Object<Deployment>,
    rollout: &RolloutStatus,
    changes: &Changes,
) -> Timestamp {
    let mut times: Vec<Timestamp> = changes.values().flatten().copied().collect();
    times.sort_unstable();
    let wanted = deployment.wanted();
    let usual = [Portion::Count(1), Portion::percent(25)];
    let rules = &application.rollout;
    let last = (rollout.step as usize).checked_sub(1);
    let portion = last.filter(|_| rules.strategy == Strategy::Canary).and_then(|last| {
        if rules.steps.is_empty() {
            return usual.get(last).copied();
        }
        rules.steps.get(last).map(|step| step.instances)
    });
    let earlier = portion.map_or(0, |portion| portion.ceil_of(wanted).min(wanted).max(1));
    times.get(earlier as usize).or(times.last()).copied().unwrap_or(rollout.since)
}

fn observed<'a>(
    source: ask::Source,
    changes: &Changes<'a>,
    rollout: &'a RolloutStatus,
    answers: &'a Answers,
) -> Observed<'a> {
    let name = source.signal.name.clone();
    let answer = answers.get(&name_of(&name, Part::All));
    let mut observed = Observed {
        signal: source.signal,
        changed: Vec::new(),
        unchanged: Vec::new(),
        background: Vec::new(),
        whole: Vec::new(),
        failed: answer.and_then(|answer| answer.as_ref().err()).map(|why| why.message.clone()),
    };
    let series = answer.and_then(|answer| answer.as_deref().ok()).map(|answer| &answer.series);
    for series in series.into_iter().flatten() {
        let known = label(series, "instance").and_then(|name| changes.get_key_value(name));
        match known {
            Some((instance, Some(at))) => {
                observed.changed.push(track(instance, Some(*at), series));
            }
            Some((instance, None)) => observed.unchanged.push(track(instance, None, series)),
            None if label(series, "instance").is_none() => {
                observed.whole.push(track("all instances", Some(rollout.since), series));
            }
            None => {}
        }
    }
    if source.whole && observed.changed.is_empty() {
        split_by_release(&mut observed, &name, rollout, answers);
    }
    if observed.signal.measure != SignalKind::Events {
        observed.background =
            (1..=DAYS).filter_map(|ago| day(&name, ago, changes, answers)).collect();
    }
    observed
}

/// Without series by instance, what runs the new release stands for the changed instances.
fn split_by_release<'a>(
    observed: &mut Observed<'a>,
    name: &str,
    rollout: &'a RolloutStatus,
    answers: &'a Answers,
) {
    let one = |part| {
        let series = found(answers, &name_of(name, part)).map(|answer| answer.series.as_slice());
        series.and_then(|series| (series.len() == 1).then(|| &series[0]))
    };
    if let Some(series) = one(Part::New) {
        observed.changed.push(track("the new release", Some(rollout.since), series));
    }
    if let Some(series) = one(Part::Old) {
        observed.unchanged.push(track("the old release", None, series));
    }
}

fn day<'a>(name: &str, ago: u32, changes: &Changes<'a>, answers: &'a Answers) -> Option<Day<'a>> {
    let answer = found(answers, &name_of(name, Part::Day(ago)))?;
    let mut tracks = Vec::new();
    for series in &answer.series {
        match label(series, "instance") {
            None => tracks.push(track("all instances", None, series)),
            Some(name) => {
                // Instances of then may be gone: any of this deployment stands for the rest.
                let instance = changes.get_key_value(name).map_or(name, |known| known.0);
                tracks.push(track(instance, None, series));
            }
        }
    }
    (!tracks.is_empty()).then_some(Day { ago, tracks })
}

fn track<'a>(instance: &'a str, changed_at: Option<Timestamp>, series: &'a Series) -> Track<'a> {
    Track { instance, changed_at, points: &series.points }
}

/// What earlier rollouts of this application showed, in this environment.
fn history(
    world: &Snapshot,
    deployment: &Object<Deployment>,
    rollout: &RolloutStatus,
) -> Vec<Past> {
    let earlier = world
        .derived::<Analysis>(deployment.name())
        .filter(|analysis| analysis.spec.release != rollout.to);
    let mut all = Vec::new();
    for analysis in earlier {
        let right = analysis.spec.feedback.as_ref().map(|feedback| feedback.right);
        let evidence = analysis.status.steps.iter().flat_map(|step| &step.evidence);
        all.extend(evidence.map(|evidence| Past {
            signal: evidence.signal.clone(),
            effect: evidence.effect,
            verdict: evidence.verdict,
            right,
        }));
    }
    all
}

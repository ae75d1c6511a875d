//! Turns what the metrics store answered into an observation: which instance runs which release
//! since when, and which series is whose. It judges nothing.

use std::collections::BTreeMap;

use atoll_model::deployment::RolloutStatus;
use atoll_model::guard::SignalKind;
use atoll_model::rollout::Strategy;
use atoll_model::{
    Analysis, Application, Deployment, Instance, Object, Portion, Snapshot, Span, Timestamp,
};

use super::ask::{self, DAYS, Part, RELEASES, name_of, sources, subject};
use super::{Day, Observation, Observed, Past, Track};
use crate::query::{Answer, Answers, Series};

/// When each instance of the deployment was changed; none while it runs the old release.
type Changes<'a> = BTreeMap<&'a str, Option<Timestamp>>;
/// Since when what is measured of each instance is of the old release, where it ran another before.
type Own<'a> = BTreeMap<&'a str, Timestamp>;

/// What is measured of an instance is still of the release before for so long: rates look back.
const BLENDED: Span = Span::seconds(60);

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
    let own = own(answers, replaced(deployment, rollout, answers), &changes, now);
    let signals = sources(&application.spec)
        .into_iter()
        .map(|source| observed(source, &changes, &own, rollout, answers))
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
        let status = &instance.status;
        // One that is chosen runs the old release until its agent says otherwise.
        let runs = status.release.as_ref() == Some(&rollout.to);
        if instance.spec.release != rollout.to || !runs {
            return None;
        }
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

/// The release a rollout replaces: the one that was rolled out before, if anything ran it when the
/// rollout began. Else a newer one came before that had proved itself, and what most ran then is
/// what there is to compare with, unless it has failed.
fn replaced<'a>(
    deployment: &'a Object<Deployment>,
    rollout: &RolloutStatus,
    answers: &'a Answers,
) -> Option<&'a str> {
    let status = &deployment.status;
    // What each ran that was there then.
    let mut last: BTreeMap<&str, (Timestamp, &str)> = BTreeMap::new();
    for series in found(answers, RELEASES).into_iter().flat_map(|answer| &answer.series) {
        let ran = series.points.iter().map(|point| point.0).rfind(|at| *at <= rollout.since);
        let ran = ran.filter(|at| *at >= rollout.since - BLENDED);
        if let (Some(name), Some(release), Some(ran)) =
            (label(series, "instance"), label(series, "release"), ran)
        {
            let known = last.entry(name).or_insert((ran, release));
            *known = (*known).max((ran, release));
        }
    }
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    last.into_values().for_each(|(_, release)| *counts.entry(release).or_default() += 1);
    let before = status.release.as_deref();
    if before.is_none_or(|release| counts.contains_key(release)) {
        return before;
    }
    let failed = status.failed.as_ref().map(|failed| failed.release.as_str());
    counts.retain(|release, _| *release != rollout.to && Some(*release) != failed);
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(release, _)| release).or(before)
}

/// Names are used again: an instance of an earlier rollout may have had this one's, and what was
/// measured of that one, or of this one on a release that was taken back, is no baseline.
///
/// **Invariant:** what an instance is compared with before its change is of the old release alone.
fn own<'a>(answers: &Answers, old: Option<&str>, changes: &Changes<'a>, now: Timestamp) -> Own<'a> {
    let mut own = Own::new();
    for series in found(answers, RELEASES).into_iter().flat_map(|answer| &answer.series) {
        let other = label(series, "release").filter(|release| Some(*release) != old);
        let (Some(name), Some(_)) = (label(series, "instance"), other) else { continue };
        let Some((instance, changed)) = changes.get_key_value(name) else { continue };
        let until = changed.unwrap_or(now);
        let before = series.points.iter().map(|point| point.0).filter(|at| *at < until);
        if let Some(last) = before.max() {
            let since = own.entry(*instance).or_insert(last + BLENDED);
            *since = (*since).max(last + BLENDED);
        }
    }
    own
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
    own: &Own<'a>,
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
        let since = |track: Track<'a>| match own.get(track.instance) {
            Some(since) => {
                let from = track.points.partition_point(|point| point.0 < *since);
                Track { points: track.points.get(from..).unwrap_or_default(), ..track }
            }
            None => track,
        };
        match known {
            Some((instance, Some(at))) => {
                observed.changed.push(since(track(instance, Some(*at), series)));
            }
            Some((instance, None)) => {
                observed.unchanged.push(since(track(instance, None, series)));
            }
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

/// Without series by instance, what runs the new release stands for the changed instances, as long
/// as the old one runs beside it. Once it does not, the whole is compared with what it was before.
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
    let (Some(new), Some(old)) = (one(Part::New), one(Part::Old)) else { return };
    if side_by_side(new, old) {
        observed.changed.push(track("the new release", Some(rollout.since), new));
        observed.unchanged.push(track("the old release", None, old));
    }
}

/// Whether the old release was measured as long as the new one, but for what a rate looks back.
fn side_by_side(new: &Series, old: &Series) -> bool {
    let ends = new.points.last().zip(old.points.last());
    ends.is_some_and(|(new, old)| old.0 + BLENDED >= new.0)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn ran(instance: &str, release: &str, minutes: std::ops::Range<i64>) -> Series {
        let labels = [("instance", instance), ("release", release)];
        Series {
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            points: minutes.map(|minute| (Timestamp(minute * 60_000), 1.0)).collect(),
            lag: None,
        }
    }

    #[test]
    fn releases_are_compared_while_both_run() {
        let new = ran("", "shop-2", 20..30);
        assert!(side_by_side(&new, &ran("", "shop-1", 0..29)));
        assert!(!side_by_side(&new, &ran("", "shop-1", 0..27)));
        assert!(!side_by_side(&new, &ran("", "shop-1", 0..0)));
    }

    #[test]
    fn what_ran_before_under_the_same_name_is_no_baseline() {
        let series = vec![
            ran("shop.0", "shop-1", 0..30),
            // A first try of the release, which was taken back, and the second.
            ran("shop.1", "shop-1", 0..10),
            ran("shop.1", "shop-2", 10..13),
            ran("shop.1", "shop-1", 13..20),
            ran("shop.1", "shop-2", 20..30),
            // One that was there for an earlier rollout only.
            ran("shop.4", "shop-0", 2..8),
        ];
        let answer = Answer { series, ..Answer::default() };
        let answers: Answers = [(RELEASES.to_owned(), Ok(Arc::new(answer)))].into();
        let minute = |minute: i64| Timestamp(minute * 60_000);
        let changes: Changes =
            [("shop.0", None), ("shop.1", Some(minute(20))), ("shop.4", Some(minute(20)))].into();
        let own = own(&answers, Some("shop-1"), &changes, minute(30));
        assert_eq!(own, [("shop.1", minute(13)), ("shop.4", minute(8))].into());
    }

    #[test]
    fn what_is_replaced_is_what_ran_when_the_rollout_began() {
        let deployment = serde_json::json!({ "application": "shop", "environment": "prod" });
        let spec: Deployment = serde_json::from_value(deployment).unwrap();
        let mut deployment = Object::new("shop.prod", spec);
        deployment.status.release = Some("shop-1".to_owned());
        let minute = |minute: i64| Timestamp(minute * 60_000);
        let rollout = serde_json::json!({
            "to": "shop-3", "moved": 1, "since": minute(20), "progressAt": minute(20),
        });
        let rollout: RolloutStatus = serde_json::from_value(rollout).unwrap();
        let of = |deployment: &Object<Deployment>, first: std::ops::Range<i64>| {
            let series = vec![
                ran("shop.0", "shop-1", first.clone()),
                ran("shop.0", "shop-2", first.end..30),
                ran("shop.1", "shop-1", 0..12),
                ran("shop.1", "shop-2", 12..21),
                ran("shop.1", "shop-3", 21..30),
                // It went before.
                ran("shop.4", "shop-1", 0..15),
            ];
            let answer = Answer { series, ..Answer::default() };
            let answers: Answers = [(RELEASES.to_owned(), Ok(Arc::new(answer)))].into();
            replaced(deployment, &rollout, &answers).map(str::to_owned)
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(of(&deployment, 0..30), some("shop-1"), "one ran it all the time");
        assert_eq!(of(&deployment, 0..10), some("shop-2"), "none ran it any more");
        let failed = serde_json::json!({
            "release": "shop-2", "at": minute(19), "edit": 1,
            "reason": { "code": "guard", "message": "it fails" },
        });
        deployment.status.failed = serde_json::from_value(failed).unwrap();
        assert_eq!(of(&deployment, 0..10), some("shop-1"), "what has failed is no measure");
    }
}

//! How a gray release is watched: instances with the newer version are compared with those without
//! it, exactly as a rollout of a release is. To the guard the newer version is a release, so each
//! deployment is shown to it as if it were in the middle of a rollout.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::config::{Gray, GrayStatus};
use atoll_model::deployment::RolloutStatus;
use atoll_model::guard::GuardStatus;
use atoll_model::rollout::{Step, Strategy};
use atoll_model::{
    Any, Application, Config, Deployment, Instance, Object, Portion, Reason, Snapshot, Timestamp,
};

use super::Subject;
use crate::deployment::watch::{self, Watch, Word};
use crate::query::Query;
use crate::{Context, Measurements, sooner};

/// Stands between the deployment and the name of its query.
const OF: char = '|';

/// What the guard says, by deployment.
pub(super) struct Watched {
    config: String,
    now: Timestamp,
    by_deployment: BTreeMap<String, Watch>,
    /// A deployment that rolls out a release meanwhile.
    busy: Option<String>,
    /// When more may be known.
    pub again_at: Option<Timestamp>,
}

/// What the planner of configurations wants measured for one of them.
pub fn queries(cx: &Context, name: &str) -> Vec<Query> {
    let Some(config) = cx.world.get::<Config>(name) else { return Vec::new() };
    let (Some(gray), Some(rules)) = (&config.status.gray, &config.spec.gray) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for deployment in deployments(cx.world, gray) {
        let Some(world) = shown(cx.world, rules, gray, &deployment) else { continue };
        let asked = watch::queries(&Context { world: &world, ..*cx }, &deployment);
        all.extend(
            asked
                .into_iter()
                .map(|query| Query { name: format!("{deployment}{OF}{}", query.name), ..query }),
        );
    }
    all
}

impl Watched {
    /// Judges the gray release in each deployment it has reached.
    pub fn of(subject: &Subject, rules: &Gray, gray: &GrayStatus) -> Watched {
        let cx = subject.cx;
        let mut by_deployment = BTreeMap::new();
        let (mut again_at, mut busy) = (None, None);
        for name in deployments(cx.world, gray) {
            let Some(world) = shown(cx.world, rules, gray, &name) else {
                busy = Some(name);
                continue;
            };
            let Some(deployment) = world.get::<Deployment>(&name) else { continue };
            let measured = answers_of(cx.measured, &name);
            let watch =
                Watch::of(&Context { world: &world, measured: &measured, ..*cx }, deployment);
            again_at = sooner(again_at, watch.again_at);
            by_deployment.insert(name, watch);
        }
        let config = subject.object.name().to_owned();
        Watched { config, now: cx.now, by_deployment, busy, again_at }
    }

    /// As it is to be stored.
    pub fn said(&self) -> BTreeMap<String, GuardStatus> {
        let said = |(name, watch): (&String, &Watch)| Some((name.clone(), watch.status.clone()?));
        self.by_deployment.iter().filter_map(said).collect()
    }

    /// The verdict that takes it back at once.
    pub fn takes_back(&self) -> Option<Reason> {
        let mut each = self.by_deployment.iter();
        each.find_map(|(name, watch)| watch.takes_back().map(|reason| of(name, reason)))
    }

    /// The verdict that stops it where it is.
    pub fn stops(&self) -> Option<Reason> {
        let mut each = self.by_deployment.iter();
        each.find_map(|(name, watch)| Some(self.asked(of(name, watch.stops(name)?))))
    }

    /// What becomes of a step that is otherwise over since `over`: the strictest word of all.
    pub fn word(&self, over: Timestamp) -> Word {
        let mut strictest = match &self.busy {
            Some(name) => {
                let message = format!("{name} rolls out a release, so neither can be judged");
                Word::Wait(Reason::new("guard-waiting", message))
            }
            None => Word::Go,
        };
        for (name, watch) in &self.by_deployment {
            match watch.word(name, over, self.now) {
                Word::Go => {}
                Word::Wait(reason) if strictest == Word::Go => {
                    strictest = Word::Wait(of(name, reason));
                }
                Word::Wait(_) => {}
                Word::Ask(reason) => return Word::Ask(self.asked(of(name, reason))),
            }
        }
        strictest
    }

    /// A reason with what a person can do here.
    fn asked(&self, reason: Reason) -> Reason {
        let config = &self.config;
        Reason { hint: None, ..reason }.hint(format!(
            "atoll config promote {config} goes on all the same; atoll config abort {config} goes \
             back"
        ))
    }
}

fn of(deployment: &str, reason: Reason) -> Reason {
    Reason { message: format!("{deployment}: {}", reason.message), ..reason }
}

/// The deployments the newer version has reached.
fn deployments(world: &Snapshot, gray: &GrayStatus) -> Vec<String> {
    let reached = gray.instances.keys().filter_map(|name| world.get::<Instance>(name));
    let mut names: Vec<String> = reached.map(|i| i.spec.deployment.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// What was measured for one deployment.
fn answers_of(measured: &Measurements, deployment: &str) -> Measurements {
    let own = measured.answers.iter().filter_map(|(name, answer)| {
        let (of, name) = name.split_once(OF)?;
        (of == deployment).then(|| (name.to_owned(), answer.clone()))
    });
    Measurements { answers: own.collect(), ..measured.clone() }
}

/// The world in which the newer version is a release that is being rolled out. None, while the
/// deployment rolls out a release itself: what is seen then cannot be put down to either.
fn shown(world: &Snapshot, rules: &Gray, gray: &GrayStatus, name: &str) -> Option<Snapshot> {
    let deployment = world.get::<Deployment>(name)?;
    let application = world.get::<Application>(&deployment.spec.application)?;
    if deployment.status.rollout.is_some() {
        return None;
    }
    let to = format!("version-{}", gray.version);
    let mut shown = world.clone();
    let mut times = Vec::new();
    for instance in world.derived::<Instance>(name) {
        let Some(at) = gray.instances.get(instance.name()) else { continue };
        times.push(*at);
        let mut changed = Object::clone(instance);
        changed.spec.release.clone_from(&to);
        // As its agent says of a release: it has the version as soon as it is to have it, or so
        // soon after that the guard's grace covers it.
        changed.status.release = Some(to.clone());
        (changed.status.started_at, changed.status.restarts) = (Some(*at), 0);
        shown.put(Any::Instance(Arc::new(changed)));
    }
    let last = times.iter().max().copied()?;
    let earlier = times.iter().filter(|at| **at < last).count() as u32;
    let mut changed = Object::clone(application);
    changed.spec.rollout.guard.mode = rules.guard;
    changed.spec.rollout.strategy =
        if earlier > 0 && gray.step > 0 { Strategy::Canary } else { Strategy::Rolling };
    let steps = rules.steps.iter().enumerate().map(|(i, rule)| {
        let before = i < gray.step as usize;
        let instances = Portion::Count(if before { earlier } else { times.len() as u32 });
        Step { instances, soak: rule.soak }
    });
    changed.spec.rollout.steps = steps.collect();
    shown.put(Any::Application(Arc::new(changed)));
    let mut changed = Object::clone(deployment);
    changed.status.rollout = Some(RolloutStatus {
        to,
        back: false,
        step: gray.step,
        soaking_since: gray.soaking_since,
        since: gray.since,
        progress_at: last,
        proven: 0,
        moved: times.len() as u32,
        guard: gray.guard.get(name).cloned(),
    });
    shown.put(Any::Deployment(Arc::new(changed)));
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::observe;
    use crate::query::{Answer, Answers, Series};
    use crate::testing::{host, instance, world};

    const NOW: Timestamp = Timestamp(3_600_000);

    fn of<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    /// `web.dev.0` and `web.dev.1`, of which the second has the newer version for five minutes.
    fn half_gray() -> (Snapshot, GrayStatus) {
        let application: Application = of(serde_json::json!({
            "environments": ["dev"],
            "run": { "command": ["./web"] },
            "rollout": { "guard": { "signals": [{ "name": "queue", "query": "queue_length" }] } },
        }));
        let deployment: Deployment =
            of(serde_json::json!({ "application": "web", "environment": "dev" }));
        let mut deployment = Object::new("web.dev", deployment);
        deployment.status.release = Some("web-1".to_owned());
        let objects = [
            Any::Application(Arc::new(Object::new("web", application))),
            Any::Deployment(Arc::new(deployment)),
            host("h0"),
            instance("web.dev.0", "h0"),
            instance("web.dev.1", "h0"),
        ];
        let since = NOW - atoll_model::Span::seconds(300);
        let instances = [("web.dev.1".to_owned(), since)].into();
        let gray = GrayStatus { version: 2, since, instances, ..GrayStatus::default() };
        (world(objects), gray)
    }

    #[test]
    fn what_is_measured_of_instances_with_the_newer_version_is_seen() {
        let (world, gray) = half_gray();
        let rules: Gray = of(serde_json::json!({ "steps": [{ "instances": 1, "soak": "5m" }] }));
        let shown = shown(&world, &rules, &gray, "web.dev").unwrap();
        let measured = Measurements::default();
        let cx = Context { world: &shown, measured: &measured, now: NOW };
        let asked = watch::queries(&cx, "web.dev");
        let asked = asked.iter().find(|query| query.expression.contains("queue_length")).unwrap();
        let series = ["web.dev.0", "web.dev.1"].map(|name| Series {
            labels: [("instance".to_owned(), name.to_owned())].into(),
            points: (0..240).map(|i| (Timestamp(i * 15_000 + 15_000), 1.0)).collect(),
            lag: None,
        });
        let answer = Answer { series: series.into(), ..Answer::default() };
        let answers: Answers = [(asked.name.clone(), Ok(Arc::new(answer)))].into();
        let deployment = shown.get::<Deployment>("web.dev").unwrap();
        let observation = observe(&shown, deployment, &answers, NOW).unwrap();
        let queue = observation.signals.iter().find(|o| o.signal.name == "queue").unwrap();
        let names = |tracks: &[crate::guard::Track]| -> Vec<String> {
            tracks.iter().map(|track| track.instance.to_owned()).collect()
        };
        assert_eq!(names(&queue.changed), ["web.dev.1"]);
        assert_eq!(names(&queue.unchanged), ["web.dev.0"]);
    }
}

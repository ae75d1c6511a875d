//! The changes that most likely caused an alert: the nearest before it among those of what it is
//! about and of what that depends on, ranked. A guess from the objects alone, and said as one.

use std::collections::BTreeSet;

use atoll_model::alerting::Suspect;
use atoll_model::cmdb::HostPhase;
use atoll_model::config::Content;
use atoll_model::{
    Analysis, Application, Config, Deployment, Host, Instance, Kind, Object, Snapshot, Span,
    Timestamp,
};

use super::subject::parts;
use crate::centre::own;

/// Changes longer ago are not suspected.
const LOOKED_BACK: Span = Span::seconds(2 * 3600);
/// A change this long ago counts half as much as one just before.
const HALF: Span = Span::seconds(600);

struct Search<'a> {
    world: &'a Snapshot,
    at: Timestamp,
    found: Vec<(f64, Suspect)>,
}

/// So many suspects are told.
const TOLD: usize = 5;
/// So far along what is needed by what is needed is looked.
const DEPTH: u32 = 3;
/// What is needed counts so much less than what needs it.
const NEEDED: f64 = 0.6;
/// What a decision changed follows what it did that for: it comes after all that went before.
const OWN: f64 = 0.001;
/// What one gave back comes after that.
const GIVEN_BACK: f64 = 0.000_001;

/// What most likely caused an alert about `subject` that has held since `at`.
pub(super) fn suspect(world: &Snapshot, subject: &str, at: Timestamp) -> Option<Suspect> {
    suspects(world, subject, at).into_iter().next()
}

/// What may have caused something about `subject` that has held since `at`, the most likely first,
/// each thing that changed once.
pub fn suspects(world: &Snapshot, subject: &str, at: Timestamp) -> Vec<Suspect> {
    let mut search = Search { world, at, found: Vec::new() };
    search.look(subject);
    let mut found = search.found;
    // Stable: of equals, the one that was found first.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut told: Vec<Suspect> = Vec::new();
    for (_, suspect) in found {
        if told.len() < TOLD && told.iter().all(|known| known.object != suspect.object) {
            told.push(suspect);
        }
    }
    told
}

impl Search<'_> {
    fn look(&mut self, subject: &str) {
        let Some(parts) = parts(subject) else { return };
        // What is gone has no suspects.
        let _ = self.look_at(parts);
    }

    fn look_at(&mut self, parts: (Kind, &str)) -> Option<()> {
        let (world, search) = (self.world, self);
        match parts {
            (Kind::Instance, name) => {
                let instance = world.get::<Instance>(name)?;
                if let Some(deployment) = world.get::<Deployment>(&instance.spec.deployment) {
                    search.deployment(deployment, 1.0, "it is its own deployment");
                    search.needs(deployment, NEEDED, DEPTH);
                }
                search.host(&instance.spec.host, 0.8, "it runs there");
            }
            (Kind::Deployment, name) => search.whole(world.get::<Deployment>(name)?, 1.0),
            (Kind::Application, name) => {
                for deployment in world.derived::<Deployment>(name) {
                    search.whole(deployment, 0.9);
                }
            }
            (Kind::Host, name) => {
                search.host(name, 1.0, "it is this host");
                let on_it = world.instances_on(name).map(|i| i.spec.deployment.as_str());
                for deployment in on_it.collect::<BTreeSet<&str>>() {
                    if let Some(deployment) = world.get::<Deployment>(deployment) {
                        search.deployment(deployment, 0.6, "it runs on this host");
                    }
                }
            }
            (Kind::Zone, name) => {
                for host in world.all::<Host>().filter(|host| host.zone() == name) {
                    search.host(host.name(), 1.0, "it is in this zone");
                }
            }
            _ => {}
        }
        Some(())
    }

    fn whole(&mut self, deployment: &Object<Deployment>, direct: f64) {
        self.deployment(deployment, direct, "it is about this deployment");
        self.needs(deployment, NEEDED, DEPTH);
        let instances = self.world.derived::<Instance>(deployment.name());
        let hosts: BTreeSet<&str> = instances.map(|i| i.spec.host.as_str()).collect();
        for host in hosts {
            self.host(host, 0.5 * direct, "instances of it run there");
        }
    }

    /// What the deployment's application needs in the same environment, and what that needs.
    fn needs(&mut self, deployment: &Object<Deployment>, direct: f64, depth: u32) {
        let Some(application) = self.world.get::<Application>(&deployment.spec.application) else {
            return;
        };
        for needed in application.spec.needed() {
            let name = format!("{needed}.{}", deployment.spec.environment);
            if let Some(needed) = self.world.get::<Deployment>(&name) {
                let why = format!("{} needs it", application.name());
                self.deployment(needed, direct, &why);
                if depth > 1 {
                    self.needs(needed, direct * NEEDED, depth - 1);
                }
            }
        }
        let mut labels = application.meta.labels.clone();
        let own = [
            ("application", application.name()),
            ("environment", deployment.spec.environment.as_str()),
            ("deployment", deployment.name()),
        ];
        labels.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for config in &application.spec.config.dynamic {
            let Some(config) = self.world.get::<Config>(config) else { continue };
            // What was changed for others alone is no change here.
            let (live, previous) = (&config.status.live, &config.status.previous);
            let same = |was: &Content| was.for_labels(&labels) == live.for_labels(&labels);
            let same = previous.as_ref().is_some_and(same);
            let steps = config.status.lately.iter();
            let steps = steps.filter(|step| match step.version == config.status.version {
                true => !same,
                false => step.concerns(&labels),
            });
            for step in steps {
                let change = format!("version {} of {} went live", step.version, config.name());
                let mut why = format!("{} is configured by it", application.name());
                let mut near = direct / NEEDED * 0.9;
                if own::gave_back(self.world, config, step) {
                    why.push_str(", and a decision gave back what it had taken");
                    near *= GIVEN_BACK;
                } else if own::switched(self.world, config, step, deployment.name()) {
                    why.push_str(", and a decision switched it for what was so before");
                    near *= OWN;
                }
                let id = format!("config/{}", config.name());
                self.consider(&id, &change, step.at, near, &why);
            }
        }
    }

    fn deployment(&mut self, of: &Object<Deployment>, direct: f64, related: &str) {
        let object = format!("deployment/{}", of.name());
        let world = self.world;
        // A way back that a decision began follows what it was to end.
        let weighed = |began: Timestamp| match own::took_back(world, of.name(), began) {
            true => (direct * OWN, format!("{related}, and a decision took it back")),
            false => (direct, related.to_owned()),
        };
        if let Some(rollout) = &of.status.rollout {
            let verb = if rollout.back { "is taken back to" } else { "rolls out" };
            let change = format!("{} {verb} {}", of.name(), rollout.to);
            let moved =
                if rollout.progress_at <= self.at { rollout.progress_at } else { rollout.since };
            let (near, why) = weighed(rollout.since);
            self.consider(&object, &change, moved, near, &why);
        }
        if let Some(failed) = &of.status.failed {
            let change = format!("{} was given up in {}", failed.release, of.name());
            let (near, why) = weighed(failed.at);
            self.consider(&object, &change, failed.at, near, &why);
        }
        for analysis in self.world.derived::<Analysis>(of.name()) {
            let change = format!("{} rolled out {}", of.name(), analysis.spec.release);
            for at in [analysis.status.since, analysis.status.at].into_iter().flatten() {
                self.consider(&object, &change, at, direct, related);
            }
        }
        if let Some(rolled) = &of.status.rolled {
            let change = format!("{} went from {} to {}", of.name(), rolled.from, rolled.to);
            let moved = if rolled.at <= self.at { rolled.at } else { rolled.since };
            let (near, why) = weighed(rolled.since);
            self.consider(&object, &change, moved, near, &why);
        }
        let Some(heads) = of.heading_for() else { return };
        for release in self.world.releases_of(&of.spec.application).filter(|r| *r.name() == heads) {
            if let Some(at) = release.meta.created_at {
                let change = format!("release {} was made", release.name());
                let id = format!("release/{}", release.name());
                self.consider(&id, &change, at, 0.7 * direct, related);
            }
        }
    }

    fn host(&mut self, name: &str, direct: f64, related: &str) {
        let Some(host) = self.world.get::<Host>(name) else { return };
        let change = match host.status.phase {
            HostPhase::Ready => return,
            HostPhase::Unknown => "is not heard from",
            HostPhase::Draining => "is being drained",
            HostPhase::Drained => "was drained",
            HostPhase::Cordoned => "was cordoned",
        };
        if let Some(at) = host.status.since {
            let change = format!("{name} {change}");
            let closed = host.status.phase != HostPhase::Unknown;
            let (near, why) = match closed && own::emptied(self.world, host, at) {
                true => (direct * OWN, format!("{related}, and a decision emptied it")),
                false => (direct, related.to_owned()),
            };
            self.consider(&format!("host/{name}"), &change, at, near, &why);
        }
    }

    fn consider(&mut self, id: &str, change: &str, at: Timestamp, direct: f64, related: &str) {
        if at > self.at || self.at.since(at) > LOOKED_BACK {
            return;
        }
        let before = self.at.since(at);
        let score = direct / (1.0 + before.0 as f64 / HALF.0 as f64);
        let why = match before.0 {
            0 => format!("it happened as the alert began to hold; {related}"),
            _ => {
                let before = before.rough();
                format!("it happened {before} before the alert began to hold; {related}")
            }
        };
        let suspect = Suspect { object: id.to_owned(), change: change.to_owned(), at, why };
        self.found.push((score, suspect));
    }
}

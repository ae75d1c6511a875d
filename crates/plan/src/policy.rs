//! Standards: how each application, and each other thing that belongs to none, keeps them, worked
//! out whenever something it depends on changes. How one standard is judged over one object stands
//! in `policy/judge.rs`; changes are refused by the gate, in `decision/standard.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::policy::{
    DayScore, Failing, Finding, FindingState, KEPT_DAYS, MOST_FINDINGS, Mode, Point,
    ScorecardStatus,
};
use atoll_model::{
    Any, Application, Deployment, Intent, Kind, Object, Release, Scorecard, Snapshot, Standard,
    Timestamp, Waiver, Write,
};

use crate::{Context, Plan, sooner};

pub mod check;
pub mod entry;
mod facts;
mod judge;
pub mod replay;
pub mod score;
pub mod standard;
mod touched;
mod waiver;

pub use facts::NAMES;
pub(crate) use facts::Scene;
pub(crate) use judge::{Judgement, Meter, judge};
pub(crate) use waiver::waived;

/// The length of a day, in milliseconds.
const DAY: i64 = 86_400_000;

/// The kinds that have scorecards of their own; other subjects stand on their application's.
pub const HOLDERS: [Kind; 5] =
    [Kind::Application, Kind::Environment, Kind::Host, Kind::Config, Kind::Pipeline];

/// Plans the scorecard of an application.
pub fn of_application(cx: &Context, name: &str) -> Plan {
    plan(cx, Kind::Application, name)
}

/// Plans the scorecard of an environment.
pub fn of_environment(cx: &Context, name: &str) -> Plan {
    plan(cx, Kind::Environment, name)
}

/// Plans the scorecard of a host.
pub fn of_host(cx: &Context, name: &str) -> Plan {
    plan(cx, Kind::Host, name)
}

/// Plans the scorecard of a configuration.
pub fn of_config(cx: &Context, name: &str) -> Plan {
    plan(cx, Kind::Config, name)
}

/// Plans the scorecard of a pipeline.
pub fn of_pipeline(cx: &Context, name: &str) -> Plan {
    plan(cx, Kind::Pipeline, name)
}

pub use touched::{
    application as touched_application, config as touched_config,
    environment as touched_environment, host as touched_host, pipeline as touched_pipeline,
};

/// The name of the scorecard of an object.
pub fn card_name(kind: Kind, name: &str) -> String {
    format!("{}.{name}", kind.lower())
}

fn plan(cx: &Context, kind: Kind, name: &str) -> Plan {
    let card = cx.world.get::<Scorecard>(&card_name(kind, name));
    let standards = standards(cx.world, Point::Audit);
    let holder = cx.world.find(kind, name).filter(|any| !any.meta().deleting());
    let Some(holder) = holder.filter(|_| !standards.is_empty()) else { return forget(card) };
    let mut audit = Audit { cx, card, told: Told::default(), again_at: None };
    for subject in subjects(cx.world, &holder) {
        // One for all standards: what one has looked at, the next finds made.
        let scene = Scene::of(cx.world, &subject);
        for standard in standards.iter().filter(|s| s.spec.kinds.contains(&subject.kind())) {
            audit.look(standard, &scene);
        }
    }
    audit.finish(&holder)
}

fn forget(card: Option<&Arc<Object<Scorecard>>>) -> Plan {
    let mut plan = Plan::nothing();
    plan.writes.extend(card.map(|card| Write::Delete {
        kind: Kind::Scorecard,
        name: card.meta.name.clone(),
        revision: card.meta.revision,
    }));
    plan
}

/// The standards that are looked at here, by name.
pub(crate) fn standards(world: &Snapshot, point: Point) -> Vec<&Arc<Object<Standard>>> {
    world.all::<Standard>().filter(|standard| standard.spec.looks_at(point)).collect()
}

/// What stands on a scorecard: of an application, its deployments and the releases they run too.
fn subjects(world: &Snapshot, holder: &Any) -> Vec<Any> {
    let mut all = vec![holder.clone()];
    if holder.kind() != Kind::Application {
        return all;
    }
    let mut releases: BTreeSet<&str> = BTreeSet::new();
    for deployment in world.derived::<Deployment>(holder.name()) {
        let status = &deployment.status;
        releases.extend(status.release.as_deref());
        releases.extend(status.rollout.as_ref().map(|rollout| rollout.to.as_str()));
        all.push(Any::Deployment(deployment.clone()));
    }
    let releases = releases.into_iter().filter_map(|name| world.get::<Release>(name));
    all.extend(releases.map(|release| Any::Release(release.clone())));
    all
}

/// What has been found so far.
#[derive(Default)]
struct Told {
    findings: Vec<Finding>,
    checks: u32,
    broken: u32,
    /// The weight of all that counts, and of what of it is kept.
    weight: (u64, u64),
}

struct Audit<'a> {
    cx: &'a Context<'a>,
    card: Option<&'a Arc<Object<Scorecard>>>,
    told: Told,
    again_at: Option<Timestamp>,
}

impl Audit<'_> {
    fn look(&mut self, standard: &Arc<Object<Standard>>, scene: &Scene) {
        let subject = scene.subject;
        let judgement = judge(standard, scene, &mut Meter::default());
        let (state, message, fix) = match judgement {
            Judgement::NotMeant => return,
            Judgement::Kept => return self.count(&standard.spec, true),
            Judgement::Broken { message, fix, .. } => (FindingState::Broken, message, fix),
            Judgement::Unknown(why) => (FindingState::Unknown, why, String::new()),
        };
        let waiver = waived(self.cx, standard.name(), subject);
        let until = waiver.map(|waiver| waiver.spec.ends);
        let state = if waiver.is_some() { FindingState::Waived } else { state };
        self.again_at = sooner(self.again_at, until);
        match state {
            FindingState::Broken => self.count(&standard.spec, false),
            FindingState::Unknown => {
                self.count(&standard.spec, standard.spec.failure == Failing::Open);
            }
            FindingState::Waived => {}
        }
        let (name, subject) = (standard.meta.name.clone(), subject.id());
        let known = self.card.into_iter().flat_map(|card| card.status.findings.iter());
        let mut known = known.filter(|f| f.standard == name && f.subject == subject);
        self.told.findings.push(Finding {
            since: known.next().map_or(self.cx.now, |finding| finding.since),
            standard: name,
            subject,
            mode: standard.spec.mode,
            state,
            message,
            field: standard.spec.field.clone(),
            fix,
            until,
        });
    }

    /// What is on trial counts nowhere.
    fn count(&mut self, standard: &Standard, kept: bool) {
        if standard.mode < Mode::Warn {
            return;
        }
        let weight = u64::from(standard.weight);
        self.told.checks += 1;
        self.told.broken += u32::from(!kept);
        self.told.weight.0 += weight;
        self.told.weight.1 += if kept { weight } else { 0 };
    }

    fn finish(self, holder: &Any) -> Plan {
        let Told { mut findings, checks, broken, weight } = self.told;
        if checks == 0 && findings.is_empty() {
            return forget(self.card);
        }
        findings.sort_by(|a, b| {
            let order = |f: &Finding| (f.state, std::cmp::Reverse(f.mode));
            order(a)
                .cmp(&order(b))
                .then_with(|| (&a.standard, &a.subject).cmp(&(&b.standard, &b.subject)))
        });
        let more = findings.len().saturating_sub(MOST_FINDINGS) as u32;
        findings.truncate(MOST_FINDINGS);
        // Rounded down, so that 100 means all.
        let score = (weight.0 > 0).then(|| (weight.1 * 100 / weight.0) as u32);
        let before = self.card.map(|card| card.status.trend.clone()).unwrap_or_default();
        let status = ScorecardStatus {
            owner: owner_of(self.cx.world, holder),
            score,
            checks,
            broken,
            findings,
            more,
            trend: trend(before, score, self.cx.now),
        };
        let mut plan = Plan::new(Intent::Observe);
        plan.again_at = self.again_at;
        let mut new = match self.card {
            Some(card) if card.status == status => return plan,
            Some(card) => Object::clone(card),
            None => {
                let name = card_name(holder.kind(), holder.name());
                let mut new = Object::new(name, Scorecard { subject: holder.id() });
                new.meta.generation = 1;
                new.meta.created_at = Some(self.cx.now);
                new
            }
        };
        new.status = status;
        plan.writes.push(Write::Put(Any::Scorecard(Arc::new(new))));
        plan
    }
}

/// Who answers for what a scorecard is of.
fn owner_of(world: &Snapshot, holder: &Any) -> Option<String> {
    match holder {
        Any::Application(application) => application.spec.owner.clone(),
        Any::Config(config) => config.spec.owner.clone(),
        Any::Pipeline(_) => {
            let application = facts::application_of(holder)?;
            world.get::<Application>(application)?.spec.owner.clone()
        }
        _ => None,
    }
}

/// Only what changes is written down: a day without an entry has the score of the one before.
fn trend(mut trend: Vec<DayScore>, score: Option<u32>, now: Timestamp) -> Vec<DayScore> {
    let today = day_of(now);
    match trend.last_mut() {
        Some(last) if last.score == score => return trend,
        Some(last) if last.day == today => last.score = score,
        _ => trend.push(DayScore { day: today, score }),
    }
    let old = trend.len().saturating_sub(KEPT_DAYS);
    trend.drain(..old);
    trend
}

/// When the day began, in UTC.
pub(crate) fn day_of(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0.rem_euclid(DAY))
}

/// The findings about one object, from the scorecard it stands on, enforced ones first.
pub fn findings_of<'a>(world: &'a Snapshot, subject: &Any) -> Vec<&'a Finding> {
    let (kind, name) = match subject {
        Any::Deployment(deployment) => (Kind::Application, deployment.spec.application.as_str()),
        Any::Release(release) => (Kind::Application, release.spec.application.as_str()),
        other => (other.kind(), other.name()),
    };
    let all = kind == Kind::Application && subject.kind() == kind;
    let id = subject.id();
    let card = world.get::<Scorecard>(&card_name(kind, name));
    let findings = card.into_iter().flat_map(|card| card.status.findings.iter());
    findings.filter(|finding| all || finding.subject == id).collect()
}

/// How many findings each standard has in all scorecards, by state.
pub fn counts(world: &Snapshot) -> BTreeMap<(&str, Mode, FindingState), u64> {
    let mut counts = BTreeMap::new();
    for card in world.all::<Scorecard>() {
        for finding in &card.status.findings {
            let key = (finding.standard.as_str(), finding.mode, finding.state);
            *counts.entry(key).or_default() += 1;
        }
    }
    counts
}

/// Waivers that hold, by their standards.
pub fn waivers_of<'a>(
    cx: &'a Context,
    standard: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Waiver>>> {
    let now = cx.now;
    let all = cx.world.all::<Waiver>();
    all.filter(move |waiver| waiver.spec.standard == standard && waiver.spec.active(now))
}

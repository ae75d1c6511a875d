//! Deployments: bringing the instances of an application in an environment to their target, one
//! safe step at a time. It does not place (`placement.rs`) and does not judge whether a step is
//! permitted (`decision.rs`).
//!
//! Each plan has one intent, the first of these that has something to do: remove, heal (or
//! migrate, where it only moves), roll back, scale, roll out, spread evenly, observe.
//! Whatever it does, it also writes the status as the world is.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::deployment::{DeploymentStatus, Failed, Phase, Scaled};
use atoll_model::rollout::Rollout;
use atoll_model::snapshot::Standing;
use atoll_model::{
    Any, Application, Deployment, Environment, Instance, Intent, Kind, Object, Reason, Release,
    Snapshot, Timestamp, Write,
};

use crate::delivery::admission;
use crate::{Context, Plan};
use draft::Draft;
use fleet::{Counts, Fleet, Member};
use progress::{Progress, View};
use target::Target;
use watch::Watch;

pub(crate) use watch::queries;

pub(crate) mod draft;
pub(crate) mod fleet;
mod heal;
mod misfit;
mod progress;
mod remove;
mod replace;
mod rollout;
mod scale;
pub(crate) mod spread;
pub(crate) mod status;
pub(crate) mod target;
pub(crate) mod watch;

/// A deployment with everything its planning looks at.
pub(crate) struct Subject<'a> {
    pub world: &'a Snapshot,
    pub now: Timestamp,
    pub object: &'a Arc<Object<Deployment>>,
    pub application: &'a Object<Application>,
    pub environment: &'a Object<Environment>,
    pub rules: Rollout,
    pub wanted: u32,
    pub target: Target<'a>,
    pub fleet: Fleet<'a>,
    pub counts: Counts,
    pub progress: Progress,
    pub watch: Watch,
}

/// Plans for one deployment.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(object) = cx.world.get::<Deployment>(name) else { return Plan::nothing() };
    if object.meta.deleting() {
        return remove::plan(cx, object);
    }
    if let Some(plan) = withdraw(cx, object).or_else(|| rescale(cx, object)) {
        return plan;
    }
    match Subject::of(cx, object) {
        Ok(subject) => subject.plan(),
        Err(reason) => wait(cx, object, reason),
    }
}

/// The deployments a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    match new.or(old) {
        Some(Any::Instance(instance)) => {
            names.insert(instance.spec.deployment.clone());
            if new.is_none() {
                names.extend(waiting(world, "unplaceable"));
            }
        }
        Some(Any::Deployment(deployment)) => {
            names.insert(deployment.meta.name.clone());
            let status = |any: Option<&Any>| match any {
                Some(Any::Deployment(d)) => (d.status.last_good.clone(), d.status.ready > 0),
                _ => (None, false),
            };
            let (before, after) = (status(old), status(new));
            if before.0 != after.0 {
                names.extend(of_application(world, &deployment.spec.application));
            }
            if before.1 != after.1 {
                names.extend(waiting(world, "needs"));
            }
        }
        Some(Any::Application(application)) => {
            names.extend(of_application(world, application.name()));
        }
        Some(Any::Release(release)) => {
            names.extend(of_application(world, &release.spec.application));
        }
        Some(Any::Host(host)) => {
            let on_it = world.instances_on(host.name());
            names.extend(on_it.map(|instance| instance.spec.deployment.clone()));
            if new.is_some() && host.is_open() {
                names.extend(waiting(world, "unplaceable"));
                names.extend(spread::opened(world, old, host));
            }
        }
        Some(Any::Environment(environment)) => {
            let of_it = |d: &&Arc<Object<Deployment>>| d.spec.environment == *environment.name();
            names.extend(world.all::<Deployment>().filter(of_it).map(|d| d.meta.name.clone()));
        }
        Some(Any::Migration(_)) => names.extend(moved(old).chain(moved(new))),
        Some(Any::Objective(objective)) => {
            names.insert(objective.spec.deployment.clone());
        }
        Some(Any::Autoscaler(autoscaler)) if is_rescaled(old, new) => {
            names.insert(autoscaler.spec.deployment.clone());
        }
        Some(Any::Promotion(promotion)) => {
            names.insert(format!("{}.{}", promotion.spec.application, promotion.spec.environment));
        }
        Some(Any::Freeze(_)) => names.extend(waiting(world, "frozen")),
        // An approval, a price, or what others spend shows in what is written of the budget.
        Some(Any::Budget(_)) => {
            names.extend(waiting(world, "budget"));
            names.extend(waiting(world, "unplaceable"));
        }
        Some(Any::Approval(_)) => names.extend(waiting(world, "unplaceable")),
        Some(Any::Standard(_) | Any::Waiver(_)) => names.extend(waiting(world, "standard")),
        _ => {}
    }
    names.into_iter().collect()
}

/// What an autoscaler keeps, or may keep, is another: most of what it writes is what it has seen.
fn is_rescaled(old: Option<&Any>, new: Option<&Any>) -> bool {
    match (old, new) {
        (Some(Any::Autoscaler(old)), Some(Any::Autoscaler(new))) => {
            old.keeps() != new.keeps() || old.spec != new.spec
        }
        _ => true,
    }
}

/// The deployments a migration's wave moves instances of.
fn moved(migration: Option<&Any>) -> impl Iterator<Item = String> {
    let moving = match migration {
        Some(Any::Migration(migration)) => Some(&migration.status.moving),
        _ => None,
    };
    moving.into_iter().flat_map(|all| all.values().map(|one| one.deployment.clone()))
}

fn waiting<'a>(world: &'a Snapshot, code: &'a str) -> impl Iterator<Item = String> + 'a {
    world.deployments_with(code).map(|deployment| deployment.meta.name.clone())
}

fn of_application<'a>(world: &'a Snapshot, name: &'a str) -> impl Iterator<Item = String> + 'a {
    world.derived::<Deployment>(name).map(|deployment| deployment.meta.name.clone())
}

impl<'a> Subject<'a> {
    /// Looks at everything, twice if a failure is found: then at the release it goes back to.
    pub fn of(cx: &Context<'a>, object: &'a Arc<Object<Deployment>>) -> Result<Self, Reason> {
        let world = cx.world;
        let spec = &object.spec;
        let application = world.get::<Application>(&spec.application).ok_or_else(|| {
            Reason::new("application-missing", format!("no application {}", spec.application))
                .hint("apply its manifest, or delete the deployment")
        })?;
        let environment = world.get::<Environment>(&spec.environment).ok_or_else(|| {
            Reason::new("environment-missing", format!("no environment {}", spec.environment))
                .hint("apply its manifest, or delete the deployment")
        })?;
        let resolve = |failing| target::resolve(cx, object, application, environment, failing);
        let target = resolve(None)?;
        let fleet = Fleet::of(world, object);
        if fleet.0.is_empty()
            && let Some(reason) = target::unmet_need(world, object, application)
        {
            return Err(reason);
        }
        let rules = application.spec.rules();
        let watch = Watch::of(cx, object);
        let look = |target: &Target| {
            let counts = Counts::of(&fleet, target.name(), rules.healthy_for, cx.now);
            let view = View {
                deployment: object,
                rules: &rules,
                target,
                counts: &counts,
                watch: &watch,
                now: cx.now,
            };
            let progress = progress::judge(&view);
            (counts, progress)
        };
        let (mut counts, mut progress) = look(&target);
        let mut target = target;
        if let Some(mut failed) = progress.failing.take() {
            failed.reason.message.push_str(&fleet.first_trouble(target.name()));
            target = resolve(Some(failed))?;
            (counts, progress) = look(&target);
        }
        let wanted = object.wanted();
        Ok(Subject {
            world,
            now: cx.now,
            object,
            application,
            environment,
            rules,
            wanted,
            target,
            fleet,
            counts,
            progress,
            watch,
        })
    }

    fn plan(&self) -> Plan {
        type Stage = for<'x> fn(&'x Subject<'x>, &mut Draft<'x>);
        let change = if self.goes_back() { Intent::Rollback } else { Intent::Rollout };
        let mut stages: Vec<(Intent, Stage)> =
            vec![(Intent::Remove, remove::clear), (Intent::Heal, heal::heal)];
        if change == Intent::Rollback {
            stages.push((change, rollout::step));
        }
        stages.push((Intent::Scale, scale::scale));
        if change == Intent::Rollout {
            stages.push((change, rollout::step));
        }
        stages.push((Intent::Scale, spread::restore));
        let mut draft = Draft::new(self);
        let mut intent = Intent::Observe;
        for (of, stage) in stages {
            stage(self, &mut draft);
            if !draft.is_empty() {
                intent = if of == Intent::Heal { heal::intent(self, &draft) } else { of };
                break;
            }
        }
        let (status, again_at) = status::status(self, &draft);
        let Draft { writes, mut reasons, obstacles, .. } = draft;
        // Several stages may have met the same.
        for obstacle in obstacles {
            if !reasons.contains(&obstacle) {
                reasons.push(obstacle);
            }
        }
        let mut plan = Plan { writes, reasons, again_at, ..Plan::new(intent) };
        put_status(self.object, status, &mut plan);
        plan.writes.extend(watch::record(self));
        plan
    }

    /// Whether the way to the target is one back to what has been good here.
    pub fn goes_back(&self) -> bool {
        self.object.status.last_good.as_deref() == Some(self.target.name())
    }

    /// So many instances are to be ready whatever is healed, scaled or moved.
    pub fn floor(&self) -> u32 {
        self.wanted.saturating_sub(self.rules.max_unavailable.floor_of(self.wanted))
    }

    /// So many instances are neither replaced nor moved, though their hosts are lost or being
    /// emptied: what they keep in volumes is there and nowhere else.
    pub fn kept_where_they_are(&self) -> u32 {
        if self.application.spec.run.volumes.is_empty() {
            return 0;
        }
        let off = |member: &&Member| matches!(member.place, Standing::Lost | Standing::Leaving);
        let kept = self.fleet.0.iter().filter(off).filter(|m| !m.seat.deleting);
        kept.count() as u32
    }

    /// No step of a rollout is to be taken.
    pub fn is_halted(&self) -> bool {
        self.object.spec.paused || self.target.failed_for_good()
    }

    /// The release instances are created at by healing and scaling, and how many at most.
    ///
    /// **Invariant:** they put no more instances on a release that is being rolled out than its
    /// own steps did, so neither the bounds of a canary nor a freeze are got round.
    pub fn release_for_new(&self) -> (&'a Object<Release>, u32) {
        let target = self.target.release.as_ref();
        let status = &self.object.status;
        let safe = [&status.last_good, &status.release].into_iter().flatten();
        let safe = safe.filter_map(|name| self.world.get::<Release>(name)).next();
        let (Some(rollout), Some(safe)) = (&self.progress.rollout, safe) else {
            return (target, u32::MAX);
        };
        // A vetoed one is put nowhere: to wait for it would hold up the way to a better one, whose
        // own steps make what is missing.
        if admission::vetoed(safe).is_some() && !self.goes_back() {
            return (target, 0);
        }
        if self.goes_back() {
            return (target, u32::MAX);
        }
        let most = if self.target.failed_for_good() { 0 } else { self.progress.bound };
        match rollout.moved.min(most).saturating_sub(self.counts.updated) {
            0 => (safe, u32::MAX),
            lost => (target, lost),
        }
    }
}

/// Where the last good release is vetoed and is to be taken back, the one before it is the last
/// good one from now on; the way there is that of any failed release.
fn withdraw(cx: &Context, object: &Arc<Object<Deployment>>) -> Option<Plan> {
    let name = object.status.last_good.as_ref()?;
    let veto = cx.world.get::<Release>(name)?.spec.veto.as_ref().filter(|veto| veto.rollback)?;
    let before = object.status.good_before.as_ref()?;
    let usable = |release: &&Arc<Object<Release>>| release.spec.veto.is_none();
    cx.world.get::<Release>(before).filter(usable)?;
    let reason = Reason::new(target::VETOED, format!("{name} is vetoed: {}", veto.reason));
    let status = DeploymentStatus {
        last_good: Some(before.clone()),
        good_since: Some(cx.now),
        good_before: None,
        rollout: None,
        failed: Some(Failed {
            release: name.clone(),
            at: cx.now,
            reason: reason.clone(),
            edit: target::edit_of(object),
        }),
        ..object.status.clone()
    };
    let mut plan = Plan::nothing();
    plan.reasons.push(reason);
    put_status(object, status, &mut plan);
    Some(plan)
}

/// Takes up what the autoscaler wants, before anything is done about it: the gate counts what has
/// to serve by what is wanted. When none acts any more its number stays until `spec.instances` is
/// edited, so that nothing falls back to what was right once.
fn rescale(cx: &Context, object: &Arc<Object<Deployment>>) -> Option<Plan> {
    let (spec, stored) = (&object.spec, object.status.scaled);
    let scaled = match crate::elasticity::kept(cx.world, object.name()) {
        Some(wanted) => {
            let instances = crate::budget::bound::bounded(cx, object, wanted);
            Some(Scaled { instances, declared: spec.instances })
        }
        None => stored.filter(|scaled| scaled.declared == spec.instances),
    };
    if scaled == stored {
        return None;
    }
    let mut plan = Plan::new(Intent::Scale);
    let message = match scaled {
        Some(scaled) => {
            format!("its autoscaler wants {}", crate::instances(scaled.instances as usize))
        }
        None => crate::instances_do(spec.instances as usize, "is declared", "are declared"),
    };
    plan.reasons.push(Reason::new("autoscaled", message));
    put_status(object, DeploymentStatus { scaled, ..object.status.clone() }, &mut plan);
    Some(plan)
}

/// Nothing can be planned: only the status is kept.
fn wait(cx: &Context, object: &Arc<Object<Deployment>>, reason: Reason) -> Plan {
    let fleet = Fleet::of(cx.world, object);
    let ready = fleet.ready();
    let status = DeploymentStatus {
        observed_generation: object.meta.generation,
        phase: Phase::Waiting,
        instances: fleet.0.len() as u32,
        ready,
        unavailable: object.wanted().saturating_sub(ready),
        reasons: vec![reason],
        ..object.status.clone()
    };
    let mut plan = Plan::nothing();
    put_status(object, status, &mut plan);
    plan
}

/// Overrides of the gate, each for one change.
const OVERRIDES: [&str; 2] = [
    atoll_model::decision::OVERRIDE_ANNOTATION,
    atoll_model::monitoring::OVERRIDE_BUDGET_ANNOTATION,
];

/// Adds the status to a plan, if it changed. An override is for one change: once that has settled
/// it is taken off.
fn put_status(object: &Arc<Object<Deployment>>, status: DeploymentStatus, plan: &mut Plan) {
    let overridden = OVERRIDES.iter().any(|name| object.meta.annotations.contains_key(*name));
    let spent = target::is_final(status.phase) && overridden;
    if status == object.status && !spent {
        return;
    }
    let mut new = Object::clone(object);
    new.status = status;
    if spent {
        OVERRIDES.iter().for_each(|name| drop(new.meta.annotations.remove(*name)));
    }
    plan.writes.push(Write::Put(Any::Deployment(Arc::new(new))));
}

/// Removes the object of a deployment.
fn forget(object: &Object<Deployment>) -> Write {
    Write::Delete {
        kind: Kind::Deployment,
        name: object.meta.name.clone(),
        revision: object.meta.revision,
    }
}

/// The instances of a deployment that serve, as the gate counts them.
pub(crate) fn ready(world: &Snapshot, deployment: &Object<Deployment>) -> u32 {
    Fleet::of(world, deployment).ready()
}

/// Whether an instance serves, as the gate counts it.
pub(crate) fn serves(world: &Snapshot, instance: &Object<Instance>) -> bool {
    instance.is_ready()
        && world
            .get::<atoll_model::Host>(&instance.spec.host)
            .is_some_and(|host| host.status.phase != atoll_model::cmdb::HostPhase::Unknown)
}

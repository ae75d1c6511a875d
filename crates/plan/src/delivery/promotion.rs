//! One release's entry into one environment: lets it in once everything asked is there, and keeps
//! what became of it. It moves no instance; deployments follow what is let in.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_model::ci::run::Cause;
use atoll_model::deployment::{DeploymentStatus, Phase};
use atoll_model::promotion::{Check, CheckState, PromotionPhase, PromotionStatus};
use atoll_model::{
    Any, Application, Approval, Deployment, Environment, Intent, Kind, Object, Promotion, Reason,
    Release, Snapshot, Span, Timestamp, Write,
};

use super::admission::{package_of, pinned, promotion_name};
use super::checks::{Entry, as_reason};
use crate::{Context, Plan, sooner};

/// The record of a release that is gone is kept so long, for the figures of a month.
const KEPT: Span = Span::seconds(35 * 86_400);

/// Plans for one promotion.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(it) = cx.world.get::<Promotion>(name) else { return Plan::nothing() };
    let (application, release) = (
        cx.world.get::<Application>(&it.spec.application),
        cx.world.get::<Release>(&it.spec.release),
    );
    let environment = cx.world.get::<Environment>(&it.spec.environment);
    let (Some(_), Some(environment)) = (application, environment) else { return forget(cx, it) };
    let Some(release) = release else {
        let old = it.meta.created_at.is_none_or(|at| cx.now.since(at) > KEPT);
        return if old { forget(cx, it) } else { Plan::nothing() };
    };
    let entry = Entry { cx, spec: &it.spec, release, environment };
    let (status, again_at) = status(&entry, it);
    let mut plan = Plan::nothing();
    plan.again_at = again_at;
    if status.admitted_at != it.status.admitted_at && environment.spec.has_rules() {
        // Letting a release in is a change of its environment, and is held as one.
        plan.intent = Intent::Rollout;
        plan.reasons.push(match &it.spec.emergency {
            Some(why) => Reason::new(
                "emergency",
                format!("{name} is let in at once, as an emergency: {why}"),
            ),
            None => Reason::new("admitted", format!("{name}: all asked is there")),
        });
    }
    if status != it.status {
        let mut new = Object::clone(it);
        new.status = status;
        plan.writes.push(Write::Put(Any::Promotion(Arc::new(new))));
    }
    plan
}

/// Deletes a promotion, and what was said of it.
fn forget(cx: &Context, it: &Object<Promotion>) -> Plan {
    let mut plan = Plan::new(Intent::Remove);
    for approval in cx.world.derived::<Approval>(it.name()) {
        let (name, revision) = (approval.meta.name.clone(), approval.meta.revision);
        plan.writes.push(Write::Delete { kind: Kind::Approval, name, revision });
    }
    let (name, revision) = (it.meta.name.clone(), it.meta.revision);
    plan.writes.push(Write::Delete { kind: Kind::Promotion, name, revision });
    plan
}

/// **Invariant:** what has been let in stays let in, and what is asked is asked until then.
fn status(entry: &Entry, it: &Object<Promotion>) -> (PromotionStatus, Option<Timestamp>) {
    let cx = entry.cx;
    let mut status = PromotionStatus {
        observed_generation: it.meta.generation,
        reasons: Vec::new(),
        ..it.status.clone()
    };
    follow(entry, &mut status);
    let mut again_at = None;
    let rules = entry.environment.spec.has_rules();
    if status.admitted_at.is_none() && status.good_at.is_none() && rules {
        status.checks = entry.checks();
        let given = |c: &Check| matches!(c.state, CheckState::Passed | CheckState::Skipped);
        if status.checks.iter().all(given) {
            status.admitted_at = Some(cx.now);
        } else {
            again_at = status.checks.iter().fold(None, |at, c| sooner(at, c.until));
            status.reasons.extend(status.checks.iter().filter_map(as_reason));
        }
    } else if !rules {
        status.checks = Vec::new();
    }
    status.phase = phase(entry, &status);
    if matches!(status.phase, PromotionPhase::Waiting | PromotionPhase::Admitted) {
        let deployment = format!("{}.{}", it.spec.application, it.spec.environment);
        let deployment = cx.world.get::<Deployment>(&deployment);
        status.reasons.extend(deployment.and_then(|d| pinned(d, entry.release.name())));
    }
    (status, again_at)
}

/// Takes over what the deployment says has become of the release.
fn follow(entry: &Entry, status: &mut PromotionStatus) {
    let (cx, spec, name) = (entry.cx, entry.spec, entry.release.name());
    let package = package_of(cx.world, &entry.release.spec);
    let built = package.and_then(|package| package.spec.built.as_ref());
    status.digest = entry.release.spec.package.as_ref().map(|p| p.digest.clone());
    let commit = built.and_then(|built| built.commit.clone());
    status.commit = commit.or(status.commit.take());
    let approved = cx.world.derived::<Approval>(&promotion_name(name, &spec.environment)).count();
    let by_person = built.is_none_or(|built| built.cause == Cause::Manual);
    status.by_hand |= by_person || spec.asked || spec.emergency.is_some() || approved > 0;
    let deployment = format!("{}.{}", spec.application, spec.environment);
    let Some(deployment) = cx.world.get::<Deployment>(&deployment) else { return };
    let (target, is) = (&deployment.spec, &deployment.status);
    let this = |of: &Option<String>| of.as_deref() == Some(name);
    status.by_hand |= this(&target.release) || this(&target.promoted) || this(&target.aborted);
    if let Some(rollout) = is.rollout.as_ref().filter(|r| r.to == name && !r.back) {
        status.began_at = status.began_at.or(Some(rollout.since));
    }
    if this(&is.last_good) {
        let at = is.good_since.unwrap_or(cx.now);
        // One that was taken back, and then let in again, is good anew.
        let again = status.failed_at.filter(|failed| *failed < at).is_some();
        let first = status.good_at.filter(|good| !again || status.failed_at < Some(*good));
        status.good_at = first.or(Some(at));
        status.began_at = status.began_at.or(status.good_at);
    }
    if let Some(failed) = is.failed.as_ref().filter(|failed| failed.release == name) {
        status.failed_at = status.failed_at.or(Some(failed.at));
    }
    if let Some(at) = taken_back(cx, entry, is) {
        // It was good; that it failed before it was is another story.
        let known = status.failed_at.filter(|failed| status.good_at.is_some_and(|g| *failed > g));
        status.failed_at = known.or(Some(at));
    }
    let whole = is.phase == Phase::Settled && is.rollout.is_none();
    if status.failed_at.is_some() && whole {
        status.restored_at = status.restored_at.or(Some(cx.now));
    }
}

/// Since when a release that had proved itself gives way to one before it, whoever wants that.
fn taken_back(cx: &Context, entry: &Entry, is: &DeploymentStatus) -> Option<Timestamp> {
    let (own, rollout) = (entry.release, is.rollout.as_ref()?);
    let good = is.last_good.as_deref() == Some(own.name()) && is.release == is.last_good;
    let to = cx.world.get::<Release>(&rollout.to).filter(|_| good)?;
    let before = to.spec.application == own.spec.application && to.spec.number < own.spec.number;
    before.then_some(rollout.since)
}

fn phase(entry: &Entry, status: &PromotionStatus) -> PromotionPhase {
    let failed = status.failed_at.filter(|at| status.good_at.is_none_or(|good| *at > good));
    let refused = status.checks.iter().any(|check| check.state == CheckState::Refused);
    match () {
        () if failed.is_some() => PromotionPhase::Failed,
        () if status.good_at.is_some() => PromotionPhase::Good,
        () if status.began_at.is_some() && !left(entry) => PromotionPhase::Rolling,
        () if superseded(entry) => PromotionPhase::Superseded,
        () if status.began_at.is_some() => PromotionPhase::Rolling,
        () if status.admitted_at.is_some() => PromotionPhase::Admitted,
        () if refused => PromotionPhase::Refused,
        () => PromotionPhase::Waiting,
    }
}

/// Whether the deployment is not on its way to the release any more.
fn left(entry: &Entry) -> bool {
    let name = format!("{}.{}", entry.spec.application, entry.spec.environment);
    let deployment = entry.cx.world.get::<Deployment>(&name);
    let rollout = deployment.and_then(|deployment| deployment.status.rollout.as_ref());
    rollout.is_none_or(|rollout| rollout.to != entry.release.name())
}

/// Whether a newer release has gone in.
fn superseded(entry: &Entry) -> bool {
    let (world, spec) = (entry.cx.world, entry.spec);
    let number = entry.release.spec.number;
    let mut newer = world.mainline(&spec.application).take_while(|r| r.spec.number > number);
    newer.any(|release| {
        let name = promotion_name(release.name(), &spec.environment);
        world.get::<Promotion>(&name).is_some_and(|promotion| {
            let status = &promotion.status;
            status.admitted_at.is_some() || status.began_at.is_some()
        })
    })
}

/// The promotions a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Promotion(promotion)) => {
            let mut names = vec![promotion.meta.name.clone()];
            // Others may be superseded by it.
            if promotion.status.admitted_at.is_some() || promotion.status.began_at.is_some() {
                names.extend(open(world, &promotion.spec.application));
            }
            names
        }
        Some(Any::Approval(approval)) => approval
            .spec
            .subject
            .strip_prefix("promotion/")
            .map(str::to_owned)
            .into_iter()
            .collect(),
        Some(Any::Release(release)) => names(world.derived::<Promotion>(release.name())),
        Some(Any::Deployment(deployment)) => {
            let says = |any: Option<&Any>| match any {
                Some(Any::Deployment(d)) => {
                    let (spec, is) = (&d.spec, &d.status);
                    let to = is.rollout.as_ref().map(|rollout| (rollout.to.clone(), rollout.back));
                    let failed = is.failed.as_ref().map(|failed| failed.at);
                    let target = (spec.release.clone(), spec.pin.clone(), spec.promoted.clone());
                    Some((to, is.last_good.clone(), is.good_since, failed, target, is.phase))
                }
                _ => None,
            };
            if says(old) == says(new) {
                return Vec::new();
            }
            let mut all: BTreeSet<String> =
                open(world, &deployment.spec.application).into_iter().collect();
            let place = &deployment.spec.environment;
            let (is, spec) = (&deployment.status, &deployment.spec);
            let heads = is.rollout.as_ref().map(|rollout| &rollout.to);
            let failed = is.failed.as_ref().map(|failed| &failed.release);
            let said = [spec.release.as_ref(), is.last_good.as_ref(), heads, failed];
            let said = said.into_iter().flatten().map(|name| promotion_name(name, place));
            all.extend(said.filter(|name| world.get::<Promotion>(name).is_some()));
            all.into_iter().collect()
        }
        Some(Any::Package(package)) => {
            let of = |p: &&Arc<Object<Promotion>>| {
                p.status.digest.as_ref().is_none_or(|digest| *digest == package.spec.digest)
            };
            names(world.all::<Promotion>().filter(of))
        }
        Some(Any::Environment(environment)) => {
            let name = environment.name();
            names(world.all::<Promotion>().filter(|p| p.spec.environment == name))
        }
        Some(Any::Application(application)) if new.is_none() => {
            let name = application.name();
            names(world.all::<Promotion>().filter(|p| p.spec.application == name))
        }
        Some(Any::Application(application)) => waiting_of(world, application.name()),
        Some(Any::Standard(_) | Any::Waiver(_)) => with_reason(world, "standard"),
        Some(Any::Freeze(_)) => with_reason(world, "frozen"),
        _ => Vec::new(),
    }
}

/// The promotions of an application that wait for a standard, which a changed application may keep.
fn waiting_of(world: &Snapshot, application: &str) -> Vec<String> {
    let mut waiting = with_reason(world, "standard");
    waiting.retain(|name| {
        let promotion = world.get::<Promotion>(name);
        promotion.is_some_and(|promotion| promotion.spec.application == application)
    });
    waiting
}

fn with_reason(world: &Snapshot, code: &str) -> Vec<String> {
    let held = |p: &&Arc<Object<Promotion>>| p.status.reasons.iter().any(|r| r.code == code);
    names(world.all::<Promotion>().filter(held))
}

/// The promotions of an application whose end is not known.
fn open(world: &Snapshot, application: &str) -> Vec<String> {
    let all = world.releases_of(application);
    let all = all.flat_map(|release| world.derived::<Promotion>(release.name()));
    names(all.filter(|promotion| {
        let status = &promotion.status;
        let unrestored = status.failed_at.is_some() && status.restored_at.is_none();
        // What was refused may be wanted again: a veto is taken back, a soak begins anew.
        status.phase < PromotionPhase::Good || status.phase == PromotionPhase::Refused || unrestored
    }))
}

fn names<'a>(all: impl Iterator<Item = &'a Arc<Object<Promotion>>>) -> Vec<String> {
    all.map(|promotion| promotion.meta.name.clone()).collect()
}

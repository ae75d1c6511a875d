//! Standards before a release enters an environment: over the release, its application and its
//! deployment there. Whether it then waits is the promotion's business.

use std::sync::Arc;

use atoll_model::policy::{BREAK_GLASS_ANNOTATION, Failing, Mode, Point};
use atoll_model::{Any, Application, Deployment, Object, Reason, Release};

use super::judge::{Judgement, Meter, judge};
use super::{Scene, standards, waived};
use crate::Context;

/// What standards say of a release that would enter an environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Said {
    /// How many were asked.
    pub asked: usize,
    /// What stands in its way.
    pub stops: Vec<Reason>,
    /// What does not.
    pub warns: Vec<String>,
}

/// Asks all standards that look at promotions.
pub(crate) fn ask(cx: &Context, release: &Object<Release>, environment: &str) -> Said {
    let (mut said, mut meter) = (Said::default(), Meter::default());
    let standards = standards(cx.world, Point::Promotion);
    if standards.is_empty() {
        return said;
    }
    let name = &release.spec.application;
    let deployment = cx.world.get::<Deployment>(&format!("{name}.{environment}"));
    let application = cx.world.get::<Application>(name);
    let mut subjects = vec![Any::Release(Arc::new(release.clone()))];
    subjects.extend(application.map(|application| Any::Application(application.clone())));
    subjects.extend(deployment.map(|deployment| Any::Deployment(deployment.clone())));
    for subject in &subjects {
        let scene = Scene::of(cx.world, subject).entering(release.name(), environment);
        for standard in &standards {
            let (mode, open) = (standard.spec.mode, standard.spec.failure == Failing::Open);
            let (message, fix, stops) = match judge(standard, &scene, &mut meter) {
                Judgement::NotMeant => continue,
                Judgement::Kept => {
                    said.asked += 1;
                    continue;
                }
                Judgement::Broken { message, fix, .. } => (message, fix, mode == Mode::Enforce),
                Judgement::Unknown(why) => (why, String::new(), mode == Mode::Enforce && !open),
            };
            said.asked += 1;
            if mode < Mode::Warn || waived(cx, standard.name(), subject).is_some() {
                continue;
            }
            let what = format!("{} breaks standard {}: {message}", subject.id(), standard.name());
            if stops {
                let reason = Reason::new("standard", what);
                said.stops.push(if fix.is_empty() { reason } else { reason.hint(fix) });
            } else {
                said.warns.push(format!("{}: {message}", standard.name()));
            }
        }
    }
    said
}

/// Why a release may not run in a deployment whose environment asks nothing else, if so. Whoever
/// asks for this release there, and breaks the glass, passes.
pub(crate) fn barred(
    cx: &Context,
    deployment: &Object<Deployment>,
    release: &Object<Release>,
) -> Option<Reason> {
    let broken = deployment.meta.annotations.contains_key(BREAK_GLASS_ANNOTATION);
    if broken && deployment.spec.release.as_deref() == Some(release.name()) {
        return None;
    }
    let heads = deployment.status.rollout.as_ref().filter(|rollout| !rollout.back);
    if heads.is_some_and(|rollout| rollout.to == *release.name()) {
        // It was let in when its rollout began.
        return None;
    }
    let mut stops = ask(cx, release, &deployment.spec.environment).stops;
    if stops.is_empty() {
        return None;
    }
    let first = stops.remove(0);
    let spec = &deployment.spec;
    let way = format!(
        "to pass it over once: atoll deploy {} --env {} --release {} --break-glass REASON",
        spec.application,
        spec.environment,
        release.name()
    );
    let hint = first.hint.map_or(way.clone(), |fix| format!("{fix}; {way}"));
    Some(Reason::new("standard", first.message).hint(hint))
}

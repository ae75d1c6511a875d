//! A release's journey: its environments in order, and how it stands in each. Worked out of what
//! is stored, for people; it decides nothing.

use std::collections::BTreeMap;

use atoll_model::figures::{Journey, Stop};
use atoll_model::promotion::{CheckState, PromotionPhase};
use atoll_model::{
    Application, Deployment, Environment, Instance, Object, Promotion, Release, Snapshot,
};

use super::admission::{package_of, promotion_name};
use super::checks::Entry;
use super::goes_to;
use crate::Context;
use crate::deployment::target;

/// The journey of a release; none, if there is no such release.
pub fn journey(cx: &Context, name: &str) -> Option<Journey> {
    let release = cx.world.get::<Release>(name)?;
    let built = package_of(cx.world, &release.spec).and_then(|p| p.spec.built.as_ref());
    let environments = environments(cx.world, release);
    Some(Journey {
        release: name.to_owned(),
        application: release.spec.application.clone(),
        digest: release.spec.package.as_ref().map(|package| package.digest.clone()),
        commit: built.and_then(|built| built.commit.clone()),
        run: built.map(|built| built.run.clone()),
        made_at: release.meta.created_at,
        veto: release.spec.veto.clone(),
        stops: environments.into_iter().map(|e| stop(cx, release, e)).collect(),
    })
}

/// The environments a release may pass through, each after the one it comes after.
fn environments<'a>(
    world: &'a Snapshot,
    release: &Object<Release>,
) -> Vec<&'a Object<Environment>> {
    let Some(application) = world.get::<Application>(&release.spec.application) else {
        return Vec::new();
    };
    let meant = |environment: &Environment| match &environment.ephemeral {
        Some(ephemeral) => release.spec.branch.as_ref() == Some(&ephemeral.branch),
        None => release.spec.branch.is_none(),
    };
    let all = world.all::<Environment>().filter(|e| goes_to(application, e) && meant(&e.spec));
    let mut all: Vec<(usize, &Object<Environment>)> =
        all.map(|e| (depth(world, e), e.as_ref())).collect();
    all.sort_by_key(|(depth, environment)| (*depth, environment.meta.name.clone()));
    all.into_iter().map(|(_, environment)| environment).collect()
}

/// How many environments a release passes through before this one.
pub(crate) fn depth(world: &Snapshot, environment: &Object<Environment>) -> usize {
    let mut after = environment.spec.after.as_ref();
    let mut depth = 0;
    while let Some(before) = after.and_then(|name| world.get::<Environment>(name)) {
        depth += 1;
        after = before.spec.after.as_ref().filter(|_| depth < 100);
    }
    depth
}

fn stop(cx: &Context, release: &Object<Release>, environment: &Object<Environment>) -> Stop {
    let (world, application) = (cx.world, &release.spec.application);
    let name = promotion_name(release.name(), environment.name());
    let stored = world.get::<Promotion>(&name);
    let spec = stored.map_or_else(
        || Promotion {
            application: application.clone(),
            release: release.meta.name.clone(),
            environment: environment.meta.name.clone(),
            asked: false,
            emergency: None,
        },
        |stored| stored.spec.clone(),
    );
    let status = stored.map(|stored| stored.status.clone()).unwrap_or_default();
    let inside = format!("{application}.{}", environment.name());
    let runs = |instance: &&std::sync::Arc<Object<Instance>>| {
        instance.spec.release == *release.name() && !instance.meta.deleting()
    };
    let open = status.admitted_at.is_none() && status.good_at.is_none();
    let entry = Entry { cx, spec: &spec, release, environment };
    let checks = if open { entry.checks() } else { status.checks.clone() };
    let refused = checks.iter().any(|check| check.state == CheckState::Refused);
    let since = match status.phase {
        PromotionPhase::Waiting => release.meta.created_at,
        PromotionPhase::Admitted => status.admitted_at,
        PromotionPhase::Rolling => status.began_at,
        PromotionPhase::Good => status.good_at,
        PromotionPhase::Failed => status.failed_at,
        PromotionPhase::Refused | PromotionPhase::Superseded => None,
    };
    Stop {
        environment: environment.meta.name.clone(),
        after: target::before(world, application, environment).map(str::to_owned),
        phase: match status.phase {
            PromotionPhase::Waiting if refused => PromotionPhase::Refused,
            phase => phase,
        },
        since,
        instances: world.derived::<Instance>(&inside).filter(runs).count() as u32,
        checks,
        emergency: spec.emergency.clone(),
        pinned: world.get::<Deployment>(&inside).and_then(|d| d.spec.pin.clone()),
    }
}

/// The last environments of an application: those after which no other comes.
pub(crate) fn last_environments<'a>(
    world: &'a Snapshot,
    application: &Object<Application>,
) -> Vec<&'a str> {
    let all: BTreeMap<&str, &Object<Environment>> = world
        .all::<Environment>()
        .filter(|e| goes_to(application, e) && e.spec.ephemeral.is_none())
        .map(|e| (e.name(), e.as_ref()))
        .collect();
    let before = all.values().copied();
    let before = before.filter_map(|e| target::before(world, application.name(), e));
    let followed: Vec<&str> = before.collect();
    all.into_keys().filter(|name| !followed.contains(name)).collect()
}

//! Why environments, packages, releases and promotions are as they are: for a release, its
//! journey.

use std::sync::Arc;

use atoll_model::figures::Stop;
use atoll_model::promotion::{CheckState, PromotionPhase};
use atoll_model::{
    Any, Approval, Deployment, Environment, Host, Instance, Object, Package, Promotion, Release,
    many, provenance,
};

use super::{NAMED, Told, ago, word};
use crate::Context;
use crate::delivery::admission::package_of;
use crate::delivery::ephemeral;
use crate::delivery::journey::journey;

pub(super) fn environment(cx: &Context, it: &Object<Environment>, told: &mut Told) {
    let hosts = cx.world.all::<Host>();
    let hosts = hosts.filter(|host| it.spec.hosts.matches(&host.meta.labels)).count();
    let inside = |d: &&Arc<Object<Deployment>>| d.spec.environment == *it.name();
    let deployments: Vec<_> = cx.world.all::<Deployment>().filter(inside).collect();
    let after = it.spec.after.as_ref().map(|after| match it.spec.has_rules() {
        true => format!(", after {after}, and asks of what enters: {}", asked(&it.spec)),
        false => format!(", taking what has proved itself in {after}"),
    });
    let after = after.unwrap_or_else(|| match it.spec.has_rules() {
        true => format!(", and asks of what enters: {}", asked(&it.spec)),
        false => String::new(),
    });
    let (name, held) = (it.name(), many(deployments.len(), "deployment"));
    told.state = match (&it.spec.template, &it.spec.ephemeral) {
        (Some(template), _) => {
            format!("{name} is a pattern: a branch with a release has one for {}.", template.ttl)
        }
        (_, Some(of)) => format!(
            "{name} is made of {} for branch {} of {}, and goes at {}; it holds {held}.",
            of.of, of.branch, of.application, of.until
        ),
        _ => format!("{name} holds {held} on {}{after}.", many(hosts, "host")),
    };
    for deployment in deployments.iter().take(NAMED) {
        told.see(Any::Deployment(Arc::clone(deployment)).id());
    }
    if it.meta.deleting() {
        told.waiting_for.push(format!("{} to go", many(deployments.len(), "deployment")));
    }
}

/// What an environment asks, in words.
fn asked(environment: &Environment) -> String {
    let rules = &environment.require;
    let mut all = Vec::new();
    if rules.signed {
        all.push("a signature".to_owned());
    }
    if !rules.tests.is_empty() {
        let suites: Vec<String> = rules.tests.iter().map(word).collect();
        all.push(format!("{} tests", suites.join(", ")));
    }
    if rules.soak.0 > 0 {
        all.push(format!("{} before", rules.soak));
    }
    if rules.objectives {
        all.push("objectives kept".to_owned());
    }
    if let Some(rule) = &environment.approval {
        all.push(many(rule.count as usize, "approval"));
    }
    if !rules.windows.is_empty() {
        all.push("the right time".to_owned());
    }
    if !environment.promotion.is_usual() {
        all.push("somebody's word".to_owned());
    }
    all.join(", ")
}

pub(super) fn release(cx: &Context, it: &Object<Release>, told: &mut Told) {
    let (world, name) = (cx.world, it.name());
    let mut runs = Vec::new();
    for deployment in world.derived::<Deployment>(&it.spec.application) {
        let of = world.derived::<Instance>(deployment.name());
        let instances = of.filter(|instance| instance.spec.release == *name).count();
        let failed = deployment.status.failed.as_ref().filter(|failed| failed.release == name);
        if instances > 0 {
            runs.push(format!("{} in {}", many(instances, "instance"), deployment.name()));
        }
        if let Some(failed) = failed {
            told.reasons.push(failed.reason.clone());
        }
        if instances > 0 || failed.is_some() {
            told.see(Any::Deployment(deployment.clone()).id());
        }
    }
    let package = it.spec.package.as_ref();
    let of = package.map_or("no package".to_owned(), |p| format!("{}:{}", p.name, p.version));
    let runs = if runs.is_empty() { "no instance".to_owned() } else { runs.join(", ") };
    let (number, application) = (it.spec.number, &it.spec.application);
    let branch = it.spec.branch.as_ref().map(|b| format!(", branch {b}")).unwrap_or_default();
    told.state =
        format!("{name} is release {number} of {application}{branch}, of {of}; {runs} to run it.");
    let built = package_of(world, &it.spec).and_then(|package| package.spec.built.as_ref());
    if let Some(built) = built {
        let commit = built.commit.as_ref().map_or("no commit", |commit| commit.id.as_str());
        told.state.push_str(&format!(" Made by run/{} of {commit}.", built.run));
    }
    if let Some(reason) = crate::delivery::admission::vetoed(it) {
        told.reasons.push(reason);
    }
    let journey = journey(cx, name);
    let nowhere = journey.as_ref().is_none_or(|journey| journey.stops.is_empty());
    if let Some(branch) = it.spec.branch.as_ref().filter(|_| nowhere) {
        told.reasons.extend(ephemeral::why_none(cx, application, branch));
    }
    for stop in journey.iter().flat_map(|journey| &journey.stops) {
        travel(cx, it, stop, told);
    }
}

/// One stop of the journey: what is past is told as the state, what is asked as what is waited for.
fn travel(cx: &Context, it: &Object<Release>, stop: &Stop, told: &mut Told) {
    let place = &stop.environment;
    let since = ago(cx, stop.since);
    if let Some(why) = &stop.emergency {
        told.state.push_str(&format!(" It enters {place} as an emergency: {why}."));
    }
    let waits = matches!(stop.phase, PromotionPhase::Waiting | PromotionPhase::Admitted);
    let inside = format!("{}.{place}", it.spec.application);
    let stays = cx.world.get::<Deployment>(&inside).and_then(|d| d.spec.release.as_ref());
    if let Some(why) = stop.pinned.as_ref().filter(|_| waits && stays != Some(&it.meta.name)) {
        told.waiting_for.push(format!("{place}, which is pinned: {why}"));
        told.see(format!("deployment/{inside}"));
    }
    match stop.phase {
        PromotionPhase::Good => {
            told.state.push_str(&format!(" It has proved itself in {place}{since}."));
        }
        PromotionPhase::Rolling => {
            told.waiting_for.push(format!("its rollout in {place}{since}"));
            // What is in the way of that is its deployment's to say.
            let deployment = cx.world.get::<Deployment>(&inside);
            told.reasons.extend(deployment.and_then(|d| d.status.reasons.first()).cloned());
            told.see(format!("deployment/{inside}"));
        }
        PromotionPhase::Admitted => {
            told.waiting_for.push(format!("{place} to take it up; it is let in{since}"));
        }
        PromotionPhase::Failed => told.state.push_str(&format!(" It failed in {place}{since}.")),
        PromotionPhase::Superseded => {
            told.state.push_str(&format!(" A newer one went into {place} before it."));
        }
        PromotionPhase::Waiting | PromotionPhase::Refused => {
            let open = stop.checks.iter();
            for check in open.filter(|check| check.state != CheckState::Passed) {
                let until = check.until.map(|at| format!(", until {at}")).unwrap_or_default();
                let message = &check.message;
                match check.state {
                    CheckState::Refused => {
                        told.reasons.push(atoll_model::Reason::new(
                            "refused",
                            format!("{place} will not have it: {message}"),
                        ));
                    }
                    _ => {
                        told.waiting_for.push(format!("{place}: {message}{until}; it waits{since}"))
                    }
                }
            }
            let promotion = format!("{}.{place}", it.name());
            if cx.world.get::<Promotion>(&promotion).is_some() {
                told.see(format!("promotion/{promotion}"));
            }
        }
    }
}

pub(super) fn package(cx: &Context, it: &Object<Package>, told: &mut Told) {
    let uses = |release: &&Arc<Object<Release>>| {
        release.spec.package.as_ref().is_some_and(|of| of.digest == it.spec.digest)
    };
    let releases: Vec<_> = cx.world.all::<Release>().filter(uses).collect();
    let (name, version) = (&it.spec.name, &it.spec.version);
    let (size, used) = (it.spec.size, many(releases.len(), "release"));
    told.state = match it.spec.image_reference() {
        Some(image) => format!("{name}:{version} is the image {image} and is used by {used}."),
        None => format!("{name}:{version} holds {size} bytes and is used by {used}."),
    };
    match provenance::verify(&it.spec, it.status.provenance.as_ref(), &cx.measured.signers) {
        Ok(()) => told.state.push_str(" It is signed, and is what was signed."),
        Err(reason) => told.reasons.push(reason),
    }
    for release in releases.iter().rev().take(NAMED) {
        told.see(Any::Release(Arc::clone(release)).id());
    }
}

pub(super) fn promotion(cx: &Context, it: &Object<Promotion>, told: &mut Told) {
    let (spec, status) = (&it.spec, &it.status);
    let (release, place) = (&spec.release, &spec.environment);
    let what = match status.phase {
        PromotionPhase::Waiting => {
            format!("waits to enter {place}{}", ago(cx, it.meta.created_at))
        }
        PromotionPhase::Admitted => format!("may enter {place}{}", ago(cx, status.admitted_at)),
        PromotionPhase::Rolling => {
            format!("is being rolled out in {place}{}", ago(cx, status.began_at))
        }
        PromotionPhase::Good => {
            format!("has proved itself in {place}{}", ago(cx, status.good_at))
        }
        PromotionPhase::Failed => format!("failed in {place}{}", ago(cx, status.failed_at)),
        PromotionPhase::Refused => format!("will not enter {place}"),
        PromotionPhase::Superseded => format!("is left behind: a newer one went into {place}"),
    };
    let emergency = spec.emergency.as_ref();
    let emergency = emergency.map(|why| format!(" It is an emergency: {why}.")).unwrap_or_default();
    told.state = format!("{release} {what}.{emergency}");
    for check in &status.checks {
        match check.state {
            CheckState::Waiting => {
                let until = check.until.map(|at| format!(", until {at}")).unwrap_or_default();
                told.waiting_for.push(format!("{}: {}{until}", check.name, check.message));
            }
            CheckState::Skipped => {
                told.state.push_str(&format!(" Passed over: {}.", check.message));
            }
            CheckState::Passed | CheckState::Refused => {}
        }
    }
    told.see(format!("release/{release}"));
    told.see(format!("deployment/{}.{place}", spec.application));
}

pub(super) fn approval(it: &Object<Approval>, told: &mut Told) {
    let spec = &it.spec;
    let said = if spec.comment.is_empty() { String::new() } else { format!(": {}", spec.comment) };
    told.state = format!("{} approved {} with role {}{said}.", spec.by, spec.subject, spec.role);
    told.see(spec.subject.clone());
}

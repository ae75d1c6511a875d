//! Which release a deployment is to run: the one asked for, or the last good one where that has
//! failed or was given up. Not how it gets there.

use std::sync::Arc;

use atoll_model::delivery::{PackageRef, Runtime};
use atoll_model::deployment::{Failed, Phase, RETRY_ANNOTATION};
use atoll_model::rollout::OnFailure;
use atoll_model::{Application, Deployment, Environment, Kind, Object, Reason, Release, Snapshot};

use crate::delivery::admission;
use crate::{Context, checksum, delivery};

/// The code of the failure of a release that was taken back because of a veto.
pub(crate) const VETOED: &str = "vetoed";

/// What is to run.
#[derive(Clone, Debug)]
pub(crate) struct Target<'a> {
    pub release: &'a Arc<Object<Release>>,
    /// The failure of the release asked for, as it is to be stored.
    pub failed: Option<Failed>,
    /// The release asked for was given up; this is the last good one.
    pub given_up: bool,
    /// Why what is asked for cannot be had, where that is so and the last good one runs on.
    pub missing: Option<Reason>,
}

impl<'a> Target<'a> {
    pub fn name(&self) -> &'a str {
        &self.release.meta.name
    }

    /// The release failed, and there is nothing to go back to.
    pub fn failed_for_good(&self) -> bool {
        self.failed.is_some() && !self.given_up
    }
}

/// A checksum of the part of a target that a failure holds for.
pub(crate) fn edit_of(deployment: &Object<Deployment>) -> u32 {
    let spec = &deployment.spec;
    let retry = deployment.meta.annotations.get(RETRY_ANNOTATION);
    let parts = [spec.release.as_ref(), spec.promoted.as_ref(), spec.aborted.as_ref(), retry];
    checksum(parts.map(|part| part.map_or(&b""[..], |text| text.as_bytes()))) as u32
}

/// Finds the target. `failing` is a failure found just now.
pub(crate) fn resolve<'a>(
    cx: &Context<'a>,
    deployment: &'a Object<Deployment>,
    application: &Object<Application>,
    environment: &Object<Environment>,
    failing: Option<Failed>,
) -> Result<Target<'a>, Reason> {
    let (world, now) = (cx.world, cx.now);
    let status = &deployment.status;
    // What failed because of a veto has not once that is taken back.
    let known = status.failed.clone().filter(|failed| {
        let release = world.get::<Release>(&failed.release);
        failed.reason.code != VETOED || release.is_none_or(|release| release.spec.veto.is_some())
    });
    let good = status.last_good.as_ref().and_then(|name| world.get::<Release>(name));
    // What was taken back because of a veto is told of until something else is asked for.
    let withdrawn = known.clone().filter(|failed| failed.reason.code == VETOED);
    let fits =
        |release: &'a Arc<Object<Release>>| runs_here(release, environment).map(|()| release);
    let release = match asked(cx, deployment, environment).and_then(fits) {
        Ok(release) => release,
        Err(reason) => {
            let release = good.ok_or_else(|| reason.clone())?;
            let given_up = withdrawn.is_some();
            let missing = Some(reason).filter(|_| !given_up);
            return Ok(Target { release, failed: withdrawn, given_up, missing });
        }
    };
    let name = release.name();
    let is_good = good.is_some_and(|good| good.name() == name);
    if is_good && withdrawn.is_some() {
        return Ok(Target { release, failed: withdrawn, given_up: true, missing: None });
    }
    let aborted = deployment.spec.aborted.as_deref() == Some(name) && !is_good;
    let edit = edit_of(deployment);
    let stored = known.filter(|f| f.release == name && f.edit == edit);
    let by_hand = aborted.then(|| Failed {
        release: name.to_owned(),
        at: now,
        reason: Reason::new("aborted", "its rollout was aborted by hand"),
        edit,
    });
    let failed = failing.or(stored).or(by_hand).filter(|_| !is_good);
    let goes_back = aborted || application.spec.rollout.on_failure == OnFailure::Rollback;
    match good.filter(|_| failed.is_some() && goes_back) {
        Some(good) => Ok(Target { release: good, failed, given_up: true, missing: None }),
        None => Ok(Target { release, failed, given_up: false, missing: None }),
    }
}

/// The release asked for, if it may run here.
fn asked<'a>(
    cx: &Context<'a>,
    deployment: &'a Object<Deployment>,
    environment: &Object<Environment>,
) -> Result<&'a Arc<Object<Release>>, Reason> {
    let (world, application) = (cx.world, &deployment.spec.application);
    let free = |release: &'a Arc<Object<Release>>| match admission::barred(
        cx,
        deployment,
        &environment.spec,
        release,
    ) {
        Some(reason) => Err(reason),
        None => Ok(release),
    };
    if let Some(name) = &deployment.spec.release {
        let release = world.get::<Release>(name).filter(|r| r.spec.application == *application);
        let missing = || {
            Reason::new("release-missing", format!("{application} has no release {name}")).hint(
                format!("see what there is: atoll get releases; newest: {}", {
                    world.newest_release(application).map_or("none", |r| r.name())
                }),
            )
        };
        return free(release.ok_or_else(missing)?);
    }
    let after = before(world, application, environment);
    if let Some(after) = after.filter(|_| !environment.spec.has_rules()) {
        return free(proven_in(world, &format!("{application}.{after}"))?);
    }
    let newest = match &environment.spec.ephemeral {
        Some(ephemeral) => delivery::newest_of_branch(world, application, &ephemeral.branch),
        None => world.newest_release(application),
    };
    let newest = newest.ok_or_else(|| {
        Reason::new("release-missing", format!("{application} has no release yet"))
            .hint(format!("see why: atoll why application/{application}"))
    })?;
    if environment.spec.ephemeral.is_some() {
        return free(newest);
    }
    if let Some(standard) = free(newest).err().filter(|reason| reason.code == "standard") {
        // No older one is taken instead: it stays at what it runs, and says why.
        return Err(standard);
    }
    let mut all = world.mainline(application);
    all.find_map(|release| free(release).ok()).ok_or_else(|| {
        let environment = environment.name();
        Reason::new("not-admitted", format!("no release may enter {environment} yet"))
            .hint(format!("see what is asked: atoll why release/{}", newest.name()))
    })
}

/// The release that has proved itself in a deployment.
fn proven_in<'a>(world: &'a Snapshot, before: &str) -> Result<&'a Arc<Object<Release>>, Reason> {
    let proven = world.get::<Deployment>(before).and_then(|d| d.status.last_good.as_ref());
    proven.and_then(|name| world.get::<Release>(name)).ok_or_else(|| {
        Reason::new("not-proven", format!("no release has proved itself in {before} yet"))
            .hint(format!("see how far it is: atoll why deployment/{before}"))
    })
}

/// Whether what a release is made of can run in an environment.
fn runs_here(release: &Object<Release>, environment: &Object<Environment>) -> Result<(), Reason> {
    let (name, place, spec) = (release.name(), environment.name(), &release.spec);
    let files = spec.package.as_ref().is_some_and(PackageRef::is_files);
    let mismatch = |message: String, hint: &str| {
        Err(Reason::new("runtime-mismatch", message).hint(hint.to_owned()))
    };
    match environment.spec.runtime {
        Runtime::Docker if spec.image.is_none() => mismatch(
            format!("{place} runs containers, and {name} has no image"),
            "give the application an image, or take the environment out of spec.environments",
        ),
        Runtime::Process if spec.run.command.is_empty() => mismatch(
            format!("{place} runs processes, and {name} has no command, only an image"),
            "set runtime: docker on the environment, or give the application a command",
        ),
        Runtime::Process if spec.image.is_some() && !files => mismatch(
            format!("{place} runs processes, and {name} is an image without a package"),
            "set runtime: docker on the environment, or give the application a package",
        ),
        _ => Ok(()),
    }
}

/// The environment a release of the application must prove itself in first: the next one before
/// this that the application goes to.
pub(crate) fn before<'a>(
    world: &'a Snapshot,
    application: &str,
    environment: &'a Object<Environment>,
) -> Option<&'a str> {
    let application = world.get::<Application>(application)?;
    let mut at = environment;
    // Bounded, though the gate lets no circle pass.
    for _ in 0..world.count(Kind::Environment) {
        let name = at.spec.after.as_ref()?;
        at = world.get::<Environment>(name)?;
        if delivery::goes_to(application, at) {
            return Some(name);
        }
    }
    None
}

/// What stands in the way of a deployment from the outside.
pub(crate) fn unmet_need(
    world: &Snapshot,
    deployment: &Object<Deployment>,
    application: &Object<Application>,
) -> Option<Reason> {
    application.spec.needed().find_map(|needed| {
        let name = format!("{needed}.{}", deployment.spec.environment);
        let ready = world.get::<Deployment>(&name).map_or(0, |needed| needed.status.ready);
        (ready == 0).then(|| {
            Reason::new("needs", format!("needs {name}, of which nothing is ready yet"))
                .hint(format!("see why: atoll why deployment/{name}"))
        })
    })
}

/// Whether a phase is one that stays until somebody acts.
pub(crate) fn is_final(phase: Phase) -> bool {
    matches!(phase, Phase::Settled | Phase::Paused | Phase::Failed)
}

//! Whether a release may run in an environment, as the planner of deployments and the gate see it.
//! What is asked of it there, and whether that is given, is worked out in `checks.rs`.

use atoll_model::{
    Deployment, Environment, Kind, Object, Package, Promotion, Reason, Release, Snapshot,
    provenance,
};

use crate::{Context, policy};

/// The name of the promotion of a release into an environment.
pub(crate) fn promotion_name(release: &str, environment: &str) -> String {
    format!("{release}.{environment}")
}

/// The package a release is made of, if it is still what the release says.
pub(crate) fn package_of<'a>(
    world: &'a Snapshot,
    release: &Release,
) -> Option<&'a Object<Package>> {
    let of = release.package.as_ref()?;
    let package = world.get::<Package>(&Package::object_name(&of.name, &of.version))?;
    (package.spec.digest == of.digest).then_some(package.as_ref())
}

/// Whether a release is signed, and is what was signed.
///
/// # Errors
/// Why it is not to be trusted.
pub(crate) fn signed(cx: &Context, release: &Object<Release>) -> Result<(), Reason> {
    let package = package_of(cx.world, &release.spec).ok_or_else(|| {
        let message = format!("{} has no package that could be signed", release.name());
        Reason::new("unsigned", message)
    })?;
    let envelope = package.status.provenance.as_ref();
    provenance::verify(&package.spec, envelope, &cx.measured.signers)
}

/// Whether the run that made a release passed the suites an environment asks for.
///
/// # Errors
/// Which it did not.
pub(crate) fn tested(
    cx: &Context,
    environment: &Environment,
    release: &Object<Release>,
) -> Result<(), Reason> {
    let built = package_of(cx.world, &release.spec).and_then(|p| p.spec.built.as_ref());
    for suite in &environment.require.tests {
        let word = serde_json::to_value(suite).ok();
        let word = word.as_ref().and_then(|w| w.as_str()).unwrap_or_default().to_owned();
        let totals = built.and_then(|built| built.tests.get(suite));
        let why = match totals {
            Some(totals) if totals.failed > 0 => {
                format!("{} of its {word} tests failed", { totals.failed })
            }
            Some(totals) if totals.passed > 0 => continue,
            _ => format!("it has no {word} tests"),
        };
        let reason = Reason::new("untested", format!("{}: {why}", release.name()));
        return Err(reason.hint("its pipeline has to run them, and report them as JUnit"));
    }
    Ok(())
}

/// What no emergency passes over.
///
/// # Errors
/// What is lacking: a veto, a signature, tests.
pub(crate) fn hard(
    cx: &Context,
    environment: &Environment,
    release: &Object<Release>,
) -> Result<(), Reason> {
    if let Some(reason) = vetoed(release) {
        return Err(reason);
    }
    if environment.require.signed {
        signed(cx, release)?;
    }
    tested(cx, environment, release)
}

/// The veto of a release, as a reason.
pub(crate) fn vetoed(release: &Object<Release>) -> Option<Reason> {
    let veto = release.spec.veto.as_ref()?;
    let name = release.name();
    Some(
        Reason::new("vetoed", format!("{name} is vetoed: {}", veto.reason))
            .hint(format!("take the veto back with: atoll veto release/{name} --withdraw")),
    )
}

/// The pin of a deployment that keeps a release out of it, as a reason.
pub(crate) fn pinned(deployment: &Object<Deployment>, release: &str) -> Option<Reason> {
    let (spec, name) = (&deployment.spec, deployment.name());
    let why = spec.pin.as_ref().filter(|_| spec.release.as_deref() != Some(release))?;
    let stays = spec.release.as_deref().unwrap_or("what it runs");
    let message = format!("deployment/{name} is pinned to {stays}: {why}");
    Some(Reason::new("pinned", message).hint(format!("first: atoll unpin deployment/{name}")))
}

/// Why a release may not run in a deployment, if so.
///
/// **Invariant:** what has been good in a deployment may always run there again: neither healing
/// nor the way back waits for rules. Only a veto stands above that, and one that asks for it alone
/// takes away what runs.
pub(crate) fn barred(
    cx: &Context,
    deployment: &Object<Deployment>,
    environment: &Environment,
    release: &Object<Release>,
) -> Option<Reason> {
    let (name, status) = (release.name(), &deployment.status);
    let is = |of: &Option<String>| of.as_deref() == Some(name);
    if let Some(veto) = &release.spec.veto {
        let stays = is(&status.last_good) && (!veto.rollback || status.good_before.is_none());
        return vetoed(release).filter(|_| !stays);
    }
    if is(&status.last_good) || is(&status.good_before) {
        return None;
    }
    if !environment.has_rules() {
        return policy::entry::barred(cx, deployment, release);
    }
    let place = &deployment.spec.environment;
    let promotion = cx.world.get::<Promotion>(&promotion_name(name, place));
    let said = promotion.map(|promotion| &promotion.status);
    if said.is_some_and(|said| said.good_at.is_some()) {
        return None;
    }
    if said.is_none_or(|said| said.admitted_at.is_none()) {
        let message = format!("{name} may not enter {place} yet");
        let subject = format!("{}/{name}.{place}", Kind::Promotion.lower());
        let hint = format!("see what is asked: atoll why {subject}");
        return Some(Reason::new("not-admitted", message).hint(hint));
    }
    hard(cx, environment, release).err()
}

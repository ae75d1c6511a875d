//! What a peak names that is not there: its environment, applications of it, their deployments.

use atoll_model::name::nearest;
use atoll_model::{Application, Deployment, Environment, Peak, Reason, Snapshot};

/// What to do about it.
const ABSENT: &str = "apply it, or take its name out of the peak";

/// What a peak names that is not there, each once: its environment, or applications of it.
pub(crate) fn nowhere(world: &Snapshot, peak: &Peak) -> Vec<Reason> {
    let named = peak.applications.keys().filter_map(|name| gone(world, peak, name));
    let mut all: Vec<Reason> = named.collect();
    all.dedup();
    all
}

/// That there is no environment of a peak, or no application of that name.
fn gone(world: &Snapshot, peak: &Peak, application: &str) -> Option<Reason> {
    let place = &peak.environment;
    let (code, message, near) = if world.get::<Environment>(place).is_none() {
        let known = world.all::<Environment>().map(|environment| environment.name());
        let message = format!("there is no environment/{place}");
        ("no-environment", message, nearest(place, known))
    } else if world.get::<Application>(application).is_none() {
        let known = world.all::<Application>().map(|application| application.name());
        let message = format!("there is no application/{application}");
        ("no-application", message, nearest(application, known))
    } else {
        return None;
    };
    let hint = match near {
        Some(near) => format!("did you mean {near:?}? Else {ABSENT}"),
        None => ABSENT.to_owned(),
    };
    Some(Reason::new(code, message).hint(hint))
}

/// Why there is nothing of that name to plan for.
pub(super) fn absent(
    world: &Snapshot,
    peak: &Peak,
    application: &str,
    name: &str,
) -> Option<Reason> {
    gone(world, peak, application).or_else(|| {
        let message = format!("application/{application} is not deployed to {}", peak.environment);
        let undeployed = world.get::<Deployment>(name).is_none();
        undeployed.then(|| Reason::new("no-deployment", message).hint(ABSENT))
    })
}

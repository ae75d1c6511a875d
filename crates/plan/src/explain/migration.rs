//! How far a migration is, in words.

use std::collections::BTreeSet;

use atoll_model::migration::MigrationPhase;
use atoll_model::{Instance, Migration, Object, many};

use super::{Told, ago};
use crate::{Context, migration};

pub(super) fn tell(cx: &Context, it: &Object<Migration>, told: &mut Told) {
    let (name, status) = (it.name(), &it.status);
    let what = match it.spec.balance {
        true => format!("{} fuller than the others", many(status.hosts.len(), "host")),
        false => format!("{} ({})", many(status.hosts.len(), "host"), it.spec.off),
    };
    let deployments: BTreeSet<&str> =
        status.moving.values().map(|one| one.deployment.as_str()).collect();
    let waited =
        |i: &Object<Instance>| status.moves(i) && !migration::is_silent(cx.world, &i.spec.host);
    let there = |name: &str| cx.world.get::<Instance>(name).is_some_and(|i| waited(i));
    let here: Vec<_> = status.moving.iter().filter(|(name, _)| there(name)).collect();
    let gone = |count: usize| match count {
        0 => String::new(),
        count => format!(", {count} of them gone,"),
    };
    let how_far = status.how_far();
    told.state = match status.phase {
        MigrationPhase::Waiting => format!("{name} has not begun."),
        MigrationPhase::Moving if status.moving.is_empty() => {
            format!("{name} moves what runs on {what}: {how_far}.")
        }
        MigrationPhase::Moving | MigrationPhase::Stuck => format!(
            "{name} moves what runs on {what}: {how_far}; wave {} moves {}{}{}.",
            status.wave,
            crate::instances(status.moving.len()),
            gone(status.moving.len() - here.len()),
            ago(cx, status.wave_at)
        ),
        MigrationPhase::Paused => format!("{name} was stopped: {how_far}."),
        MigrationPhase::GoingBack => {
            let moving = crate::instances(status.moving.len());
            format!("{name} takes waves back: {} of {}; {moving} on the way.", status.back, {
                it.spec.back
            })
        }
        MigrationPhase::Done if status.hosts.is_empty() => {
            format!("{name} is done: there was nothing to move.")
        }
        MigrationPhase::Done => {
            let closed = match it.spec.retire {
                true => format!("; its hosts stay closed until: atoll delete migration/{name}"),
                false => String::new(),
            };
            let others = match status.others() {
                0 => String::new(),
                others => format!(", {others} gone otherwise"),
            };
            format!("{name} is done: {} moved off {what}{others}{closed}.", status.moved)
        }
        MigrationPhase::Cancelled if it.spec.back > 0 && !it.spec.cancelled => {
            format!("{name} was taken back: {how_far}.")
        }
        MigrationPhase::Cancelled => format!("{name} was ended: {how_far}."),
    };
    let mut awaited: Vec<String> =
        here.iter().map(|(name, one)| format!("instance/{name} to leave {}", one.from)).collect();
    if awaited.is_empty() {
        // They have gone; the wave ends once there are as many as wanted again.
        awaited.extend(deployments.iter().map(|name| format!("all of deployment/{name} to serve")));
    }
    told.wait_each(awaited);
    deployments.iter().take(5).for_each(|name| told.see(format!("deployment/{name}")));
}

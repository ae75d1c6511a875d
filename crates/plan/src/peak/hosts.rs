//! The hosts a peak needs: whether those there are have room, and whether pools may make enough.
//! They are made by their pool's planner, which asks `room` of every peak.

use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::peak::{PeakApplication, PeakHosts};
use atoll_model::{Environment, Host, Instance, Object, Pool, Snapshot};

use super::ready::acts;
use crate::Context;
use crate::capacity::ask::unplaced;
use crate::pool::serves;

/// No more hosts than this are supposed to be made when it is asked whether they would do.
const MOST: u32 = 2_000;

/// The open hosts of an environment.
pub(super) fn open<'a>(
    world: &'a Snapshot,
    environment: &'a str,
) -> impl Iterator<Item = &'a Arc<Object<Host>>> {
    let place = world.get::<Environment>(environment);
    world.all::<Host>().filter(move |host| {
        host.is_open() && place.is_some_and(|p| p.spec.hosts.matches(&host.meta.labels))
    })
}

/// Looks at them.
pub(super) fn look(cx: &Context, environment: &str, rows: &[PeakApplication]) -> PeakHosts {
    let world = cx.world;
    let lacking: Vec<(String, u32)> = rows
        .iter()
        .map(|row| {
            let there = world.derived::<Instance>(&row.deployment);
            let there = there.filter(|instance| !instance.meta.deleting()).count();
            let there = u32::try_from(there).unwrap_or(u32::MAX);
            (row.deployment.clone(), row.needed.unwrap_or(0).saturating_sub(there))
        })
        .collect();
    let all: u32 = lacking.iter().map(|(_, count)| *count).sum();
    let (mut pools, mut more) = (0, Vec::new());
    let mine = world.all::<Pool>().filter(|pool| acts(pool) && serves(world, pool, environment));
    for pool in mine {
        let stays = pool.status.machines.values().filter(|machine| machine.phase.stays()).count();
        let stays = u32::try_from(stays).unwrap_or(u32::MAX);
        let may = pool.spec.max.saturating_sub(stays);
        pools += may;
        let known = pool.status.advice.as_ref().and_then(|advice| advice.host);
        let labels = pool.spec.labels_of_hosts(pool.name());
        for number in 0..known.map_or(0, |_| may.min(all).min(MOST)) {
            let mut host = Object::new(format!("{}-{number}", pool.name()), Host::default());
            host.meta.labels.clone_from(&labels);
            host.status.phase = HostPhase::Ready;
            host.status.capacity = known.unwrap_or_default();
            more.push(host);
        }
    }
    let lacks = unplaced(world, &lacking, &[]);
    let beyond = if lacks == 0 { 0 } else { unplaced(world, &lacking, &more) };
    let have = open(world, environment).count();
    let wanted: Vec<&String> = rows.iter().filter_map(|row| row.release.as_ref()).collect();
    let fetched = open(world, environment)
        .filter(|host| wanted.iter().all(|release| host.status.fetched.contains(*release)));
    PeakHosts {
        have: u32::try_from(have).unwrap_or(u32::MAX),
        pools,
        unplaced: lacks,
        beyond,
        fetched: u32::try_from(fetched.count()).unwrap_or(u32::MAX),
    }
}

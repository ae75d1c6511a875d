//! Which peaks a changed object may concern. There are few of them, and all of those that are not
//! over are looked at again where something they count on is edited.

use atoll_model::peak::PeakPhase;
use atoll_model::{Any, Peak, Snapshot};

/// The peaks a changed object may concern.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match (old, new) {
        (Some(Any::Peak(old)), Some(Any::Peak(new)))
            if old.spec == new.spec && old.status.rehearsed == new.status.rehearsed =>
        {
            Vec::new()
        }
        (_, Some(Any::Peak(peak))) | (Some(Any::Peak(peak)), None) => {
            let mut names = vec![peak.meta.name.clone()];
            names.extend(open(world).filter(|name| *name != peak.meta.name));
            names
        }
        (Some(Any::Freeze(freeze)), None) => {
            freeze.name().strip_suffix(".peak").map(str::to_owned).into_iter().collect()
        }
        (Some(old), Some(new)) if !edited(old, new) => Vec::new(),
        (old, new) => match new.or(old) {
            Some(
                Any::Application(_)
                | Any::Approval(_)
                | Any::Autoscaler(_)
                | Any::Budget(_)
                | Any::Capacity(_)
                | Any::Config(_)
                | Any::Environment(_)
                | Any::Host(_)
                | Any::Objective(_)
                | Any::Pool(_)
                | Any::Price(_),
            ) => open(world).collect(),
            Some(Any::Deployment(deployment)) => {
                let all = super::rows(world, deployment.name());
                let peaks = all.map(|(peak, _)| peak);
                let open = peaks.filter(|peak| peak.status.phase != PeakPhase::Over);
                open.map(|peak| peak.meta.name.clone()).collect()
            }
            _ => Vec::new(),
        },
    }
}

/// Whether what a peak counts on is another: a target, or how many serve, or are reached.
fn edited(old: &Any, new: &Any) -> bool {
    match (old, new) {
        (Any::Deployment(old), Any::Deployment(new)) => old.status.ready != new.status.ready,
        (Any::Autoscaler(old), Any::Autoscaler(new)) => {
            old.spec != new.spec || old.status.phase != new.status.phase
        }
        (Any::Config(old), Any::Config(new)) => {
            let reach = |config: &atoll_model::config::ConfigStatus| {
                (config.instances, config.acknowledged)
            };
            old.spec != new.spec || reach(&old.status) != reach(&new.status)
        }
        (Any::Host(old), Any::Host(new)) => {
            old.is_open() != new.is_open() || old.status.fetched != new.status.fetched
        }
        (Any::Capacity(old), Any::Capacity(new)) => {
            let known = |status: &atoll_model::capacity::CapacityStatus| {
                (status.each, status.known, status.load.is_some())
            };
            old.spec != new.spec || known(&old.status) != known(&new.status)
        }
        (Any::Pool(old), Any::Pool(new)) => {
            let host = |pool: &atoll_model::pool::PoolStatus| {
                pool.advice.as_ref().and_then(|advice| advice.host)
            };
            old.spec != new.spec || host(&old.status) != host(&new.status)
        }
        (old, new) => !old.same_spec(new),
    }
}

fn open(world: &Snapshot) -> impl Iterator<Item = String> + '_ {
    let open = world.all::<Peak>().filter(|peak| peak.status.phase != PeakPhase::Over);
    open.map(|peak| peak.meta.name.clone())
}

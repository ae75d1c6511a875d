//! How much a plan may put at risk at once: room on hosts, instances that serve, hosts of a zone.

use std::collections::BTreeMap;

use atoll_model::cmdb::HostPhase;
use atoll_model::{Any, Deployment, Host, Instance, Kind, Object, Reason, Snapshot, Write, Zone};

use super::{Case, Opinion, validity};
use crate::deployment;
use crate::placement::Room;

/// **Invariant:** no host is given more than it has, and no port twice, whoever planned on
/// whatever world.
pub(super) fn room(case: &Case) -> Opinion {
    let mut rooms: BTreeMap<&str, Room> = BTreeMap::new();
    let mut objections = Vec::new();
    for any in case.puts() {
        let Any::Instance(instance) = any else { continue };
        if case.cx.world.get::<Instance>(instance.name()).is_some() {
            continue;
        }
        let host = &instance.spec.host;
        let room = rooms.entry(host).or_default();
        let fits = match case.cx.world.get::<Host>(host) {
            Some(object) => room.take(case.cx.world, object, &instance.spec).is_ok(),
            None => false,
        };
        if !fits {
            let message = format!("{} finds no room on {host} any more", instance.name());
            objections.push(Reason::new("no-room", message));
        }
    }
    objections.into()
}

/// **Invariant:** no plan takes a deployment below the instances that must serve, except one
/// that is itself being deleted.
pub(super) fn min_ready(case: &Case) -> Opinion {
    let world = case.cx.world;
    let mut down: BTreeMap<&str, u32> = BTreeMap::new();
    for write in &case.plan.writes {
        if let Some(deployment) = takes_down(world, write) {
            *down.entry(deployment).or_default() += 1;
        }
    }
    let objections: Vec<Reason> = down
        .into_iter()
        .filter_map(|(name, count)| {
            let deployment = world.get::<Deployment>(name).filter(|d| !d.meta.deleting())?;
            let application = validity::application_of(world, &deployment.spec)?;
            let floor = application.rules().min_ready(deployment.wanted());
            let ready = deployment::ready(world, deployment);
            (ready < floor + count).then(|| {
                let message = format!(
                    "{name} has {ready} ready instances and must keep {floor}; this would take \
                     down {count}"
                );
                Reason::new("min-ready", message)
                    .hint("wait until more are ready, scale up first, or raise maxUnavailable")
            })
        })
        .collect();
    objections.into()
}

/// The deployment that loses an instance which serves.
fn takes_down<'a>(world: &'a Snapshot, write: &Write) -> Option<&'a str> {
    if write.kind() != Kind::Instance {
        return None;
    }
    let stored = world.get::<Instance>(write.name())?;
    let serves_on = match write {
        Write::Put(Any::Instance(new)) => {
            new.meta.generation == stored.meta.generation
                && new.meta.deleted_at == stored.meta.deleted_at
                && new.spec.release == stored.spec.release
        }
        _ => false,
    };
    (!serves_on && deployment::serves(world, stored)).then_some(stored.spec.deployment.as_str())
}

/// A person empties or deletes only so many hosts of a zone at once.
pub(super) fn zone(case: &Case) -> Opinion {
    if !case.is_edit() || !case.plan.writes.iter().any(|write| write.kind() == Kind::Host) {
        return Opinion::default();
    }
    let (before, after) = (case.cx.world, case.after());
    let mut zones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for write in case.plan.writes.iter().filter(|write| write.kind() == Kind::Host) {
        let Some(host) = before.get::<Host>(write.name()) else { continue };
        let now = after.get::<Host>(write.name()).is_none_or(|host| is_disturbed(host));
        if now && !is_disturbed(host) {
            zones.entry(host.zone()).or_default().push(host.name());
        }
    }
    let objections: Vec<Reason> = zones
        .into_iter()
        .filter_map(|(zone, newly)| {
            let hosts = || before.all::<Host>().filter(|host| host.zone() == zone);
            let rule = before.get::<Zone>(zone).map(|zone| zone.spec.max_disturbed);
            let most = rule.unwrap_or_else(Zone::usual_disturbed);
            let most = most.floor_of(hosts().count() as u32).max(1);
            let already = hosts().filter(|host| is_disturbed(host)).count();
            let would = already as u32 + newly.len() as u32;
            (would > most).then(|| {
                let message = format!(
                    "{would} hosts of zone {zone} would be draining or unknown with {}; \
                     at most {most} may be",
                    newly.join(", ")
                );
                Reason::new("zone-disturbed", message)
                    .hint("wait for the others, or raise the zone's maxDisturbed")
            })
        })
        .collect();
    objections.into()
}

/// What runs on the host is at risk.
pub(crate) fn is_disturbed(host: &Object<Host>) -> bool {
    let emptied = host.status.phase == HostPhase::Drained;
    host.status.phase == HostPhase::Unknown
        || host.status.phase == HostPhase::Draining
        || (!emptied && (host.spec.drain || host.meta.deleting()))
}

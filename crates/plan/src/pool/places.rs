//! Where the hosts of a pool are, and where what runs on those that go is to go: what of that is
//! not as it was asked for is said. It moves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::pool::provider::Provider;
use atoll_model::pool::{Machine, MachinePhase, Pool, PoolStatus};
use atoll_model::{Any, Deployment, Environment, Host, Object, Reason, Snapshot, Span, many};

use crate::capacity::ask::unplaced;
use crate::named;

/// What runs on hosts that go has nowhere to go.
pub(super) const NOWHERE: &str = "nowhere";
/// It is looked so often whether there is room.
pub(super) const EVERY: Span = Span::seconds(30);

/// That what runs on hosts that are to go finds no room on those that stay: they wait for it.
pub(super) fn nowhere(
    world: &Snapshot,
    pool: &Object<Pool>,
    status: &PoolStatus,
) -> Option<Reason> {
    let goes = |machine: &Machine| match machine.phase {
        MachinePhase::Draining => true,
        MachinePhase::Ready => machine.closed || pool.meta.deleting(),
        _ => false,
    };
    let going: Vec<&Arc<Object<Host>>> = status
        .machines
        .iter()
        .filter(|(_, machine)| goes(machine))
        .filter_map(|(key, _)| world.get::<Host>(key))
        .collect();
    let mut there: BTreeMap<&str, u32> = BTreeMap::new();
    let on_them = going.iter().flat_map(|host| world.instances_on(host.name()));
    for instance in on_them.filter(|instance| !instance.meta.deleting()) {
        *there.entry(instance.spec.deployment.as_str()).or_default() += 1;
    }
    if there.is_empty() {
        return None;
    }
    let mut without = world.clone();
    for host in &going {
        let mut closed = Object::clone(host);
        closed.spec.drain = true;
        without.put(Any::Host(Arc::new(closed)));
    }
    let mut homeless: Vec<(&str, u32)> = Vec::new();
    let mut lacking: Vec<(String, u32)> = Vec::new();
    let mut before = 0;
    for (name, count) in there {
        // What has been made elsewhere already finds no room twice.
        lacking.push((name.to_owned(), count.min(missing_elsewhere(world, name, count))));
        let all = unplaced(&without, &lacking, &[]);
        homeless.extend((all > before).then_some((name, all - before)));
        before = all;
    }
    let (first, _) = homeless.first()?;
    let stay = crate::instances(before as usize);
    let of = match homeless.len() {
        1 => (*first).to_owned(),
        some => format!("{first} and {} more", many(some - 1, "deployment")),
    };
    let environment = &world.get::<Deployment>(first)?.spec.environment;
    let none = !is_open_elsewhere(&without, environment);
    let why = match none {
        true => format!("no other open host is of environment {environment}"),
        false => "no host that stays has room".to_owned(),
    };
    let message = format!("{stay} of {of} can go nowhere: {why}");
    let hint = format!(
        "add hosts, or let it go: atoll scale deployment/{first} 0; until then the hosts stay"
    );
    Some(Reason::new(NOWHERE, message).hint(hint))
}

/// So many a deployment lacks once `going` of its instances are gone.
fn missing_elsewhere(world: &Snapshot, deployment: &str, going: u32) -> u32 {
    let Some(wanted) = world.get::<Deployment>(deployment).map(|d| d.wanted()) else { return 0 };
    let there = world.derived::<atoll_model::Instance>(deployment);
    let there = there.filter(|instance| !instance.meta.deleting()).count() as u32;
    wanted.saturating_sub(there.saturating_sub(going))
}

fn is_open_elsewhere(world: &Snapshot, environment: &str) -> bool {
    let Some(environment) = world.get::<Environment>(environment) else { return false };
    let mut hosts = world.all::<Host>();
    hosts.any(|host| host.is_open() && environment.spec.hosts.matches(&host.meta.labels))
}

/// Hosts in another zone than the pool's, which was changed since they were made.
pub(super) fn elsewhere(
    world: &Snapshot,
    pool: &Object<Pool>,
    status: &PoolStatus,
) -> Option<Reason> {
    let zone = pool.spec.zone.as_ref()?;
    if matches!(pool.spec.provider, Provider::Static(_)) || pool.meta.deleting() {
        return None;
    }
    let stays = status.machines.iter().filter(|(_, machine)| machine.phase.stays());
    let hosts = stays.filter_map(|(key, _)| Some((key, world.get::<Host>(key)?)));
    let off: Vec<(&String, &str)> =
        hosts.map(|(key, host)| (key, host.zone())).filter(|(_, own)| own != zone).collect();
    let names = named(off.iter().map(|(key, _)| *key))?;
    let is = if off.len() == 1 { "is" } else { "are" };
    let (_, own) = off.first()?;
    let message =
        format!("{names} {is} in zone {own}, and not in {zone}: made before that was asked for");
    let hint = "they stay; one that is deleted is made anew there: atoll delete host/NAME";
    Some(Reason::new("other-zone", message).hint(hint))
}

//! Which instances are moved next, where all migrations under way are looked at together: so many
//! of each deployment as it can spare, host after host, what matters least first and what finds no
//! host last. It moves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::migration::Move;
use atoll_model::{
    Application, Deployment, Instance, Migration, MigrationStatus, Object, Reason, Snapshot,
};

use super::balance;
use super::room::Room;

/// The label of an application by which core ones are moved last.
const TIER: &str = "tier";

/// So many instances of a deployment may be moving or not serving at once, by how many there are to
/// be: a tenth of many, two from four on, one below.
pub(super) fn at_once(wanted: u32) -> u32 {
    match wanted {
        4.. => (wanted / 10).max(2),
        _ => 1,
    }
}

/// What may be moved next, and why not more.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub moves: BTreeMap<String, Move>,
    /// So many instances are left on the hosts.
    pub left: u32,
    /// What stands in the way of those that are not chosen.
    pub obstacles: Vec<Reason>,
}

/// The instances on a migration's hosts that it means. What is on a host that is not heard is
/// replaced by its deployment, and moved by nobody.
pub(super) fn meant<'a>(
    world: &'a Snapshot,
    spec: &Migration,
    hosts: &BTreeSet<String>,
) -> Vec<&'a Arc<Object<Instance>>> {
    let heard = hosts.iter().filter(|host| !super::is_silent(world, host));
    let on = heard.flat_map(|host| world.instances_on(host));
    on.filter(|instance| !instance.meta.deleting())
        .filter(|instance| {
            let of = application(world, instance);
            of.is_some_and(|application| spec.applications.matches(&application.meta.labels))
        })
        .collect()
}

pub(super) fn application<'a>(
    world: &'a Snapshot,
    instance: &Object<Instance>,
) -> Option<&'a Arc<Object<Application>>> {
    let deployment = world.get::<Deployment>(&instance.spec.deployment)?;
    world.get::<Application>(&deployment.spec.application)
}

/// Whether an instance is of a core application.
pub(super) fn is_core(world: &Snapshot, instance: &Object<Instance>) -> bool {
    let of = application(world, instance);
    of.and_then(|of| of.meta.labels.get(TIER)).is_some_and(|tier| tier == "core")
}

/// Chooses up to `most` instances for a wave.
pub(super) fn choose(
    world: &Snapshot,
    spec: &Migration,
    status: &MigrationStatus,
    most: u32,
) -> Choice {
    if spec.balance {
        return balanced(world, spec, status);
    }
    let mut of: BTreeMap<(bool, &str), Vec<&Arc<Object<Instance>>>> = BTreeMap::new();
    let mut choice = Choice::default();
    for instance in meant(world, spec, &status.hosts) {
        choice.left += 1;
        let core = is_core(world, instance);
        of.entry((core, &instance.spec.deployment)).or_default().push(instance);
    }
    let room = Room::of(world, spec, &status.hosts);
    let (next, last): (Vec<_>, Vec<_>) = of.into_iter().partition(|((_, name), _)| room.has(name));
    // What finds no host now keeps nobody waiting: it is begun once nothing else is left.
    let (next, last) = if next.is_empty() { (last, next) } else { (next, last) };
    for ((_, name), mut instances) in next {
        match spare(world, name) {
            Err(reason) => choice.obstacles.push(reason),
            Ok(spare) => {
                // Host after host, so that some are empty early.
                instances.sort_by(|a, b| (&a.spec.host, a.name()).cmp(&(&b.spec.host, b.name())));
                let room = most.saturating_sub(choice.moves.len() as u32).min(spare);
                for instance in instances.into_iter().take(room as usize) {
                    let from = instance.spec.host.clone();
                    let one = Move { deployment: name.to_owned(), from };
                    choice.moves.insert(instance.meta.name.clone(), one);
                }
            }
        }
    }
    let last = last.iter().filter_map(|((_, name), all)| {
        let why = room.why(name, all.len() as u32)?;
        let reason = Reason::new("comes-last", format!("{name} comes last: {}", why.message));
        Some(Reason { hint: why.hint, ..reason })
    });
    choice.obstacles.extend(last);
    choice
}

/// Chooses for a wave that balances: of one deployment and in that order, so that they go where it
/// was found that they would.
fn balanced(world: &Snapshot, spec: &Migration, status: &MigrationStatus) -> Choice {
    let mut next = balance::moves(world, spec, &status.quota, &BTreeSet::new());
    let mut choice = Choice { left: next.len() as u32, ..Choice::default() };
    let of: BTreeSet<&str> = next.iter().map(|one| one.spec.deployment.as_str()).collect();
    let (mut spares, mut held) = (BTreeMap::new(), BTreeSet::new());
    for name in of {
        match spare(world, name) {
            Ok(spare) => _ = spares.insert(name, spare),
            Err(reason) => {
                held.insert(name);
                choice.obstacles.push(reason);
            }
        }
    }
    if !held.is_empty() {
        next = balance::moves(world, spec, &status.quota, &held);
    }
    let Some(name) = next.first().map(|first| first.spec.deployment.as_str()) else {
        return choice;
    };
    let total = (status.moved + status.left).max(choice.left);
    let most = spec.wave.floor_of(total).max(1).min(spares.get(name).copied().unwrap_or(1));
    let alike = next.into_iter().take_while(|one| one.spec.deployment == name);
    for instance in alike.take(most as usize) {
        let one = Move { deployment: name.to_owned(), from: instance.spec.host.clone() };
        choice.moves.insert(instance.meta.name.clone(), one);
    }
    choice
}

/// How many more instances of a deployment may be moved now.
fn spare(world: &Snapshot, name: &str) -> Result<u32, Reason> {
    let Some(deployment) = world.get::<Deployment>(name) else { return Ok(0) };
    let application = world.get::<Application>(&deployment.spec.application);
    if application.is_some_and(|application| !application.spec.run.volumes.is_empty()) {
        let message = format!("{name} keeps volumes where its instances are");
        let hint = "move its data, and delete the host; nothing is moved without it";
        return Err(Reason::new("volume-elsewhere", message).hint(hint));
    }
    if deployment.status.rollout.is_some() {
        let message = format!("{name} is rolled out first");
        return Err(Reason::new("rolling", message).hint(format!("atoll why deployment/{name}")));
    }
    let wanted = deployment.wanted();
    let serving = deployment.status.ready;
    let open = world.all::<Migration>().filter(|migration| !migration.status.phase.is_over());
    let moved = open.map(|migration| (migration, super::under_way(world, migration, name)));
    let moved: Vec<_> = moved.filter(|(_, count)| *count > 0).collect();
    let under_way: usize = moved.iter().map(|(_, count)| count).sum();
    let uneven = deployment.status.uneven.as_ref();
    let to_zones = uneven.and_then(|uneven| uneven.moving.as_ref());
    let under_way = under_way + to_zones.map_or(0, |moving| moving.instances.len());
    let away = wanted.saturating_sub(serving) + under_way as u32;
    match at_once(wanted).checked_sub(away).filter(|spare| *spare > 0) {
        Some(spare) => Ok(spare),
        None => {
            let by = moved.first().map_or(String::new(), |(migration, count)| {
                format!(", and migration/{} moves {count}", migration.name())
            });
            let message =
                format!("{name} has {serving} of {wanted} ready{by}; no more may be moving");
            Err(Reason::new("unavailable", message).hint(format!("atoll why deployment/{name}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::at_once;

    #[test]
    fn few_at_once() {
        let all = [1, 3, 4, 10, 11, 25, 100].map(at_once);
        assert_eq!(all, [1, 1, 2, 2, 2, 2, 10]);
    }
}

//! Which machines of a pool go first: those that serve nothing, of these those nothing can be
//! placed on, then those that serve least. Not how they go.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use atoll_model::pool::{Machine, MachinePhase, Pool, PoolStatus};
use atoll_model::snapshot::Load;
use atoll_model::{Host, Object, Timestamp, Zone};

use super::advice::is_shut;
use super::emptying;
use crate::Context;
use crate::decision::is_disturbed;

/// The machines that are let go, of those that would stay, and those that are next: no more go than
/// zones can bear to have disturbed at once, where something runs on them.
pub(super) fn first_to_go(
    cx: &Context,
    pool: &Object<Pool>,
    status: &PoolStatus,
    surplus: u32,
) -> (Vec<String>, Vec<String>) {
    let mut all: Vec<(Worth, &String)> = status
        .machines
        .iter()
        .filter(|(_, machine)| machine.phase.stays())
        .map(|(key, machine)| (Worth::of(cx, key, machine), key))
        .collect();
    all.sort_unstable();
    let draining = |m: &&Machine| m.phase == MachinePhase::Draining;
    let mut places = pool.spec.at_once as usize;
    places = places.saturating_sub(status.machines.values().filter(draining).count());
    let mut room = Room { cx, left: BTreeMap::new() };
    let (mut now, mut next) = (Vec::new(), Vec::new());
    for (worth, key) in all.into_iter().take(surplus as usize) {
        let serves = worth.rank == Rank::Ready;
        if serves && (places == 0 || !room.take(key)) {
            next.push(key.clone());
            continue;
        }
        places -= usize::from(serves);
        now.push(key.clone());
    }
    (now, next)
}

/// The zone of a host that is to go and may not yet.
pub(super) fn held_in(cx: &Context, status: &PoolStatus) -> Option<String> {
    let closed = status.machines.iter().filter(|(_, machine)| machine.closed);
    let mut hosts = closed.filter_map(|(key, _)| cx.world.get::<Host>(key));
    hosts.next().map(|host| host.zone().to_owned())
}

/// How far a machine is from serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Creating,
    Joining,
    Lost,
    Ready,
}

/// What would be lost with a machine; the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    rank: Rank,
    /// It is empty, and somebody else keeps it so.
    idle: Reverse<bool>,
    instances: u32,
    share: u32,
    /// The youngest first.
    born: Reverse<Timestamp>,
}

impl Worth {
    fn of(cx: &Context, key: &str, machine: &Machine) -> Worth {
        let rank = match machine.phase {
            MachinePhase::Creating => Rank::Creating,
            MachinePhase::Joining => Rank::Joining,
            MachinePhase::Lost => Rank::Lost,
            _ => Rank::Ready,
        };
        let used = cx.world.usage(key).map(|usage| usage.amount).unwrap_or_default();
        let host = cx.world.get::<Host>(key);
        let capacity = host.map(|host| host.spec.usable(host.status.capacity)).unwrap_or_default();
        let share = if used.instances == 0 { 0 } else { Load::of(used, capacity).share };
        let shut = host.is_some_and(|host| is_shut(cx, host));
        let idle = Reverse(used.instances == 0 && shut);
        let born = host.and_then(|host| host.meta.created_at).unwrap_or(machine.since);
        Worth { rank, idle, instances: used.instances, share, born: Reverse(born) }
    }
}

/// How many more hosts of each zone may be disturbed.
struct Room<'a> {
    cx: &'a Context<'a>,
    left: BTreeMap<String, u32>,
}

impl Room<'_> {
    /// Takes the place of a host, if there is one. An empty host disturbs nothing.
    fn take(&mut self, key: &str) -> bool {
        let world = self.cx.world;
        let Some(host) = world.get::<Host>(key) else { return true };
        if world.usage(key).is_none() {
            return true;
        }
        let zone = host.zone();
        let left = self.left.entry(zone.to_owned()).or_insert_with(|| {
            let hosts = || world.all::<Host>().filter(|host| host.zone() == zone);
            let rule = world.get::<Zone>(zone).map(|zone| zone.spec.max_disturbed);
            let most = rule.unwrap_or_else(Zone::usual_disturbed);
            let most = most.floor_of(hosts().count() as u32).max(1);
            let disturbed = hosts().filter(|host| {
                let emptied = emptying(world, host.name()).is_some();
                is_disturbed(host) || (emptied && world.usage(host.name()).is_some())
            });
            most.saturating_sub(disturbed.count() as u32)
        });
        let fits = *left > 0;
        *left = left.saturating_sub(1);
        fits
    }
}

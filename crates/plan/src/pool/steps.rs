//! What has happened to a pool in one plan, for its record: how many hosts are wanted now and why,
//! and which machines began what. It decides nothing.

use atoll_model::pool::{Machine, MachinePhase, Pool, PoolStatus};
use atoll_model::{Object, Reason, many};

use crate::named;

/// Whether a machine, as it was and as it is, has just begun something.
type Began = fn(Option<&Machine>, &Machine) -> bool;

/// What is different from before.
pub(super) fn between(pool: &Object<Pool>, new: &PoolStatus) -> Vec<Reason> {
    let old = &pool.status;
    let mut all: Vec<Reason> = resized(pool, new).into_iter().collect();
    let words: [(&str, &str, Began); 5] = [
        ("asked", "", |was, is| was.is_none() && is.phase == MachinePhase::Creating),
        ("joined", "", |was, is| {
            let came = was.is_none_or(|was| !is_host(was) && was.phase != MachinePhase::Draining);
            came && is.phase == MachinePhase::Ready
        }),
        ("kept", "was to go, and stays: ", |was, is| {
            was.is_some_and(|was| was.phase == MachinePhase::Draining)
                && is.phase == MachinePhase::Ready
        }),
        ("emptying", "", |was, is| was.is_some_and(is_host) && is.phase == MachinePhase::Draining),
        ("deleting", "", |was, is| {
            let began = was.is_none_or(|was| was.phase != MachinePhase::Deleting);
            began && is.phase == MachinePhase::Deleting && is.failed.is_none()
        }),
    ];
    for (code, what, is_so) in words {
        let machines = new.machines.iter();
        let these = machines.filter(|(key, machine)| is_so(old.machines.get(*key), machine));
        let names = named(these.map(|(key, _)| key));
        all.extend(names.map(|names| Reason::new(code, format!("{what}{names}"))));
    }
    let names = named(old.machines.keys().filter(|key| !new.machines.contains_key(*key)));
    all.extend(names.map(|names| Reason::new("gone", names)));
    all
}

fn is_host(machine: &Machine) -> bool {
    matches!(machine.phase, MachinePhase::Ready | MachinePhase::Lost)
}

fn resized(pool: &Object<Pool>, new: &PoolStatus) -> Option<Reason> {
    let was = pool.status.wanted;
    if new.wanted == was {
        return None;
    }
    let follows = pool.spec.acts();
    let followed = new.advice.as_ref().filter(|_| follows && !pool.meta.deleting());
    let why = followed.map(|advice| format!(": {}", advice.because)).unwrap_or_default();
    let message = format!("{} wanted, {was} before{why}", many(new.wanted as usize, "host"));
    Some(Reason::new("resized", message))
}

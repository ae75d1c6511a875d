//! How far a pool is, in one word and in sentences. It decides nothing.

use atoll_model::pool::provider::Provider;
use atoll_model::pool::{
    Counts, Deed, Machine, MachinePhase, Pool, PoolPhase, PoolStatus, Unjoined,
};
use atoll_model::{Host, Object, Reason, many};

use super::{choose, places};
use crate::{Context, named};

/// Puts counts, phase and reasons into a status.
pub(super) fn tell(cx: &Context, pool: &Object<Pool>, wanted: u32, status: &mut PoolStatus) {
    status.observed_generation = pool.meta.generation;
    status.wanted = wanted;
    status.counts = counts(status);
    let mut reasons = Vec::new();
    reasons.extend(provider(status));
    reasons.extend(not_made(status));
    reasons.extend(not_deleted(status));
    reasons.extend(given_up(status));
    reasons.extend(paused(cx, pool, status));
    reasons.extend(too_few(pool, wanted, status));
    reasons.extend(at_max(pool, status));
    reasons.extend(lost(pool, status));
    reasons.extend(unlisted(status));
    reasons.extend(closed(cx, status));
    reasons.extend(held(cx, status));
    reasons.extend(places::nowhere(cx.world, pool, status));
    reasons.extend(places::elsewhere(cx.world, pool, status));
    reasons.extend(orphans(status));
    status.phase = phase(wanted, status, &reasons);
    status.reasons = reasons;
}

fn counts(status: &PoolStatus) -> Counts {
    let mut counts = Counts::default();
    for machine in status.machines.values() {
        let count = match machine.phase {
            MachinePhase::Creating => &mut counts.creating,
            MachinePhase::Joining => &mut counts.joining,
            MachinePhase::Ready => &mut counts.ready,
            MachinePhase::Lost => &mut counts.lost,
            MachinePhase::Draining => &mut counts.draining,
            MachinePhase::Deleting => &mut counts.deleting,
        };
        *count += 1;
        counts.failed += u32::from(machine.failed.is_some());
    }
    counts
}

fn phase(wanted: u32, status: &PoolStatus, reasons: &[Reason]) -> PoolPhase {
    let counts = status.counts;
    let stands = ["provider", "create-failed", "delete-failed", "not-joining", "too-few"];
    if reasons.iter().any(|reason| stands.contains(&reason.code.as_str())) {
        PoolPhase::Stuck
    } else if counts.ready < wanted {
        PoolPhase::Growing
    } else if status.machines.len() as u32 > wanted {
        PoolPhase::Shrinking
    } else {
        PoolPhase::Settled
    }
}

fn provider(status: &PoolStatus) -> Option<Reason> {
    let trouble = &status.provider;
    let since = trouble.since?;
    let message = format!("the provider does not answer since {since}: {}", trouble.error);
    let hint = "it is asked again by itself; until then nothing is made, emptied or deleted";
    Some(Reason::new("provider", message).hint(hint))
}

fn went_wrong(status: &PoolStatus, deed: Deed) -> impl Iterator<Item = (&String, &str)> {
    status.machines.iter().filter_map(move |(key, machine)| {
        let ask = machine.ask.as_ref().filter(|ask| ask.deed == deed)?;
        Some((key, ask.error.as_deref()?))
    })
}

fn not_made(status: &PoolStatus) -> Option<Reason> {
    let names = named(went_wrong(status, Deed::Create).map(|(key, _)| key))?;
    let why = went_wrong(status, Deed::Create).next().map(|(_, why)| why).unwrap_or_default();
    let message = format!("the provider did not make {names}: {why}");
    let hint = "its list decides whether it did after all; what it did not make is asked for again";
    Some(Reason::new("create-failed", message).hint(hint))
}

fn not_deleted(status: &PoolStatus) -> Option<Reason> {
    let names = named(went_wrong(status, Deed::Delete).map(|(key, _)| key))?;
    let why = went_wrong(status, Deed::Delete).next().map(|(_, why)| why).unwrap_or_default();
    let message = format!("the provider did not delete {names}: {why}");
    Some(Reason::new("delete-failed", message).hint("it is asked again"))
}

fn given_up(status: &PoolStatus) -> Option<Reason> {
    let failed = || status.machines.iter().filter(|(_, machine)| machine.failed.is_some());
    let names = named(failed().map(|(key, _)| key))?;
    let why = failed().find_map(|(_, machine)| machine.failed.clone()).unwrap_or_default();
    Some(Reason::new("given-up", format!("{names}: {why}")))
}

fn paused(cx: &Context, pool: &Object<Pool>, status: &PoolStatus) -> Option<Reason> {
    // Nobody waits for the next one.
    let until = status.pause_until.filter(|_| status.counts.ready < status.wanted)?;
    let (count, more) = (status.unjoined, status.pause_until > Some(cx.now));
    let which = match count {
        1 => "the last machine did not join".to_owned(),
        _ => format!("the last {count} machines did not join"),
    };
    let (how, hint) = match status.unjoined_by {
        Some(Unjoined::Unmade) => (
            ": the provider did not make it",
            format!("what it said: atoll history pool/{}", pool.name()),
        ),
        Some(Unjoined::Unlisted) => (
            ": the provider said that it made it, and does not list it",
            "look whether it lists each machine that it makes, with the key it was given"
                .to_owned(),
        ),
        Some(Unjoined::Unheard) | None => {
            ("", "look whether their agents start and reach a server".to_owned())
        }
    };
    let message = format!("{which}{how}");
    let next = format!("{message}; the next is asked for at {until}");
    let told = if more { next } else { message };
    Some(Reason::new("not-joining", told).hint(hint))
}

/// Hosts that are there are fewer than are wanted.
fn too_few(pool: &Object<Pool>, wanted: u32, status: &PoolStatus) -> Option<Reason> {
    let Provider::Static(listed) = &pool.spec.provider else { return None };
    let used = status.counts.ready + status.counts.lost;
    (used < wanted).then(|| {
        let of = listed.hosts.len();
        let is_there = |host: &&String| {
            let machine = status.machines.get(host.as_str());
            machine.is_some_and(|m| matches!(m.phase, MachinePhase::Ready | MachinePhase::Lost))
        };
        let absent = named(listed.hosts.iter().filter(|host| !is_there(host)));
        let absent = absent.map(|names| format!(": not {names}")).unwrap_or_default();
        let are = if used == 1 { "is" } else { "are" };
        let message = format!(
            "{} wanted, and of {of} in the list {used} {are} there{absent}",
            many(wanted, "host")
        );
        Reason::new("too-few", message).hint("start agents on the others, or list more hosts")
    })
}

/// What is to run takes more hosts than it may have.
fn at_max(pool: &Object<Pool>, status: &PoolStatus) -> Option<Reason> {
    let advice = status.advice.as_ref().filter(|it| pool.spec.acts() && it.beyond > 0)?;
    let message = format!(
        "what is to run takes {} hosts, and {} is the most",
        advice.count + advice.beyond,
        pool.spec.max
    );
    Some(Reason::new("at-max", message).hint("raise max, or lower what is wanted"))
}

fn lost(pool: &Object<Pool>, status: &PoolStatus) -> Option<Reason> {
    let lost = || status.machines.iter().filter(|(_, m)| m.phase == MachinePhase::Lost);
    let names = named(lost().map(|(key, _)| key))?;
    let since = lost().map(|(_, machine)| machine.since).min().unwrap_or_default();
    let at = since + pool.spec.replace_after;
    Some(Reason::new("lost", format!("{names} not heard since {since}; replaced from {at} on")))
}

/// Heard, and not in the provider's list.
fn unlisted(status: &PoolStatus) -> Option<Reason> {
    let odd = |machine: &Machine| machine.missing >= 2 && machine.phase == MachinePhase::Ready;
    let all = status.machines.iter().filter(|(_, machine)| odd(machine));
    let names = named(all.map(|(key, _)| key))?;
    let message = format!("the provider does not list {names}, though heard");
    Some(Reason::new("unlisted", message).hint("look whether its list is complete"))
}

/// Hosts that count, and that somebody else has closed.
fn closed(cx: &Context, status: &PoolStatus) -> Option<Reason> {
    let ours = status.machines.iter().filter(|(_, m)| m.phase == MachinePhase::Ready && !m.closed);
    let closed = ours.map(|(key, _)| key).filter(|key| {
        cx.world.get::<Host>(key).is_some_and(|host| host.spec.cordon || host.spec.drain)
    });
    let closed: Vec<&String> = closed.collect();
    let names = named(closed.iter().copied())?;
    let is = if closed.len() == 1 { "is" } else { "are" };
    let message = format!("{names} {is} closed by hand: counted, but nothing new starts there");
    let hint = "atoll uncordon opens a host; atoll delete host/NAME has it replaced";
    Some(Reason::new("closed", message).hint(hint))
}

/// Machines are to go, and may not yet.
fn held(cx: &Context, status: &PoolStatus) -> Option<Reason> {
    let zone = choose::held_in(cx, status)?;
    let more = status.machines.values().filter(|machine| machine.closed).count();
    let message =
        format!("{more} more to be emptied, once those that are leave room for it in zone {zone}");
    let hint = "so many at a time as the zone's maxDisturbed and the pool's atOnce allow";
    Some(Reason::new("one-by-one", message).hint(hint))
}

fn orphans(status: &PoolStatus) -> Option<Reason> {
    let foreign = status.orphans.iter().filter(|(_, orphan)| !orphan.ours);
    let ours = status.orphans.iter().filter(|(_, orphan)| orphan.ours);
    let (foreign, ours) = (named(foreign.map(|(id, _)| id)), named(ours.map(|(id, _)| id)));
    let message = match (foreign, ours) {
        (None, None) => return None,
        (None, Some(ours)) => format!("{ours} came after it was given up, and is deleted"),
        (Some(foreign), _) => {
            format!("the provider lists {foreign} for this pool, never asked for; it is left alone")
        }
    };
    Some(Reason::new("orphan", message))
}

//! Evenness over zones: what the loss of a host has crowded into the zones that were left goes back
//! once there is a place for it, one instance after the other, or a few at a time of many. Others
//! are made there first, and the old ones go when these have been ready for as long as a rollout
//! asks. Where they are placed is `placement.rs`; what is not settled is brought to its target
//! first, by all that comes before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::cmdb::Spread;
use atoll_model::deployment::{DeploymentStatus, Moving, Uneven};
use atoll_model::{
    Any, Deployment, Host, Migration, Object, Reason, Snapshot, Span, Timestamp, Write,
};

use super::draft::Draft;
use super::fleet::Member;
use super::status::Rest;
use super::{Subject, misfit, scale};
use crate::{instances, placement, sooner};

/// So long it lasts before anything is moved: hosts come and go.
const LASTS: Span = Span::seconds(300);
/// After an attempt that came to nothing it is waited twice as long, so often at most.
const DOUBLED: u32 = 8;
/// Of so many instances one is moved at a time, of twice as many two, and so on.
const OF: u32 = 20;
/// What is said of instances that lie unevenly.
pub(crate) const UNEVEN: &str = "uneven";
/// What is said while one is moved.
const SPREAD: &str = "spread";

/// Where the most are, and where one of them could be.
struct Lean<'a> {
    most: u32,
    to: &'a str,
    least: u32,
    has_room: bool,
}

impl<'a> Lean<'a> {
    /// None where no zone has two more than another that has a host for them. A zone is looked at
    /// host by host only where the counts alone say that it has too few.
    fn of(subject: &Subject<'a>, draft: &Draft<'a>) -> Option<Lean<'a>> {
        let (world, application) = (subject.world, &subject.application.spec);
        let zones_first = application.spread.first() == Some(&Spread::Zone);
        if !zones_first || !application.run.volumes.is_empty() {
            return None;
        }
        let most = most(world, subject.object.name());
        let few = world.open_hosts().filter_map(|(zone, hosts)| {
            let count = count(world, subject.object.name(), zone);
            (count + 2 <= most).then_some((count, zone, hosts))
        });
        let mut few: Vec<_> = few.collect();
        few.sort_by_key(|(count, zone, _)| (*count, *zone));
        if few.is_empty() {
            return None;
        }
        let need = draft.need(subject.release_for_new().0);
        let emptied = crate::migration::emptied(world, subject.now, subject.application);
        let mut first = None;
        for (least, zone, hosts) in few {
            let mut hosts = hosts.iter().filter_map(|(_, name)| world.host(name));
            let is_meant = |host: &&Arc<Object<Host>>| {
                !is_emptied(&emptied, host.name()) && need.hosts.matches(&host.meta.labels)
            };
            let Some(some) = hosts.find(is_meant) else { continue };
            let mut rest = std::iter::once(some).chain(hosts.filter(is_meant));
            let has_room = rest.any(|host| placement::fits(world, host, &need).is_ok());
            let lean = Lean { most, to: zone, least, has_room };
            if has_room {
                return Some(lean);
            }
            first = first.or(Some(lean));
        }
        first
    }
}

/// Whether people have just moved off a host what ran there.
fn is_emptied(emptied: &[&Arc<Object<Migration>>], host: &str) -> bool {
    emptied.iter().any(|migration| migration.status.hosts.contains(host))
}

fn most(world: &Snapshot, deployment: &str) -> u32 {
    world.in_zones(deployment).map(|(_, count)| count).max().unwrap_or(0)
}

fn count(world: &Snapshot, deployment: &str, zone: &str) -> u32 {
    world.in_zones(deployment).find(|(of, _)| *of == zone).map_or(0, |(_, count)| count)
}

/// The deployments that lie unevenly now that a zone has its first host for them.
pub(super) fn opened<'a>(
    world: &'a Snapshot,
    old: Option<&Any>,
    host: &Object<Host>,
) -> impl Iterator<Item = String> + use<'a> {
    let was_open = matches!(old, Some(Any::Host(old)) if old.is_open());
    let zone = host.zone().to_owned();
    let mut zones = world.open_hosts();
    let is_first = !was_open && zones.any(|(of, hosts)| *of == zone && hosts.len() == 1);
    let all = is_first.then(|| world.all::<Deployment>()).into_iter().flatten();
    all.map(|deployment| deployment.meta.name.clone())
        .filter(move |name| count(world, name, &zone) + 2 <= most(world, name))
}

/// Begins to move one instance or a few, where that is due.
pub(super) fn restore<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let Some(uneven) = &subject.object.status.uneven else { return };
    let settled = Rest::of(subject).is_settled && is_calm(subject, draft);
    if uneven.moving.is_some() || due(uneven) > subject.now || !settled || waits(subject).is_some()
    {
        return;
    }
    let has_room = Lean::of(subject, draft).is_some_and(|lean| lean.has_room);
    let release = subject.release_for_new().0;
    let emptied = crate::migration::emptied(subject.world, subject.now, subject.application);
    let host = draft.next_host(release).filter(|host| !is_emptied(&emptied, host));
    let (before, obstacles) = (draft.writes.len(), draft.obstacles.len());
    let surge = subject.rules.max_total(subject.wanted) - subject.wanted;
    let at_once = (subject.wanted / OF).min(surge).max(1);
    if !has_room || host.is_none() || draft.create(release, at_once) == 0 {
        return;
    }
    // Only one had to find a place.
    draft.obstacles.truncate(obstacles);
    let (from, moving) = pairs(subject, &draft.writes[before..]);
    draft.writes.truncate(before + moving.instances.len());
    if let Some(first) = moving.instances.first() {
        let what = match moving.instances.len() {
            1 => format!("{first} moves from {} to", zones(&from)),
            many => format!("{} move from {} to", instances(many), zones(&from)),
        };
        draft.because(SPREAD, format!("{what} {}", zones(&moving.to)));
        draft.moves = Some(moving);
    }
}

/// Which instances go for those that are made, one for one and from where the most are, as long as
/// each of these makes it more even; and the zones they are in.
fn pairs<'a>(subject: &'a Subject<'a>, made: &[Write]) -> (BTreeSet<String>, Moving) {
    let mut crowd = scale::crowd(subject);
    let mut placed: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut from, mut to, mut all) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for write in made {
        let Write::Put(Any::Instance(instance)) = write else { break };
        let Some(host) = subject.world.host(&instance.spec.host) else { break };
        let placed = placed.entry(host.zone()).or_default();
        let has = count(subject.world, subject.object.name(), host.zone()) + *placed;
        if !all.is_empty() && (crowd.most() as u32) < has + 2 {
            break;
        }
        let Some(member) = crowd.pop() else { break };
        *placed += 1;
        from.insert(member.zone().to_owned());
        to.insert(host.zone().to_owned());
        all.insert(member.name().to_owned());
    }
    (from, Moving { instances: all, to, since: subject.now })
}

/// Lets the instances that are moved go, once as many as are wanted have proved themselves besides;
/// or as many of them as can be spared, where that takes too long.
pub(super) fn finish<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let Some((moving, members)) = moved(subject) else { return };
    let proven = |m: &Member| {
        let at = m.proven_at(subject.rules.healthy_for);
        m.stays() && at.is_some_and(|at| at <= subject.now)
    };
    let serving = members.iter().filter(|member| member.ready).count() as u32;
    let spare = (subject.fleet.count(proven) + serving).saturating_sub(subject.wanted);
    let late = moving.since + subject.rules.deadline <= subject.now;
    if !draft.is_empty() || (spare < members.len() as u32 && !late) {
        return;
    }
    draft.allow(subject.counts.ready, subject.wanted);
    let mut gone = Vec::new();
    for member in members.into_iter().take(spare as usize) {
        if draft.stop(member) {
            gone.push(member.name());
        }
    }
    let to = zones(&moving.to);
    match gone.as_slice() {
        [] => {}
        [one] => draft.because(SPREAD, format!("{one} stops: another serves in {to}")),
        many => {
            draft.because(SPREAD, format!("{} stop: others serve in {to}", instances(many.len())));
        }
    }
}

/// What is being moved, while that is under way.
fn moved<'a>(subject: &'a Subject<'a>) -> Option<(&'a Moving, Vec<&'a Member<'a>>)> {
    let moving = subject.object.status.uneven.as_ref()?.moving.as_ref()?;
    let is = |m: &&Member| m.present() && m.moves;
    let members: Vec<&Member> = subject.fleet.0.iter().filter(is).collect();
    (!members.is_empty()).then_some((moving, members))
}

/// Whether what was made for it does not come up there.
fn is_vain(subject: &Subject) -> bool {
    misfit::unfit(subject).next().is_some()
}

/// Zones by name, in words.
fn zones(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("{} {}", if names.len() == 1 { "zone" } else { "zones" }, names.join(", "))
}

fn due(uneven: &Uneven) -> Timestamp {
    uneven.since + Span(LASTS.0 << uneven.failed.min(DOUBLED))
}

/// Nothing else is under way, and nothing is missing.
fn is_calm(subject: &Subject, draft: &Draft) -> bool {
    subject.progress.rollout.is_none() && draft.obstacles.is_empty() && subject.wanted > 0
}

/// What is waited for though it is due, in words.
fn waits(subject: &Subject) -> Option<String> {
    if subject.object.spec.paused {
        let name = subject.object.name();
        return Some(format!("once it goes on: atoll resume deployment/{name}"));
    }
    if subject.counts.ready < subject.wanted {
        return Some("once all are ready".to_owned());
    }
    let mut all = subject.world.all::<Migration>();
    let under_way = all.find(|migration| !migration.status.phase.is_over())?;
    Some(format!("once migration/{} is over", under_way.name()))
}

/// How it is, what is said of that, and when it is looked at again.
#[derive(Default)]
pub(super) struct Look {
    pub uneven: Option<Uneven>,
    pub reason: Option<Reason>,
    pub again_at: Option<Timestamp>,
}

pub(super) fn look(subject: &Subject, draft: &Draft, settled: bool) -> Look {
    let (stored, now) = (subject.object.status.uneven.clone(), subject.now);
    let since = stored.as_ref().map_or(now, |uneven| uneven.since);
    let failed = stored.as_ref().map_or(0, |uneven| uneven.failed);
    if let Some(moving) = &draft.moves {
        let uneven = Uneven { since, moving: Some(moving.clone()), failed };
        return Look { reason: Some(on_the_way(moving)), uneven: Some(uneven), again_at: None };
    }
    if let Some(Uneven { moving: Some(moving), .. }) = &stored {
        let ended = Uneven { since, moving: None, failed: 0 };
        let until = moving.since + subject.rules.deadline;
        return match moved(subject) {
            // It is settled first; what is still uneven is then moved at once.
            None => Look { uneven: Some(ended), ..Look::default() },
            Some(_) if subject.progress.rollout.is_some() => {
                Look { uneven: Some(Uneven { since: now, ..ended }), ..Look::default() }
            }
            Some(_) if (until <= now || is_vain(subject)) && draft.is_empty() => {
                let uneven = Uneven { since: now, moving: None, failed: failed + 1 };
                // What was made for it goes at once.
                Look { uneven: Some(uneven), again_at: Some(now), ..Look::default() }
            }
            Some(_) => Look {
                reason: Some(on_the_way(moving)),
                again_at: sooner(Some(until), subject.counts.proven_next),
                uneven: stored,
            },
        };
    }
    if subject.progress.rollout.is_some() {
        // It is counted from when that is over: a rollout makes and stops them where it can.
        return Look::default();
    }
    if !settled || !is_calm(subject, draft) {
        return Look { uneven: stored, ..Look::default() };
    }
    let Some(lean) = Lean::of(subject, draft) else { return Look::default() };
    let uneven = Uneven { since, moving: None, failed };
    let due = due(&uneven);
    let (what, again_at) = match waits(subject) {
        _ if !lean.has_room && !subject.object.status.misfits.is_empty() => {
            ("no host there that it comes up on has room for one more".to_owned(), now + LASTS)
        }
        _ if !lean.has_room => ("no host there has room for one more".to_owned(), now + LASTS),
        _ if due > now => (format!("one is moved at {due}"), due),
        Some(waits) => (format!("one is moved {waits}"), now + LASTS),
        None => ("one is moved".to_owned(), now + LASTS),
    };
    let message = format!(
        "a zone has {}, and zone {} has {}: {what}",
        instances(lean.most as usize),
        lean.to,
        lean.least
    );
    let reason = Reason::new(UNEVEN, message);
    let reason = match lean.has_room {
        true => reason,
        false => reason.hint("it is looked for again by itself; add a host there, or free one"),
    };
    Look { uneven: Some(uneven), reason: Some(reason), again_at: Some(again_at) }
}

fn on_the_way(moving: &Moving) -> Reason {
    let to = zones(&moving.to);
    let message = match (moving.instances.len(), moving.instances.first()) {
        (1, Some(one)) => format!("{one} stops once another serves in {to}"),
        (many, _) => format!("{} stop once others serve in {to}", instances(many)),
    };
    Reason::new(SPREAD, message)
}

/// What the gate holds is not begun.
pub(crate) fn held(status: &mut DeploymentStatus, old: &DeploymentStatus) {
    if status.uneven != old.uneven && status.uneven.as_ref().is_some_and(|u| u.moving.is_some()) {
        status.uneven = old.uneven.clone();
        status.reasons.retain(|reason| reason.code != SPREAD);
    }
}

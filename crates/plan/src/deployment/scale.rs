//! Scaling: as many instances as are wanted, no more and no fewer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::{Host, Object};

use super::Subject;
use super::draft::Draft;
use super::fleet::Member;

pub(super) fn scale<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let counts = &subject.counts;
    draft.allow(counts.ready, subject.floor());
    let missing = subject.wanted.saturating_sub(counts.staying + subject.kept_where_they_are());
    if missing > 0 {
        let made = fill(subject, draft, missing);
        if made > 0 {
            draft.because("scaled", format!("{made} of {missing} missing instances are created"));
        }
        return;
    }
    let most = match subject.progress.rollout {
        Some(_) => subject.rules.max_total(subject.wanted),
        None => subject.wanted,
    };
    trim(subject, draft, counts.staying.saturating_sub(most));
}

/// Creates up to `missing` instances, as far as the bounds of the rollout leave room for them.
pub(super) fn fill<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>, missing: u32) -> u32 {
    let counts = &subject.counts;
    let most = subject.rules.max_total(subject.wanted);
    // What has to leave its host is replaced first, one at a time where no surplus is allowed.
    let most = most.max(subject.wanted + u32::from(counts.leaving > 0));
    let room = most.saturating_sub(counts.total);
    let (release, at_most) = subject.release_for_new();
    let count = missing.min(room).min(at_most);
    if count == 0 { 0 } else { draft.make_up(release, missing, count) }
}

/// Stops `surplus` instances: first what does not serve, then from the most crowded zones and
/// hosts, the highest ordinals first.
pub(super) fn trim<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>, surplus: u32) {
    if surplus == 0 {
        return;
    }
    let here = subject.fleet.0.iter().filter(|m| m.stays());
    let mut stopped = 0;
    if subject.progress.rollout.is_some() {
        // What has come as far as the target is not given up for what has not.
        let old = here.clone().filter(|m| draft.is_free(m) && !m.is_on(subject.target.name()));
        stopped = stop_crowded(draft, old.collect(), surplus);
    }
    let rest: Vec<&Member> = here.filter(|m| draft.is_free(m)).collect();
    stopped += match subject.application.spec.run.volumes.is_empty() {
        true => stop_crowded(draft, rest, surplus - stopped),
        false => stop_last(draft, rest, surplus - stopped),
    };
    if stopped > 0 {
        draft.because(
            "surplus",
            format!("{} beyond what is wanted", crate::instances(stopped as usize)),
        );
    }
}

/// Stops up to `count` of the members with the highest ordinals: what they keep in volumes is found
/// again by the ordinal, and new instances take the lowest that is free. Returns how many.
fn stop_last<'a>(draft: &mut Draft<'a>, mut members: Vec<&'a Member<'a>>, count: u32) -> u32 {
    members.sort_by_key(|member| std::cmp::Reverse(member.seat.ordinal));
    let mut stopped = 0;
    for member in members {
        if stopped < count {
            stopped += u32::from(draft.stop(member));
        }
    }
    stopped
}

/// Stops up to `count` of the members in that order; returns how many.
pub(super) fn stop_crowded<'a>(
    draft: &mut Draft<'a>,
    mut members: Vec<&'a Member<'a>>,
    count: u32,
) -> u32 {
    let mut stopped = 0;
    // Not ready ones go first, and of these the ones least likely to become so.
    let mut idle: Vec<&Member> = members.iter().copied().filter(|m| !m.ready).collect();
    idle.sort_by_key(|m| (promise(m), std::cmp::Reverse(m.seat.ordinal)));
    for member in idle {
        if stopped < count {
            stopped += u32::from(draft.stop(member));
        }
    }
    members.retain(|m| m.ready);
    let mut crowd = Crowd::of(&members);
    while stopped < count {
        let Some(member) = crowd.pop() else { break };
        if !draft.stop(member) {
            break;
        }
        stopped += 1;
    }
    stopped
}

/// Those that serve, to take from where they lie too close.
pub(super) fn crowd<'a>(subject: &'a Subject<'a>) -> Crowd<'a> {
    let serving: Vec<&Member> = subject.fleet.0.iter().filter(|m| m.stays() && m.ready).collect();
    Crowd::of(&serving)
}

/// How near an instance that is not ready is to becoming so.
fn promise(member: &Member) -> u8 {
    use atoll_model::deployment::InstancePhase::*;
    match member.object.status.phase {
        Unknown | Stopped | Stopping => 0,
        CrashLoop => 1,
        Unready => 2,
        Pending => 3,
        Fetching => 4,
        Starting => 5,
        Ready => 6,
    }
}

/// Members by zone and host, to take from where there are most.
pub(super) struct Crowd<'a> {
    zones: BTreeMap<&'a str, ZoneCrowd<'a>>,
}

#[derive(Default)]
struct ZoneCrowd<'a> {
    count: usize,
    /// Each host with how many it has and the highest ordinal among them.
    order: BTreeSet<(usize, u32, HostKey)>,
    hosts: BTreeMap<HostKey, Vec<&'a Member<'a>>>,
}

/// The address of a host's object. It only tells hosts apart: no two members have one ordinal, so
/// that the order never goes by it.
type HostKey = Option<*const Object<Host>>;

impl<'a> Crowd<'a> {
    fn of(members: &[&'a Member<'a>]) -> Crowd<'a> {
        let mut crowd = Crowd { zones: BTreeMap::new() };
        // By ordinal, so the last of each host is its highest.
        for member in members.iter().copied() {
            let zone = crowd.zones.entry(member.zone()).or_default();
            zone.count += 1;
            let host = member.seat.host.as_ref().map(Arc::as_ptr);
            zone.hosts.entry(host).or_default().push(member);
        }
        for zone in crowd.zones.values_mut() {
            zone.order = zone.hosts.iter().filter_map(|(host, list)| key(*host, list)).collect();
        }
        crowd
    }

    /// How many the zone has that is taken from next.
    pub fn most(&self) -> usize {
        self.zones.values().map(|zone| zone.count).max().unwrap_or(0)
    }

    /// Takes one out.
    pub fn pop(&mut self) -> Option<&'a Member<'a>> {
        let fullest = self.zones.values_mut().max_by_key(|z| (z.count, z.order.last().copied()))?;
        let (_, _, host) = fullest.order.pop_last()?;
        let list = fullest.hosts.get_mut(&host)?;
        let member = list.pop();
        fullest.order.extend(key(host, list));
        fullest.count -= 1;
        member
    }
}

fn key(host: HostKey, list: &[&Member]) -> Option<(usize, u32, HostKey)> {
    list.last().map(|last| (list.len(), last.seat.ordinal, host))
}

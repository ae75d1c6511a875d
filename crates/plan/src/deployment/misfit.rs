//! Hosts on which a release does not come up while it serves on others: what is wrong there (a
//! program, a file, a mount that is missing) nobody tells. For a while nothing more of the
//! deployment is placed there, of whatever release, and what dies there again and again is made
//! elsewhere. A release that comes up nowhere is none of this (`progress.rs`).

use std::collections::BTreeMap;

use atoll_model::deployment::InstancePhase;
use atoll_model::{Reason, Span, Timestamp};

use super::Subject;
use super::draft::Draft;
use super::fleet::Member;
use super::heal;
use super::replace::Next;
use crate::sooner;

/// So long it is waited whether it comes up after all.
const LASTS: Span = Span::seconds(30);
/// After this it is tried there again.
const HOLDS: Span = Span::seconds(3_600);

/// Which hosts these are, what is said of them, and when that is looked at again.
#[derive(Default)]
pub(super) struct Look {
    pub hosts: BTreeMap<String, Timestamp>,
    pub reason: Option<Reason>,
    pub again_at: Option<Timestamp>,
}

pub(super) fn look(subject: &Subject) -> Look {
    let now = subject.now;
    let mut hosts = subject.object.status.misfits.clone();
    let dies = |host: &String| {
        let mut fleet = subject.fleet.0.iter();
        fleet.any(|member| member.object.spec.host == *host && is_unfit(subject, member))
    };
    hosts.retain(|host, since| {
        let holds = *since + HOLDS > now || dies(host);
        holds && subject.world.host(host).is_some() && !serves_on(subject, host)
    });
    let mut again_at = None;
    for member in subject.fleet.0.iter().filter(|member| is_unfit(subject, member)) {
        let host = &member.object.spec.host;
        let due = member.object.status.since.unwrap_or(now) + LASTS;
        match due <= now {
            // Another one is made at once.
            true if !hosts.contains_key(host) => {
                again_at = Some(now);
                hosts.insert(host.clone(), now);
            }
            true => {}
            false => again_at = sooner(again_at, Some(due)),
        }
    }
    if hosts.is_empty() {
        return Look { again_at, ..Look::default() };
    }
    // What still dies there needs no other try.
    let until = hosts.values().map(|since| *since + HOLDS).filter(|until| *until > now).min();
    let before = until.map(|until| format!(" before {until}")).unwrap_or_default();
    let named: Vec<&str> = hosts.keys().map(String::as_str).collect();
    let message = format!(
        "it does not come up on {}, and serves on other hosts: nothing of it is placed \
         there{before}, unless there is no other",
        named.join(", ")
    );
    let reason = Reason::new("misfit", message).hint("see what is missing there");
    Look { reason: Some(reason), hosts, again_at: sooner(again_at, until) }
}

/// The instances that do not come up on hosts of which that is known.
pub(super) fn unfit<'a, 'x>(subject: &'x Subject<'a>) -> impl Iterator<Item = &'x Member<'a>> {
    let hosts = &subject.object.status.misfits;
    let there = |member: &&Member| hosts.contains_key(&member.object.spec.host);
    subject.fleet.0.iter().filter(there).filter(|member| is_unfit(subject, member))
}

/// Makes one that does not come up on such a host elsewhere, where there is a place: one at a time,
/// as all that a plan creates is placed together. One that was to make it more even is not made
/// again (`spread.rs`).
pub(super) fn replace<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) -> bool {
    if subject.object.status.uneven.as_ref().is_some_and(|uneven| uneven.moving.is_some()) {
        return false;
    }
    let fits = |member: &&Member<'a>| {
        draft.fits(heal::release_of(subject, member), &Next::instead_of(subject, member))
    };
    let Some(member) = unfit(subject).find(fits) else { return false };
    if !heal::make_room(subject, draft, member) {
        return false;
    }
    let host = &member.object.spec.host;
    draft.because("misfit", format!("{} does not come up on {host}", member.name()));
    draft.stop(member)
}

/// Whether an instance dies again and again where it is, and its host is to blame: its release
/// serves and has proved itself on another, and on this one nothing of the deployment does.
fn is_unfit(subject: &Subject, member: &Member) -> bool {
    let host = &member.object.spec.host;
    let proven = |other: &Member| {
        let at = other.proven_at(subject.rules.healthy_for);
        other.is_on(&member.seat.release) && at.is_some_and(|at| at <= subject.now)
    };
    member.object.status.phase == InstancePhase::CrashLoop
        && member.stays()
        && member.broken()
        && subject.application.spec.run.volumes.is_empty()
        && subject.fleet.0.iter().any(|other| other.object.spec.host != *host && proven(other))
        && !serves_on(subject, host)
}

/// Whether anything of the deployment serves on a host.
fn serves_on(subject: &Subject, host: &str) -> bool {
    let mut fleet = subject.fleet.0.iter();
    fleet.any(|member| member.ready && member.object.spec.host == host)
}

//! Healing: what is lost is replaced, what has to leave its host is moved, and what is too many
//! since a host came back is taken away. It changes no release and no target.

use atoll_model::deployment::PortTries;
use atoll_model::snapshot::Standing;
use atoll_model::{Any, Intent, Object, Release, Span, Timestamp, Write};

use super::Subject;
use super::draft::Draft;
use super::fleet::Member;
use super::replace::Next;
use super::{misfit, scale, spread};

/// A fixed port that is taken where no host tells is tried elsewhere after this time at first, and
/// after twice as long each time that is in vain.
const FIRST_WAIT: Span = Span::seconds(10);
/// And after no longer than this.
const LONGEST_WAIT: Span = Span::seconds(300);

pub(super) fn heal<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let gone = subject.fleet.0.iter().filter(|member| member.place == Standing::Gone);
    for member in gone {
        draft.because("host-gone", format!("{} has no host any more", member.name()));
        draft.forget(member);
    }
    draft.allow(subject.counts.ready, subject.floor());
    if replace_port_taker(subject, draft) || misfit::replace(subject, draft) {
        return;
    }
    let kept = keep(subject, draft);
    if kept == 0 {
        leave(subject, draft);
    }
    let reached = subject.object.status.reached.min(subject.wanted);
    let missing = reached.saturating_sub(subject.counts.staying + kept);
    if missing > 0 {
        let made = scale::fill(subject, draft, missing);
        if made > 0 {
            draft.because(
                "replaced",
                format!("{} made for what is lost or leaving", crate::instances(made as usize)),
            );
        }
    }
    let unchanged = subject.object.status.reached == subject.wanted;
    if unchanged && subject.progress.rollout.is_none() {
        scale::trim(subject, draft, subject.counts.staying.saturating_sub(subject.wanted));
    }
    spread::finish(subject, draft);
}

/// What it is for: where nothing is missing, and all it does is to move what serves elsewhere, or
/// to take away what is too many, nothing is healed.
pub(super) fn intent(subject: &Subject, draft: &Draft) -> Intent {
    let reached = subject.object.status.reached.min(subject.wanted);
    let present = subject.fleet.count(|member| member.present());
    let (is_whole, is_beyond) = (present >= reached, present > subject.wanted);
    let moves = |write: &Write| match write {
        Write::Put(Any::Instance(new)) => match subject.fleet.by_ordinal(new.spec.ordinal) {
            // What is beyond what is wanted is in nobody's place, but for what cannot get a port.
            Some(member) if is_beyond && !member.lacks_port() => true,
            Some(member) => member.place == Standing::Leaving,
            None => is_whole || new.spec.replaces.is_some(),
        },
        _ => false,
    };
    if draft.writes.iter().all(moves) { Intent::Migrate } else { Intent::Heal }
}

/// An instance that was given a port which something else uses is made anew with another, here or
/// elsewhere; where there is no other, it is left to try again. One at a time, and nothing else
/// is placed by the same plan: all creations of a plan are placed together.
fn replace_port_taker<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) -> bool {
    let mut due = None;
    for member in subject.fleet.0.iter().filter(|member| member.lacks_port()) {
        match tried_at(subject, member) {
            Some(at) if at > subject.now => {
                draft.again_at = crate::sooner(draft.again_at, Some(at))
            }
            _ => due = due.or(Some(member)),
        }
    }
    let Some(member) = due else { return false };
    let fixed = fixed_ports(subject, member);
    if !make_room(subject, draft, member) {
        return false;
    }
    let gets = match fixed.is_empty() {
        true => "gets another port",
        false => "goes where its port may be free",
    };
    if tried_at(subject, member).is_some() {
        draft.port_tries = Some(count_try(subject, member));
    }
    draft.because("port-taken", format!("{} {gets}", member.name()));
    draft.stop(member)
}

/// Makes one in the place of an instance that does not serve where it is; or finds that there is a
/// host for it, where there may be no more of them at once. It still has to be stopped.
pub(super) fn make_room<'a>(
    subject: &'a Subject<'a>,
    draft: &mut Draft<'a>,
    member: &Member<'a>,
) -> bool {
    let release = release_of(subject, member);
    // One more than heals otherwise: it takes no part until it serves.
    let more = 1 + u32::from(subject.counts.leaving > 0);
    let most = subject.rules.max_total(subject.wanted).max(subject.wanted + more);
    let next = Next::instead_of(subject, member);
    match subject.counts.total < most {
        true => draft.create_next(release, &next) == 1,
        false => draft.has_host(release, &next),
    }
}

/// The release of what is made in the place of an instance.
pub(super) fn release_of<'a>(subject: &Subject<'a>, member: &Member) -> &'a Object<Release> {
    match member.is_on(subject.target.name()) {
        true => subject.target.release.as_ref(),
        false => subject.release_for_new().0,
    }
}

/// When another host is tried for an instance that lacks a fixed port: at once where its own host
/// tells that it is taken, else ever later, as all of them may have it taken and not tell.
pub(super) fn tried_at(subject: &Subject, member: &Member) -> Option<Timestamp> {
    let fixed = fixed_ports(subject, member);
    let host = member.seat.host.as_ref();
    let is_told = |port| host.is_some_and(|host| host.status.taken_ports.contains(port));
    if fixed.is_empty() || fixed.iter().any(is_told) {
        return None;
    }
    let made = member.object.meta.created_at.unwrap_or_default();
    let before = subject.object.status.port_tries.map_or(0, |tries| match made < tries.since {
        true => tries.count.saturating_sub(1),
        false => tries.count,
    });
    Some(made + Span(FIRST_WAIT.0 << before.min(10)).min(LONGEST_WAIT))
}

/// Counts that another host is tried for an instance: those that were made for the same try count
/// once.
fn count_try(subject: &Subject, member: &Member) -> PortTries {
    let made = member.object.meta.created_at.unwrap_or_default();
    match subject.object.status.port_tries {
        Some(tries) if made < tries.since => tries,
        tries => PortTries { count: tries.map_or(0, |t| t.count) + 1, since: subject.now },
    }
}

/// The ports of an instance that its release names itself.
pub(super) fn fixed_ports(subject: &Subject, member: &Member) -> Vec<u16> {
    let release = subject.world.get::<Release>(&member.seat.release);
    let ports = release.into_iter().flat_map(|release| release.spec.run.ports.values());
    ports.copied().filter(|port| *port != 0).collect()
}

/// Says which instances are not replaced elsewhere, as what they keep is where they are; how many.
fn keep<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) -> u32 {
    let kept = subject.kept_where_they_are();
    if kept > 0 {
        let message = format!(
            "{} on hosts that are lost or being emptied: what they keep in volumes is there",
            crate::instances(kept as usize)
        );
        let hint = "bring the host back; to begin anew elsewhere, delete the host";
        draft.obstacles.push(atoll_model::Reason::new("volume-elsewhere", message).hint(hint));
    }
    kept
}

/// Takes instances off hosts that are being emptied: at once where they do not serve, otherwise
/// when there is another that does.
fn leave<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let leaving = |member: &&Member| {
        member.place == Standing::Leaving
            && member.present()
            && draft.is_free(member)
            && !member.moves
    };
    let mut members: Vec<&Member> = subject.fleet.0.iter().filter(leaving).collect();
    if members.is_empty() {
        return;
    }
    // What another was made for goes first, and last what waits for one where a migration moves it.
    let waits = |m: &Member| !m.replaced && m.moved_by.is_some();
    members.sort_by_key(|m| (m.ready, !m.replaced, waits(m), std::cmp::Reverse(m.seat.ordinal)));
    // Until every replacement has found a place, only what is already replaced may go.
    let placed = subject.counts.staying >= subject.wanted;
    let keep = if placed { subject.floor() } else { subject.wanted };
    draft.allow(subject.counts.ready, keep);
    let mut moved = 0;
    for member in members {
        moved += u32::from(draft.stop(member));
    }
    if moved > 0 {
        draft.because(
            "draining",
            format!("{} moved off hosts that are emptied", crate::instances(moved as usize)),
        );
    }
}

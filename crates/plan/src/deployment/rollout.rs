//! One step of a rollout, or of the way back: which instances are updated where they are, made
//! anew beside the old ones, or stopped. Whether it may go on is judged in `progress.rs`.

use std::collections::BTreeMap;

use atoll_model::Reason;
use atoll_model::rollout::Strategy;

use super::Subject;
use super::draft::Draft;
use super::fleet::Member;
use super::scale;
use crate::budget::dear::Replaced;
use crate::instances;

pub(super) fn step<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let Some(rollout) = &subject.progress.rollout else { return };
    let back = subject.goes_back();
    if subject.is_halted() && !back {
        return;
    }
    let before = draft.writes.len();
    match subject.rules.strategy {
        Strategy::BlueGreen if !back => beside(subject, draft),
        _ => in_turn(subject, draft),
    }
    let count = draft.writes.len() - before;
    if count > 0 {
        let to = &rollout.to;
        if back {
            draft.because("rolling-back", format!("{} on the way back to {to}", instances(count)));
        } else {
            draft.because("rolling-out", format!("{} on the way to {to}", instances(count)));
        }
    }
    if subject.progress.soaking.is_some() {
        fetch_ahead(subject, draft);
    }
}

/// Instances that serve and are not about to be counted on: on the way out only what is proven
/// on the target may stand in for what is taken down, on the way back whatever is ready.
fn available(subject: &Subject) -> u32 {
    let counts = &subject.counts;
    if subject.goes_back() {
        counts.ready
    } else {
        counts.ready - counts.updated_ready + counts.proven
    }
}

/// One batch after the other: in place as many as may be missing, and beside them as many as there
/// may be beyond those wanted.
fn in_turn<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let counts = &subject.counts;
    let floor = subject.rules.min_ready(subject.wanted);
    draft.allow(available(subject), floor);
    let mut need = subject.progress.bound.saturating_sub(counts.updated);
    if need == 0 {
        // Everything wanted is on the target: what is left of the old is surplus.
        if subject.progress.bound >= subject.wanted {
            let old = subject.fleet.0.iter().filter(|m| is_old(subject, m));
            scale::stop_crowded(draft, old.collect(), counts.old);
        }
        return;
    }
    let release = subject.target.release;
    let mut replaces = false;
    let batch = batch(subject);
    let waits = wait_for(subject, draft);
    if batch.is_empty() && waits {
        return;
    }
    let obstacles = draft.obstacles.len();
    let serve_elsewhere = |m: &&Member| m.ready && !m.can_run(&release.spec);
    let serving: Vec<&Member> = batch.iter().copied().filter(serve_elsewhere).collect();
    let mut replaceable = draft.replaceable(release, &serving[..serving.len().min(need as usize)]);
    for member in batch {
        if need == 0 {
            break;
        }
        let done = if member.can_run(&release.spec) {
            draft.update(member, release)
        } else if !member.ready || replaceable > 0 {
            replaces = true;
            replaceable -= u32::from(member.ready);
            draft.stop(member)
        } else {
            false
        };
        need -= u32::from(done);
        draft.moving += u32::from(done);
    }
    let goes_on = draft.moving > 0 || counts.updated > counts.proven;
    let room = subject.rules.max_total(subject.wanted).saturating_sub(counts.total).min(need);
    if room > 0 {
        draft.obstacles.truncate(obstacles);
        draft.moving += draft.create_for(release, room, Replaced::Some);
    }
    // Where others are brought there where they are, it does not wait for more hosts.
    if goes_on && !replaces {
        draft.obstacles.truncate(obstacles);
    }
}

fn is_old(subject: &Subject, member: &Member) -> bool {
    member.stays() && !member.is_on(subject.target.name())
}

/// Whether an instance that does not serve has nothing against it on what has been good here: its
/// engine is away, or it is just coming up again. To bring it to what is unproven would cost what
/// is known to serve.
fn is_away(subject: &Subject, member: &Member) -> bool {
    let good = subject.object.status.last_good.as_deref();
    !subject.goes_back()
        && good.is_some_and(|good| member.is_on(good))
        && (member.engine_away().is_some() || member.comes_up_until(subject.now).is_some())
}

/// Says which instances are waited for before they are updated, and why. Whether there are any.
fn wait_for<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) -> bool {
    let old = subject.fleet.0.iter().filter(|m| is_old(subject, m));
    let away: Vec<_> = old.filter(|m| is_away(subject, m)).collect();
    let missing = away.iter().find_map(|m| Some((m, m.engine_away()?.message.as_str())));
    let comes_up = away.first().map(|m| (m, "it is coming up again"));
    let Some((first, why)) = missing.or(comes_up) else { return false };
    let (name, spec) = (first.name(), &first.object.spec);
    let message = format!(
        "not updated while what they run cannot be seen: {} on {}: {name} on {}: {why}",
        instances(away.len()),
        spec.release,
        spec.host
    );
    let hint = "it goes on by itself once they serve, or are seen not to";
    draft.obstacles.push(Reason::new("instances-away", message).hint(hint));
    let comes_up = away.iter().filter_map(|m| m.comes_up_until(subject.now));
    draft.again_at = comes_up.min();
    true
}

/// The instances to be updated, in order: what does not serve costs nothing and goes first, then
/// what is neither on the target nor on the last good release; each spread over the zones. What is
/// away for no fault of its own is not among them.
fn batch<'a>(subject: &'a Subject<'a>) -> Vec<&'a Member<'a>> {
    let good = subject.object.status.last_good.as_deref();
    let mut in_zone: BTreeMap<(u8, &str), u32> = BTreeMap::new();
    let mut batch: Vec<_> = Vec::new();
    let old = subject.fleet.0.iter().filter(|m| is_old(subject, m) && !is_away(subject, m));
    for member in old {
        let class = match member {
            m if !m.ready => 0,
            m if good.is_some_and(|good| !m.is_on(good)) => 1,
            _ => 2,
        };
        let turn = in_zone.entry((class, member.zone())).or_default();
        batch.push(((class, *turn), member));
        *turn += 1;
    }
    batch.sort_by_key(|(order, _)| *order);
    batch.into_iter().map(|(_, member)| member).collect()
}

/// All new ones beside the old ones, then the switch: the old ones stop.
fn beside<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let counts = &subject.counts;
    if counts.updated < subject.wanted {
        let room = subject.rules.max_total(subject.wanted).saturating_sub(counts.total);
        let missing = (subject.wanted - counts.updated).min(room);
        if missing > 0 {
            draft.moving += draft.create_for(subject.target.release, missing, Replaced::All);
        }
    } else if counts.proven >= subject.wanted {
        draft.allow(available(subject), subject.rules.min_ready(subject.wanted));
        let old = subject.fleet.0.iter().filter(|m| is_old(subject, m));
        scale::stop_crowded(draft, old.collect(), counts.old);
    }
}

/// While a step is watched, the hosts of the next one fetch the package and the image.
fn fetch_ahead<'a>(subject: &'a Subject<'a>, draft: &mut Draft<'a>) {
    let release = subject.target.release;
    if release.spec.package.is_none() && release.pinned_image().is_none() {
        return;
    }
    let next = subject.progress.next_bound.saturating_sub(subject.counts.updated);
    let next = batch(subject).into_iter().take(next as usize);
    for member in next {
        let has = member.object.spec.prefetch.as_deref() == Some(release.name());
        if !has && member.can_run(&release.spec) && draft.is_free(member) {
            draft.prefetch(member, release.name());
        }
    }
}

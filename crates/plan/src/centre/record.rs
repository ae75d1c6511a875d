//! What became of the decisions of a policy, and which of them are kept. Decisions that are swept
//! away stay in the sums.

use std::sync::Arc;

use atoll_model::centre::TrackRecord;
use atoll_model::centre::action::Action;
use atoll_model::centre::decision::Helped;
use atoll_model::{Decision, Object, Policy, Snapshot, Timestamp};

/// So many decisions of a policy that are over are kept.
const KEPT: usize = 200;
/// Actions are counted over so much.
const DAY_MS: i64 = 86_400_000;

/// What is kept of a policy's decisions.
pub(super) struct Kept<'a> {
    /// The sum of those that stay.
    pub sum: TrackRecord,
    /// Those that go, the oldest first.
    pub over: Vec<&'a Arc<Object<Decision>>>,
}

/// Whether a decision followed this policy, and not one of the same name that was there before.
pub(super) fn is_of(decision: &Object<Decision>, policy: &Object<Policy>) -> bool {
    decision.status.policy == policy.name() && decision.meta.created_at >= policy.meta.created_at
}

/// Sums up the decisions that followed a policy.
///
/// **Invariant:** whatever goes is counted once, with what is forgotten; and what was done within
/// a day stays, so that limits are counted on all of it; as does what took something that is to be
/// given back.
pub(super) fn of<'a>(world: &'a Snapshot, policy: &Object<Policy>) -> Kept<'a> {
    let own = world.all::<Decision>().filter(|decision| is_of(decision, policy));
    let own: Vec<&Arc<Object<Decision>>> = own.collect();
    let latest = own.iter().filter_map(|d| d.status.ended_at).max().unwrap_or_default();
    let may_go = |decision: &&&Arc<Object<Decision>>| {
        let status = &decision.status;
        let lately = |at: Timestamp| latest.0 - at.0 < DAY_MS;
        let owes = super::back::is_open(world, decision);
        status.ended_at.is_some() && !status.acted_at.is_some_and(lately) && !owes
    };
    let mut old: Vec<&Arc<Object<Decision>>> = own.iter().filter(may_go).copied().collect();
    old.sort_by_key(|decision| (decision.status.ended_at, &decision.meta.name));
    let ended = own.iter().filter(|decision| decision.status.ended_at.is_some()).count();
    old.truncate(ended.saturating_sub(KEPT));
    let goes = |decision: &Object<Decision>| old.iter().any(|o| o.name() == decision.name());
    let stays = own.iter().filter(|decision| !goes(decision));
    let sum = stays.fold(TrackRecord::default(), |sum, decision| sum.plus(one(decision)));
    Kept { sum, over: old }
}

/// What one decision adds. Giving back is no action of its own, but the end of another: whether
/// that helped is counted there.
pub(super) fn one(decision: &Object<Decision>) -> TrackRecord {
    let status = &decision.status;
    if matches!(status.action, Some(Action::GiveBack(_))) {
        return TrackRecord::default();
    }
    let said = decision.spec.feedback.as_ref().map(|feedback| feedback.right);
    let came = status.effect.as_ref().map(|effect| effect.verdict);
    TrackRecord {
        decisions: 1,
        acted: u32::from(status.acted_at.is_some()),
        right: u32::from(said == Some(true)),
        wrong: u32::from(said == Some(false)),
        helped: u32::from(came == Some(Helped::Helped)),
        did_not: u32::from(came == Some(Helped::DidNot)),
        unknown: u32::from(came == Some(Helped::Unknown)),
    }
}

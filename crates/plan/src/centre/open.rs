//! Which decisions there are about a thing: those that are not over, the last that was carried out,
//! and what the next is called. It decides nothing.

use std::sync::Arc;

use atoll_model::centre::action::Action;
use atoll_model::centre::decision::{DecisionPhase, DecisionStatus, Helped};
use atoll_model::{Decision, Kind, Object, Snapshot, Timestamp};

use super::subject::root_of;

/// The decision about a thing that is not over, if there is one.
pub(crate) fn about<'a>(world: &'a Snapshot, subject: &str) -> Option<&'a Arc<Object<Decision>>> {
    all_about(world, subject).next()
}

/// The decision about a thing that waits for people, beside which what another took may be given
/// back: that is nobody's to wait for.
pub(super) fn waits_for_people<'a>(
    world: &'a Snapshot,
    subject: &str,
    own: &str,
) -> Option<&'a Arc<Object<Decision>>> {
    let mut others = all_about(world, subject).filter(|other| other.name() != own);
    others.find(|other| other.status.phase == DecisionPhase::Waiting)
}

/// All decisions about a thing that are not over.
pub(super) fn all_about<'a>(
    world: &'a Snapshot,
    subject: &str,
) -> impl Iterator<Item = &'a Arc<Object<Decision>>> {
    let all = every(world, subject).into_iter();
    all.filter(|decision| decision.status.ended_at.is_none())
}

/// All decisions that are not over about a thing and what hangs together with it.
pub(crate) fn near<'a>(world: &'a Snapshot, root: &str) -> Vec<&'a Arc<Object<Decision>>> {
    let all = world.all::<Decision>().filter(|decision| decision.status.ended_at.is_none());
    all.filter(|decision| root_of(&decision.spec.subject) == root).collect()
}

fn every<'a>(world: &'a Snapshot, subject: &str) -> Vec<&'a Arc<Object<Decision>>> {
    // Asked of every change of whatever there is, and most fleets have few decisions.
    if world.count(Kind::Decision) == 0 {
        return Vec::new();
    }
    let parent = subject.replace('/', ".");
    let all: Vec<_> = world.derived::<Decision>(&parent).collect();
    // What is named alike may be about something else.
    all.into_iter().filter(|decision| decision.spec.subject == subject).collect()
}

/// When the last that was carried out about a thing was, and when it was known what came of it.
/// What was given back too soon is none of these: it is wanted again for that very reason. Nor is
/// what was given back after `asked`, when a decision was made that people are asked about.
pub(super) fn last_acted(
    world: &Snapshot,
    subject: &str,
    asked: Option<Timestamp>,
) -> Option<(Timestamp, Timestamp)> {
    let too_soon = |status: &DecisionStatus| {
        status.effect.as_ref().is_some_and(|effect| effect.verdict == Helped::DidNot)
    };
    let beside = |decision: &Object<Decision>| asked.is_some() && decision.meta.created_at > asked;
    let left_out = |decision: &Object<Decision>| {
        matches!(decision.status.action, Some(Action::GiveBack(_)))
            && (too_soon(&decision.status) || beside(decision))
    };
    let acted = every(world, subject).into_iter().filter(|decision| !left_out(decision));
    let times =
        acted.filter_map(|decision| Some((decision.status.acted_at?, decision.status.ended_at?)));
    times.max_by_key(|(_, ended)| *ended)
}

/// The name of the next decision about a thing.
pub(super) fn next_name(world: &Snapshot, subject: &str) -> String {
    let number = |decision: &&Arc<Object<Decision>>| -> u64 {
        let last = decision.meta.name.rsplit_once('.');
        last.and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    };
    let last = every(world, subject).iter().map(number).max().unwrap_or(0);
    format!("{}.{}", subject.replace('/', "."), last + 1)
}

//! Which past changes a standard would have stopped, were it enforced then. It is asked before it
//! is. The history is read elsewhere, and given here change by change.

use std::sync::Arc;

use atoll_model::policy::{Failing, Replay, Stopped};
use atoll_model::{Any, Object, Standard, Timestamp};

use super::check::survey;
use super::facts::Scene;
use super::judge::{Judgement, Meter, judge};
use crate::Context;

/// So many of the changes it would have stopped are told.
const TOLD: usize = 50;

/// One past change of an object by a person.
pub struct Change<'a> {
    /// The revision it was committed with.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: &'a str,
    /// The object before; none, if it was new.
    pub old: Option<&'a Any>,
    /// The object after.
    pub new: &'a Any,
}

/// A replay under way.
pub struct Replaying<'a> {
    cx: &'a Context<'a>,
    standard: &'a Arc<Object<Standard>>,
    told: Replay,
}

impl<'a> Replaying<'a> {
    /// Begins one.
    pub fn new(cx: &'a Context<'a>, standard: &'a Arc<Object<Standard>>) -> Replaying<'a> {
        let told = Replay { standard: standard.meta.name.clone(), ..Replay::default() };
        Replaying { cx, standard, told }
    }

    /// Looks at the next change, the oldest first.
    pub fn look(&mut self, change: &Change) {
        let same = change.old.is_some_and(|old| {
            old.same_spec(change.new) && old.meta().labels == change.new.meta().labels
        });
        if same || change.new.meta().deleting() {
            return;
        }
        let stops = match self.judge(change.new) {
            Judgement::NotMeant => return,
            Judgement::Kept => None,
            Judgement::Broken { message, measure, .. } => {
                let before = change.old.map(|old| self.judge(old));
                is_worse(before.as_ref(), measure).then_some(message)
            }
            Judgement::Unknown(why) => {
                self.told.unknown += 1;
                (self.standard.spec.failure == Failing::Closed).then_some(why)
            }
        };
        self.told.changes += 1;
        self.told.from = self.told.from.or(Some(change.at));
        if let Some(message) = stops {
            self.told.stopped += 1;
            if self.told.stops.len() == TOLD {
                self.told.stops.remove(0);
            }
            self.told.stops.push(Stopped {
                revision: change.revision,
                at: change.at,
                actor: change.actor.to_owned(),
                subject: change.new.id(),
                message,
            });
        }
    }

    fn judge(&self, subject: &Any) -> Judgement {
        judge(self.standard, &Scene::of(self.cx.world, subject), &mut Meter::default())
    }

    /// What came of it, the newest change first.
    pub fn end(mut self) -> Replay {
        let now = survey(self.cx.world, self.standard);
        (self.told.objects_now, self.told.broken_now) = (now.meant, now.broken);
        self.told.stops.reverse();
        self.told
    }
}

/// Whether an object that breaks a standard breaks it more than before.
///
/// **Invariant:** what broke a standard before a change is not refused for breaking it no more, so
/// no standard stands in the way of its own repair.
pub(crate) fn is_worse(before: Option<&Judgement>, measure: Option<f64>) -> bool {
    match before {
        Some(Judgement::Broken { measure: was, .. }) => {
            was.zip(measure).is_some_and(|(was, is)| is > was)
        }
        Some(Judgement::Unknown(_)) => false,
        Some(Judgement::Kept | Judgement::NotMeant) | None => true,
    }
}

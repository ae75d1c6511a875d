//! What is different about a container whose work is done once: it is never started a second time,
//! its end is the end, and its time is bounded. The engine remembers what was begun, whatever
//! becomes of the agent.

use std::time::Duration;

use atoll_model::Span;

use super::{Aim, Warden};
use crate::clock;
use crate::engine::Seen;
use crate::runtime::orders::Phase;

/// What is left of its log is waited for this long after its end.
const DRAIN: Duration = Duration::from_secs(15);

impl Warden {
    /// Bounds the time of such work.
    pub(super) fn bound_time(&mut self) {
        let Some(once) = &self.orders.once else { return };
        let gone = self.state.started_at.map_or(Span(0), |at| clock::now().since(at));
        let left = Span(once.timeout.0.saturating_sub(gone.0));
        self.late_at = clock::instant().checked_add(left.std());
    }

    /// Whether such work was begun, as far as the container and what was written down tell.
    pub(super) fn has_begun(&self, seen: Option<&Seen>) -> bool {
        self.orders.once.is_some()
            && match seen {
                Some(seen) => seen.begun && self.is_ours(seen),
                None => self.state.started_at.is_some(),
            }
    }

    /// Whether such work has ended, and only its container is left to be removed.
    pub(super) fn is_over(&self) -> bool {
        self.orders.once.is_some() && self.state.last.is_some()
    }

    /// Writes down that such work may have begun, before it does:
    /// **Invariant:** it is never begun a second time.
    pub(super) fn note_begin(&mut self) {
        if self.orders.once.is_some() {
            self.state.started_at = Some(clock::now());
            self.state.phase = Phase::Running;
            self.publish();
        }
    }

    /// Such work has ended, and with it everything: the rest of its log is kept first.
    pub(super) async fn end_once(&mut self) {
        if self.orders.once.is_none() {
            return;
        }
        self.aim = Aim::Stop;
        self.late_at = None;
        let rest = self.tail.drain(&self.engine, &self.container.name);
        // An engine that says no more of it has none to give.
        let _ = tokio::time::timeout(DRAIN, rest).await;
        self.tail.finish();
    }
}

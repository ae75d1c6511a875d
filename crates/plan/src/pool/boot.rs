//! Machines that have become hosts, and how long that took: what a rehearsal of this pool goes by.

use atoll_model::pool::{Deed, MachinePhase};

use super::Turn;

/// Of so many machines it is kept.
const KEPT: usize = 9;

impl Turn<'_> {
    /// A machine is a host, and heard.
    pub(super) fn joined(&mut self, key: &str) {
        self.status.unjoined = 0;
        self.status.unjoined_by = None;
        self.status.pause_until = None;
        let machine = self.status.machines.get_mut(key);
        let asked_at = machine.and_then(|machine| {
            // It may be there before the provider says that it was made.
            let ask = machine.ask.as_ref().filter(|ask| ask.deed == Deed::Create);
            let at = ask.map(|ask| ask.at);
            machine.asked_at.take().or(at)
        });
        let took = &mut self.status.took;
        took.extend(asked_at.map(|at| self.cx.now.since(at)));
        took.drain(..took.len().saturating_sub(KEPT));
        self.enter(key, MachinePhase::Ready);
    }
}

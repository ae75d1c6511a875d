//! Pools of hosts that are there: nobody is asked for anything. So many hosts of the list are used,
//! and the others are kept empty; which they are is all there is to decide.

use std::collections::BTreeSet;

use atoll_model::cmdb::HostPhase;
use atoll_model::pool::provider::Listed;
use atoll_model::pool::{Machine, MachinePhase};
use atoll_model::{Intent, Reason};

use super::Turn;

impl Turn<'_> {
    /// Uses as many of the hosts as are wanted.
    pub(super) fn keep(&mut self, listed: &Listed) {
        if self.pool.meta.deleting() {
            // They were there before, and stay.
            self.status.machines.clear();
            return;
        }
        self.advise();
        let keys: Vec<String> = self.status.machines.keys().cloned().collect();
        for key in &keys {
            self.see(key, listed.hosts.contains(key));
        }
        self.status.machines.values_mut().for_each(|machine| machine.closed = false);
        let (wanted, staying) = (self.wanted(), self.count(|machine| machine.phase.stays()));
        if staying < wanted {
            let missing = wanted - staying - self.take_back_listed(listed, wanted - staying);
            self.use_more(listed, missing);
        } else if staying > wanted {
            for key in self.first_to_go(staying - wanted) {
                self.plan.intent = Intent::Scale;
                self.enter(&key, MachinePhase::Draining);
            }
        }
        self.replace_lost(listed);
    }

    /// How one of them is.
    fn see(&mut self, key: &str, is_listed: bool) {
        let Some(machine) = self.status.machines.get(key) else { return };
        let phase = machine.phase;
        let Some(host) = self.host(key) else {
            self.status.machines.remove(key);
            return;
        };
        let heard = host.status.phase != HostPhase::Unknown;
        let since = host.status.silent_since();
        match phase {
            MachinePhase::Draining if matches!(host.status.phase, HostPhase::Drained) || !heard => {
                self.status.machines.remove(key);
            }
            MachinePhase::Draining => {}
            _ if !is_listed => self.enter(key, MachinePhase::Draining),
            MachinePhase::Lost if heard => self.enter(key, MachinePhase::Ready),
            MachinePhase::Lost => {}
            _ if heard => {}
            _ => {
                self.enter(key, MachinePhase::Lost);
                let machine = self.status.machines.get_mut(key);
                machine.into_iter().for_each(|m| m.since = since.unwrap_or(m.since));
            }
        }
    }

    fn take_back_listed(&mut self, listed: &Listed, most: u32) -> u32 {
        let there: BTreeSet<&String> = listed.hosts.iter().collect();
        let gone: Vec<String> = self
            .status
            .machines
            .iter()
            .filter(|(key, m)| m.phase == MachinePhase::Draining && !there.contains(key))
            .map(|(key, _)| key.clone())
            .collect();
        let kept: Vec<Machine> =
            gone.iter().filter_map(|key| self.status.machines.remove(key)).collect();
        let back = self.take_back(most);
        self.status.machines.extend(gone.into_iter().zip(kept));
        back
    }

    /// The next hosts of the list that are heard.
    fn use_more(&mut self, listed: &Listed, missing: u32) {
        let spare: Vec<String> = self.spare(listed);
        for key in spare.into_iter().take(missing as usize) {
            let phase = MachinePhase::Ready;
            let since = self.cx.now;
            self.status.machines.insert(key, Machine { phase, since, ..Machine::default() });
            self.plan.intent = Intent::Scale;
        }
    }

    fn spare(&self, listed: &Listed) -> Vec<String> {
        let heard = |key: &&String| {
            let host = self.host(key).filter(|host| !host.meta.deleting());
            let unused = !self.status.machines.contains_key(*key);
            unused && host.is_some_and(|host| host.status.phase != HostPhase::Unknown)
        };
        listed.hosts.iter().filter(heard).cloned().collect()
    }

    /// A host that was lost for long gives its place to one that is heard.
    fn replace_lost(&mut self, listed: &Listed) {
        let after = self.pool.spec.replace_after;
        let lost: Vec<_> = self
            .status
            .machines
            .iter()
            .filter(|(_, machine)| machine.phase == MachinePhase::Lost)
            .map(|(key, machine)| (key.clone(), machine.since + after))
            .collect();
        for (key, due) in lost {
            if self.cx.now < due {
                self.again(due);
            } else if !self.spare(listed).is_empty() {
                self.status.machines.remove(&key);
                let message = format!("{key} is not heard for {after}: another takes its place");
                self.plan.reasons.push(Reason::new("given-up", message));
                self.use_more(listed, 1);
            }
        }
    }
}

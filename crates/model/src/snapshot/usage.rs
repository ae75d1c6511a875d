//! What is placed on a host, how full that makes it, and whether more may be placed there.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::cmdb::{Amount, DEFAULT_ZONE, HostPhase, ZONE_LABEL};
use crate::quantity::{Cpu, Memory};
use crate::{Host, Instance, Object};

/// What is placed on one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Reserved in all.
    pub amount: Amount,
    /// The instances, by name.
    pub instances: OrdMap<String, Arc<Object<Instance>>>,
    /// The ports given out.
    pub ports: OrdSet<u16>,
    /// The tasks that are not over, by name.
    pub tasks: OrdSet<String>,
}

impl Usage {
    pub(super) fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.tasks.is_empty()
    }
}

/// How full a host is: the fuller of cpu and memory, in 1/10,000, then the number of instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// The share that is reserved.
    pub share: u32,
    /// How many instances there are.
    pub instances: u32,
}

impl Load {
    /// The load of `used` on a machine of `capacity`.
    pub fn of(used: Amount, capacity: Amount) -> Load {
        let share = |used: u64, of: u64| {
            if of == 0 { u32::MAX } else { (u128::from(used) * 10_000 / u128::from(of)) as u32 }
        };
        Load {
            share: share(used.cpu.0, capacity.cpu.0).max(share(used.memory.0, capacity.memory.0)),
            instances: used.instances,
        }
    }
}

impl Host {
    /// What instances may use of a machine: its capacity less the reserve.
    pub fn usable(&self, capacity: Amount) -> Amount {
        let reserve = self.reserve.map_or((0, 0), |r| (r.cpu.0, r.memory.0));
        Amount {
            cpu: Cpu(capacity.cpu.0.saturating_sub(reserve.0)),
            memory: Memory(capacity.memory.0.saturating_sub(reserve.1)),
            instances: capacity.instances,
        }
    }
}

impl Object<Host> {
    /// Whether new instances may be placed here.
    pub fn is_open(&self) -> bool {
        self.status.phase == HostPhase::Ready
            && !self.spec.cordon
            && !self.spec.drain
            && !self.meta.deleting()
    }

    /// The zone it is in.
    pub fn zone(&self) -> &str {
        self.meta.labels.get(ZONE_LABEL).map_or(DEFAULT_ZONE, String::as_str)
    }
}

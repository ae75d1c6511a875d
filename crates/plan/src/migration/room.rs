//! Whether what a migration is to move finds any host, one deployment at a time: for want of a
//! port, an engine or hosts that are open, nothing helps but to mend that. How much of it all fits
//! together is in `forecast.rs`.

use std::collections::BTreeSet;

use atoll_model::{Deployment, Host, Migration, Reason, Snapshot};

use super::after;
use crate::placement::{self, Need};

/// The world with a migration's hosts closed.
pub(super) struct Room<'a> {
    world: Snapshot,
    spec: &'a Migration,
}

impl<'a> Room<'a> {
    pub fn of(world: &Snapshot, spec: &'a Migration, hosts: &BTreeSet<String>) -> Room<'a> {
        let mut world = world.clone();
        after::close(&mut world, hosts.iter());
        Room { world, spec }
    }

    fn need(&self, deployment: &str) -> Option<Need<'_>> {
        let need = Need::of(&self.world, self.world.get::<Deployment>(deployment)?)?;
        let to = Some(&self.spec.to).filter(|to| !to.0.is_empty());
        Some(Need { to, ..need })
    }

    /// Whether some host takes an instance of a deployment.
    pub fn has(&self, deployment: &str) -> bool {
        self.need(deployment).is_none_or(|need| self.fitting(&need).next().is_some())
    }

    /// So many instances of a deployment find a host at the most: what has a port of its own, one
    /// on each.
    pub fn most(&self, deployment: &str) -> u32 {
        let Some(need) = self.need(deployment) else { return u32::MAX };
        let is_named = need.ports.values().any(|port| *port != 0);
        let all = self.fitting(&need);
        match is_named {
            true => u32::try_from(all.count()).unwrap_or(u32::MAX),
            false if self.has(deployment) => u32::MAX,
            false => 0,
        }
    }

    fn fitting<'b>(&'b self, need: &'b Need<'b>) -> impl Iterator<Item = &'b str> {
        let all = self.world.all::<Host>();
        all.filter(|host| placement::fits(&self.world, host, need).is_ok()).map(|host| host.name())
    }

    /// Why so many instances of a deployment find none.
    pub fn why(&self, deployment: &str, count: u32) -> Option<Reason> {
        Some(placement::unplaceable(&self.world, &self.need(deployment)?, count))
    }
}

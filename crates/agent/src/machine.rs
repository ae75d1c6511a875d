//! What all keepers of one agent share: who this host is, where things lie, and how instances are
//! kept apart here.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use atoll_client::Client;

use crate::configs::Configs;
use crate::engine::Engine;
use crate::files::Packages;
use crate::images::Images;
use crate::probe::own_address;
use crate::report::Board;
use crate::runtime::cgroup::{Group, Layout};
use crate::runtime::users;

/// The host an agent works for.
pub struct Machine {
    /// Its name.
    pub host: String,
    /// Its zone.
    pub zone: String,
    /// Where others reach it, and where its own instances are asked.
    pub addresses: Addresses,
    /// The agent's directory.
    pub data: PathBuf,
    /// A short name for that; see [`Machine::owner`].
    pub owner: String,
    /// The program that shims are started from.
    pub program: PathBuf,
    /// The packages here.
    pub packages: Arc<Packages>,
    /// Dynamic configuration.
    pub configs: Configs,
    /// What is told to the server.
    pub board: Board,
    /// The cgroups that may be used.
    pub layout: Layout,
    /// This boot.
    pub boot: String,
    /// The way to the server; another one after the host has joined again.
    pub client: RwLock<Client>,
    /// The container engine here, should there be one.
    pub engine: Arc<Engine>,
    /// Its images.
    pub images: Images,
    /// Whether tasks are done although they cannot be kept apart here.
    pub bare_tasks: bool,
    /// Paths of this host that tasks see besides the system's.
    pub task_paths: Vec<PathBuf>,
    /// Users given to instances and tasks.
    pub users: Mutex<BTreeSet<u32>>,
}

/// The addresses of a machine. One that was not given by hand follows the machine to another.
#[derive(Debug)]
pub struct Addresses {
    given: bool,
    /// The one others reach it by, and the one its own instances are asked at.
    now: RwLock<(IpAddr, IpAddr)>,
}

impl Addresses {
    /// Begins with an address; `given`, if somebody has said it and it is never found anew.
    pub fn new(address: IpAddr, given: bool) -> Addresses {
        Addresses { given, now: RwLock::new((address, own_address(address))) }
    }

    /// Where others reach this machine.
    pub fn outer(&self) -> IpAddr {
        self.now.read().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Where its own instances are asked.
    pub fn own(&self) -> IpAddr {
        self.now.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Looks whether the machine has another address now. One that it still has is kept, should
    /// the way to a server be another one today; without any way nothing is known.
    pub fn look_again(&self, way: impl FnOnce() -> Option<IpAddr>) {
        let known = self.outer();
        if self.given || (own_address(known) == known && !known.is_loopback()) {
            return;
        }
        let Some(found) = way().filter(|found| *found != known) else { return };
        tracing::info!(%known, %found, "this machine has another address");
        let own = own_address(found);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = (found, own);
    }
}

impl Machine {
    /// The way to the server.
    pub fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The cgroup of an instance.
    pub fn group(&self, instance: &str) -> Group {
        self.layout.group(&format!("{}-{instance}", self.owner))
    }

    /// Several agents may share a machine, so this, made of their directory, is part of the names
    /// of everything they make outside of it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What the container of an instance is called.
    pub fn container_name(&self, instance: &str) -> String {
        format!("{instance}.{}", self.owner)
    }

    /// What the network of an environment is called.
    pub fn network_name(&self, environment: &str) -> String {
        format!("{environment}.{}", self.owner)
    }

    /// The address ports of containers are published on: the one others reach this host by, or
    /// every one, where that is none of its own.
    pub fn published_on(&self) -> IpAddr {
        let address = self.addresses.outer();
        if self.addresses.own() == address {
            address
        } else {
            IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
        }
    }

    /// The user of an instance: the one it had, or another of its own; none, where that cannot be.
    pub fn user(&self, instance: &str, before: Option<u32>) -> Option<u32> {
        users::possible(&self.data).ok()?;
        let mut taken = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let user = match before {
            Some(user) => user,
            None => users::choose(&self.data, instance, &taken)?,
        };
        taken.insert(user);
        Some(user)
    }

    /// Gives a user back.
    pub fn free_user(&self, user: u32) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).remove(&user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_the_machine_has_no_more_is_found_anew() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        // One of the addresses that are kept for documents: no machine has it.
        let (gone, found) = (ip("192.0.2.7"), ip("192.0.2.8"));
        let moved = Addresses::new(gone, false);
        assert_eq!((moved.outer(), moved.own()), (gone, ip("127.0.0.1")));
        moved.look_again(|| None);
        assert_eq!(moved.outer(), gone, "without a way nothing is known");
        moved.look_again(|| Some(found));
        assert_eq!((moved.outer(), moved.own()), (found, ip("127.0.0.1")));
        moved.look_again(|| Some(ip("127.0.0.1")));
        assert_eq!((moved.outer(), moved.own()), (ip("127.0.0.1"), ip("127.0.0.1")));

        let given = Addresses::new(gone, true);
        given.look_again(|| Some(found));
        assert_eq!(given.outer(), gone, "what was given stays");
        // The way from a loopback address leads elsewhere once there is a network.
        let early = Addresses::new(ip("127.0.0.1"), false);
        early.look_again(|| Some(found));
        assert_eq!(early.outer(), found);
    }
}

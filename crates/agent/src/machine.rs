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
use crate::report::Board;
use crate::runtime::cgroup::{Group, Layout};
use crate::runtime::users;

/// The host an agent works for.
pub struct Machine {
    /// Its name.
    pub host: String,
    /// Its zone.
    pub zone: String,
    /// Where others reach it.
    pub address: IpAddr,
    /// Where its own instances are asked.
    pub own_address: IpAddr,
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
        if self.own_address == self.address {
            self.address
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

//! An instance, or a program of a task, as a container: what it is called, made of and given. Only
//! words; it is kept alive by `warden.rs`.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use atoll_model::run::Resources;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig,
    PortBinding,
};
use serde::{Deserialize, Serialize};

use crate::engine::Ways;
use crate::runtime::orders::Orders;

/// The label that says which agent made something; several may share an engine.
pub const AGENT_LABEL: &str = "io.atoll.agent";
/// The label that names the instance of a container.
pub const INSTANCE_LABEL: &str = "io.atoll.instance";
/// The label that names the task of a container.
pub const TASK_LABEL: &str = "io.atoll.task";
/// The label that names the deployment a volume belongs to.
pub const DEPLOYMENT_LABEL: &str = "io.atoll.deployment";
/// The label with a checksum of the orders a container was made by.
pub const ORDERS_LABEL: &str = "io.atoll.orders";

/// Where the files of a package are in a container.
pub const PACKAGE_DIR: &str = "/atoll/package";
/// Where the files of dynamic configuration are in a container.
pub const CONFIG_DIR: &str = "/atoll/config";
/// Where an instance keeps what is its own in a container.
pub const DATA_DIR: &str = "/atoll/data";

/// Processes and threads one container may have.
const MOST_TASKS: i64 = 8192;
/// The period cpu quotas are counted in, in microseconds.
const PERIOD: i64 = 100_000;
/// The engine's own copy of a log is small: ours is the one that is kept.
const ENGINE_LOG: [(&str, &str); 2] = [("max-size", "8m"), ("max-file", "2")];

/// One container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// What the engine calls it.
    pub name: String,
    /// The image by its content.
    pub image: String,
    /// Where its programs start; the image's own choice, if absent.
    pub dir: Option<String>,
    /// The network it is in, with a name for others there; the engine's own, if empty.
    pub network: String,
    /// What others in it call the container.
    pub aliases: Vec<String>,
    /// The address its ports are published on.
    pub address: IpAddr,
    /// Ports of the host, and where the container listens for each.
    pub ports: BTreeMap<u16, u16>,
    /// Directories of the host, where they are seen, and whether they may be written.
    pub binds: Vec<(String, String, bool)>,
    /// Volumes by name, and where they are seen.
    pub volumes: BTreeMap<String, String>,
    /// What it may use.
    pub resources: Resources,
    /// So many processes and threads it may have; many, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Whose it is.
    pub labels: BTreeMap<String, String>,
}

impl Container {
    /// What the engine is asked for. `secrets` are environment variables that stand in no orders;
    /// `ways` are the engine's.
    pub fn body(
        &self,
        orders: &Orders,
        secrets: &BTreeMap<String, String>,
        ways: &Ways,
    ) -> ContainerCreateBody {
        let run = &orders.launch;
        let env = run.env.iter().chain(secrets).map(|(key, value)| format!("{key}={value}"));
        let mut labels = self.labels();
        labels.insert(ORDERS_LABEL.to_owned(), checksum(orders));
        let endpoint =
            EndpointSettings { aliases: Some(self.aliases.clone()), ..EndpointSettings::default() };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            // A command stands for everything the image would run, as people write it.
            entrypoint: (!run.command.is_empty()).then(|| run.command.clone()),
            env: Some(env.collect()),
            working_dir: self.dir.clone(),
            stop_signal: Some(format!("SIG{}", orders.stop_signal)),
            exposed_ports: Some(self.ports.values().map(|port| format!("{port}/tcp")).collect()),
            labels: Some(labels),
            host_config: Some(self.host_config(orders.once.is_some(), ways)),
            networking_config: (!self.network.is_empty()).then(|| NetworkingConfig {
                endpoints_config: Some(HashMap::from([(self.network.clone(), endpoint)])),
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// The labels of everything that is made for it.
    pub fn labels(&self) -> HashMap<String, String> {
        self.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn host_config(&self, once: bool, ways: &Ways) -> HostConfig {
        // What is done once has its bound from the start, as all have where it cannot be set
        // later; see `Keeper::limit_cpu` for others.
        let bound = (once || ways.podman).then(|| quota(Some(self.resources.cpu.0)));
        let memory = i64::try_from(self.resources.memory.0).unwrap_or(i64::MAX);
        let published = self.ports.iter().map(|(outside, inside)| {
            let binding = PortBinding {
                host_ip: Some(self.address.to_string()),
                host_port: Some(outside.to_string()),
            };
            (format!("{inside}/tcp"), Some(vec![binding]))
        });
        let binds = self.binds.iter().map(|(from, to, writable)| {
            format!("{from}:{to}:{}", if *writable { "rw" } else { "ro" })
        });
        let volumes = self.volumes.iter().map(|(name, path)| format!("{name}:{path}"));
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        // Of other drivers nobody knows which options they have.
        let bounded = matches!(ways.log_driver.as_str(), "json-file" | "local");
        HostConfig {
            memory: Some(memory),
            memory_swap: Some(memory),
            cpu_shares: Some(shares(self.resources.cpu.0)),
            cpu_quota: bound.map(|(quota, _)| quota),
            cpu_period: bound.map(|(_, period)| period),
            pids_limit: Some(self.processes.map_or(MOST_TASKS, i64::from)),
            network_mode: (!self.network.is_empty()).then(|| self.network.clone()),
            // Nobody becomes more in a step than its image made it.
            security_opt: once.then(|| vec!["no-new-privileges".to_owned()]),
            port_bindings: Some(published.collect()),
            binds: Some(binds.chain(volumes).collect()),
            log_config: bounded.then(|| HostConfigLogConfig {
                typ: Some(ways.log_driver.clone()),
                config: Some(ENGINE_LOG.map(own).into()),
            }),
            ..HostConfig::default()
        }
    }
}

/// The quota and period that bound processor time to so many thousandths of a core, or not at all.
pub fn quota(milli: Option<u64>) -> (i64, i64) {
    let bounded = milli.and_then(|milli| i64::try_from(milli).ok());
    (bounded.map_or(-1, |milli| (milli * PERIOD / 1000).max(1000)), PERIOD)
}

/// 1024 stands for one whole core's worth of weight.
fn shares(milli: u64) -> i64 {
    i64::try_from((milli * 1024 / 1000).clamp(2, 262_144)).unwrap_or(1024)
}

/// Tells whether a container was made by the same orders.
pub fn checksum(orders: &Orders) -> String {
    let text = serde_json::to_vec(orders).unwrap_or_default();
    blake3::hash(&text).to_hex()[..16].to_owned()
}

//! What there is: applications as their teams declare them, hosts and zones; in `cmdb/`, what hosts
//! are in full, networks, and users' own classes. Not what runs where, which is `deployment.rs`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::elasticity::Scaling;
use crate::monitoring::Promise;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::quantity::{Cpu, Memory, Portion};
use crate::rollout::{Rollout, Strategy};
use crate::run::{Resources, Run, check_variable};
use crate::time::Timestamp;

pub mod drift;
pub mod facts;
pub mod item;
pub mod network;
pub mod prefix;
pub mod view;

/// What a team builds and declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Application {
    /// Who answers for it, as `team/NAME` or `user/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where its source is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The package a release is made of, as `NAME:VERSION`; without one, the host's own programs
    /// are run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The image containers are made of, as `[REGISTRY/]NAME[:TAG]`, for environments whose
    /// runtime is docker. Its content is fixed when a release of it is first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How an instance runs.
    pub run: Run,
    /// Static and dynamic configuration.
    #[serde(default, skip_serializing_if = "Configuration::is_empty")]
    pub config: Configuration,
    /// What the application promises; turned into alerts and gates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<Promise>,
    /// How many instances; the least is what a new deployment starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// How a change of release is rolled out.
    #[serde(default)]
    pub rollout: Rollout,
    /// Failure domains instances are spread over, the first before the second.
    #[serde(default = "Spread::usual")]
    pub spread: Vec<Spread>,
    /// Applications that must be ready in the same environment first, as `application/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The environments it is deployed to; all, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
}

/// Where source is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// The address of the git repository.
    pub git: String,
    /// The branch that is built.
    #[serde(default = "main_branch")]
    pub branch: String,
}

fn main_branch() -> String {
    "main".to_owned()
}

/// Static configuration is part of a release; dynamic is pushed while it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// Environment variables that make a new release when they change.
    #[serde(default, rename = "static", skip_serializing_if = "BTreeMap::is_empty")]
    pub fixed: BTreeMap<String, String>,
    /// What of `static` is otherwise in an environment, by the environment's name; part of the
    /// release as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<String, BTreeMap<String, String>>,
    /// Names of Config objects delivered at run time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dynamic: Vec<String>,
}

impl Configuration {
    fn is_empty(&self) -> bool {
        *self == Configuration::default()
    }
}

/// A failure domain.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Hosts with the same `zone` label.
    Zone,
    /// One host.
    Host,
}

impl Spread {
    fn usual() -> Vec<Spread> {
        vec![Spread::Zone, Spread::Host]
    }
}

/// What has become of an application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationStatus {
    /// The generation this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// The newest release made of it; those applied by hand are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// What stands in the way of a release or a deployment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// Gives a status with a `reasons` field its trait.
macro_rules! explained {
    ($($status:ty),+) => { $(
        impl Explained for $status {
            fn reasons(&self) -> &[Reason] {
                &self.reasons
            }
            fn add(&mut self, reasons: &[Reason]) {
                for reason in reasons {
                    if !self.reasons.contains(reason) {
                        self.reasons.push(reason.clone());
                    }
                }
            }
        }
    )+ };
}
pub(crate) use explained;

explained!(ApplicationStatus, HostStatus);

impl Application {
    /// How its releases are rolled out. Instances that keep volumes are updated where they are,
    /// one missing at a time: another beside them would begin with empty ones.
    pub fn rules(&self) -> Rollout {
        let mut rules = self.rollout.clone();
        if !self.run.volumes.is_empty() {
            rules.max_surge = Portion::Count(0);
            if !matches!(rules.max_unavailable, Portion::Count(1..)) {
                rules.max_unavailable = Portion::Count(1);
            }
        }
        rules
    }

    /// The names in `needs`, without their kind.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.needs.iter().map(|n| n.strip_prefix("application/").unwrap_or(n))
    }
}

impl Spec for Application {
    const KIND: Kind = Kind::Application;
    type Status = ApplicationStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        if let Some(package) = &self.package {
            invalid.nest("package", crate::delivery::check_package_name(package));
        }
        invalid.nest("run", self.run.validate(&self.config.fixed));
        // A package may turn out to be an image; its release is checked once that is known.
        if self.package.is_none() || self.image.is_some() {
            crate::delivery::check_program(&mut invalid, &self.run, self.image.as_deref());
        }
        for key in self.config.fixed.keys() {
            check_variable(&mut invalid, "config.static", key);
        }
        for (i, config) in self.config.dynamic.iter().enumerate() {
            invalid.nest(&format!("config.dynamic[{i}]"), name::check_simple(config));
        }
        for (environment, all) in &self.config.environments {
            let path = format!("config.environments.{environment}");
            invalid.nest(&path, name::check_simple(environment));
            all.keys().for_each(|key| check_variable(&mut invalid, &path, key));
        }
        if let Some(scaling) = &self.scaling {
            invalid.nest("scaling", scaling.validate());
        }
        invalid.nest("rollout", self.rollout.validate());
        invalid.add_if(
            self.rollout.strategy == Strategy::BlueGreen && !self.run.volumes.is_empty(),
            "rollout.strategy",
            "is blue-green, whose new instances would begin with empty volumes; write rolling",
        );
        let mut promised = BTreeSet::new();
        for (i, promise) in self.objectives.iter().enumerate() {
            invalid.nest(&format!("objectives[{i}]"), promise.validate());
            let again = !promised.insert(&promise.name);
            invalid.add_if(again, &format!("objectives[{i}].name"), "names two objectives");
        }
        for (i, need) in self.needs.iter().enumerate() {
            let path = format!("needs[{i}]");
            match need.strip_prefix("application/") {
                Some(name) => invalid.nest(&path, name::check_simple(name)),
                None => invalid.add(&path, format!("{need:?}: write it as application/NAME")),
            }
        }
        let distinct: BTreeSet<&Spread> = self.spread.iter().collect();
        invalid.add_if(distinct.len() != self.spread.len(), "spread", "names one domain twice");
        for (i, environment) in self.environments.iter().flatten().enumerate() {
            invalid.nest(&format!("environments[{i}]"), name::check_simple(environment));
        }
        invalid.into_result()
    }
}

/// A machine with an agent: what operators want of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// Nothing new is placed here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cordon: bool,
    /// What runs here is moved elsewhere; implies `cordon`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
    /// Kept free for the machine itself, out of its capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Resources>,
    /// What it should be, by the path of a fact: `os.version: "12"`, `memory: 16Gi`, `address: …`.
    /// Where the facts say otherwise, a finding is opened.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, serde_json::Value>,
    /// Of these, what its agent is to make so, by its programs in `mend.d`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mend: BTreeSet<String>,
    /// Counts how often that was asked for again; with each, what failed is tried once more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mend_round: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What a host is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    /// In one word.
    #[serde(default)]
    pub phase: HostPhase,
    /// When its agent was last heard; kept by the server in memory and stored with transitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Since when `phase` is what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What it has.
    #[serde(default)]
    pub capacity: Amount,
    /// What is given to instances; worked out when it is read, never stored.
    #[serde(default)]
    pub allocated: Amount,
    /// Where instances on it are reached.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Its agent.
    #[serde(default)]
    pub agent: AgentStatus,
    /// Ports in the platform's range that something else on the machine listens on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taken_ports: BTreeSet<u16>,
    /// Releases whose packages and images are on it though no instance of them has to be.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fetched: BTreeSet<String>,
    /// What consumers met who relied on what is recorded of it, by the path of the fact. A failure
    /// makes its agent look again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<String, item::Used>,
    /// How many seconds its clock is ahead of the servers', negative where it is behind; absent
    /// where it is near enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead: Option<i64>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl HostStatus {
    /// Since when a host that is not heard was silent: from its last word on, as far as that is
    /// known, which is before it was said to be unknown.
    pub fn silent_since(&self) -> Option<Timestamp> {
        self.last_seen.or(self.since)
    }
}

/// An amount of everything that is allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Amount {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Number of instances; as a capacity, 0 means no limit.
    #[serde(default)]
    pub instances: u32,
}

/// What an agent says of itself and its machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// The version of the program.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Operating system and kernel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// How instances are kept apart here: `cgroup-v2`, `cgroup-v1`, `user-per-instance`, … and
    /// what is missing, with `no-` in front.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub isolation: Vec<String>,
    /// The container engine that answers, with its version: `docker 20.10.24`; absent, if none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    /// Why no container engine answers, where none does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub no_engine: String,
}

/// The state of a host in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HostPhase {
    /// Not heard from for too long, or never.
    #[default]
    Unknown,
    /// Heard from, and open to new instances.
    Ready,
    /// Its instances are being moved.
    Draining,
    /// Nothing is left on it.
    Drained,
    /// Closed to new instances.
    Cordoned,
}

impl Spec for Host {
    const KIND: Kind = Kind::Host;
    type Status = HostStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        for path in self.expect.keys() {
            invalid.nest(&format!("expect.{path}"), item::check_key(path));
        }
        for path in &self.mend {
            let message = format!("names {path:?}, of which nothing is expected");
            invalid.add_if(!self.expect.contains_key(path), "mend", message);
        }
        invalid.into_result()
    }
}

/// The label that names a host's zone.
pub const ZONE_LABEL: &str = "zone";

/// The zone of hosts without that label.
pub const DEFAULT_ZONE: &str = "default";

/// A failure domain of hosts: those whose `zone` label is its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Zone {
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How many of its hosts may be draining or unknown at once before the gate holds further
    /// drains; at least one may always be.
    #[serde(default = "Zone::usual_disturbed")]
    pub max_disturbed: Portion,
}

impl Zone {
    /// What holds for a zone nobody declared.
    pub fn usual_disturbed() -> Portion {
        Portion::percent(25)
    }
}

/// Zones have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneStatus {}

impl Explained for ZoneStatus {}

impl Spec for Zone {
    const KIND: Kind = Kind::Zone;
    type Status = ZoneStatus;

    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

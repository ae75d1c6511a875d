//! What there is: applications as their teams declare them, hosts and zones. Not what runs where,
//! which is `deployment.rs`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::deployment::Rollout;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::quantity::{Cpu, Memory, Portion};
use crate::template::{self, Names};
use crate::time::{Span, SpanRange, Timestamp};

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
    /// How an instance runs.
    pub run: Run,
    /// Static and dynamic configuration.
    #[serde(default, skip_serializing_if = "Configuration::is_empty")]
    pub config: Configuration,
    /// What the application promises; turned into alerts and gates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<Objective>,
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

/// How one instance runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// Program and arguments; `{{…}}` is filled in. A program with `./` is one of the package.
    pub command: Vec<String>,
    /// Environment variables; `{{…}}` is filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Ports by name; 0 lets the platform pick one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
    /// What is reserved for, and the limit of, one instance.
    #[serde(default)]
    pub resources: Resources,
    /// How it is known to be well; without it, a running process counts as ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// How it is stopped.
    #[serde(default)]
    pub stop: Stop,
    /// Where its metrics are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsEndpoint>,
    /// How it is started again when it dies.
    #[serde(default)]
    pub restart: Restart,
    /// Bounds of its log files.
    #[serde(default)]
    pub logs: LogFiles,
}

/// What one instance is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// Processor time.
    #[serde(default = "Resources::usual_cpu")]
    pub cpu: Cpu,
    /// Memory.
    #[serde(default = "Resources::usual_memory")]
    pub memory: Memory,
}

impl Resources {
    fn usual_cpu() -> Cpu {
        Cpu(100)
    }
    fn usual_memory() -> Memory {
        Memory(128 << 20)
    }
}

impl Default for Resources {
    fn default() -> Resources {
        Resources { cpu: Resources::usual_cpu(), memory: Resources::usual_memory() }
    }
}

/// How an instance is known to be well. Exactly one of `http`, `tcp` and `command` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// A path that answers 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// A connection to the port is enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tcp: bool,
    /// A program that exits with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The name of the port asked; the only one, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// A second question, whose failure restarts the instance: a path or a command of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// Time between two questions.
    #[serde(default = "Health::usual_every")]
    pub every: Span,
    /// Time an answer may take.
    #[serde(default = "Health::usual_every")]
    pub timeout: Span,
    /// So many good answers in a row make it ready.
    #[serde(default = "Health::usual_good")]
    pub healthy_after: u32,
    /// So many bad answers in a row make it unready.
    #[serde(default = "Health::usual_bad")]
    pub unhealthy_after: u32,
    /// An instance not ready after this time has failed to start.
    #[serde(default = "Health::usual_start")]
    pub start_timeout: Span,
}

impl Health {
    fn usual_every() -> Span {
        Span::seconds(1)
    }
    fn usual_good() -> u32 {
        1
    }
    fn usual_bad() -> u32 {
        3
    }
    fn usual_start() -> Span {
        Span::seconds(60)
    }
}

/// The question whose failure means that only a restart helps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Live {
    /// A path that answers 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// A program that exits with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// So many bad answers in a row restart it.
    #[serde(default = "Health::usual_bad")]
    pub unhealthy_after: u32,
}

/// How an instance is stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stop {
    /// The signal that asks: TERM, INT, QUIT, HUP, USR1, USR2 or KILL.
    #[serde(default = "Stop::usual_signal")]
    pub signal: String,
    /// The time it has before its whole process group is killed.
    #[serde(default = "Stop::usual_grace")]
    pub grace: Span,
}

impl Stop {
    /// The signals an instance may be stopped by.
    pub const SIGNALS: [&'static str; 7] = ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"];

    fn usual_signal() -> String {
        "TERM".to_owned()
    }
    fn usual_grace() -> Span {
        Span::seconds(10)
    }
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { signal: Stop::usual_signal(), grace: Stop::usual_grace() }
    }
}

/// Where an instance shows its metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricsEndpoint {
    /// The path scraped.
    pub path: String,
    /// The name of the port.
    pub port: String,
}

/// How an instance that dies is started again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restart {
    /// The wait after a second death in a row, doubled up to the longest. The first restart is at
    /// once.
    #[serde(default = "Restart::usual")]
    pub backoff: SpanRange,
}

impl Restart {
    fn usual() -> SpanRange {
        SpanRange { from: Span::seconds(1), to: Span::seconds(60) }
    }
}

impl Default for Restart {
    fn default() -> Restart {
        Restart { backoff: Restart::usual() }
    }
}

/// Bounds of the log files of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogFiles {
    /// A file is turned at this size.
    #[serde(default = "LogFiles::usual_size")]
    pub size: Memory,
    /// So many files are kept.
    #[serde(default = "LogFiles::usual_files")]
    pub files: u32,
}

impl LogFiles {
    fn usual_size() -> Memory {
        Memory(10 << 20)
    }
    fn usual_files() -> u32 {
        5
    }
}

impl Default for LogFiles {
    fn default() -> LogFiles {
        LogFiles { size: LogFiles::usual_size(), files: LogFiles::usual_files() }
    }
}

/// Static configuration is part of a release; dynamic is pushed while it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// Environment variables that make a new release when they change.
    #[serde(default, rename = "static", skip_serializing_if = "BTreeMap::is_empty")]
    pub fixed: BTreeMap<String, String>,
    /// Names of Config objects delivered at run time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dynamic: Vec<String>,
}

impl Configuration {
    fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.dynamic.is_empty()
    }
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objective {
    /// Unique within the application.
    pub name: String,
    /// PromQL over the application's metrics.
    pub query: String,
    /// The share that must be good, as `99.9%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The bound the value stays below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<String>,
    /// The time the share is taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// A breach stops a rollout at once.
    #[serde(default)]
    pub critical: bool,
}

/// Bounds and signals of the number of instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scaling {
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// What one instance can carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_instance: Option<PerInstance>,
    /// Whether a forecast may raise the number.
    #[serde(default)]
    pub predict: bool,
}

/// What one instance can carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PerInstance {
    /// PromQL of the whole load.
    pub query: String,
    /// The load of one instance that is aimed at.
    pub target: f64,
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
    /// The names in `needs`, without their kind.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.needs.iter().map(|n| n.strip_prefix("application/").unwrap_or(n))
    }
}

impl Run {
    /// Checks the section by itself.
    ///
    /// # Errors
    /// Every problem found.
    pub fn validate(&self, config: &BTreeMap<String, String>) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let ports: Vec<&str> = self.ports.keys().map(String::as_str).collect();
        let names = Names::sample(&ports, config);
        invalid.add_if(
            self.command.first().is_none_or(|c| c.is_empty()),
            "command",
            "is empty; give the program and its arguments as a list",
        );
        for (i, word) in self.command.iter().enumerate() {
            check_text(&mut invalid, &format!("command[{i}]"), word, &names);
        }
        for (key, value) in &self.env {
            check_variable(&mut invalid, "env", key);
            check_text(&mut invalid, &format!("env.{key}"), value, &names);
        }
        for name in self.ports.keys() {
            invalid.nest("ports", name::check_simple(name));
        }
        if let Some(health) = &self.health {
            invalid.nest("health", health.validate(&self.ports, &names));
        }
        invalid.add_if(
            !Stop::SIGNALS.contains(&self.stop.signal.as_str()),
            "stop.signal",
            format!("{:?} is not one of {}", self.stop.signal, Stop::SIGNALS.join(", ")),
        );
        if let Some(metrics) = &self.metrics {
            invalid.add_if(
                !self.ports.contains_key(&metrics.port),
                "metrics.port",
                format!("there is no port {:?} in run.ports", metrics.port),
            );
        }
        invalid.add_if(self.logs.files == 0, "logs.files", "is 0; keep at least one file");
        invalid.add_if(self.resources.memory.0 == 0, "resources.memory", "is 0; nothing runs so");
        invalid.into_result()
    }
}

fn check_text(invalid: &mut Invalid, path: &str, text: &str, names: &Names) {
    invalid.add_if(text.contains('\0'), path, "holds a NUL character");
    if let Err(problem) = template::render(text, names) {
        invalid.add(path, problem);
    }
}

fn check_variable(invalid: &mut Invalid, path: &str, key: &str) {
    let wrong = key.is_empty() || key.contains(['=', '\0']);
    invalid.add_if(wrong, path, format!("{key:?} is not a name of an environment variable"));
}

impl Health {
    fn validate(&self, ports: &BTreeMap<String, u16>, names: &Names) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let ways = usize::from(self.http.is_some())
            + usize::from(self.tcp)
            + usize::from(self.command.is_some());
        invalid.add_if(ways != 1, "", "give exactly one of http, tcp and command");
        let live_http = self.live.as_ref().is_some_and(|l| l.http.is_some());
        if self.http.is_some() || self.tcp || live_http {
            match &self.port {
                Some(port) => invalid.add_if(
                    !ports.contains_key(port),
                    "port",
                    format!("there is no port {port:?} in run.ports"),
                ),
                None => invalid.add_if(ports.len() != 1, "port", "say which of run.ports is asked"),
            }
        }
        if let Some(path) = &self.http {
            invalid.add_if(!path.starts_with('/'), "http", "is a path and starts with /");
            check_text(&mut invalid, "http", path, names);
        }
        if let Some(live) = &self.live {
            invalid.add_if(
                live.http.is_some() == live.command.is_some(),
                "live",
                "give exactly one of http and command",
            );
        }
        invalid.add_if(self.every.0 < 100, "every", "is less than 100ms");
        invalid.add_if(self.timeout.0 == 0, "timeout", "is 0; no answer is that fast");
        invalid.add_if(self.healthy_after == 0, "healthyAfter", "is 0; write 1 or more");
        invalid.add_if(self.unhealthy_after == 0, "unhealthyAfter", "is 0; write 1 or more");
        invalid.into_result()
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
        for key in self.config.fixed.keys() {
            check_variable(&mut invalid, "config.static", key);
        }
        if let Some(scaling) = &self.scaling {
            invalid.add_if(scaling.min > scaling.max, "scaling", "min is more than max");
        }
        invalid.nest("rollout", self.rollout.validate());
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
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
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
        Ok(())
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

//! How one instance runs: its command, resources, health, stop, restart and logs. Not where it
//! runs, which is `deployment.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{self, Invalid};
use crate::quantity::{Cpu, Memory};
use crate::template::{self, Names};
use crate::time::{Span, SpanRange};

/// How one instance runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// Program and arguments; `{{…}}` is filled in. A program with `./` is one of the package. An
    /// image brings its own, which this replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Environment variables; `{{…}}` is filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Ports by name; 0 lets the platform pick one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
    /// Where an image listens inside its container, for ports it does not take from us.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub container_ports: BTreeMap<String, u16>,
    /// What a container keeps across restarts and releases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
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

/// A directory of a container that is kept: each instance has its own, on its host, until the
/// deployment is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    /// Names it within the application.
    pub name: String,
    /// Where it is seen in the container.
    pub path: String,
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
    /// How often.
    #[serde(
        default = "MetricsEndpoint::usual_every",
        skip_serializing_if = "MetricsEndpoint::is_usual"
    )]
    pub every: Span,
}

impl MetricsEndpoint {
    fn usual_every() -> Span {
        Span::seconds(15)
    }

    fn is_usual(every: &Span) -> bool {
        *every == MetricsEndpoint::usual_every()
    }
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
            self.command.first().is_some_and(|c| c.is_empty()),
            "command",
            "begins with an empty word; give the program and its arguments as a list",
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
        self.check_container(&mut invalid);
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

    fn check_container(&self, invalid: &mut Invalid) {
        for (name, port) in &self.container_ports {
            let path = format!("containerPorts.{name}");
            let known = self.ports.contains_key(name);
            invalid.add_if(!known, &path, format!("there is no port {name:?} in run.ports"));
            invalid.add_if(*port == 0, &path, "is 0; say where the image listens");
        }
        for (i, volume) in self.volumes.iter().enumerate() {
            let path = format!("volumes[{i}]");
            invalid.nest(&format!("{path}.name"), name::check_simple(&volume.name));
            let inside = volume.path.starts_with('/')
                && volume.path != "/"
                && !volume.path.contains([':', '\0'])
                && !volume.path.split('/').any(|part| part == "..");
            let why = "is no path inside the container, as /var/lib/shop";
            invalid.add_if(!inside, &format!("{path}.path"), why);
            let before = &self.volumes[..i];
            let twice = before.iter().any(|v| v.name == volume.name || v.path == volume.path);
            invalid.add_if(twice, &path, "has the name or the path of one before it");
        }
    }
}

fn check_text(invalid: &mut Invalid, path: &str, text: &str, names: &Names) {
    invalid.add_if(text.contains('\0'), path, "holds a NUL character");
    if let Err(problem) = template::render(text, names) {
        invalid.add(path, problem);
    }
}

pub(crate) fn check_variable(invalid: &mut Invalid, path: &str, key: &str) {
    let wrong = key.is_empty() || key.contains(['=', '\0']);
    invalid.add_if(wrong, path, format!("{key:?} is not a name of an environment variable"));
}

impl Health {
    pub(crate) fn validate(
        &self,
        ports: &BTreeMap<String, u16>,
        names: &Names,
    ) -> Result<(), Invalid> {
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

//! What agents and servers say to each other. Agents ask and report; a server never dials a host.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ci::task::{TaskPhase, Work, Yields};
use crate::cmdb::facts::FoundFacts;
use crate::cmdb::{AgentStatus, Amount};
use crate::config::{AssignedConfig, ConfigAck};
use crate::delivery::{PackageRef, Runtime};
use crate::deployment::InstancePhase;
use crate::object::Reason;
use crate::run::{Resources, Run};
use crate::time::{Span, Timestamp};

/// The code of the reason an instance has whose metrics cannot be scraped.
pub const METRICS_FAILED: &str = "metrics-failed";

/// `POST /v1/agents/join`: a machine asks to be a host, with a token of role `join`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    /// The name the host is to have.
    pub name: String,
    /// Labels of the host, `zone` among them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the machine is.
    pub facts: HostFacts,
}

/// The answer to [`Join`]. The host object exists from now on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// The name of the host.
    pub host: String,
    /// The host's own token, role `host`.
    pub token: String,
    /// Addresses of servers to talk to.
    pub servers: Vec<String>,
}

/// What a machine is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// Cores and memory.
    pub capacity: Amount,
    /// Where instances on it are reached.
    pub address: String,
    /// The agent and the system.
    pub agent: AgentStatus,
    /// Ports in the platform's range that something else listens on.
    #[serde(default)]
    pub taken_ports: BTreeSet<u16>,
}

/// `GET /v1/agents/{host}/assignment?after=N&wait=S`: answered at once if the assignment has
/// changed after revision N, otherwise when it changes or after S seconds. Asking is the heartbeat.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The revision this is true of; an agent refuses one older than it has acted on.
    pub revision: u64,
    /// Everything that is to be on this host; what is not listed is stopped and cleared away.
    pub instances: Vec<AssignedInstance>,
    /// The releases they name.
    pub releases: BTreeMap<String, AssignedRelease>,
    /// Work to be done once on this host. What is not listed any more is ended and cleared away.
    #[serde(default)]
    pub tasks: Vec<AssignedTask>,
    /// Requests of people to read logs or run a command here, each to be answered once by opening
    /// `GET /v1/agents/{host}/sessions/{id}` as a WebSocket.
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// Addresses of servers to talk to.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Dynamic configuration, by the name of the instance.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<String, Vec<AssignedConfig>>,
    /// Somebody relied on a recorded fact and failed then: everything is to be looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Timestamp>,
    /// Releases whose packages and images are fetched before any instance of them is here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ahead: BTreeSet<String>,
    /// Facts that are to be made so, by their paths: those that are not so, as far as is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mend: BTreeMap<String, serde_json::Value>,
    /// Where another number stands than before, what failed is tried again.
    #[serde(default)]
    pub mend_round: u32,
}

/// One instance that is to be on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignedInstance {
    /// Its name: `shop.prod.3`.
    pub name: String,
    /// Counts changes of its target; sent back in reports.
    pub generation: u64,
    /// When the object was made: tells a new instance of the same name from the old one.
    pub created_at: Timestamp,
    /// Its deployment: `shop.prod`.
    pub deployment: String,
    /// Its application.
    pub application: String,
    /// Its environment.
    pub environment: String,
    /// Its number in the deployment.
    pub ordinal: u32,
    /// The release it is to run; see [`Assignment::releases`].
    pub release: String,
    /// A release whose package is fetched ahead of need.
    #[serde(default)]
    pub prefetch: Option<String>,
    /// Its ports by name.
    pub ports: BTreeMap<String, u16>,
    /// What it may use.
    pub resources: Resources,
    /// How it runs.
    #[serde(default)]
    pub runtime: Runtime,
    /// Its deployment is being deleted: what it keeps goes with it.
    #[serde(default)]
    pub purge: bool,
    /// It is to be stopped, reported as `stopped`, and then forgotten once it is no longer listed.
    pub stop: bool,
    /// What of the release's static configuration is otherwise in its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// One piece of work to be done once on a host. It stays listed until it is over and its end has
/// been reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignedTask {
    /// Its name: `shop.12.unit.0`.
    pub name: String,
    /// Counts changes of its target; sent back in reports.
    pub generation: u64,
    /// When the object was made: tells a new task of the same name from the old one.
    pub created_at: Timestamp,
    /// What is done.
    pub work: Work,
    /// The values of its secrets, by the names of its environment variables. Never written to a
    /// disk but inside the task's own memory and environment, and masked in its log.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// It is to be ended.
    pub cancel: bool,
}

/// What an agent needs of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignedRelease {
    /// How its instances run.
    pub run: Run,
    /// Static configuration, added to the environment.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Its files.
    #[serde(default)]
    pub package: Option<PackageRef>,
    /// The image its containers are made of, as its team writes it.
    #[serde(default)]
    pub image: Option<String>,
    /// The image by its content. Until it is known, the host looks it up and reports it, and
    /// starts nothing.
    #[serde(default)]
    pub pinned: Option<String>,
}

/// `POST /v1/agents/{host}/report`: what has changed, or everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether `instances` is everything the host has; sent first after a start or an outage.
    #[serde(default)]
    pub full: bool,
    /// What the machine is, where that has changed.
    #[serde(default)]
    pub facts: Option<HostFacts>,
    /// How instances are.
    #[serde(default)]
    pub instances: Vec<InstanceReport>,
    /// How tasks are. One that is assigned and missing in a full report is lost, if it had begun.
    #[serde(default)]
    pub tasks: Vec<TaskReport>,
    /// What instances have of their dynamic configuration, by instance and configuration; an
    /// instance that is named is told of in full.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<String, BTreeMap<String, ConfigAck>>,
    /// Parts of the facts that have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<FoundFacts>,
    /// Releases of [`Assignment::ahead`] that are here, where that has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<BTreeSet<String>>,
    /// How many seconds the host's clock is ahead of the server's, where that is other than known;
    /// 0 where it is near enough. A server finds it out, and puts it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead: Option<i64>,
}

/// How one task is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskReport {
    /// Its name.
    pub name: String,
    /// The generation of its target that the agent has acted on.
    pub generation: u64,
    /// In one word; one that is over stays as it is.
    pub phase: TaskPhase,
    /// The exit code of its command, or 128 + the signal's number.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// When its command was started, by the host's clock.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended, by the host's clock.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// What it has brought.
    #[serde(default)]
    pub yields: Yields,
    /// Why it is as it is.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// How one instance is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceReport {
    /// Its name.
    pub name: String,
    /// When the instance it is of was made, as the agent was told: another may come that has its
    /// name.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// The generation of its target that the agent has acted on.
    pub generation: u64,
    /// In one word.
    pub phase: InstancePhase,
    /// The release its process runs.
    #[serde(default)]
    pub release: Option<String>,
    /// Its process.
    #[serde(default)]
    pub pid: Option<u32>,
    /// How often its process was started again.
    #[serde(default)]
    pub restarts: u32,
    /// When its process was started, by the host's clock.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// The release fetched ahead of need.
    #[serde(default)]
    pub prefetched: Option<String>,
    /// The image of its release by its content, where this host has just looked it up.
    #[serde(default)]
    pub image: Option<FoundImage>,
    /// Why it is as it is.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// What a host has found the image of a release to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundImage {
    /// The release.
    pub release: String,
    /// The image by its content.
    pub image: String,
}

/// A person's request that is answered on a host over a WebSocket, relayed by a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Names the WebSocket.
    pub id: String,
    /// The instance or task.
    pub instance: String,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Ask {
    /// Its log. Binary frames carry it as it is; the socket closes at its end.
    Logs {
        /// Go on as it grows.
        #[serde(default)]
        follow: bool,
        /// Only the last so many lines.
        #[serde(default)]
        tail: Option<u32>,
        /// Only what is younger.
        #[serde(default)]
        since: Option<Span>,
        /// Only lines that it lets through. An agent that knows no filters sends all.
        #[serde(flatten)]
        filter: LogFilter,
    },
    /// Runs a command as the instance's user in its directory and cgroup.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
        /// On a terminal of this size.
        #[serde(default)]
        tty: Option<(u16, u16)>,
    },
}

/// Which lines of a log are wanted. The usual filter lets every line through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogFilter {
    /// Only what is at least so old. A log that is followed is then not gone on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
    /// Only lines that hold this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// The text is a regular expression that is to match somewhere in the line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub regex: bool,
    /// Only lines of JSON or logfmt in which each of these fields has that value; `a.b` is the
    /// field `b` of the field `a`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Only lines of this level: trace, debug, info, warn, error or fatal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

impl LogFilter {
    /// Whether it looks at lines at all; if not, a log is sent as it lies on the disk.
    pub fn looks_at_lines(&self) -> bool {
        self.contains.is_some() || self.level.is_some() || !self.fields.is_empty()
    }
}

/// Text frames of a session, as JSON; binary frames are `[stream byte][data]`, the stream byte
/// being 0 for input, 1 for output and 2 for error output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum SessionNote {
    /// No more input follows.
    InputEnd,
    /// The terminal has a new size: columns, rows.
    Resize {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// The command has ended.
    Exit {
        /// Its exit code, or 128 + the signal's number.
        code: i32,
    },
    /// It could not be done.
    Failed {
        /// Why, and what to do.
        message: String,
    },
}

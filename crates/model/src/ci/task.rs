//! One piece of work, done once on one host: what is done, and what has become of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::ci::run::Made;
use crate::ci::step::{Artifact, Beside, Cached, ImageRule, Limits, Suite, TestReport};
use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::quantity::{Cpu, Memory};
use crate::run::Resources;
use crate::selector::Selector;
use crate::time::Timestamp;

/// The reason of a task that is lost, or ended for good, because its host is not heard from.
pub const HOST_LOST: &str = "host-lost";

/// One piece of work. A task is never begun a second time: what is tried again is another task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Task {
    /// The run, or the job, it is of.
    pub run: String,
    /// The step it does, or the round.
    pub step: String,
    /// Its place among the cells of the run.
    pub cell: u32,
    /// The hosts it may be done on, by their labels.
    #[serde(default)]
    pub on: Selector,
    /// Tasks of higher priority get free places first.
    #[serde(default)]
    pub priority: i32,
    /// The host it is done on; none yet, if absent. Written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// It is to be ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// What is done.
    pub work: Work,
}

/// What is done: everything an agent needs, but the values of secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Work {
    /// Program and arguments, all filled in; empty where only a release is made of what is there.
    pub command: Vec<String>,
    /// The container image it is done in; a sandbox, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// It is done on the host itself, as this user of it, and what it says is all that is kept; in
    /// a sandbox or a container of its own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<String>,
    /// The directory in the workspace it starts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// Environment variables, all filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Environment variables filled from secrets, by the secrets' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// What runs beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Beside>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// The workspace at the start, as the digest of a package's index; empty, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Artefacts of steps before, put into the workspace: digests of packages' indexes by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Directories brought along; keys are filled in but for `hash(…)`, which needs the workspace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Cached>,
    /// Whose caches: those of one pipeline are not seen by another.
    #[serde(default)]
    pub cache_scope: String,
    /// What it leaves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Reports of tests it writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestReport>,
    /// What is made of the workspace once the command has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Making>,
}

impl Work {
    /// References of all images it needs.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        let beside = self.services.iter().map(|beside| &beside.image);
        [&self.image].into_iter().chain(beside).flatten().map(String::as_str)
    }

    /// What is set aside for it on its host: nothing for what is done to the host itself.
    pub fn reserves(&self) -> Resources {
        match self.run_as {
            Some(_) => Resources { cpu: Cpu(0), memory: Memory(0) },
            None => self.limits.resources,
        }
    }

    /// Whether it needs a container engine: to be done, for what runs beside it, or for what
    /// becomes of it.
    pub fn needs_engine(&self) -> bool {
        let made = self.release.as_ref().map(|making| &making.form);
        matches!(made, Some(Form::Image(_))) || self.images().next().is_some()
    }
}

/// A release to be made of a workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Making {
    /// The application it is of: the name of the package.
    pub application: String,
    /// Its version.
    pub version: String,
    /// What becomes of the workspace.
    pub form: Form,
}

/// What a release is made into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Form {
    /// This file or directory becomes a package.
    Package(String),
    /// A container image is built and pushed.
    Image(ImageRule),
}

/// What has become of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// In one word.
    pub phase: TaskPhase,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The generation of its target that the agent has acted on.
    #[serde(default)]
    pub observed_generation: u64,
    /// The exit code of its command, or 128 + the signal's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When its command was started, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What it has brought.
    #[serde(flatten)]
    pub yields: Yields,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(TaskStatus);

/// What a task has brought, all of it kept by the server under digests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Yields {
    /// Its whole log, as the BLAKE3 digest of a blob, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// All it has said, where that is short and the task is one of a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What it left, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, Kept>,
    /// How its tests went, by suite.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tests: BTreeMap<Suite, TestTotals>,
    /// Every test, as JSON ([`TestCases`]) in a blob of this digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
    /// The keys of caches that were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache_hits: Vec<String>,
    /// The release it has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
}

/// An artefact that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The digest of its package's index.
    pub digest: String,
    /// Bytes of all its files together.
    pub size: u64,
    /// Number of entries.
    pub entries: u64,
}

/// How many tests went how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestTotals {
    /// Those that passed.
    pub passed: u32,
    /// Those that failed, or broke.
    pub failed: u32,
    /// Those that were left out.
    pub skipped: u32,
    /// How long they took together, in milliseconds.
    pub millis: u64,
}

/// Every test of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestCases {
    /// In the order of the reports.
    pub cases: Vec<TestCase>,
    /// There were more than are kept.
    #[serde(default)]
    pub truncated: bool,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestCase {
    /// What kind of test.
    pub suite: Suite,
    /// The class, file or module it stands in.
    pub group: String,
    /// Its name.
    pub name: String,
    /// How it went.
    pub outcome: TestOutcome,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// What it said when it failed; shortened where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestOutcome {
    /// As it should.
    Passed,
    /// Not as it should, or it broke.
    Failed,
    /// It was left out.
    Skipped,
}

/// The state of a task in one word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum TaskPhase {
    /// It has no host, or its host has not spoken of it yet.
    #[default]
    Pending,
    /// Its source, inputs, caches or image are on the way, or what runs beside it is starting.
    Preparing,
    /// Its command runs.
    Running,
    /// Its command has ended; what it left is being kept.
    Keeping,
    /// Its command exited with 0, and what it was to leave is kept.
    Succeeded,
    /// Its command did not exit with 0, or it left not what it was to leave.
    Failed,
    /// It took too long.
    TimedOut,
    /// It used more disk or memory than it may.
    OverLimit,
    /// It was ended because that was asked.
    Cancelled,
    /// Its host is gone, or could not begin it.
    Lost,
}

impl TaskPhase {
    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        self >= TaskPhase::Succeeded
    }
}

impl Spec for Task {
    const KIND: Kind = Kind::Task;
    type Status = TaskStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("run", name::check_derived(&self.run));
        invalid.nest("step", name::check_simple(&self.step));
        if let Some(host) = &self.host {
            invalid.nest("host", name::check_simple(host));
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Task) -> Result<(), Invalid> {
        name::check_derived(name)?;
        let beginning = format!("{}.{}.", spec.run, spec.step);
        if name.starts_with(&beginning) {
            Ok(())
        } else {
            Err(Invalid::one("", format!("the name of this task begins with {beginning}")))
        }
    }
}

//! One run of a pipeline: what began it, what it is of, and how its steps are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::ci::pipeline::Pipeline;
use crate::ci::step::Suite;
use crate::ci::task::TestTotals;
use crate::cmdb::{Application, explained};
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::Timestamp;

/// One run of a pipeline. Its object is named `PIPELINE.NUMBER`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// The pipeline it is of.
    pub pipeline: String,
    /// Counts the runs of the pipeline, from 1.
    pub number: u64,
    /// What began it.
    pub cause: Cause,
    /// What is run: the same cause with the same key begins one run, however often it is told.
    pub key: String,
    /// The branch it is of; the pipeline's own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit, where it is known from the start; the newest of the branch, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Source that was handed in with the run, as the digest of a package's index: no repository
    /// is asked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Steps that were handed in with the run; those of the repository, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Box<Pipeline>>,
    /// What was given to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, serde_json::Value>,
    /// It is to be ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
}

/// What began a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// A commit, told by a webhook.
    Webhook,
    /// A commit, found by looking.
    Poll,
    /// A push to a repository served here.
    Push,
    /// A time.
    Schedule,
    /// A person.
    Manual,
}

/// How a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// In one word.
    pub phase: RunPhase,
    /// The commit it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The source, as the digest of a package's index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The pipeline as that commit declares it: what is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Box<Pipeline>>,
    /// The application as that commit declares it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Box<Application>>,
    /// The group of runs that do not run at the same time, filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Every cell of every step, in the order of the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
    /// How its tests went, by suite.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tests: BTreeMap<Suite, TestTotals>,
    /// What its release step has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// When its first step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Since when it is being ended before its steps are done; those that are always done have a
    /// few minutes from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The phase last told to the place the source comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<RunPhase>,
    /// Why that place could not be told of its phase; absent where it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<Reason>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(RunStatus);

/// The state of a run in one word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum RunPhase {
    /// Its source is not there yet.
    #[default]
    Pending,
    /// It waits for another run of its group.
    Waiting,
    /// Its steps are done, one after another.
    Running,
    /// All that had to succeed has.
    Succeeded,
    /// A step failed, or it could not be begun.
    Failed,
    /// It took too long.
    TimedOut,
    /// It was ended by a person, or by a newer run.
    Cancelled,
}

impl RunPhase {
    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        self >= RunPhase::Succeeded
    }
}

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// Its full hash.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// When it was made.
    pub at: Timestamp,
}

/// One cell of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// The step.
    pub step: String,
    /// Its values of the matrix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// In one word.
    pub phase: CellPhase,
    /// The newest task that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// How often it was tried again.
    #[serde(default)]
    pub retries: u32,
}

/// The state of a cell in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CellPhase {
    /// Steps before it are not done.
    #[default]
    Waiting,
    /// It has a task.
    Going,
    /// It is done.
    Succeeded,
    /// It failed.
    Failed,
    /// Its `when` was not true, or a step before failed.
    Skipped,
    /// It was ended.
    Cancelled,
}

/// What a release step has made. The planner of deliveries turns it into a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// Its version.
    pub version: String,
    /// What it consists of.
    pub content: Content,
    /// Its parts, as CycloneDX in a blob of this BLAKE3 digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<String>,
}

/// What a package consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Content {
    /// Files, kept here.
    Files {
        /// BLAKE3 of the package's index, in hex.
        digest: String,
        /// Bytes of all files together.
        size: u64,
        /// Number of entries.
        entries: u64,
    },
    /// A container image, kept in a registry.
    Image {
        /// Where: `registry:5000/shop`.
        repository: String,
        /// `sha256:…` of its manifest.
        digest: String,
    },
}

impl CellPhase {
    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        !matches!(self, CellPhase::Waiting | CellPhase::Going)
    }
}

impl Spec for Run {
    const KIND: Kind = Kind::Run;
    type Status = RunStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("pipeline", name::check_simple(&self.pipeline));
        if let Some(definition) = &self.definition {
            invalid.nest("definition", definition.validate());
        }
        let is_commit = |text: &String| {
            (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
        };
        invalid.add_if(
            self.commit.as_ref().is_some_and(|commit| !is_commit(commit)),
            "commit",
            "is no hash of a commit",
        );
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Run) -> Result<(), Invalid> {
        let right = format!("{}.{}", spec.pipeline, spec.number);
        if name == right {
            name::check_derived(name)
        } else {
            Err(Invalid::one("", format!("this run is named {right}")))
        }
    }
}

//! What runs where: deployments, their rollouts and their instances. Not how the next step is
//! chosen, which is the planner of the same name.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::explained;
use crate::config::ConfigAck;
use crate::delivery::Runtime;
use crate::guard::GuardStatus;
use crate::name::{self, Invalid};
use crate::object::{Explained, Object, Reason, Spec};
use crate::run::Resources;
use crate::time::{Span, Timestamp};

/// The target of one application in one environment. Its object is named
/// `APPLICATION.ENVIRONMENT`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deployment {
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The release wanted. Absent, it follows the newest one; in an environment that comes after
    /// another, the last good one there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Why it stays at `release`, whatever else comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// How many instances are wanted.
    #[serde(default = "one")]
    pub instances: u32,
    /// No further step of a rollout is taken; healing and rollback go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The release whose remaining soaks are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<String>,
    /// The release whose rollout is given up; it goes back to the last good one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
}

fn one() -> u32 {
    1
}

/// The annotation of a deployment by which a release that failed is asked for again: whatever its
/// value, a change of it counts as an edit of the target.
pub const RETRY_ANNOTATION: &str = "atoll/retry";

/// The most instances one deployment may want.
pub const MOST_INSTANCES: u32 = 200_000;

/// How far a deployment is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// The generation of the target this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// In one word.
    #[serde(default)]
    pub phase: Phase,
    /// Instances there are, those being stopped included.
    #[serde(default)]
    pub instances: u32,
    /// Of them, ready.
    #[serde(default)]
    pub ready: u32,
    /// Of them, on the release being rolled out.
    #[serde(default)]
    pub updated: u32,
    /// Wanted instances that are not ready.
    #[serde(default)]
    pub unavailable: u32,
    /// How many its autoscaler wants, where one acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled: Option<Scaled>,
    /// How many were wanted when it was last settled: what is missing up to here is healed, what
    /// is missing beyond is scaled.
    #[serde(default)]
    pub reached: u32,
    /// What all run once settled; while rolling, what the rollout comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The last release that proved itself here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<String>,
    /// Since when that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_since: Option<Timestamp>,
    /// The one that was the last good before: what a veto of the last good one goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_before: Option<String>,
    /// The last rollout that came to its end and changed what runs here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled: Option<Rolled>,
    /// The release that failed here; not tried again until the target is edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
    /// The rollout under way, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// That its instances lie unevenly over the zones, and how far that is mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uneven: Option<Uneven>,
    /// How often its instances were made elsewhere since something else has a fixed port of theirs,
    /// until it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_tries: Option<PortTries>,
    /// Hosts on which its release did not come up while it served on others, and since when that is
    /// known: nothing is placed there for an hour.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub misfits: BTreeMap<String, Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// Some zone has two instances more than another that could have one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Uneven {
    /// Since when that is so, or since the last attempt to mend it came to nothing.
    pub since: Timestamp,
    /// The instances that go, once others serve in other zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Moving>,
    /// So many attempts came to nothing, one after the other.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u32,
}

/// Instances were made elsewhere, since something else has a fixed port of theirs and hosts did not
/// tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortTries {
    /// So many times in a row.
    pub count: u32,
    /// When the last time began: what was made before is still of the time before.
    pub since: Timestamp,
}

/// Instances that are moved to other zones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Moving {
    /// Which.
    pub instances: BTreeSet<String>,
    /// The zones they go to.
    pub to: BTreeSet<String>,
    /// When that began.
    pub since: Timestamp,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The number of instances that an autoscaler wants. It holds in place of `spec.instances`, and
/// stays when the autoscaler acts no more, until that is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scaled {
    /// So many.
    pub instances: u32,
    /// What `spec.instances` was then.
    pub declared: u32,
}

/// A release that failed, and the edit of the target it failed for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The release.
    pub release: String,
    /// When it was given up.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// A checksum of what was asked for when it failed, see [`RETRY_ANNOTATION`], `release`,
    /// `promoted` and `aborted`: once one of them is edited the release is tried again, while
    /// scaling or pausing changes nothing.
    #[serde(default)]
    pub edit: u32,
}

/// A rollout that came to its end: what ran before, and what since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rolled {
    /// The release it came from.
    pub from: String,
    /// The release it went to.
    pub to: String,
    /// When it began.
    pub since: Timestamp,
    /// When it was over.
    pub at: Timestamp,
}

/// How far a rollout is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The release being rolled out.
    pub to: String,
    /// Whether it is a way back to the last good release.
    #[serde(default)]
    pub back: bool,
    /// The index of the step it is at, for `canary`.
    #[serde(default)]
    pub step: u32,
    /// When the soak of this step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soaking_since: Option<Timestamp>,
    /// When it began.
    pub since: Timestamp,
    /// When it last got further.
    pub progress_at: Timestamp,
    /// The most instances that were ready on the new release: what progress is measured by.
    #[serde(default)]
    pub proven: u32,
    /// How many instances steps that passed the gate have put on the new release: so many, and no
    /// more, are healed on it.
    #[serde(default)]
    pub moved: u32,
    /// What the guard says of the step it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardStatus>,
}

/// The state of a deployment in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Something it needs is not there; the reasons say what.
    #[default]
    Waiting,
    /// Everything is as it is meant to be (or back at the last good release, with a reason).
    Settled,
    /// Instances are being brought to the target.
    Rolling,
    /// A step is being watched.
    Soaking,
    /// It goes on when it is told to.
    Paused,
    /// On its way back to the last good release.
    RollingBack,
    /// It failed, and there is nothing good to go back to.
    Failed,
}

explained!(DeploymentStatus, InstanceStatus);

impl Spec for Deployment {
    const KIND: Kind = Kind::Deployment;
    type Status = DeploymentStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("application", name::check_simple(&self.application));
        invalid.nest("environment", name::check_simple(&self.environment));
        if let Some(release) = &self.release {
            invalid.nest("release", name::check_simple(release));
        }
        invalid.add_if(
            self.pin.is_some() && self.release.is_none(),
            "pin",
            "goes with a release: the one it stays at",
        );
        invalid.add_if(
            self.instances > MOST_INSTANCES,
            "instances",
            format!("is more than {MOST_INSTANCES}"),
        );
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Deployment) -> Result<(), Invalid> {
        let right = format!("{}.{}", spec.application, spec.environment);
        if name == right {
            name::check_derived(name)
        } else {
            let why =
                format!("this deployment is named {right}, of its application and environment");
            Err(Invalid::one("", why))
        }
    }
}

impl Object<Instance> {
    /// How long it took to become what it is: from when its process was started last, or it was
    /// made. Where it is ready, that is what a start takes.
    pub fn took(&self) -> Option<Span> {
        let began = self.meta.created_at?.max(self.status.started_at.unwrap_or_default());
        Some(self.status.since?.since(began))
    }
}

impl Object<Deployment> {
    /// How many instances there are to be.
    pub fn wanted(&self) -> u32 {
        self.status.scaled.map_or(self.spec.instances, |scaled| scaled.instances)
    }

    /// The release it is at or on its way to.
    pub fn heading_for(&self) -> Option<String> {
        let rollout = self.status.rollout.as_ref().map(|rollout| rollout.to.clone());
        rollout.or_else(|| self.status.release.clone())
    }

    /// The same deployment, meant to run this release, without pause, promotion or abort.
    #[must_use]
    pub fn with_target(&self, release: Option<String>) -> Object<Deployment> {
        let mut changed = self.clone();
        changed.spec.release = release.or_else(|| self.spec.release.clone());
        changed.spec.pin = None;
        changed.spec.paused = false;
        changed.spec.promoted = None;
        changed.spec.aborted = None;
        changed
    }
}

/// One running copy of an application on one host, written by the deployment's planner. Its
/// object is named `DEPLOYMENT.ORDINAL`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Instance {
    /// The deployment it belongs to.
    pub deployment: String,
    /// Its number, the lowest free one when it was made.
    pub ordinal: u32,
    /// The release it is to run.
    pub release: String,
    /// The host it is placed on, for its whole life.
    pub host: String,
    /// The ports given to it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
    /// What is reserved for it.
    #[serde(default)]
    pub resources: Resources,
    /// A release whose package the host fetches ahead of need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<String>,
    /// How it runs; that of its environment when its release was chosen.
    #[serde(default, skip_serializing_if = "Runtime::is_process")]
    pub runtime: Runtime,
    /// The instance it was made for, where a migration moved that one. Its name may be that of
    /// another since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// How an instance is, as its agent reports it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// The generation of the target this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// In one word.
    #[serde(default)]
    pub phase: InstancePhase,
    /// Since when `phase` is what it is, by the server's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The host it is on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Where it is reached.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The ports it listens on, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The release its process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// How often its process was started again.
    #[serde(default)]
    pub restarts: u32,
    /// When its process was started, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The release fetched ahead of need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetched: Option<String>,
    /// What it has of its dynamic configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<String, ConfigAck>,
    /// Why it is as it is: the last exit, the last failed probe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of an instance in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum InstancePhase {
    /// Its host has not spoken of it yet.
    #[default]
    Pending,
    /// Its package is on the way.
    Fetching,
    /// Its process runs and has not been ready yet.
    Starting,
    /// It serves.
    Ready,
    /// It was ready and is not now.
    Unready,
    /// It has been asked to stop.
    Stopping,
    /// Nothing of it runs.
    Stopped,
    /// It dies again and again, or could not be started; the agent goes on trying.
    CrashLoop,
    /// Its host is not heard from.
    Unknown,
}

impl Spec for Instance {
    const KIND: Kind = Kind::Instance;
    type Status = InstanceStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("deployment", name::check_derived(&self.deployment));
        invalid.nest("release", name::check_simple(&self.release));
        invalid.nest("host", name::check_simple(&self.host));
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Instance) -> Result<(), Invalid> {
        let right = format!("{}.{}", spec.deployment, spec.ordinal);
        if name == right {
            name::check_derived(name)
        } else {
            Err(Invalid::one("", format!("this instance is named {right}")))
        }
    }
}

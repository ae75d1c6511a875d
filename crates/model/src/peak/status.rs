//! How far a peak is: what it takes, what is ready, what was seen. Its planner writes it, and those
//! of instances, hosts and releases go by it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::Money;
pub use crate::capacity::Known;
use crate::cmdb::explained;
use crate::object::{Explained, Reason};
use crate::time::Timestamp;

/// How far a peak is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeakStatus {
    /// The generation this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// In one word.
    #[serde(default)]
    pub phase: PeakPhase,
    /// When what is due.
    #[serde(default)]
    pub times: Times,
    /// What it takes, each application that is named or called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<PeakApplication>,
    /// What that costs more than usual, in each currency there are prices in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cost: Vec<PeakCost>,
    /// The budgets that pay for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<PeakBudget>,
    /// The hosts of its environment.
    #[serde(default)]
    pub hosts: PeakHosts,
    /// What must be ready and when: the calendar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<PeakCheck>,
    /// When the usual load was last looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Timestamp>,
    /// When the gate let it through: hosts and instances are kept for it from its times on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised_at: Option<Timestamp>,
    /// So many instances of each deployment the gate let through: no more is kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub granted: BTreeMap<String, u32>,
    /// The budgets it was let through under, and the generation of each then: one that was made or
    /// edited since is asked anew until instances are made for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asked: BTreeMap<String, u64>,
    /// Packages and images are fetched to hosts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fetching: bool,
    /// The last rehearsal of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsed: Option<Rehearsed>,
    /// What was seen since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<PeakReport>,
    /// When what is above was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of a peak in one word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum PeakPhase {
    /// It is planned for; nothing is made yet.
    #[default]
    Planned,
    /// Pools make hosts for it.
    Procuring,
    /// Packages are fetched to hosts too.
    Fetching,
    /// Instances are made.
    Scaling,
    /// Releases are held too.
    Frozen,
    /// It is there.
    Live,
    /// It is over, and what was kept for it is let go.
    GivingBack,
    /// Nothing is kept for it any more.
    Over,
}

impl PeakPhase {
    /// Something is there for it.
    pub fn is_under_way(self) -> bool {
        !matches!(self, PeakPhase::Planned | PeakPhase::Over)
    }
}

/// When what is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// The plan stands.
    pub plan: Timestamp,
    /// Hosts begin to be made.
    pub hosts: Timestamp,
    /// Packages begin to be fetched.
    pub prefetch: Timestamp,
    /// It has been rehearsed.
    pub rehearse: Timestamp,
    /// Instances begin to be made.
    pub scale: Timestamp,
    /// Releases are held.
    pub freeze: Timestamp,
    /// It starts.
    pub starts: Timestamp,
    /// It ends.
    pub ends: Timestamp,
    /// All is given back.
    pub back: Timestamp,
}

impl PeakStatus {
    /// So many of the instances it takes are there; what one application has too many is no help to
    /// another.
    pub fn there(&self) -> u32 {
        let rows = self.applications.iter();
        rows.map(|row| row.have.min(row.needed.unwrap_or(0))).sum()
    }
}

/// What a peak takes of one application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeakApplication {
    /// The deployment.
    pub deployment: String,
    /// It is not named; others that are call it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub called: bool,
    /// The usual load of the hour with the most that is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<f64>,
    /// The most load that is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// What is expected, bit by bit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub course: Vec<PeakSlot>,
    /// The load one instance carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<f64>,
    /// How that is known.
    #[serde(default)]
    pub known: Known,
    /// So many instances it takes, the buffer among them; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u32>,
    /// So many serve.
    #[serde(default)]
    pub have: u32,
    /// So many are lacking.
    #[serde(default)]
    pub missing: u32,
    /// The autoscaler keeps no fewer for it now.
    #[serde(default)]
    pub keep: u32,
    /// So many there were to be before any was made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// Pools keep room for no fewer now.
    #[serde(default)]
    pub room: u32,
    /// The release that is fetched to hosts ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The load as it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// What stands in the way of a plan, and what to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// What is expected from one time to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeakSlot {
    /// From when on.
    pub at: Timestamp,
    /// The most load.
    pub expected: f64,
}

/// What a peak costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeakCost {
    /// Three letters.
    pub currency: String,
    /// So much an hour more than usual, while all of it is there.
    pub rate: Money,
    /// So much in all.
    pub total: Money,
    /// The price of some of it is not known, and none of that is in here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpriced: Vec<String>,
}

/// What a budget says of a peak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeakBudget {
    /// Which.
    pub budget: String,
    /// How it would be broken; it holds, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// What it costs of that budget.
    #[serde(default)]
    pub cost: Money,
}

/// The hosts there are for a peak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeakHosts {
    /// So many hosts its environment may use are open.
    #[serde(default)]
    pub have: u32,
    /// So many more pools could make.
    #[serde(default)]
    pub pools: u32,
    /// So many instances that are lacking find no room on those there are.
    #[serde(default)]
    pub unplaced: u32,
    /// So many find none either if pools made all they may.
    #[serde(default)]
    pub beyond: u32,
    /// So many hosts have fetched all that is to run on them.
    #[serde(default)]
    pub fetched: u32,
}

/// One thing that must be so by a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeakCheck {
    /// In one word.
    pub name: String,
    /// By when.
    pub due: Timestamp,
    /// Whether it is so.
    pub state: State,
    /// What is so.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// Whether something that must be so is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Not yet, and there is time.
    #[default]
    Open,
    /// It is.
    Done,
    /// It is not, and was due.
    Late,
}

/// The last rehearsal of a peak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    /// When.
    pub at: Timestamp,
    /// All that was to hold did.
    pub held: bool,
    /// Of what generation of the peak.
    pub generation: u64,
    /// A checksum of what was declared then: a label makes a generation, and no other peak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<u32>,
    /// What each deployment was to have then: who needs many more now has not been rehearsed.
    pub needed: BTreeMap<String, u32>,
    /// What came of it, in one sentence.
    pub told: String,
}

/// What was seen of a peak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeakReport {
    /// It is complete.
    #[serde(default)]
    pub closed: bool,
    /// It was looked at until then.
    pub until: Timestamp,
    /// Of each deployment, by its name.
    #[serde(default)]
    pub applications: BTreeMap<String, Shortfall>,
    /// How long each objective was broken, in milliseconds, by its name; 0 of one that was not.
    #[serde(default)]
    pub broken: BTreeMap<String, u64>,
    /// So much was spent on what is of it, in each currency.
    #[serde(default)]
    pub spent: BTreeMap<String, Money>,
    /// What the decision centre decided about what is of it, by name.
    #[serde(default)]
    pub decisions: Vec<String>,
    /// Alerts that fired about what is of it, by name.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// The most hosts its environment had.
    #[serde(default)]
    pub hosts: u32,
}

impl PeakReport {
    /// The deployments of which nothing was promised: nobody saw whether they broke.
    pub fn unpromised(&self) -> Vec<&str> {
        let promised = |of: &str| {
            let mut names = self.broken.keys().filter_map(|name| name.strip_prefix(of));
            names.any(|rest| rest.starts_with('.'))
        };
        let all = self.applications.keys().map(String::as_str);
        all.filter(|of| !promised(of)).collect()
    }
}

/// What was expected of a deployment and what came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shortfall {
    /// The most load that was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// The most there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest: Option<f64>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The fewest instances that served.
    pub least: u32,
    /// The most.
    pub most: u32,
}

explained!(PeakStatus);

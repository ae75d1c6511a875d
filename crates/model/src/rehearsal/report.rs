//! What came of a rehearsal. All of it follows from the scenario and the fleet; only `took` is
//! measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// What came of a rehearsal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RehearsalReport {
    /// The scenario.
    pub name: String,
    /// When it began, by its own time.
    pub from: Timestamp,
    /// How long it lasted.
    pub lasts: Span,
    /// Every check held.
    pub held: bool,
    /// What had to hold.
    pub checks: Vec<Checked>,
    /// So many hosts at the beginning.
    pub hosts: u32,
    /// So many instances at the beginning.
    pub instances: u32,
    /// Each deployment that has load, those that served worst first.
    pub deployments: Vec<Served>,
    /// The whole fleet over time.
    pub fleet: Course,
    /// What the hosts cost in all, where there are prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What went wrong and what people did.
    pub events: Vec<Event>,
    /// What the planners did, put together.
    pub decisions: Vec<Decided>,
    /// What was taken for granted.
    pub assumed: Vec<String>,
    /// So many plans were made.
    pub plans: u64,
    /// So many objects were written, on the twin.
    pub writes: u64,
    /// How long it took; known to who ran it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Span>,
}

/// One check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// What had to hold, in words.
    pub what: String,
    /// It did.
    pub held: bool,
    /// What was found instead, or that it held.
    pub found: String,
}

/// How one deployment served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// Which.
    pub deployment: String,
    /// The load one instance carries.
    pub each: f64,
    /// The share of minutes in which all its load was served.
    pub served: f64,
    /// The share of its load that was not served.
    pub lost: f64,
    /// How it served if an instance carries what nobody has seen it break with; where that makes
    /// no difference it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_best: Option<AtBest>,
    /// The fewest instances that served, and the most.
    pub least: u32,
    /// See `least`.
    pub most: u32,
    /// When it did not serve everything.
    pub broken: Vec<Broken>,
    /// Over time.
    pub course: Course,
}

/// How one deployment served where what an instance is known to carry is less than it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AtBest {
    /// The share of minutes in which all its load was served.
    pub served: f64,
    /// The share of its load that was not served.
    pub lost: f64,
    /// The most load that was asked of one instance.
    pub asked: f64,
    /// The load that was too much for one; none where nobody has seen that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks: Option<f64>,
}

/// A time in which not everything was served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Broken {
    /// From when, after the beginning.
    pub from: Span,
    /// Until when.
    pub to: Span,
    /// The largest share of the load that was not served.
    pub worst: f64,
    /// When about that was so, after the beginning.
    #[serde(default)]
    pub worst_at: Span,
    /// Why it was then, as far as that is seen.
    pub why: String,
}

/// Values over time, one for each part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    /// From one to the next.
    pub step: Span,
    /// Hosts that are up; of the fleet only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<f64>,
    /// Instances that serve, the fewest.
    pub instances: Vec<f64>,
    /// The load, the highest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load: Vec<f64>,
    /// What instances carry, the least.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity: Vec<f64>,
    /// The share of the load that is not served.
    pub errors: Vec<f64>,
}

/// What hosts cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// In all.
    pub amount: f64,
    /// In what.
    pub currency: String,
}

/// Something that happened from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When, after the beginning.
    pub at: Span,
    /// What.
    pub what: String,
}

/// What one planner did of one kind, put together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// First, after the beginning.
    pub first: Span,
    /// Last.
    pub last: Span,
    /// So often.
    pub times: u32,
    /// Which planner.
    pub by: String,
    /// What it did.
    pub what: String,
    /// Why, the first time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

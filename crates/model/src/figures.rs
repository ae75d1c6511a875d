//! What is worked out of records when it is asked for: a release's journey, and the figures of
//! delivery. Nothing of it is stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ci::run::Commit;
use crate::delivery::Veto;
use crate::promotion::{Check, PromotionPhase};
use crate::time::{Span, Timestamp};

/// Where a release has been, where it is and what it waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Journey {
    /// The release.
    pub release: String,
    /// Its application.
    pub application: String,
    /// Its content: the same at every stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The commit it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The run that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
    /// That it is to run nowhere, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veto: Option<Veto>,
    /// Its environments, each after the one it comes after.
    pub stops: Vec<Stop>,
}

/// One environment on a release's journey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// The environment.
    pub environment: String,
    /// The one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How it stands there.
    pub phase: PromotionPhase,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many of the instances there run it.
    pub instances: u32,
    /// What is asked there, each with what is so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Why it did not wait, if it was an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<String>,
    /// Why the deployment there stays where it is, if it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
}

/// The figures of delivery of several applications or teams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryFigures {
    /// They are of so long, up to now.
    pub window: Span,
    /// One row for each, by name.
    pub items: Vec<DeliveryFigure>,
}

/// The figures of one application, or of one team. A change is a release's entry into the last
/// environment of its application. What cannot be told is absent, and never 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryFigure {
    /// Of whom.
    pub name: String,
    /// Changes that ended well.
    pub changes: u32,
    /// Changes that ended in failure: taken back, given up or vetoed.
    pub failures: u32,
    /// Changes that ended well, for each day.
    pub per_day: f64,
    /// From commit to running, the middle one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_time: Option<Span>,
    /// From commit to running: nine of ten took no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_time_p90: Option<Span>,
    /// The share of changes that failed, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<f64>,
    /// From the beginning of what failed to being whole again, the middle one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_restore: Option<Span>,
    /// The share of changes in which no person had a hand, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untouched: Option<f64>,
    /// Emergencies among them.
    pub emergencies: u32,
}

//! What is asked of the record of decisions and answered: they are decided again with other
//! policies. How, is the planner's of the same name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::Reason;
use crate::time::{Span, Timestamp};

/// Asks to decide again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionReplayRequest {
    /// Policies as manifests, in place of those of the same names.
    #[serde(default)]
    pub policies: Vec<Value>,
    /// Decisions since so long; all that are kept, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Span>,
}

/// What would have been decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionReplay {
    /// So many decisions were looked at.
    pub decisions: u32,
    /// So many come out the same.
    pub same: u32,
    /// So many were kept without their inputs, or cannot be told with them.
    pub unknown: u32,
    /// Of these, which and why, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<Untold>,
    /// What is odd about the policies that were tried, as it is told when they are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Reason>,
    /// The others, the latest first.
    pub differences: Vec<DecidedOtherwise>,
}

/// One decision that comes out otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecidedOtherwise {
    /// Which.
    pub decision: String,
    /// About what.
    pub subject: String,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What was decided.
    pub was: String,
    /// What would be.
    pub would: String,
    /// Why.
    pub because: String,
}

/// One decision that cannot be told again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Untold {
    /// Which.
    pub decision: String,
    /// About what.
    pub subject: String,
    /// Why not.
    pub why: String,
}

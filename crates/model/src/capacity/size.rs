//! Whether instances ask for as much as they use: the answer of `GET /v1/capacity/sizes`. Nothing
//! of it is stored, and nothing follows from it by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::money::Money;
use crate::run::Resources;
use crate::time::Span;

/// What instances ask for beside what they use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeReport {
    /// So far back was looked.
    pub over: Span,
    /// Of these prices; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Each deployment that has instances: those that ask for too little first, then those whose
    /// advice saves most.
    pub rows: Vec<SizeRow>,
    /// What would be freed costs so much an hour, of hosts that have a price; less than zero where
    /// more is to be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saves: Option<Money>,
}

/// One deployment of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeRow {
    /// Which.
    pub deployment: String,
    /// The release it runs, in whose `run.resources` the figures stand.
    pub release: String,
    /// So many instances.
    pub instances: u32,
    /// In one word.
    pub verdict: SizeVerdict,
    /// What one instance asks for.
    pub asked: Resources,
    /// What one uses: of the one that uses most, the cpu that is exceeded for a twentieth of the
    /// time, and the most memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Resources>,
    /// What it should ask for; as much as it does where it fits, absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advised: Option<Resources>,
    /// What all its instances would cost less an hour; less than zero where they would cost more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saves: Option<Money>,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Whether what is asked for fits what is used, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SizeVerdict {
    /// Not enough of its use has been measured.
    #[default]
    Unknown,
    /// It does.
    Fits,
    /// More is asked for than is used, of one or both.
    TooMuch,
    /// Less is asked for than is needed, of one or both.
    TooLittle,
}

//! What a forecast of a load is kept as. How one is made is not known here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What is expected of the load in the next hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastStatus {
    /// When it was made.
    pub at: Timestamp,
    /// The highest load of each step of five minutes that is expected, and between what it most
    /// likely is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<ForecastPoint>,
    /// How it was made, or why there is none.
    pub method: String,
    /// The mean error of forecasts like it over the last days, as a share of the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// The same of the simplest forecasts, which it has to beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simplest: Option<Simplest>,
}

/// The mean errors of the simplest forecasts over the same values, as shares of the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Simplest {
    /// Of saying the last value again.
    pub last: f64,
    /// Of saying the value of a day before; none without a day to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_ago: Option<f64>,
    /// Of saying the value of a week before; none without a week to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub week_ago: Option<f64>,
}

/// One time of a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastPoint {
    /// The end of its step.
    pub at: Timestamp,
    /// The highest that is expected.
    pub expected: f64,
    /// It is lower one time in ten.
    pub low: f64,
    /// It is higher one time in ten.
    pub high: f64,
}

//! The HTTP API as Prometheus serves it, for Grafana, promtool and client libraries. What is added
//! stands in a field of its own, `atoll`. It evaluates nothing itself.

pub mod answer;
pub mod limit;
pub mod params;
pub mod query;
pub mod rules;
pub mod series;
pub mod status;
pub mod targets;
pub mod write;

//! `status/…` and the two health checks: what clients ask to learn whom they talk to.

use std::collections::BTreeMap;

use atoll_metrics::storage::status::Figure;
use atoll_model::access::Actor;
use axum::Extension;
use axum::extract::State;
use serde_json::{Value, json};

use super::answer::{Result, success};
use super::params::Params;
use crate::App;
use crate::metrics::lanes::Lane;

/// The version of Prometheus whose API this is: clients choose what they ask for by it.
const API_OF: &str = "3.0.0";

/// `/-/healthy` and `/-/ready`.
pub async fn healthy() -> &'static str {
    "Prometheus Server is Healthy.\n"
}

/// `/-/ready`.
pub async fn ready() -> &'static str {
    "Prometheus Server is Ready.\n"
}

/// `/api/v1/status/buildinfo`.
pub async fn buildinfo() -> Result {
    Ok(success(json!({
        "version": API_OF,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "atoll": env!("CARGO_PKG_VERSION"),
    })))
}

/// `/api/v1/status/config`: there is no file; collection needs no set-up.
pub async fn config() -> Result {
    let yaml = "# There is no configuration file: what is collected follows from objects (atoll \
                get monitors, rules, receivers) and from the flags at /api/v1/status/flags.\n";
    Ok(success(json!({ "yaml": yaml })))
}

/// `/api/v1/status/flags`.
pub async fn flags(State(app): State<App>) -> Result {
    let retention = app.metrics.retention.to_string();
    Ok(success(json!({
        "storage.tsdb.retention.time": retention,
        "query.timeout": "30s",
        "query.max-concurrency": "3",
        "web.enable-remote-write-receiver": "true",
    })))
}

/// `/api/v1/status/runtimeinfo`.
pub async fn runtimeinfo(State(app): State<App>) -> Result {
    let started = app.clock.started().to_string();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(success(json!({
        "startTime": started,
        "CWD": "/",
        "hostname": app.replica,
        "serverTime": app.clock.now().to_string(),
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": cores,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": app.metrics.retention.to_string(),
    })))
}

/// `/api/v1/status/walreplay`: who answers has read its log.
pub async fn walreplay() -> Result {
    Ok(success(json!({ "min": 0, "max": 0, "current": 0, "state": "done" })))
}

/// `/api/v1/status/tsdb`.
pub async fn tsdb(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result {
    let lane = Lane::Person(&actor.name);
    let work = |storage: &atoll_metrics::storage::Storage| Ok(storage.status());
    let status = app.metrics.look(lane, params.patience()?, work).await?;
    let limit = params.limit()?.unwrap_or(10);
    let pairs: u64 = status.values_by_label.iter().map(|figure| figure.value).sum();
    Ok(success(json!({
        "headStats": {
            "numSeries": status.series,
            "numLabelPairs": pairs,
            "chunkCount": status.blocks.count,
            "minTime": status.min_time.unwrap_or_default(),
            "maxTime": status.max_time.unwrap_or_default(),
        },
        "seriesCountByMetricName": figures(&status.series_by_metric, limit),
        "labelValueCountByLabelName": figures(&status.values_by_label, limit),
        "memoryInBytesByLabelName": figures(&status.memory_by_label, limit),
        "seriesCountByLabelValuePair": figures(&status.series_by_pair, limit),
        "atoll": status,
    })))
}

fn figures(all: &[Figure], limit: usize) -> Vec<BTreeMap<&'static str, Value>> {
    let row = |f: &Figure| BTreeMap::from([("name", json!(f.name)), ("value", json!(f.value))]);
    all.iter().take(limit).map(row).collect()
}

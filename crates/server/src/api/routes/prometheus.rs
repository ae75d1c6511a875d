//! The rows of the route table that Prometheus serves too, as it serves them.

use axum::http::Method;
use axum::routing::{get, post};

use super::{Access, Route};
use crate::api::prometheus::{query, rules, series, status, targets, write};

/// Every row.
pub(super) fn routes() -> Vec<Route> {
    use Access::{Collect, Public, Read, ReadAll};
    let r = |method: Method, path, summary, handler| {
        Route::new(method, path, Read, summary, handler).gives_raw("application/json")
    };
    let whole = |path, summary, handler| {
        Route::new(Method::GET, path, ReadAll, summary, handler).gives_raw("application/json")
    };
    let mut all = vec![
        Route::new(Method::GET, "/-/healthy", Public, "It runs.", get(status::healthy)),
        Route::new(Method::GET, "/-/ready", Public, "It can serve.", get(status::ready)),
        Route::new(Method::POST, "/api/v1/write", Collect, "Takes metrics: remote write.", {
            post(write::write)
        })
        .takes_raw("application/x-protobuf"),
        r(Method::GET, "/api/v1/label/{name}/values", "Values of a label.", get(series::values)),
        r(Method::GET, "/api/v1/metadata", "What metrics are.", get(series::metadata)),
        r(Method::GET, "/api/v1/rules", "Rules and their alerts.", get(rules::rules)),
        r(Method::GET, "/api/v1/alerts", "Alerts that wait or fire.", get(rules::alerts)),
        r(Method::GET, "/api/v1/targets", "What is measured.", get(targets::targets)),
        r(Method::GET, "/api/v1/targets/metadata", "What metrics of targets are.", {
            get(targets::metadata)
        }),
        r(Method::GET, "/api/v1/scrape_pools", "Jobs that have targets.", get(targets::pools)),
        r(Method::GET, "/api/v1/alertmanagers", "Where alerts go.", get(targets::alertmanagers)),
        r(Method::GET, "/api/v1/status/buildinfo", "The version.", get(status::buildinfo)),
        whole("/api/v1/status/config", "No file.", get(status::config)),
        whole("/api/v1/status/flags", "Settings.", get(status::flags)),
        whole("/api/v1/status/runtimeinfo", "The process.", get(status::runtimeinfo)),
        whole("/api/v1/status/tsdb", "Who uses the metrics store.", get(status::tsdb)),
        whole("/api/v1/status/walreplay", "Done.", get(status::walreplay)),
    ];
    let queries = [
        ("/api/v1/query", "Evaluates PromQL at one time.", get(query::query), post(query::query)),
        (
            "/api/v1/query_range",
            "Evaluates PromQL over a range of time.",
            get(query::query_range),
            post(query::query_range),
        ),
        ("/api/v1/query_exemplars", "None are kept.", get(query::exemplars), {
            post(query::exemplars)
        }),
        ("/api/v1/format_query", "Lays PromQL out.", get(query::format_query), {
            post(query::format_query)
        }),
        ("/api/v1/series", "Series that match.", get(series::series), post(series::series)),
        ("/api/v1/labels", "Names of labels.", get(series::labels), post(series::labels)),
    ];
    for (path, summary, by_get, by_post) in queries {
        all.push(r(Method::GET, path, summary, by_get));
        let kind = "application/x-www-form-urlencoded";
        all.push(r(Method::POST, path, summary, by_post).takes_raw(kind));
    }
    all
}

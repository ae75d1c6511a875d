//! How the server itself is: health, readiness, its CA and its own description.

use atoll_model::api::Readiness;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::error::{Answer, ApiError};
use crate::App;

/// `GET /healthz`: the process runs.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: it can serve.
pub async fn readyz(State(app): State<App>) -> Response {
    let leading = app.leading();
    let ready = app.store.revision().await.is_ok();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let leads = leading.as_ref().is_some_and(|(_, ours)| *ours);
    let leader = leading.map(|(name, _)| name);
    let revision = app.cache.revision();
    (status, Json(Readiness { ready, leads, leader, revision })).into_response()
}

/// `GET /metrics`: the server's own figures in the Prometheus text format.
pub async fn metrics(State(app): State<App>) -> Response {
    let world = app.cache.world();
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    };
    let leads = app.leading().is_some_and(|(_, ours)| ours);
    gauge("atoll_revision", "Revision of the newest write known here.", world.revision);
    gauge("atoll_leads", "Whether the controllers of this replica act.", u64::from(leads));
    text.push_str("# HELP atoll_objects Objects stored.\n# TYPE atoll_objects gauge\n");
    for kind in atoll_model::Kind::ALL {
        text.push_str(&format!("atoll_objects{{kind=\"{kind}\"}} {}\n", world.count(*kind)));
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// `GET /v1/ca`: the CA's certificate, for agents that know its fingerprint.
pub async fn ca(State(app): State<App>) -> Answer<Response> {
    let authority = app.authority.as_ref().ok_or_else(|| {
        ApiError::not_found("CA here: this server speaks plain HTTP, or with given certificates")
    })?;
    let kind = [(CONTENT_TYPE, "application/x-pem-file")];
    Ok((kind, authority.certificate.clone()).into_response())
}

/// `GET /v1/openapi.json`.
pub async fn openapi() -> Json<serde_json::Value> {
    Json(super::openapi::document())
}

//! How the server itself is: health, readiness, its CA and its own description.

use atoll_metrics::exposition::Format;
use atoll_model::api::Readiness;
use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
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
pub async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let format = match accepted.contains("application/openmetrics-text") {
        true => Format::OpenMetrics,
        false => Format::Prometheus,
    };
    let text = crate::own::text::text(&app, format);
    ([(CONTENT_TYPE, format.content_type())], text).into_response()
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

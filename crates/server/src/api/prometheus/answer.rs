//! Answers and errors in the form Prometheus gives them. Not what is in them.

use atoll_metrics::SourceError;
use atoll_metrics::exposition::json::{render_text, render_value};
use atoll_metrics::promql::{Answer, Coverage, QueryError};
use atoll_model::Timestamp;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// Why there is no answer.
#[derive(Debug)]
pub struct Wrong {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

/// A handler's answer.
pub type Result<T = Response> = std::result::Result<T, Wrong>;

impl Wrong {
    /// A parameter is missing or cannot be read.
    pub fn bad_data(message: impl Into<String>) -> Wrong {
        Wrong { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }

    /// Whoever asks may not.
    pub fn denied(message: impl Into<String>) -> Wrong {
        Wrong { status: StatusCode::FORBIDDEN, kind: "denied", message: message.into() }
    }

    /// Something failed that the asker cannot mend.
    pub fn internal(message: impl Into<String>) -> Wrong {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Wrong { status, kind: "internal", message: message.into() }
    }
}

impl From<QueryError> for Wrong {
    fn from(error: QueryError) -> Wrong {
        let (status, kind) = match &error {
            QueryError::Parse(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            QueryError::Cancelled => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            QueryError::Source(SourceError::Broken(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
            QueryError::Limit(_) | QueryError::Execution(_) | QueryError::Source(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "execution")
            }
        };
        Wrong { status, kind, message: error.to_string() }
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let body = json!({
            "status": "error",
            "errorType": self.kind,
            "error": self.message,
        });
        (self.status, axum::Json(body)).into_response()
    }
}

/// An answer with data, and nothing measured about it.
pub fn success(data: impl Serialize) -> Response {
    axum::Json(json!({ "status": "success", "data": data })).into_response()
}

/// A list that may be cut short.
pub fn limited<T: Serialize>(mut all: Vec<T>, limit: Option<usize>) -> Response {
    let mut body = json!({ "status": "success" });
    if let Some(limit) = limit
        && all.len() > limit
    {
        all.truncate(limit);
        body["warnings"] = json!(["results truncated due to limit"]);
    }
    body["data"] = json!(all);
    axum::Json(body).into_response()
}

/// Text that is JSON already.
pub fn json_text(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

/// What a query came to.
pub fn measured(answer: &Answer, now: Timestamp) -> Response {
    let mut text = String::from("{\"status\":\"success\",\"data\":");
    render_value(&answer.value, &mut text);
    for (name, all) in [("warnings", &answer.warnings), ("infos", &answer.infos)] {
        if all.is_empty() {
            continue;
        }
        text.push_str(&format!(",\"{name}\":["));
        for (i, message) in all.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            render_text(message, &mut text);
        }
        text.push(']');
    }
    text.push_str(&format!(",\"atoll\":{}}}", coverage(&answer.coverage, now)));
    json_text(text)
}

/// How complete and how fresh the samples were; times are in seconds, as Prometheus has them.
pub fn coverage(coverage: &Coverage, now: Timestamp) -> Value {
    let seconds = |at: Option<i64>| at.map(|at| at as f64 / 1000.0);
    let share = coverage.seen as f64 / coverage.expected as f64;
    let freshness = coverage.newest.map(|at| (now.0 - at).max(0) as f64 / 1000.0);
    json!({
        "series": coverage.series,
        "expected": coverage.expected,
        "seen": coverage.seen,
        // Where nothing was expected there is no share, and no reason to call it complete.
        "completeness": (coverage.expected > 0).then_some(share),
        "newest": seconds(coverage.newest),
        "stalest": seconds(coverage.stalest),
        "freshness_seconds": freshness,
        "interval_seconds": seconds(coverage.interval),
    })
}

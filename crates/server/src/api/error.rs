//! Errors as RFC 9457 has them, with stable codes. Not the texts of reasons, which come from where
//! they arise.

use atoll_model::Reason;
use atoll_model::api::ProblemJson;
use atoll_model::name::Invalid;
use atoll_store::CommitError;
use axum::Json;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::blobs::BlobError;
use crate::commit::Refusal;

/// The framework's own texts are no longer.
const LONGEST_TEXT: usize = 16 << 10;

/// What a handler answers when it cannot do what was asked.
#[derive(Debug)]
pub struct ApiError(pub ProblemJson);

/// Goes with an answer that refuses something, so that it is put on record.
#[derive(Clone, Debug)]
pub struct Refused(pub Vec<Reason>);

/// A handler's answer.
pub type Answer<T> = Result<T, ApiError>;

impl ApiError {
    /// An error with one sentence.
    pub fn new(status: StatusCode, code: &str, title: impl Into<String>) -> ApiError {
        ApiError::because(status, code, title, Vec::new())
    }

    /// An error with every single reason.
    pub fn because(
        status: StatusCode,
        code: &str,
        title: impl Into<String>,
        reasons: Vec<Reason>,
    ) -> ApiError {
        ApiError(ProblemJson {
            type_: "about:blank".to_owned(),
            title: title.into(),
            status: status.as_u16(),
            code: code.to_owned(),
            reasons,
        })
    }

    /// Whoever asks may not.
    pub fn denied(reason: Reason) -> ApiError {
        let title = reason.message.clone();
        ApiError::because(StatusCode::FORBIDDEN, "denied", title, vec![reason])
    }

    /// Nothing of that name.
    pub fn not_found(what: impl std::fmt::Display) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what}"))
    }

    /// What was sent is not valid.
    pub fn invalid(title: impl Into<String>, reasons: Vec<Reason>) -> ApiError {
        ApiError::because(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title, reasons)
    }

    /// Somebody else was faster.
    pub fn conflict(title: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, "conflict", title)
    }

    /// Something failed that the asker cannot mend.
    pub fn internal(error: impl std::fmt::Display) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!("{}", self.0.title);
        }
        let refused = matches!(status, StatusCode::FORBIDDEN).then(|| match self.0.reasons.len() {
            0 => vec![Reason::new(&self.0.code, self.0.title.clone())],
            _ => self.0.reasons.clone(),
        });
        let mut response = (status, Json(self.0)).into_response();
        if let Some(reasons) = refused {
            response.extensions_mut().insert(Refused(reasons));
        }
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

/// What the framework refuses before a handler is asked, as a body that is no JSON, it tells in
/// plain text; below `/v1` that becomes a problem like any other.
pub async fn as_problem(request: Request, next: Next) -> Response {
    let ours = request.uri().path().starts_with("/v1/");
    let response = next.run(request).await;
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let plain = kind.is_none_or(|kind| kind.starts_with(b"text/plain"));
    let status = response.status();
    if !ours || !plain || !status.is_client_error() {
        return response;
    }
    let body = axum::body::to_bytes(response.into_body(), LONGEST_TEXT).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&body);
    let title = match said.trim() {
        "" => status.canonical_reason().unwrap_or("refused").to_owned(),
        said => said.to_owned(),
    };
    let code = match status {
        StatusCode::METHOD_NOT_ALLOWED => "not-allowed",
        StatusCode::REQUEST_TIMEOUT => "timeout",
        StatusCode::PAYLOAD_TOO_LARGE => "too-large",
        _ => "invalid",
    };
    ApiError::new(status, code, title).into_response()
}

/// The problems of an object as reasons with the code `invalid`.
pub fn reasons_of(subject: &str, invalid: &Invalid) -> Vec<Reason> {
    let reason = |p: &atoll_model::Problem| Reason::new("invalid", format!("{subject}: {p}"));
    invalid.0.iter().map(reason).collect()
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::Invalid(reasons) => refused(reasons),
            Refusal::Denied(reasons) => denied(reasons),
            Refusal::Store(error) => error.into(),
        }
    }
}

/// What a planner of edits refuses: not there, in conflict, or not valid.
fn refused(reasons: Vec<Reason>) -> ApiError {
    let first = reasons.first().map_or("not valid", |r| r.message.as_str()).to_owned();
    match reasons.first().map(|r| r.code.as_str()) {
        Some("not-found") => ApiError::because(StatusCode::NOT_FOUND, "not-found", first, reasons),
        Some("conflict") => ApiError::because(StatusCode::CONFLICT, "conflict", first, reasons),
        _ => ApiError::invalid(first, reasons),
    }
}

/// What the gate refuses. What is not valid is told as such, so that scripts can tell a mistake
/// from a rule.
fn denied(reasons: Vec<Reason>) -> ApiError {
    const MISTAKES: [&str; 3] = ["invalid", "cycle", "immutable"];
    let first = reasons.first().map_or("refused by the gate", |r| r.message.as_str()).to_owned();
    if !reasons.is_empty() && reasons.iter().all(|r| MISTAKES.contains(&r.code.as_str())) {
        return ApiError::invalid(first, reasons);
    }
    ApiError::because(StatusCode::FORBIDDEN, "denied", first, reasons)
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> ApiError {
        match error {
            CommitError::Conflict { kind, name, .. } => ApiError::conflict(format!(
                "{kind}/{name} was changed by somebody else; read it again and repeat the edit"
            )),
            CommitError::Full => {
                ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "full", error.to_string())
            }
            CommitError::Unavailable(_) | CommitError::Fenced { .. } => {
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string())
            }
            CommitError::Other(_) => ApiError::internal(error),
        }
    }
}

impl From<atoll_store::Error> for ApiError {
    fn from(error: atoll_store::Error) -> ApiError {
        CommitError::from(error).into()
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> ApiError {
        let (status, code) = match &error {
            BlobError::NotADigest(_) | BlobError::Mismatch { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid")
            }
            BlobError::NotFound(_) => (StatusCode::NOT_FOUND, "not-found"),
            // Asking again is of no use.
            BlobError::Damaged(_) => (StatusCode::GONE, "damaged"),
            BlobError::Full => (StatusCode::INSUFFICIENT_STORAGE, "full"),
            BlobError::Other(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        ApiError::new(status, code, error.to_string())
    }
}

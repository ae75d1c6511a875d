//! Pieces of packages: which are missing, take one, give one.

use atoll_model::api::Digests;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;

use super::error::{Answer, ApiError};
use crate::App;

/// So many digests are asked for at once, at most.
const MOST_DIGESTS: usize = 20_000;

/// `POST /v1/blobs/missing`.
pub async fn missing(State(app): State<App>, Json(ask): Json<Digests>) -> Answer<Json<Digests>> {
    if ask.digests.len() > MOST_DIGESTS {
        let title = format!("more than {MOST_DIGESTS} digests at once; ask in parts");
        return Err(ApiError::invalid(title, Vec::new()));
    }
    Ok(Json(Digests { digests: app.blobs.missing(ask.digests).await? }))
}

/// `PUT /v1/blobs/{digest}`.
pub async fn put(
    State(app): State<App>,
    Path(digest): Path<String>,
    content: Bytes,
) -> Answer<StatusCode> {
    app.blobs.put(&digest, content).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/blobs/{digest}`.
pub async fn get(State(app): State<App>, Path(digest): Path<String>) -> Answer<Bytes> {
    Ok(app.blobs.get(&digest).await?)
}

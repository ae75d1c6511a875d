//! What the server of the stage keeps under the keys of caches.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Shared;

pub async fn find(
    State(held): Shared,
    Path(key): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let caches = held.caches.lock().unwrap();
    let begins = |(key, _): &(&String, &String)| query["or"].lines().any(|or| key.starts_with(or));
    let found = caches.get_key_value(&key).or_else(|| caches.iter().find(begins));
    match found {
        Some((key, digest)) => axum::Json(json!({ "key": key, "digest": digest })).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub async fn keep(
    State(held): Shared,
    Path(key): Path<String>,
    axum::Json(kept): axum::Json<Value>,
) -> StatusCode {
    let digest = kept["digest"].as_str().unwrap().to_owned();
    held.caches.lock().unwrap().entry(key).or_insert(digest);
    StatusCode::NO_CONTENT
}

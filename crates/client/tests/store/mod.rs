//! A small server that keeps blobs and packages in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use atoll_client::Client;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::server::{problem, serve};

/// What the server holds, and what it has been asked.
#[derive(Default)]
pub struct Held {
    pub blobs: HashMap<String, Bytes>,
    pub packages: HashMap<String, Value>,
    pub gets: Vec<String>,
    pub puts: Vec<String>,
    /// After so many blobs it takes no more.
    pub most_puts: Option<usize>,
}

pub type Shared = Arc<Mutex<Held>>;

/// Blobs and packages.
pub async fn store() -> (Client, Shared) {
    let held = Shared::default();
    let router = Router::new()
        .route("/v1/blobs/missing", post(missing))
        .route("/v1/blobs/{digest}", get(get_blob).put(put_blob))
        .route("/v1/packages/{name}", get(get_package).put(put_package))
        .with_state(Arc::clone(&held));
    (serve(router).await, held)
}

async fn missing(State(held): State<Shared>, body: axum::Json<Value>) -> axum::Json<Value> {
    let held = held.lock().unwrap();
    let asked = body["digests"].as_array().unwrap();
    let lacks = |d: &&Value| !held.blobs.contains_key(d.as_str().unwrap());
    axum::Json(json!({ "digests": asked.iter().filter(lacks).collect::<Vec<_>>() }))
}

async fn get_blob(State(held): State<Shared>, Path(digest): Path<String>) -> Response {
    let mut held = held.lock().unwrap();
    held.gets.push(digest.clone());
    match held.blobs.get(&digest) {
        Some(bytes) => bytes.clone().into_response(),
        None => problem(404, "not-found"),
    }
}

async fn put_blob(State(held): State<Shared>, Path(digest): Path<String>, body: Bytes) -> Response {
    let mut held = held.lock().unwrap();
    if held.most_puts.is_some_and(|most| held.puts.len() >= most) {
        return problem(500, "internal");
    }
    held.puts.push(digest.clone());
    held.blobs.insert(digest, body);
    StatusCode::NO_CONTENT.into_response()
}

async fn get_package(State(held): State<Shared>, Path(name): Path<String>) -> Response {
    match held.lock().unwrap().packages.get(&name) {
        Some(package) => axum::Json(package.clone()).into_response(),
        None => problem(404, "not-found"),
    }
}

async fn put_package(
    State(held): State<Shared>,
    Path(name): Path<String>,
    axum::Json(package): axum::Json<Value>,
) -> Response {
    held.lock().unwrap().packages.insert(name, package);
    axum::Json(json!({ "verdict": "commit", "writes": [], "reasons": [] })).into_response()
}

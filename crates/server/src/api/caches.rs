//! What steps of one pipeline leave for each other, by keys: names of packages, each written once.
//! The packages themselves are pieces like any others.

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::api::{CacheFound, CacheKept};
use atoll_model::delivery::is_digest;
use atoll_model::name::check_simple;
use atoll_model::{Kind, Span, Timestamp};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{Answer, ApiError};
use crate::App;

/// What the names of notes in the store begin with.
pub const PREFIX: &str = "caches/";
/// What was not used for so long is forgotten.
const KEPT: Span = Span::seconds(30 * 86_400);
/// It is noted so often that something is used.
const NOTED: Span = Span::seconds(86_400);
/// The longest key, in bytes.
const LONGEST_KEY: usize = 1_000;

/// What is noted under a key.
#[derive(Serialize, Deserialize)]
struct Note {
    digest: String,
    kept: Timestamp,
    used: Timestamp,
}

/// The query of `GET /v1/caches/{scope}/{key}`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct CacheQuery {
    /// Beginnings of keys that will do, one a line: the newest of the first that has any is given.
    #[serde(default)]
    or: String,
}

/// `GET /v1/caches/{scope}/{key}`.
pub async fn get(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((scope, key)): Path<(String, String)>,
    Query(query): Query<CacheQuery>,
) -> Answer<Json<CacheFound>> {
    let name = name(&scope, &key)?;
    may_use(&app, &actor, &scope)?;
    let mut found = read(&app, &name).await?.map(|note| (name, note));
    if found.is_none() && !query.or.is_empty() {
        let all = app.store.list_blobs().await.map_err(ApiError::internal)?;
        for beginning in query.or.lines().filter(|line| !line.is_empty()) {
            let beginning = format!("{PREFIX}{scope}/{beginning}");
            for name in all.iter().filter(|name| name.starts_with(&beginning)) {
                let Some(note) = read(&app, name).await? else { continue };
                if found.as_ref().is_none_or(|(_, newest)| newest.kept < note.kept) {
                    found = Some((name.clone(), note));
                }
            }
            if found.is_some() {
                break;
            }
        }
    }
    let (name, note) = found.ok_or_else(|| ApiError::not_found(format!("cache {key:?}")))?;
    let digest = note.digest.clone();
    let now = app.clock.now();
    if now.since(note.used) >= NOTED {
        // What is lost between the two is made again by the next step that wants it.
        app.store.delete_blobs(vec![name.clone()]).await.map_err(ApiError::internal)?;
        write(&app, &name, &Note { used: now, ..note }).await?;
    }
    let key = name[PREFIX.len() + scope.len() + 1..].to_owned();
    Ok(Json(CacheFound { key, digest }))
}

/// `PUT /v1/caches/{scope}/{key}`: what is there already stays.
pub async fn put(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((scope, key)): Path<(String, String)>,
    Json(CacheKept { digest }): Json<CacheKept>,
) -> Answer<StatusCode> {
    let name = name(&scope, &key)?;
    may_use(&app, &actor, &scope)?;
    if !is_digest(&digest) {
        return Err(ApiError::invalid(format!("{digest:?} is no digest"), Vec::new()));
    }
    if !app.blobs.missing(vec![digest.clone()]).await?.is_empty() {
        let title = format!("there is no package {digest}; hand its pieces in first");
        return Err(ApiError::invalid(title, Vec::new()));
    }
    let now = app.clock.now();
    write(&app, &name, &Note { digest, kept: now, used: now }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Caches are of the pipeline they are named by; agents use those of what they run.
fn may_use(app: &App, actor: &Actor, scope: &str) -> Answer<()> {
    let sight = app.sight(actor);
    match sight.may.is_agent() || sight.may.always(Verb::Write, Kind::Pipeline) {
        true => Ok(()),
        false => sight.find(Verb::Write, Kind::Pipeline, scope).map(drop),
    }
}

/// Whether what is noted there was not used for too long.
pub fn is_forgotten(name: &str, note: &[u8], now: Timestamp) -> bool {
    let note = || serde_json::from_slice::<Note>(note).ok();
    name.starts_with(PREFIX) && note().is_none_or(|note| now.since(note.used) >= KEPT)
}

fn name(scope: &str, key: &str) -> Answer<String> {
    check_simple(scope).map_err(|e| ApiError::invalid(format!("scope {e}"), Vec::new()))?;
    if key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
        let title = format!("a key has at most {LONGEST_KEY} bytes, and is one line");
        return Err(ApiError::invalid(title, Vec::new()));
    }
    Ok(format!("{PREFIX}{scope}/{key}"))
}

async fn read(app: &App, name: &str) -> Answer<Option<Note>> {
    let note = app.store.get_blob(name).await.map_err(ApiError::internal)?;
    Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
}

async fn write(app: &App, name: &str, note: &Note) -> Answer<()> {
    let text = serde_json::to_vec(note).map_err(ApiError::internal)?;
    app.store.put_blob(name, &text).await.map_err(ApiError::internal)
}

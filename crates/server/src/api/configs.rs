//! Values of configurations for programs that are not instances: asked once, waited for, or
//! watched by very many at once. Instances ask their agent, which answers without a server too.

use std::convert::Infallible;
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::config::Labels;
use atoll_model::{Kind, Span};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch::Receiver;

use super::error::{Answer, ApiError};
use crate::App;
use crate::fan::{Seat, Shown, View};

/// A program is kept waiting at most this long.
const LONGEST: Span = Span::seconds(300);
/// A comment is sent after this time of silence, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The header that names the version of the values.
const VERSION: HeaderName = HeaderName::from_static("atoll-version");

/// Parameters of a question for values.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueQuery {
    /// As they are in this environment.
    #[serde(default)]
    pub environment: Option<String>,
    /// As they are where these labels are: `zone=a,tier=core`.
    #[serde(default)]
    pub labels: Option<String>,
    /// How long to wait for others than those named by `If-None-Match`.
    #[serde(default)]
    pub wait: Option<Span>,
}

impl ValueQuery {
    fn seat(&self, config: String) -> Answer<Seat> {
        let mut labels = Labels::new();
        let pairs = self.labels.as_deref().unwrap_or_default().split(',');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                let title = format!("labels: {pair:?}: write them as KEY=VALUE,KEY=VALUE");
                ApiError::invalid(title, Vec::new())
            })?;
            labels.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        labels.extend(self.environment.clone().map(|e| ("environment".to_owned(), e)));
        Ok(Seat { config, labels })
    }
}

/// `GET /v1/configs/{name}/values`.
pub async fn values(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<ValueQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    may_read(&app, &actor, &name)?;
    let mut view = app.fan.watch(&app.cache, query.seat(name.clone())?);
    let has = headers.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let has = has.map(|tag| tag.trim_matches('"').to_owned());
    let news = |view: &View| view.as_ref().is_none_or(|v| Some(&*v.tag) != has.as_deref());
    let wait = query.wait.unwrap_or_default().min(LONGEST).std();
    let found = match tokio::time::timeout(wait, view.wait_for(news)).await {
        Ok(Ok(found)) => found.clone(),
        // The server is going away, or nothing has changed.
        _ => return Ok((StatusCode::NOT_MODIFIED, [(ETAG, quoted(&has))]).into_response()),
    };
    let shown = found.ok_or_else(|| not_live(&name))?;
    let head = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (ETAG, format!("\"{}\"", shown.tag)),
        (VERSION, shown.version.to_string()),
    ];
    Ok((head, shown.body.clone()).into_response())
}

/// `GET /v1/configs/{name}/watch`.
pub async fn watch(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<ValueQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    may_read(&app, &actor, &name)?;
    let view = app.fan.watch(&app.cache, query.seat(name.clone())?);
    if view.borrow().is_none() {
        return Err(not_live(&name));
    }
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let events = futures::stream::unfold((view, last), |(mut view, last)| async move {
        let (bytes, last) = next(&mut view, last).await?;
        Some((Ok::<Bytes, Infallible>(bytes), (view, last)))
    });
    let head = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    Ok((head, Body::from_stream(events.fuse())).into_response())
}

/// Watchers are very many, so they are asked for their right once, when they begin.
fn may_read(app: &App, actor: &Actor, name: &str) -> Answer<()> {
    let sight = app.sight(actor);
    match sight.may.always(Verb::Read, Kind::Config) {
        true => Ok(()),
        false => sight.find(Verb::Read, Kind::Config, name).map(drop),
    }
}

/// What is sent next: other values than the last, or a sign of life. Ends when the configuration
/// is deleted.
async fn next(view: &mut Receiver<View>, last: Option<String>) -> Option<(Bytes, Option<String>)> {
    let event = |shown: &Shown| (shown.event.clone(), Some(shown.tag.to_string()));
    let now = view.borrow_and_update().clone()?;
    if last.as_deref() != Some(&*now.tag) {
        return Some(event(&now));
    }
    match tokio::time::timeout(KEEP_ALIVE, view.changed()).await {
        Ok(Ok(())) => {
            let now = view.borrow_and_update().clone()?;
            Some(event(&now))
        }
        Ok(Err(_)) => None,
        Err(_) => Some((Bytes::from_static(b":\n\n"), last)),
    }
}

fn quoted(tag: &Option<String>) -> String {
    format!("\"{}\"", tag.as_deref().unwrap_or_default())
}

fn not_live(name: &str) -> ApiError {
    ApiError::not_found(format!("config/{name}, or nothing of it is live yet"))
}

//! What was: history, audit, rollback; and why things are as they are.

use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::api::{self, Explanation, History, HistoryEntry, Outcome};
use atoll_model::config::Content;
use atoll_model::deployment::Phase;
use atoll_model::{Any, Config, Intent, Kind, Object, Reason, Timestamp};
use atoll_plan::{Context, edit, explain};
use atoll_store::{AuditFilter, Entry};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{Answer, ApiError};
use super::objects::{self, kind_of};
use crate::cache::read_body;
use crate::{App, Server};

/// So many rows are answered at once, at most.
const MOST_ROWS: usize = 1_000;

/// Parameters of a history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryQuery {
    /// At most so many rows; 50, if absent.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Only rows before this revision.
    #[serde(default)]
    pub before: Option<u64>,
}

/// Parameters of an audit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditQuery {
    /// Only what this actor wrote.
    #[serde(default)]
    pub actor: Option<String>,
    /// Only what was written since then.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// At most so many rows; 100, if absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Parameters of a rollback.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackQuery {
    /// The revision to go back to; the last target that differs from the present, if absent.
    #[serde(default)]
    pub to: Option<u64>,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// `GET /v1/history/{plural}/{name}`.
pub async fn history(
    State(app): State<App>,
    Path((plural, name)): Path<(String, String)>,
    Query(query): Query<HistoryQuery>,
) -> Answer<Json<History>> {
    let kind = kind_of(&plural)?;
    let limit = query.limit.unwrap_or(50).min(MOST_ROWS);
    let entries = rows(&app, kind, &name, query.before, limit).await?;
    if entries.is_empty() && query.before.is_none() {
        return Err(ApiError::not_found(format!("history of {}/{name}", kind.lower())));
    }
    Ok(Json(History { entries }))
}

/// `GET /v1/audit`.
pub async fn audit(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Answer<Json<History>> {
    let filter = AuditFilter {
        actor: query.actor,
        since_ms: query.since.map(|t| t.0),
        limit: query.limit.unwrap_or(100).min(MOST_ROWS),
    };
    let entries = app.store.audit(filter).await?;
    let entries = entries.iter().map(|e| row(e, None, false)).collect::<Result<_, _>>();
    Ok(Json(History { entries: entries.map_err(ApiError::internal)? }))
}

/// Rows of history, newest first, each with what it changed.
async fn rows(
    app: &Server,
    kind: Kind,
    name: &str,
    before: Option<u64>,
    limit: usize,
) -> Answer<Vec<HistoryEntry>> {
    let entries = app.store.history(kind.name(), name, before, limit + 1).await?;
    let rows = entries.iter().enumerate().take(limit);
    rows.map(|(i, entry)| row(entry, entries.get(i + 1), i + 1 == entries.len()))
        .collect::<Result<_, _>>()
        .map_err(ApiError::internal)
}

/// One row; `older` is the write of the same object before it, and `first` says there was none.
fn row(entry: &Entry, older: Option<&Entry>, first: bool) -> Result<HistoryEntry, String> {
    let read = |e: &Entry| read_body(&e.kind, &e.name, e.revision, &e.body);
    let new = if entry.deleted { None } else { Some(read(entry)?) };
    let old = match older {
        Some(older) if !older.deleted => Some(read(older)?),
        _ => None,
    };
    let known = older.is_some() || first;
    let op = match (&old, entry.deleted) {
        (_, true) => "delete",
        (None, false) if known => "create",
        _ => "update",
    };
    let diff =
        if known && !entry.deleted { api::diff(old.as_ref(), new.as_ref()) } else { Vec::new() };
    Ok(HistoryEntry {
        revision: entry.revision,
        at: Timestamp(entry.at),
        kind: entry.kind.parse()?,
        name: entry.name.clone(),
        op: op.to_owned(),
        actor: entry.actor.clone(),
        intent: entry.intent.clone(),
        reasons: serde_json::from_str(&entry.reasons).map_err(|e| e.to_string())?,
        diff,
        object: None,
    })
}

/// `POST /v1/rollback/{plural}/{name}`.
pub async fn rollback(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((plural, name)): Path<(String, String)>,
    Query(query): Query<RollbackQuery>,
) -> Answer<Json<Outcome>> {
    let kind = kind_of(&plural)?;
    let past = match query.to {
        Some(revision) => at(&app, kind, &name, revision).await?,
        None => last_different(&app, kind, &name).await?,
    };
    let target = past.meta().revision;
    objects::write(&app, &actor, query.dry_run, move |cx| {
        let mut any = past.clone();
        any.meta_mut().revision = 0;
        any.meta_mut().deleted_at = None;
        let mut plan = edit::apply(cx, vec![any])?;
        plan.intent = Intent::Revert;
        plan.reasons.push(Reason::new("revert", format!("taken back to revision {target}")));
        Ok(plan)
    })
    .await
}

async fn at(app: &Server, kind: Kind, name: &str, revision: u64) -> Answer<Any> {
    let entry = app.store.at_revision(kind.name(), name, revision).await?;
    let entry = entry.filter(|e| !e.deleted).ok_or_else(|| {
        ApiError::not_found(format!("{}/{name} at revision {revision}", kind.lower()))
    })?;
    read_body(&entry.kind, &entry.name, entry.revision, &entry.body).map_err(ApiError::internal)
}

/// The newest form whose target was reached and differs from the present one.
async fn last_different(app: &Server, kind: Kind, name: &str) -> Answer<Any> {
    let present = app.cache.world().find(kind, name).map(|any| present_target(&any));
    let mut before = None;
    loop {
        let entries = app.store.history(kind.name(), name, before, 200).await?;
        let Some(last) = entries.last() else {
            let title = format!("{}/{name} has no earlier target to go back to", kind.lower());
            return Err(ApiError::conflict(title));
        };
        before = Some(last.revision);
        for entry in entries.iter().filter(|e| !e.deleted) {
            let any = read_body(&entry.kind, &entry.name, entry.revision, &entry.body)
                .map_err(ApiError::internal)?;
            let differs = |past: &Any| present.as_ref().is_none_or(|now| !now.same_spec(past));
            if let Some(past) = reached_target(&any).filter(differs) {
                return Ok(past);
            }
        }
    }
}

/// The target as it is meant now: a deployment that follows releases is pinned to the one it is at.
fn present_target(any: &Any) -> Any {
    match any {
        Any::Deployment(d) => Any::Deployment(Arc::new(d.with_target(d.heading_for()))),
        Any::Config(c) => saying(c, &c.spec.content()),
        other => other.clone(),
    }
}

/// The target as it was once reached; none, where it was not.
fn reached_target(any: &Any) -> Option<Any> {
    match any {
        Any::Deployment(d) => {
            let reached = d.status.phase == Phase::Settled && d.status.last_good.is_some();
            let target = reached.then(|| d.with_target(d.status.release.clone()))?;
            Some(Any::Deployment(Arc::new(target)))
        }
        Any::Config(c) => (c.status.version > 0).then(|| saying(c, &c.status.live)),
        other => Some(other.clone()),
    }
}

/// A configuration with another content, and nothing under way.
fn saying(config: &Object<Config>, content: &Content) -> Any {
    let mut changed = config.clone();
    changed.spec = config.spec.with_content(content);
    Any::Config(Arc::new(changed))
}

/// `GET /v1/why/{plural}/{name}`.
pub async fn why(
    State(app): State<App>,
    Path((plural, name)): Path<(String, String)>,
) -> Answer<Json<Explanation>> {
    let kind = kind_of(&plural)?;
    let mut explanation = {
        let (world, measured, now) = (app.cache.world(), app.measure.read(), app.clock.now());
        let cx = Context { world: &world, measured: &measured, now };
        explain::explain(&cx, kind, &name)
            .ok_or_else(|| ApiError::not_found(format!("{}/{name}", kind.lower())))?
    };
    explanation.lately = rows(&app, kind, &name, None, 8).await?;
    Ok(Json(explanation))
}

//! What was: history, audit, rollback; and why things are as they are.

use std::collections::BTreeMap;

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::access::wire::{Audit, AuditEntry, AuditNote, AuditVerified};
use atoll_model::api::{self, Explanation, History, HistoryEntry, Outcome};
use atoll_model::decision::OVERRIDES;
use atoll_model::{Any, Kind, Reason, Timestamp};
use atoll_plan::{Context, edit, explain};
use atoll_store::{AuditFilter, Entry, RECORD};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{Answer, ApiError};
use super::objects::{self, kind_of};
use super::sight::Sight;
use crate::cache::read_body;
use crate::{App, Server};

/// So many rows are answered at once, at most.
const MOST_ROWS: usize = 1_000;
/// So many records are looked at for them.
const MOST_LOOKED_AT: usize = 5_000;
/// So many more, where hardly any is left out.
const MORE: usize = 50;

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
    /// Only what this actor did.
    #[serde(default)]
    pub actor: Option<String>,
    /// Only of this kind: the plural of a kind, or `audit` for what is no write.
    #[serde(default)]
    pub kind: Option<String>,
    /// Only what was refused.
    #[serde(default)]
    pub refused: bool,
    /// Only before this record.
    #[serde(default)]
    pub before: Option<u64>,
    /// Only what was recorded since then.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// At most so many rows; 100, if absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Parameters of a walk along the chain of records.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct VerifyQuery {
    /// Tell the hash of this record too.
    #[serde(default)]
    pub revision: Option<u64>,
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
    /// Why it is done in spite of a freeze.
    #[serde(default)]
    pub override_freeze: Option<String>,
    /// Why it is done although an error budget is spent.
    #[serde(default)]
    pub override_budget: Option<String>,
    /// Why it is done although it breaks an enforced standard.
    #[serde(default)]
    pub break_glass: Option<String>,
}

impl RollbackQuery {
    /// The annotations by which a person says so.
    fn said(&self) -> BTreeMap<String, String> {
        let given = [&self.override_freeze, &self.override_budget, &self.break_glass];
        let said = OVERRIDES.iter().zip(given);
        let said = said.filter_map(|((_, name), why)| Some(((*name).to_owned(), why.clone()?)));
        said.collect()
    }
}

/// `GET /v1/history/{plural}/{name}`.
pub async fn history(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((plural, name)): Path<(String, String)>,
    Query(query): Query<HistoryQuery>,
) -> Answer<Json<History>> {
    let kind = kind_of(&plural)?;
    let limit = query.limit.unwrap_or(50).min(MOST_ROWS);
    let sight = app.sight(&actor);
    if sight.world.find(kind, &name).is_some() {
        sight.find(Verb::Read, kind, &name)?;
    }
    let entries = rows(&app, &sight, kind, &name, query.before, limit).await?;
    if entries.is_empty() && query.before.is_none() {
        return Err(ApiError::not_found(format!("history of {}/{name}", kind.lower())));
    }
    Ok(Json(History { entries }))
}

/// `GET /v1/audit`: everything one may read, and everything one did oneself.
pub async fn audit(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<AuditQuery>,
) -> Answer<Json<Audit>> {
    let limit = query.limit.unwrap_or(100).min(MOST_ROWS);
    let kind = match query.kind.as_deref() {
        None if query.refused => Some(RECORD.to_owned()),
        None => None,
        Some("audit") => Some(RECORD.to_owned()),
        Some(plural) => Some(kind_of(plural)?.name().to_owned()),
    };
    let sight = app.sight(&actor);
    // Where much is left out more has to be looked at.
    let narrow = query.refused
        || query.before.is_some()
        || (query.actor.is_some() && kind.is_some())
        || !sight.may.reads_everything();
    let looked_at = if narrow { MOST_LOOKED_AT } else { limit + MORE };
    let filter = AuditFilter {
        actor: query.actor.clone(),
        kind: kind.clone(),
        since_ms: query.since.map(|t| t.0),
        limit: looked_at,
    };
    let wanted = |entry: &&Entry| {
        kind.as_ref().is_none_or(|kind| entry.kind == *kind)
            && (!query.refused || entry.intent == "refused")
            && query.before.is_none_or(|before| entry.revision < before)
            && may_know(&sight, &actor, entry)
    };
    let entries = app.store.audit(filter).await?;
    let entries = entries.iter().filter(wanted).take(limit).map(told).collect::<Result<_, _>>();
    Ok(Json(Audit { entries: entries.map_err(ApiError::internal)? }))
}

/// Whether somebody may know of a record. What is of no object is known to whoever reads
/// everything, and to whom it is about.
fn may_know(sight: &Sight, actor: &Actor, entry: &Entry) -> bool {
    if entry.kind == RECORD {
        return entry.actor == actor.name || sight.may.reads_everything();
    }
    let Ok(kind) = entry.kind.parse::<Kind>() else { return false };
    sight.may.always(Verb::Read, kind) || {
        let any = read_body(&entry.kind, &entry.name, entry.revision, &entry.body);
        any.is_ok_and(|any| sight.sees(&any))
    }
}

fn told(entry: &Entry) -> Result<AuditEntry, String> {
    let reasons: Vec<Reason> = serde_json::from_str(&entry.reasons).map_err(|e| e.to_string())?;
    let record = entry.kind == RECORD;
    let note: AuditNote = match record {
        true => serde_json::from_str(&entry.body).unwrap_or_default(),
        false => AuditNote::default(),
    };
    let op = match (record, entry.deleted) {
        (true, _) => entry.intent.as_str(),
        (false, true) => "delete",
        (false, false) if reasons.iter().any(|reason| reason.code == "override") => "override",
        (false, false) => "update",
    };
    Ok(AuditEntry {
        revision: entry.revision,
        at: Timestamp(entry.at),
        kind: entry.kind.clone(),
        name: entry.name.clone(),
        op: op.to_owned(),
        actor: entry.actor.clone(),
        intent: entry.intent.clone(),
        reasons,
        times: note.times,
        from: note.from,
        hash: entry.hash.clone(),
    })
}

/// `GET /v1/audit/verify`.
pub async fn verify(
    State(app): State<App>,
    Query(query): Query<VerifyQuery>,
) -> Answer<Json<AuditVerified>> {
    let found = app.store.verify().await?;
    let noted = match query.revision {
        Some(revision) => app.store.hash_at(revision).await?,
        None => None,
    };
    Ok(Json(AuditVerified {
        noted,
        holds: found.fault.is_none(),
        records: found.records,
        pruned: found.pruned,
        unchained: found.unchained,
        revision: found.revision,
        head: found.head,
        broken_at: found.fault.as_ref().map(|fault| fault.revision),
        what: found.fault.map(|fault| fault.what),
    }))
}

/// Rows of history, newest first, each with what it changed.
async fn rows(
    app: &Server,
    sight: &Sight,
    kind: Kind,
    name: &str,
    before: Option<u64>,
    limit: usize,
) -> Answer<Vec<HistoryEntry>> {
    let mut entries = app.store.history(kind.name(), name, before, limit + 1).await?;
    if !sight.may.always(Verb::Read, kind) {
        // It may have been another's once.
        entries.retain(|entry| {
            let any = read_body(&entry.kind, &entry.name, entry.revision, &entry.body);
            any.is_ok_and(|any| sight.sees(&any))
        });
    }
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
        Some(revision) => {
            let past = at(&app, kind, &name, revision).await?;
            edit::at_revision(&app.cache.world(), past)
        }
        None => last_different(&app, kind, &name).await?,
    };
    let (said, dry_run) = (query.said(), query.dry_run);
    objects::write(&app, &actor, dry_run, move |cx| edit::revert(cx, past.clone(), &said)).await
}

/// An object as it was at a revision.
pub(super) async fn at(app: &Server, kind: Kind, name: &str, revision: u64) -> Answer<Any> {
    let id = format!("{}/{name}", kind.lower());
    let newest = app.store.revision().await?;
    if revision > newest {
        let what = format!("{id} at revision {revision} yet: the newest is {newest}");
        return Err(ApiError::not_found(what));
    }
    let entry = app.store.at_revision(kind.name(), name, revision).await?;
    let entry = entry
        .filter(|e| !e.deleted)
        .ok_or_else(|| ApiError::not_found(format!("{id} at revision {revision}")))?;
    read_body(&entry.kind, &entry.name, entry.revision, &entry.body).map_err(ApiError::internal)
}

/// The newest form that is another target than the present one.
async fn last_different(app: &Server, kind: Kind, name: &str) -> Answer<Any> {
    let world = app.cache.world();
    let present = world.find(kind, name);
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
            if let Some(past) = edit::earlier(&world, present.as_ref(), &any) {
                return Ok(past);
            }
        }
    }
}

/// `GET /v1/why/{plural}/{name}`.
pub async fn why(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((plural, name)): Path<(String, String)>,
) -> Answer<Json<Explanation>> {
    let kind = kind_of(&plural)?;
    let sight = app.sight(&actor);
    sight.find(Verb::Read, kind, &name)?;
    let mut explanation = {
        let (measured, now) = (app.measure.read(), app.clock.now());
        let cx = Context { world: &sight.world, measured: &measured, now };
        explain::explain(&cx, kind, &name)
            .ok_or_else(|| ApiError::not_found(format!("{}/{name}", kind.lower())))?
    };
    explanation.lately = lately(&app, &sight, kind, &name).await?;
    Ok(Json(explanation))
}

/// The last writes that say more than how far something is: those may be few among many.
async fn lately(app: &Server, sight: &Sight, kind: Kind, name: &str) -> Answer<Vec<HistoryEntry>> {
    const SHOWN: usize = 8;
    const PAGE: usize = 100;
    let (mut found, mut before) = (Vec::new(), None);
    for _ in 0..MOST_ROWS / PAGE {
        let page = rows(app, sight, kind, name, before, PAGE).await?;
        let complete = page.len() < PAGE;
        before = page.last().map(|entry| entry.revision);
        found.extend(page.into_iter().filter(HistoryEntry::is_telling));
        if complete || found.len() >= SHOWN {
            break;
        }
    }
    found.truncate(SHOWN);
    Ok(found)
}

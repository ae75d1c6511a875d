//! Objects of every kind: list, get, put, patch, delete, apply, and their dry runs. Written once;
//! what a kind means is the planners' business.

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::api::{self, Apply, List, Outcome, VerdictWord, WriteView};
use atoll_model::{Any, Kind, Reason, Selector, Snapshot, Write, many};
use atoll_plan::decision::{COST, Verdict, decide};
use atoll_plan::permission::Permissions;
use atoll_plan::{Context, Plan, edit, follow};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::error::{Answer, ApiError, reasons_of};
use crate::commit::{Committed, Refusal};
use crate::measure::validity;
use crate::{App, Server};

/// So many objects are applied at once, at most.
const MOST_APPLIED: usize = 1_000;
/// An apply without a revision is planned again this often when a planner was faster: the person
/// asked for a target, whatever it was before.
const ATTEMPTS: usize = 5;

/// Parameters of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListQuery {
    /// A label selector.
    #[serde(default)]
    pub selector: Option<Selector>,
    /// At most so many; all, if absent.
    #[serde(default)]
    pub limit: Option<usize>,
    /// `continue` of the page before.
    #[serde(default, rename = "continue")]
    pub after: Option<String>,
}

/// Parameters of a write.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteQuery {
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// Parameters of a read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetQuery {
    /// As it was at this revision.
    #[serde(default)]
    pub revision: Option<u64>,
}

/// The kind a path names.
pub fn kind_of(plural: &str) -> Answer<Kind> {
    let kind = Kind::ALL.iter().copied().find(|kind| kind.plural() == plural);
    kind.ok_or_else(|| ApiError::not_found(format!("kind {plural:?}; see /v1/openapi.json")))
}

/// `GET /v1/{plural}`.
pub async fn list(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(plural): Path<String>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<List>> {
    let kind = kind_of(&plural)?;
    let sight = app.sight(&actor);
    let world = &sight.world;
    let limit = query.limit.unwrap_or(usize::MAX);
    let selector = query.selector.unwrap_or_default();
    let after = query.after.unwrap_or_default();
    let mut found = world
        .after(kind, &after)
        .filter(|any| selector.matches(&any.meta().labels) && sight.sees(any));
    let items: Vec<Any> = found.by_ref().take(limit).map(|any| app.shown(world, any)).collect();
    let more = found.next().is_some();
    drop(found);
    let next = items.last().filter(|_| more).map(|any| any.name().to_owned());
    Ok(Json(List {
        api_version: atoll_model::object::API_VERSION.to_owned(),
        kind: "List".to_owned(),
        items,
        revision: world.revision,
        next,
    }))
}

/// `GET /v1/{plural}/{name}`.
pub async fn get(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((plural, name)): Path<(String, String)>,
    Query(query): Query<GetQuery>,
) -> Answer<Json<Any>> {
    let kind = kind_of(&plural)?;
    if let Some(revision) = query.revision {
        let any = super::history::at(&app, kind, &name, revision).await?;
        // As it was then, which may have been another's.
        let sight = app.sight(&actor);
        sight.may.check(&sight.world, Verb::Read, &any).map_err(ApiError::denied)?;
        return Ok(Json(any));
    }
    let sight = app.sight(&actor);
    let any = sight.find(Verb::Read, kind, &name)?;
    Ok(Json(app.shown(&sight.world, any)))
}

fn find(world: &Snapshot, kind: Kind, name: &str) -> Answer<Any> {
    let hint = || ApiError::not_found(format!("{}/{name}", kind.lower()));
    world.find(kind, name).ok_or_else(hint)
}

/// `PUT /v1/{plural}/{name}`.
pub async fn put(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((plural, name)): Path<(String, String)>,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer<Json<Outcome>> {
    let kind = kind_of(&plural)?;
    let mut any = parse(body)?;
    if any.kind() != kind || any.name() != name {
        let title = format!("the object is {}, the path names {}/{name}", any.id(), kind.lower());
        return Err(ApiError::invalid(title, Vec::new()));
    }
    if let Some(revision) = if_match(&headers)? {
        any.meta_mut().revision = revision;
    }
    write(&app, &actor, query.dry_run, move |cx| edit::apply(cx, vec![any.clone()])).await
}

/// `PATCH /v1/{plural}/{name}`: a merge patch.
pub async fn patch(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((plural, name)): Path<(String, String)>,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer<Json<Outcome>> {
    let kind = kind_of(&plural)?;
    let stored = find(&app.cache.world(), kind, &name)?;
    let read = match if_match(&headers)? {
        Some(revision) => Some((revision, generation_at(&app, &stored, revision).await?)),
        None => None,
    };
    write(&app, &actor, query.dry_run, move |cx| {
        let stored = cx.world.find(kind, &name).ok_or_else(|| {
            vec![Reason::new("not-found", format!("there is no {}/{name}", kind.lower()))]
        })?;
        let mut value = stored.to_value();
        merge(&mut value, &body);
        let mut any = Any::from_value(value).map_err(|e| reasons_of(&stored.id(), &e))?;
        let meta = any.meta_mut();
        meta.revision = 0;
        if let Some((revision, generation)) = read {
            (meta.revision, meta.generation) = (revision, generation);
        }
        let mut plan = edit::apply(cx, vec![any])?;
        edit::said(cx.world, &mut plan, &stored, &body);
        Ok(plan)
    })
    .await
}

/// The generation an object had at a revision: what tells whether somebody has edited it since.
async fn generation_at(app: &Server, stored: &Any, revision: u64) -> Answer<u64> {
    if stored.meta().revision == revision {
        return Ok(stored.meta().generation);
    }
    let (kind, name) = (stored.kind().name(), stored.name());
    let entry = app.store.at_revision(kind, name, revision).await?;
    let Some(entry) = entry.filter(|entry| !entry.deleted) else { return Ok(0) };
    let past = crate::cache::read_body(&entry.kind, &entry.name, entry.revision, &entry.body);
    Ok(past.map_err(ApiError::internal)?.meta().generation)
}

/// `DELETE /v1/{plural}/{name}`.
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((plural, name)): Path<(String, String)>,
    Query(query): Query<WriteQuery>,
) -> Answer<Json<Outcome>> {
    let kind = kind_of(&plural)?;
    find(&app.cache.world(), kind, &name)?;
    write(&app, &actor, query.dry_run, move |cx| edit::remove(cx, kind, &name)).await
}

/// `POST /v1/apply`: all or none.
pub async fn apply(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<WriteQuery>,
    Json(body): Json<Apply>,
) -> Answer<Json<Outcome>> {
    if body.objects.len() > MOST_APPLIED {
        let title = format!("more than {MOST_APPLIED} objects at once; split them");
        return Err(ApiError::invalid(title, Vec::new()));
    }
    let (mut objects, mut reasons) = (Vec::new(), Vec::new());
    for (i, value) in body.objects.into_iter().enumerate() {
        let subject = subject_of(&value, i);
        match Any::from_value(value).and_then(|any| any.validate().map(|()| any)) {
            Ok(any) => objects.push(any),
            Err(invalid) => reasons.extend(reasons_of(&subject, &invalid)),
        }
    }
    if !reasons.is_empty() {
        let title = format!("{}; nothing was applied", many(reasons.len(), "problem"));
        return Err(ApiError::invalid(title, reasons));
    }
    write(&app, &actor, query.dry_run, move |cx| edit::apply(cx, objects.clone())).await
}

fn subject_of(value: &Value, index: usize) -> String {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    match (text("/kind"), text("/metadata/name")) {
        (Some(kind), Some(name)) => format!("{}/{name}", kind.to_ascii_lowercase()),
        _ => format!("object {}", index + 1),
    }
}

fn parse(body: Value) -> Answer<Any> {
    let subject = subject_of(&body, 0);
    let any = Any::from_value(body).and_then(|any| any.validate().map(|()| any));
    any.map_err(|e| ApiError::invalid(e.to_string(), reasons_of(&subject, &e)))
}

fn if_match(headers: &HeaderMap) -> Answer<Option<u64>> {
    let Some(value) = headers.get("if-match") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim_matches('"');
    let wrong = || ApiError::invalid(format!("If-Match {text:?} is not a revision"), Vec::new());
    text.parse().map(Some).map_err(|_| wrong())
}

/// Merges a patch into a value, as RFC 7396 has it.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    let Value::Object(into) = value else { return };
    for (key, field) in fields {
        if field.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), field);
        }
    }
}

/// Commits what a person asked for, or says what would happen.
pub async fn write(
    app: &Server,
    actor: &Actor,
    dry_run: bool,
    make: impl Fn(&Context) -> Result<Plan, Vec<Reason>>,
) -> Answer<Json<Outcome>> {
    if dry_run {
        return rehearsed(app, actor, make).map(Json);
    }
    let before = app.cache.world();
    let mut attempt = 1;
    loop {
        match app.commit(actor, None, &make).await {
            Ok(done) => {
                let mut told = outcome(&before, done)?;
                told.reasons.extend(app.pool_remarks(told.objects.iter()));
                return Ok(Json(told));
            }
            Err(Refusal::Store(atoll_store::CommitError::Conflict { .. }))
                if attempt < ATTEMPTS =>
            {
                // Another replica was faster; whether the asker minds is in the revision they
                // gave, which `edit::apply` compares again.
                attempt += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn outcome(before: &Snapshot, done: Committed) -> Answer<Outcome> {
    if let Some(reasons) = done.held {
        let title = reasons.first().map_or_else(String::new, |r| r.message.clone());
        return Err(ApiError::because(StatusCode::FORBIDDEN, "held", title, reasons));
    }
    let mut writes: Vec<WriteView> = done
        .objects
        .iter()
        .map(|any| view(before.find(any.kind(), any.name()), Some(any), "you"))
        .collect();
    for (kind, name) in &done.deleted {
        writes.extend(before.find(*kind, name).map(|old| view(Some(old), None, "you")));
    }
    let (cost, reasons) = priced(told(done.reasons));
    Ok(Outcome {
        verdict: VerdictWord::Commit,
        writes,
        reasons,
        cost,
        revision: done.revision,
        objects: done.objects,
    })
}

/// What a change costs, apart from the other reasons.
fn priced(reasons: Vec<Reason>) -> (Option<String>, Vec<Reason>) {
    let (costs, rest): (Vec<Reason>, Vec<Reason>) =
        reasons.into_iter().partition(|reason| reason.code == COST);
    let costs: Vec<String> = costs.into_iter().map(|reason| reason.message).collect();
    ((!costs.is_empty()).then(|| costs.join("; ")), rest)
}

/// What a standard on trial has to say is for the history only.
fn told(reasons: Vec<Reason>) -> Vec<Reason> {
    reasons.into_iter().filter(|reason| reason.code != "standard-trial").collect()
}

fn view(old: Option<Any>, new: Option<&Any>, by: &str) -> WriteView {
    let shown = new.or(old.as_ref());
    let op = match (&old, new) {
        (None, _) => "create",
        (Some(_), None) => "delete",
        (Some(_), Some(_)) => "update",
    };
    let diff = api::diff(old.as_ref(), new);
    WriteView {
        op: op.to_owned(),
        kind: shown.map_or(Kind::ALL[0], Any::kind),
        name: shown.map(|any| any.name().to_owned()).unwrap_or_default(),
        diff,
        by: by.to_owned(),
    }
}

/// What would be written, what the gate says, and what planners would do next.
fn rehearsed(
    app: &Server,
    actor: &Actor,
    make: impl Fn(&Context) -> Result<Plan, Vec<Reason>>,
) -> Answer<Outcome> {
    let (world, measured, now) = (app.cache.world(), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    let plan = make(&cx).map_err(|reasons| ApiError::from(Refusal::Invalid(reasons)))?;
    let problems = validity::problems(&plan);
    if !problems.is_empty() {
        return Err(Refusal::Invalid(problems).into());
    }
    // Nobody learns by a rehearsal what they may not read.
    let may = Permissions::of(&world, actor);
    let sees = |write: &Write| {
        let stored = world.find(write.kind(), write.name());
        let new = match write {
            Write::Put(any) => Some(any),
            Write::Delete { .. } => None,
        };
        let both = stored.iter().chain(new);
        both.into_iter().all(|any| may.allows(&world, Verb::Read, any))
    };
    let seen = plan.writes.iter().filter(|write| sees(write));
    let mut writes: Vec<WriteView> = seen.map(|w| write_view(&world, w, "you")).collect();
    let follow = follow::follow(&cx, actor, &plan);
    let mut reasons = plan.reasons.clone();
    let verdict = match decide(&cx, actor, plan) {
        Verdict::Commit(plan) => {
            reasons.extend(app.pool_remarks(plan.writes.iter().filter_map(put_of)));
            for reason in plan.reasons {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
            VerdictWord::Commit
        }
        Verdict::Hold(_, why) => {
            reasons.extend(why);
            VerdictWord::Hold
        }
        Verdict::Deny(why) => {
            let refusal = ApiError::from(Refusal::Denied(why.clone()));
            if refusal.0.code == "invalid" {
                return Err(refusal);
            }
            reasons.extend(why);
            VerdictWord::Deny
        }
    };
    if verdict == VerdictWord::Commit {
        for (by, write) in follow.iter().filter(|(_, write)| sees(write)) {
            // A status on what is only about to be made would read as a second creation; what
            // it says in the way of the change is told with it.
            let told = writes.iter().any(|w| w.kind == write.kind() && w.name == write.name());
            match write {
                Write::Put(any) if told => {
                    let new = new_reasons(&world, any).into_iter();
                    let new: Vec<Reason> = new.filter(|new| !reasons.contains(new)).collect();
                    reasons.extend(new);
                }
                _ if told => {}
                _ => writes.push(write_view(&world, write, by)),
            }
        }
    }
    let (cost, reasons) = priced(told(reasons));
    Ok(Outcome { verdict, writes, reasons, cost, revision: None, objects: Vec::new() })
}

fn put_of(write: &Write) -> Option<&Any> {
    match write {
        Write::Put(any) => Some(any),
        Write::Delete { .. } => None,
    }
}

/// What the status of an object would say that it does not say yet.
fn new_reasons(world: &Snapshot, any: &Any) -> Vec<Reason> {
    let stored = world.find(any.kind(), any.name());
    let said = |reason: &Reason| stored.as_ref().is_some_and(|old| old.reasons().contains(reason));
    any.reasons().iter().filter(|reason| !said(reason)).cloned().collect()
}

fn write_view(world: &Snapshot, write: &Write, by: &str) -> WriteView {
    let old = world.find(write.kind(), write.name());
    match write {
        Write::Put(any) => view(old, Some(any), by),
        Write::Delete { .. } => view(old, None, by),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_merge_as_the_standard_has_it() {
        let mut value = serde_json::json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut value, &serde_json::json!({"a": {"b": null, "c": [3]}, "e": {"f": null}}));
        assert_eq!(value, serde_json::json!({"a": {"c": [3]}, "d": 1, "e": {}}));
    }
}

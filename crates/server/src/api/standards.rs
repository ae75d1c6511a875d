//! Standards: the scores, and a standard replayed on history. Both are worked out by the planners;
//! here the history is read.

use std::collections::HashMap;
use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::policy::{KEPT_DAYS, Replay, ReplayRequest, Scores};
use atoll_model::{Any, Intent, Kind, Object, Reason, Standard, Timestamp, many};
use atoll_plan::Context;
use atoll_plan::policy::check;
use atoll_plan::policy::replay::{Change, Replaying};
use atoll_plan::policy::score::{By, scores};
use atoll_store::{Entry, Error};
use axum::extract::{Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{Answer, ApiError, reasons_of};
use super::routes::{Access, Route};
use crate::cache::read_body;
use crate::{App, Server};

/// The history is read in pages of so many writes.
const PAGE: usize = 1_000;
/// So many writes are read at most.
const MOST_WRITES: usize = 500_000;

/// Parameters of scores.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoresQuery {
    /// `application`, `team` or `fleet`; the first, if absent.
    #[serde(default)]
    pub by: Option<String>,
    /// The scores of so many days, 35 at most; 30, if absent.
    #[serde(default)]
    pub days: Option<usize>,
}

/// The rows of the route table.
pub fn routes() -> Vec<Route> {
    let r = Route::new;
    vec![
        r(Method::GET, "/v1/figures/standards", Access::Read, "How well standards are kept.", {
            get(figures)
        })
        .query::<ScoresQuery>()
        .gives::<Scores>(),
        r(
            Method::POST,
            "/v1/replay/standards",
            Access::ReadAll,
            "What a standard would have stopped.",
            post(replay),
        )
        .takes::<ReplayRequest>()
        .gives::<Replay>(),
    ]
}

/// `GET /v1/figures/standards`.
pub async fn figures(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<ScoresQuery>,
) -> Answer<Json<Scores>> {
    let by = match query.by.as_deref() {
        None | Some("application") => By::Application,
        Some("team") => By::Team,
        Some("fleet") => By::Fleet,
        Some(other) => {
            let message = format!("by: {other:?} is neither application, team nor fleet");
            return Err(ApiError::invalid(message.clone(), vec![Reason::new("invalid", message)]));
        }
    };
    let (world, measured, now) = (app.seen(&actor), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    Ok(Json(scores(&cx, by, query.days.unwrap_or(30).min(KEPT_DAYS))))
}

/// `POST /v1/replay/standards`.
pub async fn replay(
    State(app): State<App>,
    Json(request): Json<ReplayRequest>,
) -> Answer<Json<Replay>> {
    let any = Any::from_value(request.standard).and_then(|any| any.validate().map(|()| any));
    let any = any.map_err(|e| ApiError::invalid(e.to_string(), reasons_of("standard", &e)))?;
    let Any::Standard(standard) = any else {
        let title = format!("{} is no standard", any.id());
        return Err(ApiError::invalid(title, Vec::new()));
    };
    let problems = check::problems(&standard.spec);
    if !problems.is_empty() {
        let said = problems.iter().map(|p| format!("{}: spec.{p}", standard.name()));
        let reasons: Vec<Reason> = said.map(|message| Reason::new("invalid", message)).collect();
        let title = format!("{} of the standard", many(reasons.len(), "problem"));
        return Err(ApiError::invalid(title, reasons));
    }
    let now = app.clock.now();
    let since = request.since.map_or(Timestamp(i64::MIN), |span| now - span);
    Ok(Json(over_history(&app, &standard, since).await?))
}

/// Reads the history from its beginning, so that each change is known with what was before it.
async fn over_history(
    app: &Server,
    standard: &Arc<Object<Standard>>,
    since: Timestamp,
) -> Answer<Replay> {
    let (world, measured, now) = (app.cache.world(), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    let mut replaying = Replaying::new(&cx, standard);
    let mut last: HashMap<(Kind, String), Any> = HashMap::new();
    let (mut after, mut read) = (0, 0);
    let mut cut = false;
    loop {
        let entries = match app.store.since(after, PAGE).await {
            Ok(entries) => entries,
            Err(Error::Compacted { oldest, .. }) => {
                after = oldest;
                continue;
            }
            Err(other) => return Err(other.into()),
        };
        let Some(end) = entries.last() else { break };
        after = end.revision;
        for entry in &entries {
            look(entry, standard, since, &mut last, &mut replaying)?;
        }
        read += entries.len();
        if read >= MOST_WRITES {
            cut = true;
            break;
        }
    }
    Ok(Replay { cut, ..replaying.end() })
}

fn look(
    entry: &Entry,
    standard: &Object<Standard>,
    since: Timestamp,
    last: &mut HashMap<(Kind, String), Any>,
    replaying: &mut Replaying,
) -> Answer<()> {
    let Ok(kind) = entry.kind.parse::<Kind>() else { return Ok(()) };
    if !standard.spec.kinds.contains(&kind) {
        return Ok(());
    }
    let key = (kind, entry.name.clone());
    if entry.deleted {
        last.remove(&key);
        return Ok(());
    }
    let new = read_body(&entry.kind, &entry.name, entry.revision, &entry.body);
    let new = new.map_err(ApiError::internal)?;
    let by_person = [Intent::Edit, Intent::Revert].iter().any(|i| i.name() == entry.intent);
    let at = Timestamp(entry.at);
    if by_person && at >= since {
        let (revision, actor, old) = (entry.revision, entry.actor.as_str(), last.get(&key));
        replaying.look(&Change { revision, at, actor, old, new: &new });
    }
    last.insert(key, new);
    Ok(())
}

//! The inventory asked and told: filters over what is and what was, things in full, relations, what
//! is free next, records and evidence from elsewhere, and the forms other programs read. All of it
//! is worked out by the planners; here it is only answered.

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::api::Outcome;
use atoll_model::cmdb::view::{
    Found, Impact, InventoryFigures, NextFree, Records, Relations, TargetGroup, ThingView,
    UseReport,
};
use atoll_model::{Any, Kind, Reason, Snapshot, Timestamp};
use atoll_plan::Context;
use atoll_plan::cmdb::filter::{self, Candidate, Filter, Search};
use atoll_plan::cmdb::graph::Graph;
use atoll_plan::cmdb::{evidence, feed, figures, impact, mend, network, record, thing};
use atoll_plan::decision::{Verdict, decide};
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::error::{Answer, ApiError};
use super::objects::{WriteQuery, kind_of, write};
use super::routes::{Access, Route};
use crate::cache::read_row;
use crate::{App, Server};

/// So many objects are answered at once, where nobody says.
const USUAL_LIMIT: usize = 500;

/// Parameters of a search.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindQuery {
    /// A filter; everything, if absent.
    #[serde(default)]
    pub filter: Option<String>,
    /// As it was at this time.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// At most so many; 500, if absent.
    #[serde(default)]
    pub limit: Option<usize>,
    /// `continue` of the page before.
    #[serde(default, rename = "continue")]
    pub after: Option<String>,
    /// Paths whose values are counted, with commas between.
    #[serde(default)]
    pub facets: Option<String>,
}

/// What relations are asked about.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfQuery {
    /// `kind/name`.
    pub of: String,
}

/// Both ends of a path.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathQuery {
    /// `kind/name`.
    pub from: String,
    /// `kind/name`.
    pub to: String,
}

/// Parameters of what is free next.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextQuery {
    /// The length of a prefix; an address, if absent.
    #[serde(default)]
    pub length: Option<u8>,
}

/// Parameters of feeds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedQuery {
    /// A filter; all hosts, if absent.
    #[serde(default)]
    pub filter: Option<String>,
    /// The port hosts are scraped at; 9100, if absent.
    #[serde(default)]
    pub port: Option<u16>,
}

/// What an item is merged into.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MergeQuery {
    /// The name of the other item.
    pub into: String,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// The rows of the route table.
pub fn routes() -> Vec<Route> {
    let mut all = asked();
    all.extend(told());
    all
}

fn asked() -> Vec<Route> {
    use Access::Read;
    let r = Route::new;
    vec![
        r(Method::GET, "/v1/inventory", Read, "Finds things by a filter.", get(find))
            .query::<FindQuery>()
            .gives::<Found>(),
        r(Method::GET, "/v1/inventory/things/{plural}/{name}", Read, "One thing in full.", {
            get(one)
        })
        .gives::<ThingView>(),
        r(Method::GET, "/v1/inventory/impact", Read, "Who suffers when something is lost.", {
            get(lost)
        })
        .query::<OfQuery>()
        .gives::<Impact>(),
        r(Method::GET, "/v1/inventory/path", Read, "The way from one thing to another.", {
            get(path)
        })
        .query::<PathQuery>()
        .gives::<Relations>(),
        r(Method::GET, "/v1/inventory/graph", Read, "What has to do with what.", get(graph))
            .gives::<Relations>(),
        r(Method::GET, "/v1/inventory/figures", Read, "How good the inventory is.", get(quality))
            .gives::<InventoryFigures>(),
        r(Method::GET, "/v1/inventory/networks/{name}/next", Read, "What is free next.", {
            get(next)
        })
        .query::<NextQuery>()
        .gives::<NextFree>(),
        r(Method::GET, "/v1/inventory/ansible", Read, "Hosts, as Ansible lists them.", {
            get(ansible)
        })
        .query::<FeedQuery>()
        .gives_raw("application/json"),
        r(Method::GET, "/v1/sd/prometheus", Read, "Targets, as Prometheus discovers them.", {
            get(targets)
        })
        .query::<FeedQuery>()
        .gives::<Vec<TargetGroup>>(),
    ]
}

fn told() -> Vec<Route> {
    use Access::Write;
    let r = Route::new;
    vec![
        r(Method::POST, "/v1/inventory/import", Write, "Records of what should be.", {
            post(import)
        })
        .query::<WriteQuery>()
        .takes::<Records>()
        .gives::<Outcome>(),
        r(Method::POST, "/v1/inventory/observe", Write, "Records of what was seen.", {
            post(observe)
        })
        .takes::<Records>()
        .gives::<Outcome>(),
        r(Method::POST, "/v1/inventory/evidence", Write, "What a consumer met.", post(note))
            .takes::<UseReport>()
            .gives::<Outcome>(),
        r(Method::POST, "/v1/drifts/{name}/accept", Write, "Takes what is.", post(accept))
            .query::<WriteQuery>()
            .gives::<Outcome>(),
        r(Method::POST, "/v1/drifts/{name}/mend", Write, "Has the world match.", post(make_so))
            .query::<WriteQuery>()
            .gives::<Outcome>(),
        r(Method::POST, "/v1/items/{name}/merge", Write, "Merges an item into another.", {
            post(merge)
        })
        .query::<MergeQuery>()
        .gives::<Outcome>(),
        r(Method::POST, "/v1/items/{name}/split", Write, "Undoes a merge.", post(split))
            .query::<WriteQuery>()
            .gives::<Outcome>(),
    ]
}

fn parsed(text: Option<&str>) -> Answer<Filter> {
    Filter::parse(text.unwrap_or_default())
        .map_err(|reason| ApiError::invalid(format!("filter: {}", reason.message), vec![reason]))
}

/// The world as it was, as far back as history is kept, without what they may not read now.
async fn world_at(app: &Server, actor: &Actor, at: Option<Timestamp>) -> Answer<Snapshot> {
    let Some(at) = at else { return Ok(app.seen(actor)) };
    let mut world = Snapshot::default();
    for row in app.store.as_of(at.0).await? {
        world.revision = world.revision.max(row.revision);
        world.put(read_row(&row).map_err(ApiError::internal)?);
    }
    Ok(app.sight(actor).may.seen(&world))
}

/// `GET /v1/inventory`.
pub async fn find(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<FindQuery>,
) -> Answer<Json<Found>> {
    let filter = parsed(query.filter.as_deref())?;
    let world = world_at(&app, &actor, query.at).await?;
    let (measured, now) = (app.measure.read(), query.at.unwrap_or_else(|| app.clock.now()));
    let answer = tokio::task::spawn_blocking(move || {
        let search = Search::new(Context { world: &world, measured: &measured, now });
        let found = search.find(&filter);
        let facets: Vec<String> = query
            .facets
            .iter()
            .flat_map(|text| text.split(','))
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect();
        let facets = figures::facets(&search, &found, &facets);
        let total = found.len();
        let from = query.after.as_deref().map_or(0, |after| behind(&found, after));
        let notes = match total {
            0 => filter::names::unknown(&search, &filter),
            _ => Vec::new(),
        };
        let limit = query.limit.unwrap_or(USUAL_LIMIT);
        let page = found.iter().skip(from).take(limit);
        let items: Vec<Any> = page.map(|one| app.shown(&world, one.whole())).collect();
        let more = from + items.len() < total;
        let next = items.last().filter(|_| more).map(Any::id);
        Found { items, total, facets, notes, revision: world.revision, next }
    });
    answer.await.map(Json).map_err(ApiError::internal)
}

/// The place behind the last thing of a page.
fn behind(found: &[Candidate], last: &str) -> usize {
    let (kind, name) = last.split_once('/').unwrap_or((last, ""));
    let kind = Kind::parse(kind);
    let same = |one: &Candidate| kind == Some(one.kind()) && one.name() == name;
    found.iter().position(same).map_or(found.len(), |at| at + 1)
}

/// `GET /v1/inventory/things/{plural}/{name}`.
pub async fn one(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((plural, name)): Path<(String, String)>,
) -> Answer<Json<ThingView>> {
    let kind = kind_of(&plural)?;
    let (world, measured, now) = (app.seen(&actor), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    let missing = || ApiError::not_found(format!("{}/{name}", kind.lower()));
    thing::view(&cx, kind, &name).map(Json).ok_or_else(missing)
}

/// `GET /v1/inventory/impact`.
pub async fn lost(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<OfQuery>,
) -> Answer<Json<Impact>> {
    let of = written(&query.of)?;
    let missing = || ApiError::not_found(format!("{of}, nor anything that has to do with it"));
    let sight = app.sight(&actor);
    let mut told = impact::impact(&app.seen(&actor), &of).ok_or_else(missing)?;
    if !sight.may.reads_everything() {
        let all = impact::impact(&sight.world, &of);
        told.hidden = all.is_some_and(|all| all.losses.len() > told.losses.len());
    }
    Ok(Json(told))
}

/// `GET /v1/inventory/path`.
pub async fn path(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<PathQuery>,
) -> Answer<Json<Relations>> {
    let (from, to) = (written(&query.from)?, written(&query.to)?);
    let graph = Graph::of(&app.seen(&actor));
    for end in [&from, &to] {
        if !graph.knows(end) {
            return Err(ApiError::not_found(format!("{end}, nor anything related to it")));
        }
    }
    let none = || ApiError::not_found(format!("way from {from} to {to}"));
    graph.path(&from, &to).map(|relations| Json(Relations { relations })).ok_or_else(none)
}

/// `kind/name` with the kind as it is called everywhere.
fn written(text: &str) -> Answer<String> {
    let wrong = || ApiError::invalid(format!("{text:?}: write it as KIND/NAME"), Vec::new());
    let (kind, name) = text.split_once('/').ok_or_else(wrong)?;
    match Kind::parse(kind) {
        Some(kind) => Ok(format!("{}/{name}", kind.lower())),
        // What is outside has no kind.
        None if kind == "address" => Ok(text.to_owned()),
        None => Err(wrong()),
    }
}

/// `GET /v1/inventory/graph`.
pub async fn graph(State(app): State<App>, Extension(actor): Extension<Actor>) -> Json<Relations> {
    Json(Relations { relations: Graph::of(&app.seen(&actor)).all() })
}

/// `GET /v1/inventory/figures`.
pub async fn quality(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
) -> Json<InventoryFigures> {
    Json(app.inventory_figures(&app.seen(&actor)))
}

/// `GET /v1/inventory/networks/{name}/next`.
pub async fn next(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<NextQuery>,
) -> Answer<Json<NextFree>> {
    let world = app.seen(&actor);
    let found = match query.length {
        Some(length) => network::free_prefix(&world, &name, length).map(|p| p.to_string()),
        None => network::free_address(&world, &name).map(|address| address.to_string()),
    };
    found.map(|next| Json(NextFree { next })).map_err(refused)
}

fn refused(reason: Reason) -> ApiError {
    if reason.code == "not-found" {
        return ApiError::not_found(reason.message.trim_start_matches("there is no "));
    }
    ApiError::conflict(reason.message)
}

fn hosts(filter: Option<&str>) -> Answer<Filter> {
    parsed(Some(filter.unwrap_or("kind = host")))
}

/// `GET /v1/inventory/ansible`.
pub async fn ansible(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<FeedQuery>,
) -> Answer<Json<Value>> {
    let filter = hosts(query.filter.as_deref())?;
    let (world, measured, now) = (app.seen(&actor), app.measure.read(), app.clock.now());
    Ok(Json(feed::ansible(Context { world: &world, measured: &measured, now }, &filter)))
}

/// `GET /v1/sd/prometheus`.
pub async fn targets(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<FeedQuery>,
) -> Answer<Json<Vec<TargetGroup>>> {
    let filter = hosts(query.filter.as_deref())?;
    let (world, measured, now) = (app.seen(&actor), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    Ok(Json(feed::targets(cx, &filter, query.port.unwrap_or(feed::USUAL_PORT))))
}

/// `POST /v1/inventory/import`: what should be is the edit of whoever asks; why each record was
/// matched is kept beside it.
pub async fn import(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<WriteQuery>,
    Json(records): Json<Records>,
) -> Answer<Json<Outcome>> {
    let done = write(&app, &actor, query.dry_run, |cx| record::import(cx, &records)).await?;
    if !query.dry_run {
        let platform = Actor::controller("inventory");
        let kept = write(&app, &platform, false, |cx| record::remember(cx, &records)).await;
        if let Err(error) = kept {
            // The import is done, whatever is kept beside it.
            tracing::warn!("why the records of {} match: {}", records.source, error.0.title);
        }
    }
    Ok(done)
}

/// `POST /v1/inventory/observe`: what was seen is a status, which the platform writes in the name
/// of whoever saw it: of all records or, where the gate would hold one, of none.
pub async fn observe(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Json(records): Json<Records>,
) -> Answer<Json<Outcome>> {
    let sight = app.sight(&actor);
    sight.may.check_kind(&sight.world, Verb::Write, Kind::Item).map_err(ApiError::denied)?;
    let said =
        Reason::new("observed", format!("{} said so, through {}", records.source, actor.name));
    let platform = Actor::controller("inventory");
    write(&app, &platform, false, |cx| {
        let mut plan = record::observe(cx, &records)?;
        plan.reasons.push(said.clone());
        match decide(cx, &platform, plan.clone()) {
            Verdict::Commit(_) => Ok(plan),
            Verdict::Hold(_, why) | Verdict::Deny(why) => Err(why),
        }
    })
    .await
}

/// `POST /v1/inventory/evidence`.
pub async fn note(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Json(told): Json<UseReport>,
) -> Answer<Json<Outcome>> {
    if let Some((kind, name)) = told.subject.split_once('/')
        && let Some(kind) = Kind::parse(kind)
    {
        app.sight(&actor).find(Verb::Read, kind, name)?;
    }
    let platform = Actor::controller("inventory");
    write(&app, &platform, false, |cx| evidence::note(cx, &actor.name, &told)).await
}

/// `POST /v1/drifts/{name}/accept`.
pub async fn accept(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<WriteQuery>,
) -> Answer<Json<Outcome>> {
    write(&app, &actor, query.dry_run, |cx| mend::accept(cx, &name)).await
}

/// `POST /v1/drifts/{name}/mend`.
pub async fn make_so(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<WriteQuery>,
) -> Answer<Json<Outcome>> {
    write(&app, &actor, query.dry_run, |cx| mend::mend(cx, &name)).await
}

/// `POST /v1/items/{name}/merge`.
pub async fn merge(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<MergeQuery>,
) -> Answer<Json<Outcome>> {
    write(&app, &actor, query.dry_run, |cx| mend::merge(cx, &name, &query.into)).await
}

/// `POST /v1/items/{name}/split`.
pub async fn split(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<WriteQuery>,
) -> Answer<Json<Outcome>> {
    write(&app, &actor, query.dry_run, |cx| mend::split(cx, &name)).await
}

impl Server {
    /// How good an inventory is, class by class.
    pub(crate) fn inventory_figures(&self, world: &Snapshot) -> InventoryFigures {
        let (measured, now) = (self.measure.read(), self.clock.now());
        figures::figures(&Context { world, measured: &measured, now })
    }
}

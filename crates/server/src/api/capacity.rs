//! What the fleet can carry, and could carry if; and what a migration would do. It is worked out by
//! the planners.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::access::Actor;
use atoll_model::capacity::CapacityReport;
use atoll_model::capacity::size::SizeReport;
use atoll_model::migration::MigrationForecast;
use atoll_model::{Application, Kind, Migration, Reason, Snapshot, Span, Spec};
use atoll_plan::Context;
use atoll_plan::capacity::ask::{Ask, MOST_TIMES, ask, is_demanded};
use atoll_plan::capacity::size;
use atoll_plan::cmdb::filter::Filter;
use atoll_plan::migration::forecast::forecast;
use axum::extract::{Query, State};
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use super::costs::priced;
use super::error::{Answer, ApiError, reasons_of};
use super::routes::{Access, Route};
use crate::App;

/// What is supposed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapacityQuery {
    /// So many times the load; once, if absent.
    #[serde(default)]
    pub times: Option<f64>,
    /// Only of this deployment, or of the deployments of this application, and what they call.
    #[serde(default)]
    pub of: Option<String>,
    /// So much a second of what the business counts: `orders:500,returns:20`.
    #[serde(default)]
    pub demand: Option<String>,
    /// `zone/NAME` or `host/NAME` that is lost.
    #[serde(default)]
    pub without: Option<String>,
    /// The highest load that is expected in the next days.
    #[serde(default)]
    pub peak: bool,
}

/// What is looked at.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SizeQuery {
    /// Only this deployment, or the deployments of this application.
    #[serde(default)]
    pub of: Option<String>,
    /// So far back, from an hour to 90 days: `7d`, if absent.
    #[serde(default)]
    pub over: Option<String>,
    /// What is saved is told in this currency; in that of the widest price, if absent.
    #[serde(default)]
    pub currency: Option<String>,
}

/// The rows of the route table.
pub fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/capacity", Access::Read, "What the fleet can carry.", {
            get(capacity)
        })
        .query::<CapacityQuery>()
        .gives::<CapacityReport>(),
        Route::new(
            Method::GET,
            "/v1/capacity/sizes",
            Access::Read,
            "What instances ask for beside what they use.",
            get(sizes),
        )
        .query::<SizeQuery>()
        .gives::<SizeReport>(),
        Route::new(
            Method::POST,
            "/v1/forecast/migrations",
            Access::Read,
            "What a migration would do.",
            post(migration),
        )
        .takes::<Migration>()
        .gives::<MigrationForecast>(),
    ]
}

/// `GET /v1/capacity`.
pub async fn capacity(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<CapacityQuery>,
) -> Answer<Json<CapacityReport>> {
    let (world, measured, now) = (app.seen(&actor), app.measure.read(), app.clock.now());
    let wrong = |path: &str, message: String| {
        let reason = Reason::new("invalid", format!("{path}: {message}"));
        ApiError::invalid(reason.message.clone(), vec![reason])
    };
    let times = query.times.unwrap_or(1.0);
    if !(0.0..=MOST_TIMES).contains(&times) {
        return Err(wrong("times", "is not a number from 0 to a million".to_owned()));
    }
    if let Some(lost) = &query.without {
        let there = match lost.split_once('/') {
            Some(("host", name)) => world.find(Kind::Host, name).is_some(),
            Some(("zone", name)) => {
                let mut hosts = world.all::<atoll_model::Host>();
                hosts.any(|host| host.zone() == name) || world.find(Kind::Zone, name).is_some()
            }
            _ => return Err(wrong("without", format!("{lost:?} is not zone/NAME or host/NAME"))),
        };
        if !there {
            return Err(ApiError::not_found(lost.clone()));
        }
    }
    if let Some(of) = &query.of {
        let kinds = [Kind::Deployment, Kind::Application];
        if kinds.iter().all(|kind| world.find(*kind, of).is_none()) {
            return Err(ApiError::not_found(format!("deployment or application {of}")));
        }
    }
    let demand = match query.demand.as_deref() {
        None => BTreeMap::new(),
        Some(text) => read(text).ok_or_else(|| {
            wrong("demand", format!("{text:?} is not a list of NAME:NUMBER with commas"))
        })?,
    };
    let known = counted(&world);
    if let Some(name) = demand.keys().find(|name| !known.contains(name.as_str())) {
        let all: Vec<&str> = known.into_iter().collect();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let what = format!("scaling.demand of {name} in any application; there is {all}");
        return Err(ApiError::not_found(what));
    }
    let of = query.of.as_deref();
    if let Some((name, of)) = of.and_then(|of| {
        let other = demand.keys().find(|name| !is_demanded(&world, Some(of), name))?;
        Some((other, of))
    }) {
        let message =
            format!("{name} brings {of} no load: scaling.demand of {of} does not name it");
        return Err(wrong("demand", message));
    }
    let supposed = Ask { times, of: query.of, demand, without: query.without, peak: query.peak };
    Ok(Json(ask(&Context { world: &world, measured: &measured, now }, &supposed)))
}

/// `GET /v1/capacity/sizes`.
pub async fn sizes(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<SizeQuery>,
) -> Answer<Json<SizeReport>> {
    let (world, measured, now) = (app.seen(&actor), app.measure.read(), app.clock.now());
    let over = match query.over.as_deref() {
        None => Some(size::USUAL),
        Some(text) => text.parse::<Span>().ok().filter(|over| size::WITHIN.contains(over)),
    };
    let Some(over) = over else {
        let text = query.over.unwrap_or_default();
        let message = format!("over: {text:?} is no time from 1h to 90d");
        return Err(ApiError::invalid(message.clone(), vec![Reason::new("invalid", message)]));
    };
    let kind = |name: &String| {
        let kinds = [Kind::Deployment, Kind::Application].into_iter();
        let mut found = kinds.filter(|kind| world.find(*kind, name).is_some());
        found.next().ok_or_else(|| ApiError::not_found(format!("deployment or application {name}")))
    };
    let of = query.of.map(|name| Ok::<_, ApiError>((kind(&name)?, name))).transpose()?;
    let cx = Context { world: &world, measured: &measured, now };
    priced(&cx, query.currency.as_deref())?;
    let asked = size::Ask { of, over, currency: query.currency };
    let answers = app.ask_for(&actor.name, size::queries(&asked, now)).await;
    size::sizes(&cx, &asked, &answers).map(Json).map_err(|reason| {
        let hint = "ask for one deployment or application, or for less time";
        let reason = reason.hint(hint);
        let title = reason.message.clone();
        ApiError::because(StatusCode::UNPROCESSABLE_ENTITY, "query-failed", title, vec![reason])
    })
}

/// `POST /v1/forecast/migrations`.
pub async fn migration(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Json(spec): Json<Migration>,
) -> Answer<Json<MigrationForecast>> {
    let mut problems = spec.validate().err().map(|e| reasons_of("migration", &e));
    if problems.is_none() && !spec.off.is_empty() {
        problems = Filter::parse(&spec.off).err().map(|reason| vec![reason]);
    }
    if let Some(reasons) = problems {
        let title = reasons.first().map(|reason| reason.message.clone()).unwrap_or_default();
        return Err(ApiError::invalid(title, reasons));
    }
    let (world, measured, now) = (app.seen(&actor), app.measure.read(), app.clock.now());
    Ok(Json(forecast(&Context { world: &world, measured: &measured, now }, &spec)))
}

/// What the business counts, by what applications declare.
fn counted(world: &Snapshot) -> BTreeSet<&str> {
    let scaling = world.all::<Application>().filter_map(|app| app.spec.scaling.as_ref());
    scaling.flat_map(|scaling| scaling.demand.keys()).map(String::as_str).collect()
}

fn read(text: &str) -> Option<BTreeMap<String, f64>> {
    let pair = |pair: &str| {
        let (name, number) = pair.split_once(':')?;
        let number = number.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
        Some((name.to_owned(), number))
    };
    text.split(',').map(pair).collect()
}

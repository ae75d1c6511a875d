//! Rehearsals: what would come of a scenario, or of one object. They are played by the planners;
//! here the fleet there is and its past are put together, and what a rehearsal may take is
//! bounded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_metrics::promql::Value;
use atoll_model::access::Actor;
use atoll_model::manifest::texts::Texts;
use atoll_model::manifest::{self, ManifestError};
use atoll_model::rehearsal::report::RehearsalReport;
use atoll_model::rehearsal::{Fleet, Scenario};
use atoll_model::{Autoscaler, Kind, Peak, Reason, Snapshot, Span, Timestamp};
use atoll_plan::Context;
use atoll_plan::elasticity::SIGNAL;
use atoll_plan::peak::rehearsed;
use atoll_plan::rehearsal::about::Question;
use atoll_plan::rehearsal::{HISTORY_STEP, Stop, Today, about, run};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::post;

use super::error::{Answer, ApiError};
use super::objects::kind_of;
use super::routes::{Access, Route};
use crate::App;
use crate::metrics::lanes::Lane;
use crate::metrics::{Ask, Cancel, Period};

/// A rehearsal takes at most this long: a day of a large fleet takes half of it.
const LONGEST: Duration = Duration::from_secs(600);
/// The past is read for at most this long.
const READ: Duration = Duration::from_secs(20);
/// It is read in the turns of people, under this name: planners do not wait for it.
const READER: &str = "rehearsal";
/// So much of it.
const PAST: Span = Span::seconds(28 * 86_400);
/// So many are played at the same time: each takes a core, and the memory of a second fleet.
pub const AT_ONCE: usize = 1;

/// What errors call the text that was sent.
const SENT: &str = "scenario";
/// The media type of a scenario as a person writes it.
const YAML: &str = "application/yaml";

/// The rows of the route table.
pub fn routes() -> Vec<Route> {
    // The whole fleet is in it, so whoever asks must be allowed to see the whole fleet.
    use Access::ReadAll;
    let r = Route::new;
    vec![
        r(Method::POST, "/v1/rehearse", ReadAll, "What would come of a scenario.", {
            post(scenario)
        })
        .takes_text::<Scenario>(YAML)
        .gives::<RehearsalReport>()
        .open(),
        // A peak keeps what came of it, so it is no question only.
        r(
            Method::POST,
            "/v1/rehearse/{plural}/{name}",
            ReadAll,
            "What would come of an object.",
            post(object),
        )
        .gives::<RehearsalReport>()
        .open(),
    ]
}

/// `POST /v1/rehearse`. Whoever sends the text as a person wrote it is told the lines of what is
/// wrong in it, also of what is not there; one who sends JSON has the text, and only the paths.
pub async fn scenario(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Json<RehearsalReport>> {
    let read = manifest::read_scenario(SENT, &body).map_err(|errors| unread(&errors))?;
    let mut played = rehearse(&app, read).await;
    if let Err(ApiError(problem)) = &mut played
        && is_yaml(&headers)
    {
        let mut texts = Texts::default();
        texts.add(SENT, &String::from_utf8_lossy(&body));
        for reason in &mut problem.reasons {
            texts.place(reason);
        }
        if let Some(first) = problem.reasons.first() {
            problem.title.clone_from(&first.message);
        }
    }
    played
}

fn is_yaml(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == YAML))
}

fn unread(errors: &[ManifestError]) -> ApiError {
    let reasons: Vec<Reason> =
        errors.iter().map(|error| Reason::new("invalid", error.to_string())).collect();
    refused(reasons)
}

/// `POST /v1/rehearse/{plural}/{name}`: of a deployment, a migration, a peak or a pool.
pub async fn object(
    State(app): State<App>,
    Path((plural, name)): Path<(String, String)>,
) -> Answer<Json<RehearsalReport>> {
    let (kind, name) = (kind_of(&plural)?, name.as_str());
    let world = app.cache.world();
    let question = about::question(&world, (kind, name), app.clock.now());
    let report = match question.map_err(refused)? {
        Question::Played(scenario) => rehearse(&app, *scenario).await?,
        Question::Known(report) => return Ok(Json(*report)),
    };
    if let Some(peak) = world.get::<Peak>(name).filter(|_| kind == Kind::Peak) {
        // The peak's calendar says that it was rehearsed as it was then.
        let actor = Actor::controller("peak");
        let make = |cx: &Context| Ok::<_, Vec<Reason>>(rehearsed(cx, peak, &report));
        app.commit(&actor, None, make).await?;
    }
    Ok(report)
}

async fn rehearse(app: &App, scenario: Scenario) -> Answer<Json<RehearsalReport>> {
    let Ok(turn) = Arc::clone(&app.rehearsals).try_acquire_owned() else {
        let title = "another rehearsal is under way: ask again when it is over";
        return Err(ApiError::conflict(title));
    };
    let today = match &scenario.spec.fleet {
        Fleet::Today => today(app, &scenario).await,
        Fleet::Made(_) => Today { now: app.clock.now(), ..Today::default() },
    };
    let cancel = Cancel::default();
    let gone = Arc::clone(&cancel.0);
    let began = app.clock.elapsed();
    let of = Arc::clone(app);
    let stop: Stop = Arc::new(move || {
        gone.load(Ordering::Relaxed) || of.clock.elapsed().saturating_sub(began) > LONGEST
    });
    let played = tokio::task::spawn_blocking(move || {
        let (_turn, _huge) = (turn, atoll_memory::huge_pages());
        run(&scenario, &today, &stop)
    });
    let mut report = played.await.map_err(ApiError::internal)?.map_err(refused)?;
    let took = app.clock.elapsed().saturating_sub(began).as_millis();
    report.took = Some(Span(u64::try_from(took).unwrap_or(u64::MAX)));
    Ok(Json(report))
}

fn refused(reasons: Vec<Reason>) -> ApiError {
    let title = reasons.first().map(|reason| reason.message.clone()).unwrap_or_default();
    let missing = reasons.iter().all(|reason| reason.code == "not-found");
    if missing {
        return ApiError::because(StatusCode::NOT_FOUND, "not-found", title, reasons);
    }
    ApiError::invalid(title, reasons)
}

/// The fleet there is, with the past of its load where the scenario goes by that.
async fn today(app: &App, scenario: &Scenario) -> Today {
    let (world, measured, now) = (app.cache.world(), app.measure.read(), app.clock.now());
    let load = &scenario.spec.load;
    let wanted = load.is_empty() || load.values().any(|load| load.known.is_some());
    let history = if wanted { history(app, &world, now).await } else { BTreeMap::new() };
    Today { world: Snapshot::clone(&world), measured, history, now }
}

/// The load of deployments as it was measured. What cannot be read in time is not known.
async fn history(
    app: &App,
    world: &Snapshot,
    now: Timestamp,
) -> BTreeMap<String, Vec<(Timestamp, f64)>> {
    let began = app.clock.elapsed();
    let mut all = BTreeMap::new();
    let step = i64::try_from(HISTORY_STEP.0).unwrap_or(i64::MAX);
    let to = Timestamp(now.0.div_euclid(step) * step);
    for scaler in world.all::<Autoscaler>() {
        let name = scaler.meta.name.clone();
        let left = READ.saturating_sub(app.clock.elapsed().saturating_sub(began));
        if left.is_zero() {
            break;
        }
        let query = format!(
            "avg_over_time({SIGNAL}{{deployment=\"{name}\",signal=\"load\"}}[{HISTORY_STEP}])"
        );
        let period = Period::Range((to - PAST).0, to.0, step);
        let ask = Ask { query, period, lookback: None, patience: left };
        let found = app.metrics.ask(Lane::Person(READER), ask).await;
        if let Ok(Value::Matrix(series)) = found.map(|answer| answer.value)
            && let Some(one) = series.first()
        {
            let points = one.samples.iter().map(|s| (Timestamp(s.at), s.value));
            all.insert(name, points.collect());
        }
    }
    all
}

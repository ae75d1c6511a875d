//! Deliveries: the key packages are signed with, a release's journey, and the figures. All of it
//! is worked out by the planners; here it is only answered.

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::figures::{DeliveryFigures, Journey};
use atoll_model::provenance::{self, PublicKey};
use atoll_model::{Kind, Reason, Span};
use atoll_plan::Context;
use atoll_plan::delivery::figures::{By, delivery};
use atoll_plan::delivery::journey;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::routing::get;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{Answer, ApiError};
use super::routes::{Access, Route};
use crate::App;

/// Figures are of so long, where nobody says.
pub(crate) const USUAL_WINDOW: Span = Span::seconds(30 * 86_400);
/// Records are kept no longer.
const LONGEST_WINDOW: Span = Span::seconds(35 * 86_400);

/// Parameters of the figures.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiguresQuery {
    /// Of so long, up to now; `30d`, if absent.
    #[serde(default)]
    pub window: Option<Span>,
    /// `application` or `team`; the first, if absent.
    #[serde(default)]
    pub by: Option<String>,
}

/// The rows of the route table.
pub fn routes() -> Vec<Route> {
    use Access::{Public, Read};
    let r = Route::new;
    vec![
        r(Method::GET, "/v1/provenance/key", Public, "The key packages are signed with.", {
            get(key)
        })
        .gives::<PublicKey>(),
        r(Method::GET, "/v1/releases/{name}/journey", Read, "Where a release is, and goes.", {
            get(of_release)
        })
        .gives::<Journey>(),
        r(Method::GET, "/v1/figures/delivery", Read, "How fast and how well is delivered.", {
            get(figures)
        })
        .query::<FiguresQuery>()
        .gives::<DeliveryFigures>(),
    ]
}

/// `GET /v1/provenance/key`.
pub async fn key(State(app): State<App>) -> Json<PublicKey> {
    Json(provenance::shown(&app.signing_key.public()))
}

/// `GET /v1/releases/{name}/journey`.
pub async fn of_release(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Answer<Json<Journey>> {
    let sight = app.sight(&actor);
    sight.find(Verb::Read, Kind::Release, &name)?;
    let (measured, now) = (app.measure.read(), app.clock.now());
    let cx = Context { world: &sight.world, measured: &measured, now };
    let journey = journey::journey(&cx, &name);
    let missing = || ApiError::not_found(format!("{}/{name}", Kind::Release.lower()));
    journey.map(Json).ok_or_else(missing)
}

/// `GET /v1/figures/delivery`.
pub async fn figures(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<FiguresQuery>,
) -> Answer<Json<DeliveryFigures>> {
    let wrong = |field: &str, message: String| {
        ApiError::invalid(format!("{field}: {message}"), vec![Reason::new("invalid", message)])
    };
    let window = query.window.unwrap_or(USUAL_WINDOW);
    if window.0 == 0 || window > LONGEST_WINDOW {
        let message = format!("is to be more than nothing and at most {LONGEST_WINDOW}");
        return Err(wrong("window", message));
    }
    let by = match query.by.as_deref() {
        None | Some("application") => By::Application,
        Some("team") => By::Team,
        Some(other) => {
            return Err(wrong("by", format!("{other:?} is neither application nor team")));
        }
    };
    // Of what they may read only.
    let world = app.seen(&actor);
    let (measured, now) = (app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    Ok(Json(delivery(&cx, window, by)))
}

//! What the fleet costs, and whose that is. It is worked out by the planner of budgets.

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::budget::report::{CostReport, NOBODY};
use atoll_model::{Kind, Reason};
use atoll_plan::Context;
use atoll_plan::budget::book::currencies;
use atoll_plan::budget::showback::{By, costs as work_out};
use axum::extract::{Query, State};
use axum::http::Method;
use axum::routing::get;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{Answer, ApiError};
use super::routes::{Access, Route};
use crate::App;

/// By what costs are put together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CostQuery {
    /// `team`, `application`, `environment` or `host`; by application, if absent.
    #[serde(default)]
    pub by: Option<String>,
    /// In this currency; in that of the widest price, if absent.
    #[serde(default)]
    pub currency: Option<String>,
}

/// The rows of the route table.
pub fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/costs", Access::Read, "What the fleet costs an hour.", {
            get(costs)
        })
        .query::<CostQuery>()
        .gives::<CostReport>(),
    ]
}

/// `GET /v1/costs`.
pub async fn costs(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<CostQuery>,
) -> Answer<Json<CostReport>> {
    let by = match query.by.as_deref() {
        None => By::Application,
        Some(text) => By::parse(text).ok_or_else(|| {
            let message = format!("by: {text:?} is not team, application, environment or host");
            ApiError::invalid(message.clone(), vec![Reason::new("invalid", message)])
        })?,
    };
    // Of all that runs, lest what others use looked idle; what is theirs is told as one sum.
    let (sight, measured, now) = (app.sight(&actor), app.measure.read(), app.clock.now());
    let cx = Context { world: &sight.world, measured: &measured, now };
    priced(&cx, query.currency.as_deref())?;
    let mut report = work_out(&cx, by, query.currency.as_deref());
    let seen = |kind: Kind, name: &str| match sight.world.find(kind, name) {
        Some(any) => sight.sees(&any),
        // Of what is gone, something may still run.
        None => sight.may.always(Verb::Read, kind),
    };
    report.hide(|name| name == NOBODY || seen(by.kind(), name), |host| seen(Kind::Host, host));
    Ok(Json(report))
}

/// Refuses a currency in which nothing has a price.
pub(super) fn priced(cx: &Context, currency: Option<&str>) -> Answer<()> {
    let known = currencies(cx.world, cx.now);
    match currency.filter(|currency| !known.contains(currency)) {
        None => Ok(()),
        Some(none) if known.is_empty() => Err(ApiError::not_found(format!("price in {none}"))),
        Some(none) => {
            let known: Vec<&str> = known.into_iter().collect();
            Err(ApiError::not_found(format!("price in {none}; there are {}", known.join(", "))))
        }
    }
}

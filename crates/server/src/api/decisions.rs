//! Decisions, decided again with other policies. It is worked out by the planner; here manifests
//! are read.

use atoll_model::centre::wire::{DecisionReplay, DecisionReplayRequest};
use atoll_model::{Any, Object, Policy, Reason, many};
use atoll_plan::Context;
use atoll_plan::centre::replay::replay;
use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::post;

use super::error::{Answer, ApiError, reasons_of};
use super::routes::{Access, Route};
use crate::App;

/// The row of the route table.
pub fn routes() -> Vec<Route> {
    let what = "What would have been decided with other policies.";
    let route =
        Route::new(Method::POST, "/v1/replay/decisions", Access::ReadAll, what, post(again));
    vec![route.takes::<DecisionReplayRequest>().gives::<DecisionReplay>()]
}

/// `POST /v1/replay/decisions`.
pub async fn again(
    State(app): State<App>,
    Json(request): Json<DecisionReplayRequest>,
) -> Answer<Json<DecisionReplay>> {
    let mut policies: Vec<Object<Policy>> = Vec::new();
    for manifest in request.policies {
        let any = Any::from_value(manifest).and_then(|any| any.validate().map(|()| any));
        let any = any.map_err(|e| ApiError::invalid(e.to_string(), reasons_of("policy", &e)))?;
        let Any::Policy(policy) = any else {
            return Err(ApiError::invalid(format!("{} is no policy", any.id()), Vec::new()));
        };
        policies.push(Object::clone(&policy));
    }
    let (world, measured, now) = (app.cache.world(), app.measure.read(), app.clock.now());
    let cx = Context { world: &world, measured: &measured, now };
    let told = replay(&cx, &policies, request.since).map_err(|reasons: Vec<Reason>| {
        ApiError::invalid(format!("{} of policies", many(reasons.len(), "problem")), reasons)
    })?;
    Ok(Json(told))
}

//! Jobs of runbooks, begun by hand. Jobs without one are objects like others; how any goes on is
//! the planners'.

use atoll_model::access::Actor;
use atoll_model::api::{JobBegun, JobRequest};
use atoll_plan::job::begin::begin;
use axum::extract::{Path, State};
use axum::{Extension, Json};

use super::error::Answer;
use crate::App;

/// `POST /v1/runbooks/{name}/jobs`.
pub async fn begin_job(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(request): Json<JobRequest>,
) -> Answer<Json<JobBegun>> {
    let (job, _) = app.begin_numbered(&actor, |cx| begin(cx, &name, &request)).await?;
    Ok(Json(JobBegun { job }))
}

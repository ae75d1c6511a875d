//! Pipelines: beginning a run, and what its tasks left: logs, artefacts, tests. How a run goes on
//! is the planners'.

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::api::{RunBegun, RunRequest};
use atoll_model::ci::run::Cause;
use atoll_model::{Reason, Task};
use atoll_plan::ci::begin::{Ask, begin};
use atoll_plan::{Context, Plan};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::error::{Answer, ApiError};
use crate::commit::Refusal;
use crate::{App, Server, auth};

mod archive;
pub mod cases;

/// `POST /v1/pipelines/{name}/runs`.
pub async fn begin_run(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(request): Json<RunRequest>,
) -> Answer<Json<RunBegun>> {
    let ask = Ask {
        pipeline: name,
        cause: Cause::Manual,
        key: request.key.unwrap_or_else(|| auth::secret()[..16].to_owned()),
        branch: request.branch,
        commit: request.commit,
        source: request.source,
        definition: request.definition,
        params: request.params,
    };
    Ok(Json(app.begin(&actor, &ask).await?))
}

impl Server {
    /// Begins a run, once for each cause and key: when this returns, it is in the store.
    ///
    /// # Errors
    /// What stands against it.
    pub(crate) async fn begin(&self, actor: &Actor, ask: &Ask) -> Result<RunBegun, ApiError> {
        let (run, existed) = self.begin_numbered(actor, |cx| begin(cx, ask)).await?;
        Ok(RunBegun { run, existed })
    }

    /// Commits a plan that begins what has a number, under a name that is free; the name, and
    /// whether it was there before.
    ///
    /// # Errors
    /// What stands against it.
    pub(super) async fn begin_numbered(
        &self,
        actor: &Actor,
        plan: impl Fn(&Context) -> Result<(Plan, String), Vec<Reason>>,
    ) -> Result<(String, bool), ApiError> {
        // A number may be taken by another replica meanwhile; the next one is free.
        for _ in 0..10 {
            let mut name = String::new();
            let done = self
                .commit(actor, None, |cx| {
                    let (plan, begun) = plan(cx)?;
                    name = begun;
                    Ok(plan)
                })
                .await;
            match done {
                Ok(done) => return Ok((name, done.revision.is_none())),
                Err(Refusal::Store(atoll_store::CommitError::Conflict { .. })) => {}
                Err(Refusal::Invalid(reasons))
                    if reasons.iter().any(|reason| reason.code == "not-found") =>
                {
                    let title = reasons.first().map(ToString::to_string).unwrap_or_default();
                    let status = axum::http::StatusCode::NOT_FOUND;
                    return Err(ApiError::because(status, "not-found", title, reasons));
                }
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(ApiError::conflict("many begin at once; try again"))
    }
}

/// `GET /v1/tasks/{name}/log`: the whole log of a task that has ended.
pub async fn task_log(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Answer<Response> {
    let task = app.sight(&actor).get::<Task>(Verb::Logs, &name)?;
    let kind = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    if let Some(output) = &task.status.yields.output {
        return Ok((kind, output.clone()).into_response());
    }
    let Some(digest) = &task.status.yields.log else {
        let over = task.status.phase.is_over();
        let why = if over { "it left none" } else { "it goes on; follow it with -f" };
        return Err(ApiError::not_found(format!("log of task/{name} yet: {why}")));
    };
    Ok((kind, app.blobs.get(digest).await?).into_response())
}

/// `GET /v1/tasks/{name}/artifacts/{artifact}`: what a task left, as an archive of tar.
pub async fn task_artifact(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path((name, artifact)): Path<(String, String)>,
) -> Answer<Response> {
    let task = app.sight(&actor).get::<Task>(Verb::Read, &name)?;
    let all = &task.status.yields.artifacts;
    let Some(kept) = all.get(&artifact) else {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(ApiError::not_found(format!("artefact {artifact} of task/{name}: {known}")));
    };
    let body = archive::stream(app.clone(), kept).await?;
    let named = format!("attachment; filename=\"{artifact}.tar\"");
    let head = [(CONTENT_TYPE, "application/x-tar".to_owned()), (CONTENT_DISPOSITION, named)];
    Ok((head, body).into_response())
}

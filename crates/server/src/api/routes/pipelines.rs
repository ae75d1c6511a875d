//! The rows of the route table about pipelines, jobs, secrets, and repositories that are served
//! here.

use atoll_model::api::{
    CacheFound, CacheKept, JobBegun, JobRequest, PipelineTests, RunBegun, RunRequest, RunTests,
};
use axum::http::Method;
use axum::routing::{get, post, put};

use super::{Access, Route};
use crate::api::agents::{self, SessionQuery};
use crate::api::caches::{self, CacheQuery};
use crate::api::{git, hooks, jobs, pipelines, secrets};

/// Every row.
pub(super) fn routes() -> Vec<Route> {
    use Access::{Deposit, Read, Session, Write};
    let r = Route::new;
    vec![
        r(Method::POST, "/v1/pipelines/{name}/runs", Write, "Begins a run.", {
            post(pipelines::begin_run)
        })
        .takes::<RunRequest>()
        .gives::<RunBegun>(),
        r(Method::POST, "/v1/runbooks/{name}/jobs", Write, "Begins a job.", post(jobs::begin_job))
            .takes::<JobRequest>()
            .gives::<JobBegun>(),
        r(Method::GET, "/v1/pipelines/{name}/tests", Read, "Tests that were not always well.", {
            get(pipelines::cases::of_pipeline)
        })
        .gives::<PipelineTests>(),
        r(Method::GET, "/v1/runs/{name}/tests", Read, "Every test of a run.", {
            get(pipelines::cases::of_run)
        })
        .gives::<RunTests>(),
        r(Method::GET, "/v1/tasks/{name}/log", Read, "The log of a task that has ended.", {
            get(pipelines::task_log)
        })
        .gives_raw("text/plain"),
        r(Method::GET, "/v1/tasks/{name}/artifacts/{artifact}", Read, "What a task left.", {
            get(pipelines::task_artifact)
        })
        .gives_raw("application/x-tar")
        .open(),
        r(Method::GET, "/v1/tasks/{name}/session", Session, "The log of a task as it grows.", {
            get(agents::open_task_session)
        })
        .query::<SessionQuery>()
        .open(),
        r(Method::GET, "/v1/caches/{scope}/{key}", Deposit, "Finds what steps have left.", {
            get(caches::get)
        })
        .query::<CacheQuery>()
        .gives::<CacheFound>(),
        r(Method::PUT, "/v1/caches/{scope}/{key}", Deposit, "Keeps what a step has left.", {
            put(caches::put)
        })
        .takes::<CacheKept>(),
        r(Method::PUT, "/v1/secrets/{name}/value", Write, "Gives a secret its value.", {
            put(secrets::set)
        })
        .takes_raw("application/octet-stream"),
        r(Method::POST, "/v1/hooks/{name}", Access::Public, "A forge tells of a push.", {
            post(hooks::hook)
        })
        .takes_raw("application/json")
        .gives::<RunBegun>(),
        r(Method::GET, "/git/{repository}/info/refs", Read, "Branches of a repository.", {
            get(git::refs)
        })
        .gives_raw("application/x-git-upload-pack-advertisement"),
        r(Method::POST, "/git/{repository}/git-upload-pack", Read, "Fetches commits.", {
            post(git::upload)
        })
        .takes_raw("application/x-git-upload-pack-request")
        .gives_raw("application/x-git-upload-pack-result")
        .open(),
        r(Method::POST, "/git/{repository}/git-receive-pack", Write, "Pushes commits.", {
            post(git::receive)
        })
        .takes_raw("application/x-git-receive-pack-request")
        .gives_raw("application/x-git-receive-pack-result")
        .open(),
    ]
}

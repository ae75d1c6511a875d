//! Runs, what their tasks left, and secrets. Objects themselves are read like all others, in
//! `objects.rs`.

use std::time::Duration;

use atoll_model::Kind;
use atoll_model::api::{JobBegun, JobRequest, PipelineTests, RunBegun, RunRequest, RunTests};
use bytes::Bytes;
use reqwest::Method;

use crate::error::ClientError;
use crate::pages::{escape, object};
use crate::transport::{Ask, Client};

const TIMEOUT: Duration = Duration::from_secs(300);

impl Client {
    /// Begins a run of a pipeline.
    ///
    /// # Errors
    /// `NotFound`, if there is no such pipeline; `Invalid`; `Refused` by the gate.
    pub async fn begin_run(
        &self,
        pipeline: &str,
        request: &RunRequest,
    ) -> Result<RunBegun, ClientError> {
        let path = format!("{}/runs", object("", Kind::Pipeline, pipeline)?);
        let ask = Ask::of(Method::POST, path).json(request);
        // With a key, the same request again begins no second run.
        self.read(if request.key.is_some() { ask.repeatable() } else { ask }).await
    }

    /// Begins a job of a runbook.
    ///
    /// # Errors
    /// `NotFound`, if there is no such runbook; what is wrong with what was given to it.
    pub async fn begin_job(
        &self,
        runbook: &str,
        request: &JobRequest,
    ) -> Result<JobBegun, ClientError> {
        let path = format!("{}/jobs", object("", Kind::Runbook, runbook)?);
        self.read(Ask::of(Method::POST, path).json(request)).await
    }

    /// The whole log of a task that has ended.
    ///
    /// # Errors
    /// `NotFound`, if it has none (yet).
    pub async fn task_log(&self, task: &str) -> Result<Bytes, ClientError> {
        let path = format!("{}/log", object("", Kind::Task, task)?);
        Ok(self.send(Ask::get(path).timeout(Some(TIMEOUT))).await?.body)
    }

    /// What a task left, as an archive of tar.
    ///
    /// # Errors
    /// `NotFound`, if it left no such thing.
    pub async fn task_artifact(&self, task: &str, artifact: &str) -> Result<Bytes, ClientError> {
        let path = format!("{}/artifacts/{}", object("", Kind::Task, task)?, escape(artifact));
        Ok(self.send(Ask::get(path).timeout(Some(TIMEOUT))).await?.body)
    }

    /// Every test of a run.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn run_tests(&self, run: &str) -> Result<RunTests, ClientError> {
        self.read(Ask::get(format!("{}/tests", object("", Kind::Run, run)?))).await
    }

    /// The tests of a pipeline that were not always as they should.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn pipeline_tests(&self, pipeline: &str) -> Result<PipelineTests, ClientError> {
        self.read(Ask::get(format!("{}/tests", object("", Kind::Pipeline, pipeline)?))).await
    }

    /// Gives a secret its value.
    ///
    /// # Errors
    /// `Invalid`; `Refused`, if one may not.
    pub async fn set_secret(&self, name: &str, value: Bytes) -> Result<(), ClientError> {
        let path = format!("{}/value", object("", Kind::Secret, name)?);
        let ask = Ask::of(Method::PUT, path).bytes("application/octet-stream", value);
        self.send(ask).await.map(drop)
    }
}

//! Containers: made, started, signalled, waited for, read, entered and removed.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerSummaryStateEnum, ContainerUpdateBody,
    ExecConfig,
};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, KillContainerOptions, ListContainersOptions,
    LogsOptions, RemoveContainerOptions, RenameContainerOptions, ResizeExecOptions,
    StartContainerOptions, WaitContainerOptions,
};
use futures::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use tokio::io::AsyncWrite;

use super::{Engine, EngineError};
use crate::clock;
use crate::runtime::process::Process;

/// A container as the engine knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub id: String,
    /// Whether it runs.
    pub running: bool,
    /// Whether it was ever started.
    pub begun: bool,
    /// Its first process, as this host numbers it; 0 while it does not run.
    pub pid: i32,
    /// Its labels.
    pub labels: HashMap<String, String>,
    /// How it ended last.
    pub ended: Ended,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The exit code of its first process: 128 and the signal's number, where one ended it.
    pub code: i32,
    /// The kernel killed something in it for want of memory.
    pub starved: bool,
    /// What the engine says of it.
    pub error: String,
}

/// What a command in a container writes.
pub type ExecOutput = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
/// What it reads.
pub type ExecInput = Pin<Box<dyn AsyncWrite + Send>>;

/// A command that runs in a container.
pub struct Execution {
    /// Its number.
    pub id: String,
    /// What it writes; ends when it does.
    pub output: ExecOutput,
    /// What it reads.
    pub input: ExecInput,
}

impl Engine {
    /// Makes a container of that name.
    ///
    /// # Errors
    /// `Conflict`, if there is one; what the engine says.
    pub async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, EngineError> {
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
        Ok(self.docker().await?.create_container(Some(options), body).await?.id)
    }

    /// Starts it.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn start(&self, name: &str) -> Result<(), EngineError> {
        let docker = self.docker().await?;
        let started = docker.start_container(name, None::<StartContainerOptions>);
        match started.await.map_err(EngineError::from) {
            // It runs already.
            Ok(()) | Err(EngineError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal, `SIGTERM`, to its first process; one that does not run needs none.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn kill(&self, name: &str, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptions { signal: signal.to_owned() };
        let killed = self.docker().await?.kill_container(name, Some(options)).await;
        match killed.map_err(EngineError::from) {
            Ok(()) | Err(EngineError::Conflict(_) | EngineError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes it, running or not, and ends when it is gone, whoever removes it. Volumes that have
    /// a name stay.
    ///
    /// # Errors
    /// When the engine does not answer, or cannot.
    pub async fn remove(&self, name: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions { force: true, v: true, link: false };
        let removed = self.docker().await?.remove_container(name, Some(options)).await;
        match removed.map_err(EngineError::from) {
            Ok(()) | Err(EngineError::NotFound(_)) => Ok(()),
            Err(EngineError::Conflict(text)) if text.contains("already in progress") => {
                match self.until(name, "removed").await {
                    Ok(true) | Err(EngineError::NotFound(_)) => Ok(()),
                    Ok(false) => Err(EngineError::Refused(text)),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Gives its name free at once and removes it meanwhile: what removing takes is nothing another
    /// one of that name has to wait for. One that does not run, or may be killed.
    ///
    /// # Errors
    /// When the engine does not answer, or cannot.
    pub async fn discard(self: &Arc<Self>, name: &str) -> Result<(), EngineError> {
        // No two of a name are put aside in one millisecond: the other has to be made in between.
        let aside = format!("{name}.gone-{}", clock::now().0);
        let options = RenameContainerOptions { name: aside.clone() };
        let renamed = self.docker().await?.rename_container(name, options).await;
        let renamed = renamed.map_err(EngineError::from);
        if matches!(renamed, Err(EngineError::NotFound(_))) {
            return Ok(());
        }
        if renamed.is_err() {
            return self.remove(name).await;
        }
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            // What is left is put away by the sweep.
            if let Err(error) = engine.remove(&aside).await {
                tracing::debug!(name = aside, %error, "it is removed later");
            }
        });
        Ok(())
    }

    /// How it is; none, if there is no such container.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn inspect(&self, name: &str) -> Result<Option<Seen>, EngineError> {
        let docker = self.docker().await?;
        let found = docker.inspect_container(name, None::<InspectContainerOptions>).await;
        match understood(found) {
            Ok(found) => Ok(Some(seen(found))),
            Err(EngineError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes it has written besides what its image held and what is mounted in it.
    ///
    /// # Errors
    /// When the engine does not answer, or there is no such container.
    pub async fn written(&self, name: &str) -> Result<u64, EngineError> {
        let options = InspectContainerOptions { size: true };
        let found = self.docker().await?.inspect_container(name, Some(options)).await;
        let found = understood(found)?;
        Ok(found.size_rw.and_then(|size| u64::try_from(size).ok()).unwrap_or(0))
    }

    /// Waits until it does not run.
    ///
    /// # Errors
    /// When the engine goes meanwhile: that says nothing of the container.
    pub async fn wait(&self, name: &str) -> Result<(), EngineError> {
        if self.ways().await?.podman
            && let Some(seen) = self.inspect(name).await?
        {
            ended(seen.pid).await;
        }
        // Where nothing was heard for long, whoever waits looks, and waits again.
        self.until(name, "not-running").await.map(drop)
    }

    /// Waits for a condition of the engine's; false, if nothing was heard for long.
    async fn until(&self, name: &str, condition: &str) -> Result<bool, EngineError> {
        let options = WaitContainerOptions { condition: condition.to_owned() };
        let docker = self.docker().await?;
        let mut said = docker.wait_container(name, Some(options));
        match said.next().await {
            // An exit code other than 0 is an error here.
            Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => Ok(true),
            Some(Err(Error::RequestTimeoutError)) => Ok(false),
            Some(Err(error)) => Err(error.into()),
            None => Err(EngineError::Away("it closed the connection".to_owned())),
        }
    }

    /// What it has written since a second, each piece with its time before it, and what it will
    /// write until it ends.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn logs(
        &self,
        name: &str,
        since: i32,
    ) -> Result<impl Stream<Item = Result<LogOutput, EngineError>> + Send + use<>, EngineError>
    {
        let options = LogsOptions {
            follow: true,
            stdout: true,
            stderr: true,
            timestamps: true,
            since,
            ..LogsOptions::default()
        };
        let said = self.docker().await?.logs(name, Some(options));
        Ok(said.map(|piece| piece.map_err(EngineError::from)))
    }

    /// The containers with that label, by name.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn containers(&self, label: &str) -> Result<HashMap<String, Seen>, EngineError> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(filter(label)),
            ..ListContainersOptions::default()
        };
        let all = understood(self.docker().await?.list_containers(Some(options)).await)?;
        let named = all.into_iter().filter_map(|found| {
            let name = found.names?.into_iter().next()?.trim_start_matches('/').to_owned();
            let labels = found.labels.unwrap_or_default();
            let is = |state| found.state == Some(state);
            let running = is(ContainerSummaryStateEnum::RUNNING);
            let begun = running || is(ContainerSummaryStateEnum::EXITED);
            Some((name, Seen { id: found.id?, running, begun, labels, ..Seen::default() }))
        });
        Ok(named.collect())
    }

    /// Bounds its processor time to a quota in each period, both in microseconds; -1 lifts it.
    /// Podman changes no bounds: what it makes has them from its start.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn limit_cpu(&self, name: &str, limit: (i64, i64)) -> Result<(), EngineError> {
        if self.ways().await?.podman {
            return Ok(());
        }
        let body = ContainerUpdateBody {
            cpu_quota: Some(limit.0),
            cpu_period: Some(limit.1),
            ..ContainerUpdateBody::default()
        };
        Ok(self.docker().await?.update_container(name, body).await?)
    }

    /// Runs a command in it, on a terminal if one is wanted.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn exec(
        &self,
        name: &str,
        command: &[String],
        terminal: bool,
    ) -> Result<Execution, EngineError> {
        let docker = self.docker().await?;
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal),
            env: terminal.then(|| vec!["TERM=xterm-256color".to_owned()]),
            cmd: Some(command.to_vec()),
            ..ExecConfig::default()
        };
        let id = docker.create_exec(name, config).await?.id;
        let options = StartExecOptions { tty: terminal, ..StartExecOptions::default() };
        match docker.start_exec(&id, Some(options)).await? {
            StartExecResults::Attached { output, input } => Ok(Execution { id, output, input }),
            StartExecResults::Detached => {
                Err(EngineError::Refused("the command was not attached to".to_owned()))
            }
        }
    }

    /// The exit code of a command; none while it runs.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn exec_code(&self, id: &str) -> Result<Option<i32>, EngineError> {
        let found = self.docker().await?.inspect_exec(id).await?;
        let code = found.exit_code.and_then(|code| i32::try_from(code).ok());
        Ok(code.filter(|_| found.running != Some(true)))
    }

    /// Gives the terminal of a command another size.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn exec_resize(&self, id: &str, columns: u16, rows: u16) -> Result<(), EngineError> {
        let options = ResizeExecOptions { h: i32::from(rows), w: i32::from(columns) };
        Ok(self.docker().await?.resize_exec(id, options).await?)
    }
}

/// Waits for the end of a process, if it can be held on to: the engine is asked after that.
async fn ended(pid: i32) {
    if let Some(held) = Process::of(pid).and_then(|process| process.open().ok()) {
        // Whatever is in the way of waiting here, the engine waits next.
        let _ = held.ended().await;
    }
}

/// A filter for one label, as `KEY=VALUE`.
pub(super) fn filter(label: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}

/// An answer about containers. Podman has a word of its own for one that has ended and is not put
/// away yet, which takes it seconds.
fn understood<T: DeserializeOwned>(answer: Result<T, Error>) -> Result<T, EngineError> {
    match answer {
        Err(Error::JsonDataError { contents, message, column }) => {
            // Within a text the quotes would be escaped.
            let words = ["Status", "State"].map(|key| (key, format!("\"{key}\":\"stopped\"")));
            let told = words.iter().fold(contents.clone(), |told, (key, word)| {
                told.replace(word, &format!("\"{key}\":\"exited\""))
            });
            let unread = |_| Error::JsonDataError { contents, message, column };
            serde_json::from_str(&told).map_err(|e| EngineError::from(unread(e)))
        }
        answer => Ok(answer?),
    }
}

fn seen(found: ContainerInspectResponse) -> Seen {
    let state = found.state.unwrap_or_default();
    let number = |n: Option<i64>| n.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    Seen {
        id: found.id.unwrap_or_default(),
        running: state.running == Some(true),
        // The engine's word for never is the first day of the first year.
        begun: state.started_at.is_some_and(|at| !at.is_empty() && !at.starts_with("0001-")),
        pid: number(state.pid),
        labels: found.config.and_then(|config| config.labels).unwrap_or_default(),
        ended: Ended {
            code: number(state.exit_code),
            starved: state.oom_killed == Some(true),
            error: state.error.unwrap_or_default(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As bollard tells an answer it cannot read.
    fn unread(contents: &str) -> Error {
        let (message, contents) = ("unknown variant".to_owned(), contents.to_owned());
        Error::JsonDataError { message, contents, column: 0 }
    }

    #[test]
    fn what_podman_calls_stopped_has_ended() {
        let answer = r#"{"Id":"a","State":{"Status":"stopped","Running":false,"ExitCode":3,
            "StartedAt":"2026-01-01T00:00:00Z"},"Config":{"Env":["X={\"Status\":\"stopped\"}"]}}"#;
        let read: Result<ContainerInspectResponse, _> = serde_json::from_str(answer);
        assert!(read.is_err(), "then nothing of this is needed any more");
        let found: ContainerInspectResponse = understood(Err(unread(answer))).unwrap();
        let env = found.config.as_ref().and_then(|config| config.env.clone()).unwrap();
        assert_eq!(env, [r#"X={"Status":"stopped"}"#], "what it is given stays");
        let seen = seen(found);
        assert!(seen.begun && !seen.running && seen.ended.code == 3, "{seen:?}");
    }

    #[test]
    fn what_cannot_be_read_says_nothing_of_a_container() {
        let answer = r#"{"Id":"a","State":{"Status":"dreaming"}}"#;
        let found: Result<ContainerInspectResponse, _> = understood(Err(unread(answer)));
        assert!(found.unwrap_err().is_away());
    }
}

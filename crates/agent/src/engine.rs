//! The container engine of this host, Docker or Podman, asked over its own API: what can be done
//! with images, containers, networks and volumes. It knows nothing of instances or releases; what
//! is to be done, its callers decide.

mod container;
mod credentials;
mod error;
mod image;
mod store;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atoll_model::cmdb::AgentStatus;
use bollard::{API_DEFAULT_VERSION, Docker};

pub use container::{Ended, ExecInput, ExecOutput, Execution, Seen};
pub use error::EngineError;
pub use image::Found;

/// Where the engine listens, if nobody says otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// What one kind of them calls itself.
const PODMAN: &str = "podman";
/// What one answer may take. Pulls and what is followed have no bound but their silence.
const TIMEOUT: u64 = 120;
/// What an engine may take to say that it is there.
const GREETING: Duration = Duration::from_secs(5);

/// What is special about an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// What it keeps logs with, if nobody says otherwise.
    pub log_driver: String,
    /// It is Podman. What it serves of Docker's API cannot change the bounds of a container that
    /// runs, and asks itself without a pause whether one still does while somebody waits for it.
    pub podman: bool,
}

/// The engine that listens on one socket. It need not be there yet, and may go and come back.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    connection: Mutex<Option<Docker>>,
    ways: Mutex<Option<Ways>>,
    /// Held while a network is made: an engine would make two of one name.
    making: tokio::sync::Mutex<()>,
}

impl Engine {
    /// The engine that `DOCKER_HOST` names, or the usual one.
    pub fn of_this_host() -> Engine {
        let named = std::env::var("DOCKER_HOST").ok().filter(|named| !named.is_empty());
        Engine::at(Path::new(named.as_deref().unwrap_or(SOCKET)))
    }

    /// The engine that listens on that socket; `unix://` may stand before it.
    pub fn at(socket: &Path) -> Engine {
        let text = socket.to_string_lossy();
        let path = text.strip_prefix("unix://").map_or_else(|| socket.to_owned(), PathBuf::from);
        Engine {
            socket: path,
            connection: Mutex::default(),
            ways: Mutex::default(),
            making: Default::default(),
        }
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A way to it, speaking a version of its API that both know.
    ///
    /// # Errors
    /// When nothing answers there.
    pub async fn docker(&self) -> Result<Docker, EngineError> {
        let known = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(docker) = known {
            return Ok(docker);
        }
        let path = self.socket.to_string_lossy();
        let missing = |why: String| EngineError::Missing { socket: self.socket.clone(), why };
        if !self.socket.exists() {
            return Err(missing("there is no such socket".to_owned()));
        }
        let docker = Docker::connect_with_unix(&path, TIMEOUT, API_DEFAULT_VERSION)
            .map_err(|e| missing(e.to_string()))?;
        let docker = tokio::time::timeout(GREETING, docker.negotiate_version())
            .await
            .map_err(|_| missing(format!("no answer within {GREETING:?}")))?
            .map_err(|e| missing(error::told(&e)))?;
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(docker.clone());
        Ok(docker)
    }

    /// Its name and version, `docker 20.10.24`, asked over a new connection: an engine that is
    /// about to end takes none.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, EngineError> {
        let docker = self.docker().await?;
        let asked = tokio::time::timeout(GREETING, docker.version()).await;
        let missing = |why: String| EngineError::Missing { socket: self.socket.clone(), why };
        let version = asked
            .map_err(|_| missing(format!("no answer within {GREETING:?}")))
            .and_then(|version| version.map_err(|e| missing(error::told(&e))));
        let version = version.inspect_err(|_| {
            // Another one may listen there next, of another kind or version.
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = None;
            *self.ways.lock().unwrap_or_else(PoisonError::into_inner) = None;
        })?;
        let podman = version.components.into_iter().flatten().any(|c| c.name.contains("Podman"));
        let number = version.version.unwrap_or_default();
        // Distributions add their own to it.
        let number = number.split(['+', '~']).next().unwrap_or_default();
        Ok(format!("{} {number}", if podman { PODMAN } else { "docker" }))
    }

    /// Says which it is, or why it does not answer.
    pub async fn introduce(&self, agent: &mut AgentStatus) {
        (agent.engine, agent.no_engine) = match self.version().await {
            Ok(version) => (version, String::new()),
            Err(error) => (String::new(), error.to_string()),
        };
    }

    /// What is special about it; asked once for each connection.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ways(&self) -> Result<Ways, EngineError> {
        let known = self.ways.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(ways) = known {
            return Ok(ways);
        }
        let podman = self.version().await?.starts_with(PODMAN);
        let log_driver = self.docker().await?.info().await?.logging_driver.unwrap_or_default();
        let ways = Ways { log_driver, podman };
        *self.ways.lock().unwrap_or_else(PoisonError::into_inner) = Some(ways.clone());
        Ok(ways)
    }

    /// Whether it takes a connection now.
    pub async fn answers(&self) -> bool {
        self.version().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let engine = Engine::at(Path::new(&format!("unix://{}", path.display())));
        assert_eq!(engine.socket(), path);
        let error = engine.version().await.unwrap_err();
        assert!(error.is_away() && error.to_string().contains("no such socket"), "{error}");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = engine.version().await.unwrap_err();
        assert!(error.is_away() && error.to_string().contains("docker.sock"), "{error}");
        let mut agent = AgentStatus { engine: "docker 20".to_owned(), ..AgentStatus::default() };
        engine.introduce(&mut agent).await;
        assert_eq!((agent.engine, agent.no_engine), (String::new(), error.to_string()));
    }
}

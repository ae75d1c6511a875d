//! A host's hands: it runs, probes and reports instances. It decides nothing about where or how
//! many: a server assigns, and the agent does.
//!
//! The loop is in `run.rs`. Instances are kept in `keeper.rs`; what a keeper does next is decided,
//! purely, in `reconcile.rs`. Work that is done once is done in `task.rs` and decided in
//! `task/decide.rs`. Processes are handled in `runtime/`.

mod ahead;
mod clock;
mod collect;
mod configs;
mod disk;
pub mod engine;
mod facts;
mod files;
mod health;
mod images;
mod join;
mod keeper;
mod machine;
mod phase;
pub mod pool;
mod probe;
mod reconcile;
mod report;
mod run;
mod runtime;
mod sessions;
mod state;
mod sweep;
mod task;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use atoll_client::ClientError;

pub use run::run;

/// What an agent is told when it is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses of servers, `http(s)://host:port`.
    pub servers: Vec<String>,
    /// A join token, or the token of this host; not needed once the host has joined.
    pub token: Option<String>,
    /// The name the host is to have.
    pub name: String,
    /// Its labels, `zone` among them.
    pub labels: BTreeMap<String, String>,
    /// Where everything is kept. Other users must be able to pass through it and everything
    /// above it, or instances have no users of their own.
    pub data: PathBuf,
    /// Where others reach this host; found by the way to the server, if not given.
    pub address: Option<IpAddr>,
    /// Certificates of the authority that servers are trusted by.
    pub ca_pem: Option<String>,
    /// The program that is started as `PROGRAM shim DIR` for every instance, and then calls
    /// [`shim_main`]: this very one, mostly.
    pub program: PathBuf,
    /// The socket of the container engine; without, the one `DOCKER_HOST` names, or the usual.
    pub engine: Option<PathBuf>,
    /// Bytes of packages, and of images, that may be kept though nobody needs them.
    pub cache_bytes: u64,
    /// The time between two looks at host and instances for their metrics.
    pub collect_every: Duration,
    /// Does the steps of pipelines even where they cannot be kept apart from this host: every one
    /// of them is trusted then.
    pub bare_tasks: bool,
    /// Directories and files of this host that steps see, read-only, besides the system's.
    pub task_paths: Vec<PathBuf>,
}

impl Options {
    /// The usual bound of the packages kept.
    pub const CACHE_BYTES: u64 = 10 << 30;
    /// The usual time between two looks: what dashboards are made for.
    pub const COLLECT_EVERY: Duration = Duration::from_secs(15);
}

/// The name of this machine, as far as it can be the name of a host.
pub fn default_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name = name.to_string_lossy().to_lowercase();
    let name = name.split('.').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(plain).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "host".to_owned() } else { name.to_owned() }
}

/// Why an agent could not begin. Once it has, it goes on whatever happens.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The server does not let this host join.
    #[error("this host may not join: {0}")]
    Join(ClientError),
    /// The options cannot be right.
    #[error(transparent)]
    Options(ClientError),
    /// The agent's directory cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Data {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl AgentError {
    /// The exit code of the command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            AgentError::Join(error) | AgentError::Options(error) => error.exit_code(),
            AgentError::Data { .. } => 1,
        }
    }
}

/// What `PROGRAM shim DIR` does; `args` is what follows `shim`. It must be called before the
/// process has started a thread, first thing in `main`.
pub fn shim_main(args: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    match args.into_iter().next() {
        Some(dir) => runtime::shim::shim_main(std::path::Path::new(&dir)),
        None => {
            eprintln!("the shim is started by an agent, with the directory of an instance");
            ExitCode::from(2)
        }
    }
}

//! The git program as a subprocess that can do no harm: no prompts, no hooks, no settings of
//! anybody, only the protocol its address names, no redirects, and a deadline after which its whole
//! process group is killed. What is asked of it stands in `fetch.rs` and `heads.rs`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::address::Address;

/// The most output that is read, in bytes.
const LARGEST_OUTPUT: u64 = 64 << 20;
/// So much of what git says of an error is told.
const LONGEST_WORDS: usize = 300;

/// Why git did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GitError {
    /// It is not there.
    #[error("could not run git: {0}; install it on the server")]
    Missing(String),
    /// It took too long, and was killed.
    #[error("git {what} was not done within {} s", .within.as_secs())]
    Late {
        /// Its subcommand.
        what: String,
        /// The deadline.
        within: Duration,
    },
    /// It failed.
    #[error("git {what} failed: {why}")]
    Failed {
        /// Its subcommand.
        what: String,
        /// What it said.
        why: String,
    },
}

/// A repository git works in.
#[derive(Clone, Debug)]
pub struct Git {
    dir: PathBuf,
    settings: Vec<(String, String)>,
    env: Vec<(String, PathBuf)>,
}

impl Git {
    /// Git in a bare repository of this machine.
    pub fn at(dir: &Path) -> Git {
        Git { dir: dir.to_owned(), settings: Vec::new(), env: Vec::new() }
    }

    /// The same, able to speak to one address and to nothing else.
    pub fn speaking_to(mut self, address: &Address) -> Git {
        self.settings.extend(address.settings());
        self
    }

    /// The same with a variable of git's own, a path.
    pub fn with(mut self, name: &str, path: &Path) -> Git {
        self.env.push((name.to_owned(), path.to_owned()));
        self
    }

    /// Runs it and returns what it prints.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn run(&self, args: &[&str], within: Duration) -> Result<Vec<u8>, GitError> {
        let what = args.first().copied().unwrap_or_default().to_owned();
        let mut child = self
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| GitError::Missing(e.to_string()))?;
        let group = child.id();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let read_out = async {
                if let Some(stdout) = stdout {
                    // What is cut off is noticed by whoever reads it.
                    let _ = stdout.take(LARGEST_OUTPUT).read_to_end(&mut out).await;
                }
            };
            let read_err = async {
                if let Some(stderr) = stderr {
                    let _ = stderr.take(64 << 10).read_to_end(&mut err).await;
                }
            };
            tokio::join!(read_out, read_err);
            child.wait().await
        };
        let ended = tokio::time::timeout(within, work).await;
        kill(group);
        match ended {
            Err(_) => Err(GitError::Late { what, within }),
            Ok(Ok(status)) if status.success() => Ok(out),
            Ok(Ok(_)) => Err(GitError::Failed { what, why: said(&err) }),
            Ok(Err(e)) => Err(GitError::Failed { what, why: e.to_string() }),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", "/nonexistent").env("LC_ALL", "C");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "/bin/false");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_SSH_COMMAND", super::address::SSH);
        command.env("GIT_DIR", &self.dir);
        for (name, path) in &self.env {
            command.env(name, path);
        }
        // Settings are given in the environment: a command line, with its secrets, can be seen.
        let fixed = [
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.symlinks", "true"),
            ("gc.auto", "0"),
            ("protocol.allow", "never"),
            ("protocol.ext.allow", "never"),
            ("http.followRedirects", "false"),
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", "30"),
            ("fetch.recurseSubmodules", "false"),
            ("transfer.fsckObjects", "true"),
        ];
        let fixed = fixed.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let all: Vec<&(String, String)> = fixed.iter().chain(&self.settings).collect();
        command.env("GIT_CONFIG_COUNT", all.len().to_string());
        for (i, (key, value)) in all.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{i}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{i}"), value);
        }
        command.args(args).current_dir("/").process_group(0).kill_on_drop(true);
        command
    }
}

/// Kills whatever is left of a process group: git's own helpers outlive it otherwise.
fn kill(group: Option<u32>) {
    if let Some(group) = group.and_then(|id| i32::try_from(id).ok()) {
        // It is usually gone by itself.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// What git said, without more than a person wants to read.
fn said(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // What stands behind `remote:` is what the other end answered, which is nobody's to read.
    let ours = |line: &&str| !line.is_empty() && !line.starts_with("remote:");
    let lines = text.lines().map(str::trim).filter(ours);
    let joined = lines.collect::<Vec<_>>().join("; ");
    let end = joined.char_indices().nth(LONGEST_WORDS).map_or(joined.len(), |(at, _)| at);
    if joined.is_empty() { "it did not say why".to_owned() } else { joined[..end].to_owned() }
}

//! The program under test: started, until it says where it serves. Not what is asked of it, and
//! not the process as such.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::io::{BufReader, Lines};
use tokio::process::ChildStdout;

use crate::daemon::{self, Daemon, PATIENCE};
use crate::http::Target;

/// A running program.
pub struct Program {
    /// Its process.
    pub daemon: Daemon,
    /// Where it serves.
    pub target: Target,
    program: PathBuf,
    word: &'static str,
}

impl Program {
    /// Starts `program WORD --data … --listen 127.0.0.1:0`, and waits until it serves.
    ///
    /// # Errors
    /// It does not start; the error carries what it said.
    pub async fn start(program: &Path, word: &'static str) -> anyhow::Result<Program> {
        Program::start_with(program, word, &[]).await
    }

    /// The same, with something more in its environment.
    ///
    /// # Errors
    /// It does not start; the error carries what it said.
    pub async fn start_with(
        program: &Path,
        word: &'static str,
        env: &[(&str, String)],
    ) -> anyhow::Result<Program> {
        Program::start_in(daemon::home()?, program, word, None, env).await
    }

    async fn start_in(
        home: TempDir,
        program: &Path,
        word: &'static str,
        token: Option<String>,
        env: &[(&str, String)],
    ) -> anyhow::Result<Program> {
        let program = std::path::absolute(program)?;
        let data = home.path().join("data").into_os_string();
        let mut args = [word, "--listen", "127.0.0.1:0", "--data"].map(OsString::from).to_vec();
        args.push(data);
        let mut daemon = Daemon::start_with(home, &program, args, env)?;
        let home = daemon.home();
        let greeting = greeting(&mut daemon.said, &home, token);
        let started = tokio::time::timeout(PATIENCE, greeting).await;
        match started.unwrap_or_else(|_| bail!("not within {} s", PATIENCE.as_secs())) {
            Ok(target) => Ok(Program { daemon, target, program, word }),
            Err(error) => {
                let log = daemon.log();
                let error = error.context(format!("waiting for `atoll {word}`; it said: {log}"));
                daemon.kill().await?;
                Err(error)
            }
        }
    }

    /// Stops it, and starts it again on the same data.
    ///
    /// # Errors
    /// It did not end, or does not start.
    pub async fn restart(self) -> anyhow::Result<Program> {
        let home = self.daemon.leave().await?;
        let token = Some(self.target.token);
        Program::start_in(home, &self.program, self.word, token, &[]).await
    }

    /// Asks it to end, and sees to it that nothing of it is left.
    ///
    /// # Errors
    /// It did not end by itself.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.daemon.stop().await
    }
}

/// Reads where it serves, and the secret: from its output, or from the context file it wrote.
async fn greeting(
    said: &mut Lines<BufReader<ChildStdout>>,
    home: &Path,
    mut token: Option<String>,
) -> anyhow::Result<Target> {
    let mut address = None;
    loop {
        let line = said.next_line().await?.context("it ended")?;
        let words = ["serving on", "console"];
        let is_address = words.iter().any(|word| line.trim_start().starts_with(word));
        if let Some((_, url)) = line.split_once("http://").filter(|_| is_address) {
            let text = url.split([' ', '/']).next().unwrap_or_default();
            address = Some(text.parse().with_context(|| format!("reading {line:?}"))?);
        }
        if let Some((_, secret)) = line.split_once("admin token (shown once): ") {
            token = Some(secret.trim().to_owned());
        }
        if address.is_some() && token.is_none() {
            token = kept_token(home);
        }
        if let (Some(address), Some(token)) = (address, &token) {
            return Ok(Target { address, token: token.clone() });
        }
    }
}

fn kept_token(home: &Path) -> Option<String> {
    let text = std::fs::read_to_string(home.join("config/atoll/config.toml")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("token"))?;
    let value = line.trim_start().strip_prefix('=')?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

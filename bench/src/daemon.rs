//! A program as a process of its own: started in a temporary directory, looked at through
//! `/proc`, and stopped by its pid. Not which program it is, nor what is asked of it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The time a program has to start, and to stop.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Ticks a second in `/proc/PID/stat`: the kernel's promise to programs, whatever its own rate.
const TICKS: f64 = 100.0;

/// A running process, and the directory that is its home.
pub struct Daemon {
    child: Child,
    pid: u32,
    home: TempDir,
    /// Kept open, so that what the program goes on to say does not end it.
    pub said: Lines<BufReader<ChildStdout>>,
}

/// An empty directory for one program, removed when this is dropped.
///
/// # Errors
/// The system's.
pub fn home() -> anyhow::Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("atoll-bench-").tempdir()?)
}

impl Daemon {
    /// Starts a program in a home; what it says on its error output goes to a file there.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start<I, S>(home: TempDir, program: &Path, args: I) -> anyhow::Result<Daemon>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Daemon::start_with(home, program, args, &[])
    }

    /// The same, with something more in its environment.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_with<I, S>(
        home: TempDir,
        program: &Path,
        args: I,
        env: &[(&str, String)],
    ) -> anyhow::Result<Daemon>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let log = home.path().join("log");
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(program)
            .args(args)
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .env("RUST_LOG", "warn")
            .env_remove("ATOLL_SERVER")
            .env_remove("ATOLL_TOKEN")
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            // Who ends the bench by a signal to its group leaves the ending of this to it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let pid = child.id().context("a program just started has a pid")?;
        let stdout = child.stdout.take().context("its output is piped")?;
        Ok(Daemon { child, pid, home, said: BufReader::new(stdout).lines() })
    }

    /// Asks it to end, and sees to it that nothing of it is left.
    ///
    /// # Errors
    /// It did not end by itself.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let ended = self.end().await;
        let left = end_leftovers(self.home.path());
        if left > 0 {
            eprintln!("  {left} processes of it were left, and were killed");
        }
        ended
    }

    /// Asks it to end; gives the home, in which another may be started.
    ///
    /// # Errors
    /// It did not end by itself.
    pub async fn leave(mut self) -> anyhow::Result<TempDir> {
        self.end().await?;
        Ok(self.home)
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_some() {
            bail!("the program ended before it was asked to; it said: {}", self.log());
        }
        kill(Pid::from_raw(i32::try_from(self.pid)?), Signal::SIGTERM)?;
        let drained = async { while let Ok(Some(_)) = self.said.next_line().await {} };
        let ended = async { tokio::join!(self.child.wait(), drained).0 };
        if let Ok(status) = tokio::time::timeout(PATIENCE, ended).await {
            status?;
        } else {
            self.child.kill().await?;
            bail!("the program did not end within {} s of being asked", PATIENCE.as_secs());
        }
        Ok(())
    }

    /// Ends it at once, as it has not started well.
    ///
    /// # Errors
    /// The system's.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Its directory.
    pub fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Processor time it has used, in seconds.
    ///
    /// # Errors
    /// It is gone.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        cpu_of(&self.pid.to_string())
    }

    /// Its memory now, in MB.
    ///
    /// # Errors
    /// It is gone.
    pub fn memory(&self) -> anyhow::Result<f64> {
        self.status("VmRSS")
    }

    /// The most memory it ever had, in MB.
    ///
    /// # Errors
    /// It is gone.
    pub fn peak(&self) -> anyhow::Result<f64> {
        self.status("VmHWM")
    }

    fn status(&self, field: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kibibytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        let kibibytes: f64 = kibibytes.with_context(|| format!("no {field} in its status"))?;
        Ok(kibibytes * 1024.0 / 1e6)
    }
}

/// Processor time a process has used, in seconds; `pid` may be `self`.
///
/// # Errors
/// It is gone.
pub fn cpu_of(pid: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in brackets, which may hold anything.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<f64>);
    match (times.next(), times.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok((user + system) / TICKS),
        _ => bail!("/proc/{pid}/stat is not as expected"),
    }
}

/// Kills what a program has left behind, each by its pid; returns how many. The directory was made
/// for that program alone, so who has it in the command line or environment was started by it.
fn end_leftovers(home: &Path) -> usize {
    let home = home.as_os_str().as_encoded_bytes();
    let mentions = |file: &str| {
        let text = std::fs::read(file).unwrap_or_default();
        text.windows(home.len()).any(|part| part == home)
    };
    let Ok(all) = std::fs::read_dir("/proc") else { return 0 };
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let left = pids.filter(|pid| {
        mentions(&format!("/proc/{pid}/cmdline")) || mentions(&format!("/proc/{pid}/environ"))
    });
    // One that has ended meanwhile needs no killing.
    left.filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok()).count()
}

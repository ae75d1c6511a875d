//! What agent and shim say to each other: the orders in `shim.json`, the state in `state.json`,
//! and lines over the control socket. Only words; nothing is done here.

use std::fmt;

use atoll_model::{Reason, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::runtime::cgroup::Group;
use crate::runtime::container::Container;
use crate::runtime::launch::Launch;
use crate::runtime::process::Process;
use crate::runtime::sandbox::Sandbox;

/// A process that has run this long was no failed start, whatever the longest backoff.
const LONG_ENOUGH: Span = Span::seconds(10);
/// Deaths that are remembered.
const DEATHS: usize = 10;

/// What a shim is to do; written before it is started and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// The release that is run, for people and for the agent that comes back.
    pub release: String,
    /// How the application is started.
    pub launch: Launch,
    /// The cgroup it is in.
    pub group: Group,
    /// The signal that asks it to stop, as `TERM`.
    pub stop_signal: String,
    /// The time it has then.
    pub grace: Span,
    /// The wait before it is started again after a second death in a row.
    pub backoff: Span,
    /// The longest such wait.
    pub longest_backoff: Span,
    /// A log file is turned at this size, in bytes.
    pub log_size: u64,
    /// So many log files are kept.
    pub log_files: u32,
    /// It is work that is done once: its end is the end.
    #[serde(default)]
    pub once: Option<Once>,
    /// The container it is, if it is one; then the agent itself supervises it.
    #[serde(default)]
    pub container: Option<Container>,
}

/// What is different about work that is done once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Once {
    /// What it sees of this host; everything, if absent.
    pub sandbox: Option<Sandbox>,
    /// It may take so long; then it is asked to stop.
    pub timeout: Span,
    /// So many bytes of its log are kept.
    pub log_bound: u64,
    /// Values of secrets come on the shim's standard input, as an object of JSON: environment
    /// variables of the command, masked in its log.
    pub secrets: bool,
}

/// How an application is, as its shim knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The boot it speaks of; what it says of processes is void in another.
    pub boot: String,
    /// The shim.
    pub shim: Process,
    /// The release of the orders.
    pub release: String,
    /// In one word.
    pub phase: Phase,
    /// The application's process, while there is one.
    pub app: Option<Process>,
    /// When that was started.
    pub started_at: Option<Timestamp>,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended last.
    pub last: Option<Ended>,
    /// When it died lately; at most the last ten times.
    pub deaths: Vec<Timestamp>,
    /// How often in a row it died soon after its start.
    pub streak: u32,
    /// Whether it was asked to stop because its time was over.
    #[serde(default)]
    pub late: bool,
    /// What keeps its supervisor from knowing or doing more.
    #[serde(default)]
    pub lacking: Option<Reason>,
}

/// What a shim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The application runs.
    Running,
    /// It died and will be started again.
    Waiting,
    /// It has been asked to stop.
    Stopping,
    /// It is not running and will not be; the shim ends.
    Stopped,
}

/// One end of the application's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// How long it had run.
    pub ran: Span,
    /// How.
    pub how: How,
    /// The last line it wrote.
    pub line: Option<String>,
    /// Why it was ended, if by us.
    pub why: Option<String>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// By itself, with this code, after it was not let begin any more processes.
    Crowded(i32),
    /// While nobody who could have asked was its parent.
    Unknown,
    /// With the container engine, which ended or was started anew.
    WithEngine,
    /// It could not be started: the error of the system, and a sentence.
    NotStarted(i32, String),
}

/// What an agent asks of a shim, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do")]
pub enum Request {
    /// Say how things are. The state is also sent on connecting and whenever it changes.
    Status,
    /// Stop the application, and end.
    Stop,
    /// Kill the application with everything it has started, and end.
    Kill,
    /// Stop the application and start it again.
    Restart {
        /// What for.
        why: String,
    },
}

impl State {
    /// Of a release that has not been started yet.
    pub fn waiting(boot: String, shim: Process, release: String) -> State {
        State {
            boot,
            shim,
            release,
            phase: Phase::Waiting,
            app: None,
            started_at: None,
            restarts: 0,
            last: None,
            deaths: Vec::new(),
            streak: 0,
            late: false,
            lacking: None,
        }
    }

    /// Whether the application's process is still there.
    pub fn app_alive(&self, boot: &str) -> bool {
        self.boot == boot && self.app.is_some_and(Process::alive)
    }
}

impl State {
    /// Notes that it died at that time, after it had run so long; the wait before its next start.
    pub fn note_death(&mut self, at: Timestamp, ran: Span, orders: &Orders) -> Span {
        let long = ran >= orders.longest_backoff.min(LONG_ENOUGH);
        self.streak = if long { 1 } else { self.streak.saturating_add(1) };
        self.deaths.push(at);
        let more = self.deaths.len().saturating_sub(DEATHS);
        self.deaths.drain(..more);
        backoff(self.streak, orders.backoff, orders.longest_backoff)
    }
}

/// The wait before the next start after so many deaths in a row.
fn backoff(streak: u32, first: Span, longest: Span) -> Span {
    match streak {
        0 | 1 => Span(0),
        n => Span(first.0.saturating_mul(1_u64 << (n - 2).min(32))).min(longest),
    }
}

impl Ended {
    /// A stable code for it.
    pub fn code(&self) -> &'static str {
        match &self.how {
            How::NotStarted(nix::libc::ENOENT, _) => "no-such-program",
            How::NotStarted(nix::libc::EACCES, _) => "not-executable",
            How::NotStarted(..) => "not-started",
            How::OutOfMemory => "out-of-memory",
            How::Crowded(_) => "too-many-processes",
            How::WithEngine => "docker-ended",
            _ => "exited",
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = format!("after {}.{}s", self.ran.0 / 1000, self.ran.0 % 1000 / 100);
        match &self.how {
            How::Exited(code) => write!(f, "exited with code {code} {after}")?,
            How::Signalled(number) => {
                let name = nix::sys::signal::Signal::try_from(*number);
                let name = name.map_or_else(|_| number.to_string(), |s| s.as_str().to_owned());
                write!(f, "was ended by {name} {after}")?;
            }
            How::OutOfMemory => write!(f, "was killed for want of memory {after}")?,
            How::Crowded(code) => {
                write!(f, "exited with code {code} {after}, having begun too many processes")?;
            }
            How::Unknown => {
                write!(f, "ended {after}, while its supervisor had been replaced")?;
            }
            How::WithEngine => write!(f, "ended {after}, with docker itself")?,
            How::NotStarted(_, message) => return f.write_str(message),
        }
        if let Some(why) = &self.why {
            write!(f, ", stopped because {why}")?;
        }
        match &self.line {
            Some(line) => write!(f, ": {line:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(how: How) -> Ended {
        let line = Some("no route to db".to_owned());
        Ended { at: Timestamp(0), ran: Span(230), how, line, why: None }
    }

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_longer() {
        let waits: Vec<u64> = (1..8).map(|n| backoff(n, Span(1000), Span(10_000)).0).collect();
        assert_eq!(waits, [0, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff(u32::MAX, Span(1000), Span(60_000)), Span(60_000));
    }

    #[test]
    fn ends_are_told_in_full() {
        let text = ended(How::Exited(1)).to_string();
        assert_eq!(text, "exited with code 1 after 0.2s: \"no route to db\"");
        let text = ended(How::Signalled(9)).to_string();
        assert!(text.starts_with("was ended by SIGKILL after 0.2s"), "{text}");
        assert_eq!(ended(How::NotStarted(2, "x".into())).code(), "no-such-program");
    }
}

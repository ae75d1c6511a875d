//! Processes told apart for sure. A pid alone names nobody: it may have been given to another.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One process of one boot.
///
/// **Invariant:** a process is signalled or called alive only after its start time was compared,
/// never by its pid alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since the boot: field 22 of `/proc/PID/stat`.
    pub start: u64,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub process: Process,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Whether it has ended and only waits to be reaped.
    pub zombie: bool,
}

impl Process {
    /// The process that has this pid now, unless it has ended.
    pub fn of(pid: i32) -> Option<Process> {
        stat(pid).filter(|s| !s.zombie).map(|s| s.process)
    }

    /// This process itself.
    pub fn own() -> Option<Process> {
        Process::of(nix::unistd::getpid().as_raw())
    }

    /// Whether it still runs.
    pub fn alive(self) -> bool {
        Process::of(self.pid) == Some(self)
    }

    /// Holds on to it, if it still runs.
    ///
    /// # Errors
    /// When it has ended, or the kernel is older than 5.3.
    pub fn open(self) -> io::Result<PidFd> {
        // SAFETY: the call takes two numbers and gives a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel has just made it for us, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // Compared after opening: whoever has the pid now is the one held.
        if !self.alive() {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(PidFd(fd))
    }

    /// Signals it, if it is still the same.
    pub fn signal(self, signal: Signal) {
        if self.alive() {
            // It may end at any moment, which is what signals are mostly sent for.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// A process held on to; becomes readable when it ends.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Waits for its end.
    ///
    /// # Errors
    /// When too many files are open to wait for one more.
    pub async fn ended(self) -> io::Result<()> {
        // SAFETY: the descriptor is owned, so it stays the same and open as long as this lives.
        let fd = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) }?;
        fd.readable().await.map(drop)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What the kernel says of a pid; none, if nobody has it.
pub fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&text))
}

/// A name of this boot: pids and start times mean nothing in another.
pub fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// Every process there is.
pub fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    entries.flatten().filter_map(pid).filter_map(stat).collect()
}

/// Those below `root` in the tree of processes, and those of the groups of any of them.
pub fn descendants(root: i32) -> Vec<Process> {
    let all = all();
    let mut known = BTreeSet::from([root]);
    loop {
        let more: Vec<i32> = all
            .iter()
            .filter(|s| known.contains(&s.parent) && !known.contains(&s.process.pid))
            .map(|s| s.process.pid)
            .collect();
        if more.is_empty() {
            break;
        }
        known.extend(more);
    }
    known.remove(&root);
    all.iter().filter(|s| known.contains(&s.process.pid)).map(|s| s.process).collect()
}

/// Those of a process group.
pub fn of_group(group: i32) -> Vec<Process> {
    let all = all();
    all.iter().filter(|s| s.group == group && !s.zombie).map(|s| s.process).collect()
}

/// Those whose environment holds `entry`, as `NAME=value`. Others' are not readable and not found.
pub fn with_environment(entry: &str) -> Vec<Process> {
    let holds = |stat: &&Stat| {
        let text = fs::read(format!("/proc/{}/environ", stat.process.pid)).unwrap_or_default();
        text.split(|b| *b == 0).any(|e| e == entry.as_bytes())
    };
    all().iter().filter(|s| !s.zombie).filter(holds).map(|s| s.process).collect()
}

fn parse(text: &str) -> Option<Stat> {
    // The name may hold anything, brackets and spaces too; what follows the last bracket counts.
    let (pid, rest) = text.split_once(' ')?;
    let fields: Vec<&str> = rest[rest.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let process = Process { pid: pid.parse().ok()?, start: fields.get(19)?.parse().ok()? };
    Some(Stat {
        process,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_do_not_confuse() {
        let text = "42 (a) R 1 (b)) S 7 8 9 0 -1 4194304 1 0 0 0 2 3 0 0 20 0 1 0 12345 100 5";
        let stat = parse(text).unwrap();
        assert_eq!(stat.process, Process { pid: 42, start: 12345 });
        assert_eq!((stat.parent, stat.group, stat.zombie), (7, 8, false));
        assert!(parse("42 (x) Z 7 8 9 0 -1 0 1 0 0 0 2 3 0 0 20 0 1 0 5").unwrap().zombie);
        assert_eq!(parse(""), None);
        assert_eq!(parse("42 (x) S 7"), None);
    }

    #[test]
    fn a_pid_given_to_another_is_not_the_same() {
        let own = Process::own().unwrap();
        assert!(own.alive() && own.open().is_ok());
        let other = Process { start: own.start + 1, ..own };
        assert!(!other.alive() && other.open().is_err());
    }
}

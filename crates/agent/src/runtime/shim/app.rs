//! The application's process: started, adopted, asked to stop, killed with all it started, and
//! its end understood.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Aim, KILL_TIMEOUT, READS, Shim, TICK};
use crate::clock;
use crate::runtime::launch::Launch;
use crate::runtime::orders::{Ended, How, Phase};
use crate::runtime::process::{self, PidFd, Process};

/// The application's process.
pub struct App {
    process: Process,
    /// None for a child, of whose end a signal tells.
    fd: Option<PidFd>,
}

impl App {
    /// What becomes readable when an adopted process ends.
    pub fn wake(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }
}

impl Shim {
    /// Goes on with a process that survived the shim before, or starts one.
    pub(super) fn adopt_or_start(&mut self) {
        self.state.phase = Phase::Waiting;
        let begun = self.begin_once();
        let Some(process) = self.state.app else {
            if begun {
                self.ended(How::Unknown);
                return;
            }
            self.start();
            return;
        };
        if let Ok(fd) = process.open() {
            self.app = Some(App { process, fd: Some(fd) });
            self.denied_before = self.orders.group.denied();
            self.state.phase = Phase::Running;
            self.publish();
        } else {
            self.ended(How::Unknown);
        }
    }

    pub(super) fn start(&mut self) {
        // Something may be left of a process that died while nobody watched.
        self.kill_everything();
        self.log.forget_line();
        self.denied_before = self.orders.group.denied();
        let first = self.state.last.is_none() && self.state.started_at.is_none();
        let once = self.orders.once.is_some();
        let started = if once { self.spawn_once() } else { self.spawn(&BTreeMap::new()) };
        match started {
            Ok(process) => {
                self.app = Some(App { process, fd: None });
                self.state.restarts += u32::from(!first);
                self.state.app = Some(process);
                self.state.started_at = Some(clock::now());
                self.state.phase = Phase::Running;
                self.publish();
            }
            Err(error) => {
                let (code, message) = not_started(&self.orders.launch, &error);
                let how = How::NotStarted(code, message);
                self.state.started_at = Some(clock::now());
                self.ended(how);
            }
        }
    }

    /// The application's end of the pipe: opened anew, as the shim's own does not block and the
    /// application's must.
    pub(super) fn output(&self) -> io::Result<File> {
        File::options().read(true).write(true).open(self.place.pipe())
    }

    pub(super) fn spawn(&self, more: &BTreeMap<String, String>) -> io::Result<Process> {
        let output = self.output()?;
        let mut command = self.orders.launch.prepare(false)?;
        command.envs(more);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let until = clock::instant() + Duration::from_secs(1);
        let child = loop {
            match command.spawn() {
                // Whoever unpacked the program may still have it open in a fork of another thread.
                Err(e) if e.raw_os_error() == Some(libc::ETXTBSY) && clock::instant() < until => {
                    pause();
                }
                other => break other?,
            }
        };
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        // Nobody has reaped it yet, so that it is there, though it may have ended.
        process::stat(pid).map(|s| s.process).ok_or_else(|| io::Error::other("it has gone"))
    }

    /// Takes note of every child that has ended. Orphans of the application come to the shim.
    pub(super) fn reap(&mut self) {
        loop {
            let (pid, how) = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, How::Exited(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, How::Signalled(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(_) => break,
            };
            if self.app.as_ref().is_some_and(|a| a.process.pid == pid.as_raw()) {
                self.ended(how);
            }
        }
        if self.app.as_ref().is_some_and(|a| a.fd.is_some() && !a.process.alive()) {
            self.ended(How::Unknown);
        }
    }

    pub(super) fn ask_to_stop(&mut self) {
        let Some(app) = &self.app else { return };
        let name = format!("SIG{}", self.orders.stop_signal);
        let signal: Signal = name.parse().unwrap_or(Signal::SIGTERM);
        if app.process.alive() {
            // It leads its own group; whoever of the group has ended meanwhile needs no signal.
            let _ = killpg(Pid::from_raw(app.process.pid), signal);
        }
        self.kill_at = Some(clock::instant() + self.orders.grace.std());
    }

    /// How it ended, where it was for want of what the bounds have denied it.
    fn for_want(&self, how: How) -> How {
        let (denied, before) = (self.orders.group.denied(), self.denied_before);
        let once = self.orders.once.is_some();
        match how {
            how if denied.memory > before.memory && was_starved(&how, once) => How::OutOfMemory,
            How::Exited(code) if once && code != 0 && denied.processes > before.processes => {
                How::Crowded(code)
            }
            how => how,
        }
    }

    /// The process has ended; what follows depends on what was aimed at.
    pub(super) fn ended(&mut self, mut how: How) {
        self.app = None;
        self.end_once(&mut how);
        self.drain(READS * 16);
        how = self.for_want(how);
        let (at, began) = (clock::now(), self.state.started_at);
        let ran = at.since(began.unwrap_or(at));
        let why = match &self.aim {
            Aim::Restart { why } => Some(why.clone()),
            Aim::Run | Aim::Stop => None,
        };
        let line = self.log.last_line();
        self.state.last = Some(Ended { at, ran, how, line, why });
        self.state.app = None;
        if self.aim == Aim::Stop {
            // What is left was not of its process group, and has not been asked yet.
            for process in self.members() {
                process.signal(Signal::SIGTERM);
            }
            self.publish();
            return;
        }
        self.aim = Aim::Run;
        self.kill_at = None;
        self.kill_everything();
        let wait = self.state.note_death(at, ran, &self.orders);
        self.start_at = Some(clock::instant() + wait.std());
        self.state.phase = Phase::Waiting;
        self.publish();
    }

    /// Everything that belongs to the instance and still runs.
    pub(super) fn members(&self) -> Vec<Process> {
        let mut all = self.orders.launch.members(&self.orders.group);
        if self.orders.group.dirs.is_empty() {
            all.extend(process::descendants(self.state.shim.pid));
            if let Some(app) = self.state.app.filter(|a| a.alive()) {
                all.push(app);
                all.extend(process::descendants(app.pid));
                all.extend(process::of_group(app.pid));
            }
        }
        all.retain(|p| *p != self.state.shim && p.alive());
        all
    }

    /// Kills the application with everything it has started, and waits until that is gone.
    pub(super) fn kill_everything(&mut self) {
        let until = clock::instant() + KILL_TIMEOUT;
        let mut members = self.members();
        while !members.is_empty() && clock::instant() < until {
            self.orders.group.kill();
            for process in members {
                process.signal(Signal::SIGKILL);
            }
            pause();
            // Its end is understood by `reap`; all others are only taken away.
            self.take_orphans();
            members = self.members();
            members.retain(|p| Some(p.pid) != self.app.as_ref().map(|a| a.process.pid));
        }
    }

    fn take_orphans(&self) {
        let app = self.app.as_ref().map(|a| a.process.pid);
        for stat in process::all() {
            if stat.zombie && stat.parent == self.state.shim.pid && Some(stat.process.pid) != app {
                let _ = waitpid(Pid::from_raw(stat.process.pid), Some(WaitPidFlag::WNOHANG));
            }
        }
    }
}

/// Whether an end is one for want of memory, where something of the application was killed for it.
/// That may have been a child only: a shell then ends with that one's code, and other programs with
/// one of their own. A program that serves may have outlived such a child for long.
fn was_starved(how: &How, once: bool) -> bool {
    match how {
        How::Signalled(signal) => *signal == libc::SIGKILL,
        How::Exited(code) => *code == 128 + libc::SIGKILL || (once && *code != 0),
        _ => false,
    }
}

/// A moment in a program that has nothing else to do.
fn pause() {
    let _ = poll(&mut [], PollTimeout::try_from(TICK / 2).unwrap_or(PollTimeout::ZERO));
}

/// The error of the system, and a sentence for people.
fn not_started(launch: &Launch, error: &io::Error) -> (i32, String) {
    let program = launch.command.first().map(String::as_str).unwrap_or_default();
    let path = launch.env.get("PATH").map(String::as_str).unwrap_or_default();
    let code = match error.raw_os_error().unwrap_or(0) {
        // A directory of the path that is closed to the user hides that there is no such program.
        libc::EACCES if !program.contains('/') => {
            let there = path.split(':').any(|dir| Path::new(dir).join(program).exists());
            if there { libc::EACCES } else { libc::ENOENT }
        }
        code => code,
    };
    let why = match code {
        libc::ENOENT if program.contains('/') => {
            "there is no such file, or the interpreter in its first line is not on this host"
                .to_owned()
        }
        libc::ENOENT => format!("it is nowhere in {path}"),
        libc::EACCES => "the instance's user may not execute it".to_owned(),
        _ => error.to_string(),
    };
    (code, format!("cannot start {program:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_killed_for_want_of_memory_is_why_a_step_failed() {
        assert!(was_starved(&How::Signalled(libc::SIGKILL), false));
        assert!(was_starved(&How::Exited(137), false), "a shell ends as its child did");
        assert!(was_starved(&How::Exited(2), true), "make says 2");
        assert!(!was_starved(&How::Exited(2), false) && !was_starved(&How::Exited(0), true));
        assert!(!was_starved(&How::Signalled(libc::SIGTERM), true));
    }
}

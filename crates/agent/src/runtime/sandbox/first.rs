//! The first process in a sandbox: it makes the view, starts the command, and is its parent.

use std::fs::File;
use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use nix::libc;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setsid};

use super::{Sandbox, complain, view};
use crate::runtime::launch::Launch;

/// What it is to do.
pub struct Work<'a> {
    pub sandbox: &'a Sandbox,
    pub launch: &'a Launch,
    pub groups: Vec<File>,
    pub output: &'a File,
    pub verdict: File,
    pub writer: PipeWriter,
}

/// Does it, and ends the process.
pub fn run(mut work: Work<'_>) -> ! {
    let code = match begin(&mut work) {
        Ok(child) => {
            let verdict = let_go(&work);
            watch(child, verdict)
        }
        Err(error) => {
            complain(&mut work.writer, 0, &format!("cannot make a sandbox: {error}"));
            1
        }
    };
    // SAFETY: nothing of what the shim would do at its end is to be done by its copy.
    unsafe { libc::_exit(code) }
}

fn begin(work: &mut Work<'_>) -> io::Result<Pid> {
    setsid()?;
    for group in &work.groups {
        // 0 stands for the writer; what it starts is in the group from the first moment.
        nix::unistd::write(group.as_fd(), b"0")?;
    }
    // From now on signals wait until they are asked for; the first process of a sandbox ignores
    // all others.
    SigSet::all().thread_block()?;
    view::make(work.sandbox)?;
    // SAFETY: there is one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let error = become_command(work);
            let code = error.raw_os_error().unwrap_or(0);
            complain(&mut work.writer, code, &error.to_string());
            // SAFETY: as above.
            unsafe { libc::_exit(127) }
        }
    }
}

/// Comes back only with an error.
fn become_command(work: &Work<'_>) -> io::Error {
    // It is in its groups already, whose files are not seen from here.
    let launch = Launch { cgroups: Vec::new(), ..work.launch.clone() };
    let ready = launch.prepare(false).and_then(|mut command| {
        let output = (work.output.try_clone()?, work.output.try_clone()?);
        command.stdin(Stdio::null()).stdout(output.0).stderr(output.1);
        Ok(command)
    });
    match ready {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

/// Closes everything but the verdict: the shim's lock and socket are not held by its copy.
fn let_go(work: &Work<'_>) -> File {
    const KEPT: i32 = 3;
    // SAFETY: plain system calls on numbers; nothing of what is closed is used afterwards, as this
    // process only waits from now on.
    unsafe {
        if work.verdict.as_raw_fd() != KEPT {
            libc::dup2(work.verdict.as_raw_fd(), KEPT);
        }
        libc::syscall(libc::SYS_close_range, KEPT + 1, libc::c_uint::MAX, 0);
        File::from_raw_fd(KEPT)
    }
}

/// Waits for the command, taking away whoever else ends, and gives the code to end with.
fn watch(child: Pid, mut verdict: File) -> i32 {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {}
            Ok(signal) => {
                // It leads its own group; it may have ended meanwhile.
                let _ = kill(Pid::from_raw(-child.as_raw()), signal);
                continue;
            }
            Err(_) => continue,
        }
        loop {
            let (pid, text, code) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, format!("exited {code}"), code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    (pid, format!("signalled {}", signal as i32), 128 + signal as i32)
                }
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(_) => continue,
            };
            if pid == child {
                let _ = verdict.write_all(text.as_bytes());
                return code;
            }
        }
    }
}

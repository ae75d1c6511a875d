//! A sandbox for work that is done once: namespaces of its own for mounts, processes, IPC and the
//! name of the host; the system read-only; nothing else of the host's files but what is handed in.
//! The network is the host's. Not which work gets one, nor what becomes of it.
//!
//! The first process in it is a copy of the shim, which stays root, starts the command as its user,
//! passes signals on to it, and writes down how it ended: so its end is known though the shim died.
//! When it goes, the kernel kills everything in the sandbox.

mod first;
mod view;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::runtime::launch::Launch;
use crate::runtime::orders::How;
use crate::runtime::process::{self, Process};
use crate::runtime::users;

/// What is seen of the system in every sandbox, where it is there.
const SYSTEM: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt"];

/// What is seen from inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sandbox {
    /// An empty directory that the new root is put together on.
    pub root: PathBuf,
    /// The name of the host in it.
    pub name: String,
    /// Directories and files of the host that are seen, read-only, besides the system's.
    pub visible: Vec<PathBuf>,
    /// Directories that are not seen though they lie in one that is.
    pub hidden: Vec<PathBuf>,
    /// Files that are seen, read-only, in the place of others.
    pub replaced: Vec<(PathBuf, PathBuf)>,
    /// Directories that may be written, and where they are seen.
    pub writable: Vec<(PathBuf, PathBuf)>,
}

/// Whether there can be sandboxes here.
///
/// # Errors
/// Why not.
pub fn possible(data: &Path) -> Result<(), String> {
    users::possible(data)
}

/// Starts the command in a sandbox. The process given is the first one in it.
///
/// # Errors
/// Without a number of the system, if the sandbox could not be made; with one, if the program
/// could not be started in it.
pub fn start(
    sandbox: &Sandbox,
    launch: &Launch,
    output: &File,
    verdict: &Path,
) -> io::Result<Process> {
    let outside = |e: io::Error| io::Error::other(format!("cannot make a sandbox: {e}"));
    let verdict = File::options().write(true).create(true).truncate(true).mode(0o600).open(verdict);
    let verdict = verdict.map_err(outside)?;
    let groups = launch.open_groups().map_err(outside)?;
    let (mut complaints, writer) = io::pipe().map_err(outside)?;
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    let none: libc::c_long = 0;
    // SAFETY: a fork into new namespaces. The shim has one thread, so that the copy may do whatever
    // it could do.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) };
    match pid {
        0 => first::run(first::Work { sandbox, launch, groups, output, verdict, writer }),
        pid if pid > 0 => {
            drop(writer);
            let pid = i32::try_from(pid).map_err(io::Error::other)?;
            let mut said = String::new();
            complaints.read_to_string(&mut said)?;
            if let Some((code, why)) = said.split_once(' ') {
                let _ = waitpid(Pid::from_raw(pid), None);
                return Err(match code.parse() {
                    Ok(0) | Err(_) => io::Error::other(why.to_owned()),
                    Ok(code) => io::Error::from_raw_os_error(code),
                });
            }
            // Nobody has reaped it yet, so that it is there, though it may have ended.
            process::stat(pid).map(|s| s.process).ok_or_else(|| io::Error::other("it has gone"))
        }
        _ => Err(outside(io::Error::last_os_error())),
    }
}

/// How the command has ended, if that is known.
pub fn verdict(path: &Path) -> Option<How> {
    let text = std::fs::read_to_string(path).ok()?;
    let (word, number) = text.trim().split_once(' ')?;
    let number = number.parse().ok()?;
    match word {
        "exited" => Some(How::Exited(number)),
        "signalled" => Some(How::Signalled(number)),
        _ => None,
    }
}

/// Says why something could not be done, to the shim.
fn complain(writer: &mut impl Write, code: i32, why: &str) {
    // Who does not listen has gone.
    let _ = writer.write_all(format!("{code} {why}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("verdict");
        assert_eq!(verdict(&path), None);
        for (text, how) in [
            ("exited 3", Some(How::Exited(3))),
            ("signalled 9", Some(How::Signalled(9))),
            ("", None),
            ("exited", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(verdict(&path), how, "{text}");
        }
    }
}

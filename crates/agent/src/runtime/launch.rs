//! How a program of an instance is started, be it the application, a probe or a person's command:
//! the same user, directory, environment, cgroup and limits for all. Not when, nor what becomes
//! of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgid, setgroups, setsid, setuid};
use serde::{Deserialize, Serialize};

use crate::runtime::cgroup::Group;
use crate::runtime::process::{self, Process};

/// The variable that tells where an instance keeps its data. No two instances have the same, so
/// it also tells whose a process is where there are no cgroups.
pub const DATA_VARIABLE: &str = "ATOLL_DATA_DIR";
/// Where programs are looked for, if the agent itself does not know.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Files one instance may have open.
const OPEN_FILES: u64 = 65_536;

/// Everything needed to start a program as an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Program and arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Where it starts.
    pub dir: PathBuf,
    /// The user and group it becomes; none: as we are.
    pub user: Option<u32>,
    /// The groups it is in, its own first, where that is not the one of the same number as the
    /// user alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u32>,
    /// The files through which it joins its cgroups.
    pub cgroups: Vec<PathBuf>,
}

impl Launch {
    /// The same with another command.
    #[must_use]
    pub fn with_command(&self, command: &[String]) -> Launch {
        Launch { command: command.to_vec(), ..self.clone() }
    }

    /// Everything that was started as this instance and still runs.
    pub fn members(&self, group: &Group) -> Vec<Process> {
        if !group.dirs.is_empty() {
            // Without the right to, nothing leaves a cgroup.
            return group.members();
        }
        match self.env.get(DATA_VARIABLE) {
            Some(data) => process::with_environment(&format!("{DATA_VARIABLE}={data}")),
            None => Vec::new(),
        }
    }

    /// The entrances of its cgroups.
    ///
    /// # Errors
    /// When one has gone.
    pub fn open_groups(&self) -> io::Result<Vec<File>> {
        self.cgroups.iter().map(|path| File::options().write(true).open(path)).collect()
    }

    /// The command, ready to be spawned, in a session of its own. With `terminal`, its standard
    /// input becomes the terminal it is controlled by.
    ///
    /// # Errors
    /// When it names no program, or its cgroup has gone.
    pub fn prepare(&self, terminal: bool) -> io::Result<Command> {
        let (program, arguments) =
            self.command.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(&self.env).current_dir(&self.dir);
        let groups = self.open_groups()?;
        let identity = Identity::of(self);
        // SAFETY: between fork and exec only calls are made that are safe there: system calls
        // on what was opened and computed before, without any allocation.
        unsafe {
            command.pre_exec(move || become_instance(&groups, &identity, terminal));
        }
        Ok(command)
    }
}

/// Who a process becomes, worked out before there is one.
pub(super) struct Identity {
    own: Option<(Uid, Gid)>,
    others: Vec<Gid>,
}

impl Identity {
    /// Who a program is started as.
    pub(super) fn of(launch: &Launch) -> Identity {
        let mut groups = launch.groups.iter().copied().map(Gid::from_raw);
        let own = launch.user.map(|user| {
            (Uid::from_raw(user), groups.next().unwrap_or_else(|| Gid::from_raw(user)))
        });
        Identity { own, others: groups.collect() }
    }
}

/// Runs in the new process, as root where the agent is root, after the change of directory, so
/// that a directory its user may not reach from above is no obstacle.
fn become_instance(groups: &[File], identity: &Identity, terminal: bool) -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: no handler is installed. Some signals have no other way, which is no harm.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    setsid()?;
    if terminal {
        // SAFETY: a plain system call on descriptor 0, which is the terminal.
        if unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    for group in groups {
        // 0 stands for the writer.
        nix::unistd::write(group.as_fd(), b"0")?;
    }
    umask(Mode::from_bits_truncate(0o022));
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES.max(hard)).is_err() {
        // Without the right to raise the bound, as much as there is.
        setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.min(hard), hard)?;
    }
    if let Some((user, group)) = identity.own {
        setgroups(&identity.others)?;
        setgid(group)?;
        setuid(user)?;
    }
    // What is the agent's own is not the instance's; where there are no huge pages, it is nothing.
    let _ = nix::sys::prctl::set_thp_disable(false);
    nix::sys::prctl::set_no_new_privs()?;
    Ok(())
}

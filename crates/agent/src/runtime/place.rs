//! Where everything of one instance lies on the disk. It holds paths; it starts nothing.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::libc;

/// The directory of one instance: `<data>/instances/<name>`.
#[derive(Clone, Debug)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// The place of an instance below the agent's directory.
    pub fn of(data: &Path, name: &str) -> Place {
        Place { dir: data.join("instances").join(name) }
    }

    /// The place that is this directory.
    pub fn at(dir: &Path) -> Place {
        Place { dir: dir.to_owned() }
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// What the agent was told to run here.
    pub fn record(&self) -> PathBuf {
        self.dir.join("instance.json")
    }
    /// The orders of the shim.
    pub fn orders(&self) -> PathBuf {
        self.dir.join("shim.json")
    }
    /// What the shim says.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }
    /// Held by the shim for as long as it lives.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("shim.lock")
    }
    /// What the shim complains of.
    pub fn complaints(&self) -> PathBuf {
        self.dir.join("shim.err")
    }
    /// The process that was ready last; see `health.rs`.
    pub fn ready(&self) -> PathBuf {
        self.dir.join("ready.json")
    }
    /// The package's files; where the application starts.
    pub fn release(&self) -> PathBuf {
        self.dir.join("release")
    }
    /// The digest of the package unpacked in [`Place::release`].
    pub fn activated(&self) -> PathBuf {
        self.dir.join("release.json")
    }
    /// What the application keeps; survives updates.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
    /// The files of its dynamic configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.join("config")
    }
    /// How far the log of a container has been copied.
    pub fn copied(&self) -> PathBuf {
        self.dir.join("log.json")
    }
    /// The log's files.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
    /// What the application writes its output to.
    pub fn pipe(&self) -> PathBuf {
        self.dir.join("log.pipe")
    }

    /// How work that is done once has ended, by the word of the process that began it.
    pub fn verdict(&self) -> PathBuf {
        self.dir.join("verdict")
    }

    /// Calls `act` with a path of the control socket that is short enough for one: the directory
    /// may lie deep, and a socket's path has at most 107 bytes.
    ///
    /// # Errors
    /// When the directory is not there; as `act` says.
    pub fn with_socket<T>(&self, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let dir = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(&self.dir)?;
        act(Path::new(&format!("/proc/self/fd/{}/shim.sock", dir.as_raw_fd())))
    }

    /// Makes what must be there before anything is started, for that user.
    ///
    /// # Errors
    /// As the disk says.
    pub fn make(&self, user: Option<u32>) -> io::Result<()> {
        fs::create_dir_all(self.log())?;
        // Others may pass through, as the instance's user must, but not look around.
        fs::set_permissions(&self.dir, Permissions::from_mode(0o711))?;
        fs::set_permissions(self.log(), Permissions::from_mode(0o700))?;
        fs::create_dir_all(self.data())?;
        fs::set_permissions(self.data(), Permissions::from_mode(0o700))?;
        if let Some(user) = user {
            own(&self.data(), user)?;
        }
        Ok(())
    }

    /// The name of the instance.
    pub fn name(&self) -> &str {
        self.dir.file_name().and_then(|n| n.to_str()).unwrap_or_default()
    }
}

/// Gives a directory and what is in it to a user; only where it is not the user's already.
fn own(dir: &Path, user: u32) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata(dir)?.uid() == user {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            own(&entry.path(), user)?;
        } else {
            std::os::unix::fs::lchown(entry.path(), Some(user), Some(user))?;
        }
    }
    chown(dir, Some(user), Some(user))
}

//! Where everything of one task lies on the disk. It holds paths; it starts nothing.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use crate::runtime::place::Place;

/// The directory of one task, `<data>/tasks/<name>`, in which its shim lives too.
#[derive(Clone, Debug)]
pub struct TaskPlace {
    /// What the shim knows of it.
    pub shim: Place,
}

impl TaskPlace {
    /// The place of a task below the agent's directory.
    pub fn of(data: &Path, name: &str) -> TaskPlace {
        TaskPlace { shim: Place::at(&data.join("tasks").join(name)) }
    }

    fn dir(&self) -> &Path {
        self.shim.dir()
    }
    /// What is written down of it.
    pub fn record(&self) -> PathBuf {
        self.dir().join("task.json")
    }
    /// Its workspace.
    pub fn work(&self) -> PathBuf {
        self.dir().join("work")
    }
    /// Its home.
    pub fn home(&self) -> PathBuf {
        self.dir().join("home")
    }
    /// Its temporary files.
    pub fn tmp(&self) -> PathBuf {
        self.dir().join("tmp")
    }
    /// What the sandbox is put together on.
    pub fn root(&self) -> PathBuf {
        self.dir().join("root")
    }
    /// The users and groups it sees: its own among them.
    pub fn accounts(&self) -> (PathBuf, PathBuf) {
        (self.dir().join("passwd"), self.dir().join("group"))
    }
    /// What is on the way into the workspace, or out of it.
    pub fn transit(&self) -> PathBuf {
        self.dir().join("transit")
    }

    /// The place of something that runs beside it.
    pub fn beside(&self, name: &str) -> TaskPlace {
        TaskPlace { shim: Place::at(&self.all_beside().join(name)) }
    }
    fn all_beside(&self) -> PathBuf {
        self.dir().join("beside")
    }
    /// The places of everything that runs, or ran, beside it.
    pub fn every_beside(&self) -> Vec<TaskPlace> {
        let found = fs::read_dir(self.all_beside()).into_iter().flatten().flatten();
        found.map(|entry| TaskPlace { shim: Place::at(&entry.path()) }).collect()
    }

    /// Makes what must be there before anything is put into it. What an attempt before has left
    /// goes.
    ///
    /// # Errors
    /// As the disk says.
    pub fn make(&self) -> io::Result<()> {
        let open = |dir: &Path, mode| fs::set_permissions(dir, Permissions::from_mode(mode));
        fs::create_dir_all(self.shim.log())?;
        open(self.dir(), 0o711)?;
        open(&self.shim.log(), 0o700)?;
        remove(&self.all_beside())?;
        for dir in [self.work(), self.home(), self.tmp(), self.root(), self.transit()] {
            remove(&dir)?;
            fs::create_dir(&dir)?;
        }
        open(&self.work(), 0o755)?;
        open(&self.transit(), 0o700)
    }

    /// Keeps everybody but root out of it.
    ///
    /// # Errors
    /// As the disk says.
    pub fn close(&self) -> io::Result<()> {
        fs::set_permissions(self.dir(), Permissions::from_mode(0o700))
    }

    /// Gives the task's own directories to its user, and the user a name.
    ///
    /// # Errors
    /// As the disk says.
    pub fn hand_over(&self, user: u32) -> io::Result<()> {
        for dir in [self.work(), self.home(), self.tmp()] {
            own(&dir, user)?;
        }
        let (passwd, group) = self.accounts();
        let with = |path: &str, line: String| {
            let mut text = fs::read_to_string(path).unwrap_or_default();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text + &line
        };
        fs::write(&passwd, with("/etc/passwd", format!("step:x:{user}:{user}::/home:/bin/sh\n")))?;
        fs::write(&group, with("/etc/group", format!("step:x:{user}:\n")))?;
        for path in [passwd, group] {
            fs::set_permissions(path, Permissions::from_mode(0o644))?;
        }
        Ok(())
    }

    /// Bytes the task's own directories hold on the disk, with those of what runs beside it.
    pub fn used(&self) -> u64 {
        let own = [self.work(), self.home(), self.tmp()];
        let beside = self.every_beside();
        let others = beside.iter().flat_map(|place| [place.home(), place.tmp()]);
        own.into_iter().chain(others).map(|dir| bytes(&dir)).sum()
    }

    /// Removes what is of no use once all of it is kept.
    pub fn empty(&self) {
        let dirs = [self.work(), self.home(), self.tmp(), self.transit(), self.all_beside()];
        for dir in dirs {
            if let Err(error) = remove(&dir) {
                tracing::warn!(dir = %dir.display(), %error, "it was not removed");
            }
        }
    }

    /// The name of the task.
    pub fn name(&self) -> &str {
        self.dir().file_name().and_then(OsStr::to_str).unwrap_or_default()
    }
}

/// Removes a directory with all that is in it, if it is there.
pub fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Gives a directory and all that is in it to a user; links themselves, not what they lead to.
fn own(path: &Path, user: u32) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), user)?;
        }
    }
    lchown(path, Some(user), Some(user))
}

/// Bytes on the disk below a directory. What vanishes meanwhile counts for nothing.
pub fn bytes(dir: &Path) -> u64 {
    let mut sum = 0;
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            sum += meta.blocks() * 512;
            if meta.is_dir() {
                left.push(entry.path());
            }
        }
    }
    sum
}

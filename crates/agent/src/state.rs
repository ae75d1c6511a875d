//! What an agent must not forget: who it is, where servers are, and how far it has come. One file,
//! readable by its owner only.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::disk;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The name of the host, once it has joined.
    pub host: Option<String>,
    /// Its token.
    pub token: Option<String>,
    /// Servers it has been told of.
    pub servers: Vec<String>,
    /// Certificates of the authority it trusts.
    pub ca_pem: Option<String>,
    /// The highest revision of an assignment acted on.
    pub revision: u64,
}

/// The file, held by one agent at a time.
pub struct StateFile {
    path: PathBuf,
    /// What it holds.
    pub memory: Memory,
    _lock: Flock<File>,
}

impl StateFile {
    /// Opens what is remembered in `data`.
    ///
    /// # Errors
    /// When another agent has it open, or it cannot be read: starting afresh would forget who
    /// this host is.
    pub fn open(data: &Path) -> io::Result<StateFile> {
        std::fs::create_dir_all(data)?;
        let lock = data.join("agent.lock");
        let lock = File::options().create(true).append(true).mode(0o600).open(lock)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|_| {
            let text = format!("another agent works in {}; give each its own", data.display());
            io::Error::new(io::ErrorKind::AddrInUse, text)
        })?;
        let path = data.join("agent.json");
        let memory = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                let text = format!("{} cannot be read: {e}; restore or remove it", path.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(e) => return Err(e),
        };
        Ok(StateFile { path, memory, _lock: lock })
    }

    /// Changes what is remembered, on the disk if it differs.
    ///
    /// # Errors
    /// As the disk says; what is in memory has changed nevertheless.
    pub fn change(&mut self, change: impl FnOnce(&mut Memory)) -> io::Result<()> {
        let before = self.memory.clone();
        change(&mut self.memory);
        if self.memory == before {
            return Ok(());
        }
        disk::write(&self.path, &self.memory, true)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_remembered_survives_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = StateFile::open(dir.path()).unwrap();
        state.change(|m| m.token = Some("secret".to_owned())).unwrap();
        state.change(|m| m.revision = 7).unwrap();
        assert!(StateFile::open(dir.path()).is_err(), "one agent at a time");
        drop(state);
        let state = StateFile::open(dir.path()).unwrap();
        assert_eq!((state.memory.token.as_deref(), state.memory.revision), (Some("secret"), 7));
        let mode = std::fs::metadata(dir.path().join("agent.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(state);
        std::fs::write(dir.path().join("agent.json"), "{").unwrap();
        assert!(StateFile::open(dir.path()).is_err(), "identity is not thrown away");
    }
}

//! Why a package could not be made. Why files are none is in `tree.rs`.

use std::io;
use std::path::{Path, PathBuf};

use crate::tree::Refusal;

/// Why a package could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It is no package, or too large for one.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk is full; nothing half-written is left.
    #[error("the disk of {} is full; make room there", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
    },
    /// What is on the disk is not what it was.
    #[error("{} has changed while it was read; do it again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, …
        what: &'static str,
        /// What of.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl PackError {
    pub(crate) fn io(what: &'static str, path: impl AsRef<Path>, source: io::Error) -> PackError {
        let path = path.as_ref().to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => PackError::Full { path },
            _ => PackError::Io { what, path, source },
        }
    }
}

//! Files of JSON that are read and written whole. Not what is in them.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a file of JSON; none, if it is not there or not valid.
pub fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes a file of JSON, whole or not at all, readable by its owner only.
///
/// # Errors
/// As the disk says.
pub fn write<T: Serialize>(path: &Path, value: &T, sync: bool) -> io::Result<()> {
    let temp = path.with_extension("new");
    let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    let mut file =
        fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
    file.write_all(&bytes)?;
    if sync {
        file.sync_all()?;
    }
    fs::rename(&temp, path)?;
    if let (true, Some(dir)) = (sync, path.parent()) {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

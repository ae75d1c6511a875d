//! A package made of files, ready to be sent or kept: its index, and where each piece is read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use atoll_model::delivery::PackageIndex;
use bytes::Bytes;

use crate::collect::{Collected, Place, collect};
use crate::error::PackError;
use crate::tree::{Bounds, LONGEST_INDEX, Refusal, check_index};

/// A package made of files, ready to be sent.
pub struct PackagePlan {
    /// What it holds.
    pub index: PackageIndex,
    /// BLAKE3 of the index, in hex: equal for equal content, whatever it was packed in.
    pub digest: String,
    /// Bytes of all files together.
    pub size: u64,
    /// The index as it is kept: its digest is that of the package.
    pub encoded: Bytes,
    places: HashMap<String, Place>,
    spool: Option<File>,
}

/// Makes a package of a directory, of a `.tar`, `.tar.gz` or `.tar.zst`, or of any other single
/// file. Blocks while it reads.
///
/// # Errors
/// `Refused`, if it holds what a package may not, or is larger than `bounds`; `Io`, if it cannot
/// be read; `Full`, if an archive cannot be unpacked to the directory for temporary files.
pub fn plan_package(path: &Path, bounds: &Bounds) -> Result<PackagePlan, PackError> {
    let collected = collect(path, *bounds)?;
    let (index, size) = (collected.index(), collected.bytes());
    check_index(&index, bounds)?;
    let encoded: Bytes = serde_json::to_vec(&index).expect("an index has string keys only").into();
    if encoded.len() > LONGEST_INDEX {
        return Err(Refusal::LongIndex(LONGEST_INDEX).into());
    }
    let digest = blake3::hash(&encoded).to_hex().to_string();
    let Collected { places, spool, .. } = collected;
    Ok(PackagePlan { index, digest, size, encoded, places, spool })
}

impl PackagePlan {
    /// The digest and size of every different piece.
    pub fn chunks(&self) -> impl Iterator<Item = (&str, u32)> {
        self.places.iter().map(|(digest, place)| (digest.as_str(), place.size))
    }

    /// Reads a piece again, and checks that it is still what it was.
    ///
    /// # Errors
    /// `Corrupt`, if a file has changed since; `Io`.
    pub fn read_chunk(&self, digest: &str) -> Result<Bytes, PackError> {
        let none = || PackError::io("find the piece", digest, io::ErrorKind::NotFound.into());
        let place = self.places.get(digest).ok_or_else(none)?;
        let mut data = vec![0; place.size as usize];
        let path = place.file.as_deref().unwrap_or(Path::new("a spool"));
        let failed = |e| PackError::io("read", path, e);
        match (&place.file, &self.spool) {
            (Some(file), _) => {
                let file = File::open(file).map_err(failed)?;
                file.read_exact_at(&mut data, place.offset).map_err(failed)?;
            }
            (None, Some(spool)) => {
                spool.read_exact_at(&mut data, place.offset).map_err(failed)?;
            }
            (None, None) => return Err(none()),
        }
        if blake3::hash(&data).to_hex().as_str() != digest {
            return Err(PackError::Corrupt { path: path.to_owned() });
        }
        Ok(data.into())
    }
}

#[cfg(test)]
mod tests;

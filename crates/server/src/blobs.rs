//! Pieces of packages by their content: files in the data directory or, with replicas, rows of the
//! database they share. It does not know what the pieces are pieces of.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_model::delivery::is_digest;
use atoll_store::Store;
use bytes::Bytes;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

/// The largest piece that is taken, in bytes. Indexes of packages are pieces too.
pub const LARGEST: usize = atoll_pack::LONGEST_INDEX;

/// What follows the name of a damaged piece that was set aside.
const ASIDE: &str = "damaged";

/// Where pieces are kept.
#[derive(Clone)]
pub enum Blobs {
    /// A directory of this machine.
    Directory(PathBuf),
    /// The database that replicas share.
    Database(Store),
}

/// Why a piece could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The name is no digest.
    #[error("{0:?} is not a BLAKE3 digest in lower-case hex")]
    NotADigest(String),
    /// The content is not what its name says.
    #[error("the content sent as {wanted} has the digest {found}; send it again")]
    Mismatch {
        /// As it was named.
        wanted: String,
        /// As it is.
        found: String,
    },
    /// What is kept is not what its name says any more.
    #[error(
        "piece {0} is damaged: what the server has kept is not what its digest says, and was set \
         aside; hand the same content in again, or make it anew"
    )]
    Damaged(String),
    /// It is not here.
    #[error("there is no piece {0}; push the package again")]
    NotFound(String),
    /// The disk is full.
    #[error("no space is left to keep packages; free some on the server's disk")]
    Full,
    /// Anything else.
    #[error("could not keep or read a piece of a package: {0}")]
    Other(String),
}

impl Blobs {
    /// Keeps a piece under its digest. Keeping what is there already changes nothing.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn put(&self, digest: &str, content: Bytes) -> Result<(), BlobError> {
        check(digest)?;
        let digest = digest.to_owned();
        match self {
            Blobs::Directory(dir) => {
                let dir = dir.clone();
                blocking(move || {
                    verify(&digest, &content)?;
                    write_file(&dir, &digest, &content)
                })
                .await
            }
            Blobs::Database(store) => {
                verify(&digest, &content)?;
                store.put_blob(&digest, &content).await.map_err(from_store)
            }
        }
    }

    /// Reads a piece and checks it.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn get(&self, digest: &str) -> Result<Bytes, BlobError> {
        check(digest)?;
        let content = match self {
            Blobs::Directory(dir) => {
                let path = place(dir, digest);
                let digest = digest.to_owned();
                blocking(move || read_file(&path, &digest)).await?
            }
            Blobs::Database(store) => store
                .get_blob(digest)
                .await
                .map_err(from_store)?
                .ok_or_else(|| BlobError::NotFound(digest.to_owned()))?,
        };
        if verify(digest, &content).is_ok() {
            return Ok(content.into());
        }
        tracing::error!(digest, "a piece is damaged; it is set aside, to be handed in again");
        match self {
            Blobs::Directory(dir) => {
                let path = place(dir, digest);
                // Where that cannot be done it is found damaged again.
                let _ = std::fs::rename(&path, path.with_extension(ASIDE));
            }
            Blobs::Database(store) => {
                store.delete_blobs(vec![digest.to_owned()]).await.map_err(from_store)?;
            }
        }
        Err(BlobError::Damaged(digest.to_owned()))
    }

    /// Those of the digests that are not here.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn missing(&self, digests: Vec<String>) -> Result<Vec<String>, BlobError> {
        digests.iter().try_for_each(|digest| check(digest))?;
        match self {
            Blobs::Directory(dir) => {
                let dir = dir.clone();
                blocking(move || {
                    Ok(digests.into_iter().filter(|d| !is_there(&place(&dir, d))).collect())
                })
                .await
            }
            Blobs::Database(store) => store.has_blobs(digests).await.map_err(from_store),
        }
    }

    /// The pieces that were last asked for or put longer ago than that; none, where their age is
    /// not known.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn older_than(&self, age: Duration) -> Result<Option<Vec<String>>, BlobError> {
        let Blobs::Directory(dir) = self else { return Ok(None) };
        let dir = dir.clone();
        blocking(move || {
            let failed = |e: std::io::Error| BlobError::Other(e.to_string());
            let mut found = Vec::new();
            let parts = match std::fs::read_dir(&dir) {
                Ok(parts) => parts,
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Some(found)),
                Err(e) => return Err(failed(e)),
            };
            for part in parts {
                let part = part.map_err(failed)?.path();
                for piece in std::fs::read_dir(part).into_iter().flatten() {
                    let piece = piece.map_err(failed)?;
                    let name = piece.file_name().to_string_lossy().into_owned();
                    let touched = piece.metadata().and_then(|meta| meta.modified());
                    let idle = touched.map(|at| at.elapsed().unwrap_or_default());
                    let old = idle.is_ok_and(|idle| idle >= age);
                    found.extend((old && is_digest(&name)).then_some(name));
                }
            }
            Ok(Some(found))
        })
        .await
    }

    /// Forgets pieces, and what the store keeps by other names.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn delete(&self, names: Vec<String>, store: &Store) -> Result<(), BlobError> {
        let (mut pieces, mut others): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| is_digest(name));
        match self {
            Blobs::Directory(dir) => {
                let dir = dir.clone();
                blocking(move || {
                    for digest in pieces {
                        match std::fs::remove_file(place(&dir, &digest)) {
                            Err(e) if e.kind() != ErrorKind::NotFound => {
                                return Err(BlobError::Other(e.to_string()));
                            }
                            _ => {}
                        }
                    }
                    Ok(())
                })
                .await?;
            }
            Blobs::Database(_) => others.append(&mut pieces),
        }
        if others.is_empty() {
            Ok(())
        } else {
            store.delete_blobs(others).await.map_err(from_store)
        }
    }
}

/// A piece as it is kept; one that was set aside is told as such until it is handed in again.
fn read_file(path: &Path, digest: &str) -> Result<Vec<u8>, BlobError> {
    std::fs::read(path).map_err(|error| match from_io(&error, digest) {
        BlobError::NotFound(_) if path.with_extension(ASIDE).exists() => {
            BlobError::Damaged(digest.to_owned())
        }
        other => other,
    })
}

fn check(digest: &str) -> Result<(), BlobError> {
    if is_digest(digest) { Ok(()) } else { Err(BlobError::NotADigest(digest.to_owned())) }
}

fn verify(digest: &str, content: &[u8]) -> Result<(), BlobError> {
    let found = blake3::hash(content).to_hex();
    if found.as_str() == digest {
        Ok(())
    } else {
        Err(BlobError::Mismatch { wanted: digest.to_owned(), found: found.to_string() })
    }
}

/// Whether a piece is there. It counts as new from now on: whoever asked will refer to it.
fn is_there(path: &Path) -> bool {
    let now = TimeSpec::UTIME_NOW;
    let follow = UtimensatFlags::FollowSymlink;
    // A piece whose age cannot be changed is there nevertheless.
    utimensat(AT_FDCWD, path, &now, &now, follow).is_ok() || path.exists()
}

fn place(dir: &Path, digest: &str) -> PathBuf {
    dir.join(&digest[..2]).join(digest)
}

/// Written beside its place, made durable, then renamed: a piece is whole or not there.
fn write_file(dir: &Path, digest: &str, content: &[u8]) -> Result<(), BlobError> {
    let path = place(dir, digest);
    if is_there(&path) {
        return Ok(());
    }
    let parent = dir.join(&digest[..2]);
    let written = (|| {
        std::fs::create_dir_all(&parent)?;
        let beside = parent.join(format!("{digest}.{}.tmp", crate::auth::secret()));
        let result = std::fs::File::create_new(&beside)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.sync_data()
            })
            .and_then(|()| std::fs::rename(&beside, &path))
            // What was wrong in its place is of no use any more, and usually is not there.
            .map(|()| drop(std::fs::remove_file(path.with_extension(ASIDE))));
        if result.is_err() {
            // What is left of a failed write is of no use; if it cannot be removed either, the
            // first error says more.
            let _ = std::fs::remove_file(&beside);
        }
        result
    })();
    written.map_err(|e| from_io(&e, digest))
}

fn from_io(error: &std::io::Error, digest: &str) -> BlobError {
    match error.kind() {
        ErrorKind::NotFound => BlobError::NotFound(digest.to_owned()),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BlobError::Full,
        _ => BlobError::Other(error.to_string()),
    }
}

fn from_store(error: atoll_store::Error) -> BlobError {
    match error {
        atoll_store::Error::Full => BlobError::Full,
        other => BlobError::Other(other.to_string()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(BlobError::Other(e.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_piece_is_kept_once_and_only_under_its_own_digest() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::Directory(dir.path().to_path_buf());
        let content = Bytes::from_static(b"content");
        let digest = blake3::hash(&content).to_hex().to_string();
        assert_eq!(blobs.missing(vec![digest.clone()]).await.unwrap().len(), 1);
        assert!(matches!(blobs.get(&digest).await, Err(BlobError::NotFound(_))));
        blobs.put(&digest, content.clone()).await.unwrap();
        blobs.put(&digest, content.clone()).await.unwrap();
        assert_eq!(blobs.get(&digest).await.unwrap(), content);
        assert!(blobs.missing(vec![digest.clone()]).await.unwrap().is_empty());
        let wrong = blobs.put(&digest, Bytes::from_static(b"other")).await;
        assert!(matches!(wrong, Err(BlobError::Mismatch { .. })));
        for bad in ["../../etc/passwd", "", "A"] {
            assert!(matches!(blobs.get(bad).await, Err(BlobError::NotADigest(_))));
        }
        // What is damaged is said so until the same is handed in again.
        std::fs::write(place(dir.path(), &digest), b"damaged").unwrap();
        for _ in 0..2 {
            let said = blobs.get(&digest).await.unwrap_err();
            assert!(matches!(said, BlobError::Damaged(_)) && said.to_string().contains(&digest));
        }
        assert!(!blobs.missing(vec![digest.clone()]).await.unwrap().is_empty());
        blobs.put(&digest, content.clone()).await.unwrap();
        assert_eq!(blobs.get(&digest).await.unwrap(), content);
        assert_eq!(std::fs::read_dir(dir.path().join(&digest[..2])).unwrap().count(), 1);
    }
}

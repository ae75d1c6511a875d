//! The packages on this host: fetched once, checked, unpacked for each instance, and thrown away
//! when there is need of room. Not how a package is fetched, which is the client's.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use atoll_client::{Bounds, Client, PackageError, Seeds, fetch_index, unpack, verify};
use atoll_model::delivery::{EntryContent, PackageIndex};

use crate::disk;

/// The packages kept in one directory: each as `DIGEST/index.json` and `DIGEST/tree`.
pub struct Packages {
    dir: PathBuf,
    /// Bytes that may be kept of what nobody needs.
    bound: u64,
    /// One fetch at a time of each.
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Those checked since the agent began.
    verified: Mutex<HashSet<String>>,
    /// Those that instances run or will run.
    needed: Mutex<BTreeSet<String>>,
}

impl Packages {
    /// The packages in `dir`. Unfinished ones of an earlier time are removed.
    ///
    /// # Errors
    /// As the disk says.
    pub fn open(dir: &Path, bound: u64) -> io::Result<Packages> {
        fs::create_dir_all(dir)?;
        for entry in fs::read_dir(dir)?.flatten() {
            if !entry.path().join("tree").is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Packages {
            dir: dir.to_owned(),
            bound,
            locks: Mutex::default(),
            verified: Mutex::default(),
            needed: Mutex::default(),
        })
    }

    /// Bytes that may be kept of what nobody needs.
    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// Says which must not be thrown away.
    pub fn hold(&self, digests: BTreeSet<String>) {
        *self.needed.lock().unwrap_or_else(PoisonError::into_inner) = digests;
    }

    /// Whether a package is here.
    pub fn has(&self, digest: &str) -> bool {
        self.tree(digest).is_dir()
    }

    /// Sees to it that a package is here, fetching of it what no other package here holds.
    ///
    /// # Errors
    /// When the server does not have it or is not reached, or the disk is full.
    pub async fn fetch(&self, client: &Client, digest: &str) -> Result<(), PackageError> {
        let lock = self.lock(digest);
        let _guard = lock.lock().await;
        if self.has(digest) {
            return Ok(());
        }
        let index = fetch_index(client, digest, &Bounds::default()).await?;
        self.make_room(size(&index));
        let dir = self.dir.join(digest);
        let written = fs::create_dir_all(&dir)
            .and_then(|()| disk::write(&dir.join("index.json"), &index, true));
        if let Err(error) = written {
            let _ = fs::remove_dir_all(&dir);
            return Err(failed(&dir, error));
        }
        let unpacked = unpack(client, &index, &self.tree(digest), self.seeds()).await;
        if unpacked.is_err() {
            // What is left is only the index.
            let _ = fs::remove_dir_all(&dir);
        } else {
            tracing::info!(digest, bytes = size(&index), "package fetched");
        }
        unpacked
    }

    /// Unpacks a package that is here as the directory `into`, which is replaced. Its bytes are
    /// checked again before they are used for the first time. Linked files cost no room, but are
    /// the package's own, so that nobody who runs them may be able to change them.
    ///
    /// # Errors
    /// `Corrupt`, if it has rotted; it is then thrown away, to be fetched again. `Full`; `Io`.
    pub async fn activate(
        self: &Arc<Self>,
        digest: &str,
        into: &Path,
        link: bool,
    ) -> Result<(), PackageError> {
        let lock = self.lock(digest);
        let _guard = lock.lock().await;
        let (this, digest, into) = (Arc::clone(self), digest.to_owned(), into.to_owned());
        let work = move || this.activate_now(&digest, &into, link);
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|e| Err(failed(&self.dir, io::Error::other(e))))
    }

    fn activate_now(&self, digest: &str, into: &Path, link: bool) -> Result<(), PackageError> {
        let (dir, tree) = (self.dir.join(digest), self.tree(digest));
        let index: PackageIndex = disk::read(&dir.join("index.json"))
            .ok_or_else(|| failed(&dir, io::ErrorKind::NotFound.into()))?;
        let fresh = !self.verified().contains(digest);
        if fresh {
            if let Err(error) = verify(&index, &tree) {
                let _ = fs::remove_dir_all(&dir);
                return Err(error);
            }
            self.verified().insert(digest.to_owned());
        }
        // The age of its directory tells when a package was used last.
        let _ = File::open(&dir).and_then(|d| d.set_modified(system_time()));
        let beside = into.with_extension("new");
        let copied = remove(&beside).and_then(|()| copy(&index, &tree, &beside, link));
        if let Err(error) = copied.and_then(|()| remove(into)) {
            let _ = remove(&beside);
            return Err(failed(&beside, error));
        }
        fs::rename(&beside, into).map_err(|e| failed(into, e))
    }

    /// Throws away what nobody needs, the longest unused first, until so many more bytes fit.
    fn make_room(&self, bytes: u64) {
        let needed = self.needed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let index: Option<PackageIndex> = disk::read(&entry.path().join("index.json"));
            let used = entry.metadata().and_then(|m| m.modified());
            if let (Some(index), Ok(used)) = (index, used) {
                let digest = entry.file_name().to_string_lossy().into_owned();
                all.push((used, digest, size(&index)));
            }
        }
        all.sort();
        let mut total: u64 = all.iter().map(|(_, _, size)| size).sum();
        for (_, digest, size) in all {
            if total.saturating_add(bytes) <= self.bound {
                return;
            }
            let lock = self.lock(&digest);
            let free = lock.try_lock();
            // Whoever holds the lock is about to use it.
            if free.is_ok()
                && !needed.contains(&digest)
                && fs::remove_dir_all(self.dir.join(&digest)).is_ok()
            {
                self.verified().remove(&digest);
                total = total.saturating_sub(size);
            }
        }
    }

    fn seeds(&self) -> Seeds {
        let mut seeds = Seeds::default();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let tree = entry.path().join("tree");
            if let (true, Some(index)) =
                (tree.is_dir(), disk::read(&entry.path().join("index.json")))
            {
                seeds.add(&index, &tree);
            }
        }
        seeds
    }

    fn tree(&self, digest: &str) -> PathBuf {
        self.dir.join(digest).join("tree")
    }

    fn lock(&self, digest: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(digest.to_owned()).or_default())
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(index: &PackageIndex) -> u64 {
    let size = |content: &EntryContent| match content {
        EntryContent::File { size, .. } => *size,
        _ => 0,
    };
    index.entries.iter().map(|e| size(&e.content)).sum()
}

/// The time of day, as the disk writes it.
pub fn system_time() -> SystemTime {
    let now = u64::try_from(crate::clock::now().0).unwrap_or(0);
    SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(now)
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn copy(index: &PackageIndex, tree: &Path, into: &Path, link: bool) -> io::Result<()> {
    fs::create_dir(into)?;
    fs::set_permissions(into, Permissions::from_mode(0o755))?;
    for entry in &index.entries {
        let (from, to) = (tree.join(&entry.path), into.join(&entry.path));
        match &entry.content {
            EntryContent::Directory => {
                fs::create_dir(&to)?;
                fs::set_permissions(&to, Permissions::from_mode(0o755))?;
            }
            EntryContent::Link { target } => symlink(target, &to)?,
            EntryContent::File { .. } if link && fs::hard_link(&from, &to).is_ok() => {}
            EntryContent::File { .. } => {
                fs::copy(&from, &to)?;
            }
        }
    }
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> PackageError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            PackageError::Full { path: path.to_owned() }
        }
        _ => PackageError::Io { what: "write", path: path.to_owned(), source },
    }
}

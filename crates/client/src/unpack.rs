//! Fetching a package and unpacking it, whole or not at all. Used by the command line and by
//! agents. It trusts neither the server nor the index: every byte is checked before it counts.

use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_model::delivery::{Chunk, EntryContent, PackageIndex};
use atoll_pack::{Bounds, check_index};
use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::error::{ClientError, PackageError};
use crate::package::blocking;
use crate::transport::Client;

/// Pieces fetched ahead of the one being written.
const AHEAD: usize = 8;
/// The name of directories being filled begins so; what is left of them after a crash may go.
pub const UNFINISHED: &str = ".unpack-";

/// Pieces that are on this machine already, in packages unpacked before.
#[derive(Clone, Debug, Default)]
pub struct Seeds {
    places: HashMap<String, (Arc<Path>, u64, u32)>,
}

impl Seeds {
    /// Adds the pieces of a package unpacked in `dir`. They are checked again before use.
    pub fn add(&mut self, index: &PackageIndex, dir: &Path) {
        for entry in &index.entries {
            if let EntryContent::File { chunks, .. } = &entry.content {
                let path: Arc<Path> = Arc::from(dir.join(&entry.path));
                let mut offset = 0;
                for chunk in chunks {
                    let place = (Arc::clone(&path), offset, chunk.size);
                    self.places.insert(chunk.digest.clone(), place);
                    offset += u64::from(chunk.size);
                }
            }
        }
    }

    fn read(&self, chunk: &Chunk) -> Option<Bytes> {
        let (path, offset, size) = self.places.get(&chunk.digest)?;
        let mut data = vec![0; *size as usize];
        File::open(path).ok()?.read_exact_at(&mut data, *offset).ok()?;
        is_chunk(&data, chunk).then(|| data.into())
    }
}

/// Fetches the package with this digest and unpacks it as the directory `into`, which must not
/// exist or be empty.
///
/// # Errors
/// `Client`, if the server does not have it; `Refused`, if its index is not honest; `Full`; `Io`.
/// After any of them nothing is left of it.
pub async fn pull(
    client: &Client,
    digest: &str,
    into: &Path,
) -> Result<PackageIndex, PackageError> {
    let index = fetch_index(client, digest, &Bounds::default()).await?;
    unpack(client, &index, into, Seeds::default()).await?;
    Ok(index)
}

/// Fetches and checks the index with this digest.
///
/// # Errors
/// `Client`, if the server does not have it; `Refused`, if it is not honest.
pub async fn fetch_index(
    client: &Client,
    digest: &str,
    bounds: &Bounds,
) -> Result<PackageIndex, PackageError> {
    let encoded = client.get_blob(digest).await?;
    let index: PackageIndex = serde_json::from_slice(&encoded).map_err(|e| {
        let what = format!("GET /v1/blobs/{digest}");
        ClientError::Strange { what, why: format!("it is no index of a package: {e}") }
    })?;
    check_index(&index, bounds)?;
    Ok(index)
}

/// Unpacks a package whose index has been fetched as the directory `into`, which must not exist
/// or be empty. It is there with all its content, or not at all.
///
/// # Errors
/// As [`pull`].
pub async fn unpack(
    client: &Client,
    index: &PackageIndex,
    into: &Path,
    seeds: Seeds,
) -> Result<(), PackageError> {
    check_index(index, &Bounds { bytes: u64::MAX, entries: u64::MAX, ratio: u64::MAX })?;
    let (chunks, receiver) = mpsc::channel(AHEAD);
    let (shared, target) = (index.clone(), into.to_owned());
    let writer = tokio::spawn(blocking(move || write_tree(&shared, &target, receiver)));
    let fed = feed(client, index, &Arc::new(seeds), chunks).await;
    let written = writer.await;
    // Where the writer stopped first, what it says is the cause; otherwise it only ran dry.
    fed?;
    written.map_err(|e| PackageError::io("finish", into, io::Error::other(e)))?
}

/// Checks an unpacked package byte by byte. Blocks while it reads.
///
/// # Errors
/// `Corrupt`, naming the first file that is not as it was packed; `Io`.
pub fn verify(index: &PackageIndex, dir: &Path) -> Result<(), PackageError> {
    for entry in &index.entries {
        let path = dir.join(&entry.path);
        let corrupt = || PackageError::Corrupt { path: path.clone() };
        let meta = fs::symlink_metadata(&path).map_err(|_| corrupt())?;
        let good = match &entry.content {
            EntryContent::Directory => meta.is_dir(),
            EntryContent::Link { target } => {
                fs::read_link(&path).is_ok_and(|to| to.as_os_str() == target.as_str())
            }
            EntryContent::File { executable, size, chunks } => {
                meta.is_file()
                    && meta.len() == *size
                    && (meta.permissions().mode() & 0o111 != 0) == *executable
                    && same_content(&path, chunks)?
            }
        };
        if !good {
            return Err(corrupt());
        }
    }
    Ok(())
}

fn same_content(path: &Path, chunks: &[Chunk]) -> Result<bool, PackageError> {
    let failed = |e| PackageError::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut data = Vec::new();
    for chunk in chunks {
        data.resize(chunk.size as usize, 0);
        file.read_exact(&mut data).map_err(failed)?;
        if !is_chunk(&data, chunk) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_chunk(data: &[u8], chunk: &Chunk) -> bool {
    data.len() == chunk.size as usize && blake3::hash(data).to_hex().as_str() == chunk.digest
}

/// Hands the writer every piece in the order of the index.
async fn feed(
    client: &Client,
    index: &PackageIndex,
    seeds: &Arc<Seeds>,
    chunks: mpsc::Sender<Bytes>,
) -> Result<(), PackageError> {
    let wanted: Vec<Chunk> = index
        .entries
        .iter()
        .filter_map(|entry| match &entry.content {
            EntryContent::File { chunks, .. } => Some(chunks.iter().cloned()),
            _ => None,
        })
        .flatten()
        .collect();
    let fetched = wanted.into_iter().map(|chunk| fetch(client, Arc::clone(seeds), chunk));
    let mut fetched = stream::iter(fetched).buffered(AHEAD);
    while let Some(data) = fetched.next().await {
        if chunks.send(data?).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn fetch(client: &Client, seeds: Arc<Seeds>, chunk: Chunk) -> Result<Bytes, PackageError> {
    if seeds.places.contains_key(&chunk.digest) {
        let wanted = chunk.clone();
        if let Some(data) = blocking(move || Ok(seeds.read(&wanted))).await? {
            return Ok(data);
        }
    }
    let data = client.get_blob(&chunk.digest).await?;
    if data.len() != chunk.size as usize {
        let what = format!("GET /v1/blobs/{}", chunk.digest);
        let why = format!("it has {} bytes and not {}", data.len(), chunk.size);
        return Err(ClientError::Strange { what, why }.into());
    }
    Ok(data)
}

/// Writes the tree beside its place and moves it there once all of it is on the disk.
///
/// **Invariant:** what stands at `into` is whole; whatever ends this early, a lost server, a full
/// disk or a dropped future, takes the unfinished directory with it.
fn write_tree(
    index: &PackageIndex,
    into: &Path,
    mut chunks: mpsc::Receiver<Bytes>,
) -> Result<(), PackageError> {
    let parent = into.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| PackageError::io("make", parent, e))?;
    check_room(index, parent)?;
    let failed = |e| PackageError::io("write", into, e);
    let temp = TempDir::with_prefix_in(UNFINISHED, parent).map_err(failed)?;
    write_entries(index, &temp, &mut chunks)?;
    fs::set_permissions(temp.path(), Permissions::from_mode(0o755)).map_err(failed)?;
    // One call brings all files of the file system to the disk, where a call for each would take
    // a turn of the disk for each.
    let dir = File::open(temp.path()).map_err(failed)?;
    nix::unistd::syncfs(dir.as_fd()).map_err(|e| failed(e.into()))?;
    fs::rename(temp.path(), into).map_err(failed)?;
    // It has moved away, so there is nothing to remove any more.
    let _ = temp.keep();
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed)
}

/// Refuses early what will not fit, before it takes the room of what runs.
fn check_room(index: &PackageIndex, parent: &Path) -> Result<(), PackageError> {
    let stat = nix::sys::statvfs::statvfs(parent)
        .map_err(|e| PackageError::io("look at the disk of", parent, e.into()))?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let needed: u64 = index
        .entries
        .iter()
        .map(|entry| match &entry.content {
            EntryContent::File { size, .. } => *size,
            _ => 0,
        })
        .sum();
    if needed > free {
        return Err(PackageError::Full { path: parent.to_owned() });
    }
    Ok(())
}

fn write_entries(
    index: &PackageIndex,
    temp: &TempDir,
    chunks: &mut mpsc::Receiver<Bytes>,
) -> Result<(), PackageError> {
    for entry in &index.entries {
        let path = temp.path().join(&entry.path);
        match &entry.content {
            EntryContent::Directory => fs::create_dir(&path)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)))
                .map_err(|e| PackageError::io("make", &path, e))?,
            EntryContent::File { executable, chunks: wanted, .. } => {
                write_file(&path, *executable, wanted.len(), chunks)?;
            }
            // Links come last: no file can be written through one.
            EntryContent::Link { .. } => {}
        }
    }
    for entry in &index.entries {
        if let EntryContent::Link { target } = &entry.content {
            let path = temp.path().join(&entry.path);
            symlink(target, &path).map_err(|e| PackageError::io("make", &path, e))?;
        }
    }
    Ok(())
}

fn write_file(
    path: &PathBuf,
    executable: bool,
    pieces: usize,
    chunks: &mut mpsc::Receiver<Bytes>,
) -> Result<(), PackageError> {
    let failed = |e| PackageError::io("write", path, e);
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file =
        File::options().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    for _ in 0..pieces {
        let ended = || failed(io::Error::other("the rest was not fetched"));
        file.write_all(&chunks.blocking_recv().ok_or_else(ended)?).map_err(failed)?;
    }
    // The mode given at the opening is cut by the umask.
    file.set_permissions(Permissions::from_mode(mode)).map_err(failed)
}

//! The blocks of a store: which there are, how new ones come in and old ones go, and what is done
//! at the start about those that are half written, replaced or damaged.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::block::write::Writer;
use super::block::{Block, Meta};
use super::{Doing, StorageError};

/// How the directory of a block that is being written ends.
const HALF: &str = "tmp";
/// How the directory of a damaged block ends.
const DAMAGED: &str = "damaged";

/// All blocks of a store.
pub struct Blocks {
    dir: PathBuf,
    list: RwLock<Arc<[Arc<Block>]>>,
    next: AtomicU64,
}

impl Blocks {
    /// Opens the blocks in a directory.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn open(dir: &Path) -> Result<Blocks, StorageError> {
        let doing = || format!("open the blocks in {}", dir.display());
        fs::create_dir_all(dir).doing(doing)?;
        let mut found: Vec<Arc<Block>> = Vec::new();
        let mut next = 1;
        for entry in fs::read_dir(dir).doing(doing)? {
            let path = entry.doing(doing)?.path();
            let ending = path.extension().and_then(|e| e.to_str());
            let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
            next = next.max(number.map_or(0, |n: u64| n + 1));
            match (ending, number) {
                (Some(HALF), _) => fs::remove_dir_all(&path).doing(doing)?,
                (None, Some(_)) => match Block::open(&path) {
                    Ok(block) => found.push(Arc::new(block)),
                    Err(error) => {
                        tracing::warn!(%error, "a block is damaged and was set aside");
                        set_aside(&path).doing(doing)?;
                    }
                },
                _ => {}
            }
        }
        let replaced: Vec<u64> =
            found.iter().flat_map(|b| b.meta.replaces.iter().copied()).collect();
        for block in found.extract_if(.., |b| replaced.contains(&b.meta.number)) {
            fs::remove_dir_all(&block.dir).doing(doing)?;
        }
        found.sort_by_key(|b| (b.meta.generation, b.meta.number));
        let list = RwLock::new(found.into());
        Ok(Blocks { dir: dir.to_owned(), list, next: AtomicU64::new(next) })
    }

    /// All blocks, those first whose samples count where two have one time.
    pub fn all(&self) -> Arc<[Arc<Block>]> {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins a block; gives its number as well.
    ///
    /// # Errors
    /// Its directory could not be made.
    pub fn begin(&self) -> Result<(u64, Writer), StorageError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let dir = self.path(number).with_extension(HALF);
        let writer = Writer::new(&dir).doing(|| format!("begin the block {}", dir.display()))?;
        Ok((number, writer))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:010}"))
    }

    /// Makes blocks that are written part of the store, in the place of others, which are deleted.
    /// Queries see all of it or nothing. Gives how many blocks have samples.
    ///
    /// # Errors
    /// The files could not be written; those in the place of which they were to come stay.
    pub fn publish(
        &self,
        new: Vec<(Writer, Meta)>,
        old: &[Arc<Block>],
    ) -> Result<usize, StorageError> {
        let doing = || format!("write a block in {}", self.dir.display());
        let mut half = Vec::new();
        for (writer, meta) in new {
            half.extend(writer.finish(meta).doing(doing)?);
        }
        let mut added = Vec::new();
        for (half, meta) in half {
            let path = self.path(meta.number);
            half.keep(&path).doing(doing)?;
            added.push(Arc::new(Block::open(&path)?));
        }
        if !added.is_empty() {
            File::open(&self.dir).and_then(|dir| dir.sync_all()).doing(doing)?;
        }
        let count = added.len();
        self.swap(added, old);
        for block in old {
            fs::remove_dir_all(&block.dir)
                .doing(|| format!("delete the block {}", block.dir.display()))?;
        }
        Ok(count)
    }

    fn swap(&self, added: Vec<Arc<Block>>, old: &[Arc<Block>]) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let kept = list.iter().filter(|b| old.iter().all(|o| o.meta.number != b.meta.number));
        let mut all: Vec<Arc<Block>> = kept.cloned().chain(added).collect();
        all.sort_by_key(|b| (b.meta.generation, b.meta.number));
        *list = all.into();
    }

    /// Sets aside the blocks in which a read found damage, and gives how many.
    ///
    /// # Errors
    /// A directory could not be renamed.
    pub fn set_damaged_aside(&self) -> Result<usize, StorageError> {
        let all = self.all();
        let damaged: Vec<_> = all.iter().filter(|b| b.is_damaged()).cloned().collect();
        self.swap(Vec::new(), &damaged);
        for block in &damaged {
            tracing::warn!("the block {} is damaged and was set aside", block.dir.display());
            set_aside(&block.dir).doing(|| format!("set aside {}", block.dir.display()))?;
        }
        Ok(damaged.len())
    }
}

fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, path.with_extension(DAMAGED))
}

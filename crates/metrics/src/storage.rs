//! The embedded store of samples: a log for what is young, blocks for what is older. It knows no
//! clock and starts no thread; its owner calls [`Storage::sync`] and [`Storage::maintain`].
//!
//! A commit is written to the log and then to the head, which is in memory. A cut writes all the
//! head holds to blocks and deletes the log before it. Blocks may overlap; a read merges them, and
//! of samples of one time the first written wins. Whether a sample is a duplicate is only asked of
//! the head: a late one that a block has already is accepted again, and read once.

pub mod appender;
mod bits;
mod block;
mod blocks;
mod chunk;
mod compact;
mod decimal;
mod downsample;
mod head;
mod integers;
mod key;
mod log;
mod postings;
mod select;
mod series;
mod sources;
pub mod status;
mod stream;
mod table;
mod texts;
mod warm;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::labels::Matcher;
use appender::Appender;
use blocks::Blocks;
use compact::{Compacting, Cutting};
use head::Head;
use log::Log;
use sources::Sources;
use status::Status;

/// How a store keeps samples. All times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a block spans at first; larger ones are made of these.
    pub block: i64,
    /// How far a sample may lie behind the newest of the store.
    pub out_of_order: i64,
    /// How far a sample may lie ahead of `now`; beyond it is refused, so that a wrong clock does
    /// not make the samples of others too old.
    pub ahead: i64,
    /// How long samples are kept that no policy is for.
    pub retention: i64,
    /// The first whose matchers match a series decides how it is kept.
    pub policies: Vec<Policy>,
    /// Series in memory in all.
    pub most_series: usize,
    /// Series in memory that one source may have begun.
    pub most_series_per_source: usize,
    /// Labels of a series.
    pub most_labels: usize,
    /// Bytes of the name of a label.
    pub longest_name: usize,
    /// Bytes of the value of a label.
    pub longest_value: usize,
    /// Series one query may select.
    pub most_selected: usize,
    /// What the newest samples span that stay in memory though blocks have them. Series that fell
    /// silent are known four times as long before.
    pub warm: i64,
    /// Bytes of samples in memory after which a cut is made at once; with very many series more,
    /// so that each has some.
    pub head_bytes: usize,
    /// Bytes of the log after which a new file is begun.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        const MINUTE: i64 = 60_000;
        Options {
            block: 120 * MINUTE,
            // What an agent kept through an outage is taken however late it comes.
            out_of_order: 2 * 24 * 60 * MINUTE,
            ahead: 10 * MINUTE,
            retention: 15 * 24 * 60 * MINUTE,
            policies: Vec::new(),
            most_series: 1_000_000,
            most_series_per_source: 100_000,
            most_labels: 64,
            longest_name: 1 << 10,
            longest_value: 4 << 10,
            most_selected: 500_000,
            warm: 15 * MINUTE,
            head_bytes: 48 << 20,
            segment_bytes: 64 << 20,
        }
    }
}

/// How long series are kept, and how finely. All times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A series matches if all of these match.
    pub matchers: Vec<Matcher>,
    /// How long samples are kept.
    pub retention: i64,
    /// Pairs of an age and a resolution: of samples older than the age, the last, the smallest and
    /// the largest of each interval of the resolution are kept, at their own times.
    pub downsample: Vec<(i64, i64)>,
}

/// What became of the samples of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Samples that are stored.
    pub accepted: u64,
    /// Samples that were there with the same value.
    pub duplicates: u64,
    /// Samples whose time is taken by another value, which stays.
    pub conflicting: u64,
    /// Samples behind the window or the retention.
    pub too_old: u64,
    /// Samples too far ahead of `now`.
    pub too_new: u64,
    /// Samples of new series over a limit.
    pub over_limit: u64,
    /// Samples of series whose labels are not allowed.
    pub invalid: u64,
    /// A sentence about the first that was refused.
    pub refusal: Option<String>,
}

/// What [`Storage::maintain`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Blocks written from the head.
    pub cut: usize,
    /// Blocks merged into larger ones.
    pub merged: usize,
    /// Blocks written anew with fewer samples, by a policy.
    pub rewritten: usize,
    /// Blocks deleted because of their age.
    pub expired: usize,
    /// Blocks set aside because they are damaged.
    pub damaged: usize,
}

/// What a store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The system refused.
    #[error("could not {doing}: {error}")]
    Io {
        /// What was attempted on what.
        doing: String,
        /// Why not.
        error: io::Error,
    },
    /// Another process has the directory.
    #[error("could not open the store in {0}: another process has it open; stop that one first")]
    Taken(PathBuf),
    /// What is on disk is not what was written there.
    #[error("{0} is damaged")]
    Damaged(String),
}

/// Says what was attempted where the system refuses.
trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StorageError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StorageError> {
        self.map_err(|error| StorageError::Io { doing: what(), error })
    }
}

/// A lock whose holder panicked is taken as it is: what it guards is whole after each step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store in a directory, used by many threads at once.
pub struct Storage {
    options: Options,
    head: Head,
    sources: Sources,
    log: Log,
    blocks: Blocks,
    /// Held for reading by a commit from its place in the log until it is in the head; for writing
    /// where a new file of the log begins.
    gate: RwLock<()>,
    cutting: Mutex<Cutting>,
    compacting: Mutex<Compacting>,
    /// The number of the window of the last cut by time; `i64::MIN` before the first.
    window: AtomicI64,
    /// Keeps other processes out.
    _lock: File,
}

impl Storage {
    /// Opens the store in a directory, which is made if it is not there, and replays its log.
    /// A damaged tail of the log is cut off and a damaged block set aside, with a warning.
    ///
    /// # Errors
    /// The directory cannot be read or written, or another process has it open.
    pub fn open(dir: &Path, options: Options, now: i64) -> Result<Storage, StorageError> {
        std::fs::create_dir_all(dir).doing(|| format!("make the directory {}", dir.display()))?;
        let path = dir.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .doing(|| format!("open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StorageError::Taken(dir.to_owned())),
            Err(TryLockError::Error(error)) => {
                return Err(error).doing(|| format!("lock {}", path.display()));
            }
        }
        let blocks = Blocks::open(&dir.join("blocks"))?;
        let (log, old) = Log::open(&dir.join("log"), options.segment_bytes)?;
        let storage = Storage {
            head: Head::new(),
            sources: Sources::default(),
            log,
            blocks,
            gate: RwLock::new(()),
            cutting: Mutex::default(),
            compacting: Mutex::default(),
            window: AtomicI64::new(i64::MIN),
            options,
            _lock: lock,
        };
        if let Some(newest) = storage.blocks.all().iter().map(|b| b.meta.max).max() {
            // A sample from a clock that was wrong must not keep right ones out.
            storage.head.see(newest.min(now.saturating_add(storage.options.ahead)));
            storage.warm_up(now);
        }
        storage.replay(&old)?;
        Ok(storage)
    }

    /// Begins a batch of samples from a source, such as a host or a scrape job, whose series are
    /// counted together.
    pub fn appender<'a>(&'a self, source: &'a str, now: i64) -> Appender<'a> {
        Appender::new(self, source, now)
    }

    /// Makes sure that what was committed survives a power failure. The owner calls it every
    /// second.
    ///
    /// # Errors
    /// The log could not be written to disk.
    pub fn sync(&self) -> Result<(), StorageError> {
        self.log.sync()
    }

    /// Cuts blocks, merges them, and applies retention and downsampling. The owner calls it about
    /// every minute on a thread that may block; appends and queries go on meanwhile.
    ///
    /// # Errors
    /// A block could not be read or written. What was there stays and the next call tries again.
    pub fn maintain(&self, now: i64) -> Result<Maintained, StorageError> {
        let mut done = Maintained::default();
        {
            let cutting = locked(&self.cutting);
            if self.is_cut_due() {
                done.cut = self.cut(&cutting)?;
            }
        }
        self.compact(&locked(&self.compacting), now, &mut done)?;
        Ok(done)
    }

    /// Writes all the head holds to blocks, for a quick start next time.
    ///
    /// # Errors
    /// A block could not be written; the log still has the samples.
    pub fn flush(&self) -> Result<(), StorageError> {
        self.cut(&locked(&self.cutting)).map(|_| ())
    }

    /// Ends the work with the store: writes all the head holds to blocks, where the log has at
    /// least so many bytes and is worth blocks of its own, and makes sure of the log otherwise.
    ///
    /// # Errors
    /// A block or the log could not be written; the log still has the samples.
    pub fn close(&self, worth: u64) -> Result<(), StorageError> {
        match self.log.bytes() >= worth {
            true => self.flush(),
            false => self.sync(),
        }
    }

    /// Who uses the store, and for what.
    pub fn status(&self) -> Status {
        status::of(self)
    }

    /// Whether the newest sample has left the window of the last cut, with some time for those
    /// that are late.
    fn is_cut_due(&self) -> bool {
        let block = self.options.block.max(1);
        let newest = self.head.newest();
        if self.head.samples() == 0 || newest == i64::MIN {
            return false;
        }
        let late = self.options.out_of_order.clamp(0, block / 8);
        let window = newest.saturating_sub(late).div_euclid(block);
        let last = match self.window.load(Ordering::Relaxed) {
            i64::MIN => self.head.oldest().div_euclid(block),
            last => last,
        };
        self.window.store(window.max(last), Ordering::Relaxed);
        window > last
    }
}

#[cfg(test)]
mod tests;

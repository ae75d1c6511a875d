//! The write-ahead log: files of records with a length and a checksum, written at each commit. Each
//! file names the series it speaks of, so files can be deleted from the oldest on. What is in the
//! records is the matter of `appender.rs`.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Doing, StorageError, locked};

/// The first bytes of a file; the last of them is the version.
const MAGIC: &[u8; 8] = b"atolllg\x01";
const ENDING: &str = "log";

/// The log, which is written to.
pub struct Log {
    dir: PathBuf,
    writer: Mutex<Writer>,
    number: AtomicU32,
    records: AtomicU32,
    /// Bytes of the file that is written to.
    length: AtomicU64,
    /// Bytes of the files before it.
    closed: AtomicU64,
    segment_bytes: u64,
    /// Bytes after which a write fails, for tests of a full disk.
    #[cfg(test)]
    pub room: AtomicU64,
}

struct Writer {
    file: File,
    /// The tail of the file is not whole and could not be cut off.
    torn: bool,
    /// Files before this one that are not on disk for certain.
    unsynced: Vec<(u32, File)>,
}

/// A file of an earlier process.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its number, which grows.
    pub number: u32,
    path: PathBuf,
}

impl Log {
    /// Opens the log in a directory and begins a new file; gives those there were, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn open(dir: &Path, segment_bytes: u64) -> Result<(Log, Vec<Segment>), StorageError> {
        let doing = || format!("open the log in {}", dir.display());
        fs::create_dir_all(dir).doing(doing)?;
        let mut old = Vec::new();
        let mut bytes = 0;
        for entry in fs::read_dir(dir).doing(doing)? {
            let entry = entry.doing(doing)?;
            let path = entry.path();
            let stem = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
            if let (Some(number), true) = (stem, path.extension().is_some_and(|e| e == ENDING)) {
                bytes += entry.metadata().doing(doing)?.len();
                old.push(Segment { number, path });
            }
        }
        old.sort_by_key(|s| s.number);
        let number = old.last().map_or(1, |s| s.number + 1);
        let file = begin(&path_of(dir, number)).doing(doing)?;
        sync_dir(dir).doing(doing)?;
        let log = Log {
            dir: dir.to_owned(),
            writer: Mutex::new(Writer { file, torn: false, unsynced: Vec::new() }),
            number: AtomicU32::new(number),
            records: AtomicU32::new(0),
            length: AtomicU64::new(MAGIC.len() as u64),
            closed: AtomicU64::new(bytes),
            segment_bytes,
            #[cfg(test)]
            room: AtomicU64::new(u64::MAX),
        };
        Ok((log, old))
    }

    /// The number of the file that is written to.
    pub fn number(&self) -> u32 {
        self.number.load(Ordering::Acquire)
    }

    /// A number for a record, which the last few thousand million others had not.
    pub fn number_of_record(&self) -> u32 {
        self.records.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.closed.load(Ordering::Relaxed) + self.length.load(Ordering::Relaxed)
    }

    /// Whether a new file should be begun.
    pub fn is_full(&self) -> bool {
        self.length.load(Ordering::Relaxed) >= self.segment_bytes || locked(&self.writer).torn
    }

    /// Writes a record. After an error nothing of it is in the log.
    ///
    /// # Errors
    /// The file could not be written, such as when the disk is full.
    pub fn write(&self, payload: &[u8]) -> Result<(), StorageError> {
        let doing = || format!("write to the log in {}", self.dir.display());
        let Ok(length) = u32::try_from(payload.len()) else {
            return Err(io::Error::other("the batch is too large; split it")).doing(doing);
        };
        let mut record = Vec::with_capacity(payload.len() + 8);
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&checksum(payload).to_le_bytes());
        record.extend_from_slice(payload);
        let mut writer = locked(&self.writer);
        if writer.torn {
            return Err(io::Error::other("its last file is damaged")).doing(doing);
        }
        if let Err(error) = self.write_all(&mut writer.file, &record) {
            let length = self.length.load(Ordering::Relaxed);
            writer.torn = writer.file.set_len(length).is_err();
            return Err(error).doing(doing);
        }
        self.length.fetch_add(record.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    #[cfg(not(test))]
    fn write_all(&self, file: &mut File, record: &[u8]) -> io::Result<()> {
        file.write_all(record)
    }

    #[cfg(test)]
    fn write_all(&self, file: &mut File, record: &[u8]) -> io::Result<()> {
        let room = self.room.load(Ordering::Relaxed);
        if room < record.len() as u64 {
            file.write_all(&record[..room as usize])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room.store(room - record.len() as u64, Ordering::Relaxed);
        file.write_all(record)
    }

    /// Begins a new file and gives its number. Nobody may be between writing a record and putting
    /// it into the head.
    ///
    /// # Errors
    /// The file could not be made; the one before goes on.
    pub fn rotate(&self) -> Result<u32, StorageError> {
        let mut writer = locked(&self.writer);
        let number = self.number() + 1;
        let file = begin(&path_of(&self.dir, number))
            .doing(|| format!("begin a file of the log in {}", self.dir.display()))?;
        let before = std::mem::replace(&mut writer.file, file);
        writer.unsynced.push((number - 1, before));
        writer.torn = false;
        let length = self.length.swap(MAGIC.len() as u64, Ordering::Relaxed);
        self.closed.fetch_add(length, Ordering::Relaxed);
        self.number.store(number, Ordering::Release);
        Ok(number)
    }

    /// Waits until all that was written is on disk.
    ///
    /// # Errors
    /// The disk refused.
    pub fn sync(&self) -> Result<(), StorageError> {
        let doing = || format!("sync the log in {}", self.dir.display());
        let (before, file) = {
            let mut writer = locked(&self.writer);
            let file = writer.file.try_clone().doing(doing)?;
            (std::mem::take(&mut writer.unsynced), file)
        };
        if before.is_empty() {
            return file.sync_data().doing(doing);
        }
        let synced = sync_dir(&self.dir)
            .and_then(|()| before.iter().try_for_each(|(_, file)| file.sync_data()));
        if synced.is_err() {
            locked(&self.writer).unsynced.extend(before);
        }
        synced.and_then(|()| file.sync_data()).doing(doing)
    }

    /// Deletes the files before one.
    ///
    /// # Errors
    /// A file could not be deleted; its samples are replayed once more, which does no harm.
    pub fn delete_before(&self, number: u32) -> Result<(), StorageError> {
        let doing = || format!("delete old files of the log in {}", self.dir.display());
        locked(&self.writer).unsynced.retain(|(this, _)| *this >= number);
        for entry in fs::read_dir(&self.dir).doing(doing)? {
            let path = entry.doing(doing)?.path();
            let stem = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
            if stem.is_some_and(|this: u32| this < number) {
                let length = fs::metadata(&path).map_or(0, |m| m.len());
                fs::remove_file(&path).doing(doing)?;
                let closed = self.closed.load(Ordering::Relaxed);
                self.closed.store(closed.saturating_sub(length), Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

impl Segment {
    /// Gives the whole records to `see`. A record that is not whole, or that `see` does not
    /// understand, ends the file, with a warning.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn replay(&self, mut see: impl FnMut(&[u8]) -> Option<()>) -> Result<(), StorageError> {
        let doing = || format!("read {}", self.path.display());
        let file = File::open(&self.path).doing(doing)?;
        let length = file.metadata().doing(doing)?.len();
        let mut from = BufReader::with_capacity(1 << 18, file);
        let mut at = 0_u64;
        let mut record = Vec::new();
        let mut magic = [0; 8];
        let mut whole = length == 0 || (from.read_exact(&mut magic).is_ok() && magic == *MAGIC);
        at += magic.len() as u64;
        while whole && at < length {
            whole = read(&mut from, length - at, &mut record).is_some() && see(&record).is_some();
            if whole {
                at += record.len() as u64 + 8;
            }
        }
        if !whole {
            tracing::warn!(
                file = %self.path.display(),
                "the log is damaged at byte {at} of {length}; what follows in this file is lost"
            );
        }
        Ok(())
    }
}

fn read(from: &mut impl Read, left: u64, record: &mut Vec<u8>) -> Option<()> {
    let (mut length, mut sum) = ([0; 4], [0; 4]);
    from.read_exact(&mut length).ok()?;
    from.read_exact(&mut sum).ok()?;
    let length = u32::from_le_bytes(length);
    if length == 0 || u64::from(length) > left.saturating_sub(8) {
        return None;
    }
    record.resize(length as usize, 0);
    from.read_exact(record).ok()?;
    (checksum(record) == u32::from_le_bytes(sum)).then_some(())
}

/// The checksum covers the length too, so that a wrong length is not taken for a short record.
fn checksum(payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(payload.len() as u32);
    hasher.update(payload);
    hasher.finalize()
}

fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.{ENDING}"))
}

/// A new file is there after a power failure only if its directory is on disk too.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn begin(path: &Path) -> io::Result<File> {
    let mut file = File::options().create_new(true).append(true).open(path)?;
    if let Err(error) = file.write_all(MAGIC) {
        // A file without a head would stand in the way of the next attempt.
        fs::remove_file(path)?;
        return Err(error);
    }
    Ok(file)
}

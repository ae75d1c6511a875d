//! Writes a block into a directory, series by series in the order of their keys. It becomes one of
//! the store's only when `blocks.rs` gives the directory its name.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{CHUNKS, INDEX, MAGIC, META, Meta, SERIES_PER_PAGE};
use crate::sample::Sample;
use crate::storage::bits::{put_varint, zigzag};
use crate::storage::chunk::{self, Scratch};
use crate::storage::key;
use crate::storage::table::{Counted, Extent, TableWriter};

/// Samples of a chunk at most.
const LONGEST: usize = 1024;

/// The directory of a block that is not part of the store yet; it goes away unless it is kept.
pub struct Half {
    dir: PathBuf,
    kept: bool,
}

impl Half {
    /// Gives the directory its name.
    ///
    /// # Errors
    /// The system refused; the directory goes away.
    pub fn keep(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.dir, path)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(%error, "could not delete {}", self.dir.display());
        }
    }
}

/// A block that is being written.
pub struct Writer {
    half: Half,
    chunks: Counted<BufWriter<File>>,
    index: Counted<BufWriter<File>>,
    pages: Vec<Extent>,
    page: Vec<u8>,
    before: Vec<u8>,
    labels: HashMap<Box<str>, BTreeMap<Box<str>, Numbers>>,
    meta: Meta,
    scratch: Scratch,
    encoded: Vec<u8>,
}

/// A list of series, each as the step from the one before.
#[derive(Default)]
struct Numbers {
    bytes: Vec<u8>,
    last: u32,
}

/// The key of a label in the table of labels.
pub fn label(name: &str, value: &str) -> Vec<u8> {
    [name.as_bytes(), &[0], value.as_bytes()].concat()
}

impl Writer {
    /// Makes the directory, anew if it is there.
    ///
    /// # Errors
    /// The directory could not be made.
    pub fn new(dir: &Path) -> io::Result<Writer> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        let file = |name: &str| -> io::Result<_> {
            let file = File::create_new(dir.join(name))?;
            Ok(Counted::new(BufWriter::with_capacity(1 << 16, file)))
        };
        Ok(Writer {
            half: Half { dir: dir.to_owned(), kept: false },
            chunks: file(CHUNKS)?,
            index: file(INDEX)?,
            pages: Vec::new(),
            page: Vec::new(),
            before: Vec::new(),
            labels: HashMap::new(),
            meta: Meta { min: i64::MAX, max: i64::MIN, ..Meta::default() },
            scratch: Scratch::default(),
            encoded: Vec::new(),
        })
    }

    /// Adds a series with its samples, which are in the order of time, no time twice; the key comes
    /// after those before it. A series without samples is left out.
    ///
    /// # Errors
    /// The files could not be written.
    pub fn put(&mut self, key: &[u8], samples: &[Sample]) -> io::Result<()> {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Ok(()) };
        self.meta.max = self.meta.max.max(last.at);
        self.meta.min = self.meta.min.min(first.at);
        let shared = key.iter().zip(&self.before).take_while(|(a, b)| a == b).count();
        put_varint(&mut self.page, shared as u64);
        put_varint(&mut self.page, (key.len() - shared) as u64);
        self.page.extend_from_slice(&key[shared..]);
        let parts = samples.len().div_ceil(LONGEST);
        put_varint(&mut self.page, parts as u64);
        let (mut time, mut offset) = (0_i64, 0);
        for samples in samples.chunks(samples.len().div_ceil(parts)) {
            let extent = self.put_chunk(samples)?;
            let (first, last) = (samples[0].at, samples[samples.len() - 1].at);
            put_varint(&mut self.page, zigzag(first.wrapping_sub(time)));
            put_varint(&mut self.page, last.wrapping_sub(first) as u64);
            put_varint(&mut self.page, samples.len() as u64);
            put_varint(&mut self.page, extent.offset - offset);
            put_varint(&mut self.page, u64::from(extent.length));
            time = last;
            offset = extent.offset + u64::from(extent.length);
        }
        self.index_labels(key);
        self.before = key.to_vec();
        self.meta.series += 1;
        self.meta.samples += samples.len() as u64;
        if self.meta.series.is_multiple_of(SERIES_PER_PAGE as u64) {
            self.end_page()?;
        }
        Ok(())
    }

    fn put_chunk(&mut self, samples: &[Sample]) -> io::Result<Extent> {
        self.encoded.clear();
        self.encoded.extend_from_slice(&[0; 4]);
        chunk::encode(samples, &mut self.scratch, &mut self.encoded);
        let sum = crc32fast::hash(&self.encoded[4..]);
        self.encoded[..4].copy_from_slice(&sum.to_le_bytes());
        self.chunks.put(&self.encoded)
    }

    fn index_labels(&mut self, key: &[u8]) {
        let number = self.meta.series as u32;
        for (name, value) in key::pairs(key) {
            let values = match self.labels.get_mut(name) {
                Some(values) => values,
                None => self.labels.entry(name.into()).or_default(),
            };
            let numbers = match values.get_mut(value) {
                Some(numbers) => numbers,
                None => values.entry(value.into()).or_default(),
            };
            put_varint(&mut numbers.bytes, u64::from(number - numbers.last));
            numbers.last = number;
        }
    }

    fn end_page(&mut self) -> io::Result<()> {
        self.pages.push(self.index.put_page(&self.page)?);
        self.page.clear();
        self.before.clear();
        Ok(())
    }

    /// Writes the rest and waits until all is on disk. The counts and times of `meta` are set
    /// here. None if the block has no samples; its directory is gone then.
    ///
    /// # Errors
    /// The files could not be written.
    pub fn finish(mut self, meta: Meta) -> io::Result<Option<(Half, Meta)>> {
        if self.meta.series == 0 {
            return Ok(None);
        }
        if !self.page.is_empty() {
            self.end_page()?;
        }
        let mut table = TableWriter::default();
        let mut names: Vec<_> = self.labels.into_iter().collect();
        names.sort_unstable_by_key(|(name, _)| label(name, ""));
        for (name, values) in &names {
            for (value, numbers) in values {
                table.put(&label(name, value), &numbers.bytes, &mut self.index)?;
            }
        }
        let labels = table.finish(&mut self.index)?;
        let mut directory = Vec::new();
        put_varint(&mut directory, self.pages.len() as u64);
        for page in &self.pages {
            put_varint(&mut directory, page.offset);
            put_varint(&mut directory, u64::from(page.length));
        }
        labels.encode(&mut directory);
        put_varint(&mut directory, names.len() as u64);
        for (name, _) in &names {
            put_varint(&mut directory, name.len() as u64);
            directory.extend_from_slice(name.as_bytes());
        }
        let extent = self.index.put(&directory)?;
        self.index.put(&extent.offset.to_le_bytes())?;
        self.index.put(&extent.length.to_le_bytes())?;
        self.index.put(&crc32fast::hash(&directory).to_le_bytes())?;
        self.index.put(MAGIC)?;
        let meta = Meta {
            min: self.meta.min,
            max: self.meta.max,
            series: self.meta.series,
            samples: self.meta.samples,
            chunk_bytes: self.chunks.written,
            index_bytes: self.index.written,
            ..meta
        };
        for mut file in [self.chunks.inner, self.index.inner] {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        let mut file = File::create_new(self.half.dir.join(META))?;
        file.write_all(meta.encode()?.as_bytes())?;
        file.sync_all()?;
        File::open(&self.half.dir)?.sync_all()?;
        Ok(Some((self.half, meta)))
    }
}

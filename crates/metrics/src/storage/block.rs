//! A block: the samples of many series over a span of time, never changed once it is written. It
//! is a directory with the chunks, an index of which little is kept in memory, and what it is.

pub mod write;

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::bits::{take_bytes, take_varint, unzigzag};
use super::chunk::{self, Scratch};
use super::postings::{self, Index};
use super::table::{self, Directory, Extent};
use super::{Doing, StorageError};
use crate::sample::Sample;
use crate::source::SourceError;

/// The last bytes of an index.
const MAGIC: &[u8; 8] = b"atollix\x01";
/// Bytes after the directory of an index.
const FOOTER: u64 = 24;
/// Series of a page of the index.
const SERIES_PER_PAGE: usize = 64;

/// The names of the files.
const CHUNKS: &str = "chunks";
const INDEX: &str = "index";
const META: &str = "meta";

/// What a block is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Its number; later ones are higher.
    pub number: u64,
    /// Of samples of one time, that of the block of the lower generation counts.
    pub generation: u64,
    /// The time of the first sample.
    pub min: i64,
    /// The time of the last sample.
    pub max: i64,
    /// How many series.
    pub series: u64,
    /// How many samples.
    pub samples: u64,
    /// Bytes of the chunks.
    pub chunk_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Blocks this one was made of, which are deleted if they are still there.
    pub replaces: Vec<u64>,
    /// The greatest age of a policy that was applied to it, in milliseconds.
    pub applied: i64,
    /// Which policies those were.
    pub policies: u32,
}

impl Meta {
    /// As text, with a checksum in its last line.
    fn encode(&self) -> io::Result<String> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(format!("{text}\n{:08x}\n", crc32fast::hash(text.as_bytes())))
    }

    fn decode(bytes: &[u8]) -> Option<Meta> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let (text, sum) = text.rsplit_once('\n')?;
        let sum = u32::from_str_radix(sum, 16).ok()?;
        (sum == crc32fast::hash(text.as_bytes())).then(|| serde_json::from_str(text).ok())?
    }
}

/// Where the samples of a series are.
#[derive(Clone, Copy, Debug)]
pub struct ChunkRef {
    /// The time of the first sample.
    pub first: i64,
    /// The time of the last sample.
    pub last: i64,
    /// How many samples.
    pub count: u32,
    extent: Extent,
}

/// A series of a block.
#[derive(Clone, Debug)]
pub struct Entry {
    /// See `key.rs`.
    pub key: Box<[u8]>,
    /// In the order of time.
    pub chunks: Vec<ChunkRef>,
}

/// A block that is open for reading.
pub struct Block {
    /// What it is.
    pub meta: Meta,
    /// Its directory.
    pub dir: PathBuf,
    chunks: File,
    index: File,
    pages: Vec<Extent>,
    labels: Directory,
    names: Vec<Box<str>>,
    damaged: AtomicBool,
    lacks: AtomicBool,
}

impl Block {
    /// Opens a block and checks that its files are as long as they were and its directory whole;
    /// the rest is checked as it is read.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn open(dir: &Path) -> Result<Block, StorageError> {
        let read = || -> io::Result<Block> {
            let meta = Meta::decode(&fs::read(dir.join(META))?)
                .ok_or_else(|| damage("what it says of itself has a wrong checksum"))?;
            let chunks = File::open(dir.join(CHUNKS))?;
            let index = File::open(dir.join(INDEX))?;
            let lengths = (chunks.metadata()?.len(), index.metadata()?.len());
            if lengths != (meta.chunk_bytes, meta.index_bytes) {
                return Err(damage("a file has another length than it had"));
            }
            let (pages, labels, names) = directory(&index, meta.index_bytes)?;
            let (damaged, lacks) = (AtomicBool::new(false), AtomicBool::new(false));
            Ok(Block {
                meta,
                dir: dir.to_owned(),
                chunks,
                index,
                pages,
                labels,
                names,
                damaged,
                lacks,
            })
        };
        read().doing(|| format!("open the block {}", dir.display()))
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.meta.chunk_bytes + self.meta.index_bytes
    }

    /// Whether it may have samples in the range.
    pub fn overlaps(&self, range: &RangeInclusive<i64>) -> bool {
        self.meta.min <= *range.end() && self.meta.max >= *range.start()
    }

    /// Whether a read has found damage.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// The names of labels, sorted.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// Samples are missing because a chunk is damaged, which is said once.
    fn miss_chunk(&self) {
        if !self.lacks.swap(true, Ordering::Relaxed) {
            let block = self.dir.display();
            tracing::warn!("the block {block} has damaged chunks: their samples are missing");
        }
    }

    /// Makes an error of a failed read, and remembers where it was damage.
    fn broken(&self, error: &io::Error) -> SourceError {
        if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) {
            self.damaged.store(true, Ordering::Relaxed);
        }
        SourceError::Broken(format!("the block {}: {error}", self.dir.display()))
    }

    /// The series of a page.
    ///
    /// # Errors
    /// The page could not be read or is damaged.
    pub fn page(&self, page: usize) -> Result<Vec<Entry>, SourceError> {
        let wrong = || self.broken(&damage("a label names a series that is not there"));
        let extent = *self.pages.get(page).ok_or_else(wrong)?;
        let raw = table::page(&self.index, extent).map_err(|e| self.broken(&e))?;
        let before = page * SERIES_PER_PAGE;
        let count = (self.meta.series as usize).saturating_sub(before).min(SERIES_PER_PAGE);
        entries(&raw, count)
            .ok_or_else(|| self.broken(&damage("a page of series is not understood")))
    }

    /// How many pages of series there are.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Gives series by their numbers, which are sorted.
    ///
    /// # Errors
    /// The index could not be read or is damaged.
    pub fn series(&self, numbers: &[u32], mut see: impl FnMut(Entry)) -> Result<(), SourceError> {
        let page_of = |number: &u32| *number as usize / SERIES_PER_PAGE;
        for numbers in numbers.chunk_by(|a, b| page_of(a) == page_of(b)) {
            let page = page_of(&numbers[0]);
            let mut wanted = numbers.iter().map(|n| *n as usize % SERIES_PER_PAGE).peekable();
            for (i, entry) in self.page(page)?.into_iter().enumerate() {
                if wanted.next_if_eq(&i).is_some() {
                    see(entry);
                }
            }
        }
        Ok(())
    }

    /// Appends the samples of chunks that follow each other, in a range. Those of a chunk that is
    /// damaged are missing, and all others are there: a hundred samples are no reason to answer
    /// nothing about a day.
    ///
    /// # Errors
    /// The chunks could not be read.
    pub fn read(
        &self,
        chunks: &[ChunkRef],
        range: &RangeInclusive<i64>,
        reading: &mut Reading,
        into: &mut Vec<Sample>,
    ) -> Result<(), SourceError> {
        let wanted = |c: &ChunkRef| c.first <= *range.end() && c.last >= *range.start();
        let Some(low) = chunks.iter().position(wanted) else { return Ok(()) };
        let high = chunks.iter().rposition(wanted).unwrap_or(low);
        let chunks = &chunks[low..=high];
        let start = chunks[0].extent.offset;
        let end = chunks[chunks.len() - 1].extent;
        let length = end.offset.saturating_sub(start) + u64::from(end.length);
        if length > self.meta.chunk_bytes {
            return Err(self.broken(&damage("a chunk lies outside its file")));
        }
        reading.bytes.resize(length as usize, 0);
        self.chunks.read_exact_at(&mut reading.bytes, start).map_err(|e| self.broken(&e))?;
        let mut rest = &reading.bytes[..];
        for chunk in chunks {
            let decoded = take_bytes(&mut rest, chunk.extent.length as usize).and_then(|bytes| {
                let (sum, bytes) = bytes.split_first_chunk::<4>()?;
                if crc32fast::hash(bytes) != u32::from_le_bytes(*sum) {
                    return None;
                }
                let count = chunk.count as usize;
                chunk::decode(bytes, count, range, &mut reading.scratch, into)
            });
            if decoded.is_none() {
                self.miss_chunk();
            }
        }
        Ok(())
    }

    /// The values of a label, sorted, with the number of series that have each.
    ///
    /// # Errors
    /// The index could not be read or is damaged.
    pub fn values(&self, name: &str, mut see: impl FnMut(&str, &[u8])) -> Result<(), SourceError> {
        let prefix = write::label(name, "");
        let scanned = self.labels.scan(&self.index, &prefix, |key, payload| {
            if let Ok(value) = std::str::from_utf8(&key[prefix.len()..]) {
                see(value, payload);
            }
        });
        scanned.map_err(|e| self.broken(&e))
    }

    /// The values of a label that one of some series has, which are sorted.
    ///
    /// # Errors
    /// The index could not be read or is damaged.
    pub fn kept_with(
        &self,
        name: &str,
        series: &[u32],
        see: &mut dyn FnMut(&str),
    ) -> Result<(), SourceError> {
        self.values(name, |value, payload| {
            if !postings::intersect(series, &numbers(payload)).is_empty() {
                see(value);
            }
        })
    }
}

/// Memory that is used again from read to read.
#[derive(Default)]
pub struct Reading {
    bytes: Vec<u8>,
    scratch: Scratch,
}

impl Index for Arc<Block> {
    fn all(&self) -> Result<Vec<u32>, SourceError> {
        Ok((0..self.meta.series as u32).collect())
    }

    fn equal(&self, name: &str, value: &str) -> Result<Vec<u32>, SourceError> {
        let key = write::label(name, value);
        let mut found = Vec::new();
        let scanned = self.labels.scan(&self.index, &key, |this, payload| {
            if this == key {
                found = numbers(payload);
            }
        });
        scanned.map(|()| found).map_err(|e| self.broken(&e))
    }

    fn kept(
        &self,
        name: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Vec<u32>, SourceError> {
        let mut lists = Vec::new();
        self.values(name, |value, payload| {
            if keep(value) {
                lists.push(numbers(payload));
            }
        })?;
        Ok(postings::union(lists))
    }
}

fn damage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// A list of series as `write.rs` writes it.
fn numbers(mut payload: &[u8]) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut number = 0;
    while let Some(step) = take_varint(&mut payload) {
        number += step as u32;
        numbers.push(number);
    }
    numbers
}

type Parts = (Vec<Extent>, Directory, Vec<Box<str>>);

fn directory(index: &File, length: u64) -> io::Result<Parts> {
    let short = || damage("the index has no end");
    let at = length.checked_sub(FOOTER).ok_or_else(short)?;
    let mut footer = [0; FOOTER as usize];
    index.read_exact_at(&mut footer, at)?;
    let (offset, rest) = footer.split_first_chunk::<8>().ok_or_else(short)?;
    let (size, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (sum, magic) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (offset, size) = (u64::from_le_bytes(*offset), u32::from_le_bytes(*size));
    if magic != MAGIC || offset.checked_add(u64::from(size)) != Some(at) {
        return Err(short());
    }
    let mut bytes = vec![0; size as usize];
    index.read_exact_at(&mut bytes, offset)?;
    if crc32fast::hash(&bytes) != u32::from_le_bytes(*sum) {
        return Err(damage("the index's directory has a wrong checksum"));
    }
    decode_directory(&bytes).ok_or_else(|| damage("the index's directory is not understood"))
}

fn decode_directory(mut bytes: &[u8]) -> Option<Parts> {
    let from = &mut bytes;
    let mut pages = Vec::new();
    for _ in 0..take_varint(from)? {
        let offset = take_varint(from)?;
        pages.push(Extent { offset, length: take_varint(from)? as u32 });
    }
    let labels = Directory::decode(from)?;
    let mut names = Vec::new();
    for _ in 0..take_varint(from)? {
        let length = take_varint(from)? as usize;
        names.push(std::str::from_utf8(take_bytes(from, length)?).ok()?.into());
    }
    Some((pages, labels, names))
}

fn entries(mut raw: &[u8], count: usize) -> Option<Vec<Entry>> {
    let from = &mut raw;
    let mut found: Vec<Entry> = Vec::with_capacity(count);
    for _ in 0..count {
        let shared = take_varint(from)? as usize;
        let length = take_varint(from)? as usize;
        let before = found.last().map_or(&[][..], |e| &e.key);
        let key = [before.get(..shared)?, take_bytes(from, length)?].concat();
        let mut chunks = Vec::new();
        let (mut last, mut offset) = (0_i64, 0_u64);
        for _ in 0..take_varint(from)? {
            let first = last.wrapping_add(unzigzag(take_varint(from)?));
            last = first.wrapping_add(take_varint(from)? as i64);
            let count = take_varint(from)? as u32;
            offset += take_varint(from)?;
            let length = take_varint(from)? as u32;
            chunks.push(ChunkRef { first, last, count, extent: Extent { offset, length } });
            offset += u64::from(length);
        }
        found.push(Entry { key: key.into(), chunks });
    }
    Some(found)
}

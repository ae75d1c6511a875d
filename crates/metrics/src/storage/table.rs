//! A sorted table on disk, in compressed pages with a checksum, found by the first key of each:
//! the labels of a block with the series that have them. Also how a page is written and read.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::bits::{put_varint, take_bytes, take_varint};

/// Bytes of a page before it is compressed, at least.
const PAGE: usize = 16 << 10;

/// Where a page is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub length: u32,
}

/// Something that is written to from its start, and knows how far.
pub struct Counted<W> {
    /// What is written to.
    pub inner: W,
    /// Bytes so far.
    pub written: u64,
}

impl<W: Write> Counted<W> {
    /// From its start.
    pub fn new(inner: W) -> Counted<W> {
        Counted { inner, written: 0 }
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<Extent> {
        let extent = Extent { offset: self.written, length: bytes.len() as u32 };
        self.inner.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(extent)
    }

    /// Writes a compressed page with its checksum.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn put_page(&mut self, raw: &[u8]) -> io::Result<Extent> {
        let mut page = vec![0; 8];
        page.extend_from_slice(&zstd::bulk::compress(raw, 3)?);
        page[4..8].copy_from_slice(&(raw.len() as u32).to_le_bytes());
        let sum = crc32fast::hash(&page[4..]);
        page[..4].copy_from_slice(&sum.to_le_bytes());
        self.put(&page)
    }
}

/// Reads a page back.
///
/// # Errors
/// The file could not be read, or is damaged.
pub fn page(file: &File, extent: Extent) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; extent.length as usize];
    file.read_exact_at(&mut bytes, extent.offset)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a page has a wrong checksum");
    let (sum, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    let (length, packed) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*sum) {
        return Err(damaged());
    }
    zstd::bulk::decompress(packed, u32::from_le_bytes(*length) as usize)
}

/// The pages of a table, by the first key of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    pages: Vec<(Box<[u8]>, Extent)>,
}

/// Writes a table; keys must come sorted.
#[derive(Default)]
pub struct TableWriter {
    directory: Directory,
    page: Vec<u8>,
    first: Vec<u8>,
}

impl TableWriter {
    /// Adds a key with what belongs to it.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn put<W: Write>(
        &mut self,
        key: &[u8],
        payload: &[u8],
        to: &mut Counted<W>,
    ) -> io::Result<()> {
        if self.page.is_empty() {
            self.first = key.to_vec();
        }
        put_varint(&mut self.page, key.len() as u64);
        self.page.extend_from_slice(key);
        put_varint(&mut self.page, payload.len() as u64);
        self.page.extend_from_slice(payload);
        if self.page.len() >= PAGE { self.end_page(to) } else { Ok(()) }
    }

    fn end_page<W: Write>(&mut self, to: &mut Counted<W>) -> io::Result<()> {
        let extent = to.put_page(&self.page)?;
        self.page.clear();
        let first = std::mem::take(&mut self.first).into_boxed_slice();
        self.directory.pages.push((first, extent));
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn finish<W: Write>(mut self, to: &mut Counted<W>) -> io::Result<Directory> {
        if !self.page.is_empty() {
            self.end_page(to)?;
        }
        Ok(self.directory)
    }
}

impl Directory {
    /// Gives the keys that begin with `prefix`, sorted, with what belongs to each.
    ///
    /// # Errors
    /// The file could not be read, or is damaged.
    pub fn scan(
        &self,
        file: &File,
        prefix: &[u8],
        mut see: impl FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        let start = self.pages.partition_point(|(first, _)| **first < *prefix).saturating_sub(1);
        for (first, extent) in &self.pages[start.min(self.pages.len())..] {
            if **first > *prefix && !first.starts_with(prefix) {
                break;
            }
            let page = page(file, *extent)?;
            let mut rest = &page[..];
            while let Some((key, payload)) = entry(&mut rest) {
                if key.starts_with(prefix) {
                    see(key, payload);
                } else if key > prefix {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Appends it to bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.pages.len() as u64);
        for (first, extent) in &self.pages {
            put_varint(out, first.len() as u64);
            out.extend_from_slice(first);
            put_varint(out, extent.offset);
            put_varint(out, u64::from(extent.length));
        }
    }

    /// Takes it off the front of bytes; none where they are no directory.
    pub fn decode(from: &mut &[u8]) -> Option<Directory> {
        let mut pages = Vec::new();
        for _ in 0..take_varint(from)? {
            let length = take_varint(from)? as usize;
            let first = take_bytes(from, length)?.into();
            let offset = take_varint(from)?;
            pages.push((first, Extent { offset, length: take_varint(from)? as u32 }));
        }
        Some(Directory { pages })
    }
}

fn entry<'a>(from: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let length = take_varint(from)? as usize;
    let key = take_bytes(from, length)?;
    let length = take_varint(from)? as usize;
    Some((key, take_bytes(from, length)?))
}

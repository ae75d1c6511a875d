//! What a directory, an archive or a single file holds, as the entries of a package and the
//! places its pieces can be read from again. It sends nothing anywhere.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use atoll_model::delivery::{Chunk, EntryContent, PackageEntry, PackageIndex};
use fastcdc::v2020::StreamCDC;

use crate::error::PackError;
use crate::tree::{Bounds, LARGEST_CHUNK, Refusal, check_path};

const SMALLEST_CHUNK: usize = 64 << 10;
const USUAL_CHUNK: usize = 256 << 10;
/// Archives that unpack to less are never called bombs: a few empty pages compress very well.
const BOMB_FLOOR: u64 = 64 << 20;

/// Where a piece can be read again.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The file; none for the spool.
    pub file: Option<Arc<Path>>,
    pub offset: u64,
    pub size: u32,
}

/// Entries on their way into a package.
pub(crate) struct Collected {
    pub entries: BTreeMap<String, EntryContent>,
    pub places: HashMap<String, Place>,
    /// What was inside a compressed archive, each different piece once.
    pub spool: Option<File>,
    bounds: Bounds,
    bytes: u64,
    spooled: u64,
    /// Directories nobody named, but which others lie in.
    implied: BTreeSet<String>,
}

/// Collects what is at `path`.
pub(crate) fn collect(path: &Path, bounds: Bounds) -> Result<Collected, PackError> {
    let mut collected = Collected {
        entries: BTreeMap::new(),
        places: HashMap::new(),
        spool: None,
        bounds,
        bytes: 0,
        spooled: 0,
        implied: BTreeSet::new(),
    };
    let meta = fs::metadata(path).map_err(|e| PackError::io("read", path, e))?;
    if meta.is_dir() {
        collected.directory(path, "")?;
    } else if !meta.is_file() {
        let what = "neither a directory nor a file".to_owned();
        return Err(Refusal::Special { path: path.display().to_string(), what }.into());
    } else if let Some(packing) = Packing::of(path) {
        collected.archive(path, packing)?;
    } else {
        let name = path.file_name().unwrap_or_default();
        let name = name.to_str().ok_or_else(|| not_utf8(name.as_encoded_bytes()))?;
        collected.file_on_disk(path, name.to_owned())?;
    }
    Ok(collected)
}

impl Collected {
    /// The entries, sorted. Directories that were only implied are named, so that an archive
    /// with entries for them and one without are the same package.
    pub fn index(&self) -> PackageIndex {
        let entry = |(path, content): (&String, &EntryContent)| PackageEntry {
            path: path.clone(),
            content: content.clone(),
        };
        PackageIndex { entries: self.entries.iter().map(entry).collect() }
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn directory(&mut self, dir: &Path, inside: &str) -> Result<(), PackError> {
        let entries = fs::read_dir(dir).map_err(|e| PackError::io("read", dir, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| PackError::io("read", dir, e))?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| not_utf8(name.as_encoded_bytes()))?;
            let path = if inside.is_empty() { name.to_owned() } else { format!("{inside}/{name}") };
            let full = entry.path();
            let kind = entry.file_type().map_err(|e| PackError::io("read", &full, e))?;
            if kind.is_dir() {
                self.insert(path.clone(), EntryContent::Directory)?;
                self.directory(&full, &path)?;
            } else if kind.is_symlink() {
                let to = fs::read_link(&full).map_err(|e| PackError::io("read", &full, e))?;
                let to = to.to_str().ok_or_else(|| not_utf8(to.as_os_str().as_encoded_bytes()))?;
                self.insert(path, EntryContent::Link { target: to.to_owned() })?;
            } else if kind.is_file() {
                self.file_on_disk(&full, path)?;
            } else {
                let what = special_name(kind).to_owned();
                return Err(Refusal::Special { path, what }.into());
            }
        }
        Ok(())
    }

    fn file_on_disk(&mut self, full: &Path, path: String) -> Result<(), PackError> {
        let failed = |e| PackError::io("read", full, e);
        // Between looking and opening it may have become a link or a fifo.
        let file = File::options()
            .read(true)
            .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
            .open(full)
            .map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(Refusal::Special { path, what: "no file any more".to_owned() }.into());
        }
        let executable = meta.permissions().mode() & 0o111 != 0;
        let origin = Some(Arc::from(full));
        let content = self.content(file, executable, origin.as_ref())?;
        self.insert(path, content)
    }

    fn archive(&mut self, path: &Path, packing: Packing) -> Result<(), PackError> {
        let file = File::open(path).map_err(|e| PackError::io("read", path, e))?;
        self.spool = Some(tempfile::tempfile().map_err(|e| PackError::io("write", "a spool", e))?);
        let meter = Meter::default();
        let packed = BufReader::new(Metered { inner: file, count: Rc::clone(&meter.packed) });
        let plain: Box<dyn Read> = match packing {
            Packing::None => Box::new(packed),
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Packing::Zstd => Box::new(
                zstd::Decoder::with_buffer(packed).map_err(|e| PackError::io("read", path, e))?,
            ),
        };
        let bounds = self.bounds;
        let guard = Guard { inner: plain, meter: meter.clone(), bounds, packing };
        let read = self.entries_of(tar::Archive::new(guard));
        // The tar reader wraps errors of what it reads, so the refusal is taken from its source.
        match (read, meter.refusal.take()) {
            (_, Some(refusal)) => Err(refusal.into()),
            (read, None) => read,
        }
    }

    fn entries_of(&mut self, mut archive: tar::Archive<impl Read>) -> Result<(), PackError> {
        let unreadable = |e: io::Error| PackError::from(Refusal::Unreadable(e.to_string()));
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            let kind = entry.header().entry_type();
            if kind.is_pax_global_extensions() {
                continue;
            }
            let Some(path) = clean(&entry.path_bytes())? else { continue };
            let link = entry.link_name_bytes().map(|l| text(&l)).transpose()?.unwrap_or_default();
            let content = if kind.is_dir() {
                EntryContent::Directory
            } else if kind.is_symlink() {
                EntryContent::Link { target: link }
            } else if kind.is_hard_link() {
                self.hard_link(&path, &link)?
            } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
                let executable = entry.header().mode().map_err(unreadable)? & 0o111 != 0;
                self.content(&mut entry, executable, None)?
            } else {
                let what = format!("of the type {:?}", char::from(kind.as_byte()));
                return Err(Refusal::Special { path, what }.into());
            };
            self.insert(path, content)?;
        }
        Ok(())
    }

    /// A hard link becomes a file of its own, as packages are unpacked where hard links would let
    /// one path change another.
    fn hard_link(&mut self, path: &str, link: &str) -> Result<EntryContent, PackError> {
        let target = clean(link.as_bytes())?.unwrap_or_default();
        match self.entries.get(&target) {
            Some(file @ EntryContent::File { size, .. }) => {
                let file = file.clone();
                self.bytes = self.bytes.saturating_add(*size);
                self.check_bytes()?;
                Ok(file)
            }
            _ => Err(Refusal::HardLink { path: path.to_owned(), target: link.to_owned() }.into()),
        }
    }

    /// Cuts a file into pieces and remembers where each different one is.
    fn content(
        &mut self,
        reader: impl Read,
        executable: bool,
        origin: Option<&Arc<Path>>,
    ) -> Result<EntryContent, PackError> {
        let (mut chunks, mut size) = (Vec::new(), 0_u64);
        let largest = LARGEST_CHUNK as usize;
        for piece in StreamCDC::new(reader, SMALLEST_CHUNK, USUAL_CHUNK, largest) {
            let piece = piece.map_err(|e| Refusal::Unreadable(e.to_string()))?;
            self.bytes = self.bytes.saturating_add(piece.length as u64);
            self.check_bytes()?;
            let digest = blake3::hash(&piece.data).to_hex().to_string();
            // No piece is larger than a u32 can say.
            let length = piece.length as u32;
            chunks.push(Chunk { digest: digest.clone(), size: length });
            if !self.places.contains_key(&digest) {
                let offset = match origin {
                    Some(_) => piece.offset,
                    None => self.write_spool(&piece.data)?,
                };
                let place = Place { file: origin.cloned(), offset, size: length };
                self.places.insert(digest, place);
            }
            size += u64::from(length);
        }
        Ok(EntryContent::File { executable, size, chunks })
    }

    fn write_spool(&mut self, data: &[u8]) -> Result<u64, PackError> {
        let spool = self.spool.as_mut().expect("archives are read with a spool");
        spool.write_all(data).map_err(|e| PackError::io("write", "a spool", e))?;
        let offset = self.spooled;
        self.spooled += data.len() as u64;
        Ok(offset)
    }

    fn check_bytes(&self) -> Result<(), Refusal> {
        if self.bytes > self.bounds.bytes {
            return Err(Refusal::TooLarge(self.bounds.bytes));
        }
        Ok(())
    }

    fn insert(&mut self, path: String, content: EntryContent) -> Result<(), PackError> {
        check_path(&path)?;
        let mut parent = path.as_str();
        while let Some((above, _)) = parent.rsplit_once('/') {
            match self.entries.get(above) {
                Some(EntryContent::Directory) => break,
                Some(_) => return Err(Refusal::NotBelowDirectory(path).into()),
                None => {
                    self.entries.insert(above.to_owned(), EntryContent::Directory);
                    self.implied.insert(above.to_owned());
                }
            }
            parent = above;
        }
        let is_dir = content == EntryContent::Directory;
        if self.entries.contains_key(&path) {
            if is_dir && self.implied.remove(&path) {
                return Ok(());
            }
            return Err(Refusal::Twice(path).into());
        }
        self.entries.insert(path, content);
        if self.entries.len() as u64 > self.bounds.entries {
            return Err(Refusal::TooManyEntries(self.bounds.entries).into());
        }
        Ok(())
    }
}

/// How an archive is packed.
#[derive(Clone, Copy, PartialEq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    fn of(path: &Path) -> Option<Packing> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let is = |endings: &[&str]| endings.iter().any(|e| name.ends_with(e));
        if is(&[".tar"]) {
            Some(Packing::None)
        } else if is(&[".tar.gz", ".tgz"]) {
            Some(Packing::Gzip)
        } else if is(&[".tar.zst", ".tar.zstd", ".tzst"]) {
            Some(Packing::Zstd)
        } else {
            None
        }
    }
}

#[derive(Clone, Default)]
struct Meter {
    packed: Rc<Cell<u64>>,
    plain: Rc<Cell<u64>>,
    refusal: Rc<RefCell<Option<Refusal>>>,
}

struct Metered<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// Stops reading an archive that grows beyond all measure, whatever is inside.
struct Guard<R> {
    inner: R,
    meter: Meter,
    bounds: Bounds,
    packing: Packing,
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        let plain = self.meter.plain.get() + count as u64;
        self.meter.plain.set(plain);
        // Headers, and padding to 512 bytes, come on top of the files.
        let most = self.bounds.bytes.saturating_add(self.bounds.entries.saturating_mul(4096));
        let packed = self.meter.packed.get();
        let refusal = if plain > most {
            Refusal::TooLarge(self.bounds.bytes)
        } else if self.packing != Packing::None
            && plain > BOMB_FLOOR
            && plain > packed.saturating_mul(self.bounds.ratio)
        {
            Refusal::Bomb(self.bounds.ratio)
        } else {
            return Ok(count);
        };
        *self.meter.refusal.borrow_mut() = Some(refusal);
        Err(io::Error::other("refused"))
    }
}

/// A path of an archive without `./` and doubled slashes; none for the root itself.
fn clean(bytes: &[u8]) -> Result<Option<String>, Refusal> {
    let path = text(bytes)?;
    if path.starts_with('/') {
        return Err(Refusal::Absolute(path));
    }
    let parts: Vec<&str> = path.split('/').filter(|p| !matches!(*p, "" | ".")).collect();
    Ok(if parts.is_empty() { None } else { Some(parts.join("/")) })
}

fn text(bytes: &[u8]) -> Result<String, Refusal> {
    String::from_utf8(bytes.to_vec()).map_err(|_| not_utf8(bytes))
}

fn not_utf8(bytes: &[u8]) -> Refusal {
    Refusal::NotUtf8(PathBuf::from(String::from_utf8_lossy(bytes).as_ref()).display().to_string())
}

fn special_name(kind: fs::FileType) -> &'static str {
    if kind.is_fifo() {
        "a fifo"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

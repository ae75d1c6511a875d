//! What a package may hold. The same rules are held to when one is made and when one is unpacked,
//! as neither side trusts the other. Nothing here touches a disk.

use std::collections::HashMap;

use atoll_model::delivery::{EntryContent, PackageIndex, is_digest};

/// The largest piece a file is cut into, in bytes.
pub(crate) const LARGEST_CHUNK: u32 = 1 << 20;
/// The longest index, in bytes: it is kept as one piece.
pub const LONGEST_INDEX: usize = 32 << 20;
/// Links followed before they are taken to lead in a circle; Linux' own number.
const MOST_HOPS: usize = 40;

/// How large a package may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of all files together, unpacked.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// How many times larger than itself an archive may become; small ones are not measured.
    pub ratio: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { bytes: 8 << 30, entries: 200_000, ratio: 250 }
    }
}

/// Why something is no package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It begins with `/`.
    #[error("{0:?} is an absolute path; a package holds relative ones only")]
    Absolute(String),
    /// It holds `..`.
    #[error("{0:?} leads out of the package")]
    Outside(String),
    /// It is not a name, or too long for one.
    #[error("{0:?} is not a path a file can have on every host")]
    BadName(String),
    /// It is not UTF-8.
    #[error("{0:?} is not UTF-8; rename it")]
    NotUtf8(String),
    /// It is there twice.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// A device, a fifo, a socket or something stranger.
    #[error("{path:?} is {what}; a package holds files, directories and symbolic links only")]
    Special {
        /// The entry.
        path: String,
        /// What it is.
        what: String,
    },
    /// A link that leaves the package.
    #[error("the link {path:?} leads to {target:?}, out of the package")]
    LinkOut {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// Links that lead to each other.
    #[error("the link {0:?} leads in a circle")]
    LinkLoop(String),
    /// A hard link to what is not a file before it.
    #[error("the hard link {path:?} leads to {target:?}, which is no file before it")]
    HardLink {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// It lies below something that is no directory.
    #[error("{0:?} lies below something that is no directory")]
    NotBelowDirectory(String),
    /// More entries than allowed.
    #[error("there are more than {0} entries; pack many small files into an archive")]
    TooManyEntries(u64),
    /// The list of its entries is longer than allowed.
    #[error("the list of its files has more than {0} bytes; pack many small files into an archive")]
    LongIndex(usize),
    /// More bytes than allowed.
    #[error("it is larger than {0} bytes unpacked")]
    TooLarge(u64),
    /// Far larger unpacked than packed.
    #[error("it grows by more than {0} times when unpacked, which no honest archive does")]
    Bomb(u64),
    /// The archive cannot be read.
    #[error("the archive cannot be read: {0}")]
    Unreadable(String),
    /// An index that nothing honest wrote.
    #[error("the index is not valid: {0}")]
    BadIndex(String),
}

/// Checks everything that unpacking relies on.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_index(index: &PackageIndex, bounds: &Bounds) -> Result<(), Refusal> {
    if index.entries.len() as u64 > bounds.entries {
        return Err(Refusal::TooManyEntries(bounds.entries));
    }
    let mut known: HashMap<&str, &EntryContent> = HashMap::with_capacity(index.entries.len());
    let (mut before, mut bytes) = ("", 0_u64);
    for entry in &index.entries {
        let path = entry.path.as_str();
        check_path(path)?;
        if path == before {
            return Err(Refusal::Twice(path.to_owned()));
        }
        if path < before {
            return Err(Refusal::BadIndex(format!("{path:?} is not in order")));
        }
        if let Some((parent, _)) = path.rsplit_once('/')
            && !matches!(known.get(parent), Some(EntryContent::Directory))
        {
            return Err(Refusal::NotBelowDirectory(path.to_owned()));
        }
        if let EntryContent::File { size, .. } = &entry.content {
            check_chunks(path, &entry.content)?;
            bytes = bytes.saturating_add(*size);
        }
        if bytes > bounds.bytes {
            return Err(Refusal::TooLarge(bounds.bytes));
        }
        known.insert(path, &entry.content);
        before = path;
    }
    for entry in &index.entries {
        if let EntryContent::Link { target } = &entry.content {
            check_link(&known, &entry.path, target)?;
        }
    }
    Ok(())
}

/// Checks that a path is relative, clean and short enough.
pub(crate) fn check_path(path: &str) -> Result<(), Refusal> {
    if path.starts_with('/') {
        return Err(Refusal::Absolute(path.to_owned()));
    }
    if path.len() > 1024 || path.contains('\0') {
        return Err(Refusal::BadName(path.to_owned()));
    }
    for part in path.split('/') {
        match part {
            ".." => return Err(Refusal::Outside(path.to_owned())),
            "" | "." => return Err(Refusal::BadName(path.to_owned())),
            _ if part.len() > 255 => return Err(Refusal::BadName(path.to_owned())),
            _ => {}
        }
    }
    Ok(())
}

fn check_chunks(path: &str, content: &EntryContent) -> Result<(), Refusal> {
    let EntryContent::File { size, chunks, .. } = content else {
        return Ok(());
    };
    let wrong = |what: &str| Err(Refusal::BadIndex(format!("{what} of {path:?}")));
    if chunks.iter().any(|c| !is_digest(&c.digest)) {
        return wrong("a digest");
    }
    if chunks.iter().any(|c| c.size == 0 || c.size > LARGEST_CHUNK) {
        return wrong("the size of a chunk");
    }
    let sum: u64 = chunks.iter().map(|c| u64::from(c.size)).sum();
    if sum == *size { Ok(()) } else { wrong("the size") }
}

/// Follows a link the way the kernel would, through other links, and refuses it where it would
/// step above the root. Looking at its own text alone would not do: `a -> b/c`, where `b/c` is a
/// link to `..`, makes of `a/..` something else than it seems.
fn check_link(
    known: &HashMap<&str, &EntryContent>,
    path: &str,
    target: &str,
) -> Result<(), Refusal> {
    let out = || Refusal::LinkOut { path: path.to_owned(), target: target.to_owned() };
    if target.is_empty() || target.contains('\0') || target.len() > 1024 {
        return Err(out());
    }
    let mut place: Vec<&str> = path.split('/').collect();
    place.pop();
    let mut ahead: Vec<&str> = Vec::new();
    let mut follow = Some(target);
    let mut hops = 0;
    loop {
        if let Some(target) = follow.take() {
            hops += 1;
            if hops > MOST_HOPS {
                return Err(Refusal::LinkLoop(path.to_owned()));
            }
            if target.starts_with('/') {
                return Err(out());
            }
            ahead.extend(target.split('/').rev());
        }
        match ahead.pop() {
            None => return Ok(()),
            Some("" | ".") => {}
            Some("..") => {
                place.pop().ok_or_else(out)?;
            }
            Some(part) => {
                place.push(part);
                if let Some(EntryContent::Link { target }) = known.get(place.join("/").as_str()) {
                    place.pop();
                    follow = Some(target);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::delivery::{Chunk, PackageEntry};

    use super::*;

    fn link(target: &str) -> EntryContent {
        EntryContent::Link { target: target.to_owned() }
    }

    fn file(sizes: &[u32]) -> EntryContent {
        let chunk = |size: &u32| Chunk { digest: "0".repeat(64), size: *size };
        let size = sizes.iter().map(|s| u64::from(*s)).sum();
        EntryContent::File { executable: false, size, chunks: sizes.iter().map(chunk).collect() }
    }

    fn check(entries: &[(&str, EntryContent)]) -> Result<(), Refusal> {
        let entry = |(path, content): &(&str, EntryContent)| PackageEntry {
            path: (*path).to_owned(),
            content: content.clone(),
        };
        let index = PackageIndex { entries: entries.iter().map(entry).collect() };
        check_index(&index, &Bounds { bytes: 1 << 30, entries: 9, ratio: 250 })
    }

    const DIR: EntryContent = EntryContent::Directory;

    #[test]
    fn ordinary_trees_pass() {
        let entries = [
            ("bin", DIR),
            ("bin/shop", file(&[9])),
            ("empty", file(&[])),
            ("lib", DIR),
            ("lib/a", link("../bin/shop")),
            ("lib/b", link("a")),
            ("lib/later", link("data/not/there")),
            ("self", link(".")),
        ];
        assert_eq!(check(&entries), Ok(()));
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for bad in ["/etc/passwd", "../x", "a/../../x", "..", "", ".", "a//b", "./a", "a/", "a\0"] {
            assert!(check(&[(bad, file(&[1]))]).is_err(), "{bad:?} was taken");
        }
        assert!(check(&[(&"x".repeat(256), file(&[1]))]).is_err());
        assert_eq!(
            check(&[("a", link("b")), ("a/x", file(&[1])), ("b", DIR)]),
            Err(Refusal::NotBelowDirectory("a/x".into())),
            "a file is never written through a link"
        );
        assert!(check(&[("a/x", file(&[1]))]).is_err(), "the directory is missing");
        assert_eq!(check(&[("a", DIR), ("a", DIR)]), Err(Refusal::Twice("a".into())));
        assert!(check(&[("b", DIR), ("a", DIR)]).is_err(), "out of order");
    }

    #[test]
    fn links_that_lead_out_are_refused() {
        for bad in ["/etc", "..", "../..", "d/../..", "", "d/../../x"] {
            assert!(check(&[("a", link(bad)), ("d", DIR)]).is_err(), "{bad:?} was taken");
        }
        let sly = [("a", DIR), ("a/b", DIR), ("a/b/up", link("../..")), ("p", link("a/b/up/../x"))];
        assert_eq!(
            check(&sly),
            Err(Refusal::LinkOut { path: "p".into(), target: "a/b/up/../x".into() })
        );
        assert_eq!(
            check(&[("a", link("b")), ("b", link("a"))]),
            Err(Refusal::LinkLoop("a".into()))
        );
    }

    #[test]
    fn sizes_and_digests_are_checked() {
        let wrong_sum = EntryContent::File { executable: true, size: 5, chunks: vec![] };
        assert!(check(&[("a", wrong_sum)]).is_err());
        assert!(check(&[("a", file(&[0]))]).is_err());
        assert!(check(&[("a", file(&[LARGEST_CHUNK + 1]))]).is_err());
        let chunks = vec![Chunk { digest: "../../../etc/passwd".into(), size: 1 }];
        let bad = EntryContent::File { executable: false, size: 1, chunks };
        assert!(check(&[("a", bad)]).is_err());
        let big = vec![LARGEST_CHUNK; 600];
        assert_eq!(check(&[("a", file(&big)), ("b", file(&big))]), Err(Refusal::TooLarge(1 << 30)));
        let many: Vec<String> = (0..10).map(|i| format!("f{i}")).collect();
        let many: Vec<(&str, EntryContent)> =
            many.iter().map(|n| (n.as_str(), file(&[]))).collect();
        assert_eq!(check(&many), Err(Refusal::TooManyEntries(9)));
    }
}

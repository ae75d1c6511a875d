//! Directories brought along from one task to the next on this host, under keys made of what the
//! workspace holds. What is kept under a key never changes. What hosts
//! share is the server's; it is asked in `prepare.rs` and given in `keep.rs`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use atoll_model::ci::step::Cached;

use super::pick::{files, pick};
use super::place::{bytes, remove};
use crate::disk;
use crate::files::system_time;

/// The caches of one pipeline.
pub struct Caches {
    all: PathBuf,
    dir: PathBuf,
}

impl Caches {
    /// Those of that scope, below the agent's directory.
    pub fn of(data: &Path, scope: &str) -> Caches {
        let all = data.join("caches");
        Caches { dir: all.join(short(scope.as_bytes())), all }
    }

    /// The key, if something is kept under it, or else the one used last that begins with one of
    /// `or`.
    pub fn find(&self, key: &str, or: &[String]) -> Option<String> {
        let mut found = self.entry(key).join("tree").is_dir().then(|| key.to_owned());
        for beginning in or.iter().filter(|_| found.is_none()).collect::<Vec<_>>() {
            let begins = |(_, key): &(SystemTime, String)| key.starts_with(beginning.as_str());
            let newest = self.kept().into_iter().filter(begins).max();
            found = found.or(newest.map(|(_, key)| key));
        }
        found
    }

    /// Copies what is kept under the key, or under one that begins with one of `or`, and gives the
    /// key it was found under.
    ///
    /// # Errors
    /// As the disk says.
    pub fn bring(&self, key: &str, or: &[String], into: &Path) -> io::Result<Option<String>> {
        let found = self.find(key, or);
        if let Some(key) = &found {
            remove(into)?;
            copy(&self.entry(key).join("tree"), into)?;
            // The age of its directory tells when it was used last.
            File::open(self.entry(key))?.set_modified(system_time())?;
        }
        Ok(found)
    }

    /// Keeps paths of a workspace under a key, unless something is there already; nothing, if they
    /// hold nothing. What was unused longest goes, where all caches hold more than `bound`.
    ///
    /// # Errors
    /// As the disk says.
    pub fn keep(&self, key: &str, paths: &[String], work: &Path, bound: u64) -> io::Result<()> {
        let entry = self.entry(key);
        if entry.exists() {
            return Ok(());
        }
        let new = entry.with_extension("new");
        remove(&new)?;
        fs::create_dir_all(new.join("tree"))?;
        if pick(work, paths, &new.join("tree"))?.taken == 0 {
            return remove(&new);
        }
        own(&new.join("tree"))?;
        disk::write(&new.join("key.json"), &key, false)?;
        fs::rename(&new, &entry)?;
        self.make_room(bound)
    }

    /// Every key of the scope, with when it was used last.
    fn kept(&self) -> Vec<(SystemTime, String)> {
        let known = |entry: fs::DirEntry| {
            let key: String = disk::read(&entry.path().join("key.json"))?;
            (self.entry(&key) == entry.path()).then_some(())?;
            Some((entry.metadata().ok()?.modified().ok()?, key))
        };
        fs::read_dir(&self.dir).into_iter().flatten().flatten().filter_map(known).collect()
    }

    fn make_room(&self, bound: u64) -> io::Result<()> {
        let scopes = fs::read_dir(&self.all)?.flatten();
        let entries =
            scopes.filter_map(|scope| fs::read_dir(scope.path()).ok()).flatten().flatten();
        let mut all: Vec<(SystemTime, PathBuf, u64)> = entries
            .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path(), bytes(&e.path()))))
            .collect();
        all.sort();
        let mut total: u64 = all.iter().map(|(_, _, size)| size).sum();
        for (_, path, size) in all {
            if total <= bound {
                break;
            }
            remove(&path)?;
            total -= size;
        }
        Ok(())
    }

    fn entry(&self, key: &str) -> PathBuf {
        self.dir.join(short(key.as_bytes()))
    }
}

/// The keys of a cache, with every `{{hash("pattern")}}` filled in from the workspace.
///
/// # Errors
/// As the disk says.
pub fn keys(cached: &Cached, work: &Path) -> io::Result<(String, Vec<String>)> {
    let or = cached.or.iter().map(|key| fill(key, work)).collect::<io::Result<_>>()?;
    Ok((fill(&cached.key, work)?, or))
}

fn fill(key: &str, work: &Path) -> io::Result<String> {
    let (mut filled, mut rest) = (String::new(), key);
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((inside, behind)) = after.split_once("}}") else {
            return Ok(filled + "{{" + after);
        };
        let call = inside.trim().strip_prefix("hash(").and_then(|c| c.strip_suffix(')'));
        match call.map(|pattern| pattern.trim().trim_matches(['"', '\''])) {
            Some(pattern) => filled.push_str(&hash(pattern, work)?),
            None => filled = filled + "{{" + inside + "}}",
        }
        rest = behind;
    }
    Ok(filled + rest)
}

/// Names and contents of the files a pattern means.
fn hash(pattern: &str, work: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for path in files(work, pattern)? {
        let mut content = blake3::Hasher::new();
        content.update_reader(File::open(work.join(&path))?)?;
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update(content.finalize().as_bytes());
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

fn short(text: &[u8]) -> String {
    blake3::hash(text).to_hex()[..32].to_owned()
}

/// Makes what a step has left ours, as its user may be another's next.
fn own(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path())?;
        }
    }
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    lchown(path, Some(user), Some(group))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, to)?;
        } else {
            fs::copy(entry.path(), &to)?;
            // What is built from it is younger than it, as it was before.
            let modified = entry.metadata()?.modified()?;
            let open = File::options().append(true).open(&to);
            // What may not be written keeps the time of now, which only costs work.
            let _ = open.and_then(|file| file.set_modified(modified));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(key: &str, or: &[&str]) -> Cached {
        let or = or.iter().map(|o| (*o).to_owned()).collect();
        Cached { key: key.to_owned(), or, paths: vec!["target".to_owned()] }
    }

    #[test]
    fn keys_follow_what_the_workspace_holds() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Cargo.lock"), "one").unwrap();
        let of = |key: &str| keys(&cached(key, &[]), dir.path()).unwrap().0;
        let first = of("cargo-{{ hash(\"Cargo.lock\") }}-x");
        assert!(first.starts_with("cargo-") && first.ends_with("-x") && first.len() == 24);
        assert_eq!(of("cargo-{{hash('Cargo.lock')}}-x"), first);
        fs::write(dir.path().join("Cargo.lock"), "two").unwrap();
        assert_ne!(of("cargo-{{hash(\"Cargo.lock\")}}-x"), first);
        for plain in ["plain", "{{", "{{other}}", "a}}b"] {
            assert_eq!(of(plain), plain);
        }
    }

    #[test]
    fn what_is_kept_is_found_by_its_key_or_its_beginning_and_never_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (work, into) = (dir.path().join("work"), dir.path().join("into"));
        fs::create_dir_all(work.join("target/deep")).unwrap();
        let caches = Caches::of(dir.path(), "shop");
        let paths = ["target".to_owned()];
        let keep = |key: &str, text: &str, bound| {
            // Another workspace, as the next task has: what is kept is the file of the one before.
            fs::remove_dir_all(work.join("target/deep")).unwrap();
            fs::create_dir(work.join("target/deep")).unwrap();
            fs::write(work.join("target/deep/a"), text).unwrap();
            caches.keep(key, &paths, &work, bound).unwrap();
        };
        let found = |key: &str, or: &[&str]| {
            let or: Vec<String> = or.iter().map(|o| (*o).to_owned()).collect();
            let key = caches.bring(key, &or, &into).unwrap()?;
            Some((key, fs::read_to_string(into.join("target/deep/a")).unwrap()))
        };
        let is = |key: &str, text: &str| Some((key.to_owned(), text.to_owned()));
        assert_eq!(found("k-1", &["k-"]), None);
        keep("k-1", "one", u64::MAX);
        keep("k-1", "another", u64::MAX);
        assert_eq!(found("k-1", &[]), is("k-1", "one"));
        assert_eq!(found("k-2", &["x", "k-"]), is("k-1", "one"));
        assert_eq!(found("k-2", &[]), None);
        assert_eq!(Caches::of(dir.path(), "other").bring("k-1", &[], &into).unwrap(), None);
        caches.keep("empty", &["nothing".to_owned()], &work, u64::MAX).unwrap();
        assert_eq!(found("empty", &[]), None);
        keep("k-3", "three", 0);
        assert_eq!(found("k-1", &["k-"]), None, "there was no room for anything");
    }
}

//! A user of its own for every instance, where the agent is root: a number out of a range that
//! nobody has, not an account.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Uid, User, geteuid};

use crate::runtime::process;

const FIRST: u32 = 20_000;
const COUNT: u32 = 40_000;

/// Whether instances can have users of their own, or why not.
///
/// # Errors
/// Why they cannot.
pub fn possible(data: &Path) -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("the agent is not root".to_owned());
    }
    // Another user must be able to walk down to its own directory.
    let closed = data
        .ancestors()
        .find(|dir| fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o001 == 0));
    match closed {
        None => Ok(()),
        Some(dir) => Err(format!("{} is closed to other users; chmod o+x it", dir.display())),
    }
}

/// A number nobody has: no account, no process, and none of `taken`. Where the search starts
/// depends on the name, so that several agents on a machine seldom meet.
pub fn choose(data: &Path, name: &str, taken: &BTreeSet<u32>) -> Option<u32> {
    let hash = blake3::hash(format!("{}\0{name}", data.display()).as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    let start = u32::from_le_bytes([a, b, c, d]) % COUNT;
    let busy: BTreeSet<u32> = process::all()
        .iter()
        .filter_map(|s| fs::metadata(format!("/proc/{}", s.process.pid)).ok())
        .map(|meta| meta.uid())
        .collect();
    let free = |uid: &u32| {
        !taken.contains(uid)
            && !busy.contains(uid)
            && matches!(User::from_uid(Uid::from_raw(*uid)), Ok(None))
    };
    (0..COUNT).map(|i| FIRST + (start + i) % COUNT).find(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_once() {
        let data = Path::new("/data");
        let first = choose(data, "web.prod.0", &BTreeSet::new()).unwrap();
        let second = choose(data, "web.prod.0", &BTreeSet::from([first])).unwrap();
        assert_ne!(first, second);
        assert!((FIRST..FIRST + COUNT).contains(&first));
    }
}

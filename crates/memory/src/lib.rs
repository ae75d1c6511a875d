//! The allocator of the programs. Planners and rehearsals are made of many small objects; see
//! docs/decisions/0003-dependencies.md. It knows nothing of what is kept in it.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_minimal_purge_size` of mimalloc 3, which its bindings have no name for.
const MINIMAL_PURGE_SIZE: mi_option_t = 44;
/// A huge page, in KiB.
const HUGE_PAGE: c_long = 2 << 10;

/// Has freed memory given back to the kernel by whole huge pages only, so that those that are in
/// use are not broken into small ones. It is for a process that may play the twin of a large fleet,
/// which is a tenth faster by it, and may keep some more of what it once had. What a large query
/// took is given back about a second after it is free, by whatever takes memory next.
pub fn keep_huge_pages() {
    // SAFETY: it writes a number of the allocator's, which may be done at any time.
    unsafe { mi_option_set(MINIMAL_PURGE_SIZE, HUGE_PAGE) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use libmimalloc_sys::mi_option_get;

    use super::*;

    const READ: &str = "READ_THE_OPTION";

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: it reads a number of the allocator's.
        let read = || unsafe { mi_option_get(MINIMAL_PURGE_SIZE) };
        if std::env::var_os(READ).is_some() {
            // What the environment says of it by its name is what is read by its number.
            assert_eq!(read(), 123);
            return;
        }
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.env(READ, "yes").env("MIMALLOC_MINIMAL_PURGE_SIZE", "123KiB");
        let name = "tests::the_option_is_the_one_that_is_meant";
        assert!(again.args(["--exact", name]).status().unwrap().success());
        keep_huge_pages();
        assert_eq!(read(), HUGE_PAGE);
    }
}

//! The allocator of the programs, and whether they take memory by the page or by the huge page.
//! Planners and rehearsals are made of many small objects; see docs/decisions/0003-dependencies.md.
//! It knows nothing of what is kept in it.

use std::ffi::c_long;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libmimalloc_sys::{mi_option_set, mi_option_t};
use nix::sys::prctl;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_minimal_purge_size` of mimalloc 3, which its bindings have no name for.
const MINIMAL_PURGE_SIZE: mi_option_t = 44;
/// A huge page, in KiB.
const HUGE_PAGE: c_long = 2 << 10;
/// Whatever is free.
const ANY: c_long = 0;

/// Who has memory by the huge page now.
static HOLDERS: Mutex<Holders> = Mutex::new(Holders { count: 0, were_off: false });

struct Holders {
    count: usize,
    /// Whether there were none before the first of them.
    were_off: bool,
}

/// Has this process take memory by the small page from now on: what rests for long, as servers and
/// agents do, has a third less of it then. What is started by this process inherits that.
pub fn small_pages() {
    // Where the kernel knows no huge pages, there is nothing to switch off.
    let _ = prctl::set_thp_disable(true);
}

/// Has this process take memory by the huge page, where the kernel gives any, and give it back by
/// whole ones only, for as long as what it returns is kept. Rehearsals of large fleets are a tenth
/// faster by it.
#[must_use]
pub fn huge_pages() -> HugePages {
    let mut holders = holders();
    if holders.count == 0 {
        holders.were_off = prctl::get_thp_disable().unwrap_or(false);
        let _ = prctl::set_thp_disable(false);
        give_back(HUGE_PAGE);
    }
    holders.count += 1;
    HugePages(())
}

/// Keeps memory being taken by the huge page; see [`huge_pages`].
#[derive(Debug)]
pub struct HugePages(());

impl Drop for HugePages {
    fn drop(&mut self) {
        let mut holders = holders();
        holders.count -= 1;
        if holders.count == 0 {
            give_back(ANY);
            let _ = prctl::set_thp_disable(holders.were_off);
        }
    }
}

/// What is free is given back to the kernel in pieces of so many KiB, about a second after it is
/// free, by whatever takes memory next.
fn give_back(by: c_long) {
    // SAFETY: it writes a number of the allocator's, which may be done at any time.
    unsafe { mi_option_set(MINIMAL_PURGE_SIZE, by) }
}

fn holders() -> MutexGuard<'static, Holders> {
    HOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use libmimalloc_sys::mi_option_get;

    use super::*;

    const READ: &str = "READ_THE_OPTION";

    #[test]
    fn huge_pages_are_for_as_long_as_somebody_has_them() {
        // SAFETY: it reads a number of the allocator's.
        let read = || unsafe { mi_option_get(MINIMAL_PURGE_SIZE) };
        if std::env::var_os(READ).is_some() {
            // What the environment says of it by its name is what is read by its number.
            assert_eq!(read(), 123);
            return;
        }
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.env(READ, "yes").env("MIMALLOC_MINIMAL_PURGE_SIZE", "123KiB");
        let name = "tests::huge_pages_are_for_as_long_as_somebody_has_them";
        assert!(again.args(["--exact", name]).status().unwrap().success());
        let off = || prctl::get_thp_disable().unwrap();
        small_pages();
        assert!(off());
        let (one, other) = (huge_pages(), huge_pages());
        assert_eq!((read(), off()), (HUGE_PAGE, false));
        drop(one);
        assert_eq!((read(), off()), (HUGE_PAGE, false));
        drop(other);
        assert_eq!((read(), off()), (ANY, true));
    }
}

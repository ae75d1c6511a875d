//! What a sandbox sees: a new root of a small file system in memory, into which the system is bound
//! read-only and the work's own directories writable.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, pivot_root, sethostname};

use super::{SYSTEM, Sandbox};

/// Devices every program may expect.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const NONE: Option<&str> = None;

/// Puts it together and moves into it.
pub fn make(sandbox: &Sandbox) -> io::Result<()> {
    let root = sandbox.root.as_path();
    umask(Mode::from_bits_truncate(0o022));
    // Nothing that is mounted from now on is seen outside.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    memory(root, "mode=755,size=1m")?;
    for path in SYSTEM.iter().map(Path::new).chain(sandbox.visible.iter().map(PathBuf::as_path)) {
        show(root, path).map_err(|e| at(path, &e))?;
    }
    for (from, to) in &sandbox.replaced {
        let to = inside(root, to);
        bind(from, &to).and_then(|()| restrict(&to, true)).map_err(|e| at(from, &e))?;
    }
    for path in &sandbox.hidden {
        let path = inside(root, path);
        if path.is_dir() {
            memory(&path, "mode=000,size=4k").map_err(|e| at(&path, &e))?;
        }
    }
    for (from, to) in &sandbox.writable {
        let to = inside(root, to);
        fs::create_dir_all(&to)?;
        bind(from, &to).and_then(|()| restrict(&to, false)).map_err(|e| at(from, &e))?;
    }
    let proc = inside(root, Path::new("/proc"));
    fs::create_dir(&proc)?;
    mount(Some("proc"), &proc, Some("proc"), plain | MsFlags::MS_NOEXEC, NONE)
        .map_err(|e| at(&proc, &e.into()))?;
    devices(root)?;
    for dir in ["run", "var"] {
        fs::create_dir_all(root.join(dir))?;
    }
    symlink("/run", root.join("var/run"))?;
    symlink("/tmp", root.join("var/tmp"))?;
    sethostname(&sandbox.name)?;
    chdir(root)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    let only_read = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    Ok(mount(NONE, "/", NONE, only_read | plain, NONE)?)
}

/// Shows one path of the host where it is, read-only.
fn show(root: &Path, path: &Path) -> io::Result<()> {
    let to = inside(root, path);
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if fs::symlink_metadata(&to).is_ok() {
        // It lies in what is shown already.
        return Ok(());
    }
    if let Some(above) = to.parent() {
        fs::create_dir_all(above)?;
    }
    if meta.is_symlink() {
        return symlink(fs::read_link(path)?, to);
    }
    if meta.is_dir() {
        fs::create_dir(&to)?;
    } else {
        File::create(&to)?;
    }
    bind(path, &to)?;
    restrict(&to, true)
}

fn devices(root: &Path) -> io::Result<()> {
    let dev = root.join("dev");
    fs::create_dir(&dev)?;
    for name in DEVICES {
        let (from, to) = (Path::new("/dev").join(name), dev.join(name));
        if from.exists() {
            File::create(&to)?;
            bind(&from, &to).map_err(|e| at(&from, &e))?;
        }
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name))?;
    }
    let (shm, pts) = (dev.join("shm"), dev.join("pts"));
    fs::create_dir(&shm)?;
    memory(&shm, "mode=1777")?;
    fs::create_dir(&pts)?;
    let options = Some("newinstance,ptmxmode=0666,mode=620");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("devpts"), &pts, Some("devpts"), flags, options).map_err(|e| at(&pts, &e.into()))
}

/// A file system in memory.
fn memory(path: &Path, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options))?)
}

fn bind(from: &Path, to: &Path) -> io::Result<()> {
    Ok(mount(Some(from), to, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?)
}

/// No devices and no programs of other users from here on, with everything mounted below; and
/// nothing is written, if so wanted.
fn restrict(path: &Path, only_read: bool) -> io::Result<()> {
    // What is set, what is cleared, how mounts spread, and a descriptor that is not needed.
    let mut attributes = [libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, 0, 0, 0_u64];
    if only_read {
        attributes[0] |= libc::MOUNT_ATTR_RDONLY;
    }
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
    // SAFETY: the path ends with a zero, and the structure is of the size that is told.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

//! What is made of directories and archives, and everything that is refused.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::tree::Refusal;

const SMALL: Bounds = Bounds { bytes: 1 << 20, entries: 20, ratio: 250 };

/// A member of an archive: its header as any program might write it.
struct Member {
    path: Vec<u8>,
    kind: tar::EntryType,
    link: Vec<u8>,
    data: Vec<u8>,
    mode: u32,
}

fn member(path: &str, kind: tar::EntryType, link: &str, data: &[u8]) -> Member {
    let (path, link) = (path.as_bytes().to_vec(), link.as_bytes().to_vec());
    Member { path, kind, link, data: data.to_vec(), mode: 0o644 }
}

fn regular(path: &str, data: &[u8]) -> Member {
    member(path, tar::EntryType::Regular, "", data)
}

/// Writes an archive without the checks of the library.
fn archive(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, member) in members.iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..member.path.len()].copy_from_slice(&member.path);
        header.as_old_mut().linkname[..member.link.len()].copy_from_slice(&member.link);
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        header.set_mtime(1_000_000 + i as u64);
        header.set_uid(i as u64);
        header.set_size(member.data.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&member.data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn file(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn refused(path: &Path, bounds: &Bounds) -> Refusal {
    match plan_package(path, bounds).map(|plan| plan.index) {
        Err(PackError::Refused(refusal)) => refusal,
        other => panic!("{} gave {other:?}", path.display()),
    }
}

fn refused_tar(members: &[Member]) -> Refusal {
    let dir = TempDir::new().unwrap();
    refused(&file(&dir, "a.tar", &archive(members)), &SMALL)
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(bytes)
    .collect()
}

#[test]
fn equal_content_gives_an_equal_digest_whatever_it_is_packed_in() {
    let dir = TempDir::new().unwrap();
    let tree = dir.path().join("tree");
    let big = noise(700_000);
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::write(tree.join("bin/shop"), &big).unwrap();
    fs::set_permissions(tree.join("bin/shop"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(tree.join("notes"), "x").unwrap();
    symlink("bin/shop", tree.join("run")).unwrap();
    let plan = plan_package(&tree, &SMALL).unwrap();
    let paths: Vec<&str> = plan.index.entries.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(paths, ["bin", "bin/shop", "notes", "run"]);
    assert_eq!(plan.size, 700_001);

    let mut shop = regular("./bin/shop", &big);
    shop.mode = 0o711;
    let bare = archive(&[
        member("run", tar::EntryType::Symlink, "bin/shop", b""),
        regular("notes", b"x"),
        shop,
    ]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bare).unwrap();
    let archives = [
        file(&dir, "a.tar", &bare),
        file(&dir, "a.tar.gz", &gzip.finish().unwrap()),
        file(&dir, "a.tar.zst", &zstd::encode_all(&bare[..], 1).unwrap()),
    ];
    for path in archives {
        let packed = plan_package(&path, &SMALL).unwrap();
        assert_eq!(packed.digest, plan.digest, "{}", path.display());
        for (digest, size) in packed.chunks() {
            assert_eq!(packed.read_chunk(digest).unwrap().len(), size as usize);
        }
    }
    fs::set_permissions(tree.join("notes"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(plan_package(&tree, &SMALL).unwrap().digest, plan.digest, "it may be executed");
}

#[test]
fn a_single_file_is_a_package_too() {
    let dir = TempDir::new().unwrap();
    let plan = plan_package(&file(&dir, "shop", b"#!/bin/sh\n"), &SMALL).unwrap();
    assert_eq!(plan.index.entries[0].path, "shop");
}

#[test]
fn archives_that_reach_outside_are_refused() {
    let absolute = refused_tar(&[regular("/etc/passwd", b"x")]);
    assert_eq!(absolute, Refusal::Absolute("/etc/passwd".into()));
    for bad in ["../x", "a/../../x", ".."] {
        assert!(matches!(refused_tar(&[regular(bad, b"x")]), Refusal::Outside(_)), "{bad}");
    }
    for bad in ["/etc", "../x", "a/../../x"] {
        let link = member("l", tar::EntryType::Symlink, bad, b"");
        assert!(matches!(refused_tar(&[link]), Refusal::LinkOut { .. }), "{bad}");
    }
    let through = [member("d", tar::EntryType::Symlink, "e", b""), regular("d/x", b"x")];
    assert_eq!(refused_tar(&through), Refusal::NotBelowDirectory("d/x".into()));
    let over = [regular("d/x", b"x"), member("d", tar::EntryType::Symlink, "e", b"")];
    assert_eq!(refused_tar(&over), Refusal::Twice("d".into()));
}

#[test]
fn entries_that_are_no_files_are_refused() {
    use tar::EntryType;
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let refusal = refused_tar(&[member("d", kind, "", b"")]);
        assert!(matches!(refusal, Refusal::Special { .. }), "{refusal}");
    }
    let hard = [member("h", EntryType::Link, "/etc/shadow", b"")];
    assert!(matches!(refused_tar(&hard), Refusal::Absolute(_)));
    let ahead = [member("h", EntryType::Link, "later", b""), regular("later", b"x")];
    assert!(matches!(refused_tar(&ahead), Refusal::HardLink { .. }));
    let twice = [regular("a", b"x"), regular("./a", b"y")];
    assert_eq!(refused_tar(&twice), Refusal::Twice("a".into()));
    let mut odd = regular("a", b"x");
    odd.path = b"a\xff".to_vec();
    assert!(matches!(refused_tar(&[odd]), Refusal::NotUtf8(_)));
}

#[test]
fn a_hard_link_becomes_a_file() {
    let dir = TempDir::new().unwrap();
    let members = [regular("a", b"same"), member("b", tar::EntryType::Link, "a", b"")];
    let plan = plan_package(&file(&dir, "a.tar", &archive(&members)), &SMALL).unwrap();
    assert_eq!(plan.index.entries[0].content, plan.index.entries[1].content);
    assert_eq!(plan.size, 8);
}

#[test]
fn archives_that_are_too_large_are_refused() {
    let large = vec![b'x'; (1 << 20) + 1];
    assert_eq!(refused_tar(&[regular("a", &large)]), Refusal::TooLarge(1 << 20));
    let many: Vec<Member> = (0..21).map(|i| regular(&format!("f{i}"), b"")).collect();
    assert_eq!(refused_tar(&many), Refusal::TooManyEntries(20));
    let half = vec![b'x'; 600 << 10];
    let linked = [regular("a", &half), member("b", tar::EntryType::Link, "a", b"")];
    assert_eq!(refused_tar(&linked), Refusal::TooLarge(1 << 20), "by hard links");

    let dir = TempDir::new().unwrap();
    let zeros = archive(&[regular("zeros", &vec![0; 100 << 20])]);
    let bounds = Bounds { bytes: 1 << 30, ..SMALL };
    let bomb = file(&dir, "bomb.tar.zst", &zstd::encode_all(&zeros[..], 3).unwrap());
    assert_eq!(refused(&bomb, &bounds), Refusal::Bomb(250));
}

#[test]
fn broken_archives_are_refused() {
    let dir = TempDir::new().unwrap();
    let whole = archive(&[regular("a", &noise(10_000))]);
    let cut = file(&dir, "cut.tar", &whole[..5_000]);
    assert!(matches!(refused(&cut, &SMALL), Refusal::Unreadable(_)));
    let mut zipped = zstd::encode_all(&whole[..], 1).unwrap();
    zipped.truncate(zipped.len() / 2);
    let cut = file(&dir, "cut.tar.zst", &zipped);
    assert!(matches!(refused(&cut, &SMALL), Refusal::Unreadable(_)));
    let text = file(&dir, "text.tar.gz", b"no archive at all");
    assert!(matches!(refused(&text, &SMALL), Refusal::Unreadable(_)));
}

#[test]
fn directories_are_held_to_the_same() {
    let make = |fill: &dyn Fn(&Path)| {
        let dir = TempDir::new().unwrap();
        fill(dir.path());
        refused(dir.path(), &SMALL)
    };
    let refusal = make(&|dir| symlink("/etc/passwd", dir.join("l")).unwrap());
    assert!(matches!(refusal, Refusal::LinkOut { .. }));
    let refusal = make(&|dir| symlink("../x", dir.join("l")).unwrap());
    assert!(matches!(refusal, Refusal::LinkOut { .. }));
    let refusal = make(&|dir| drop(UnixListener::bind(dir.join("s")).unwrap()));
    assert!(matches!(refusal, Refusal::Special { .. }));
    let mode = nix::sys::stat::Mode::S_IRWXU;
    let refusal = make(&|dir| nix::unistd::mkfifo(&dir.join("f"), mode).unwrap());
    assert!(matches!(refusal, Refusal::Special { .. }));
    let odd = std::ffi::OsStr::from_bytes(b"a\xff");
    let refusal = make(&|dir| fs::write(dir.join(odd), "x").unwrap());
    assert!(matches!(refusal, Refusal::NotUtf8(_)));
    let refusal = make(&|dir| fs::write(dir.join("big"), noise((1 << 20) + 1)).unwrap());
    assert_eq!(refusal, Refusal::TooLarge(1 << 20));
}

#[test]
fn a_file_that_changes_meanwhile_is_noticed() {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "a", b"first");
    let plan = plan_package(dir.path(), &SMALL).unwrap();
    fs::write(path, b"other").unwrap();
    let digest = plan.chunks().next().unwrap().0.to_owned();
    assert!(matches!(plan.read_chunk(&digest), Err(PackError::Corrupt { .. })));
}

//! Packages over the wire: pushing, resuming, pulling, and what is refused on the way back.

mod server;
mod store;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use atoll_client::{
    Bounds, Client, PackageError, Progress, Refusal, Seeds, fetch_index, plan_package, pull, push,
    unpack, verify,
};
use serde_json::json;
use tempfile::TempDir;

use store::{Shared, store};

fn tree(dir: &Path, extra: &str) {
    fs::create_dir_all(dir.join("bin")).unwrap();
    fs::write(dir.join("bin/shop"), "#!/bin/sh\necho shop\n").unwrap();
    fs::set_permissions(dir.join("bin/shop"), fs::Permissions::from_mode(0o755)).unwrap();
    let large: Vec<u8> =
        (0_u32..600_000).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(dir.join("large"), large).unwrap();
    fs::write(dir.join("extra"), extra).unwrap();
    symlink("bin/shop", dir.join("run")).unwrap();
}

async fn push_tree(client: &Client, version: &str, extra: &str) -> atoll_client::Pushed {
    let dir = TempDir::new().unwrap();
    tree(dir.path(), extra);
    push(client, "shop", version, dir.path(), &|_| {}).await.unwrap()
}

fn put_index(held: &Shared, index: &serde_json::Value) -> String {
    let bytes = serde_json::to_vec(index).unwrap();
    let digest = blake3::hash(&bytes).to_hex().to_string();
    held.lock().unwrap().blobs.insert(digest.clone(), bytes.into());
    digest
}

fn leftovers(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[tokio::test]
async fn a_package_comes_back_as_it_went() {
    let (client, held) = store().await;
    let pushed = push_tree(&client, "1.0", "x").await;
    assert!(!pushed.existed && pushed.sent == pushed.size);
    let into = TempDir::new().unwrap();
    let index = pull(&client, &pushed.digest, &into.path().join("out")).await.unwrap();
    let out = into.path().join("out");
    assert_eq!(plan_package(&out, &Bounds::default()).unwrap().digest, pushed.digest);
    verify(&index, &out).unwrap();
    assert_eq!(leftovers(into.path()), 1);

    fs::write(out.join("extra"), "y").unwrap();
    assert!(matches!(verify(&index, &out), Err(PackageError::Corrupt { .. })));

    let before = held.lock().unwrap().puts.len();
    let again = push_tree(&client, "1.0", "x").await;
    assert!(again.existed && again.sent == 0);
    let puts = held.lock().unwrap().puts[before..].to_vec();
    assert_eq!(puts, [pushed.digest.as_str()], "no piece is sent twice");
    let dir = TempDir::new().unwrap();
    tree(dir.path(), "other");
    let other = push(&client, "shop", "1.0", dir.path(), &|_| {}).await.unwrap_err();
    assert!(matches!(other, PackageError::Exists { .. }) && other.exit_code() == 6, "{other}");
}

#[tokio::test]
async fn pushing_the_same_again_heals_what_was_lost() {
    let (client, held) = store().await;
    let pushed = push_tree(&client, "1", "x").await;
    let index = fetch_index(&client, &pushed.digest, &Bounds::default()).await.unwrap();
    let lost = plan_chunks(&index).pop().unwrap();
    held.lock().unwrap().blobs.remove(&lost);
    let again = push_tree(&client, "1", "x").await;
    assert!(again.existed && again.sent > 0);
    let into = TempDir::new().unwrap();
    pull(&client, &pushed.digest, &into.path().join("out")).await.unwrap();
}

#[tokio::test]
async fn a_push_that_broke_off_goes_on_where_it_was() {
    let (client, held) = store().await;
    held.lock().unwrap().most_puts = Some(3);
    let dir = TempDir::new().unwrap();
    tree(dir.path(), "x");
    let broken = push(&client, "shop", "1", dir.path(), &|_| {}).await;
    assert!(broken.is_err());
    assert!(held.lock().unwrap().packages.is_empty(), "half a package is never seen");
    held.lock().unwrap().most_puts = None;
    let seen = std::sync::Mutex::new(Progress::default());
    let pushed = push(&client, "shop", "1", dir.path(), &|p| *seen.lock().unwrap() = p).await;
    let seen = *seen.lock().unwrap();
    assert!(seen.needed < seen.total && seen.sent == seen.needed, "{seen:?}");
    assert_eq!(pushed.unwrap().sent, seen.needed);
    let mut puts = held.lock().unwrap().puts.clone();
    let all = puts.len();
    puts.sort();
    puts.dedup();
    assert_eq!(puts.len(), all, "nothing was sent twice");
}

#[tokio::test]
async fn pieces_that_are_here_already_are_not_fetched() {
    let (client, held) = store().await;
    let first = push_tree(&client, "1", "x").await;
    let second = push_tree(&client, "2", "y").await;
    let into = TempDir::new().unwrap();
    let old = into.path().join("old");
    let index = pull(&client, &first.digest, &old).await.unwrap();
    held.lock().unwrap().gets.clear();
    let mut seeds = Seeds::default();
    seeds.add(&index, &old);
    // A seed that has rotted is fetched after all.
    fs::write(old.join("bin/shop"), "changed").unwrap();
    let index = fetch_index(&client, &second.digest, &Bounds::default()).await.unwrap();
    unpack(&client, &index, &into.path().join("new"), seeds).await.unwrap();
    verify(&index, &into.path().join("new")).unwrap();
    let gets = held.lock().unwrap().gets.len();
    assert_eq!(gets, 3, "the index, the changed file and the rotten one");
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_leaves_nothing_behind() {
    let (client, held) = store().await;
    let pushed = push_tree(&client, "1", "x").await;
    let into = TempDir::new().unwrap();
    let index = fetch_index(&client, &pushed.digest, &Bounds::default()).await.unwrap();
    let last = plan_chunks(&index).pop().unwrap();
    let good = held.lock().unwrap().blobs.insert(last.clone(), "forged".into());
    let forged = pull(&client, &pushed.digest, &into.path().join("out")).await;
    assert!(matches!(forged, Err(PackageError::Client(_))), "{forged:?}");
    held.lock().unwrap().blobs.remove(&last);
    let gone = pull(&client, &pushed.digest, &into.path().join("out")).await.unwrap_err();
    assert_eq!(gone.exit_code(), 5, "{gone}");
    assert_eq!(leftovers(into.path()), 0);
    held.lock().unwrap().blobs.insert(last, good.unwrap());
    pull(&client, &pushed.digest, &into.path().join("out")).await.unwrap();
}

fn plan_chunks(index: &atoll_model::delivery::PackageIndex) -> Vec<String> {
    use atoll_model::delivery::EntryContent::File;
    let chunks = index.entries.iter().filter_map(|e| match &e.content {
        File { chunks, .. } => Some(chunks.iter().map(|c| c.digest.clone())),
        _ => None,
    });
    chunks.flatten().collect()
}

#[tokio::test]
async fn an_evil_index_is_refused() {
    let (client, held) = store().await;
    let into = TempDir::new().unwrap();
    let file = |path: &str| json!({ "path": path, "type": "file", "executable": false, "size": 0, "chunks": [] });
    let link = |path: &str, to: &str| json!({ "path": path, "type": "link", "target": to });
    for entries in [
        json!([file("../x")]),
        json!([file("/tmp/x")]),
        json!([link("a", "/etc")]),
        json!([link("a", ".."), file("a/x")]),
        json!([file("a"), file("a")]),
    ] {
        let digest = put_index(&held, &json!({ "entries": entries }));
        let refused = pull(&client, &digest, &into.path().join("out")).await;
        assert!(matches!(refused, Err(PackageError::Refused(_))), "{entries}: {refused:?}");
    }
    let bounds = Bounds { entries: 1, ..Bounds::default() };
    let digest = put_index(&held, &json!({ "entries": [file("a"), file("b")] }));
    let many = fetch_index(&client, &digest, &bounds).await;
    assert!(matches!(many, Err(PackageError::Refused(Refusal::TooManyEntries(1)))));
    assert_eq!(leftovers(into.path()), 0);
}

#[tokio::test]
async fn a_full_disk_is_told_and_left_clean() {
    use nix::mount::{MsFlags, mount, umount};
    let (client, _held) = store().await;
    let pushed = push_tree(&client, "1", "x").await;
    let disk = TempDir::new().unwrap();
    let options = Some("size=1m");
    let flags = MsFlags::empty();
    if mount(Some("none"), disk.path(), Some("tmpfs"), flags, options).is_err() {
        eprintln!("not run: only root can mount a small disk");
        return;
    }
    let full = pull(&client, &pushed.digest, &disk.path().join("out")).await;
    let left = leftovers(disk.path());
    // Small enough by its size, but there is no room for so many files.
    let small = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    for i in 0..2000 {
        fs::write(small.path().join(format!("f{i}")), format!("{i}")).unwrap();
    }
    let many = push(&client, "many", "1", small.path(), &|_| {}).await.unwrap();
    let late = pull(&client, &many.digest, &disk.path().join("out")).await;
    let left = left + leftovers(disk.path());
    umount(disk.path()).unwrap();
    assert!(matches!(full, Err(PackageError::Full { .. })), "{full:?}");
    assert!(matches!(late, Err(PackageError::Full { .. })), "{late:?}");
    assert_eq!(left, 0);
}

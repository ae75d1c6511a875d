//! What is left after a torn log, damaged files and with a second process.

mod storage_rounds;

use std::fs;
use std::path::{Path, PathBuf};

use atoll_metrics::Source;
use atoll_metrics::storage::{Storage, StorageError};
use storage_rounds::{START, open, options, rounds, write};

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().and_then(|e| e.to_str()).unwrap_or_default() == ending)
        .collect();
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_log_torn_at_any_byte_opens_with_what_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(&dir.path().join("whole"));
    write(&storage, 0);
    let log = files(&dir.path().join("whole/log"), "log").remove(0);
    let before = fs::read(&log).unwrap().len();
    write(&storage, 1);
    drop(storage);
    let whole = fs::read(&log).unwrap();
    let torn = dir.path().join("torn/log");
    for length in before..=whole.len() {
        for damage in [false, true] {
            let mut bytes = whole[..length].to_vec();
            if damage && length < whole.len() {
                // Instead of ending there it is wrong from there.
                bytes = whole.clone();
                bytes[length] ^= 0x10;
            }
            let _ = fs::remove_dir_all(dir.path().join("torn"));
            fs::create_dir_all(&torn).unwrap();
            fs::write(torn.join(log.file_name().unwrap()), bytes).unwrap();
            let storage = open(&dir.path().join("torn"));
            let all = rounds(&storage);
            assert_eq!(all, if length == whole.len() { 2 } else { 1 }, "byte {length}");
            // It goes on, and the next start has both what was left and what came after.
            write(&storage, all);
            drop(storage);
            assert_eq!(rounds(&open(&dir.path().join("torn"))), all + 1);
        }
    }
    for length in 0..before {
        let _ = fs::remove_dir_all(dir.path().join("torn"));
        fs::create_dir_all(&torn).unwrap();
        fs::write(torn.join(log.file_name().unwrap()), &whole[..length]).unwrap();
        assert_eq!(rounds(&open(&dir.path().join("torn"))), 0);
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = Storage::open(dir.path(), options(), START);
    assert!(matches!(second, Err(StorageError::Taken(_))));
    drop(first);
    open(dir.path());
}

#[test]
fn what_is_damaged_is_missing_and_the_rest_is_read() {
    for file in ["index", "meta", "chunks"] {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path());
        (0..50).for_each(|round| write(&storage, round));
        storage.flush().unwrap();
        let blocks = dir.path().join("blocks");
        let block = files(&blocks, "").remove(0);
        drop(storage);
        let path = block.join(file);
        let mut bytes = fs::read(&path).unwrap();
        let at = if file == "index" { bytes.len() - 2 } else { bytes.len() / 2 };
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        let storage = open(dir.path());
        let read = |storage: &Storage| {
            let found = storage.select(&[], i64::MIN, i64::MAX).unwrap();
            let mut samples = Vec::new();
            let mut all = found.iter();
            all.try_for_each(|s| s.read(i64::MIN, i64::MAX, &mut samples)).map(|()| samples.len())
        };
        // Of a damaged chunk the samples are missing, and no more.
        let (least, aside) = if file == "chunks" { (400, 0) } else { (0, 1) };
        let found = read(&storage).unwrap();
        assert!((least..500).contains(&found), "{file}: {found}");
        storage.maintain(START).unwrap();
        assert_eq!(read(&storage).unwrap(), found, "{file}");
        assert_eq!(files(&blocks, "damaged").len(), aside, "{file}");
        (50..60).for_each(|round| write(&storage, round));
        assert!(read(&storage).unwrap() >= 100);
    }
}

#[test]
fn half_written_and_replaced_blocks_are_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    for round in 0..250 {
        write(&storage, round);
        if round % 30 == 0 {
            storage.flush().unwrap();
        }
    }
    let (blocks, kept) = (dir.path().join("blocks"), dir.path().join("kept"));
    copy(&blocks, &kept);
    let merged = storage.maintain(START).unwrap().merged;
    assert!(merged > 1);
    let count = storage.status().blocks.count;
    drop(storage);
    // As if the process had been killed before it deleted those it had merged.
    copy(&kept, &blocks);
    fs::create_dir(blocks.join("0000000099.tmp")).unwrap();
    fs::write(blocks.join("0000000099.tmp/chunks"), "half").unwrap();
    let storage = open(dir.path());
    assert_eq!(storage.status().blocks.count, count);
    assert!(files(&blocks, "tmp").is_empty());
    assert_eq!(rounds(&storage), 250);
}

#[test]
fn a_block_that_cannot_be_written_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    (0..20).for_each(|round| write(&storage, round));
    // Where the next block is to be, something is in the way.
    let way = dir.path().join("blocks/0000000001.tmp");
    fs::write(&way, "").unwrap();
    let error = storage.flush().unwrap_err().to_string();
    assert!(error.starts_with("could not begin the block"), "{error}");
    assert_eq!(rounds(&storage), 20);
    (20..40).for_each(|round| write(&storage, round));
    assert_eq!(rounds(&storage), 40);
    drop(storage);
    fs::remove_file(&way).unwrap();
    let storage = open(dir.path());
    assert_eq!(rounds(&storage), 40);
    storage.flush().unwrap();
    assert_eq!(storage.status().head_samples, 0);
    assert_eq!(rounds(&storage), 40);
}

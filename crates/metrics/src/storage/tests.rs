//! What only shows from inside: a log that cannot be written, and what is not read again.

use std::sync::atomic::Ordering;

use super::{Options, Storage, StorageError};
use crate::labels::Matcher;
use crate::sample::{STALE, Sample};
use crate::source::Source;

const START: i64 = 1_700_000_000_000;
const WARM: i64 = 15 * 60_000;

fn write(storage: &Storage, at: i64) -> Result<u64, StorageError> {
    let mut appender = storage.appender("x", START);
    appender.add(&[("a", "1")], &[Sample { at, value: at as f64 }]);
    appender.add(&[("b", "1")], &[Sample { at, value: 0.5 }]);
    appender.commit().map(|appended| appended.accepted)
}

fn times(storage: &Storage) -> Vec<i64> {
    let found = storage.select(&[], i64::MIN, i64::MAX).unwrap();
    let mut samples = Vec::new();
    found.iter().for_each(|s| s.read(i64::MIN, i64::MAX, &mut samples).unwrap());
    let mut times: Vec<i64> = samples.iter().map(|s| s.at - START).collect();
    times.sort_unstable();
    times
}

#[test]
fn a_full_disk_refuses_a_commit_as_a_whole_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), Options::default(), START).unwrap();
    for room in 0..30 {
        storage.log.room.store(room, Ordering::Relaxed);
        let error = write(&storage, START).unwrap_err().to_string();
        assert!(error.starts_with("could not write to the log"), "{error}");
        assert!(times(&storage).is_empty());
    }
    storage.log.room.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(write(&storage, START + 1).unwrap(), 2, "the series are named in the log now");
    storage.log.room.store(3, Ordering::Relaxed);
    write(&storage, START + 2).unwrap_err();
    storage.log.room.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(write(&storage, START + 3).unwrap(), 2);
    assert_eq!(times(&storage), [1, 1, 3, 3]);
    storage.sync().unwrap();
    drop(storage);
    let storage = Storage::open(dir.path(), Options::default(), START).unwrap();
    assert_eq!(times(&storage), [1, 1, 3, 3]);
}

#[test]
fn the_last_minutes_are_in_memory_after_a_restart_and_their_series_belong_to_who_sends_more() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), Options::default(), START).unwrap();
    // Half an hour, the last five minutes of it in a second block.
    for minutes in [-30..-5, -5..0] {
        for minute in minutes {
            assert_eq!(write(&storage, START + minute * 60_000).unwrap(), 2);
        }
        storage.flush().unwrap();
    }
    let of = |storage: &Storage| -> Vec<(String, u64)> {
        let sources = storage.status().sources.into_iter().filter(|s| s.series > 0);
        sources.map(|s| (s.name, s.series)).collect()
    };
    drop(storage);

    let storage = Storage::open(dir.path(), Options::default(), START).unwrap();
    assert_eq!(storage.head.warm_from(), START - WARM);
    assert_eq!(of(&storage), [("blocks".to_owned(), 2)]);
    for block in storage.blocks.all().iter() {
        std::fs::write(block.dir.join("chunks"), "nobody asks for it").unwrap();
    }
    let found = storage.select(&[], START - WARM, START).unwrap();
    for series in &found {
        let mut samples = Vec::new();
        series.read(START - WARM, START, &mut samples).unwrap();
        let minutes: Vec<i64> = samples.iter().map(|s| (s.at - START) / 60_000).collect();
        assert_eq!(minutes, (-15..0).collect::<Vec<i64>>());
    }
    assert_eq!(found.len(), 2);
    assert_eq!(write(&storage, START).unwrap(), 2);
    assert_eq!(of(&storage), [("x".to_owned(), 2)]);
}

#[test]
fn what_has_not_ended_is_told_of_the_source_that_sends_it() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), Options::default(), START).unwrap();
    let put = |source: &str, name: &str, at: i64, value: f64| {
        let mut appender = storage.appender(source, START);
        appender.add(&[("host", "h1"), ("name", name)], &[Sample { at, value }]);
        appender.commit().unwrap();
    };
    for (source, name) in [("h1", "a"), ("h1", "ended"), ("h1", "old"), ("rules", "ratio")] {
        put(source, name, START, 1.0);
    }
    put("h1", "a", START + 2, 2.0);
    put("h1", "ended", START + 2, STALE);
    put("rules", "ratio", START + 2, 2.0);
    let names = |source: &str, since: i64| -> Vec<(String, i64)> {
        let found = storage.unended(source, &[Matcher::equal("host", "h1")], since).unwrap();
        let name = |labels: crate::Labels| labels.get("name").to_owned();
        found.into_iter().map(|(labels, last)| (name(labels), last.at - START)).collect()
    };
    assert_eq!(names("h1", START + 1), [("a".to_owned(), 2)]);
    assert_eq!(names("h1", START).len(), 2, "the old one too");
    assert_eq!(names("rules", START), [("ratio".to_owned(), 2)]);
}

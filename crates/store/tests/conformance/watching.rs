//! The watch feed and the snapshot, while others write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atoll_store::{Expect, Store};

use crate::place::{Place, batch, put};

const WRITERS: usize = 4;
const COMMITS: usize = 40;

async fn write_some(store: Store, writer: usize) -> Vec<u64> {
    let mut revisions = Vec::new();
    for i in 0..COMMITS {
        let names = (0..=i % 4).map(|n| format!("w{writer}.{n}"));
        let writes = names.map(|name| put(&name, Expect::Any, "{}")).collect();
        revisions.extend(store.commit(batch(writes)).await.unwrap());
    }
    revisions
}

/// Reads all up to `last`, and fails at the first gap or repetition.
async fn watch(store: Store, last: u64) {
    let mut seen = 0;
    while seen < last {
        let changed = store.changed();
        let entries = store.since(seen, 7).await.unwrap();
        if entries.is_empty() {
            // A hint may be lost, so a poll follows.
            let _ = tokio::time::timeout(Duration::from_millis(200), changed).await;
        }
        for entry in entries {
            assert_eq!(entry.revision, seen + 1);
            seen = entry.revision;
        }
    }
}

pub async fn every_revision_is_seen_once(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    let total = (WRITERS * COMMITS / 4 * (1 + 2 + 3 + 4)) as u64;
    let watchers = [&one, &other].map(|store| tokio::spawn(watch(store.clone(), total)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|i| {
            let store = if i % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(write_some(store, i))
        })
        .collect();
    let mut told = Vec::new();
    for writer in writers {
        let revisions = writer.await.unwrap();
        assert!(revisions.is_sorted());
        told.extend(revisions);
    }
    for watcher in watchers {
        watcher.await.unwrap();
    }
    told.sort_unstable();
    assert_eq!(told, (1..=total).collect::<Vec<_>>());
    for revision in (0..=total).step_by(13) {
        let entries = one.since(revision, 5).await.unwrap();
        let revisions: Vec<_> = entries.iter().map(|entry| entry.revision).collect();
        let expected: Vec<_> = (revision + 1..=total.min(revision + 5)).collect();
        assert_eq!(revisions, expected);
    }
}

pub async fn a_snapshot_is_of_one_moment(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writer = tokio::spawn(async move {
        let mut round = 0_u64;
        // Each round writes one number into all; the numbers of a snapshot must be one.
        while !stopped.load(Ordering::Relaxed) {
            let body = round.to_string();
            let names = (0..10).map(|i| format!("h{i}"));
            let writes = names.map(|name| put(&name, Expect::Any, &body)).collect();
            one.commit(batch(writes)).await.unwrap();
            round += 1;
        }
        round
    });
    let mut rounds = std::collections::BTreeSet::new();
    while rounds.len() < 20 {
        let (revision, rows) = other.snapshot().await.unwrap();
        let Some(first) = rows.first() else { continue };
        assert_eq!(rows.len(), 10);
        assert!(rows.iter().all(|row| row.body == first.body), "{rows:?}");
        assert_eq!(rows.iter().map(|row| row.revision).max(), Some(revision));
        rounds.insert(revision);
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    assert_eq!(other.revision().await.unwrap(), written * 10);
}

pub async fn a_commit_wakes_whoever_waits(place: Place) {
    let store = place.open().await;
    for i in 0..20 {
        // Called before the commit, awaited after it: not missed.
        let changed = store.changed();
        store.commit(batch(vec![put("a", Expect::Any, &i.to_string())])).await.unwrap();
        let woken = tokio::time::timeout(Duration::from_secs(10), changed).await;
        assert!(woken.is_ok(), "the commit was not heard of");
    }
}

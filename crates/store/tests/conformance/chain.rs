//! The chain of records: whatever is changed, taken out or put elsewhere behind the store's back is
//! found, and pruning breaks nothing.

use atoll_store::{AuditFilter, Expect, RECORD, Store};

use crate::place::{Place, assert_sound, batch, contents, delete, keep, put, record};

/// Where the walk stops, if it does.
async fn fault(store: &Store) -> Option<u64> {
    store.verify().await.unwrap().fault.map(|fault| fault.revision)
}

/// Six writes, a deletion and a record among them.
async fn filled(place: &Place) -> Store {
    let store = place.open().await;
    for name in ["a", "b", "a"] {
        store.commit(batch(vec![put(name, Expect::Any, &format!("[\"{name}\"]"))])).await.unwrap();
    }
    store.commit(batch(vec![record("user/ann", "{\"what\":\"login\"}")])).await.unwrap();
    store.commit(batch(vec![delete("a", Expect::Any)])).await.unwrap();
    store.commit(batch(vec![put("c", Expect::Any, "[]")])).await.unwrap();
    store
}

pub async fn every_record_covers_the_one_before(place: Place) {
    let store = filled(&place).await;
    let walked = store.verify().await.unwrap();
    assert_eq!((walked.fault, walked.records, walked.revision), (None, 6, 6));
    let entries = store.since(0, 10).await.unwrap();
    assert_eq!(entries[5].hash, walked.head);
    assert!((0..5).all(|i| entries[i].hash != entries[i + 1].hash && entries[i].hash.len() == 64));
    // A record is of no object, and is found among the records.
    assert_eq!(entries[3].kind, RECORD);
    assert_eq!(contents(&store).await.len(), 2);
    let filter = AuditFilter { kind: Some(RECORD.to_owned()), limit: 9, ..AuditFilter::default() };
    assert_eq!(store.audit(filter).await.unwrap(), entries[3..4]);

    // Within one transaction too, and where what is deleted was only just made.
    let outcomes = store
        .commit_all(vec![
            batch(vec![put("d", Expect::Absent, "[1]"), record("x", "{}"), record("x", "{}")]),
            batch(vec![put("d", Expect::Any, "[2]"), delete("d", Expect::Any)]),
            batch(vec![delete("b", Expect::Any), put("b", Expect::Absent, "[9]")]),
            batch(vec![put("zz", Expect::Revision(1), "[]")]),
        ])
        .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_sound(&store).await;
}

pub async fn what_was_meddled_with_is_found(place: Place) {
    let same = |sql: &'static str| (sql, sql);
    let swap = "UPDATE history SET revision = -2 WHERE revision = 2;
        UPDATE history SET revision = 2 WHERE revision = 3;
        UPDATE history SET revision = 3 WHERE revision = -2";
    let cases = [
        (same("UPDATE history SET actor = 'user/bo' WHERE revision = 2"), 2),
        (same("UPDATE history SET body = '[]' WHERE revision = 3"), 3),
        (same("UPDATE history SET at = at - 1 WHERE revision = 4"), 4),
        (same("UPDATE history SET reasons = '[]' WHERE revision = 6"), 6),
        (same("UPDATE history SET name = 'b' WHERE revision = 5"), 5),
        (same("UPDATE history SET hash = '' WHERE revision = 1"), 1),
        (same("DELETE FROM history WHERE revision = 4"), 4),
        (same("DELETE FROM history WHERE revision = 6"), 6),
        (same(swap), 2),
        (same("UPDATE objects SET body = '[7]' WHERE name = 'b'"), 2),
        (same("DELETE FROM objects WHERE name = 'b'"), 2),
        (same("UPDATE counter SET hash = 'x'"), 6),
        (same("INSERT INTO gaps VALUES (9, 9, '', '')"), 9),
    ];
    for ((sqlite, postgres), revision) in cases {
        let place = place.another();
        let store = filled(&place).await;
        assert_eq!(fault(&store).await, None);
        place.meddle(sqlite, postgres).await;
        assert_eq!(fault(&store).await, Some(revision), "{sqlite}");
    }
}

pub async fn replicas_make_one_chain(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    let mut writers = Vec::new();
    for (i, store) in [&one, &other, &one, &other].into_iter().enumerate() {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            for round in 0..25 {
                let mut writes = vec![put(&format!("w{i}"), Expect::Any, &format!("[{round}]"))];
                if round % 5 == 4 {
                    writes.push(delete(&format!("w{i}"), Expect::Any));
                }
                let mut batch = batch(writes);
                batch.at = round;
                store.commit(batch).await.unwrap();
                if round % 10 == 9 {
                    // Both may prune at once; what one has taken the other does not find.
                    store.compact_history(keep(round - 5, 3)).await.unwrap();
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for store in [&one, &other] {
        let walked = store.verify().await.unwrap();
        assert_eq!(walked.fault, None);
        assert!(walked.pruned > 0 && walked.records + walked.pruned == walked.revision);
    }
}

/// Ten of one object, three of them kept; and one that lies before and one between.
async fn pruned(place: &Place) -> Store {
    let store = place.open().await;
    let commit = async |at, write| {
        let mut batch = batch(vec![write]);
        batch.at = at;
        store.commit(batch).await.unwrap();
    };
    commit(1, put("quiet", Expect::Any, "{}")).await;
    for at in 2..=6 {
        commit(at, put("busy", Expect::Any, &format!("[{at}]"))).await;
    }
    commit(7, put("still", Expect::Any, "{}")).await;
    for at in 8..=12 {
        commit(at, put("busy", Expect::Any, &format!("[{at}]"))).await;
    }
    assert_eq!(store.compact_history(keep(100, 3)).await.unwrap(), 7);
    store
}

pub async fn pruning_keeps_the_chain(place: Place) {
    let store = pruned(&place).await;
    let walked = store.verify().await.unwrap();
    assert_eq!((walked.fault, walked.records, walked.pruned), (None, 6, 7));
    store.commit(batch(vec![put("busy", Expect::Any, "[13]")])).await.unwrap();
    assert_eq!(store.compact_history(keep(100, 1)).await.unwrap(), 3);
    let walked = store.verify().await.unwrap();
    assert_eq!((walked.fault, walked.pruned), (None, 10));
    // Records are kept by their own age.
    store.commit(batch(vec![record("user/ann", "{}")])).await.unwrap();
    let mut later = keep(5_000, 1);
    later.records_after_ms = 900;
    store.compact_history(later).await.unwrap();
    assert_eq!(fault(&store).await, None);
    let filter = AuditFilter { kind: Some(RECORD.to_owned()), limit: 9, ..AuditFilter::default() };
    let names: Vec<String> =
        store.audit(filter).await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(names.contains(&"user/ann".to_owned()), "{names:?}");
    later.records_after_ms = 5_000;
    store.compact_history(later).await.unwrap();
    let walked = store.verify().await.unwrap();
    assert_eq!(walked.fault, None, "the newest pruning names the gaps even when it is old");
    assert_eq!(contents(&store).await.len(), 3);
}

pub async fn a_meddled_pruning_is_found(place: Place) {
    let cases = [
        // Hidden as if it had been pruned: the gaps are not those on record.
        (
            "DELETE FROM history WHERE revision = 7; UPDATE gaps SET to_revision = 7 WHERE from_revision = 2",
            8,
        ),
        ("UPDATE gaps SET to_hash = 'x' WHERE from_revision = 2", 7),
        ("UPDATE gaps SET from_hash = 'x' WHERE from_revision = 2", 2),
        ("DELETE FROM gaps WHERE from_revision = 8", 8),
        ("UPDATE history SET body = '[]' WHERE revision = 1", 1),
        ("UPDATE history SET body = '{}' WHERE name = 'pruned'", 13),
    ];
    for (sql, revision) in cases {
        let place = place.another();
        let store = pruned(&place).await;
        place.meddle(sql, sql).await;
        assert_eq!(fault(&store).await, Some(revision), "{sql}");
    }
}

pub async fn what_is_older_than_the_chain_is_not_judged(place: Place) {
    let store = filled(&place).await;
    // As a database is left by a version that knew no chain.
    let old = "UPDATE history SET hash = ''; UPDATE counter SET hash = '', chained = 6";
    place.meddle(old, old).await;
    store
        .commit(batch(vec![put("d", Expect::Any, "[]"), put("b", Expect::Any, "[2]")]))
        .await
        .unwrap();
    let walked = store.verify().await.unwrap();
    assert_eq!((walked.fault, walked.unchained, walked.records), (None, 6, 2));
    store.compact_history(keep(5_000, 1)).await.unwrap();
    let walked = store.verify().await.unwrap();
    assert_eq!((walked.fault, walked.pruned), (None, 0));
}

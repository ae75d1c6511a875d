//! Reading: pages, history, audit, compaction; and opening.

use atoll_store::{AuditFilter, Error, Expect};

use crate::place::{Place, assert_sound, batch, contents, delete, keep, put, record};

pub async fn history_and_at_revision(place: Place) {
    let store = place.open().await;
    for (at, name) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
        let mut batch = batch(vec![put(name, Expect::Any, &format!("[{at}]"))]);
        batch.at = at * 1_000;
        batch.actor = format!("user/{at}");
        store.commit(batch).await.unwrap();
    }
    let as_of = async |at| {
        let mut rows = store.as_of(at).await.unwrap();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows.into_iter().map(|row| (row.name, row.revision, row.body)).collect::<Vec<_>>()
    };
    let row = |name: &str, revision, body: &str| (name.to_owned(), revision, body.to_owned());
    assert_eq!(as_of(2_500).await, [row("a", 1, "[1]"), row("b", 2, "[2]")]);
    assert_eq!(as_of(9_000).await, [row("a", 4, "[4]"), row("b", 2, "[2]")]);
    assert_eq!(as_of(999).await, []);
    store.commit(batch(vec![delete("a", Expect::Revision(4))])).await.unwrap();
    store.commit(batch(vec![record("user/ann", "{}")])).await.unwrap();
    assert_eq!(as_of(9_000).await, [row("b", 2, "[2]")], "what was deleted is not there");

    let all = store.history("Host", "a", None, 10).await.unwrap();
    let revisions: Vec<_> = all.iter().map(|entry| entry.revision).collect();
    assert_eq!(revisions, [5, 4, 3, 1]);
    assert_eq!((all[1].at, &*all[1].actor, &*all[1].body), (4_000, "user/4", "[4]"));
    assert_eq!(all[1].reasons, r#"[{"code":"asked"}]"#);
    assert!(all[0].deleted && all[0].body == "[4]", "a deletion keeps the last body");
    let page = store.history("Host", "a", Some(4), 1).await.unwrap();
    assert!(page.len() == 1 && page[0].revision == 3, "{page:?}");

    let then = async |revision| store.at_revision("Host", "a", revision).await.unwrap();
    assert!(then(0).await.is_none());
    assert_eq!(then(2).await.unwrap().revision, 1);
    assert_eq!(then(4).await.unwrap().revision, 4);
    assert!(then(u64::MAX).await.unwrap().deleted);
    assert!(store.at_revision("Host", "zz", 9).await.unwrap().is_none());
    assert_eq!(store.last_at().await.unwrap(), Some(1_000), "of the newest write, not the latest");
}

pub async fn an_audit_is_filtered(place: Place) {
    let store = place.open().await;
    assert!(store.last_at().await.unwrap().is_none());
    for at in 1..=20 {
        let mut batch = batch(vec![put("a", Expect::Any, "{}")]);
        batch.at = at;
        batch.actor = if at % 5 == 0 { "user/bo" } else { "user/ann" }.to_owned();
        store.commit(batch).await.unwrap();
    }
    let audit = async |actor: Option<&str>, since_ms, limit| {
        let filter = AuditFilter { actor: actor.map(str::to_owned), kind: None, since_ms, limit };
        let entries = store.audit(filter).await.unwrap();
        entries.into_iter().map(|entry| entry.at).collect::<Vec<_>>()
    };
    assert_eq!(audit(None, None, 3).await, [20, 19, 18]);
    assert_eq!(audit(None, Some(18), 10).await, [20, 19, 18]);
    assert_eq!(audit(Some("user/bo"), None, 10).await, [20, 15, 10, 5]);
    assert_eq!(audit(Some("user/bo"), Some(10), 2).await, [20, 15]);
    assert!(audit(Some("user/cy"), None, 10).await.is_empty());
}

pub async fn compaction_bounds_history(place: Place) {
    let store = place.open().await;
    let commit = async |at, write| {
        let mut batch = batch(vec![write]);
        batch.at = at;
        store.commit(batch).await.unwrap()[0]
    };
    for at in 1..=10 {
        commit(at, put("busy", Expect::Any, &format!("[{at}]"))).await;
    }
    commit(11, put("quiet", Expect::Any, "{}")).await;
    commit(12, put("gone", Expect::Any, "{}")).await;
    commit(13, delete("gone", Expect::Any)).await;
    commit(14, put("gone lately", Expect::Any, "{}")).await;
    commit(100, delete("gone lately", Expect::Any)).await;
    commit(101, put("busy", Expect::Any, "[101]")).await;

    // Of the old: seven of eleven of the busy one, and those of what is gone.
    assert_eq!(store.compact_history(keep(50, 4)).await.unwrap(), 7 + 2 + 1);
    let kept = async |name| {
        let entries = store.history("Host", name, None, 100).await.unwrap();
        entries.into_iter().map(|entry| entry.revision).collect::<Vec<_>>()
    };
    assert_eq!(kept("busy").await, [16, 10, 9, 8]);
    assert_eq!(kept("quiet").await, [11]);
    assert!(kept("gone").await.is_empty());
    assert_eq!(kept("gone lately").await, [15]);

    // Whoever might have missed something is told so, and nobody else.
    let early = store.since(13, 100).await;
    assert!(matches!(early, Err(Error::Compacted { asked: 13, oldest: 14 })), "{early:?}");
    assert_eq!(store.since(14, 100).await.unwrap().len(), 3, "the pruning is on record");
    assert!(store.since(17, 100).await.unwrap().is_empty());
    assert_eq!(store.compact_history(keep(50, 4)).await.unwrap(), 0);

    // Even "none" leaves what lives its newest.
    store.compact_history(keep(1_000, 0)).await.unwrap();
    assert_eq!(kept("busy").await, [16]);
    assert_eq!(kept("quiet").await, [11]);
    assert_eq!(contents(&store).await.len(), 2);
    assert_eq!(commit(102, put("new", Expect::Absent, "{}")).await, 19);
}

pub async fn names_are_in_byte_order(place: Place) {
    let store = place.open().await;
    let names = ["a", "a-b", "a.b", "aB", "a_b", "ab", "b", "Z", "é", "0"];
    let writes = names.iter().map(|name| put(name, Expect::Absent, "{}")).collect();
    store.commit(batch(writes)).await.unwrap();
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let listed = store.list("Host", None, 100).await.unwrap();
    assert_eq!(listed.iter().map(|row| &*row.name).collect::<Vec<_>>(), sorted);
    let page = store.list("Host", Some("a.b"), 3).await.unwrap();
    assert_eq!(page.iter().map(|row| &*row.name).collect::<Vec<_>>(), ["aB", "a_b", "ab"]);
    assert!(store.list("Zone", None, 100).await.unwrap().is_empty());
}

pub async fn a_hundred_thousand_objects(place: Place) {
    let store = place.open().await;
    let name = |i: usize| format!("host-{i:06}");
    let body = format!(r#"{{"spec":"{}"}}"#, "s".repeat(100));
    for start in (0..100_000).step_by(5_000) {
        let writes = (start..start + 5_000).map(|i| put(&name(i), Expect::Absent, &body));
        let revisions = store.commit(batch(writes.collect())).await.unwrap();
        assert_eq!(revisions.first().copied(), Some(start as u64 + 1));
        assert_eq!(revisions.len(), 5_000);
    }
    let again = vec![put("another", Expect::Absent, "{}"), put(&name(4), Expect::Absent, &body)];
    assert!(store.commit(batch(again)).await.is_err());
    let (revision, rows) = store.snapshot().await.unwrap();
    assert_eq!((revision, rows.len()), (100_000, 100_000));
    let mut after: Option<String> = None;
    let mut seen = 0;
    loop {
        let page = store.list("Host", after.as_deref(), 7_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        for row in page {
            assert_eq!((row.name, row.revision), (name(seen), seen as u64 + 1));
            seen += 1;
        }
    }
    assert_eq!(seen, 100_000);
    assert_sound(&store).await;
}

pub async fn two_may_open_an_empty_database_at_once(place: Place) {
    let (one, other) = tokio::join!(place.open(), place.open());
    assert_eq!(one.commit(batch(vec![put("a", Expect::Absent, "{}")])).await.unwrap(), [1]);
    assert_eq!(other.commit(batch(vec![put("b", Expect::Absent, "{}")])).await.unwrap(), [2]);
    drop((one, other));
    let again = place.open().await;
    assert_eq!(again.revision().await.unwrap(), 2);
    assert_sound(&again).await;
    // They meet at another moment every time.
    for _ in 0..20 {
        let place = place.another();
        let _both = tokio::join!(place.open(), place.open());
    }
}

pub async fn a_newer_schema_is_refused(place: Place) {
    drop(place.open().await);
    place.meddle("PRAGMA user_version = 99", "INSERT INTO schema_version VALUES (99)").await;
    let refused = place.try_open().await.err().expect("it must not open").to_string();
    assert!(refused.contains("newer"), "{refused}");
}

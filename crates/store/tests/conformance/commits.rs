//! Committing: expectations, atomicity, what concurrent committers do to each other.

use std::time::Duration;

use atoll_store::{CommitError, Expect};

use crate::place::{Place, assert_sound, batch, contents, delete, is_conflict, put};

pub async fn expectations_are_checked(place: Place) {
    let store = place.open().await;
    assert_eq!(store.revision().await.unwrap(), 0);
    let created = store.commit(batch(vec![put("a", Expect::Absent, "{}")])).await.unwrap();
    assert_eq!(created, [1]);

    let again = store.commit(batch(vec![put("a", Expect::Absent, "{}")])).await;
    assert!(is_conflict(&again, "a", Some(1)), "{again:?}");
    let stale = store.commit(batch(vec![put("a", Expect::Revision(7), "{}")])).await;
    assert!(is_conflict(&stale, "a", Some(1)), "{stale:?}");
    let missing = store.commit(batch(vec![put("b", Expect::Revision(1), "{}")])).await;
    assert!(is_conflict(&missing, "b", None), "{missing:?}");
    let text = missing.unwrap_err().to_string();
    assert!(text.contains("Host/b") && text.contains("revision 1"), "{text}");

    let right = store.commit(batch(vec![put("a", Expect::Revision(1), "[2]")])).await.unwrap();
    assert_eq!(right, [2]);
    let any = store.commit(batch(vec![put("a", Expect::Any, "[3]")])).await.unwrap();
    assert_eq!(any, [3]);
    assert_eq!(store.get("Host", "a").await.unwrap().unwrap().body, "[3]");
    assert!(store.get("Zone", "a").await.unwrap().is_none());
    assert!(store.commit(batch(vec![])).await.unwrap().is_empty());
    assert_sound(&store).await;
}

pub async fn a_batch_is_all_or_nothing(place: Place) {
    let store = place.open().await;
    let first = vec![put("a", Expect::Absent, "[1]"), put("b", Expect::Absent, "[1]")];
    assert_eq!(store.commit(batch(first)).await.unwrap(), [1, 2]);
    let bad = store.commit(batch(vec![
        put("a", Expect::Any, "[2]"),
        delete("b", Expect::Revision(2)),
        put("c", Expect::Absent, "[2]"),
        put("d", Expect::Revision(9), "[2]"),
    ]));
    assert!(is_conflict(&bad.await, "d", None));
    let unchanged = [("a".to_owned(), "[1]".to_owned()), ("b".to_owned(), "[1]".to_owned())];
    assert_eq!(contents(&store).await, unchanged);
    assert_eq!(store.revision().await.unwrap(), 2);
    // The revisions the refused batch might have had are not lost.
    assert_eq!(store.commit(batch(vec![put("c", Expect::Any, "[3]")])).await.unwrap(), [3]);
    assert_sound(&store).await;
}

pub async fn a_later_write_sees_an_earlier_one(place: Place) {
    let store = place.open().await;
    let revisions = store.commit(batch(vec![
        put("a", Expect::Absent, "[1]"),
        put("a", Expect::Revision(1), "[2]"),
        delete("a", Expect::Revision(2)),
        put("a", Expect::Absent, "[4]"),
        put("b", Expect::Absent, "[5]"),
    ]));
    assert_eq!(revisions.await.unwrap(), [1, 2, 3, 4, 5]);
    let entries = store.history("Host", "a", None, 10).await.unwrap();
    let told: Vec<_> = entries.iter().map(|e| (e.revision, e.deleted, e.body.as_str())).collect();
    assert_eq!(told, [(4, false, "[4]"), (3, true, "[2]"), (2, false, "[2]"), (1, false, "[1]")]);
    assert_sound(&store).await;
}

pub async fn deleting_needs_something_to_delete(place: Place) {
    let store = place.open().await;
    let nothing = store.commit(batch(vec![delete("a", Expect::Any)])).await;
    assert!(is_conflict(&nothing, "a", None), "{nothing:?}");
    store.commit(batch(vec![put("a", Expect::Absent, "[1]")])).await.unwrap();
    let stale = store.commit(batch(vec![delete("a", Expect::Revision(9))])).await;
    assert!(is_conflict(&stale, "a", Some(1)), "{stale:?}");
    assert_eq!(store.commit(batch(vec![delete("a", Expect::Revision(1))])).await.unwrap(), [2]);
    assert!(store.get("Host", "a").await.unwrap().is_none());
    assert_eq!(store.commit(batch(vec![put("a", Expect::Absent, "[3]")])).await.unwrap(), [3]);
    assert_sound(&store).await;
}

pub async fn one_bad_batch_of_three(place: Place) {
    let store = place.open().await;
    let outcomes = store
        .commit_all(vec![
            batch(vec![put("a", Expect::Absent, "[1]"), put("b", Expect::Absent, "[1]")]),
            batch(vec![put("c", Expect::Absent, "[2]"), put("a", Expect::Absent, "[2]")]),
            // It sees the first, and nothing of the second.
            batch(vec![put("a", Expect::Revision(1), "[3]"), put("c", Expect::Absent, "[3]")]),
        ])
        .await;
    assert_eq!(outcomes.len(), 3);
    assert_eq!(outcomes[0].as_deref().unwrap(), [1, 2]);
    assert!(is_conflict(&outcomes[1], "a", Some(1)), "{:?}", outcomes[1]);
    assert_eq!(outcomes[2].as_deref().unwrap(), [3, 4]);
    assert_sound(&store).await;
    assert!(store.commit_all(vec![]).await.is_empty());
}

pub async fn awkward_texts_come_back_as_they_were(place: Place) {
    let store = place.open().await;
    let long = format!("\"{}\"", "x".repeat(3_000_000));
    let bodies = ["{\"a\":\"ü ' \\u0000 $1 \u{1F600}\"}", "", &long];
    for body in bodies {
        let mut awkward = batch(vec![put("it's \"a\", {b}", Expect::Any, body)]);
        awkward.actor = "user/o'hara \\ ${x}".to_owned();
        let revision = store.commit(awkward).await.unwrap()[0];
        let row = store.get("Host", "it's \"a\", {b}").await.unwrap().unwrap();
        assert!(row.body == body && row.revision == revision);
        let entry = store.since(revision - 1, 1).await.unwrap().remove(0);
        assert!(entry.body == body && entry.actor == "user/o'hara \\ ${x}");
    }
    let outcomes = store.commit_all(vec![
        batch(vec![put("a", Expect::Any, "\0")]),
        batch(vec![put("b", Expect::Any, "{}")]),
    ]);
    let outcomes = outcomes.await;
    assert!(matches!(outcomes[0], Err(CommitError::Other(_))), "{:?}", outcomes[0]);
    assert_eq!(outcomes[1].as_deref().unwrap(), [4]);
    assert_sound(&store).await;
}

pub async fn commits_whose_callers_left_are_whole(place: Place) {
    let store = place.open().await;
    for round in 0..100 {
        let names: Vec<_> = (0..5).map(|i| format!("round{round}.{i}")).collect();
        let writes = names.iter().map(|name| put(name, Expect::Absent, "{}")).collect();
        let patience = Duration::from_micros(50 * round);
        // The caller leaves at some point between before and after.
        let _ = tokio::time::timeout(patience, store.commit(batch(writes))).await;
    }
    store.commit(batch(vec![put("last", Expect::Absent, "{}")])).await.unwrap();
    let names = contents(&store).await.into_iter().map(|(name, _)| name);
    let rounds: Vec<_> = names.filter(|name| name != "last").collect();
    assert_eq!(rounds.len() % 5, 0, "part of a batch was committed");
    for part in rounds.chunks(5) {
        let round = |name: &str| name.split('.').next().unwrap().to_owned();
        assert!(part.iter().all(|name| round(name) == round(&part[0])), "{part:?}");
    }
    assert_sound(&store).await;
}

pub async fn concurrent_changes_of_one_object_are_not_lost(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    one.commit(batch(vec![put("counter", Expect::Absent, "0")])).await.unwrap();
    let mut adders = Vec::new();
    for store in [&one, &one, &other, &other] {
        let store = store.clone();
        adders.push(tokio::spawn(async move {
            let mut refused = 0;
            for _ in 0..25 {
                loop {
                    let row = store.get("Host", "counter").await.unwrap().unwrap();
                    let more = (row.body.parse::<u64>().unwrap() + 1).to_string();
                    let write = put("counter", Expect::Revision(row.revision), &more);
                    match store.commit(batch(vec![write])).await {
                        Ok(_) => break,
                        Err(CommitError::Conflict { .. }) => refused += 1,
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            refused
        }));
    }
    for adder in adders {
        adder.await.unwrap();
    }
    assert_eq!(one.get("Host", "counter").await.unwrap().unwrap().body, "100");
    assert_sound(&one).await;
}

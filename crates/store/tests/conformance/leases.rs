//! Leases, fences, replicas and blobs.

use atoll_store::{CommitError, Epoch, Expect};

use crate::place::{Place, batch, put, until};

const LONG: i64 = 60_000;

pub async fn a_lease_is_taken_renewed_and_taken_over(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    let taken = one.acquire_lease("controllers", "r1", LONG).await.unwrap();
    assert!(taken.held_by_us && taken.epoch == Epoch(1) && taken.holder == "r1", "{taken:?}");
    let refused = other.acquire_lease("controllers", "r2", LONG).await.unwrap();
    assert!(!refused.held_by_us && refused.epoch == Epoch(1), "{refused:?}");
    assert_eq!(refused.holder, "r1");
    assert!(refused.expires_in_ms > LONG / 2 && refused.expires_in_ms <= LONG, "{refused:?}");
    let apart = other.acquire_lease("another", "r2", LONG).await.unwrap();
    assert!(apart.held_by_us && apart.epoch == Epoch(1));

    // Renewed for a moment only: the other takes over once it has run out.
    let renewed = one.acquire_lease("controllers", "r1", 1).await.unwrap();
    assert!(renewed.held_by_us && renewed.epoch == Epoch(1), "{renewed:?}");
    until(async || {
        let lease = other.acquire_lease("controllers", "r2", LONG).await.unwrap();
        lease.held_by_us && lease.epoch == Epoch(2)
    })
    .await;
    let deposed = one.acquire_lease("controllers", "r1", LONG).await.unwrap();
    assert!(!deposed.held_by_us && deposed.holder == "r2", "{deposed:?}");

    one.release_lease("controllers", "r1").await.unwrap();
    assert!(!one.acquire_lease("controllers", "r1", LONG).await.unwrap().held_by_us);
    other.release_lease("controllers", "r2").await.unwrap();
    let freed = one.acquire_lease("controllers", "r1", LONG).await.unwrap();
    assert!(freed.held_by_us && freed.epoch == Epoch(3), "{freed:?}");

    // Of many who want it at once, one gets it.
    one.release_lease("controllers", "r1").await.unwrap();
    let contenders = (0..16).map(|i| {
        let store = if i % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move {
            let name = format!("c{i}");
            store.acquire_lease("controllers", &name, LONG).await.unwrap().held_by_us
        })
    });
    let mut winners = 0;
    for contender in contenders.collect::<Vec<_>>() {
        winners += usize::from(contender.await.unwrap());
    }
    assert_eq!(winners, 1);
}

pub async fn a_deposed_leader_cannot_write(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    let fenced = |epoch: u64, name: &str| {
        let mut batch = batch(vec![put(name, Expect::Any, "{}")]);
        batch.fence = Some(Epoch(epoch));
        batch
    };
    let early = one.commit(fenced(1, "early")).await;
    assert!(
        matches!(early, Err(CommitError::Fenced { held: Epoch(1), current: Epoch(0) })),
        "{early:?}"
    );
    let held = one.acquire_lease("controllers", "r1", LONG).await.unwrap().epoch;
    assert_eq!(one.commit(fenced(held.0, "a")).await.unwrap(), [1]);
    one.release_lease("controllers", "r1").await.unwrap();
    let taken = other.acquire_lease("controllers", "r2", LONG).await.unwrap();
    assert!(taken.held_by_us && taken.epoch > held);
    let deposed = one.commit(fenced(held.0, "b")).await;
    assert!(
        matches!(deposed, Err(CommitError::Fenced { held: h, current })
            if h == held && current == taken.epoch),
        "{deposed:?}"
    );
    // In a group each batch has its own fence, and none is no fence.
    let group = vec![
        fenced(held.0, "c"),
        fenced(taken.epoch.0, "d"),
        batch(vec![put("e", Expect::Any, "{}")]),
    ];
    let outcomes = one.commit_all(group).await;
    assert!(matches!(outcomes[0], Err(CommitError::Fenced { .. })), "{:?}", outcomes[0]);
    assert_eq!(outcomes[1].as_deref().unwrap(), [2]);
    assert_eq!(outcomes[2].as_deref().unwrap(), [3]);
}

pub async fn replicas_check_in(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    one.check_in("r1", "http://10.0.0.1:7411", r#"{"h0":12}"#.to_owned()).await.unwrap();
    other.check_in("r2", "http://10.0.0.2:7411", "{}".to_owned()).await.unwrap();
    one.check_in("r1", "http://10.0.0.9:7411", r#"{"h0":7}"#.to_owned()).await.unwrap();
    let replicas = other.replicas(60_000).await.unwrap();
    let told: Vec<_> = replicas.iter().map(|r| (&*r.id, &*r.address, &*r.heard)).collect();
    let expected =
        [("r1", "http://10.0.0.9:7411", r#"{"h0":7}"#), ("r2", "http://10.0.0.2:7411", "{}")];
    assert_eq!(told, expected);
    assert!(replicas.iter().all(|r| (0..60_000).contains(&r.age_ms)), "{replicas:?}");
    let older = "UPDATE replicas SET at = at - 3600000 WHERE id = 'r1'";
    place.meddle(older, older).await;
    let recent = other.replicas(60_000).await.unwrap();
    assert!(recent.len() == 1 && recent[0].id == "r2", "{recent:?}");
    assert_eq!(other.replicas(7_200_000).await.unwrap().len(), 2);
    let forgotten = "UPDATE replicas SET at = at - 86400000 WHERE id = 'r1'";
    place.meddle(forgotten, forgotten).await;
    other.check_in("r2", "http://10.0.0.2:7411", "{}".to_owned()).await.unwrap();
    assert_eq!(other.replicas(1_000_000_000).await.unwrap().len(), 1);
}

pub async fn blobs_are_kept_by_their_digests(place: Place) {
    let store = place.open().await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    store.put_blob("d1", &bytes).await.unwrap();
    store.put_blob("d2", &[]).await.unwrap();
    store.put_blob("d1", b"the first stays").await.unwrap();
    assert!(store.get_blob("d1").await.unwrap().unwrap() == bytes);
    assert_eq!(store.get_blob("d2").await.unwrap().unwrap(), b"");
    assert!(store.get_blob("d3").await.unwrap().is_none());
    let asked = ["d9", "d1", "d3", "d2"].map(str::to_owned).to_vec();
    assert_eq!(store.has_blobs(asked).await.unwrap(), ["d9", "d3"]);
    assert_eq!(store.list_blobs().await.unwrap(), ["d1", "d2"]);
    store.delete_blobs(vec!["d1".to_owned(), "d9".to_owned()]).await.unwrap();
    assert_eq!(store.list_blobs().await.unwrap(), ["d2"]);
    assert!(store.has_blobs(vec![]).await.unwrap().is_empty());
    assert_eq!(store.revision().await.unwrap(), 0, "blobs are no objects");
}

//! What only a database at the other end of a connection does: go away, come back, refuse.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use atoll_store::{CommitError, Epoch, Expect, Store};
use tokio_postgres::Client;

use crate::cluster::Cluster;
use crate::place::{Place, assert_sound, batch, connect, contents, put, until, within};

/// A database, a store on it, and a connection of the test's own.
async fn opened() -> (Place, Store, Client) {
    let place = Place::postgres();
    let store = place.open().await;
    let client = beside(&place).await;
    (place, store, client)
}

/// A second connection of the test's own: one in a transaction sees no news of the others.
async fn beside(place: &Place) -> Client {
    let Place::Postgres { url, .. } = place else { panic!("it is PostgreSQL") };
    connect(url).await
}

/// Waits until a connection of the store waits for a lock, running a statement like this.
async fn until_blocked(client: &Client, statement: &str) {
    let blocked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'atoll'
        AND datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1";
    until(async || {
        let count: i64 = client.query_one(blocked, &[&statement]).await.unwrap().get(0);
        count == 1
    })
    .await;
}

const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'atoll' AND datname = current_database()";

#[tokio::test]
async fn a_connection_cut_in_mid_batch_leaves_nothing_of_it() {
    let (place, store, mut client) = opened().await;
    let watcher = beside(&place).await;
    let first = vec![put("a", Expect::Absent, "[1]"), put("b", Expect::Absent, "[1]")];
    store.commit(batch(first)).await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.execute("SELECT 1 FROM objects WHERE name = 'b' FOR UPDATE", &[]).await.unwrap();
    let blocked = store.clone();
    let names = ["x", "a", "y", "b", "z"];
    let second = move || names.map(|name| put(name, Expect::Any, "[2]")).to_vec();
    let cut = tokio::spawn(async move { blocked.commit(batch(second())).await });
    // It has entered the history and written some of the objects by now.
    until_blocked(&watcher, "WITH written%").await;
    watcher.execute(CUT, &[]).await.unwrap();
    let outcome = within(cut).await.unwrap();
    assert!(matches!(outcome, Err(CommitError::Unavailable(_))), "{outcome:?}");
    lock.rollback().await.unwrap();

    assert_eq!(store.revision().await.unwrap(), 2);
    let unchanged = [("a".to_owned(), "[1]".to_owned()), ("b".to_owned(), "[1]".to_owned())];
    assert_eq!(contents(&store).await, unchanged);
    assert_eq!(store.commit(batch(second())).await.unwrap(), [3, 4, 5, 6, 7]);
    assert_sound(&store).await;
}

#[tokio::test]
async fn connections_cut_at_rest_are_replaced() {
    let (_place, store, client) = opened().await;
    for round in 0..5 {
        let cut: i64 = client.query_one(CUT, &[]).await.unwrap().get(0);
        assert!(cut >= 1);
        let next = batch(vec![put("a", Expect::Any, &round.to_string())]);
        assert_eq!(store.commit(next).await.unwrap(), [round + 1], "not even one is lost");
    }
    assert_sound(&store).await;
}

#[tokio::test]
async fn a_lease_being_taken_holds_back_its_old_holders_writes() {
    let (place, store, mut client) = opened().await;
    let watcher = beside(&place).await;
    store.acquire_lease("controllers", "r1", 60_000).await.unwrap();
    let taking = client.transaction().await.unwrap();
    let take = "UPDATE leases SET epoch = epoch + 1, holder = 'r2' WHERE name = 'controllers'";
    taking.execute(take, &[]).await.unwrap();
    let mut fenced = batch(vec![put("a", Expect::Any, "{}")]);
    fenced.fence = Some(Epoch(1));
    let old = store.clone();
    let old = tokio::spawn(async move { old.commit(fenced).await });
    until_blocked(&watcher, "SELECT epoch%").await;
    taking.commit().await.unwrap();
    let outcome = within(old).await.unwrap();
    assert!(
        matches!(outcome, Err(CommitError::Fenced { held: Epoch(1), current: Epoch(2) })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_the_database_refuses_is_refused_alone() {
    let (_place, store, client) = opened().await;
    client
        .batch_execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full';
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON objects FOR EACH ROW
                 WHEN (NEW.name = 'large') EXECUTE FUNCTION refuse();",
        )
        .await
        .unwrap();
    let one = |name| batch(vec![put(name, Expect::Absent, "{}")]);
    let mixed = batch(vec![put("b", Expect::Absent, "{}"), put("large", Expect::Absent, "{}")]);
    let outcomes = store.commit_all(vec![one("a"), mixed.clone(), one("b")]).await;
    assert_eq!(outcomes[0].as_deref().unwrap(), [1]);
    assert!(matches!(outcomes[1], Err(CommitError::Full)), "{:?}", outcomes[1]);
    assert_eq!(outcomes[2].as_deref().unwrap(), [2]);
    client.batch_execute("DROP TRIGGER refuse ON objects").await.unwrap();
    assert_eq!(store.commit(one("large")).await.unwrap(), [3]);
    assert_sound(&store).await;
}

#[tokio::test]
async fn another_replica_hears_of_a_commit() {
    let (place, store, client) = opened().await;
    let other = place.open().await;
    for round in 0..3 {
        // The listening connection is cut too; it is made again by itself.
        until(async || {
            let listening = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND query LIKE '%pg_backend_pid%'
                AND application_name = 'atoll'";
            client.query_one(listening, &[]).await.unwrap().get::<_, i64>(0) == 2
        })
        .await;
        let heard = other.changed();
        store.commit(batch(vec![put("a", Expect::Any, &round.to_string())])).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(20), heard).await;
        assert!(heard.is_ok(), "the other replica heard nothing");
        client.execute(CUT, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_an_error() {
    let nowhere = Store::open_postgres("postgres://atoll@127.0.0.1:1/none").await.err().unwrap();
    assert!(matches!(nowhere, atoll_store::Error::Unavailable(_)), "{nowhere:?}");
    let nonsense = Store::open_postgres("postgres://atoll@:x:y/").await.err().unwrap();
    assert!(matches!(nonsense, atoll_store::Error::Other(_)), "{nonsense:?}");
}

/// What the writers of a test were told.
#[derive(Default)]
struct Told {
    acknowledged: AtomicUsize,
    unavailable: AtomicUsize,
    stop: AtomicBool,
}

/// Commits one new object after another, and remembers what was acknowledged.
async fn write_on(store: Store, writer: usize, told: Arc<Told>) -> BTreeMap<u64, String> {
    let mut kept = BTreeMap::new();
    let mut number = 0;
    while !told.stop.load(Ordering::Relaxed) {
        number += 1;
        let name = format!("w{writer}.{number:06}");
        let twin = format!("{name}.twin");
        let writes = vec![put(&name, Expect::Absent, "{}"), put(&twin, Expect::Absent, "{}")];
        match store.commit(batch(writes)).await {
            Ok(revisions) => {
                kept.insert(revisions[0], name);
                kept.insert(revisions[1], twin);
                told.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err(CommitError::Unavailable(_)) => {
                told.unavailable.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_restarted_under_writers_loses_nothing() {
    within(async {
        let cluster = Arc::new(Cluster::start());
        let place = Place::on(Arc::clone(&cluster));
        let stores = [place.open().await, place.open().await];
        let told = Arc::new(Told::default());
        let writers: Vec<_> = (0..4)
            .map(|i| tokio::spawn(write_on(stores[i % 2].clone(), i, Arc::clone(&told))))
            .collect();
        for _ in 0..2 {
            let before = told.acknowledged.load(Ordering::Relaxed);
            until(async || told.acknowledged.load(Ordering::Relaxed) >= before + 50).await;
            let refused = told.unavailable.load(Ordering::Relaxed);
            let stopping = Arc::clone(&cluster);
            tokio::task::spawn_blocking(move || stopping.crash()).await.unwrap();
            until(async || told.unavailable.load(Ordering::Relaxed) >= refused + 4).await;
            assert!(stores[0].snapshot().await.is_err());
            let starting = Arc::clone(&cluster);
            tokio::task::spawn_blocking(move || starting.resume()).await.unwrap();
        }
        let before = told.acknowledged.load(Ordering::Relaxed);
        until(async || told.acknowledged.load(Ordering::Relaxed) >= before + 50).await;
        told.stop.store(true, Ordering::Relaxed);

        let entries = stores[1].since(0, usize::MAX).await.unwrap();
        let stored: BTreeMap<_, _> = entries.into_iter().map(|e| (e.revision, e.name)).collect();
        for writer in writers {
            for (revision, name) in writer.await.unwrap() {
                // The last may have been acknowledged after the history was read.
                let found = stored.get(&revision).cloned();
                let found = match found {
                    Some(found) => found,
                    None => stores[0].since(revision - 1, 1).await.unwrap().remove(0).name,
                };
                assert_eq!(found, name, "revision {revision} was acknowledged to its writer");
            }
        }
        let names: Vec<_> = contents(&stores[0]).await.into_iter().map(|(name, _)| name).collect();
        assert!(names.chunks(2).all(|pair| pair[1] == format!("{}.twin", pair[0])));
        assert_sound(&stores[1]).await;
    })
    .await;
}

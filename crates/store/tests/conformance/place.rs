//! Where a test's database is, and short ways to say what the tests say often.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_store::{Batch, Change, CommitError, Expect, RECORD, Retention, Row, Store, Write};

use crate::cluster::Cluster;

/// An empty database, which may be opened more than once.
pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres { _cluster: Arc<Cluster>, url: String },
}

impl Place {
    pub fn sqlite() -> Place {
        Place::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn postgres() -> Place {
        Place::on(Cluster::shared())
    }

    pub fn on(cluster: Arc<Cluster>) -> Place {
        let url = cluster.create_database();
        Place::Postgres { _cluster: cluster, url }
    }

    pub async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> atoll_store::Result<Store> {
        match self {
            Place::Sqlite(dir) => Store::open_sqlite(dir.path()).await,
            Place::Postgres { url, .. } => Store::open_postgres(url).await,
        }
    }

    /// An empty database of the same kind.
    pub fn another(&self) -> Place {
        match self {
            Place::Sqlite(_) => Place::sqlite(),
            Place::Postgres { _cluster, .. } => Place::on(_cluster.clone()),
        }
    }

    /// Runs a statement behind the store's back.
    pub async fn meddle(&self, sqlite: &str, postgres: &str) {
        match self {
            Place::Sqlite(dir) => {
                let path = dir.path().join("atoll.db");
                rusqlite::Connection::open(path).unwrap().execute_batch(sqlite).unwrap();
            }
            Place::Postgres { url, .. } => {
                connect(url).await.batch_execute(postgres).await.unwrap()
            }
        }
    }
}

/// A connection of the test's own.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Bounds a test: one that hangs fails.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(180), test).await.expect("the test hangs")
}

/// Looks until it is so, for at most half a minute.
pub async fn until(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..3_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not become so");
}

pub fn put(name: &str, expect: Expect, body: &str) -> Write {
    write(name, expect, Change::Put(body.to_owned()))
}

pub fn delete(name: &str, expect: Expect) -> Write {
    write(name, expect, Change::Delete)
}

fn write(name: &str, expect: Expect, change: Change) -> Write {
    Write { kind: "Host".to_owned(), name: name.to_owned(), expect, reasons: None, change }
}

/// Something that is to be known and is of no object.
pub fn record(name: &str, body: &str) -> Write {
    let change = Change::Record(body.to_owned());
    Write {
        kind: RECORD.to_owned(),
        name: name.to_owned(),
        expect: Expect::Any,
        reasons: None,
        change,
    }
}

/// Entries after a time, and so many of each object.
pub fn keep(after_ms: i64, per_object: u32) -> Retention {
    Retention { after_ms, per_object, records_after_ms: after_ms, now_ms: 2_000 }
}

pub fn batch(writes: Vec<Write>) -> Batch {
    Batch {
        writes,
        actor: "user/ann".to_owned(),
        intent: "test".to_owned(),
        reasons: r#"[{"code":"asked"}]"#.to_owned(),
        at: 1_000,
        fence: None,
    }
}

/// Names and bodies of all objects, by name.
pub async fn contents(store: &Store) -> Vec<(String, String)> {
    let (_, rows) = store.snapshot().await.unwrap();
    let mut contents: Vec<_> =
        rows.into_iter().map(|Row { name, body, .. }| (name, body)).collect();
    contents.sort();
    contents
}

/// Every revision from the first to the newest is in the history once, and the objects are what
/// the history says.
pub async fn assert_sound(store: &Store) {
    let mut replayed = std::collections::BTreeMap::new();
    let mut seen = 0;
    loop {
        let entries = store.since(seen, 10_000).await.unwrap();
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            assert_eq!(entry.revision, seen + 1, "a gap in the history");
            seen = entry.revision;
            if entry.kind == RECORD {
                continue;
            }
            if entry.deleted {
                replayed.remove(&entry.name);
            } else {
                replayed.insert(entry.name, entry.body);
            }
        }
    }
    assert_eq!(store.revision().await.unwrap(), seen);
    let replayed: Vec<_> = replayed.into_iter().collect();
    let walked = store.verify().await.unwrap();
    assert_eq!((walked.fault, walked.revision), (None, seen));
    assert!(replayed == contents(store).await, "the objects are not what the history says");
}

pub fn is_conflict(outcome: &Result<Vec<u64>, CommitError>, of: &str, found: Option<u64>) -> bool {
    matches!(outcome, Err(CommitError::Conflict { name, actual, .. })
        if name == of && *actual == found)
}

pub fn wal(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("atoll.db-wal")).map_or(0, |file| file.len())
}

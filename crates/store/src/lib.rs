//! The store: objects, their history, leases and blobs, in SQLite or in PostgreSQL.
//!
//! This is the only SQL of the product. It is deliberately ignorant of what the objects mean: a
//! kind and a name are text, a body is JSON as text, and nothing here parses it. It has no clock
//! of its own either: times of writes come from the caller, times of leases from the database.
//!
//! The heart is [`Store::commit`]: a batch of writes, each with an expectation of the stored row,
//! is applied as one transaction or refused as a whole, and every write becomes one numbered row
//! of history.
//!
//! **Invariant:** revisions are handed out without gaps in the order of commits, so a reader that
//! has seen revision `n` has been able to see every revision below it.
//!
//! Every row of history covers the one before it by a hash: see [`Store::verify`].

mod admit;
mod blobs;
mod chain;
mod database;
mod history;
mod lease;
mod postgres;
mod schema;
mod sqlite;
mod types;

use std::path::Path;
use std::sync::Arc;

pub use crate::types::{
    AuditFilter, Batch, Change, CommitError, Entry, Epoch, Error, Expect, Fault, Lease, RECORD,
    Replica, Result, Retention, Row, Verified, Write,
};

use crate::database::{Columns, Database};
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;

/// A handle on one database. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens `dir/atoll.db`, creating the directory, the file and the tables as needed.
    ///
    /// # Errors
    /// When the directory or the file cannot be written, or was written by a newer version.
    pub async fn open_sqlite(dir: &Path) -> Result<Store> {
        Store::open_sqlite_of(dir, None).await
    }

    /// Opens the database at `url` (`postgres://…`), creating the tables as needed. Connections
    /// are made again by themselves after the database was away. Must be called in a tokio
    /// runtime, which must outlive the store.
    ///
    /// # Errors
    /// When the address is not understood, the database cannot be reached now, or its tables
    /// were made by a newer version.
    pub async fn open_postgres(url: &str) -> Result<Store> {
        let database = Postgres::open(url).await?;
        Ok(Store { database: Database::Postgres(Arc::new(database)) })
    }

    /// As [`Store::open_sqlite`], refusing to grow beyond `pages` pages. For tests of a full disk.
    #[doc(hidden)]
    pub async fn open_sqlite_of(dir: &Path, pages: Option<u32>) -> Result<Store> {
        let dir = dir.to_path_buf();
        let database = sqlite::blocking(move || Sqlite::open(&dir, pages)).await?;
        Ok(Store { database: Database::Sqlite(Arc::new(database)) })
    }

    /// Applies all writes of `batch` or none, and returns their revisions in the order given.
    ///
    /// Dropping the future does not take the batch back: once called, it may be committed.
    ///
    /// # Errors
    /// See [`CommitError`]. After `Unavailable` the batch may or may not have been committed;
    /// after any other error it was not.
    pub async fn commit(&self, batch: Batch) -> Result<Vec<u64>, CommitError> {
        let outcome = self.commit_all(vec![batch]).await.pop();
        outcome.unwrap_or_else(|| Err(Error::stopped().into()))
    }

    /// As many [`Store::commit`]s in the order given, in one transaction where possible. Each
    /// batch succeeds or fails by itself; a later one sees what an earlier one wrote.
    pub async fn commit_all(&self, batches: Vec<Batch>) -> Vec<Result<Vec<u64>, CommitError>> {
        self.database.commit(batches).await
    }

    /// All objects, as they were at the one revision returned with them, in no order.
    pub async fn snapshot(&self) -> Result<(u64, Vec<Row>)> {
        fn decode(columns: &dyn Columns) -> Result<(u64, Option<Row>)> {
            let revision = columns.int(0)?.cast_unsigned();
            let row = if columns.is_null(1)? { None } else { Some(row_from(columns, 1)?) };
            Ok((revision, row))
        }
        let found = self.database.read(schema::SNAPSHOT, vec![], decode).await?;
        let revision = found.first().map_or(0, |(revision, _)| *revision);
        Ok((revision, found.into_iter().filter_map(|(_, row)| row).collect()))
    }

    /// The object of that name, if it is stored.
    pub async fn get(&self, kind: &str, name: &str) -> Result<Option<Row>> {
        let values = vec![kind.into(), name.into()];
        let mut found = self.database.read(schema::GET, values, |c| row_from(c, 0)).await?;
        Ok(found.pop())
    }

    /// Up to `limit` objects of a kind in the byte order of their names, beginning after
    /// `after_name`.
    pub async fn list(
        &self,
        kind: &str,
        after_name: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let values = vec![kind.into(), after_name.unwrap_or_default().into(), limit.into()];
        self.database.read(schema::LIST, values, |c| row_from(c, 0)).await
    }

    /// Waits until somebody, another replica too, may have committed since this was *called*
    /// (not since it was first awaited: call it, read, then await it, and nothing is missed).
    ///
    /// It is a hint: it may come without news, and with PostgreSQL it may be lost while the
    /// connection is, so a caller polls as well.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut news = self.database.news();
        async move {
            // The sender is gone only with the whole store: then there is nothing to wait for.
            let _ = news.changed().await;
        }
    }
}

fn row_from(columns: &dyn Columns, at: usize) -> Result<Row> {
    Ok(Row {
        kind: columns.text(at)?,
        name: columns.text(at + 1)?,
        revision: columns.int(at + 2)?.cast_unsigned(),
        body: columns.text(at + 3)?,
    })
}

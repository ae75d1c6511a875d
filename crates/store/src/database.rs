//! One face for the two databases: a statement, its values, and a way to read its columns.
//!
//! What the statements are for is written in the modules that use it; how each database runs
//! them is in [`crate::sqlite`] and [`crate::postgres`].

use std::sync::Arc;

use tokio::sync::watch;

use crate::admit::Outcome;
use crate::postgres::Postgres;
use crate::schema::Sql;
use crate::sqlite::Sqlite;
use crate::types::{Batch, Result};

/// The database behind a store.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

/// A value given with a statement.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// Bound as an array, or as a JSON array where the database has none.
    Ints(Vec<i64>),
    /// As [`Value::Ints`].
    Texts(Vec<String>),
}

/// The columns of one row of an answer, by their place.
pub(crate) trait Columns {
    fn is_null(&self, at: usize) -> Result<bool>;
    fn int(&self, at: usize) -> Result<i64>;
    fn flag(&self, at: usize) -> Result<bool>;
    fn text(&self, at: usize) -> Result<String>;
    fn bytes(&self, at: usize) -> Result<Vec<u8>>;
}

/// Makes something of one row of an answer.
pub(crate) type Decode<T> = fn(&dyn Columns) -> Result<T>;

impl Database {
    /// Runs one statement that changes nothing.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        sql: Sql,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>> {
        match self {
            Database::Sqlite(database) => database.read(sql.sqlite, values, decode).await,
            Database::Postgres(database) => database.run(sql.postgres, values, decode).await,
        }
    }

    /// Runs one statement that changes something other than objects; a transaction of its own.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        sql: Sql,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>> {
        match self {
            Database::Sqlite(database) => database.write(sql.sqlite, values, decode).await,
            Database::Postgres(database) => database.run(sql.postgres, values, decode).await,
        }
    }

    /// As [`Database::write`], for a statement that answers nothing.
    pub(crate) async fn execute(&self, sql: Sql, values: Vec<Value>) -> Result<()> {
        self.write(sql, values, |_| Ok(())).await.map(|_| ())
    }

    /// The only road by which objects change.
    pub(crate) async fn commit(&self, batches: Vec<Batch>) -> Vec<Outcome> {
        match self {
            Database::Sqlite(database) => database.commit(batches).await,
            Database::Postgres(database) => database.commit(batches).await,
        }
    }

    /// Removes entries of history in one transaction that keeps their place in the chain; returns
    /// how many there were.
    pub(crate) async fn prune(&self, doomed: Vec<i64>, at: i64) -> Result<u64> {
        match self {
            Database::Sqlite(database) => database.prune(doomed, at).await,
            Database::Postgres(database) => database.prune(doomed, at).await,
        }
    }

    /// Changes whenever there may be something new.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        match self {
            Database::Sqlite(database) => database.news(),
            Database::Postgres(database) => database.news(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

/// Revisions and counts beyond what a database can hold are as good as the greatest it can.
impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

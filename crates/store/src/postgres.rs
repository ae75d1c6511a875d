//! PostgreSQL: a pool of connections, one task that commits, one that listens.
//!
//! Here is how connections are made, lent and given up; the two tasks are in modules of their own.

mod listen;
mod prune;
mod values;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use futures::TryStreamExt;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio_postgres::{Config, NoTls};

use self::writer::{Job, Writer};
use crate::admit::Outcome;
use crate::database::{Decode, Value};
use crate::schema;
use crate::types::{Batch, Error, Result};

/// How many connections one replica uses at most, besides the listening one.
const CONNECTIONS: usize = 8;
/// How long to wait for a connection, made or freed.
const CONNECT: Duration = Duration::from_secs(5);
/// After how long a database that says nothing at all is given up. It says something sooner: its
/// own limit for a statement is shorter.
const SILENCE: Duration = Duration::from_secs(40);
/// How many jobs may wait for the committing task before their senders have to.
const QUEUE: usize = 1024;
/// Held only while the tables are made: two replicas may start at once.
const MIGRATION_LOCK: i64 = 0x61_74_6f_6c_6c;

/// Compiling a plan takes longer than any statement of the store.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = 'warning';
    SET jit = off";

/// An open database.
pub(crate) struct Postgres {
    pool: Pool,
    queue: mpsc::Sender<Job>,
    news: watch::Sender<()>,
    listening: AbortHandle,
}

impl Postgres {
    pub(crate) async fn open(url: &str) -> Result<Postgres> {
        let mut config: Config = url
            .parse()
            .map_err(|e| Error::Other(format!("cannot read the database's address: {e}")))?;
        config.connect_timeout(CONNECT);
        config.keepalives_idle(Duration::from_secs(15));
        config.tcp_user_timeout(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("atoll");
        }
        let pool = pool(config.clone())?;
        migrate(&pool).await?;
        let news = watch::Sender::new(());
        let committed = Arc::new(Notify::new());
        let (queue, jobs) = mpsc::channel(QUEUE);
        let writer =
            Writer { pool: pool.clone(), news: news.clone(), committed: committed.clone() };
        tokio::spawn(writer.run(jobs));
        let listening = tokio::spawn(listen::listen(config, news.clone(), committed));
        Ok(Postgres { pool, queue, news, listening: listening.abort_handle() })
    }

    pub(crate) async fn commit(&self, batches: Vec<Batch>) -> Vec<Outcome> {
        let count = batches.len();
        let (reply, outcomes) = oneshot::channel();
        let sent = self.queue.send(Job { batches, reply }).await;
        match (sent, outcomes.await) {
            (Ok(()), Ok(outcomes)) => outcomes,
            _ => vec![Err(Error::stopped().into()); count],
        }
    }

    /// Runs one statement, a transaction of its own.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>> {
        let client = self.pool.get().await?;
        bounded(client, async |client| {
            let statement = client.prepare_cached(sql).await?;
            let values = values.iter().map(Value::as_parameter);
            let rows = client.query_raw(&statement, values).await?;
            let mut rows = std::pin::pin!(rows);
            let mut found = Vec::new();
            while let Some(row) = rows.try_next().await? {
                found.push(decode(&row)?);
            }
            Ok(found)
        })
        .await
    }

    /// Removes entries of history and keeps their place in the chain, in one transaction.
    pub(crate) async fn prune(&self, doomed: Vec<i64>, at: i64) -> Result<u64> {
        let removed =
            bounded(self.pool.get().await?, async |client| prune::prune(client, &doomed, at).await)
                .await?;
        self.news.send_replace(());
        Ok(removed)
    }

    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn pool(config: Config) -> Result<Pool> {
    let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let session = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
        Box::pin(async { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
    });
    Pool::builder(Manager::from_config(config, NoTls, settings))
        .max_size(CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(CONNECT))
        .post_create(session)
        .build()
        .map_err(|e| Error::Other(format!("cannot make a pool of connections: {e}")))
}

/// Does `work` on `client` and gives it back to the pool only if the work came to an end.
///
/// **Invariant:** a connection with a transaction or a statement under way is closed, never
/// handed to somebody else; the database then rolls back.
async fn bounded<T>(client: Object, work: impl AsyncFnOnce(&mut Object) -> Result<T>) -> Result<T> {
    let mut lent = Lent(Some(client));
    let Some(client) = lent.0.as_mut() else {
        return Err(Error::stopped());
    };
    let done = tokio::time::timeout(SILENCE, work(client)).await;
    let silent = || Err(Error::Unavailable("it did not answer in time".to_owned()));
    let done = done.unwrap_or_else(|_| silent());
    if done.is_ok() {
        drop(lent.0.take());
    }
    done
}

/// A connection that is closed when it is dropped.
struct Lent(Option<Object>);

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

async fn migrate(pool: &Pool) -> Result<()> {
    bounded(pool.get().await?, async |client| {
        let transaction = client.transaction().await?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await?;
        let table = "CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)";
        transaction.batch_execute(table).await?;
        let newest = "SELECT coalesce(max(version), 0) FROM schema_version";
        let version: i64 = transaction.query_one(newest, &[]).await?.try_get(0)?;
        let done = usize::try_from(version).unwrap_or(usize::MAX);
        let Some(missing) = schema::MIGRATIONS.get(done..) else {
            let known = schema::MIGRATIONS.len();
            let message = format!("its schema {version} is newer than {known}; run a newer atoll");
            return Err(Error::Other(message));
        };
        for (version, step) in (version + 1..).zip(missing) {
            transaction.batch_execute(step.postgres).await?;
            transaction.execute("INSERT INTO schema_version VALUES ($1)", &[&version]).await?;
        }
        Ok(transaction.commit().await?)
    })
    .await
}

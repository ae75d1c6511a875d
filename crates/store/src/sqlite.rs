//! SQLite: one connection that writes, on a thread of its own, and a few that read.
//!
//! The writer takes whatever batches have queued up and commits them as one transaction. It
//! judges nothing: which batches go ahead is decided in [`crate::admit`].

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::types::ToSqlOutput;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Row, ToSql, TransactionBehavior, ffi,
    params,
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::admit::{self, Admitted, Outcome, Stored};
use crate::chain::{self, Gap, Record, gap_from};
use crate::database::{Columns, Decode, Value};
use crate::schema;
use crate::types::{Batch, Change, Epoch, Error, RECORD, Result};

/// How many reads run at once.
const READERS: usize = 4;
/// How many jobs may wait for the writer before their senders have to.
const QUEUE: usize = 1024;
/// How many writes are gathered into one transaction, so that none waits long for the others.
const GROUP: usize = 4096;

/// An open database file.
pub(crate) struct Sqlite {
    queue: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    news: watch::Sender<()>,
}

enum Job {
    Commit { batches: Vec<Batch>, reply: oneshot::Sender<Vec<Outcome>> },
    Run(Box<dyn FnOnce(&mut Connection) + Send>),
}

/// Keys and sealed secrets are in it, so nobody else reads it, whoever made the directory. What
/// SQLite puts beside it gets the same permissions.
///
/// A file that is there is not opened for this: closing it would take from this process the locks
/// SQLite holds on it by another connection.
fn keep_private(path: &Path) -> std::io::Result<()> {
    let created = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
    match created {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e),
        _ => std::fs::set_permissions(path, Permissions::from_mode(0o600)),
    }
}

/// Lets one process, and one thread of it, at a time make the database in `dir` ready, until the
/// file is dropped. Of two who turn an empty database to write-ahead logging at once, SQLite lets
/// the second fail however long it would wait: both read already when they ask to write.
fn prepare_alone(dir: &Path) -> std::io::Result<File> {
    let directory = File::open(dir)?;
    directory.lock()?;
    Ok(directory)
}

impl Sqlite {
    /// Opens or creates `dir/atoll.db`, which may not grow beyond `pages` if given.
    pub(crate) fn open(dir: &Path, pages: Option<u32>) -> Result<Sqlite> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        created.map_err(|e| Error::Other(format!("cannot create {}: {e}", dir.display())))?;
        let alone = prepare_alone(dir);
        let _alone =
            alone.map_err(|e| Error::Other(format!("cannot lock {}: {e}", dir.display())))?;
        let path = dir.join("atoll.db");
        keep_private(&path)
            .map_err(|e| Error::Other(format!("cannot create {}: {e}", path.display())))?;
        let mut writer = Connection::open(&path)?;
        prepare_writer(&writer, pages)?;
        migrate(&mut writer)?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        let news = watch::Sender::new(());
        let told = news.clone();
        let spawned = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_all(&mut writer, jobs, &told));
        spawned.map_err(|e| Error::Other(format!("cannot start the writer: {e}")))?;
        Ok(Sqlite { queue, readers: Arc::new(Readers::new(path)), news })
    }

    pub(crate) async fn commit(&self, batches: Vec<Batch>) -> Vec<Outcome> {
        let count = batches.len();
        let (reply, outcomes) = oneshot::channel();
        let sent = self.queue.send(Job::Commit { batches, reply }).await;
        match (sent, outcomes.await) {
            (Ok(()), Ok(outcomes)) => outcomes,
            _ => vec![Err(Error::stopped().into()); count],
        }
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>> {
        let (reply, found) = oneshot::channel();
        let job = Job::Run(Box::new(move |connection| {
            // Nobody waits any more: then nobody is told.
            let _ = reply.send(query(connection, sql, &values, decode));
        }));
        self.queue.send(job).await.map_err(|_| Error::stopped())?;
        found.await.map_err(|_| Error::stopped())?
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>> {
        let permit = Arc::clone(&self.readers.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Error::stopped())?;
        let readers = Arc::clone(&self.readers);
        blocking(move || {
            let _permit = permit;
            let connection = readers.take()?;
            let found = query(&connection, sql, &values, decode);
            readers.give(connection);
            found
        })
        .await
    }

    /// Removes entries of history and keeps their place in the chain, in one transaction.
    pub(crate) async fn prune(&self, doomed: Vec<i64>, at: i64) -> Result<u64> {
        let (reply, removed) = oneshot::channel();
        let news = self.news.clone();
        let job = Job::Run(Box::new(move |connection| {
            let done = prune(connection, doomed, at);
            news.send_replace(());
            // Nobody waits any more: then nobody is told.
            let _ = reply.send(done);
        }));
        self.queue.send(job).await.map_err(|_| Error::stopped())?;
        removed.await.map_err(|_| Error::stopped())?
    }

    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

/// Runs `work` where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::Other(format!("a read was cut off: {e}"))))
}

/// Connections that read and are at rest.
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    fn new(path: PathBuf) -> Readers {
        Readers { path, idle: Mutex::default(), permits: Arc::new(Semaphore::new(READERS)) }
    }

    fn take(&self) -> Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA cache_size = -8192;")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    fn give(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn prepare_writer(connection: &Connection, pages: Option<u32>) -> Result<()> {
    connection.execute_batch(
        "PRAGMA busy_timeout = 5000;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -32768;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    if let Some(pages) = pages {
        connection.execute_batch(&format!("PRAGMA max_page_count = {pages};"))?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = schema::MIGRATIONS.get(done..) else {
        let known = schema::MIGRATIONS.len();
        let message = format!("its schema {version} is newer than {known}; run a newer atoll");
        return Err(Error::Other(message));
    };
    for step in missing {
        transaction.execute_batch(step.sqlite)?;
    }
    let version = schema::MIGRATIONS.len() as i64;
    transaction.pragma_update(None, "user_version", version)?;
    Ok(transaction.commit()?)
}

/// The writer's thread: ends when the last handle on the store is gone.
fn write_all(connection: &mut Connection, mut jobs: mpsc::Receiver<Job>, news: &watch::Sender<()>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = Vec::new();
        let mut writes = 0;
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match job {
                Job::Commit { batches, reply } => {
                    writes += batches.iter().map(|batch| batch.writes.len()).sum::<usize>();
                    group.push((batches, reply));
                }
                Job::Run(work) => {
                    commit_group(connection, std::mem::take(&mut group), news);
                    writes = 0;
                    work(connection);
                }
            }
            if writes < GROUP {
                next = jobs.try_recv().ok();
            }
        }
        commit_group(connection, group, news);
    }
}

type Group = Vec<(Vec<Batch>, oneshot::Sender<Vec<Outcome>>)>;

fn commit_group(connection: &mut Connection, group: Group, news: &watch::Sender<()>) {
    if group.is_empty() {
        return;
    }
    let mut batches = Vec::new();
    let mut waiting = Vec::new();
    for (part, reply) in group {
        waiting.push((part.len(), reply));
        batches.extend(part);
    }
    let outcomes = commit_batches(connection, &batches);
    if outcomes.iter().any(Result::is_ok) {
        news.send_replace(());
    }
    let mut outcomes = outcomes.into_iter();
    for (count, reply) in waiting {
        // Nobody waits any more: then nobody is told.
        let _ = reply.send(outcomes.by_ref().take(count).collect());
    }
}

/// Commits them together or, if together they cannot, one by one: a batch too large for the disk
/// must not take its neighbours with it.
fn commit_batches(connection: &mut Connection, batches: &[Batch]) -> Vec<Outcome> {
    match commit_together(connection, batches) {
        Ok(outcomes) => outcomes,
        Err(Error::Full | Error::Other(_)) if batches.len() > 1 => batches
            .iter()
            .flat_map(|batch| commit_batches(connection, std::slice::from_ref(batch)))
            .collect(),
        Err(error) => vec![Err(error.into()); batches.len()],
    }
}

/// One transaction; after an error there is none open and nothing was changed.
fn commit_together(connection: &mut Connection, batches: &[Batch]) -> Result<Vec<Outcome>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (newest, head) = read_head(&transaction)?;
    let fenced = batches.iter().any(|batch| batch.fence.is_some());
    let epoch = if fenced { number(&transaction, schema::FENCE)? } else { 0 };
    let stored = read_stored(&transaction, batches)?;
    let admitted = admit::admit(batches, newest, Epoch(epoch), stored);
    write_effects(&transaction, batches, &admitted, head)?;
    transaction.commit()?;
    Ok(admitted.outcomes)
}

/// The newest revision and its hash.
fn read_head(connection: &Connection) -> Result<(u64, String)> {
    let mut statement = connection.prepare_cached(schema::HEAD)?;
    let (revision, hash): (i64, String) =
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((revision.cast_unsigned(), hash))
}

/// The one number a statement answers, 0 if it answers nothing.
fn number(connection: &Connection, sql: &str) -> Result<u64> {
    let mut statement = connection.prepare_cached(sql)?;
    let number: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(number.unwrap_or(0).cast_unsigned())
}

fn read_stored<'a>(connection: &Connection, batches: &'a [Batch]) -> Result<Stored<'a>> {
    let mut statement = connection.prepare_cached(schema::STORED_ONE)?;
    let mut stored = Stored::new();
    for write in batches.iter().flat_map(|batch| &batch.writes) {
        let key = (write.kind.as_str(), write.name.as_str());
        let found = statement.query_row([key.0, key.1], |row| row.get(0)).optional()?;
        stored.insert(key, found.map(i64::cast_unsigned));
    }
    Ok(stored)
}

fn write_effects(
    connection: &Connection,
    batches: &[Batch],
    admitted: &Admitted<'_>,
    mut head: String,
) -> Result<()> {
    let mut put = connection.prepare_cached(schema::PUT_ONE)?;
    let mut delete = connection.prepare_cached(schema::DELETE_ONE)?;
    let mut enter = connection.prepare_cached(schema::ENTER_ONE)?;
    for effect in &admitted.effects {
        let (kind, name) = (&effect.write.kind, &effect.write.name);
        let revision = effect.revision.cast_signed();
        let last: String;
        let (deleted, body) = match &effect.write.change {
            Change::Put(body) => {
                put.execute(params![kind, name, revision, body])?;
                (false, body)
            }
            Change::Delete => {
                last = delete.query_row(params![kind, name], |row| row.get(0))?;
                (true, &last)
            }
            Change::Record(body) => (false, body),
        };
        let batch = &batches[effect.batch];
        let (Batch { at, actor, intent, .. }, reasons) = (batch, batch.reasons_of(effect.write));
        let (at, revision_of) = (*at, effect.revision);
        let record =
            Record { revision: revision_of, at, kind, name, deleted, actor, intent, reasons, body };
        head = chain::link(&head, &record);
        enter.execute(params![
            revision, at, kind, name, deleted, actor, intent, reasons, body, head
        ])?;
    }
    if !admitted.effects.is_empty() {
        let revision = admitted.revision.cast_signed();
        connection.prepare_cached(schema::SET_REVISION)?.execute(params![revision, head])?;
    }
    Ok(())
}

/// Takes entries out, leaves the gaps they had, and records that it did.
fn prune(connection: &mut Connection, doomed: Vec<i64>, at: i64) -> Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let last = doomed.last().copied().unwrap_or_default();
    let doomed = [Value::Ints(doomed)];
    let links = query(&transaction, schema::LINKS.sqlite, &doomed, |c| {
        Ok((c.int(0)?.cast_unsigned(), c.text(1)?, c.text(2)?))
    })?;
    let before = query(&transaction, schema::GAPS, &[], |c| gap_from(c, 0))?;
    let removed = links.len();
    let after = chain::widened(&before, links);
    transaction.prepare_cached(schema::RAISE_COMPACTED.sqlite)?.execute([last])?;
    transaction
        .prepare_cached(schema::REMOVE_ENTRIES.sqlite)?
        .execute(rusqlite::params_from_iter(&doomed))?;
    let (gone, new) = chain::changes(&before, &after);
    let mut remove = transaction.prepare_cached(schema::REMOVE_GAP)?;
    for gap in gone {
        remove.execute([gap.first.cast_signed()])?;
    }
    let mut add = transaction.prepare_cached(schema::ADD_GAP)?;
    for Gap { first, last, before, after } in new {
        add.execute(params![first.cast_signed(), last.cast_signed(), before, after])?;
    }
    if removed > 0 {
        let (revision, head) = read_head(&transaction)?;
        let body = chain::statement(&after, removed);
        let record = chain::pruning(revision + 1, at, &body);
        let hash = chain::link(&head, &record);
        let revision = record.revision.cast_signed();
        let Record { name, actor, intent, reasons, .. } = record;
        transaction.prepare_cached(schema::ENTER_ONE)?.execute(params![
            revision, at, RECORD, name, false, actor, intent, reasons, body, hash
        ])?;
        transaction.prepare_cached(schema::SET_REVISION)?.execute(params![revision, hash])?;
    }
    drop((remove, add));
    transaction.commit()?;
    Ok(removed as u64)
}

fn query<T>(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    decode: Decode<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode(row)?);
    }
    Ok(found)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        fn json<T: serde::Serialize>(values: &[T]) -> rusqlite::Result<ToSqlOutput<'static>> {
            let text = serde_json::to_string(values);
            let text = text.map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
            Ok(ToSqlOutput::from(text))
        }
        match self {
            Value::Int(number) => number.to_sql(),
            Value::Text(text) => text.to_sql(),
            Value::Bytes(bytes) => bytes.to_sql(),
            Value::Ints(numbers) => json(numbers),
            Value::Texts(texts) => json(texts),
        }
    }
}

impl Columns for Row<'_> {
    fn is_null(&self, at: usize) -> Result<bool> {
        Ok(self.get_ref(at)? == rusqlite::types::ValueRef::Null)
    }

    fn int(&self, at: usize) -> Result<i64> {
        Ok(self.get(at)?)
    }

    fn flag(&self, at: usize) -> Result<bool> {
        Ok(self.get(at)?)
    }

    fn text(&self, at: usize) -> Result<String> {
        Ok(self.get(at)?)
    }

    fn bytes(&self, at: usize) -> Result<Vec<u8>> {
        Ok(self.get(at)?)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        // A full disk is met in two places: at a write, and when the shared index cannot grow.
        let full = error.sqlite_error().is_some_and(|e| {
            e.code == ErrorCode::DiskFull || e.extended_code == ffi::SQLITE_IOERR_SHMSIZE
        });
        match error.sqlite_error_code() {
            _ if full => Error::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Error::Unavailable(error.to_string())
            }
            _ => Error::Other(error.to_string()),
        }
    }
}

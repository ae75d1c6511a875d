//! The task that commits: a group of batches is one transaction of a few statements, however
//! many writes it has.
//!
//! As with SQLite, which batches go ahead is decided in [`crate::admit`], not here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deadpool_postgres::{Object, Pool};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::bounded;
use crate::admit::{self, Effect, Key, Outcome, Stored};
use crate::chain::{self, Record};
use crate::database::Columns;
use crate::schema;
use crate::types::{Batch, Change, Epoch, Error, Result};

/// How many writes are gathered into one transaction, so that none waits long for the others.
const GROUP: usize = 8192;

/// Batches, and who waits for what becomes of them.
pub(super) struct Job {
    pub batches: Vec<Batch>,
    pub reply: oneshot::Sender<Vec<Outcome>>,
}

/// The committing task.
pub(super) struct Writer {
    pub pool: Pool,
    pub news: watch::Sender<()>,
    /// Told that there is something to tell the other replicas.
    pub committed: Arc<Notify>,
}

impl Writer {
    /// Ends when the last handle on the store is gone.
    pub async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.recv().await {
            let mut batches = Vec::new();
            let mut waiting = Vec::new();
            let mut writes = 0;
            let mut next = Some(first);
            while let Some(job) = next.take() {
                writes += job.batches.iter().map(|batch| batch.writes.len()).sum::<usize>();
                waiting.push((job.batches.len(), job.reply));
                batches.extend(job.batches);
                if writes < GROUP {
                    next = jobs.try_recv().ok();
                }
            }
            let outcomes = self.commit_all(&batches).await;
            if outcomes.iter().any(Result::is_ok) {
                self.news.send_replace(());
                self.committed.notify_one();
            }
            let mut outcomes = outcomes.into_iter();
            for (count, reply) in waiting {
                // Nobody waits any more: then nobody is told.
                let _ = reply.send(outcomes.by_ref().take(count).collect());
            }
        }
    }

    /// Commits them together or, if together they cannot, one by one: a batch that the database
    /// will not take must not take its neighbours with it.
    async fn commit_all(&self, batches: &[Batch]) -> Vec<Outcome> {
        match self.commit_together(batches).await {
            Ok(outcomes) => outcomes,
            Err(Error::Full | Error::Other(_)) if batches.len() > 1 => {
                let mut outcomes = Vec::with_capacity(batches.len());
                for batch in batches {
                    let alone = self.commit_together(std::slice::from_ref(batch)).await;
                    let alone = alone.map(|mut outcomes| outcomes.pop());
                    outcomes.push(match alone {
                        Ok(outcome) => outcome.unwrap_or_else(|| Err(Error::stopped().into())),
                        Err(error) => Err(error.into()),
                    });
                }
                outcomes
            }
            Err(error) => vec![Err(error.into()); batches.len()],
        }
    }

    /// One transaction. A connection that proves dead before anything was written, as all do
    /// after the database was restarted, is replaced once.
    async fn commit_together(&self, batches: &[Batch]) -> Result<Vec<Outcome>> {
        let mut written = false;
        let done = bounded(self.pool.get().await?, async |client| {
            commit_on(client, batches, &mut written).await
        });
        match done.await {
            Err(Error::Unavailable(_)) if !written => {
                bounded(self.pool.get().await?, async |client| {
                    commit_on(client, batches, &mut written).await
                })
                .await
            }
            done => done,
        }
    }
}

/// Sets `written` before it sends the first statement that changes something.
async fn commit_on(
    client: &mut Object,
    batches: &[Batch],
    written: &mut bool,
) -> Result<Vec<Outcome>> {
    let Begun { newest, head, epoch, stored, bodies } = begin(client, batches).await?;
    *written = true;
    let admitted = admit::admit(batches, newest, epoch, stored);
    if admitted.effects.is_empty() {
        client.batch_execute("ROLLBACK").await?;
        return Ok(admitted.outcomes);
    }
    let set = client.prepare_cached(schema::SET_REVISION).await?;
    let write = client.prepare_cached(schema::WRITE_MANY).await?;
    let revision = admitted.revision.cast_signed();
    let links = links(head, batches, &admitted.effects, bodies);
    let hash = links.last().cloned().unwrap_or_default();
    let mut waves = split(&admitted.effects);
    let last = waves.pop().unwrap_or_default();
    let (early, late) = links.split_at(links.len() - last.len());
    let mut early = early;
    for wave in waves {
        let (these, rest) = early.split_at(wave.len());
        write_wave(client, &write, batches, wave, these).await?;
        early = rest;
    }
    // Sent without waiting in between. If the first fails, the last only rolls back.
    tokio::try_join!(
        biased;
        write_wave(client, &write, batches, last, late),
        async { Ok(client.execute(&set, &[&revision, &hash]).await?) },
        async { Ok(client.batch_execute("COMMIT").await?) },
    )?;
    Ok(admitted.outcomes)
}

/// What a commit begins from.
struct Begun<'a> {
    newest: u64,
    /// The hash of the newest record.
    head: String,
    epoch: Epoch,
    stored: Stored<'a>,
    /// The bodies of what is to be deleted.
    bodies: HashMap<Key<'a>, Option<String>>,
}

/// Begins a transaction that alone may write, and reads what the batches are judged by.
async fn begin<'a>(client: &Object, batches: &'a [Batch]) -> Result<Begun<'a>> {
    let lock = client.prepare_cached(schema::LOCK_COUNTER).await?;
    let fence = client.prepare_cached(schema::LOCK_FENCE).await?;
    let ask = client.prepare_cached(schema::STORED_MANY).await?;
    let mut stored = Stored::new();
    for write in batches.iter().flat_map(|batch| &batch.writes) {
        stored.insert((write.kind.as_str(), write.name.as_str()), None);
    }
    let keys: Vec<(&str, &str)> = stored.keys().copied().collect();
    let kinds: Vec<&str> = keys.iter().map(|key| key.0).collect();
    let names: Vec<&str> = keys.iter().map(|key| key.1).collect();
    let fenced = batches.iter().any(|batch| batch.fence.is_some());
    let bodies = client.prepare_cached(schema::BODIES_MANY).await?;
    let deleted = batches.iter().flat_map(|batch| &batch.writes);
    let deleted = deleted.filter(|write| matches!(write.change, Change::Delete));
    let deleted: HashSet<Key> = deleted.map(|w| (w.kind.as_str(), w.name.as_str())).collect();
    let deleted: Vec<Key> = deleted.into_iter().collect();
    let of: (Vec<&str>, Vec<&str>) = deleted.iter().copied().unzip();
    // Sent without waiting in between; each sees what was committed before it was run.
    let (_, newest, epoch, found, kept) = tokio::try_join!(
        biased;
        async { Ok::<_, Error>(client.batch_execute(schema::BEGIN).await?) },
        async { Ok(client.query_one(&lock, &[]).await?) },
        async { Ok(if fenced { client.query_opt(&fence, &[]).await? } else { None }) },
        async { Ok(client.query(&ask, &[&kinds, &names]).await?) },
        async {
            if deleted.is_empty() {
                return Ok(Vec::new());
            }
            Ok(client.query(&bodies, &[&of.0, &of.1]).await?)
        },
    )?;
    for (key, row) in keys.into_iter().zip(found) {
        stored.insert(key, row.try_get::<_, Option<i64>>(0)?.map(i64::cast_unsigned));
    }
    let mut bodies = HashMap::new();
    for (key, row) in deleted.into_iter().zip(kept) {
        bodies.insert(key, row.try_get(0)?);
    }
    let epoch = epoch.map(|row| row.int(0)).transpose()?.unwrap_or(0);
    Ok(Begun {
        newest: newest.int(0)?.cast_unsigned(),
        head: newest.text(1)?,
        epoch: Epoch(epoch.cast_unsigned()),
        stored,
        bodies,
    })
}

/// The hash of each effect, in their order. A deletion's record holds the last body once more.
fn links<'a>(
    mut head: String,
    batches: &[Batch],
    effects: &[Effect<'a>],
    mut bodies: HashMap<Key<'a>, Option<String>>,
) -> Vec<String> {
    let mut links = Vec::with_capacity(effects.len());
    for effect in effects {
        let write = effect.write;
        let key = (write.kind.as_str(), write.name.as_str());
        let last;
        let (deleted, body) = match &write.change {
            Change::Put(body) => {
                if let Some(last) = bodies.get_mut(&key) {
                    *last = Some(body.clone());
                }
                (false, body.as_str())
            }
            Change::Delete => {
                last = bodies.get(&key).cloned().flatten().unwrap_or_default();
                (true, last.as_str())
            }
            Change::Record(body) => (false, body.as_str()),
        };
        let batch = &batches[effect.batch];
        let (Batch { at, actor, intent, .. }, reasons) = (batch, batch.reasons_of(effect.write));
        let (kind, name) = key;
        let (at, revision) = (*at, effect.revision);
        let record = Record { revision, at, kind, name, deleted, actor, intent, reasons, body };
        head = chain::link(&head, &record);
        links.push(head.clone());
    }
    links
}

/// The effects in their order, cut so that no part names an object twice.
fn split<'e, 'a>(effects: &'e [Effect<'a>]) -> Vec<&'e [Effect<'a>]> {
    let mut waves = Vec::new();
    let mut seen = HashSet::new();
    let mut start = 0;
    for (place, effect) in effects.iter().enumerate() {
        if matches!(effect.write.change, Change::Record(_)) {
            continue;
        }
        let key = (effect.write.kind.as_str(), effect.write.name.as_str());
        if !seen.insert(key) {
            waves.push(&effects[start..place]);
            start = place;
            seen.clear();
            seen.insert(key);
        }
    }
    waves.push(&effects[start..]);
    waves
}

async fn write_wave(
    client: &Object,
    statement: &Statement,
    batches: &[Batch],
    wave: &[Effect<'_>],
    links: &[String],
) -> Result<()> {
    fn column<'e, T>(wave: &'e [Effect<'_>], value: impl Fn(&'e Effect<'_>) -> T) -> Vec<T> {
        wave.iter().map(value).collect()
    }
    let batch = |effect: &Effect<'_>| &batches[effect.batch];
    let revisions = column(wave, |e| e.revision.cast_signed());
    let ats = column(wave, |e| batch(e).at);
    let kinds = column(wave, |e| e.write.kind.as_str());
    let names = column(wave, |e| e.write.name.as_str());
    let actors = column(wave, |e| batch(e).actor.as_str());
    let intents = column(wave, |e| batch(e).intent.as_str());
    let reasons = column(wave, |e| batch(e).reasons_of(e.write));
    let bodies = column(wave, |e| match &e.write.change {
        Change::Put(body) | Change::Record(body) => Some(body.as_str()),
        Change::Delete => None,
    });
    let changes = column(wave, |e| match &e.write.change {
        Change::Put(_) => "put",
        Change::Delete => "delete",
        Change::Record(_) => "record",
    });
    let values: [&(dyn ToSql + Sync); 10] =
        [&revisions, &ats, &kinds, &names, &actors, &intents, &reasons, &bodies, &links, &changes];
    client.execute(statement, &values).await?;
    Ok(())
}

//! The owner of the metrics store: everything measured comes in and is asked for here. It decides
//! who may ask at the same time; it does not know PromQL, HTTP routes or rules.

pub mod ended;
pub mod forward;
pub mod lanes;
pub mod options;
pub mod remote;
pub mod spool;
pub mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_metrics::exposition::Family;
use atoll_metrics::promql::{self, Answer, Budget, QueryError, QueryOptions};
use atoll_metrics::storage::{self, Storage};
use atoll_model::Timestamp;

use crate::clock::Clock;
use crate::metrics::forward::Peers;
use crate::metrics::lanes::Lanes;
use crate::metrics::options::MetricsOptions;
use crate::metrics::remote::Remote;

/// So many metrics are described at most.
const MOST_FAMILIES: usize = 20_000;
/// What is handed in is flushed to the disk this often.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Blocks are cut and merged this often.
const MAINTAIN_EVERY: Duration = Duration::from_secs(60);
/// A question that takes longer than this moves aside.
const LONG: Duration = Duration::from_millis(500);
/// A log of so many bytes is put into blocks when the server stops.
const WORTH_A_BLOCK: u64 = 1 << 20;

/// The store of metrics with all that leads to it.
pub struct Metrics {
    /// The embedded store.
    pub storage: Arc<Storage>,
    /// Who may ask at the same time.
    pub lanes: Lanes,
    /// Another server that everything is sent to and asked of.
    pub remote: Option<Arc<Remote>>,
    /// The other replicas, where they are to know what this one knows.
    pub peers: Option<Peers>,
    /// How long samples are kept.
    pub retention: atoll_model::Span,
    families: Mutex<BTreeMap<String, Family>>,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// PromQL.
    pub query: String,
    /// At what time or times.
    pub period: Period,
    /// How old a value may be, in milliseconds; 5 minutes, if absent.
    pub lookback: Option<i64>,
    /// How long an answer may take.
    pub patience: Duration,
}

/// The time or times of a question, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// One.
    At(i64),
    /// From, to, step.
    Range(i64, i64, i64),
}

/// Sets the mark when it is dropped: whoever asked has gone, or has the answer.
#[derive(Debug, Default)]
pub struct Cancel(pub Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Opens the store in its directory, and replays what was written last.
    ///
    /// # Errors
    /// The directory cannot be read or written, or another process has it open.
    pub fn open(options: &MetricsOptions, now: Timestamp) -> Result<Metrics, String> {
        let milliseconds = |span: atoll_model::Span| i64::try_from(span.0).unwrap_or(i64::MAX);
        let kept = storage::Options {
            retention: milliseconds(options.retention),
            policies: options.policies.clone(),
            most_series_per_source: options.series_per_source,
            ..storage::Options::default()
        };
        let storage = Storage::open(&options.dir, kept, now.0).map_err(|e| e.to_string())?;
        let remote = match &options.remote {
            Some(to) => Some(Arc::new(Remote::new(to, &options.dir.join("remote"))?)),
            None => None,
        };
        Ok(Metrics {
            storage: Arc::new(storage),
            lanes: Lanes::new(),
            remote,
            peers: None,
            retention: options.retention,
            families: Mutex::default(),
        })
    }

    /// Answers a question in its turn. Dropping the future ends the work.
    ///
    /// # Errors
    /// See [`QueryError`]; `Cancelled` when the time is over, unless another server was asked.
    pub async fn ask(&self, lane: lanes::Lane<'_>, ask: Ask) -> Result<Answer, QueryError> {
        if ask.patience.is_zero() {
            return Err(QueryError::Cancelled);
        }
        let cancel = Cancel::default();
        let cancelled = cancel.0.clone();
        let patience = ask.patience;
        let elsewhere = AtomicBool::new(false);
        let work = async {
            let turn = self.lanes.turn(lane).await;
            if let Some(remote) = &self.remote {
                elsewhere.store(true, Ordering::Relaxed);
                let answer = remote.ask(&ask).await;
                drop(turn);
                return answer;
            }
            let storage = self.storage.clone();
            let options = QueryOptions {
                lookback: ask.lookback.unwrap_or(QueryOptions::default().lookback),
                budget: Budget { cancelled, ..Budget::default() },
            };
            let work = move || match ask.period {
                Period::At(at) => promql::instant(&*storage, &ask.query, at, &options),
                Period::Range(from, to, step) => {
                    promql::range(&*storage, &ask.query, from, to, step, &options)
                }
            };
            self.in_turn(lane, turn, work).await
        };
        let answer = tokio::time::timeout(patience, work).await;
        answer.unwrap_or_else(|_| match &self.remote {
            Some(remote) if elsewhere.load(Ordering::Relaxed) => Err(remote.late(patience)),
            _ => Err(QueryError::Cancelled),
        })
    }

    /// Does work on a thread that may block, which has the turn until it ends, though nobody may
    /// wait for it any more. What takes long moves aside, so that what is short gets its turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        lane: lanes::Lane<'_>,
        turn: lanes::Turn,
        work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let place = Arc::new(Mutex::new(turn));
        let held = place.clone();
        let mut done = tokio::task::spawn_blocking(move || {
            let _held = held;
            work()
        });
        let result = match tokio::time::timeout(LONG, &mut done).await {
            Ok(result) => result,
            Err(_) => {
                if let Some(aside) = self.lanes.aside(lane) {
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = aside;
                }
                drop(place);
                done.await
            }
        };
        result.unwrap_or_else(|e| Err(QueryError::Execution(e.to_string())))
    }

    /// Does work on the store in its turn, on a thread that may block.
    ///
    /// # Errors
    /// What the work said, or that it did not end in time.
    pub async fn look<T: Send + 'static>(
        &self,
        lane: lanes::Lane<'_>,
        patience: Duration,
        work: impl FnOnce(&Storage) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let storage = self.storage.clone();
        let all = async {
            let turn = self.lanes.turn(lane).await;
            self.in_turn(lane, turn, move || work(&storage)).await
        };
        tokio::time::timeout(patience, all).await.unwrap_or(Err(QueryError::Cancelled))
    }

    /// Puts what the log holds into blocks, where it is worth a block: they take a fraction of the
    /// room, and the next start has nothing to read again. Whoever is killed over it loses nothing.
    pub async fn close(&self) {
        blocking(self, "put the metrics away", |storage| storage.close(WORTH_A_BLOCK)).await;
    }

    /// Takes over what is said about metrics.
    pub fn describe(&self, said: Vec<Family>) {
        if said.is_empty() {
            return;
        }
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        for family in said {
            if families.len() < MOST_FAMILIES || families.contains_key(&family.name) {
                families.insert(family.name.clone(), family);
            }
        }
    }

    /// What is known about metrics, sorted by name.
    pub fn families(&self) -> Vec<Family> {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.values().cloned().collect()
    }
}

/// Flushes and maintains the store until the server stops.
pub async fn keep(metrics: Arc<Metrics>, clock: Clock) {
    let mut sync = tokio::time::interval(SYNC_EVERY);
    let mut maintain = tokio::time::interval(MAINTAIN_EVERY);
    sync.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    maintain.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let flush = async {
        loop {
            sync.tick().await;
            blocking(&metrics, "flush the metrics", |storage| storage.sync()).await;
        }
    };
    let tidy = async {
        loop {
            maintain.tick().await;
            let now = clock.now().0;
            let work = move |storage: &Storage| storage.maintain(now).map(|_| ());
            blocking(&metrics, "maintain the metrics", work).await;
        }
    };
    let send = async {
        match &metrics.remote {
            Some(remote) => remote.run().await,
            None => std::future::pending().await,
        }
    };
    tokio::join!(flush, tidy, send);
}

async fn blocking(
    metrics: &Metrics,
    what: &str,
    work: impl FnOnce(&Storage) -> Result<(), storage::StorageError> + Send + 'static,
) {
    let storage = metrics.storage.clone();
    match tokio::task::spawn_blocking(move || work(&storage)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("could not {what}: {error}"),
        Err(error) => tracing::warn!("could not {what}: {error}"),
    }
}

/// Where the store is kept beside a server's directory.
pub fn usual_dir(data: &Path) -> std::path::PathBuf {
    data.join("metrics")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_short_does_not_wait_for_what_takes_long() {
        let dir = tempfile::tempdir().unwrap();
        let options = MetricsOptions::new(dir.path().join("metrics"));
        let metrics = Arc::new(Metrics::open(&options, Timestamp(0)).unwrap());
        let (begins, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let look = |until: std::sync::mpsc::Receiver<()>| {
            let (metrics, begins) = (metrics.clone(), begins.clone());
            let work = move |_: &Storage| {
                let _ = begins.send(());
                // Ends when the sender goes.
                let _ = until.recv();
                Ok(())
            };
            let ann = lanes::Lane::Person("ann");
            async move { metrics.look(ann, Duration::from_secs(20), work).await }
        };
        let (mut ends, mut long) = (Vec::new(), Vec::new());
        // As many as one person may have at a time.
        for _ in 0..2 {
            let (end, until) = std::sync::mpsc::channel();
            ends.push(end);
            long.push(tokio::spawn(look(until)));
            begun.recv().await.expect("it begins");
        }
        let (end, until) = std::sync::mpsc::channel();
        drop(end);
        look(until).await.expect("it has its turn while the others go on");
        drop(ends);
        for one in long {
            one.await.unwrap().unwrap();
        }
    }
}

//! What is handed in: checked against who hands it in, stored, and passed on to the other server
//! or to the other replicas. Not the HTTP around it.

use atoll_metrics::remote::write::Encoder;
use atoll_metrics::remote::{self, Decoded, RemoteError, Version};
use atoll_metrics::storage::appender::Appender;
use atoll_metrics::storage::{Appended, StorageError};
use atoll_metrics::{Sample, sample};
use atoll_model::Timestamp;
use bytes::Bytes;

use crate::metrics::Metrics;

/// The label that says which host something was measured on.
const HOST: &str = "host";

/// Who hands something in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Giver {
    /// Its series are counted together under this name.
    pub source: String,
    /// The one host it may speak of, if it is one.
    pub host: Option<String>,
    /// Whether another replica has it already: it is not passed on again.
    pub passed_on: bool,
}

impl Giver {
    /// The server itself.
    pub fn server(source: &str) -> Giver {
        Giver { source: source.to_owned(), host: None, passed_on: false }
    }
}

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// It is not remote write.
    #[error(transparent)]
    Message(#[from] RemoteError),
    /// A host speaks of another.
    #[error("{0}")]
    Denied(String),
    /// The store cannot take anything now.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What became of a message.
#[derive(Debug)]
pub struct Taken {
    /// What it held.
    pub decoded: Decoded,
    /// What was stored of it.
    pub appended: Appended,
    /// For the other replicas, where there are any.
    pub message: Option<Bytes>,
}

/// Series on their way into the store.
pub struct Intake<'a> {
    appender: Appender<'a>,
    /// The same for others.
    copy: Option<Encoder>,
    host: Option<&'a str>,
    denied: Option<String>,
}

impl Intake<'_> {
    /// Adds samples of one series; the labels are sorted by name.
    pub fn add(&mut self, labels: &[(&str, &str)], samples: &[Sample]) {
        let Some(host) = self.host else { return self.keep(labels, samples) };
        match labels.iter().find(|(name, _)| *name == HOST) {
            Some((_, named)) if *named == host => self.keep(labels, samples),
            Some((_, named)) => {
                self.denied.get_or_insert_with(|| {
                    format!("host {host} sent a series with host={named:?}; it may send its own")
                });
            }
            None => {
                let mut labels = labels.to_vec();
                let at = labels.partition_point(|(name, _)| *name < HOST);
                labels.insert(at, (HOST, host));
                self.keep(&labels, samples);
            }
        }
    }

    /// Adds one sample of a series whose labels may be in any order.
    pub fn value(&mut self, labels: &[(&str, &str)], value: f64, at: Timestamp) {
        let mut sorted = labels.to_vec();
        sorted.sort_unstable();
        self.add(&sorted, &[Sample { at: at.0, value }]);
    }

    /// Says that a series has ended.
    pub fn end(&mut self, labels: &[(&str, &str)], at: Timestamp) {
        self.value(labels, sample::STALE, at);
    }

    fn keep(&mut self, labels: &[(&str, &str)], samples: &[Sample]) {
        self.appender.add(labels, samples);
        if let Some(copy) = &mut self.copy {
            copy.add(labels.iter().copied(), samples);
        }
    }
}

impl Metrics {
    /// Stores what `fill` adds, and passes it on. Blocks for as long as a write to disk takes.
    ///
    /// # Errors
    /// See [`TakeError`]; nothing of it is stored then.
    pub fn take<T>(
        &self,
        giver: &Giver,
        now: Timestamp,
        fill: impl FnOnce(&mut Intake) -> Result<T, RemoteError>,
    ) -> Result<(T, Appended, Option<Bytes>), TakeError> {
        let copies = self.remote.is_some() || self.peers.is_some();
        let mut intake = Intake {
            appender: self.storage.appender(&giver.source, now.0),
            copy: (copies && !giver.passed_on).then(|| Encoder::new(Version::V1)),
            host: giver.host.as_deref(),
            denied: None,
        };
        let filled = fill(&mut intake)?;
        let Intake { appender, copy, denied, .. } = intake;
        if let Some(why) = denied {
            return Err(TakeError::Denied(why));
        }
        let appended = appender.commit()?;
        let message = match copy.filter(|copy| copy.rows() > 0) {
            Some(mut copy) => Some(Bytes::from(copy.finish()?)),
            None => None,
        };
        if let (Some(remote), Some(message)) = (&self.remote, &message) {
            remote.send(message);
        }
        Ok((filled, appended, message.filter(|_| self.remote.is_none())))
    }

    /// Takes a compressed message of remote write.
    ///
    /// # Errors
    /// See [`TakeError`].
    pub fn take_message(
        &self,
        giver: &Giver,
        version: Version,
        body: &[u8],
        limit: usize,
        now: Timestamp,
    ) -> Result<Taken, TakeError> {
        let message = remote::decompress(body, limit)?;
        let (decoded, appended, message) = self.take(giver, now, |intake| {
            remote::decode(version, &message, |labels, samples| intake.add(labels, samples))
        })?;
        Ok(Taken { decoded, appended, message })
    }
}

impl crate::Server {
    /// Stores what the server itself has measured or worked out, and passes it on.
    pub(crate) fn append(
        &self,
        source: &str,
        fill: impl FnOnce(&mut Intake),
    ) -> Result<Appended, TakeError> {
        let giver = Giver::server(source);
        let (_, appended, message) = self.metrics.take(&giver, self.clock.now(), |intake| {
            fill(intake);
            Ok(())
        })?;
        self.pass_on(&giver, message);
        Ok(appended)
    }

    /// Hands a message to the other replicas.
    pub(crate) fn pass_on(&self, giver: &Giver, message: Option<Bytes>) {
        if let (Some(peers), Some(message), false) = (&self.metrics.peers, message, giver.passed_on)
        {
            let addresses = self.addresses();
            peers.send(&addresses[1..], giver, &message, self.clock.elapsed());
        }
    }
}

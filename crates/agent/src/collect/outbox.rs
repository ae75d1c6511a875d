//! Samples on their way out, gathered into messages of remote write. Not where the messages go.

use std::collections::{BTreeMap, VecDeque};

use atoll_metrics::Sample;
use atoll_metrics::exposition::Family;
use atoll_metrics::remote::{Version, write::Encoder};
use bytes::Bytes;

/// A message holds at most so many samples,
const FULL: usize = 5_000;
/// and begins at most one more series after so many bytes, before compression.
const FULL_BYTES: usize = 1 << 20;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Compressed, as it is posted.
    pub body: Bytes,
    /// How many samples it holds.
    pub samples: u32,
}

/// What the agent counts about its own metrics, for itself to be watched by.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Samples a server has taken.
    pub forwarded: u64,
    /// Samples thrown away, by the reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Scrapes.
    pub scrapes: u64,
    /// Scrapes that failed.
    pub scrape_failures: u64,
    /// Attempts to forward a message that failed and were, or will be, made again.
    pub retries: u64,
}

impl Figures {
    /// Counts samples thrown away.
    pub fn drop_samples(&mut self, reason: &'static str, count: u64) {
        *self.dropped.entry(reason).or_default() += count;
    }
}

/// Samples that wait to be sent.
pub struct Outbox {
    encoder: Encoder,
    full: VecDeque<Batch>,
    /// What is counted on the way.
    pub figures: Figures,
}

impl Default for Outbox {
    fn default() -> Outbox {
        let encoder = Encoder::new(Version::V1);
        Outbox { encoder, full: VecDeque::new(), figures: Figures::default() }
    }
}

impl Outbox {
    /// Adds one sample of the series of these labels, sorted by name.
    pub fn add<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)>, sample: Sample) {
        self.encoder.add(labels, &[sample]);
        if self.encoder.samples() >= FULL || self.encoder.bytes() >= FULL_BYTES {
            self.close();
        }
    }

    /// Adds what a metric measures; it travels with the samples that follow.
    pub fn describe(&mut self, family: &Family) {
        self.encoder.family(family);
    }

    /// Makes a message of what there is, be it full or not.
    pub fn close(&mut self) {
        let samples = self.encoder.samples();
        if samples == 0 {
            return;
        }
        match self.encoder.finish() {
            Ok(body) => {
                // Far below what 32 bits hold.
                let samples = u32::try_from(samples).unwrap_or(u32::MAX);
                self.full.push_back(Batch { body: body.into(), samples });
            }
            Err(error) => {
                tracing::warn!(%error, "a message of metrics could not be made");
                self.figures.drop_samples("encoding", samples as u64);
            }
        }
    }

    /// The next message that has been closed.
    pub fn take(&mut self) -> Option<Batch> {
        self.full.pop_front()
    }
}

#[cfg(test)]
pub mod tests {
    use atoll_metrics::remote;

    use super::*;

    /// Everything that waits, as `name{labels} value @time`.
    pub fn lines(outbox: &mut Outbox) -> Vec<String> {
        outbox.close();
        let mut lines = Vec::new();
        while let Some(batch) = outbox.take() {
            lines.extend(read(&batch.body));
        }
        lines
    }

    /// The samples of one message.
    pub fn read(body: &[u8]) -> Vec<String> {
        let message = remote::decompress(body, 64 << 20).unwrap();
        let mut lines = Vec::new();
        remote::decode(Version::V1, &message, |labels, samples| {
            let labels = atoll_metrics::Labels::new(labels.iter().copied());
            for sample in samples {
                let stale = atoll_metrics::is_stale(sample.value);
                let value = if stale { "stale".to_owned() } else { sample.value.to_string() };
                lines.push(format!("{labels} {value} @{}", sample.at));
            }
        })
        .unwrap();
        lines
    }

    #[test]
    fn messages_are_bounded() {
        let mut outbox = Outbox::default();
        for i in 0..12_000 {
            outbox.add([("__name__", "a")].into_iter(), Sample { at: i, value: 1.0 });
        }
        let counts: Vec<u32> =
            std::iter::from_fn(|| outbox.take()).map(|batch| batch.samples).collect();
        assert_eq!(counts, [5000, 5000]);
        outbox.close();
        assert_eq!(outbox.take().unwrap().samples, 2000);
        outbox.close();
        assert_eq!(outbox.take(), None, "nothing is no message");
        let long = "x".repeat(4000);
        for _ in 0..400 {
            outbox.add([("__name__", long.as_str())].into_iter(), Sample { at: 1, value: 1.0 });
        }
        assert!(outbox.take().unwrap().samples < 300, "long labels fill it too");
    }
}

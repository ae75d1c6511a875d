//! What PromQL reads from: anything that finds series by their labels and gives their samples.

use std::ops::Range;
use std::sync::Arc;

use crate::labels::{Labels, Matcher};
use crate::sample::Sample;

/// A place series are read from. Shared between threads; what it gives is one consistent view at
/// the time of the call.
pub trait Source: Send + Sync {
    /// The series that match all `matchers` and may have a sample from `from` to `to`, both
    /// inclusive, in milliseconds. In no order, each labels at most once.
    ///
    /// # Errors
    /// What could not be read.
    fn select(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
    ) -> Result<Vec<Arc<dyn Selected>>, SourceError>;

    /// The series that match all `matchers` and may have a sample so many milliseconds before
    /// `from`, or later and not after `to`. Of each, the samples after `from` can be read, and the
    /// newest one of those before.
    ///
    /// # Errors
    /// What could not be read.
    fn recall(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        memory: i64,
    ) -> Result<Recalled, SourceError> {
        self.select(matchers, from.saturating_sub(memory), to).map(Recalled::Found)
    }

    /// From which times back a series may have been thinned out on purpose, and to one sample in
    /// how long; the newest time first, only those after `from`, all in milliseconds.
    fn thinned(&self, _labels: &Labels, _from: i64) -> Vec<(i64, i64)> {
        Vec::new()
    }

    /// The names of labels of matching series, sorted.
    ///
    /// # Errors
    /// What could not be read.
    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError>;

    /// The values of one label of matching series, sorted.
    ///
    /// # Errors
    /// What could not be read.
    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError>;
}

/// A series that was found; its samples are decoded when they are asked for.
pub trait Selected: Send + Sync {
    /// Its labels.
    fn labels(&self) -> &Labels;

    /// Appends the samples from `from` to `to`, both inclusive, in the order of time, no time
    /// twice, staleness markers included.
    ///
    /// # Errors
    /// What could not be read.
    fn read(&self, from: i64, to: i64, into: &mut Vec<Sample>) -> Result<(), SourceError>;

    /// Appends the samples after `from` and not after `to`, as [`Selected::read`] does, and gives
    /// the newest one not after `from`.
    ///
    /// # Errors
    /// What could not be read.
    fn read_after(
        &self,
        from: i64,
        to: i64,
        into: &mut Vec<Sample>,
    ) -> Result<Option<Sample>, SourceError> {
        self.read(from.saturating_add(1), to, into)?;
        Ok(self.last(from))
    }

    /// The newest sample not after `to`, staleness markers included, or none if there is none in
    /// what is kept; cheap.
    fn last(&self, to: i64) -> Option<Sample>;
}

/// What [`Source::recall`] gives.
pub enum Recalled {
    /// Series whose samples are decoded one after the other: of many not all are held at a time.
    Found(Vec<Arc<dyn Selected>>),
    /// Series that are decoded already.
    Decoded {
        /// In no order.
        series: Vec<Decoded>,
        /// What the series share.
        samples: Vec<Sample>,
    },
}

/// A series of [`Recalled::Decoded`].
pub struct Decoded {
    /// Its labels.
    pub labels: Labels,
    /// Which of the samples are its own: those of the range, in the order of time.
    pub own: Range<usize>,
    /// The newest one before the range.
    pub before: Option<Sample>,
}

impl Recalled {
    /// How many series.
    pub fn len(&self) -> usize {
        match self {
            Recalled::Found(found) => found.len(),
            Recalled::Decoded { series, .. } => series.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Visits the series in the order of labels with the samples after `from` and not after `to`,
    /// which are the times it was recalled with, and the newest one not after `from`.
    ///
    /// # Errors
    /// What could not be read, and what the visit gives.
    pub fn read_each<E: From<SourceError>>(
        self,
        (from, to): (i64, i64),
        mut visit: impl FnMut(&Labels, &[Sample], Option<Sample>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Recalled::Found(mut found) => {
                found.sort_unstable_by(|a, b| a.labels().cmp(b.labels()));
                let mut samples = Vec::new();
                found.into_iter().try_for_each(|series| {
                    samples.clear();
                    let before = series.read_after(from, to, &mut samples)?;
                    visit(series.labels(), &samples, before)
                })
            }
            Recalled::Decoded { mut series, samples } => {
                series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
                let mut each = series.into_iter();
                each.try_for_each(|one| visit(&one.labels, &samples[one.own], one.before))
            }
        }
    }
}

/// Which series to list names or values of; no matcher set means all series.
#[derive(Clone, Debug, Default)]
pub struct LabelQuery {
    /// Sets of matchers, of which a series must match one set in full.
    pub sets: Vec<Vec<Matcher>>,
    /// Series that may have samples not before this time, in milliseconds.
    pub from: Option<i64>,
    /// Series that may have samples not after this time, in milliseconds.
    pub to: Option<i64>,
    /// At most so many answers.
    pub limit: Option<usize>,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// A file is damaged or could not be read.
    #[error("could not read {0}")]
    Broken(String),
    /// The query touches more than is allowed.
    #[error("{0}")]
    TooMuch(String),
}

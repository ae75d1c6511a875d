//! Who uses the store and for what: the figures behind `tsdb status`.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::Storage;
use crate::labels::METRIC_NAME;

/// Rows of each list.
const TOP: usize = 10;

/// A name and a figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What is counted.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// What one source uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceUsage {
    /// The source, as its owner names it.
    pub name: String,
    /// Series in memory that it began.
    pub series: u64,
    /// How many it may have.
    pub limit: u64,
    /// Samples refused because of a limit since the store was opened.
    pub refused: u64,
}

/// All blocks together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlockUsage {
    /// How many.
    pub count: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Samples in them.
    pub samples: u64,
}

/// The figures of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Series in memory.
    pub series: u64,
    /// How many there may be.
    pub most_series: u64,
    /// Samples in memory and in blocks.
    pub samples: u64,
    /// Samples in memory.
    pub head_samples: u64,
    /// Bytes those take.
    pub head_bytes: u64,
    /// The time of the oldest sample, in milliseconds; none if there is none.
    pub min_time: Option<i64>,
    /// The time of the newest sample, in milliseconds; none if there is none.
    pub max_time: Option<i64>,
    /// The blocks.
    pub blocks: BlockUsage,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Metrics with most series in memory.
    pub series_by_metric: Vec<Figure>,
    /// Labels with most values.
    pub values_by_label: Vec<Figure>,
    /// Labels whose values take most bytes.
    pub memory_by_label: Vec<Figure>,
    /// Pairs of a label and a value with most series.
    pub series_by_pair: Vec<Figure>,
    /// All sources, those with most series first.
    pub sources: Vec<SourceUsage>,
}

/// The largest figures seen.
#[derive(Default)]
struct Largest(Vec<Figure>);

impl Largest {
    fn see(&mut self, value: usize, name: impl FnOnce() -> String) {
        let value = value as u64;
        if self.0.len() == TOP && self.0.last().is_some_and(|f| f.value >= value) {
            return;
        }
        let at = self.0.partition_point(|f| f.value >= value);
        self.0.insert(at, Figure { name: name(), value });
        self.0.truncate(TOP);
    }
}

pub(super) fn of(storage: &Storage) -> Status {
    let (mut metrics, mut values, mut memory, mut pairs) =
        (Largest::default(), Largest::default(), Largest::default(), Largest::default());
    for (name, of_name) in storage.head.index().iter() {
        let (mut count, mut bytes) = (0, 0);
        for (value, series) in of_name {
            count += 1;
            bytes += value.len();
            pairs.see(series, || format!("{name}={value}"));
            if name == METRIC_NAME {
                metrics.see(series, || value.to_owned());
            }
        }
        values.see(count, || name.to_owned());
        memory.see(bytes, || name.to_owned());
    }
    let mut blocks = BlockUsage::default();
    let (mut min, mut max) = (storage.head.oldest(), storage.head.newest());
    for block in storage.blocks.all().iter() {
        blocks.count += 1;
        blocks.bytes += block.bytes();
        blocks.samples += block.meta.samples;
        (min, max) = (min.min(block.meta.min), max.max(block.meta.max));
    }
    let limit = storage.options.most_series_per_source as u64;
    let sources = storage.sources.all().into_iter().map(|usage| SourceUsage {
        name: usage.name.to_string(),
        series: usage.series.load(Ordering::Relaxed) as u64,
        limit,
        refused: usage.refused.load(Ordering::Relaxed),
    });
    Status {
        series: storage.head.series() as u64,
        most_series: storage.options.most_series as u64,
        samples: storage.head.samples() + blocks.samples,
        head_samples: storage.head.samples(),
        head_bytes: storage.head.bytes() as u64,
        min_time: (min < i64::MAX).then_some(min),
        max_time: (max > i64::MIN).then_some(max),
        blocks,
        log_bytes: storage.log.bytes(),
        series_by_metric: metrics.0,
        values_by_label: values.0,
        memory_by_label: memory.0,
        series_by_pair: pairs.0,
        sources: sources.collect(),
    }
}

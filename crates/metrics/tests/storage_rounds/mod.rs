//! Rounds of samples that tell what is missing: what the tests of crashes write and read back.

use std::path::Path;

use atoll_metrics::storage::{Options, Storage};
use atoll_metrics::{Sample, Source};

pub const START: i64 = 1_700_000_000_000;
pub fn options() -> Options {
    Options { head_bytes: 60_000, segment_bytes: 20_000, block: 100_000, ..Options::default() }
}

pub fn open(dir: &Path) -> Storage {
    Storage::open(dir, options(), START).unwrap()
}

pub fn write(storage: &Storage, round: i64) {
    let mut appender = storage.appender("x", START + round * 1000);
    for series in 0..10_i64 {
        let name = series.to_string();
        let value = (round * 10 + series) as f64;
        appender.add(&[("s", &name)], &[Sample { at: START + round * 1000, value }]);
    }
    assert_eq!(appender.commit().unwrap().accepted, 10);
}

/// The rounds that all ten series have, which must be the first ones without a gap.
pub fn rounds(storage: &Storage) -> i64 {
    let found = storage.select(&[], i64::MIN, i64::MAX).unwrap();
    let mut lengths = Vec::new();
    for series in &found {
        let mut samples = Vec::new();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        let number: i64 = series.labels().get("s").parse().unwrap();
        for (round, sample) in samples.iter().enumerate() {
            assert_eq!(sample.at, START + round as i64 * 1000);
            assert_eq!(sample.value, (round as i64 * 10 + number) as f64);
        }
        lengths.push(samples.len() as i64);
    }
    lengths.dedup();
    assert!(lengths.len() <= 1, "a commit is there as a whole or not at all: {lengths:?}");
    assert!(found.len() == 10 || found.is_empty());
    lengths.first().copied().unwrap_or(0)
}

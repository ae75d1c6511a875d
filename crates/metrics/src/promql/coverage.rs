//! Counts the samples a query should have found and those it found. What counts is defined at
//! [`Coverage`]; this keeps one short record per series and does the sums at the end.

use super::Coverage;
use super::rows::Grid;
use crate::sample::{Sample, is_stale};

/// The interval where no series tells one, in milliseconds.
const DEFAULT_INTERVAL: i64 = 15_000;

/// Of a series with many samples, at most so many gaps are looked at, evenly spread.
const GAPS: usize = 15;

/// What a selector reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    /// All samples of the window.
    Samples,
    /// The newest at each step of the grid, whose times are already shifted.
    Points(Grid),
}

impl Reach {
    /// The time of the newest sample of a series that an answer is made of. A marker ends a series,
    /// and takes nothing from a window that is looked at as a whole.
    pub fn newest(self, samples: &[Sample]) -> Option<i64> {
        match self {
            Reach::Samples => newest(samples),
            Reach::Points(_) => {
                samples.last().filter(|sample| !is_stale(sample.value)).map(|sample| sample.at)
            }
        }
    }
}

/// Collects what selectors read.
#[derive(Default)]
pub(super) struct Ledger {
    total: Coverage,
    /// The [`super::Series::lag`] of what scalars are made of.
    pub scalars: Option<i64>,
    intervals: Vec<i64>,
    /// Series with too few samples to tell their interval: counted last.
    open: Vec<Open>,
    /// Memory for the gaps and stretches of one series.
    gaps: Vec<i64>,
    stretches: Vec<Stretch>,
}

/// A stretch in which a series should have samples, and how many it has.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Exclusive, or the time of the first sample where `starts` is set.
    from: i64,
    starts: bool,
    to: i64,
    count: u64,
    newest: Option<i64>,
}

struct Open {
    reach: Reach,
    stretches: Vec<Stretch>,
    thinned: Thinned,
}

/// From which times back a series may have been thinned out, and to what; see
/// [`crate::Source::thinned`].
type Thinned = Vec<(i64, i64)>;

impl Ledger {
    /// Notes one series read over `(from, to]`: its samples there, markers included, the newest one
    /// not after `from`, and since when it may have been thinned out.
    pub fn note(
        &mut self,
        reach: Reach,
        (from, to): (i64, i64),
        samples: &[Sample],
        before: Option<Sample>,
        thinned: &[(i64, i64)],
    ) {
        let lived = before.is_some_and(|sample| !is_stale(sample.value));
        if samples.is_empty() && !lived {
            return;
        }
        let mut stretches = std::mem::take(&mut self.stretches);
        add_stretches(&mut stretches, samples, lived, from, to);
        if !stretches.is_empty() {
            self.note_lived(reach, &stretches, samples, before, thinned);
        }
        stretches.clear();
        self.stretches = stretches;
    }

    /// Notes that a selector is through: the end of its window, and its newest sample there.
    pub fn close(&mut self, to: i64, newest: Option<i64>) {
        self.total.lag = self.total.lag.max(newest.map(|at| to - at));
    }

    /// Notes how far behind what a scalar is made of is.
    pub fn note_scalar(&mut self, lag: Option<i64>) {
        self.scalars = self.scalars.max(lag);
    }

    fn note_lived(
        &mut self,
        reach: Reach,
        stretches: &[Stretch],
        samples: &[Sample],
        before: Option<Sample>,
        thinned: &[(i64, i64)],
    ) {
        self.total.series += 1;
        let newest = newest(samples);
        self.total.newest = self.total.newest.max(newest);
        let ended = samples.last().is_some_and(|sample| is_stale(sample.value));
        if let (false, Some(last)) = (ended, newest.or(before.map(|sample| sample.at))) {
            self.total.stalest = Some(self.total.stalest.map_or(last, |s| s.min(last)));
        }
        // How far apart samples come is told by those that nobody has thinned out.
        let whole = thinned.first().map_or(0, |(at, _)| samples.partition_point(|s| s.at < *at));
        let gaps = &mut self.gaps;
        let interval = interval_of(samples.get(whole..).unwrap_or_default(), gaps)
            .or_else(|| interval_of(samples, gaps))
            .or_else(|| gap_to(samples, before));
        match interval {
            Some(interval) => {
                self.intervals.push(interval);
                self.count(reach, interval, stretches, samples, thinned);
            }
            None => {
                let (stretches, thinned) = (stretches.to_vec(), thinned.to_vec());
                self.open.push(Open { reach, stretches, thinned });
            }
        }
    }

    fn count(
        &mut self,
        reach: Reach,
        interval: i64,
        stretches: &[Stretch],
        samples: &[Sample],
        thinned: &[(i64, i64)],
    ) {
        let (expected, seen) = match reach {
            Reach::Samples if thinned.is_empty() => sample_counts(interval, stretches),
            Reach::Samples => thinned_counts(interval, stretches, samples, thinned),
            Reach::Points(grid) => point_counts(&grid, interval, stretches, samples, thinned),
        };
        self.total.expected += expected;
        self.total.seen += seen;
    }

    /// The sums.
    pub fn finish(mut self) -> Coverage {
        let interval = median(&mut self.intervals);
        for open in std::mem::take(&mut self.open) {
            // Without two samples, the newest of each stretch is all there is.
            let all = open.stretches.iter().filter_map(|s| s.newest);
            let samples: Vec<Sample> = all.map(|at| Sample { at, value: 0.0 }).collect();
            let assumed = interval.unwrap_or(DEFAULT_INTERVAL);
            self.count(open.reach, assumed, &open.stretches, &samples, &open.thinned);
        }
        self.total.interval = interval;
        self.total
    }
}

/// The time of the newest that is a sample and no marker.
fn newest(samples: &[Sample]) -> Option<i64> {
    samples.iter().rev().find(|sample| !is_stale(sample.value)).map(|sample| sample.at)
}

fn add_stretches(all: &mut Vec<Stretch>, samples: &[Sample], lived: bool, from: i64, to: i64) {
    let alive = Stretch { from, starts: false, to, count: 0, newest: None };
    let mut open = lived.then_some(alive);
    for sample in samples {
        if is_stale(sample.value) {
            all.extend(open.take().map(|stretch| Stretch { to: sample.at - 1, ..stretch }));
            continue;
        }
        let first = Stretch { from: sample.at, starts: true, ..alive };
        let stretch = open.get_or_insert(first);
        stretch.count += 1;
        stretch.newest = Some(sample.at);
    }
    all.extend(open);
}

fn sample_counts(interval: i64, stretches: &[Stretch]) -> (u64, u64) {
    let mut expected = 0;
    let mut seen = 0;
    for stretch in stretches {
        let gaps = (stretch.to - stretch.from).max(0) / interval;
        let own = gaps as u64 + u64::from(stretch.starts);
        // A stretch with samples was expected to have them, however short it is.
        let own = own.max(stretch.count.min(1));
        expected += own;
        seen += stretch.count.min(own);
    }
    (expected, seen)
}

/// What samples at a time have been thinned out to, if they have.
fn resolution(thinned: &[(i64, i64)], at: i64) -> Option<i64> {
    thinned.iter().rev().find(|(before, _)| at < *before).map(|(_, resolution)| *resolution)
}

/// As [`sample_counts`], gap by gap, in units of what may be left at its beginning. Of two
/// neighbours that were left each may be anywhere in its interval, so less than two intervals
/// between them is no loss.
fn thinned_counts(
    interval: i64,
    stretches: &[Stretch],
    samples: &[Sample],
    thinned: &[(i64, i64)],
) -> (u64, u64) {
    let (mut expected, mut missed) = (0.0, 0.0);
    for stretch in stretches {
        let first = samples.partition_point(|s| s.at <= stretch.from);
        let own = samples.iter().skip(first).take_while(|s| s.at <= stretch.to);
        let mut last = stretch.from;
        let mut wanted = f64::from(u8::from(stretch.starts));
        for at in own.filter(|s| !is_stale(s.value)).map(|s| Some(s.at)).chain([None]) {
            let left = resolution(thinned, last);
            let unit = left.unwrap_or(0).max(interval);
            let parts = (at.unwrap_or(stretch.to) - last).max(0) as f64 / unit as f64;
            let (parts, one) = match (left, at) {
                (Some(_), _) => (parts, 1.0),
                (None, Some(_)) => (parts.round(), 1.0),
                (None, None) => (parts.floor(), 0.0),
            };
            wanted += parts;
            missed += (parts.floor() - one).max(0.0);
            last = at.unwrap_or(last);
        }
        // As there, one with samples was expected to have them.
        expected += if stretch.count > 0 { wanted.max(1.0) } else { wanted };
    }
    let (expected, missed) = (expected.round() as u64, missed as u64);
    (expected, expected.saturating_sub(missed))
}

fn point_counts(
    grid: &Grid,
    interval: i64,
    stretches: &[Stretch],
    samples: &[Sample],
    thinned: &[(i64, i64)],
) -> (u64, u64) {
    let mut expected = 0;
    let mut seen = 0;
    let mut next = 0;
    let mut newest: Option<i64> = None;
    let mut stretch = 0;
    for index in 0..grid.count {
        let at = grid.time(index);
        while samples.get(next).is_some_and(|sample| sample.at <= at) {
            if !is_stale(samples[next].value) {
                newest = Some(samples[next].at);
            }
            next += 1;
        }
        while stretches.get(stretch).is_some_and(|s| s.to < at) {
            stretch += 1;
        }
        if stretches.get(stretch).is_some_and(|s| s.from <= at) {
            expected += 1;
            let apart = resolution(thinned, at).unwrap_or(0).max(interval);
            seen += u64::from(newest.is_some_and(|last| last >= at - 2 * apart));
        }
    }
    (expected, seen)
}

fn interval_of(samples: &[Sample], gaps: &mut Vec<i64>) -> Option<i64> {
    let pairs = samples.len().checked_sub(1)?;
    let stride = pairs.div_ceil(GAPS).max(1);
    let known = |pair: &&[Sample]| !is_stale(pair[0].value) && !is_stale(pair[1].value);
    let looked_at = samples.windows(2).step_by(stride).filter(known);
    gaps.clear();
    gaps.extend(looked_at.map(|pair| pair[1].at - pair[0].at));
    median(gaps).filter(|gap| *gap > 0)
}

/// The gap from the last sample before the window to the only one in it.
fn gap_to(samples: &[Sample], before: Option<Sample>) -> Option<i64> {
    let (first, before) = (samples.first()?, before?);
    let both = !is_stale(first.value) && !is_stale(before.value);
    both.then_some(first.at - before.at)
}

fn median(values: &mut [i64]) -> Option<i64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    Some(*values.select_nth_unstable(middle).1)
}

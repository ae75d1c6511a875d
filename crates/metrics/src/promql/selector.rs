//! Reads the series a selector names: the newest sample at each step, or all samples of a window.
//! It does no arithmetic.

use super::QueryError;
use super::coverage::Reach;
use super::evaluate::{Evaluation, Sink};
use super::plan::Selector;
use super::rows::{ABSENT, Grid, Row};
use crate::labels::Labels;
use crate::sample::{Sample, is_stale};

/// So much further back series are looked for, in milliseconds: one that fell silent has to be
/// missed, not forgotten.
const MEMORY: i64 = 3_600_000;

/// What takes the samples of each series.
type Visit<'v> = &'v mut dyn FnMut(&Labels, &[Sample]) -> Result<(), QueryError>;

/// One value per step: the newest sample not older than the look-back.
pub(super) fn points(
    evaluation: &Evaluation,
    selector: &Selector,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    newest(evaluation, selector, grid, (false, |sample| sample.value), sink)
}

/// As [`points`], with the time of the sample in seconds in place of its value.
pub(super) fn times(
    evaluation: &Evaluation,
    selector: &Selector,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    newest(evaluation, selector, grid, (true, |sample| sample.at as f64 / 1e3), sink)
}

fn newest(
    evaluation: &Evaluation,
    selector: &Selector,
    grid: &Grid,
    (drops_name, pick): (bool, fn(&Sample) -> f64),
    sink: Sink,
) -> Result<(), QueryError> {
    let first = selector.shift.apply(grid.start);
    let last = selector.shift.apply(grid.end());
    let step = if selector.shift.fixed.is_some() { 0 } else { grid.step };
    let reach = Reach::Points(Grid { start: first, step, count: grid.count });
    let window = (first.saturating_sub(evaluation.lookback), last);
    each(evaluation, selector, window, reach, &mut |labels, samples| {
        let found = at_steps(evaluation.lookback, selector, grid, samples, pick);
        let lag = lag(samples, last);
        let row = |values| Row { labels: labels.clone(), drops_name, values, lag };
        found.map_or(Ok(()), |values| sink(row(values)))
    })
}

/// How long before the end of its window the newest sample of a series is; none where the series
/// ended with a marker.
pub(super) fn lag(samples: &[Sample], to: i64) -> Option<i64> {
    samples.last().filter(|sample| !is_stale(sample.value)).map(|sample| to - sample.at)
}

/// None where no step has a value.
fn at_steps(
    lookback: i64,
    selector: &Selector,
    grid: &Grid,
    samples: &[Sample],
    pick: fn(&Sample) -> f64,
) -> Option<Vec<f64>> {
    if samples.is_empty() {
        return None;
    }
    let mut any = false;
    let mut next = 0;
    let mut values = Vec::with_capacity(grid.count);
    for index in 0..grid.count {
        let at = selector.shift.apply(grid.time(index));
        while samples.get(next).is_some_and(|sample| sample.at <= at) {
            next += 1;
        }
        let sample = next.checked_sub(1).map(|last| &samples[last]);
        let fresh = sample.filter(|s| !is_stale(s.value) && s.at > at.saturating_sub(lookback));
        any |= fresh.is_some();
        values.push(fresh.map_or(ABSENT, pick));
    }
    any.then_some(values)
}

/// Visits the samples of each series in `(from, to]`, staleness markers included, in the order of
/// labels, so that results do not hang on the order the source gives.
pub(super) fn each(
    evaluation: &Evaluation,
    selector: &Selector,
    (from, to): (i64, i64),
    reach: Reach,
    visit: Visit,
) -> Result<(), QueryError> {
    evaluation.meter.check()?;
    let found = evaluation.source.recall(&selector.matchers, (from, to), MEMORY)?;
    let oldest = from.saturating_sub(MEMORY);
    let mut newest = None;
    found.read_each((from, to), |labels, samples, before| {
        evaluation.meter.check()?;
        // What ended before the window is only looked for, to be missed: it is in no answer.
        evaluation.meter.series(usize::from(!samples.is_empty()))?;
        evaluation.meter.samples(samples.len())?;
        let before = before.filter(|sample| sample.at > oldest);
        let thinned = evaluation.source.thinned(labels, from);
        evaluation.ledger.borrow_mut().note(reach, (from, to), samples, before, &thinned);
        newest = newest.max(reach.newest(samples));
        visit(labels, samples)
    })?;
    evaluation.ledger.borrow_mut().close(to, newest);
    Ok(())
}

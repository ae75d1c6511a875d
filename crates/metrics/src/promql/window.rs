//! Range vectors: the samples of each series over all windows of a query, decoded once, with each
//! window a slice of them. What is computed over a window is in `over_time`.

use super::QueryError;
use super::budget::Held;
use super::coverage::Reach;
use super::evaluate::{Evaluation, misplaced};
use super::plan::{Node, Selector, Shift, Subquery};
use super::rows::{Grid, Row, is_absent, join_nameless};
use super::selector;
use crate::labels::Labels;
use crate::sample::{Sample, is_stale};

/// Where the windows of a query lie: `(end - range, end]` for each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub grid: Grid,
    pub shift: Shift,
    pub range: i64,
}

impl Frame {
    /// The end of a step's window, inclusive.
    pub fn end(&self, index: usize) -> i64 {
        self.shift.apply(self.grid.time(index))
    }

    /// The start of a step's window, exclusive.
    pub fn start(&self, index: usize) -> i64 {
        self.end(index).saturating_sub(self.range)
    }

    /// Calls with the index of each step and the bounds of its window among the samples.
    pub fn slide(&self, samples: &[Sample], mut visit: impl FnMut(usize, usize, usize)) {
        let mut low = 0;
        let mut high = 0;
        for index in 0..self.grid.count {
            let end = self.end(index);
            let start = end.saturating_sub(self.range);
            while samples.get(high).is_some_and(|sample| sample.at <= end) {
                high += 1;
            }
            while samples.get(low).is_some_and(|sample| sample.at <= start) {
                low += 1;
            }
            visit(index, low.min(high), high);
        }
    }
}

/// One series over all windows.
pub(super) struct Windowed<'s> {
    pub labels: &'s Labels,
    pub drops_name: bool,
    /// Without staleness markers.
    pub samples: &'s [Sample],
    pub frame: Frame,
    /// See [`super::Series::lag`].
    pub lag: Option<i64>,
}

type Visit<'v> = &'v mut dyn FnMut(Windowed) -> Result<(), QueryError>;

/// Visits the series of a range selector or subquery, also those without samples.
pub(super) fn each(
    evaluation: &Evaluation,
    node: &Node,
    grid: &Grid,
    visit: Visit,
) -> Result<(), QueryError> {
    match node {
        Node::Range(selector, range) => of_selector(evaluation, selector, *range, grid, visit),
        Node::Subquery(subquery) => of_subquery(evaluation, subquery, grid, visit),
        _ => Err(misplaced("a range vector")),
    }
}

fn of_selector(
    evaluation: &Evaluation,
    selector: &Selector,
    range: i64,
    grid: &Grid,
    visit: Visit,
) -> Result<(), QueryError> {
    let frame = Frame { grid: *grid, shift: selector.shift, range };
    let bounds = (frame.start(0), frame.end(grid.count.saturating_sub(1)));
    let mut kept: Vec<Sample> = Vec::new();
    selector::each(evaluation, selector, bounds, Reach::Samples, &mut |labels, samples| {
        let lag = selector::lag(samples, bounds.1);
        let mut samples = samples;
        if samples.iter().any(|sample| is_stale(sample.value)) {
            kept.clear();
            kept.extend(samples.iter().filter(|sample| !is_stale(sample.value)));
            samples = &kept;
        }
        visit(Windowed { labels, drops_name: false, samples, frame, lag })
    })
}

fn of_subquery(
    evaluation: &Evaluation,
    subquery: &Subquery,
    grid: &Grid,
    visit: Visit,
) -> Result<(), QueryError> {
    let frame = Frame { grid: *grid, shift: subquery.shift, range: subquery.range };
    let limit = frame.start(0);
    let end = frame.end(grid.count.saturating_sub(1));
    // Steps are multiples of the resolution since 1970, whatever the query's own start.
    let mut start = subquery.step * (limit / subquery.step);
    if start <= limit {
        start = start.saturating_add(subquery.step);
    }
    let inner = Grid::spanning(start, end, subquery.step);
    if inner.count == 0 {
        return Ok(());
    }
    // Before any row of that length is made.
    let mut held = Held::new(&evaluation.meter);
    held.add(inner.count.saturating_mul(size_of::<Sample>() + size_of::<f64>()))?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut each_row = |row: Row| {
        samples.clear();
        let present = row.values.iter().enumerate().filter(|(_, value)| !is_absent(**value));
        samples.extend(present.map(|(at, value)| Sample { at: inner.time(at), value: *value }));
        let (labels, drops_name) = (&row.labels, row.drops_name);
        visit(Windowed { labels, drops_name, samples: &samples, frame, lag: row.lag })
    };
    if subquery.inner.has_union() {
        let rows = evaluation.rows(&subquery.inner, &inner)?;
        return join_nameless(rows.rows).into_iter().try_for_each(each_row);
    }
    evaluation.stream(&subquery.inner, &inner, &mut each_row)
}

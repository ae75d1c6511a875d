//! What operators run over: rows of one value per step, and the steps themselves. It evaluates
//! nothing.

use std::collections::HashMap;

use super::budget::{Held, Meter};
use super::{QueryError, Series};
use crate::labels::{Labels, METRIC_NAME};
use crate::sample::{STALE, Sample, is_stale};

/// Stands in a row where there is no value at a step. No result is ever the staleness marker: its
/// bits are a signalling NaN, which no arithmetic gives, and markers read are dropped.
pub(super) const ABSENT: f64 = STALE;

/// Whether a row has no value there.
pub(super) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// The steps an expression is evaluated at, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub start: i64,
    pub step: i64,
    pub count: usize,
}

impl Grid {
    /// A single step.
    pub fn once(at: i64) -> Grid {
        Grid { start: at, step: 1, count: 1 }
    }

    /// From `start` to `end`, both inclusive; empty where the end lies before the start.
    pub fn spanning(start: i64, end: i64, step: i64) -> Grid {
        let gaps = end.checked_sub(start).map_or(-1, |span| span / step.max(1));
        let count = if end < start { 0 } else { usize::try_from(gaps + 1).unwrap_or(0) };
        Grid { start, step: step.max(1), count }
    }

    /// The time of a step.
    pub fn time(&self, index: usize) -> i64 {
        self.start + self.step * index as i64
    }

    /// The time of the last step.
    pub fn end(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }
}

/// One series of an intermediate result.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub labels: Labels,
    /// Whether the name of the metric goes at the end; kept till then so that functions on labels
    /// still see it.
    pub drops_name: bool,
    /// One value per step, or [`ABSENT`].
    pub values: Vec<f64>,
    /// See [`Series::lag`].
    pub lag: Option<i64>,
}

impl Row {
    /// A rough size, for the budget.
    pub fn bytes(&self) -> usize {
        self.values.len() * size_of::<f64>() + self.labels.len() * 32 + 64
    }

    /// Whether it has no value at any step.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|value| is_absent(*value))
    }

    /// Takes the values of a row that has the same labels, at the steps where it has some.
    pub fn take(&mut self, other: &Row) {
        self.lag = Lag::of([&*self, other]);
        for (kept, value) in self.values.iter_mut().zip(&other.values) {
            if !is_absent(*value) {
                *kept = *value;
            }
        }
    }

    /// Whether both have a value at some step.
    pub fn meets(&self, other: &Row) -> bool {
        let mut pairs = self.values.iter().zip(&other.values);
        pairs.any(|(kept, value)| !is_absent(*kept) && !is_absent(*value))
    }
}

/// The [`Series::lag`] of what is made of several rows: that of those with a value at the last
/// step. What has none there any more counts where none has.
#[derive(Default)]
pub(super) struct Lag {
    present: bool,
    lag: Option<i64>,
}

impl Lag {
    /// That of these rows.
    pub fn of<'r>(rows: impl IntoIterator<Item = &'r Row>) -> Option<i64> {
        let mut all = Lag::default();
        rows.into_iter().for_each(|row| all.add(row));
        all.known()
    }

    /// Counts one row more.
    pub fn add(&mut self, row: &Row) {
        let present = row.values.last().is_some_and(|value| !is_absent(*value));
        self.lag = match (self.present, present) {
            (true, false) => self.lag,
            (false, true) => row.lag,
            _ => self.lag.max(row.lag),
        };
        self.present |= present;
    }

    /// That of all that were counted.
    pub fn known(&self) -> Option<i64> {
        self.lag
    }
}

/// Rows, counted against the budget as long as they live.
pub(super) struct Rows<'a> {
    pub rows: Vec<Row>,
    held: Held<'a>,
}

impl<'a> Rows<'a> {
    pub fn new(meter: &'a Meter) -> Rows<'a> {
        Rows { rows: Vec::new(), held: Held::new(meter) }
    }

    pub fn push(&mut self, row: Row) -> Result<(), QueryError> {
        self.held.add(row.bytes())?;
        self.rows.push(row);
        Ok(())
    }
}

/// Labels without the name of the metric.
pub(super) fn without_name(labels: &Labels) -> Labels {
    if labels.metric().is_empty() {
        return labels.clone();
    }
    labels.filter(|name| name != METRIC_NAME)
}

/// The samples a row stands for.
pub(super) fn series_of(row: &Row, grid: &Grid) -> Series {
    let present = row.values.iter().enumerate().filter(|(_, value)| !is_absent(**value));
    let samples = present.map(|(at, value)| Sample { at: grid.time(at), value: *value }).collect();
    Series { labels: row.labels.clone(), samples, lag: row.lag }
}

/// Joins rows of the same labels, which have to have values at different steps. Rows of which only
/// one is to lose its name stay apart, as they will not have the same labels in the end.
pub(super) fn merge(rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    let mut places = HashMap::with_capacity(rows.len());
    let mut merged: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.labels.clone(), row.drops_name);
        let Some(place) = places.get(&key).copied() else {
            places.insert(key, merged.len());
            merged.push(row);
            continue;
        };
        let into: &mut Row = &mut merged[place];
        if into.meets(&row) {
            return Err(duplicate(&row.labels));
        }
        into.take(&row);
    }
    Ok(merged)
}

/// Joins rows that will have the same labels once their names are gone, where they have values at
/// different steps. What looks at several steps at once needs it: `rate(a[1m]) or rate(b[1m])` is
/// one series that has values now from the one and now from the other.
pub(super) fn join_nameless(rows: Vec<Row>) -> Vec<Row> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut joined: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        if !row.drops_name {
            joined.push(row);
            continue;
        }
        let place = *places.entry(without_name(&row.labels)).or_insert(joined.len());
        let Some(into) = joined.get_mut(place) else {
            joined.push(row);
            continue;
        };
        if into.meets(&row) {
            joined.push(row);
            continue;
        }
        into.take(&row);
        into.labels = without_name(&into.labels);
    }
    joined
}

/// Two series would have the same labels.
pub(super) fn duplicate(labels: &Labels) -> QueryError {
    QueryError::Execution(format!("vector cannot contain metrics with the same labelset: {labels}"))
}

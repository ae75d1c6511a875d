//! Counts what a query uses against its budget. It does not know what is counted.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use super::{Budget, QueryError};

/// The running account of one query.
pub(super) struct Meter {
    budget: Budget,
    samples: Cell<u64>,
    series: Cell<usize>,
    memory: Cell<usize>,
}

impl Meter {
    pub fn new(budget: Budget) -> Meter {
        Meter { budget, samples: Cell::new(0), series: Cell::new(0), memory: Cell::new(0) }
    }

    /// Whether the owner still wants the answer.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.budget.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        Ok(())
    }

    /// Counts samples that were read.
    pub fn samples(&self, count: usize) -> Result<(), QueryError> {
        let sum = self.samples.get() + count as u64;
        self.samples.set(sum);
        if sum <= self.budget.samples {
            return Ok(());
        }
        Err(QueryError::Limit(format!(
            "the query would read more than {} samples; narrow its selectors or its time range",
            self.budget.samples
        )))
    }

    /// Counts series that were selected.
    pub fn series(&self, count: usize) -> Result<(), QueryError> {
        let sum = self.series.get() + count;
        self.series.set(sum);
        if sum <= self.budget.series {
            return Ok(());
        }
        Err(QueryError::Limit(format!(
            "the query would select more than {} series; narrow its selectors",
            self.budget.series
        )))
    }

    /// Refuses a range of more steps than a series may have points.
    pub fn points(&self, count: usize) -> Result<(), QueryError> {
        if count <= self.budget.points {
            return Ok(());
        }
        Err(QueryError::Limit(format!(
            "the query would give more than {} points per series; use a longer step or a shorter \
             time range",
            self.budget.points
        )))
    }

    fn hold(&self, bytes: usize) -> Result<(), QueryError> {
        self.check()?;
        let sum = self.memory.get().saturating_add(bytes);
        self.memory.set(sum);
        if sum <= self.budget.memory {
            return Ok(());
        }
        Err(QueryError::Limit(format!(
            "the query would hold more than {} bytes; narrow its selectors, aggregate earlier, or \
             use a longer step",
            self.budget.memory
        )))
    }
}

/// Memory counted as long as this lives.
pub(super) struct Held<'a> {
    meter: &'a Meter,
    bytes: usize,
}

impl<'a> Held<'a> {
    pub fn new(meter: &'a Meter) -> Held<'a> {
        Held { meter, bytes: 0 }
    }

    /// Counts more.
    pub fn add(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.meter.hold(bytes)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.meter.memory.set(self.meter.memory.get().saturating_sub(self.bytes));
    }
}

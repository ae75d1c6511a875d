//! What a planner wants measured before it plans, and what was found. Planners say what they need
//! as data; the server asks the metrics store and calls the planner with the answers. Nothing here
//! asks anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::monitoring::Completeness;
use atoll_model::{Reason, Span, Timestamp};

/// One question in PromQL.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Names the answer among those to one planner's call.
    pub name: String,
    /// PromQL.
    pub expression: String,
    /// A label and its value that every selector not mentioning that label is narrowed to.
    pub narrowed: Option<(String, String)>,
    /// Comparisons do not leave series out: each gives 0 or 1 instead (`bool`). Tells a series for
    /// which a condition does not hold from one that is not measured.
    pub unfiltered: bool,
    /// At what time or times.
    pub period: Period,
    /// Under what name and with what further labels the answer is kept as series, if it is. Only
    /// for an instant, and kept at that instant; later queries of the same call read it.
    pub record: Option<Recording>,
}

impl Query {
    /// Asks for the values at one time.
    pub fn at(name: impl Into<String>, expression: impl Into<String>, at: Timestamp) -> Query {
        Query {
            name: name.into(),
            expression: expression.into(),
            narrowed: None,
            unfiltered: false,
            period: Period::At(at),
            record: None,
        }
    }
}

/// The time or times of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// At one time.
    At(Timestamp),
    /// From a time to another, both included, a value every step.
    Range {
        /// The first time.
        from: Timestamp,
        /// No time is after this.
        to: Timestamp,
        /// From one to the next; more than zero.
        step: Span,
    },
}

/// How answers are kept as series.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The name of the metric.
    pub metric: String,
    /// Labels set on every series; an empty value takes a label away.
    pub labels: BTreeMap<String, String>,
    /// An answer of more series is not kept at all; 0 for no limit.
    pub limit: u32,
    /// It is one number, kept with these labels and no others; of more series nothing is kept.
    pub alone: bool,
    /// An answer that looking back for samples only carries on is not kept.
    pub fresh: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Every series; for an instant, each with one point.
    pub series: Vec<Series>,
    /// How much of what should have been measured was.
    pub completeness: Completeness,
}

/// One series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its labels; `__name__` where the expression keeps it.
    pub labels: BTreeMap<String, String>,
    /// Values by time, in order; what is missing is left out.
    pub points: Vec<(Timestamp, f64)>,
    /// Of a range, how old the newest sample of whatever its last value is made of was at the end:
    /// of what is furthest behind, and has not ended as told. None where nothing is behind.
    pub lag: Option<Span>,
}

/// The answers to one planner's queries, by name; one that could not be had is a reason.
pub type Answers = BTreeMap<String, Result<Arc<Answer>, Reason>>;

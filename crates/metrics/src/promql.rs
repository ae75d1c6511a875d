//! PromQL: expressions over the series of a [`Source`], with the meaning Prometheus 3 gives them,
//! and with an account of how complete and how fresh the samples were that an answer rests on. It
//! is not a store, and knows neither HTTP nor the time of day. Native histograms are not supported.

mod aggregate;
mod annotations;
mod binary;
mod budget;
mod choose;
mod coverage;
mod dates;
mod evaluate;
mod functions;
mod histogram;
mod label_functions;
mod match_groups;
mod over_time;
mod parse;
mod plan;
mod rewrite;
mod rows;
mod scan;
mod selector;
mod statistics;
mod window;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::labels::{Labels, Matcher};
use crate::sample::Sample;
use crate::source::{Source, SourceError};
use promql_parser::parser::value::ValueType;

/// How a query is evaluated, and how much it may use.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// How old the newest sample of a series may be to still count as its value, in milliseconds.
    pub lookback: i64,
    /// What the query may use.
    pub budget: Budget,
}

impl Default for QueryOptions {
    fn default() -> QueryOptions {
        QueryOptions { lookback: 300_000, budget: Budget::default() }
    }
}

/// What a query may use before it is refused with [`QueryError::Limit`].
#[derive(Clone, Debug)]
pub struct Budget {
    /// Samples read, over all selectors.
    pub samples: u64,
    /// Series selected, over all selectors.
    pub series: usize,
    /// Bytes held by intermediate results.
    pub memory: usize,
    /// Points of one series of a range query.
    pub points: usize,
    /// The owner sets this at the deadline, or when nobody waits for the answer any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            samples: 50_000_000,
            series: 200_000,
            memory: 512 << 20,
            points: 11_000,
            cancelled: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// What a query came to.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// What the result rests on.
    pub coverage: Coverage,
    /// What makes the result doubtful, as Prometheus words it.
    pub warnings: Vec<String>,
    /// What may be a mistake in the query, as Prometheus words it.
    pub infos: Vec<String>,
}

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number without labels.
    Scalar(Sample),
    /// A text.
    String {
        /// The time of evaluation, in milliseconds.
        at: i64,
        /// The text.
        text: String,
    },
    /// At most one sample of each series, all of one time; in the order a sort gave them.
    Vector(Vec<(Labels, Sample)>),
    /// Samples over time, sorted by labels.
    Matrix(Vec<Series>),
}

/// One series of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Its samples in the order of time.
    pub samples: Vec<Sample>,
    /// How long before the end of its window the newest sample is of whatever its value at the last
    /// step is made of, in milliseconds: of the series that is furthest behind, and of those that
    /// have not ended with a marker. What only decides whether there is a value, as on the right of
    /// `and`, is no part of it.
    pub lag: Option<i64>,
}

/// How complete and how fresh the samples were that a query selected: the sum over its selectors,
/// so that a series selected twice counts twice.
///
/// The interval of a series is the median gap between its samples in what was read, or the gap from
/// the sample before to the only one there; a series without takes the median of the others, and
/// 15 s if there are none.
///
/// A range selector (`x[5m]`) expects one sample per interval over the union of its windows. A
/// plain selector expects one *fresh point* per step of the evaluation, and has seen it where the
/// newest sample is no older than two intervals: look-back may still give a value there, but an
/// aged one. Nothing is expected before the first sample of a series that is younger than the
/// window, nor between a staleness marker and the next sample. A series that fell silent without a
/// marker within the hour before the window is expected and not seen. Where samples were thinned
/// out on purpose, one is expected in as long as they were thinned out to.
///
/// A metric that has no series gives `expected` 0 and `seen` 0: no data, which is never "all well".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Series that were expected to have samples.
    pub series: u64,
    /// Samples, or fresh points, that they should have.
    pub expected: u64,
    /// Those they have; never more than `expected`.
    pub seen: u64,
    /// Time of the newest sample used, in milliseconds.
    pub newest: Option<i64>,
    /// Of the series that have not ended with a marker, the oldest of their newest samples' times.
    pub stalest: Option<i64>,
    /// How long before the end of its window a selector's newest sample is, in milliseconds: of the
    /// selector that is furthest behind, and of those that found any.
    pub lag: Option<i64>,
    /// Median of the series' sampling intervals, in milliseconds.
    pub interval: Option<i64>,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The text is not an expression.
    #[error("could not parse the query: {0}")]
    Parse(String),
    /// It would use more than its [`Budget`].
    #[error("{0}")]
    Limit(String),
    /// [`Budget::cancelled`] was set.
    #[error(
        "the query took longer than it may, the wait for its turn included; narrow its selectors \
         or its time range, or ask less at a time"
    )]
    Cancelled,
    /// The expression cannot be evaluated on these series.
    #[error("could not evaluate the query: {0}")]
    Execution(String),
    /// The series could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Evaluates an expression at one time, in milliseconds.
///
/// # Errors
/// See [`QueryError`].
pub fn instant(
    source: &dyn Source,
    query: &str,
    at: i64,
    options: &QueryOptions,
) -> Result<Answer, QueryError> {
    evaluate::instant(source, query, at, options)
}

/// Evaluates an expression at `start`, `start + step` and so on, up to and including `end`; all in
/// milliseconds. The answer is a matrix.
///
/// # Errors
/// See [`QueryError`]; a range that ends before it starts, a step of zero and too many points are
/// among them.
pub fn range(
    source: &dyn Source,
    query: &str,
    start: i64,
    end: i64,
    step: i64,
    options: &QueryOptions,
) -> Result<Answer, QueryError> {
    evaluate::range(source, query, (start, end, step), options)
}

/// Whether an expression can be parsed and is of sound types.
///
/// # Errors
/// [`QueryError::Parse`].
pub fn check(query: &str) -> Result<(), QueryError> {
    plan::Plan::of(query, plan::Bounds { start: 0, end: 0, step: 0 }).map(|_| ())
}

/// Whether an expression can be parsed and says one number of each series at a time: what a rule
/// or a signal goes by.
///
/// # Errors
/// [`QueryError::Parse`], also where it gives ranges of samples or a text.
pub fn check_numbers(query: &str) -> Result<(), QueryError> {
    let kind = plan::Plan::of(query, plan::Bounds { start: 0, end: 0, step: 0 })?.kind;
    let wrong = match kind {
        ValueType::Matrix => {
            "a range of samples is no number: put a function around it, as rate() or \
             avg_over_time()"
        }
        ValueType::String => "a text is no number",
        ValueType::Vector | ValueType::Scalar => return Ok(()),
    };
    Err(QueryError::Parse(wrong.to_owned()))
}

/// The matchers of a series selector such as `up{job="x"}`.
///
/// # Errors
/// [`QueryError::Parse`], also where the text is an expression but not a plain selector.
pub fn matchers(text: &str) -> Result<Vec<Matcher>, QueryError> {
    rewrite::matchers(text)
}

/// The matchers of every vector selector of an expression, in the order of the text.
///
/// # Errors
/// [`QueryError::Parse`].
pub fn selectors(query: &str) -> Result<Vec<Vec<Matcher>>, QueryError> {
    rewrite::selectors(query)
}

/// The expression with `name="value"` added to every selector that does not mention that label.
///
/// # Errors
/// [`QueryError::Parse`].
pub fn with_matcher(query: &str, name: &str, value: &str) -> Result<String, QueryError> {
    rewrite::with_matcher(query, name, value)
}

/// The expression, in which every selector takes only series whose label has one of these values,
/// whatever else it says of that label.
///
/// # Errors
/// [`QueryError::Parse`].
pub fn restricted(query: &str, name: &str, values: &[String]) -> Result<String, QueryError> {
    rewrite::restricted(query, name, values)
}

/// A matcher of one of these values of a label.
///
/// # Errors
/// [`QueryError::Parse`].
pub fn one_of(name: &str, values: &[String]) -> Result<Vec<Matcher>, QueryError> {
    let pattern = rewrite::pattern(values).replace('\\', "\\\\").replace('"', "\\\"");
    rewrite::matchers(&format!("{{{name}=~\"{pattern}\"}}"))
}

/// The expression, pretty printed.
///
/// # Errors
/// [`QueryError::Parse`].
pub fn format(query: &str) -> Result<String, QueryError> {
    rewrite::format(query)
}

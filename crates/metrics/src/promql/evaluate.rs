//! Walks a plan. A query is evaluated series by series over all its steps: each node hands its rows
//! on one by one, so that an aggregation over a range function holds its groups and one series.
//! What each kind of node does is in the modules beside this one.

use std::cell::RefCell;

use promql_parser::parser::value::ValueType;

use super::annotations::Notes;
use super::budget::{Held, Meter};
use super::coverage::Ledger;
use super::plan::{Bounds, Node, Plan};
use super::rows::{Grid, Row, Rows, is_absent, merge, series_of, without_name};
use super::{Answer, QueryError, QueryOptions, Series, Value};
use super::{aggregate, binary, functions, selector, window};
use crate::sample::Sample;
use crate::source::Source;

/// Times further from 1970 than this are refused, in milliseconds; sums of them cannot overflow.
const FURTHEST: i64 = 1 << 55;

/// What takes rows as they come.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Row) -> Result<(), QueryError>;

/// The evaluation of one query.
pub(super) struct Evaluation<'a> {
    pub source: &'a dyn Source,
    pub lookback: i64,
    pub meter: Meter,
    pub notes: Notes,
    pub ledger: RefCell<Ledger>,
}

/// See [`super::instant`].
pub(super) fn instant(
    source: &dyn Source,
    query: &str,
    at: i64,
    options: &QueryOptions,
) -> Result<Answer, QueryError> {
    refuse_far(at)?;
    let plan = Plan::of(query, Bounds { start: at, end: at, step: 0 })?;
    let evaluation = Evaluation::new(source, options);
    let grid = Grid::once(at);
    let value = match plan.kind {
        ValueType::Matrix => Value::Matrix(evaluation.matrix(&plan.root, &grid)?),
        ValueType::String => Value::String { at, text: evaluation.text(&plan.root)?.to_string() },
        ValueType::Scalar => {
            let values = evaluation.scalar(&plan.root, &grid)?;
            Value::Scalar(Sample { at, value: values[0] })
        }
        ValueType::Vector => {
            let rows = named(evaluation.rows(&plan.root, &grid)?.rows)?;
            let present = rows.into_iter().filter(|row| !is_absent(row.values[0]));
            let sample = |row: &Row| Sample { at, value: row.values[0] };
            Value::Vector(present.map(|row| (row.labels.clone(), sample(&row))).collect())
        }
    };
    Ok(evaluation.answer(value))
}

/// See [`super::range`].
pub(super) fn range(
    source: &dyn Source,
    query: &str,
    (start, end, step): (i64, i64, i64),
    options: &QueryOptions,
) -> Result<Answer, QueryError> {
    refuse_far(start)?;
    refuse_far(end)?;
    if step <= 0 {
        let text = "the step of a range query must be greater than 0";
        return Err(QueryError::Execution(text.to_owned()));
    }
    if end < start {
        let text = "a range query must not end before it starts";
        return Err(QueryError::Execution(text.to_owned()));
    }
    let plan = Plan::of(query, Bounds { start, end, step })?;
    let evaluation = Evaluation::new(source, options);
    let grid = Grid::spanning(start, end, step);
    evaluation.meter.points(grid.count)?;
    let rows = match plan.kind {
        ValueType::Scalar => {
            let values = evaluation.scalar(&plan.root, &grid)?;
            vec![functions::bare(values)]
        }
        ValueType::Vector => named(evaluation.rows(&plan.root, &grid)?.rows)?,
        other => {
            return Err(QueryError::Parse(format!(
                "a range query needs a scalar or an instant vector, and this is a {other}"
            )));
        }
    };
    let mut series: Vec<Series> = rows.iter().map(|row| series_of(row, &grid)).collect();
    series.retain(|one| !one.samples.is_empty());
    // A number from series may be in the value of any.
    let scalars = evaluation.ledger.borrow().scalars;
    series.iter_mut().for_each(|one| one.lag = one.lag.max(scalars));
    series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(evaluation.answer(Value::Matrix(series)))
}

fn refuse_far(at: i64) -> Result<(), QueryError> {
    if at.checked_abs().is_none_or(|distance| distance > FURTHEST) {
        return Err(QueryError::Execution(format!("{at} is no time a query can be of")));
    }
    Ok(())
}

/// Takes away the names that are to go, and refuses duplicates.
fn named(rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    let cleaned = rows.into_iter().map(|mut row| {
        if row.drops_name {
            row.labels = without_name(&row.labels);
            row.drops_name = false;
        }
        row
    });
    merge(cleaned.collect())
}

impl<'a> Evaluation<'a> {
    fn new(source: &'a dyn Source, options: &QueryOptions) -> Evaluation<'a> {
        Evaluation {
            source,
            lookback: options.lookback.clamp(1, FURTHEST),
            meter: Meter::new(options.budget.clone()),
            notes: Notes::default(),
            ledger: RefCell::default(),
        }
    }

    fn answer(self, value: Value) -> Answer {
        let (warnings, infos) = self.notes.into_parts();
        Answer { value, coverage: self.ledger.into_inner().finish(), warnings, infos }
    }

    /// Hands on the rows of a vector one by one.
    pub fn stream(&self, node: &Node, grid: &Grid, sink: Sink) -> Result<(), QueryError> {
        if grid.count > 1 && node.is_constant() {
            return self.stream(node, &Grid::once(grid.start), &mut |row| {
                let values = vec![row.values[0]; grid.count];
                sink(Row { values, ..row })
            });
        }
        match node {
            Node::Vector(selector) => selector::points(self, selector, grid, sink),
            Node::Negation(inner) => self.stream(inner, grid, &mut |mut row| {
                for value in row.values.iter_mut().filter(|value| !is_absent(**value)) {
                    *value = -*value;
                }
                row.drops_name = true;
                sink(row)
            }),
            Node::Binary(operation) => binary::stream(self, operation, grid, sink),
            Node::Call(call) => functions::stream(self, call, grid, sink),
            Node::Aggregation(aggregation) => aggregate::stream(self, aggregation, grid, sink),
            _ => Err(misplaced("an instant vector")),
        }
    }

    /// All rows of a vector.
    pub fn rows(&self, node: &Node, grid: &Grid) -> Result<Rows<'_>, QueryError> {
        let mut rows = Rows::new(&self.meter);
        self.stream(node, grid, &mut |row| rows.push(row))?;
        Ok(rows)
    }

    /// A scalar at each step.
    pub fn scalar(&self, node: &Node, grid: &Grid) -> Result<Vec<f64>, QueryError> {
        if grid.count > 1 && node.is_constant() {
            let once = self.scalar(node, &Grid::once(grid.start))?;
            return Ok(vec![once[0]; grid.count]);
        }
        match node {
            Node::Number(number) => Ok(vec![*number; grid.count]),
            Node::Negation(inner) => {
                Ok(self.scalar(inner, grid)?.into_iter().map(|value| -value).collect())
            }
            Node::Binary(operation) => binary::scalar(self, operation, grid),
            Node::Call(call) => functions::scalar(self, call, grid),
            _ => Err(misplaced("a scalar")),
        }
    }

    /// A text.
    pub fn text<'n>(&self, node: &'n Node) -> Result<&'n str, QueryError> {
        match node {
            Node::Text(text) => Ok(text),
            _ => Err(misplaced("a text")),
        }
    }

    fn matrix(&self, node: &Node, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let mut held = Held::new(&self.meter);
        let mut all = Vec::new();
        window::each(self, node, grid, &mut |one| {
            if one.samples.is_empty() {
                return Ok(());
            }
            held.add(std::mem::size_of_val(one.samples))?;
            let labels = if one.drops_name { without_name(one.labels) } else { one.labels.clone() };
            all.push(Series { labels, samples: one.samples.to_vec(), lag: one.lag });
            Ok(())
        })?;
        all.sort_unstable_by(|a: &Series, b| a.labels.cmp(&b.labels));
        if let Some(pair) = all.windows(2).find(|pair| pair[0].labels == pair[1].labels) {
            return Err(super::rows::duplicate(&pair[0].labels));
        }
        Ok(all)
    }
}

/// The parser checks types, so that this is only met where it does not know one.
pub(super) fn misplaced(expected: &str) -> QueryError {
    QueryError::Execution(format!("{expected} is needed where there is something else"))
}

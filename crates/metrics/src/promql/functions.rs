//! Calls of functions: those of single values, and the way to the others, which are in the modules
//! named after what they work on.

use super::QueryError;
use super::evaluate::{Evaluation, Sink, misplaced};
use super::histogram;
use super::label_functions;
use super::over_time;
use super::plan::{Invocation, Node};
use super::rows::{ABSENT, Grid, Lag, Row, is_absent};
use super::statistics::nan_last;
use super::window;
use super::{dates, selector};
use crate::labels::{Labels, METRIC_NAME, Matcher, Operator};

/// Endings of the names of counters.
const COUNTERS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// Hands on the rows of a function that gives a vector.
pub(super) fn stream(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    if let Some(single) = of_one_value(call.name) {
        return match call.arguments.first() {
            Some(inner) => map(evaluation, inner, grid, sink, |value, _| single(value)),
            None => {
                let values = (0..grid.count).map(|at| single(grid.time(at) as f64 / 1e3));
                sink(bare(values.collect()))
            }
        };
    }
    if over_time::is_known(call.name) {
        return over_windows(evaluation, call, grid, sink);
    }
    match call.name {
        "vector" => sink(bare(evaluation.scalar(argument(call, 0)?, grid)?)),
        "clamp" | "clamp_min" | "clamp_max" => clamp(evaluation, call, grid, sink),
        "round" => round(evaluation, call, grid, sink),
        "timestamp" => timestamp(evaluation, argument(call, 0)?, grid, sink),
        "sort" | "sort_desc" => sort(evaluation, call, grid, sink),
        "sort_by_label" | "sort_by_label_desc" => {
            label_functions::sort(evaluation, call, grid, sink)
        }
        "absent" | "absent_over_time" => absent(evaluation, call, grid, sink),
        "label_replace" => label_functions::replace(evaluation, call, grid, sink),
        "label_join" => label_functions::join(evaluation, call, grid, sink),
        "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
            histogram::stream(evaluation, call, grid, sink)
        }
        // Of native histograms only, of which there are none.
        "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev"
        | "histogram_stdvar" => evaluation.stream(argument(call, 0)?, grid, &mut |_| Ok(())),
        other => Err(QueryError::Execution(format!("the function {other} is not supported"))),
    }
}

/// A function that gives a scalar, at each step.
pub(super) fn scalar(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
) -> Result<Vec<f64>, QueryError> {
    let pair = |pick: fn(f64, f64) -> f64| {
        let left = evaluation.scalar(argument(call, 0)?, grid)?;
        let right = evaluation.scalar(argument(call, 1)?, grid)?;
        Ok(left.into_iter().zip(right).map(|(a, b)| pick(a, b)).collect())
    };
    match call.name {
        "time" => Ok((0..grid.count).map(|at| grid.time(at) as f64 / 1e3).collect()),
        "pi" => Ok(vec![std::f64::consts::PI; grid.count]),
        "start" | "end" | "step" | "range" => evaluation.scalar(argument(call, 0)?, grid),
        "min_of" => pair(smaller),
        "max_of" => pair(larger),
        "scalar" => only_value(evaluation, argument(call, 0)?, grid),
        other => Err(QueryError::Execution(format!("the function {other} is not supported"))),
    }
}

/// One argument of a call.
pub(super) fn argument(call: &Invocation, index: usize) -> Result<&Node, QueryError> {
    let missing = || QueryError::Execution(format!("{} needs more arguments", call.name));
    call.arguments.get(index).ok_or_else(missing)
}

/// A row without labels.
pub(super) fn bare(values: Vec<f64>) -> Row {
    Row { labels: Labels::default(), drops_name: false, values, lag: None }
}

/// Applies a function to each value of a vector; it is given the index of the step.
pub(super) fn map(
    evaluation: &Evaluation,
    inner: &Node,
    grid: &Grid,
    sink: Sink,
    mut apply: impl FnMut(f64, usize) -> f64,
) -> Result<(), QueryError> {
    evaluation.stream(inner, grid, &mut |mut row| {
        for (index, value) in row.values.iter_mut().enumerate() {
            if !is_absent(*value) {
                *value = apply(*value, index);
            }
        }
        row.drops_name = true;
        sink(row)
    })
}

fn of_one_value(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "sgn" => |value| match value {
            v if v > 0.0 => 1.0,
            v if v < 0.0 => -1.0,
            v => v,
        },
        other => return dates::part(other),
    })
}

/// Unlike `f64::min`, NaN wins.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn clamp(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let inner = argument(call, 0)?;
    let first = evaluation.scalar(argument(call, 1)?, grid)?;
    match call.name {
        "clamp_min" => map(evaluation, inner, grid, sink, |v, at| larger(first[at], v)),
        "clamp_max" => map(evaluation, inner, grid, sink, |v, at| smaller(first[at], v)),
        _ => {
            let second = evaluation.scalar(argument(call, 2)?, grid)?;
            map(evaluation, inner, grid, sink, |v, at| {
                if second[at] < first[at] {
                    return ABSENT;
                }
                larger(first[at], smaller(second[at], v))
            })
        }
    }
}

fn round(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let nearest = match call.arguments.get(1) {
        Some(node) => evaluation.scalar(node, grid)?,
        None => vec![1.0; grid.count],
    };
    map(evaluation, argument(call, 0)?, grid, sink, |value, at| {
        // By the inverse, so that 0.1 gives the digits people expect.
        let inverse = 1.0 / nearest[at];
        (value * inverse + 0.5).floor() / inverse
    })
}

fn timestamp(
    evaluation: &Evaluation,
    inner: &Node,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    match inner {
        Node::Vector(selector) => selector::times(evaluation, selector, grid, sink),
        _ => map(evaluation, inner, grid, sink, |_, at| grid.time(at) as f64 / 1e3),
    }
}

fn sort(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let mut rows = evaluation.rows(argument(call, 0)?, grid)?;
    if warn_of_range(evaluation, call, grid) {
        return rows.rows.into_iter().try_for_each(sink);
    }
    rows.rows.retain(|row| !is_absent(row.values[0]));
    rows.rows.sort_by(|a, b| {
        let (a, b) = (a.values[0], b.values[0]);
        match call.name {
            "sort" => nan_last(a, b),
            _ => nan_last(-a, -b),
        }
    });
    rows.rows.into_iter().try_for_each(sink)
}

/// Whether a sort has no effect because the query has more than one step.
pub(super) fn warn_of_range(evaluation: &Evaluation, call: &Invocation, grid: &Grid) -> bool {
    if grid.count > 1 {
        let text = "sort is ineffective for range queries since results are always ordered by \
                    labels";
        evaluation.notes.warn(text, call.site.at);
    }
    grid.count > 1
}

fn only_value(evaluation: &Evaluation, inner: &Node, grid: &Grid) -> Result<Vec<f64>, QueryError> {
    let mut found = vec![0usize; grid.count];
    let mut values = vec![f64::NAN; grid.count];
    let mut lag = Lag::default();
    evaluation.stream(inner, grid, &mut |row| {
        lag.add(&row);
        for (index, value) in row.values.iter().enumerate() {
            if !is_absent(*value) {
                found[index] += 1;
                values[index] = *value;
            }
        }
        Ok(())
    })?;
    evaluation.ledger.borrow_mut().note_scalar(lag.known());
    let one = |(count, value)| if count == 1 { value } else { f64::NAN };
    Ok(found.into_iter().zip(values).map(one).collect())
}

fn absent(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let inner = argument(call, 0)?;
    let mut values = vec![1.0; grid.count];
    match inner {
        Node::Range(..) | Node::Subquery(_) => {
            window::each(evaluation, inner, grid, &mut |one| {
                one.frame.slide(one.samples, |index, low, high| {
                    if low < high {
                        values[index] = ABSENT;
                    }
                });
                Ok(())
            })?;
        }
        _ => evaluation.stream(inner, grid, &mut |row| {
            for (into, value) in values.iter_mut().zip(&row.values) {
                if !is_absent(*value) {
                    *into = ABSENT;
                }
            }
            Ok(())
        })?,
    }
    let labels = match inner {
        Node::Vector(selector) | Node::Range(selector, _) => labels_of(&selector.matchers),
        _ => Labels::default(),
    };
    sink(Row { labels, drops_name: false, values, lag: None })
}

/// The labels an absent series would surely have.
fn labels_of(matchers: &[Matcher]) -> Labels {
    let known = matchers.iter().filter(|matcher| {
        let same = matchers.iter().filter(|other| other.name == matcher.name).count();
        matcher.name != METRIC_NAME && matches!(matcher.operator, Operator::Equal) && same == 1
    });
    Labels::new(known.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())))
}

fn over_windows(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let is_range = |node: &&Node| matches!(node, Node::Range(..) | Node::Subquery(_));
    let inner = call.arguments.iter().find(is_range).ok_or_else(|| misplaced("a range vector"))?;
    let scalars = call.arguments.iter().filter(|node| !is_range(node));
    let parameters = scalars.map(|node| evaluation.scalar(node, grid));
    let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
    if call.name == "double_exponential_smoothing" {
        refuse_factors(&parameters)?;
    }
    let keeps_name = matches!(call.name, "last_over_time" | "first_over_time");
    window::each(evaluation, inner, grid, &mut |one| {
        let Some(values) = over_time::evaluate(call.name, &one, &parameters, &evaluation.meter)?
        else {
            return Ok(());
        };
        annotate(evaluation, call, one.labels, &parameters);
        let drops_name = one.drops_name || !keeps_name;
        sink(Row { labels: one.labels.clone(), drops_name, values, lag: one.lag })
    })
}

fn refuse_factors(parameters: &[Vec<f64>]) -> Result<(), QueryError> {
    for (values, name) in parameters.iter().zip(["smoothing", "trend"]) {
        if let Some(odd) = values.iter().find(|v| !(**v > 0.0 && **v < 1.0)) {
            return Err(QueryError::Execution(format!(
                "invalid {name} factor: expected more than 0 and less than 1, got {odd}"
            )));
        }
    }
    Ok(())
}

fn annotate(evaluation: &Evaluation, call: &Invocation, labels: &Labels, parameters: &[Vec<f64>]) {
    match call.name {
        "rate" | "increase" => {
            let name = labels.metric();
            if !name.is_empty() && !COUNTERS.iter().any(|ending| name.ends_with(ending)) {
                evaluation.notes.info_of(name, call.site.argument(0), || {
                    format!(
                        "metric might not be a counter, name does not end in \
                         _total/_sum/_count/_bucket: {name:?}"
                    )
                });
            }
        }
        "quantile_over_time" => {
            warn_of_quantile(evaluation, &parameters[0], call.site.argument(0));
        }
        _ => {}
    }
}

/// Warns where a quantile is not between 0 and 1.
pub(super) fn warn_of_quantile(evaluation: &Evaluation, values: &[f64], at: super::scan::Position) {
    for value in values.iter().filter(|value| !(0.0..=1.0).contains(*value)) {
        let shown = number(*value);
        let text = format!("quantile value should be between 0 and 1, got {shown}");
        evaluation.notes.warn(&text, at);
    }
}

/// A number as Prometheus writes it, never with an exponent.
pub(super) fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

//! Functions that change labels or sort by them. They look at values only to tell whether there is
//! one.

use std::cmp::Ordering;

use super::QueryError;
use super::evaluate::{Evaluation, Sink};
use super::functions::{argument, warn_of_range};
use super::plan::{Grouping, Invocation};
use super::rows::{Grid, Row, is_absent, merge};
use crate::labels::{Labels, METRIC_NAME};

/// `label_replace(v, destination, replacement, source, expression)`.
pub(super) fn replace(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let texts = texts(evaluation, call)?;
    let [destination, replacement, source, expression] = texts.as_slice() else {
        return Err(QueryError::Execution("label_replace needs four texts".to_owned()));
    };
    refuse_name(destination, "label_replace")?;
    let expression = regex::RegexBuilder::new(&format!("^(?s:{expression})$"))
        .size_limit(1 << 20)
        .build()
        .map_err(|e| {
            let text = format!("invalid regular expression in label_replace(): {e}");
            QueryError::Execution(text)
        })?;
    relabel(evaluation, call, grid, sink, &mut |row| {
        let value = row.labels.get(source).to_owned();
        let Some(captures) = expression.captures(&value) else { return };
        let mut into = String::new();
        captures.expand(replacement, &mut into);
        set(row, destination, &into);
    })
}

/// `label_join(v, destination, separator, source…)`.
pub(super) fn join(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let texts = texts(evaluation, call)?;
    let [destination, separator, sources @ ..] = texts.as_slice() else {
        return Err(QueryError::Execution("label_join needs two texts".to_owned()));
    };
    refuse_name(destination, "label_join")?;
    relabel(evaluation, call, grid, sink, &mut |row| {
        let values: Vec<&str> = sources.iter().map(|source| row.labels.get(source)).collect();
        let joined = values.join(separator);
        set(row, destination, &joined);
    })
}

/// `sort_by_label(v, label…)` and its opposite: by the labels in turn, numbers in them by value.
pub(super) fn sort(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let mut rows = evaluation.rows(argument(call, 0)?, grid)?;
    let names = texts(evaluation, call)?;
    if !warn_of_range(evaluation, call, grid) {
        rows.rows.retain(|row| !is_absent(row.values[0]));
        rows.rows.sort_by(|a, b| {
            let by_names = names.iter().map(|name| natural(a.labels.get(name), b.labels.get(name)));
            let order = by_names.fold(Ordering::Equal, Ordering::then);
            let order = order.then_with(|| a.labels.cmp(&b.labels));
            if call.name == "sort_by_label" { order } else { order.reverse() }
        });
    }
    rows.rows.into_iter().try_for_each(sink)
}

fn texts<'c>(evaluation: &Evaluation, call: &'c Invocation) -> Result<Vec<&'c str>, QueryError> {
    call.arguments.iter().skip(1).map(|node| evaluation.text(node)).collect()
}

fn refuse_name(name: &str, function: &str) -> Result<(), QueryError> {
    if name.is_empty() {
        let text = format!("invalid destination label name in {function}(): {name}");
        return Err(QueryError::Execution(text));
    }
    Ok(())
}

fn set(row: &mut Row, name: &str, value: &str) {
    row.labels = row.labels.with(name, value);
    if name == METRIC_NAME {
        row.drops_name = false;
    }
}

fn relabel(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
    change: &mut dyn FnMut(&mut Row),
) -> Result<(), QueryError> {
    let mut rows = evaluation.rows(argument(call, 0)?, grid)?;
    rows.rows.iter_mut().for_each(change);
    merge(rows.rows)?.into_iter().try_for_each(sink)
}

/// Compares texts with runs of digits in them by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (left, right) = (chunk(a), chunk(b));
        if left.is_empty() || right.is_empty() {
            return left.len().cmp(&right.len());
        }
        let order = match (left.parse::<u64>(), right.parse::<u64>()) {
            (Ok(x), Ok(y)) => x.cmp(&y).then_with(|| left.len().cmp(&right.len())),
            _ => left.cmp(right),
        };
        if order != Ordering::Equal {
            return order;
        }
        a = &a[left.len()..];
        b = &b[right.len()..];
    }
}

/// The leading run of digits or of other characters.
fn chunk(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    &text[..end]
}

/// Whether labels are of the group that has these, as far as that is told without making labels:
/// where it is not, they may be.
pub(super) fn in_group(labels: &Labels, grouping: &Grouping, group: &Labels) -> bool {
    match grouping {
        Grouping::By(names) => names.iter().all(|name| labels.get(name) == group.get(name)),
        Grouping::Without(_) => false,
    }
}

/// Labels of a group: those `by` names, or all but those `without` names and the metric's name.
pub(super) fn grouped(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) if names.is_empty() => Labels::default(),
        Grouping::By(names) => labels.filter(|name| names.iter().any(|n| n == name)),
        Grouping::Without(names) => {
            labels.filter(|name| name != METRIC_NAME && !names.iter().any(|n| n == name))
        }
    }
}

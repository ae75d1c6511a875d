//! Aggregations that choose among the series of a group, or count their values, step by step.

use std::collections::HashMap;

use promql_parser::parser::token::{T_BOTTOMK, T_LIMITK};

use super::QueryError;
use super::aggregate::{groups, parameter};
use super::budget::Held;
use super::evaluate::{Evaluation, Sink};
use super::functions::number;
use super::plan::{Aggregation, operator_name};
use super::rows::{ABSENT, Grid, Lag, Row, is_absent};
use super::statistics::nan_last;
use crate::labels::Labels;

/// `topk`, `bottomk` and `limitk`.
pub(super) fn first(
    evaluation: &Evaluation,
    aggregation: &Aggregation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let limits = evaluation.scalar(parameter(aggregation)?, grid)?;
    refuse_nan(&limits, "Parameter", aggregation)?;
    let mut rows = evaluation.rows(&aggregation.inner, grid)?;
    // Of equal values the first labels win, whatever order the rows come in.
    rows.rows.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut chosen: Vec<Option<Vec<f64>>> = vec![None; rows.rows.len()];
    // Of a single step the order counts.
    let mut order: Vec<usize> = Vec::new();
    let mut held = Held::new(&evaluation.meter);
    for group in groups(&rows.rows, aggregation) {
        let mut candidates: Vec<(f64, usize)> = Vec::with_capacity(group.members.len());
        for (index, limit) in limits.iter().enumerate() {
            evaluation.meter.check()?;
            let limit = if *limit < 1.0 { 0 } else { *limit as usize };
            candidates.clear();
            let all = group.members.iter().map(|row| (rows.rows[*row].values[index], *row));
            candidates.extend(all.filter(|(value, _)| !is_absent(*value)));
            match aggregation.operator {
                T_LIMITK => {}
                T_BOTTOMK => candidates.sort_by(|a, b| nan_last(a.0, b.0)),
                _ => candidates.sort_by(|a, b| nan_last(-a.0, -b.0)),
            }
            for (value, row) in candidates.iter().take(limit) {
                if chosen[*row].is_none() {
                    held.add(grid.count * size_of::<f64>())?;
                    order.push(*row);
                }
                let values = chosen[*row].get_or_insert_with(|| vec![ABSENT; grid.count]);
                values[index] = *value;
            }
        }
    }
    for place in order {
        let row = &rows.rows[place];
        if let Some(values) = chosen[place].take() {
            let (labels, drops_name, lag) = (row.labels.clone(), row.drops_name, row.lag);
            sink(Row { labels, drops_name, values, lag })?;
        }
    }
    Ok(())
}

/// `limit_ratio`: about that share of the series, always the same ones; of a negative ratio those
/// that the matching positive one leaves.
pub(super) fn ratio(
    evaluation: &Evaluation,
    aggregation: &Aggregation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let ratios = evaluation.scalar(parameter(aggregation)?, grid)?;
    refuse_nan(&ratios, "Ratio", aggregation)?;
    for odd in ratios.iter().filter(|ratio| ratio.abs() > 1.0) {
        let text = format!(
            "ratio value should be between -1 and 1, got {}, capping to {}",
            number(*odd),
            odd.signum()
        );
        evaluation.notes.warn(&text, aggregation.site.argument(0));
    }
    evaluation.stream(&aggregation.inner, grid, &mut |mut row| {
        let share = share_of(&row.labels);
        for (value, ratio) in row.values.iter_mut().zip(&ratios) {
            let ratio = ratio.clamp(-1.0, 1.0);
            let taken = if ratio >= 0.0 { share < ratio } else { share >= 1.0 + ratio };
            if !taken {
                *value = ABSENT;
            }
        }
        if row.is_empty() { Ok(()) } else { sink(row) }
    })
}

/// Where in `[0, 1)` the labels of a series fall, evenly spread.
fn share_of(labels: &Labels) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (name, value) in labels.iter() {
        for byte in name.bytes().chain([0xff]).chain(value.bytes()).chain([0xfe]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// `count_values`.
pub(super) fn count_values(
    evaluation: &Evaluation,
    aggregation: &Aggregation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let label = evaluation.text(parameter(aggregation)?)?;
    if label.is_empty() {
        return Err(QueryError::Execution(format!("invalid label name {label:?}")));
    }
    let rows = evaluation.rows(&aggregation.inner, grid)?;
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut counted = super::rows::Rows::new(&evaluation.meter);
    for group in groups(&rows.rows, aggregation) {
        // A series mostly has few values, so that its last place is mostly the next one.
        let mut known: HashMap<u64, usize> = HashMap::new();
        let lag = Lag::of(group.members.iter().map(|row| &rows.rows[*row]));
        for row in group.members.iter().map(|row| &rows.rows[*row]) {
            for (index, value) in row.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                let place = match known.get(&value.to_bits()) {
                    Some(place) => *place,
                    None => {
                        let labels = group.labels.with(label, &number(*value));
                        let next = counted.rows.len();
                        let place = *places.entry(labels.clone()).or_insert(next);
                        if place == next {
                            let values = vec![ABSENT; grid.count];
                            let drops_name = group.drops_name;
                            counted.push(Row { labels, drops_name, values, lag })?;
                        }
                        known.insert(value.to_bits(), place);
                        place
                    }
                };
                let count = &mut counted.rows[place].values[index];
                *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            }
        }
    }
    counted.rows.into_iter().try_for_each(sink)
}

fn refuse_nan(values: &[f64], what: &str, aggregation: &Aggregation) -> Result<(), QueryError> {
    if values.iter().any(|value| value.is_nan()) {
        let operator = operator_name(aggregation.operator);
        let text = format!("{what} value is NaN in {operator}");
        return Err(QueryError::Execution(text));
    }
    Ok(())
}

//! Aggregations. Those that fold take rows as they come and hold one accumulator per group and
//! step; those that choose among series hold the rows they choose from.

use std::collections::HashMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_LIMIT_RATIO, T_LIMITK, T_MAX, T_MIN,
    T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK, TokenId,
};

use super::QueryError;
use super::budget::Held;
use super::choose;
use super::evaluate::{Evaluation, Sink, misplaced};
use super::functions::warn_of_quantile;
use super::label_functions::{grouped, in_group};
use super::plan::{Aggregation, Grouping, Node, operator_name};
use super::rows::{ABSENT, Grid, Lag, Row, is_absent};
use super::statistics::{Mean, add, quantile};
use crate::labels::Labels;

/// So many groups are looked through, before the labels of one are made to look for it.
const FEW: usize = 8;

/// Hands on the rows of an aggregation.
pub(super) fn stream(
    evaluation: &Evaluation,
    aggregation: &Aggregation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    match aggregation.operator {
        T_SUM | T_AVG | T_COUNT | T_GROUP | T_MIN | T_MAX | T_STDDEV | T_STDVAR => {
            fold(evaluation, aggregation, grid, sink)
        }
        T_QUANTILE => quantiles(evaluation, aggregation, grid, sink),
        T_COUNT_VALUES => choose::count_values(evaluation, aggregation, grid, sink),
        T_TOPK | T_BOTTOMK | T_LIMITK => choose::first(evaluation, aggregation, grid, sink),
        T_LIMIT_RATIO => choose::ratio(evaluation, aggregation, grid, sink),
        other => Err(QueryError::Execution(format!(
            "the aggregation {} is not supported",
            operator_name(other)
        ))),
    }
}

/// The parameter of an aggregation that has one.
pub(super) fn parameter(aggregation: &Aggregation) -> Result<&Node, QueryError> {
    aggregation.parameter.as_ref().ok_or_else(|| misplaced("a parameter"))
}

/// What a group holds for each step.
enum Accumulator {
    /// Sums with their compensations.
    Sum(Vec<f64>, Vec<f64>),
    Mean(Vec<Mean>),
    Count(Vec<f64>),
    Present(Vec<f64>),
    Least(Vec<f64>),
    Greatest(Vec<f64>),
    /// Count, mean, and sum of squared distances.
    Spread(Vec<[f64; 3]>),
}

impl Accumulator {
    fn of(operator: TokenId, steps: usize) -> Accumulator {
        match operator {
            T_SUM => Accumulator::Sum(vec![ABSENT; steps], vec![0.0; steps]),
            T_AVG => Accumulator::Mean(vec![Mean::default(); steps]),
            T_COUNT => Accumulator::Count(vec![0.0; steps]),
            T_MIN => Accumulator::Least(vec![ABSENT; steps]),
            T_MAX => Accumulator::Greatest(vec![ABSENT; steps]),
            T_STDDEV | T_STDVAR => Accumulator::Spread(vec![[0.0; 3]; steps]),
            _ => Accumulator::Present(vec![ABSENT; steps]),
        }
    }

    fn add(&mut self, values: &[f64]) {
        let present = values.iter().enumerate().filter(|(_, value)| !is_absent(**value));
        match self {
            Accumulator::Sum(sums, lost) => {
                for (index, value) in present {
                    let sum = if is_absent(sums[index]) { 0.0 } else { sums[index] };
                    (sums[index], lost[index]) = add(*value, sum, lost[index]);
                }
            }
            Accumulator::Mean(means) => {
                present.for_each(|(index, value)| means[index].push(*value));
            }
            Accumulator::Count(counts) => present.for_each(|(index, _)| counts[index] += 1.0),
            Accumulator::Present(ones) => present.for_each(|(index, _)| ones[index] = 1.0),
            Accumulator::Least(least) => {
                for (index, value) in present {
                    if *value < least[index] || least[index].is_nan() {
                        least[index] = *value;
                    }
                }
            }
            Accumulator::Greatest(greatest) => {
                for (index, value) in present {
                    if *value > greatest[index] || greatest[index].is_nan() {
                        greatest[index] = *value;
                    }
                }
            }
            Accumulator::Spread(spreads) => {
                for (index, value) in present {
                    let [count, mean, squares] = &mut spreads[index];
                    *count += 1.0;
                    let delta = value - *mean;
                    *mean += delta / *count;
                    *squares += delta * (value - *mean);
                }
            }
        }
    }

    fn finish(self, operator: TokenId) -> Vec<f64> {
        match self {
            Accumulator::Sum(sums, lost) => {
                let total = |(sum, lost): (f64, f64)| if is_absent(sum) { sum } else { sum + lost };
                sums.into_iter().zip(lost).map(total).collect()
            }
            Accumulator::Mean(means) => {
                let value = |mean: &Mean| if mean.is_empty() { ABSENT } else { mean.value() };
                means.iter().map(value).collect()
            }
            Accumulator::Count(counts) => {
                counts.into_iter().map(|count| if count == 0.0 { ABSENT } else { count }).collect()
            }
            Accumulator::Present(values)
            | Accumulator::Least(values)
            | Accumulator::Greatest(values) => values,
            Accumulator::Spread(spreads) => {
                let value = |[count, _, squares]: [f64; 3]| match (count, operator) {
                    (0.0, _) => ABSENT,
                    (_, T_STDDEV) => (squares / count).sqrt(),
                    _ => squares / count,
                };
                spreads.into_iter().map(value).collect()
            }
        }
    }
}

/// A group that rows are folded into.
struct Folded {
    labels: Labels,
    drops_name: bool,
    accumulator: Accumulator,
    lag: Lag,
}

/// Finds the group of labels.
struct Places<'a> {
    grouping: &'a Grouping,
    all: HashMap<Labels, usize>,
    /// That of the row before.
    last: usize,
}

impl Places<'_> {
    /// The place of the group of labels, or the labels of one that is not there.
    fn find(&mut self, labels: &Labels, groups: &[Folded]) -> Result<usize, Labels> {
        // Rows come in the order of labels, so most are of the group of the one before.
        let is_of = |group: &Folded| in_group(labels, self.grouping, &group.labels);
        if groups.get(self.last).is_some_and(is_of) {
            return Ok(self.last);
        }
        let near = groups.iter().take(FEW).position(is_of);
        self.last = match near {
            Some(near) => near,
            None => {
                let key = grouped(labels, self.grouping);
                *self.all.get(&key).ok_or(key)?
            }
        };
        Ok(self.last)
    }
}

fn fold(
    evaluation: &Evaluation,
    aggregation: &Aggregation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let operator = aggregation.operator;
    let mut held = Held::new(&evaluation.meter);
    let mut places = Places { grouping: &aggregation.grouping, all: HashMap::new(), last: 0 };
    let mut groups: Vec<Folded> = Vec::new();
    evaluation.stream(&aggregation.inner, grid, &mut |row| {
        let place = match places.find(&row.labels, &groups) {
            Ok(place) => place,
            Err(labels) => {
                held.add(grid.count * size_of::<Mean>() + 128)?;
                places.all.insert(labels.clone(), groups.len());
                let accumulator = Accumulator::of(operator, grid.count);
                let lag = Lag::default();
                groups.push(Folded { labels, drops_name: false, accumulator, lag });
                groups.len() - 1
            }
        };
        let group = &mut groups[place];
        group.drops_name |= row.drops_name;
        group.accumulator.add(&row.values);
        group.lag.add(&row);
        Ok(())
    })?;
    groups.into_iter().try_for_each(|group| {
        let values = group.accumulator.finish(operator);
        let lag = group.lag.known();
        sink(Row { labels: group.labels, drops_name: group.drops_name, values, lag })
    })
}

/// Rows by group, in the order groups were met.
pub(super) struct Group {
    pub labels: Labels,
    pub drops_name: bool,
    pub members: Vec<usize>,
}

/// Groups rows.
pub(super) fn groups(rows: &[Row], aggregation: &Aggregation) -> Vec<Group> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut all: Vec<Group> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let key = grouped(&row.labels, &aggregation.grouping);
        let place = *places.entry(key).or_insert_with_key(|labels| {
            all.push(Group { labels: labels.clone(), drops_name: false, members: Vec::new() });
            all.len() - 1
        });
        all[place].drops_name |= row.drops_name;
        all[place].members.push(index);
    }
    all
}

fn quantiles(
    evaluation: &Evaluation,
    aggregation: &Aggregation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let wanted = evaluation.scalar(parameter(aggregation)?, grid)?;
    let rows = evaluation.rows(&aggregation.inner, grid)?;
    warn_of_quantile(evaluation, &wanted, aggregation.site.argument(0));
    let mut members = Vec::new();
    for group in groups(&rows.rows, aggregation) {
        let mut values = vec![ABSENT; grid.count];
        for (index, value) in values.iter_mut().enumerate() {
            evaluation.meter.check()?;
            members.clear();
            let all = group.members.iter().map(|row| rows.rows[*row].values[index]);
            members.extend(all.filter(|value| !is_absent(*value)));
            if !members.is_empty() {
                *value = quantile(wanted[index], &mut members);
            }
        }
        let lag = Lag::of(group.members.iter().map(|row| &rows.rows[*row]));
        sink(Row { labels: group.labels, drops_name: group.drops_name, values, lag })?;
    }
    Ok(())
}

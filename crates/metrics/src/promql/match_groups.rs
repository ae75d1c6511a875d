//! Operators between two vectors: which series of the one meets which of the other, step by step,
//! and the labels of what comes out.

use std::collections::{HashMap, HashSet};

use promql_parser::parser::token::{T_LAND, T_LOR, T_LUNLESS};

use super::QueryError;
use super::binary::Operator;
use super::budget::Meter;
use super::evaluate::{Evaluation, Sink};
use super::label_functions::grouped;
use super::plan::{Cardinality, Grouping, Operation};
use super::rows::{ABSENT, Grid, Row, Rows, is_absent, without_name};
use crate::labels::Labels;

/// Rows by the labels they are matched on.
type Groups = HashMap<Labels, Vec<usize>>;

fn group(rows: &[Row], matching: &Grouping) -> Groups {
    let mut groups = Groups::new();
    for (index, row) in rows.iter().enumerate() {
        groups.entry(grouped(&row.labels, matching)).or_default().push(index);
    }
    groups
}

/// `and`, `or` and `unless`.
pub(super) fn sets(
    evaluation: &Evaluation,
    operation: &Operation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let left = evaluation.rows(&operation.left, grid)?;
    let right = evaluation.rows(&operation.right, grid)?;
    // Where each group of the side that decides has a value.
    let (deciding, kept) = match operation.operator {
        T_LOR => (&left.rows, &right.rows),
        _ => (&right.rows, &left.rows),
    };
    let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
    for row in deciding {
        let key = grouped(&row.labels, &operation.matching);
        let mask = present.entry(key).or_insert_with(|| vec![false; grid.count]);
        for (there, value) in mask.iter_mut().zip(&row.values) {
            *there |= !is_absent(*value);
        }
    }
    let keeps_where = matches!(operation.operator, T_LAND);
    let mut masked = Rows::new(&evaluation.meter);
    for row in kept {
        evaluation.meter.check()?;
        let mask = present.get(&grouped(&row.labels, &operation.matching));
        let mut row = row.clone();
        for (index, value) in row.values.iter_mut().enumerate() {
            if mask.is_some_and(|mask| mask[index]) != keeps_where {
                *value = ABSENT;
            }
        }
        if !row.is_empty() {
            masked.push(row)?;
        }
    }
    debug_assert!(matches!(operation.operator, T_LAND | T_LOR | T_LUNLESS));
    let mut all = if operation.operator == T_LOR { left.rows } else { Vec::new() };
    all.extend(masked.rows);
    super::rows::merge(all)?.into_iter().try_for_each(sink)
}

/// The state of one operation between two vectors.
struct Match<'o> {
    operation: &'o Operation,
    operator: Operator,
    grid: Grid,
    /// The side that may have many series of a group, and the side that has one.
    many: &'o [Row],
    one: &'o [Row],
    many_is_right: bool,
    places: HashMap<(Labels, bool), usize>,
    out: Rows<'o>,
    meter: &'o Meter,
}

/// Hands on the rows of an arithmetic operator or comparison.
pub(super) fn stream(
    evaluation: &Evaluation,
    operation: &Operation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let left = evaluation.rows(&operation.left, grid)?;
    let right = evaluation.rows(&operation.right, grid)?;
    let many_is_right = matches!(operation.cardinality, Cardinality::OneToMany(_));
    let (many, one) =
        if many_is_right { (&right.rows, &left.rows) } else { (&left.rows, &right.rows) };
    let mut matching = Match {
        operation,
        operator: Operator::of(operation.operator)?,
        grid: *grid,
        many,
        one,
        many_is_right,
        places: HashMap::new(),
        out: Rows::new(&evaluation.meter),
        meter: &evaluation.meter,
    };
    let ones = group(one, &operation.matching);
    let manys = group(many, &operation.matching);
    matching.refuse_duplicates(&ones)?;
    // In the order of the rows, so that the result does not hang on hashes.
    let mut done: HashSet<Labels> = HashSet::new();
    for row in many {
        let key = grouped(&row.labels, &operation.matching);
        if done.contains(&key) {
            continue;
        }
        let partners = ones.get(&key).map_or(&[][..], Vec::as_slice);
        matching.pair(&manys[&key], partners)?;
        done.insert(key);
    }
    if matching.fill_of_many().is_some() {
        let mut lonely: Vec<_> = ones.iter().filter(|(key, _)| !done.contains(*key)).collect();
        lonely.sort_unstable_by_key(|(_, rows)| rows[0]);
        for (_, partners) in lonely {
            matching.pair(&[], partners)?;
        }
    }
    matching.out.rows.into_iter().try_for_each(sink)
}

impl Match<'_> {
    fn fill_of_many(&self) -> Option<f64> {
        if self.many_is_right { self.operation.fill_right } else { self.operation.fill_left }
    }

    fn fill_of_one(&self) -> Option<f64> {
        if self.many_is_right { self.operation.fill_left } else { self.operation.fill_right }
    }

    /// Of the side that has one series per group, two must not have a value at the same step.
    fn refuse_duplicates(&self, ones: &Groups) -> Result<(), QueryError> {
        let doubtful = ones.iter().filter(|(_, rows)| rows.len() > 1);
        let mut doubtful: Vec<_> = doubtful.collect();
        if doubtful.is_empty() {
            return Ok(());
        }
        doubtful.sort_unstable_by_key(|(_, rows)| rows[0]);
        // Nothing is matched at a step where the other side is empty.
        let mut live = vec![false; self.grid.count];
        for row in self.many {
            for (live, value) in live.iter_mut().zip(&row.values) {
                *live |= !is_absent(*value);
            }
        }
        for (key, rows) in doubtful {
            let mut holder: Vec<Option<usize>> = vec![None; self.grid.count];
            for row in rows {
                for (index, value) in self.one[*row].values.iter().enumerate() {
                    if is_absent(*value) || !live[index] {
                        continue;
                    }
                    if let Some(other) = holder[index].replace(*row) {
                        return Err(self.duplicates(key, other, *row));
                    }
                }
            }
        }
        Ok(())
    }

    fn duplicates(&self, key: &Labels, first: usize, second: usize) -> QueryError {
        let side = if self.many_is_right { "left" } else { "right" };
        QueryError::Execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the \
             operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique \
             on one side",
            listed(key),
            listed(&self.one[first].labels),
            listed(&self.one[second].labels)
        ))
    }

    /// The series of one group.
    fn pair(&mut self, manys: &[usize], ones: &[usize]) -> Result<(), QueryError> {
        let steps = self.grid.count;
        let grouping = !matches!(self.operation.cardinality, Cardinality::OneToOne);
        // One to one, each group gives at most one value per step.
        let mut taken = vec![false; if grouping { 0 } else { steps }];
        for many in manys {
            let row = &self.many[*many];
            for one in ones {
                let partner = &self.one[*one];
                let values = self.combine(Some(row), Some(partner));
                self.place((Some(row), Some(partner)), values, &mut taken)?;
            }
            if self.fill_of_one().is_some() {
                let mut alone = self.combine(Some(row), None);
                blank(&mut alone, ones.iter().map(|one| &self.one[*one]));
                self.place((Some(row), None), alone, &mut taken)?;
            }
        }
        if self.fill_of_many().is_some() {
            for one in ones {
                let partner = &self.one[*one];
                let mut alone = self.combine(None, Some(partner));
                blank(&mut alone, manys.iter().map(|many| &self.many[*many]));
                self.place((None, Some(partner)), alone, &mut taken)?;
            }
        }
        Ok(())
    }

    /// The values of a pair; a side that is missing has its fill everywhere.
    fn combine(&self, many: Option<&Row>, one: Option<&Row>) -> Vec<f64> {
        let at = |row: Option<&Row>, fill: Option<f64>, index: usize| match row {
            Some(row) => row.values[index],
            None => fill.unwrap_or(ABSENT),
        };
        let value = |index| {
            let many = at(many, self.fill_of_many(), index);
            let one = at(one, self.fill_of_one(), index);
            if is_absent(many) || is_absent(one) {
                return ABSENT;
            }
            let (left, right) = if self.many_is_right { (one, many) } else { (many, one) };
            self.operator.apply(left, right, self.operation.returns_bool, left)
        };
        (0..self.grid.count).map(value).collect()
    }

    fn place(
        &mut self,
        (many, one): (Option<&Row>, Option<&Row>),
        values: Vec<f64>,
        taken: &mut [bool],
    ) -> Result<(), QueryError> {
        self.meter.check()?;
        // A match counts also where the comparison then does not hold.
        for (index, taken) in taken.iter_mut().enumerate() {
            let lacks = |row: Option<&Row>| row.is_some_and(|row| is_absent(row.values[index]));
            if lacks(many) || lacks(one) {
                continue;
            }
            let alone = many.is_none() || one.is_none();
            if alone && is_absent(values[index]) {
                continue;
            }
            if std::mem::replace(taken, true) {
                let text = "multiple matches for labels: many-to-one matching must be explicit \
                            (group_left/group_right)";
                return Err(QueryError::Execution(text.to_owned()));
            }
        }
        if values.iter().all(|value| is_absent(*value)) {
            return Ok(());
        }
        let labels = self.labels(many, one);
        let is_filter = !self.operator.drops_name() && !self.operation.returns_bool;
        let inherited = many.or(one).is_some_and(|row| row.drops_name);
        let drops_name = self.operation.returns_bool || is_filter && inherited;
        let next = self.out.rows.len();
        let place = *self.places.entry((labels.clone(), drops_name)).or_insert(next);
        let lag = many.and_then(|row| row.lag).max(one.and_then(|row| row.lag));
        let new = Row { labels, drops_name, values, lag };
        if place == next {
            return self.out.push(new);
        }
        let row = &mut self.out.rows[place];
        if row.meets(&new) {
            let text = "multiple matches for labels: grouping labels must ensure unique matches";
            return Err(QueryError::Execution(text.to_owned()));
        }
        row.take(&new);
        Ok(())
    }

    fn labels(&self, many: Option<&Row>, one: Option<&Row>) -> Labels {
        let empty = Labels::default();
        let base = many.or(one).map_or(&empty, |row| &row.labels);
        let named = if self.operator.drops_name() { without_name(base) } else { base.clone() };
        let (Cardinality::ManyToOne(extra) | Cardinality::OneToMany(extra)) =
            &self.operation.cardinality
        else {
            return match &self.operation.matching {
                Grouping::By(names) => named.filter(|name| names.iter().any(|n| n == name)),
                Grouping::Without(names) => named.filter(|name| !names.iter().any(|n| n == name)),
            };
        };
        let named = match many {
            Some(_) => named,
            None => grouped(base, &self.operation.matching),
        };
        let from = one.map_or(&empty, |row| &row.labels);
        extra.iter().fold(named, |labels, name| labels.with(name, from.get(name)))
    }
}

/// Takes away the values at steps where one of the rows has one.
fn blank<'r>(values: &mut [f64], rows: impl Iterator<Item = &'r Row>) {
    for row in rows {
        for (value, there) in values.iter_mut().zip(&row.values) {
            if !is_absent(*there) {
                *value = ABSENT;
            }
        }
    }
}

/// All labels in braces, the name too.
fn listed(labels: &Labels) -> String {
    let all: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", all.join(", "))
}

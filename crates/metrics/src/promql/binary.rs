//! Binary operators: on scalars, and between a vector and a scalar. What pairs the series of two
//! vectors is in `match_groups`.

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD,
    T_MUL, T_NEQ, T_POW, T_SUB, TokenId,
};

use super::QueryError;
use super::evaluate::{Evaluation, Sink};
use super::match_groups;
use super::plan::{Node, Operation, operator_name};
use super::rows::{ABSENT, Grid, is_absent};

/// What an operator does to two values.
#[derive(Clone, Copy)]
pub(super) enum Operator {
    Arithmetic(fn(f64, f64) -> f64),
    Comparison(fn(f64, f64) -> bool),
}

impl Operator {
    pub fn of(token: TokenId) -> Result<Operator, QueryError> {
        use Operator::{Arithmetic, Comparison};
        Ok(match token {
            T_ADD => Arithmetic(|a, b| a + b),
            T_SUB => Arithmetic(|a, b| a - b),
            T_MUL => Arithmetic(|a, b| a * b),
            T_DIV => Arithmetic(|a, b| a / b),
            T_MOD => Arithmetic(|a, b| a % b),
            T_POW => Arithmetic(f64::powf),
            T_ATAN2 => Arithmetic(f64::atan2),
            T_EQLC => Comparison(|a, b| a == b),
            T_NEQ => Comparison(|a, b| a != b),
            T_GTR => Comparison(|a, b| a > b),
            T_LSS => Comparison(|a, b| a < b),
            T_GTE => Comparison(|a, b| a >= b),
            T_LTE => Comparison(|a, b| a <= b),
            other => {
                let text = format!("the operator {} is not supported", operator_name(other));
                return Err(QueryError::Execution(text));
            }
        })
    }

    /// Whether the metric's name goes at once.
    pub fn drops_name(self) -> bool {
        matches!(self, Operator::Arithmetic(_))
    }

    /// The value for two values that are there; a comparison that fails gives [`ABSENT`], one that
    /// holds gives `kept`.
    #[inline]
    pub fn apply(self, left: f64, right: f64, returns_bool: bool, kept: f64) -> f64 {
        match self {
            Operator::Arithmetic(compute) => compute(left, right),
            Operator::Comparison(holds) if returns_bool => f64::from(u8::from(holds(left, right))),
            Operator::Comparison(holds) => {
                if holds(left, right) {
                    kept
                } else {
                    ABSENT
                }
            }
        }
    }
}

/// Hands on the rows of an operation of which a side at least is a vector.
pub(super) fn stream(
    evaluation: &Evaluation,
    operation: &Operation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    if matches!(operation.operator, T_LAND | T_LOR | T_LUNLESS) {
        return match_groups::sets(evaluation, operation, grid, sink);
    }
    let operator = Operator::of(operation.operator)?;
    let (inner, scalars, scalar_is_left) =
        match (operation.left.is_vector(), operation.right.is_vector()) {
            (true, true) => return match_groups::stream(evaluation, operation, grid, sink),
            (true, false) => (&operation.left, &operation.right, false),
            _ => (&operation.right, &operation.left, true),
        };
    with_scalars(evaluation, operation, (operator, inner, scalars, scalar_is_left), grid, sink)
}

fn with_scalars(
    evaluation: &Evaluation,
    operation: &Operation,
    (operator, inner, scalars, scalar_is_left): (Operator, &Node, &Node, bool),
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let scalars = evaluation.scalar(scalars, grid)?;
    let returns_bool = operation.returns_bool;
    evaluation.stream(inner, grid, &mut |mut row| {
        for (value, scalar) in row.values.iter_mut().zip(&scalars) {
            if is_absent(*value) {
                continue;
            }
            let (left, right) = if scalar_is_left { (*scalar, *value) } else { (*value, *scalar) };
            *value = operator.apply(left, right, returns_bool, *value);
        }
        row.drops_name |= returns_bool || operator.drops_name();
        sink(row)
    })
}

/// An operation on two scalars.
pub(super) fn scalar(
    evaluation: &Evaluation,
    operation: &Operation,
    grid: &Grid,
) -> Result<Vec<f64>, QueryError> {
    let operator = Operator::of(operation.operator)?;
    let left = evaluation.scalar(&operation.left, grid)?;
    let right = evaluation.scalar(&operation.right, grid)?;
    let apply = |(a, b)| operator.apply(a, b, true, a);
    Ok(left.into_iter().zip(right).map(apply).collect())
}

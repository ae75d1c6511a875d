//! An expression whose comparisons leave nothing out: what a planner asks to tell a condition that
//! does not hold from one that is not measured. It evaluates nothing.

use atoll_metrics::promql::QueryError;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{BinModifier, Expr, parse, token};

/// The expression with its conditions as 0 or 1: comparisons become `bool`, wherever they stand, so
/// that the answer has every series that is measured, whatever its value then is. Of `unless` only
/// the left side is left, and of the largest or smallest few all; `absent` stays as it is, since it
/// asks for what is left out.
///
/// # Errors
/// [`QueryError::Parse`].
pub fn unfiltered(query: &str) -> Result<String, QueryError> {
    let expression = parse(query).map_err(QueryError::Parse)?;
    let text = relaxed(expression).to_string();
    parse(&text).map_err(QueryError::Parse)?;
    Ok(text)
}

fn relaxed(expression: Expr) -> Expr {
    match expression {
        Expr::Paren(mut paren) => {
            paren.expr = Box::new(relaxed(*paren.expr));
            Expr::Paren(paren)
        }
        Expr::Unary(mut unary) => {
            unary.expr = Box::new(relaxed(*unary.expr));
            Expr::Unary(unary)
        }
        Expr::Subquery(mut subquery) => {
            subquery.expr = Box::new(relaxed(*subquery.expr));
            Expr::Subquery(subquery)
        }
        Expr::Aggregate(aggregate) if is_choice(aggregate.op.id()) => relaxed(*aggregate.expr),
        // The values become labels.
        Expr::Aggregate(aggregate) if aggregate.op.id() == token::T_COUNT_VALUES => {
            Expr::Aggregate(aggregate)
        }
        Expr::Aggregate(mut aggregate) => {
            aggregate.expr = Box::new(relaxed(*aggregate.expr));
            Expr::Aggregate(aggregate)
        }
        Expr::Call(mut call) if !call.func.name.starts_with("absent") => {
            let arguments = std::mem::take(&mut call.args.args).into_iter();
            call.args.args = arguments.map(|argument| Box::new(relaxed(*argument))).collect();
            Expr::Call(call)
        }
        Expr::Binary(binary) if binary.op.id() == token::T_LUNLESS => relaxed(*binary.lhs),
        Expr::Binary(mut binary) => {
            let vector = |side: &Expr| side.value_type() == ValueType::Vector;
            let leaves_out = vector(&binary.lhs) || vector(&binary.rhs);
            if binary.op.is_comparison_operator() && leaves_out {
                let mut modifier = binary.modifier.take().unwrap_or_else(BinModifier::default);
                modifier.return_bool = true;
                binary.modifier = Some(modifier);
            }
            binary.lhs = Box::new(relaxed(*binary.lhs));
            binary.rhs = Box::new(relaxed(*binary.rhs));
            Expr::Binary(binary)
        }
        other => other,
    }
}

/// Whether an aggregation leaves some of its series as they are and the others out.
fn is_choice(operator: u16) -> bool {
    [token::T_TOPK, token::T_BOTTOMK].contains(&operator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_become_numbers() {
        for (query, expected) in [
            ("a > 1", "a > bool 1"),
            ("(a > 1)", "(a > bool 1)"),
            ("a > on (x) b and c == 2", "a > bool on (x) b and c == bool 2"),
            ("a > 1 unless b > 2", "a > bool 1"),
            ("sum(a > 1)", "sum(a > bool 1)"),
            ("count by (x) (a == 0) > 1", "count by (x) (a == bool 0) > bool 1"),
            ("topk(1, a > 1)", "a > bool 1"),
            ("max_over_time((a > 1)[20s:5s])", "max_over_time((a > bool 1)[20s:5s])"),
            ("a / (b > 0) > 0.1", "a / (b > bool 0) > bool 0.1"),
            ("-(a > 1)", "-(a > bool 1)"),
            ("absent(a > 1)", "absent(a > 1)"),
            ("count_values(\"v\", a > 1)", "count_values(\"v\", a > 1)"),
            ("1 < bool 2", "1 < bool 2"),
            ("up", "up"),
        ] {
            assert_eq!(unfiltered(query).unwrap(), expected);
        }
        assert!(unfiltered("a >").is_err());
    }
}

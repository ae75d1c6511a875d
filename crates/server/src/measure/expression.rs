//! An expression whose comparisons leave nothing out: what a planner asks to tell a condition that
//! does not hold from one that is not measured. It evaluates nothing.

use atoll_metrics::promql::QueryError;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{BinModifier, Expr, parse, token};

/// The expression with its conditions as 0 or 1: comparisons become `bool`, also on both sides of
/// `and` and `or`; of `unless` only the left side is left. Aggregations stay as they are.
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
        Expr::Binary(binary) if binary.op.id() == token::T_LUNLESS => relaxed(*binary.lhs),
        Expr::Binary(mut binary) if binary.op.is_set_operator() => {
            binary.lhs = Box::new(relaxed(*binary.lhs));
            binary.rhs = Box::new(relaxed(*binary.rhs));
            Expr::Binary(binary)
        }
        Expr::Binary(mut binary) if binary.op.is_comparison_operator() => {
            let vector = |side: &Expr| side.value_type() == ValueType::Vector;
            if vector(&binary.lhs) || vector(&binary.rhs) {
                let mut modifier = binary.modifier.take().unwrap_or_else(BinModifier::default);
                modifier.return_bool = true;
                binary.modifier = Some(modifier);
            }
            Expr::Binary(binary)
        }
        other => other,
    }
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
            ("sum(a > 1)", "sum(a > 1)"),
            ("1 < bool 2", "1 < bool 2"),
            ("up", "up"),
        ] {
            assert_eq!(unfiltered(query).unwrap(), expected);
        }
        assert!(unfiltered("a >").is_err());
    }
}

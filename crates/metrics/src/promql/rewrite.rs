//! Looks at and changes the text of an expression: its selectors, one more matcher, its layout. It
//! evaluates nothing.

use promql_parser::label::{METRIC_NAME, MatchOp, Matcher as Written};
use promql_parser::parser::{Expr, VectorSelector};

use super::QueryError;
use super::parse::{matchers_of, parse};
use super::plan::{Bounds, Plan};
use crate::labels::Matcher;

/// See [`super::matchers`].
pub(super) fn matchers(text: &str) -> Result<Vec<Matcher>, QueryError> {
    match parse(text)?.expression {
        Expr::VectorSelector(selector) if selector.at.is_none() && selector.offset.is_none() => {
            matchers_of(&selector)
        }
        _ => Err(QueryError::Parse(format!("{text} is not a plain series selector"))),
    }
}

/// See [`super::selectors`].
pub(super) fn selectors(query: &str) -> Result<Vec<Vec<Matcher>>, QueryError> {
    let mut expression = parse(query)?.expression;
    let mut found = Vec::new();
    visit(&mut expression, &mut |selector| {
        found.push(matchers_of(selector)?);
        Ok(())
    })?;
    Ok(found)
}

/// See [`super::with_matcher`].
pub(super) fn with_matcher(query: &str, name: &str, value: &str) -> Result<String, QueryError> {
    let mut expression = parse(query)?.expression;
    visit(&mut expression, &mut |selector| {
        let mentioned = selector.matchers.matchers.iter().any(|matcher| matcher.name == name);
        if !(mentioned || name == METRIC_NAME && selector.name.is_some()) {
            let matcher = Written::new(MatchOp::Equal, name, value);
            selector.matchers.matchers.push(matcher);
        }
        Ok(())
    })?;
    let text = expression.to_string();
    printed(expression, text)
}

/// See [`super::format`].
pub(super) fn format(query: &str) -> Result<String, QueryError> {
    Plan::of(query, Bounds { start: 0, end: 0, step: 0 })?;
    let expression = parse(query)?.expression;
    let text = expression.prettify();
    printed(expression, text)
}

/// Refuses a text that does not mean the same. Matchers are printed in an order of their own.
fn printed(mut expression: Expr, text: String) -> Result<String, QueryError> {
    let mut read = parse(&text)?.expression;
    for side in [&mut expression, &mut read] {
        visit(side, &mut |selector| {
            selector.matchers.matchers.sort_by_cached_key(ToString::to_string);
            Ok(())
        })?;
    }
    if read != expression {
        return Err(QueryError::Execution(format!(
            "could not write the expression {text} so that it means the same; write it simpler"
        )));
    }
    Ok(text)
}

type Visit<'v> = &'v mut dyn FnMut(&mut VectorSelector) -> Result<(), QueryError>;

/// Visits the selectors in the order of the text.
fn visit(expression: &mut Expr, each: Visit) -> Result<(), QueryError> {
    match expression {
        Expr::VectorSelector(selector) => {
            let or = !selector.matchers.or_matchers.is_empty();
            // Reports what is wrong with them.
            if or { matchers_of(selector).map(|_| ()) } else { each(selector) }
        }
        Expr::MatrixSelector(matrix) => each(&mut matrix.vs),
        Expr::Subquery(subquery) => visit(&mut subquery.expr, each),
        Expr::Paren(paren) => visit(&mut paren.expr, each),
        Expr::Unary(unary) => visit(&mut unary.expr, each),
        Expr::Binary(binary) => {
            visit(&mut binary.lhs, each)?;
            visit(&mut binary.rhs, each)
        }
        Expr::Call(call) => call.args.args.iter_mut().try_for_each(|inner| visit(inner, each)),
        Expr::Aggregate(aggregate) => {
            if let Some(parameter) = &mut aggregate.param {
                visit(parameter, each)?;
            }
            visit(&mut aggregate.expr, each)
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Ok(()),
    }
}

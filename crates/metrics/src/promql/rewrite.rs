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

/// See [`super::restricted`].
pub(super) fn restricted(query: &str, name: &str, values: &[String]) -> Result<String, QueryError> {
    let mut expression = parse(query)?.expression;
    let pattern = pattern(values);
    let regex = regex::Regex::new(&format!("^(?:{pattern})$"));
    let regex = regex.map_err(|e| QueryError::Execution(e.to_string()))?;
    visit(&mut expression, &mut |selector| {
        let op = MatchOp::Re(regex.clone());
        selector.matchers.matchers.push(Written::new(op, name, &pattern));
        Ok(())
    })?;
    let text = expression.to_string();
    printed(expression, text)
}

/// What matches one of these and nothing else; with none of them, nothing that has the label.
pub(super) fn pattern(values: &[String]) -> String {
    match values {
        [] => "[^\\s\\S]".to_owned(),
        values => values.iter().map(|v| regex::escape(v)).collect::<Vec<_>>().join("|"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selector_is_narrowed() {
        let names = ["shop.prod".to_owned(), "pay".to_owned()];
        let only = pattern(&names);
        assert_eq!(only, r"shop\.prod|pay");
        for query in [
            "up",
            "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m] offset 1h)) / ignoring(x) up",
            "max_over_time(up{deployment=\"other\"}[1h:5m]) or vector(1)",
            "{__name__=~\".+\"} @ 10 unless on(a) -up",
            "topk(3, up) and absent(up)",
        ] {
            let text = restricted(query, "deployment", &names).unwrap();
            for matchers in selectors(&text).unwrap() {
                let kept = |m: &Matcher| m.name == "deployment" && m.matches("shop.prod");
                let barred = |m: &Matcher| m.name == "deployment" && !m.matches("shopXprod");
                assert!(matchers.iter().any(|m| kept(m) && barred(m)), "{text}");
            }
        }
        let none = restricted("up", "deployment", &[]).unwrap();
        let all = selectors(&none).unwrap();
        assert!(all[0].iter().any(|m| m.name == "deployment" && !m.matches("") && !m.matches("x")));
    }
}

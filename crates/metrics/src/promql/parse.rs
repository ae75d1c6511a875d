//! Text to syntax tree: the scan, then the parser. It does not look at what the tree means.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{self, Expr, VectorSelector};

use super::QueryError;
use super::scan::{self, Site};
use crate::labels::{METRIC_NAME, Matcher};

/// So many texts that were parsed are kept: rules ask the same again and again.
const KEPT: usize = 8192;
/// Longer texts are not kept.
const LONG: usize = 2048;

/// Texts that were parsed lately, by what came of them.
static LATELY: LazyLock<Mutex<HashMap<Box<str>, Arc<Parsed>>>> = LazyLock::new(Mutex::default);

/// A parsed expression and where its functions stand in the text.
pub(super) struct Parsed {
    pub expression: Expr,
    pub sites: Vec<Site>,
}

/// Finds an expression parsed, or parses it.
pub(super) fn lately(query: &str) -> Result<Arc<Parsed>, QueryError> {
    let all = || LATELY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(parsed) = all().get(query) {
        return Ok(Arc::clone(parsed));
    }
    let parsed = Arc::new(parse(query)?);
    if query.len() <= LONG {
        let mut all = all();
        if all.len() >= KEPT {
            all.clear();
        }
        all.insert(query.into(), Arc::clone(&parsed));
    }
    Ok(parsed)
}

/// Parses an expression.
pub(super) fn parse(query: &str) -> Result<Parsed, QueryError> {
    let scanned = scan::scan(query)?;
    // The scan refuses what is known to panic in the parser; the rest must not end the process.
    let parsed = std::panic::catch_unwind(|| parser::parse(&scanned.text))
        .map_err(|_| QueryError::Parse("the parser gave up on it; simplify it".to_owned()))?;
    Ok(Parsed { expression: parsed.map_err(QueryError::Parse)?, sites: scanned.sites })
}

/// The matchers of a selector, the one of its name first.
pub(super) fn matchers_of(selector: &VectorSelector) -> Result<Vec<Matcher>, QueryError> {
    let mut all = Vec::new();
    if let Some(name) = &selector.name {
        all.push(Matcher::equal(METRIC_NAME, name));
    }
    all.extend(translated(&selector.matchers)?);
    Ok(all)
}

fn translated(matchers: &Matchers) -> Result<Vec<Matcher>, QueryError> {
    if !matchers.or_matchers.is_empty() {
        let text = "`or` between matchers is not PromQL; use `or` between selectors";
        return Err(QueryError::Parse(text.to_owned()));
    }
    let all = matchers.matchers.iter().map(|matcher| match &matcher.op {
        MatchOp::Equal => Ok(Matcher::equal(&matcher.name, &matcher.value)),
        MatchOp::NotEqual => Ok(Matcher::not_equal(&matcher.name, &matcher.value)),
        MatchOp::Re(_) => Matcher::regex(&matcher.name, &matcher.value),
        MatchOp::NotRe(_) => Matcher::not_regex(&matcher.name, &matcher.value),
    });
    all.collect::<Result<_, String>>().map_err(QueryError::Parse)
}

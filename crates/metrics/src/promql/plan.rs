//! The tree that is evaluated: a parsed expression with its functions, matchers and times
//! resolved, and marked where it does not depend on the step. It evaluates nothing itself.

use std::time::{Duration, SystemTime};

use promql_parser::parser::token::{self, T_LOR, TokenId};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, SubqueryExpr,
    VectorMatchCardinality, VectorSelector,
};

use super::QueryError;
use super::parse;
use super::scan::{Position, Site};
use crate::labels::Matcher;

/// The step of a subquery that names none, in milliseconds.
const DEFAULT_STEP: i64 = 60_000;

/// No duration and no `@` is further than this, in milliseconds.
const LONGEST: i64 = 1 << 52;

/// What the query as a whole is evaluated over, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub start: i64,
    pub end: i64,
    pub step: i64,
}

/// An expression ready to be evaluated.
#[derive(Debug)]
pub(super) struct Plan {
    pub root: Node,
    /// Whether it is a scalar, a vector, a range or a text.
    pub kind: ValueType,
}

/// Where in time a selector reads, seen from a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    /// The time `@` fixes.
    pub fixed: Option<i64>,
    pub offset: i64,
}

impl Shift {
    /// The time read for a step at `time`.
    pub fn apply(self, time: i64) -> i64 {
        self.fixed.unwrap_or(time).saturating_sub(self.offset)
    }
}

/// A vector selector.
#[derive(Debug)]
pub(super) struct Selector {
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
}

/// `inner[range:step]`.
#[derive(Debug)]
pub(super) struct Subquery {
    pub inner: Node,
    pub range: i64,
    pub step: i64,
    pub shift: Shift,
}

/// A function with its arguments.
#[derive(Debug)]
pub(super) struct Invocation {
    pub name: &'static str,
    pub arguments: Vec<Node>,
    pub site: Site,
}

/// An aggregation.
#[derive(Debug)]
pub(super) struct Aggregation {
    pub operator: TokenId,
    pub parameter: Option<Node>,
    pub inner: Node,
    pub grouping: Grouping,
    pub site: Site,
}

/// How an aggregation groups.
#[derive(Debug)]
pub(super) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// Which side of a binary operation may have many series for one of the other.
#[derive(Debug)]
pub(super) enum Cardinality {
    OneToOne,
    /// `group_left`, with the labels to take from the right.
    ManyToOne(Vec<String>),
    /// `group_right`, with the labels to take from the left.
    OneToMany(Vec<String>),
}

/// A binary operation.
#[derive(Debug)]
pub(super) struct Operation {
    pub operator: TokenId,
    pub left: Node,
    pub right: Node,
    pub returns_bool: bool,
    pub matching: Grouping,
    pub cardinality: Cardinality,
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

/// A node of the tree. Parentheses are gone.
#[derive(Debug)]
pub(super) enum Node {
    Number(f64),
    Text(String),
    Vector(Box<Selector>),
    Range(Box<Selector>, i64),
    Subquery(Box<Subquery>),
    Negation(Box<Node>),
    Binary(Box<Operation>),
    Call(Box<Invocation>),
    Aggregation(Box<Aggregation>),
}

impl Plan {
    /// Parses an expression and resolves it for a query over `bounds`.
    pub fn of(query: &str, bounds: Bounds) -> Result<Plan, QueryError> {
        let parsed = parse::lately(query)?;
        let kind = parsed.expression.value_type();
        let mut lowering = Lowering { bounds, sites: parsed.sites.clone().into_iter() };
        Ok(Plan { root: lowering.node(&parsed.expression)?, kind })
    }
}

impl Node {
    /// Whether it is the same at every step.
    pub fn is_constant(&self) -> bool {
        match self {
            Node::Number(_) | Node::Text(_) => true,
            Node::Vector(selector) | Node::Range(selector, _) => selector.shift.fixed.is_some(),
            Node::Subquery(subquery) => subquery.shift.fixed.is_some(),
            Node::Negation(inner) => inner.is_constant(),
            Node::Binary(operation) => {
                operation.left.is_constant() && operation.right.is_constant()
            }
            Node::Call(call) => {
                !depends_on_step(call) && call.arguments.iter().all(Node::is_constant)
            }
            Node::Aggregation(aggregation) => {
                aggregation.inner.is_constant()
                    && aggregation.parameter.as_ref().is_none_or(Node::is_constant)
            }
        }
    }

    /// Whether there is an `or` in it, outside of subqueries.
    pub fn has_union(&self) -> bool {
        match self {
            Node::Negation(inner) => inner.has_union(),
            Node::Binary(operation) => {
                operation.operator == T_LOR
                    || operation.left.has_union()
                    || operation.right.has_union()
            }
            Node::Call(call) => call.arguments.iter().any(Node::has_union),
            Node::Aggregation(aggregation) => aggregation.inner.has_union(),
            _ => false,
        }
    }

    /// Whether it gives series; otherwise it gives a scalar or a text.
    pub fn is_vector(&self) -> bool {
        match self {
            Node::Number(_) | Node::Text(_) => false,
            Node::Negation(inner) => inner.is_vector(),
            Node::Binary(operation) => operation.left.is_vector() || operation.right.is_vector(),
            Node::Call(call) => !matches!(
                call.name,
                "scalar" | "time" | "pi" | "start" | "end" | "step" | "range" | "min_of" | "max_of"
            ),
            _ => true,
        }
    }
}

fn depends_on_step(call: &Invocation) -> bool {
    match call.name {
        "time" | "timestamp" | "predict_linear" => true,
        "year" | "month" | "day_of_month" | "day_of_year" | "day_of_week" | "days_in_month"
        | "hour" | "minute" => call.arguments.is_empty(),
        _ => false,
    }
}

/// Turns the parser's tree into ours, taking the sites in the order of the text.
struct Lowering {
    bounds: Bounds,
    sites: std::vec::IntoIter<Site>,
}

impl Lowering {
    fn node(&mut self, expression: &Expr) -> Result<Node, QueryError> {
        Ok(match expression {
            Expr::NumberLiteral(number) => Node::Number(number.val),
            Expr::StringLiteral(text) => Node::Text(text.val.clone()),
            Expr::Paren(paren) => self.node(&paren.expr)?,
            Expr::Unary(unary) => Node::Negation(Box::new(self.node(&unary.expr)?)),
            Expr::VectorSelector(selector) => Node::Vector(Box::new(self.selector(selector)?)),
            Expr::MatrixSelector(matrix) => {
                let range = positive(matrix.range)?;
                Node::Range(Box::new(self.selector(&matrix.vs)?), range)
            }
            Expr::Subquery(subquery) => Node::Subquery(Box::new(self.subquery(subquery)?)),
            Expr::Binary(binary) => Node::Binary(Box::new(self.operation(binary)?)),
            Expr::Call(call) => Node::Call(Box::new(self.call(call)?)),
            Expr::Aggregate(aggregate) => Node::Aggregation(Box::new(self.aggregation(aggregate)?)),
            Expr::Extension(_) => {
                return Err(QueryError::Parse("it has a node of no known kind".to_owned()));
            }
        })
    }

    fn site(&mut self, name: &str) -> Site {
        let found = self.sites.find(|site| site.name.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| Site { name: name.to_owned(), ..Site::default() })
    }

    fn selector(&mut self, selector: &VectorSelector) -> Result<Selector, QueryError> {
        let matchers = parse::matchers_of(selector)?;
        let shift = self.shift(selector.at.as_ref(), selector.offset.as_ref())?;
        Ok(Selector { matchers, shift })
    }

    fn shift(&self, at: Option<&AtModifier>, offset: Option<&Offset>) -> Result<Shift, QueryError> {
        let fixed = match at {
            None => None,
            Some(AtModifier::Start) => Some(self.bounds.start),
            Some(AtModifier::End) => Some(self.bounds.end),
            Some(AtModifier::At(time)) => Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => milliseconds(after),
                Err(before) => -milliseconds(before.duration()),
            }),
        };
        if matches!(at, Some(AtModifier::At(_))) && fixed.is_some_and(|at| at.abs() == LONGEST) {
            let text = "the time of an @ modifier is out of bounds";
            return Err(QueryError::Parse(text.to_owned()));
        }
        let offset = match offset {
            None => 0,
            Some(Offset::Pos(by)) => milliseconds(*by),
            Some(Offset::Neg(by)) => -milliseconds(*by),
        };
        Ok(Shift { fixed, offset })
    }

    fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<Subquery, QueryError> {
        let shift = self.shift(subquery.at.as_ref(), subquery.offset.as_ref())?;
        Ok(Subquery {
            range: positive(subquery.range)?,
            step: subquery.step.map_or(Ok(DEFAULT_STEP), positive)?,
            inner: self.node(&subquery.expr)?,
            shift,
        })
    }

    fn operation(&mut self, binary: &BinaryExpr) -> Result<Operation, QueryError> {
        let left = self.node(&binary.lhs)?;
        let right = self.node(&binary.rhs)?;
        let modifier = binary.modifier.clone().unwrap_or_default();
        let matching = match modifier.matching {
            Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels),
            None => Grouping::Without(Vec::new()),
        };
        let cardinality = match modifier.card {
            VectorMatchCardinality::ManyToOne(labels) => Cardinality::ManyToOne(labels.labels),
            VectorMatchCardinality::OneToMany(labels) => Cardinality::OneToMany(labels.labels),
            _ => Cardinality::OneToOne,
        };
        Ok(Operation {
            operator: binary.op.id(),
            left,
            right,
            returns_bool: modifier.return_bool,
            matching,
            cardinality,
            fill_left: modifier.fill_values.lhs,
            fill_right: modifier.fill_values.rhs,
        })
    }

    fn call(&mut self, call: &Call) -> Result<Invocation, QueryError> {
        let site = self.site(call.func.name);
        let arguments = call.args.args.iter().map(|argument| self.node(argument));
        let mut arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        // What the query as a whole is evaluated over is known here, and nowhere below.
        let seconds = |milliseconds: i64| milliseconds as f64 / 1e3;
        let bounds = self.bounds;
        let known = match call.func.name {
            "start" => Some(seconds(bounds.start)),
            "end" => Some(seconds(bounds.end)),
            "step" => Some(seconds(bounds.step)),
            "range" => Some(seconds(bounds.end - bounds.start)),
            _ => None,
        };
        arguments.extend(known.map(Node::Number));
        Ok(Invocation { name: call.func.name, arguments, site })
    }

    fn aggregation(&mut self, aggregate: &AggregateExpr) -> Result<Aggregation, QueryError> {
        let site = self.site(&aggregate.op.to_string());
        let parameter = aggregate.param.as_ref().map(|p| self.node(p)).transpose()?;
        let grouping = match &aggregate.modifier {
            Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
            None => Grouping::By(Vec::new()),
        };
        Ok(Aggregation {
            operator: aggregate.op.id(),
            parameter,
            inner: self.node(&aggregate.expr)?,
            grouping,
            site,
        })
    }
}

impl Site {
    /// Where an argument stands; the function itself where that is not known.
    pub fn argument(&self, index: usize) -> Position {
        self.arguments.get(index).copied().unwrap_or(self.at)
    }
}

/// The name of an aggregation or operator, for messages.
pub(super) fn operator_name(operator: TokenId) -> String {
    token::TokenType::new(operator).to_string()
}

/// Bounded, so that no sum of such durations over all levels of nesting can overflow.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(LONGEST).min(LONGEST)
}

fn positive(duration: Duration) -> Result<i64, QueryError> {
    match milliseconds(duration) {
        0 => Err(QueryError::Parse("a duration must be greater than 0".to_owned())),
        length => Ok(length),
    }
}

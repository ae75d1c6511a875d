//! Reads an expression: CEL's grammar and macros, names resolved, sizes bounded. It evaluates
//! nothing.

use atoll_model::name::nearest;
use regex::RegexBuilder;

use super::lexer::{Token, words};
use super::tree::{Each, Function, Macro, Node, Operator};
use super::{LONGEST, Wrong};

/// An expression may have so many parts.
const MOST_NODES: usize = 1_000;
/// Brackets, calls and conditions may stand so deep in each other.
const DEEPEST: usize = 24;
/// So deep is the tree of an expression at most: evaluating goes down as deep.
const DEEPEST_TREE: usize = 64;
/// Macros may stand so deep in each other: each multiplies what the one around it costs.
const DEEPEST_MACROS: usize = 3;
/// A pattern may take so many bytes once it is compiled.
const PATTERN_SIZE: usize = 1 << 17;
/// Words CEL keeps for itself.
const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "in",
];

/// The tree of an expression, and which names it uses, a bit each.
pub(super) fn parse(text: &str, names: &[&str]) -> Result<(Node, u32), Wrong> {
    if text.len() > LONGEST {
        let message = format!("is longer than {LONGEST} bytes; make several standards of it");
        return Err(Wrong { column: 1, message });
    }
    let words = words(text)?;
    let (at, nodes, depth, used) = (0, 0, 0, 0);
    let mut parser = Parser { words, at, names, variables: Vec::new(), nodes, depth, used };
    let root = parser.expression()?;
    if root.is_deeper_than(DEEPEST_TREE) {
        let message = format!("is a chain of more than {DEEPEST_TREE} parts; use lists and macros");
        return Err(Wrong { column: 1, message });
    }
    match parser.peek() {
        Token::End => Ok((root, parser.used)),
        _ => parser.wrong("is not expected here; the expression is complete before it"),
    }
}

struct Parser<'a> {
    words: Vec<(Token, usize)>,
    at: usize,
    names: &'a [&'a str],
    variables: Vec<String>,
    nodes: usize,
    depth: usize,
    used: u32,
}

type Parsed = Result<Node, Wrong>;

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.words[self.at.min(self.words.len() - 1)].0
    }

    fn column(&self) -> usize {
        self.words[self.at.min(self.words.len() - 1)].1
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        let message = match self.peek() {
            Token::End => format!("the expression ends, and {}", message.into()),
            Token::Sign(sign) => format!("{sign:?} {}", message.into()),
            Token::Name(name) => format!("{name:?} {}", message.into()),
            _ => message.into(),
        };
        Err(Wrong { column: self.column(), message })
    }

    fn at_column<T>(&self, column: usize, message: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong { column, message: message.into() })
    }

    fn take(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Token::Sign(s) if *s == sign);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, sign: &str) -> Result<(), Wrong> {
        if self.take(sign) { Ok(()) } else { self.wrong(format!("stands where {sign:?} should")) }
    }

    fn count(&mut self, node: Node) -> Parsed {
        self.nodes += 1;
        match self.nodes > MOST_NODES {
            true => self.at_column(self.column(), format!("has more than {MOST_NODES} parts")),
            false => Ok(node),
        }
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.at_column(self.column(), format!("is nested deeper than {DEEPEST}"));
        }
        let mut node = self.or()?;
        if self.take("?") {
            let yes = self.or()?;
            self.expect(":")?;
            let no = self.expression()?;
            node = self.count(Node::Choice(node.into(), yes.into(), no.into()))?;
        }
        self.depth -= 1;
        Ok(node)
    }

    fn or(&mut self) -> Parsed {
        let mut all = vec![self.and()?];
        while self.take("||") {
            all.push(self.and()?);
        }
        if all.len() == 1 { Ok(all.remove(0)) } else { self.count(Node::Or(all)) }
    }

    fn and(&mut self) -> Parsed {
        let mut all = vec![self.relation()?];
        while self.take("&&") {
            all.push(self.relation()?);
        }
        if all.len() == 1 { Ok(all.remove(0)) } else { self.count(Node::And(all)) }
    }

    fn relation(&mut self) -> Parsed {
        let mut node = self.sum()?;
        loop {
            let operator = match self.peek() {
                Token::Sign("==") => Operator::Equal,
                Token::Sign("!=") => Operator::Unequal,
                Token::Sign("<") => Operator::Less,
                Token::Sign("<=") => Operator::AtMost,
                Token::Sign(">") => Operator::More,
                Token::Sign(">=") => Operator::AtLeast,
                Token::Name(name) if name == "in" => Operator::In,
                Token::Sign("=") => return self.wrong("means nothing here; write =="),
                _ => return Ok(node),
            };
            self.at += 1;
            let right = self.sum()?;
            node = self.count(Node::Binary(operator, node.into(), right.into()))?;
        }
    }

    fn sum(&mut self) -> Parsed {
        let mut node = self.product()?;
        loop {
            let operator = match self.peek() {
                Token::Sign("+") => Operator::Add,
                Token::Sign("-") => Operator::Subtract,
                _ => return Ok(node),
            };
            self.at += 1;
            let right = self.product()?;
            node = self.count(Node::Binary(operator, node.into(), right.into()))?;
        }
    }

    fn product(&mut self) -> Parsed {
        let mut node = self.unary()?;
        loop {
            let operator = match self.peek() {
                Token::Sign("*") => Operator::Multiply,
                Token::Sign("/") => Operator::Divide,
                Token::Sign("%") => Operator::Remainder,
                _ => return Ok(node),
            };
            self.at += 1;
            let right = self.unary()?;
            node = self.count(Node::Binary(operator, node.into(), right.into()))?;
        }
    }

    fn unary(&mut self) -> Parsed {
        if self.take("!") {
            self.deeper()?;
            let node = Node::Not(self.unary()?.into());
            self.depth -= 1;
            return self.count(node);
        }
        if self.take("-") {
            self.deeper()?;
            let node = match self.unary()? {
                Node::Int(value) => Node::Int(-value),
                Node::Double(value) => Node::Double(-value),
                other => Node::Minus(other.into()),
            };
            self.depth -= 1;
            return self.count(node);
        }
        self.member()
    }

    fn deeper(&mut self) -> Result<(), Wrong> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => self.at_column(self.column(), format!("is nested deeper than {DEEPEST}")),
            false => Ok(()),
        }
    }

    fn member(&mut self) -> Parsed {
        let mut node = self.primary()?;
        loop {
            if self.take("[") {
                let index = self.expression()?;
                self.expect("]")?;
                node = self.count(Node::Index(node.into(), index.into()))?;
            } else if self.take(".") {
                let column = self.column();
                let Token::Name(name) = self.peek().clone() else {
                    return self.wrong("is no name of a field");
                };
                self.at += 1;
                node = match self.take("(") {
                    true => self.method(node, &name, column)?,
                    false => self.count(Node::Field(node.into(), name))?,
                };
            } else {
                return Ok(node);
            }
        }
    }

    fn arguments(&mut self, close: &str) -> Result<Vec<Node>, Wrong> {
        let mut all = Vec::new();
        while !self.take(close) {
            all.push(self.expression()?);
            if !self.take(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(all)
    }

    fn method(&mut self, target: Node, name: &str, column: usize) -> Parsed {
        let what = match name {
            "all" => Macro::All,
            "exists" => Macro::Exists,
            "exists_one" => Macro::ExistsOne,
            "filter" => Macro::Filter,
            "map" => Macro::Map,
            _ => {
                let mut arguments = vec![target];
                arguments.extend(self.arguments(")")?);
                return self.call(name, arguments, column);
            }
        };
        let Token::Name(variable) = self.peek().clone() else {
            return self.wrong("is no name of a variable");
        };
        if RESERVED.contains(&variable.as_str()) || self.names.contains(&variable.as_str()) {
            return self.wrong("is taken; name the variable otherwise");
        }
        self.at += 1;
        self.expect(",")?;
        self.variables.push(variable);
        if self.variables.len() > DEEPEST_MACROS {
            let message = format!("more than {DEEPEST_MACROS} macros stand in each other");
            return self.at_column(column, message);
        }
        let first = self.expression()?;
        let second = if self.take(",") { Some(self.expression()?) } else { None };
        self.variables.pop();
        self.expect(")")?;
        let (holds, makes) = match (what, second) {
            (Macro::Map, Some(makes)) => (first, Some(makes)),
            (Macro::Map, None) => (Node::Bool(true), Some(first)),
            (_, None) => (first, None),
            (_, Some(_)) => {
                return self.at_column(column, format!("{name} takes a variable and a condition"));
            }
        };
        self.count(Node::Each(Each { what, over: target, holds, makes }.into()))
    }

    fn primary(&mut self) -> Parsed {
        let column = self.column();
        if self.take("(") {
            let node = self.expression()?;
            self.expect(")")?;
            return Ok(node);
        }
        if self.take("[") {
            let all = self.arguments("]")?;
            return self.count(Node::List(all));
        }
        if self.take("{") {
            return self.map();
        }
        let token = self.peek().clone();
        let node = match token {
            Token::Int(value) => Node::Int(value),
            Token::Double(value) => Node::Double(value),
            Token::Text(text) => Node::Text(text),
            Token::Name(name) => {
                self.at += 1;
                return match self.take("(") {
                    true => self.function(&name, column),
                    false => self.name(&name, column),
                };
            }
            Token::Sign(_) | Token::End => return self.wrong("stands where a value should"),
        };
        self.at += 1;
        self.count(node)
    }

    fn map(&mut self) -> Parsed {
        let mut all = Vec::new();
        while !self.take("}") {
            let key = self.expression()?;
            self.expect(":")?;
            all.push((key, self.expression()?));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        self.count(Node::Map(all))
    }

    fn name(&mut self, name: &str, column: usize) -> Parsed {
        let node = match name {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            "null" => Node::Null,
            _ => {
                if let Some(at) = self.variables.iter().rev().position(|v| v == name) {
                    return self.count(Node::Variable(at));
                }
                let Some(index) = self.names.iter().position(|known| *known == name) else {
                    let known = self.names.iter().copied();
                    let near = nearest(name, known).map(|near| format!("; did you mean {near}?"));
                    let near =
                        near.unwrap_or_else(|| format!("; there are {}", self.names.join(", ")));
                    return self.at_column(column, format!("{name:?} is not known{near}"));
                };
                self.used |= 1 << index;
                Node::Fact(index)
            }
        };
        self.count(node)
    }

    fn function(&mut self, name: &str, column: usize) -> Parsed {
        let mut arguments = self.arguments(")")?;
        if name != "has" {
            return self.call(name, arguments, column);
        }
        match (arguments.pop(), arguments.is_empty()) {
            (Some(Node::Field(of, field)), true) => self.count(Node::Has(of, field)),
            _ => self.at_column(column, "has takes one field, as in has(object.spec.owner)"),
        }
    }

    fn call(&mut self, name: &str, mut arguments: Vec<Node>, column: usize) -> Parsed {
        if name == "matches" {
            let pattern = arguments.pop();
            return match (pattern, arguments.pop(), arguments.is_empty()) {
                (Some(Node::Text(pattern)), Some(text), true) => {
                    let built = RegexBuilder::new(&pattern).size_limit(PATTERN_SIZE).build();
                    match built {
                        Ok(regex) => self.count(Node::Matches(text.into(), regex)),
                        Err(error) => {
                            let said = error.to_string();
                            let last = said.lines().last().unwrap_or_default();
                            self.at_column(column, format!("{pattern:?} is no pattern: {last}"))
                        }
                    }
                }
                _ => self.at_column(column, "matches takes a text and a pattern in quotes"),
            };
        }
        let Some((_, function, takes)) = Function::ALL.iter().find(|(known, ..)| *known == name)
        else {
            let known = Function::ALL.iter().map(|(known, ..)| *known).chain(["has", "matches"]);
            let near = nearest(name, known).map(|near| format!("; did you mean {near}?"));
            let near = near.unwrap_or_default();
            return self.at_column(column, format!("there is no function {name}{near}"));
        };
        if arguments.len() != *takes && !(name == "join" && arguments.len() == 1) {
            let message = format!("{name} takes {takes}, what it is called on among them");
            return self.at_column(column, message);
        }
        self.count(Node::Call(*function, arguments))
    }
}

//! What an expression is once it is read. Names are resolved: to facts, or to the variable of a
//! macro around them.

use regex::Regex;

/// One part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    /// A fact, by its index among the known names.
    Fact(usize),
    /// The variable of a macro, by how many are between: 0 is the innermost.
    Variable(usize),
    Field(Box<Node>, String),
    /// `has(a.b)`
    Has(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Minus(Box<Node>),
    /// All of them, in any order of failing.
    And(Vec<Node>),
    Or(Vec<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Choice(Box<Node>, Box<Node>, Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Each(Box<Each>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Regex),
}

impl Node {
    /// Whether there are more than so many parts below each other. It goes no deeper itself.
    pub(super) fn is_deeper_than(&self, most: usize) -> bool {
        let Some(most) = most.checked_sub(1) else { return true };
        let deep = |node: &Node| node.is_deeper_than(most);
        match self {
            Node::Field(of, _) | Node::Has(of, _) | Node::Matches(of, _) => deep(of),
            Node::Not(of) | Node::Minus(of) => deep(of),
            Node::Index(a, b) | Node::Binary(_, a, b) => deep(a) || deep(b),
            Node::Choice(a, b, c) => deep(a) || deep(b) || deep(c),
            Node::And(all) | Node::Or(all) | Node::List(all) | Node::Call(_, all) => {
                all.iter().any(deep)
            }
            Node::Map(all) => all.iter().any(|(key, value)| deep(key) || deep(value)),
            Node::Each(each) => {
                deep(&each.over) || deep(&each.holds) || each.makes.as_ref().is_some_and(deep)
            }
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    In,
}

/// A macro over the elements of a list or the keys of a map.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub what: Macro,
    pub over: Node,
    /// What has to hold; of `map` with two arguments, true.
    pub holds: Node,
    /// What `map` makes.
    pub makes: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    Join,
    Int,
    Double,
    Text,
    Cpu,
    Memory,
    Duration,
}

impl Function {
    /// Every function with its name, how often it takes how many arguments, the one before the dot
    /// among them.
    pub(super) const ALL: [(&'static str, Function, usize); 14] = [
        ("size", Function::Size, 1),
        ("contains", Function::Contains, 2),
        ("startsWith", Function::StartsWith, 2),
        ("endsWith", Function::EndsWith, 2),
        ("lowerAscii", Function::LowerAscii, 1),
        ("upperAscii", Function::UpperAscii, 1),
        ("trim", Function::Trim, 1),
        ("join", Function::Join, 2),
        ("int", Function::Int, 1),
        ("double", Function::Double, 1),
        ("string", Function::Text, 1),
        ("cpu", Function::Cpu, 1),
        ("memory", Function::Memory, 1),
        ("duration", Function::Duration, 1),
    ];
}

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
    /// The parts right below it.
    fn parts(&self) -> Vec<&Node> {
        match self {
            Node::Field(of, _) | Node::Has(of, _) | Node::Matches(of, _) => vec![of],
            Node::Not(of) | Node::Minus(of) => vec![of],
            Node::Index(a, b) | Node::Binary(_, a, b) => vec![a, b],
            Node::Choice(a, b, c) => vec![a, b, c],
            Node::And(all) | Node::Or(all) | Node::List(all) | Node::Call(_, all) => {
                all.iter().collect()
            }
            Node::Map(all) => all.iter().flat_map(|(key, value)| [key, value]).collect(),
            Node::Each(each) => [&each.over, &each.holds].into_iter().chain(&each.makes).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether there are more than so many parts below each other. It goes no deeper itself.
    pub(super) fn is_deeper_than(&self, most: usize) -> bool {
        let Some(most) = most.checked_sub(1) else { return true };
        self.parts().into_iter().any(|part| part.is_deeper_than(most))
    }

    /// The fields that are read of the fact at an index.
    pub(super) fn fields_of(&self, fact: usize) -> Vec<&str> {
        let asked = match self {
            Node::Has(of, name) if of.is_fact(fact) => Some(name.as_str()),
            _ => self.own_field(fact),
        };
        let below = self.parts().into_iter().flat_map(|part| part.fields_of(fact));
        asked.into_iter().chain(below).collect()
    }

    fn is_fact(&self, fact: usize) -> bool {
        matches!(self, Node::Fact(other) if *other == fact)
    }

    /// The field of the fact at an index that it is.
    fn own_field(&self, fact: usize) -> Option<&str> {
        match self {
            Node::Field(of, name) if of.is_fact(fact) => Some(name),
            Node::Index(of, by) if of.is_fact(fact) => match by.as_ref() {
                Node::Text(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// The fields that are read of the fact at an index, as whole paths, and those that `has` asks
    /// for. What is read of any element of a list is below [`ELEMENT`].
    pub(super) fn paths_of(&self, fact: usize) -> (Vec<Vec<&str>>, Vec<Vec<&str>>) {
        let mut found = (Vec::new(), Vec::new());
        self.find_paths(fact, &[], &mut found);
        found
    }

    /// What the variables of the macros around it stand for, the innermost last, is `around`.
    fn find_paths<'a>(
        &'a self,
        fact: usize,
        around: &[Option<Vec<&'a str>>],
        found: &mut (Vec<Vec<&'a str>>, Vec<Vec<&'a str>>),
    ) {
        match self {
            Node::Each(each) => {
                each.over.find_paths(fact, around, found);
                let element = each.over.path_of(fact, around).map(|path| joined(path, ELEMENT));
                let within = [around, &[element]].concat();
                each.holds.find_paths(fact, &within, found);
                each.makes.iter().for_each(|made| made.find_paths(fact, &within, found));
            }
            Node::Field(..) | Node::Has(..) | Node::Index(..) => {
                let Some(path) = self.path_of(fact, around) else {
                    self.parts().into_iter().for_each(|p| p.find_paths(fact, around, found));
                    return;
                };
                match self {
                    Node::Has(..) => found.1.push(path),
                    _ => found.0.push(path),
                }
                self.find_beside(fact, around, found);
            }
            _ => self.parts().into_iter().for_each(|p| p.find_paths(fact, around, found)),
        }
    }

    /// The same of what stands in brackets and in macros along a path, which is known itself.
    fn find_beside<'a>(
        &'a self,
        fact: usize,
        around: &[Option<Vec<&'a str>>],
        found: &mut (Vec<Vec<&'a str>>, Vec<Vec<&'a str>>),
    ) {
        match self {
            Node::Field(of, _) | Node::Has(of, _) => of.find_beside(fact, around, found),
            Node::Index(of, by) => {
                of.find_beside(fact, around, found);
                by.find_paths(fact, around, found);
            }
            _ => self.find_paths(fact, around, found),
        }
    }

    fn path_of<'a>(&'a self, fact: usize, around: &[Option<Vec<&'a str>>]) -> Option<Vec<&'a str>> {
        let (of, name) = match self {
            Node::Fact(other) => return (*other == fact).then(Vec::new),
            Node::Variable(between) => return around.iter().nth_back(*between)?.clone(),
            // What is left of a list is of the same form.
            Node::Each(each) if each.what == Macro::Filter => {
                return each.over.path_of(fact, around);
            }
            Node::Field(of, name) | Node::Has(of, name) => (of, name.as_str()),
            Node::Index(of, by) => match by.as_ref() {
                Node::Text(name) => (of, name.as_str()),
                _ => (of, ELEMENT),
            },
            _ => return None,
        };
        of.path_of(fact, around).map(|path| joined(path, name))
    }

    /// A field of the fact at an index that is set beside a text, or true or false, where all its
    /// fields but these are numbers.
    pub(super) fn no_number_beside(&self, fact: usize, but: &[&str]) -> Option<&str> {
        let number = |node: &'_ Node| node.own_field(fact).is_some_and(|name| !but.contains(&name));
        let beside = |one: &Node, other: &Node| match one {
            Node::Text(_) | Node::Bool(_) => number(other),
            _ => false,
        };
        if let Node::Binary(operator, a, b) = self
            && *operator != Operator::In
            && (beside(a, b) || beside(b, a))
        {
            return a.own_field(fact).or(b.own_field(fact));
        }
        self.parts().into_iter().find_map(|part| part.no_number_beside(fact, but))
    }

    /// The fact and the path below it that is named, also where a field stands in brackets.
    fn place(&self) -> Option<(usize, Vec<&str>)> {
        match self {
            Node::Fact(fact) => Some((*fact, Vec::new())),
            Node::Field(of, name) => of.place().map(|(fact, path)| (fact, joined(path, name))),
            Node::Index(of, by) => match by.as_ref() {
                Node::Text(name) => of.place().map(|(fact, path)| (fact, joined(path, name))),
                _ => None,
            },
            _ => None,
        }
    }

    fn literal(&self) -> Option<Literal> {
        match self {
            Node::Text(_) => Some(Literal::Text),
            Node::Bool(_) => Some(Literal::Bool),
            Node::Int(_) | Node::Double(_) => Some(Literal::Number),
            Node::Minus(of) => of.literal(),
            _ => None,
        }
    }

    /// Whatever is compared with something that is written out.
    pub(super) fn comparisons(&self) -> Vec<Comparison<'_>> {
        let mut all = Vec::new();
        if let Node::Binary(operator, a, b) = self {
            let sides = match (operator, b.as_ref()) {
                (Operator::In, Node::List(parts)) => {
                    parts.iter().map(|part| (&**a, part)).collect()
                }
                (Operator::In, _) => Vec::new(),
                (o, _) if o.compares() => vec![(&**a, &**b), (&**b, &**a)],
                _ => Vec::new(),
            };
            all.extend(sides.into_iter().filter_map(|(named, with)| {
                let ((fact, path), with) = (named.place()?, with.literal()?);
                Some(Comparison { fact, path, with })
            }));
        }
        all.extend(self.parts().into_iter().flat_map(Node::comparisons));
        all
    }

    /// Why some part of it can never be told, whatever there is: the least such part says it.
    /// `told` says why a part that is wholly written out has no value.
    pub(super) fn fails(&self, told: &dyn Fn(&Node) -> Option<String>) -> Option<String> {
        let below = self.parts().into_iter().find_map(|part| part.fails(told));
        below.or_else(|| match self {
            Node::Binary(operator, a, b) if operator.compares() && a.is_apart_from(b) => {
                Some("compares what is written out with what it never is".to_owned())
            }
            _ => self.is_written_out().then(|| told(self)).flatten(),
        })
    }

    fn is_apart_from(&self, other: &Node) -> bool {
        self.literal().zip(other.literal()).is_some_and(|(a, b)| a != b)
    }

    /// Whether it is the same whatever there is.
    fn is_written_out(&self) -> bool {
        match self {
            Node::Fact(_) | Node::Variable(_) => false,
            _ => self.parts().into_iter().all(Node::is_written_out),
        }
    }

    /// Whether it can be true, as far as its form tells, and what is known of fields: whether one
    /// may be true or false.
    pub(super) fn may_be_true(&self, field: &dyn Fn(usize, &[&str]) -> bool) -> bool {
        match self {
            Node::Fact(_) | Node::Field(..) | Node::Index(..) => {
                self.place().is_none_or(|(fact, path)| field(fact, &path))
            }
            Node::And(all) => all.iter().all(|one| one.may_be_true(field)),
            Node::Or(all) => all.iter().any(|one| one.may_be_true(field)),
            Node::Not(of) => of.may_be_true(field),
            Node::Null | Node::Int(_) | Node::Double(_) | Node::Text(_) => false,
            Node::List(_) | Node::Map(_) | Node::Minus(_) => false,
            Node::Binary(operator, ..) => !matches!(
                operator,
                Operator::Add
                    | Operator::Subtract
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Remainder
            ),
            Node::Choice(_, one, other) => one.may_be_true(field) || other.may_be_true(field),
            Node::Each(each) => !matches!(each.what, Macro::Filter | Macro::Map),
            Node::Call(function, _) => {
                matches!(function, Function::Contains | Function::StartsWith | Function::EndsWith)
            }
            _ => true,
        }
    }
}

fn joined<'a>(mut path: Vec<&'a str>, name: &'a str) -> Vec<&'a str> {
    path.push(name);
    path
}

/// Stands in paths for any element of a list, or what is in a map under a name that is reckoned.
pub const ELEMENT: &str = "[]";

/// Something that is compared with what is written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison<'a> {
    /// The fact, by its index among the known names.
    pub fact: usize,
    /// The path below it; none, where it is the fact itself.
    pub path: Vec<&'a str>,
    /// What it is compared with.
    pub with: Literal,
}

/// The kind of something that is written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A number.
    Number,
    /// A text.
    Text,
    /// True or false.
    Bool,
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

impl Operator {
    fn compares(self) -> bool {
        use Operator::{AtLeast, AtMost, Equal, Less, More, Unequal};
        matches!(self, Equal | Unequal | Less | AtMost | More | AtLeast)
    }
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

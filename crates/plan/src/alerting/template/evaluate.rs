//! From a tree and facts to text. Not what functions do, which is `function.rs`.
//!
//! The rules are those of <https://pkg.go.dev/text/template#hdr-Actions> and
//! <https://pkg.go.dev/text/template#hdr-Variables>.

use std::rc::Rc;

use super::parse::{Block, BlockKind, Node};
use super::pipeline::{Base, Command, Operand, Pipeline};
use super::value::Value;
use super::{Facts, MOST_STEPS, Wrong, function, print};

/// The text of a tree, and the first action that turned out not to be understood.
pub(super) fn evaluate<'a>(
    nodes: &'a [Node<'a>],
    facts: Facts<'a>,
) -> Result<(String, Option<&'a str>), Wrong> {
    let mut evaluation = Evaluation::new(facts);
    evaluation.list(nodes, &Value::Root(facts))?;
    Ok((evaluation.out, evaluation.unclear))
}

pub(super) struct Evaluation<'a> {
    /// The innermost last. Without a value, it is not known.
    variables: Vec<(&'a str, Option<Value<'a>>)>,
    steps: usize,
    out: String,
    unclear: Option<&'a str>,
}

/// Where to go on after a list of nodes.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl<'a> Evaluation<'a> {
    pub fn new(facts: Facts<'a>) -> Evaluation<'a> {
        let variables = [
            ("", Value::Root(facts)),
            ("labels", Value::Labels(facts.labels)),
            ("externalLabels", Value::external_labels()),
            ("externalURL", Value::external_url()),
            ("value", Value::Number(facts.value)),
        ];
        let variables = variables.map(|(name, value)| (name, Some(value))).into();
        Evaluation { variables, steps: 0, out: String::new(), unclear: None }
    }

    /// A tree with one variable more.
    #[cfg(test)]
    pub fn with(
        mut self,
        name: &'a str,
        value: Value<'a>,
        nodes: &'a [Node<'a>],
        dot: &Value<'a>,
    ) -> Result<(String, Option<&'a str>), Wrong> {
        self.variables.push((name, Some(value)));
        self.list(nodes, dot)?;
        Ok((self.out, self.unclear))
    }

    fn spend(&mut self, steps: usize) -> Result<(), Wrong> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MOST_STEPS { Err(Wrong::TooMuch) } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> Result<(), Wrong> {
        self.spend(1 + text.len() / 16)?;
        print::push(&mut self.out, text)
    }

    fn list(&mut self, nodes: &'a [Node<'a>], dot: &Value<'a>) -> Result<Flow, Wrong> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => self.write(text).map(|()| Flow::Next)?,
                Node::Action { source, pipeline } => self.action(source, pipeline, dot)?,
                Node::Block(block) => self.block(block, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
                Node::Left { source, block } => {
                    self.write(source)?;
                    self.forget(source, *block)?;
                    Flow::Next
                }
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Prints what a pipeline comes to, unless that goes to a variable.
    fn action(
        &mut self,
        source: &'a str,
        pipeline: &'a Pipeline<'a>,
        dot: &Value<'a>,
    ) -> Result<Flow, Wrong> {
        let said = self.bound(pipeline, dot).and_then(|value| match pipeline.names.is_empty() {
            true => print::text(&value),
            false => Ok(Rc::from("")),
        });
        match said {
            Ok(said) => self.write(&said)?,
            Err(wrong) => self.leave(wrong, source, source, false)?,
        }
        Ok(Flow::Next)
    }

    /// Writes an action or a block as it is written.
    fn leave(
        &mut self,
        wrong: Wrong,
        source: &'a str,
        head: &'a str,
        block: bool,
    ) -> Result<(), Wrong> {
        match wrong {
            Wrong::TooMuch => return Err(wrong),
            Wrong::Unclear => self.unclear = self.unclear.or(Some(head)),
            Wrong::Missing => {}
        }
        self.write(source)?;
        self.forget(source, block)
    }

    /// What a part that was left out would have set is not known from here on. What a block
    /// declares is not seen behind it.
    fn forget(&mut self, source: &'a str, block: bool) -> Result<(), Wrong> {
        for part in source.split('$').skip(1) {
            self.spend(1)?;
            let end = part.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(part.len());
            let Some((name, behind)) = part.split_at_checked(end) else { continue };
            let behind = behind.trim_start();
            // In a range, a name may be set that is before a comma.
            if behind.starts_with(":=") && !block {
                self.variables.push((name, None));
            } else if behind.starts_with(['=', ',']) {
                self.assign(name, None);
            }
        }
        Ok(())
    }

    fn assign(&mut self, name: &str, value: Option<Value<'a>>) -> bool {
        let known = self.variables.iter_mut().rev().find(|(known, _)| *known == name);
        let found = known.is_some();
        if let Some((_, known)) = known {
            *known = value;
        }
        found
    }

    fn block(&mut self, block: &'a Block<'a>, dot: &Value<'a>) -> Result<Flow, Wrong> {
        let outside = self.variables.len();
        let flow = match self.chosen(block, dot) {
            Ok((body, Some(value))) if block.kind == BlockKind::Range => {
                self.range(block, body, &value)
            }
            Ok((body, Some(value))) => self.list(body, &value),
            Ok((body, None)) => self.list(body, dot),
            Err(wrong) => {
                self.variables.truncate(outside);
                self.leave(wrong, block.source, block.head, true)?;
                Ok(Flow::Next)
            }
        };
        self.variables.truncate(outside);
        flow
    }

    /// The branch to take, and what it makes of `.`.
    fn chosen(
        &mut self,
        block: &'a Block<'a>,
        dot: &Value<'a>,
    ) -> Result<(&'a [Node<'a>], Option<Value<'a>>), Wrong> {
        for (condition, body) in &block.branches {
            let value = self.bound(condition, dot)?;
            if block.kind == BlockKind::Range
                && !matches!(value, Value::Labels(_) | Value::Results(_))
            {
                return Err(Wrong::Unclear);
            }
            if value.is_true() {
                return Ok((body, (block.kind != BlockKind::If).then_some(value)));
            }
        }
        Ok((&block.otherwise, None))
    }

    /// Labels in the order of their names, or results in their own.
    fn range(
        &mut self,
        block: &'a Block<'a>,
        body: &'a [Node<'a>],
        over: &Value<'a>,
    ) -> Result<Flow, Wrong> {
        let items: Vec<(Value, Value)> = match over {
            Value::Labels(labels) => labels
                .iter()
                .map(|(name, value)| (Value::of(name.as_str()), Value::of(value.as_str())))
                .collect(),
            Value::Results(results) => results
                .iter()
                .enumerate()
                .map(|(at, sample)| (Value::Integer(at as i64), Value::Sample(*sample)))
                .collect(),
            _ => Vec::new(),
        };
        let names = block.branches.first().map_or(&[][..], |(head, _)| &head.names);
        let inside = self.variables.len();
        for (key, item) in items {
            self.spend(1)?;
            // With one name it is the item's; with two the key comes first.
            let (first, second) = match names {
                [first, second] => (Some((*first, key)), Some((*second, item.clone()))),
                [only] => (Some((*only, item.clone())), None),
                _ => (None, None),
            };
            for (name, value) in [first, second].into_iter().flatten() {
                self.assign(name, Some(value));
            }
            let flow = self.list(body, &item)?;
            self.variables.truncate(inside);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// What a pipeline comes to, which its variables hold from here on.
    fn bound(&mut self, pipeline: &'a Pipeline<'a>, dot: &Value<'a>) -> Result<Value<'a>, Wrong> {
        let value = self.pipeline(pipeline, dot)?;
        for name in &pipeline.names {
            if !pipeline.assigns {
                self.variables.push((name, Some(value.clone())));
            } else if !self.assign(name, Some(value.clone())) {
                return Err(Wrong::Unclear);
            }
        }
        Ok(value)
    }

    fn pipeline(
        &mut self,
        pipeline: &'a Pipeline<'a>,
        dot: &Value<'a>,
    ) -> Result<Value<'a>, Wrong> {
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(match command {
                Command::Operand(operand) => self.operand(operand, dot)?,
                Command::Call { function, arguments } => {
                    self.call(function, arguments, piped, dot)?
                }
            });
        }
        piped.ok_or(Wrong::Unclear)
    }

    fn call(
        &mut self,
        function: &str,
        arguments: &'a [Operand<'a>],
        piped: Option<Value<'a>>,
        dot: &Value<'a>,
    ) -> Result<Value<'a>, Wrong> {
        let mut values = Vec::new();
        for argument in arguments {
            let value = self.operand(argument, dot)?;
            // These two do not look at what is behind the value that decides.
            let decides = match function {
                "and" => !value.is_true(),
                "or" => value.is_true(),
                _ => false,
            };
            if decides {
                return Ok(value);
            }
            values.push(value);
        }
        values.extend(piped);
        self.spend(function::cost(function, &values))?;
        let value = function::call(function, &values)?;
        if let Value::Text(text) = &value {
            self.spend(text.len() / 16)?;
        }
        Ok(value)
    }

    fn operand(&mut self, operand: &'a Operand<'a>, dot: &Value<'a>) -> Result<Value<'a>, Wrong> {
        self.spend(1)?;
        let mut value = match &operand.base {
            Base::Constant(value) => value.clone(),
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.and_then(|(_, value)| value.clone()).ok_or(Wrong::Unclear)?
            }
            Base::Function(name) => self.call(name, &[], None, dot)?,
            Base::Inner(pipeline) => self.bound(pipeline, dot)?,
        };
        for field in &operand.fields {
            value = value.field(field)?;
        }
        Ok(value)
    }
}

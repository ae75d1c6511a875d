//! From the pieces of a text to its tree. Not what is in one action, which is `pipeline.rs`.
//!
//! The rules are those of <https://pkg.go.dev/text/template#hdr-Actions>. Go refuses a text of
//! which it does not understand a part; here that part stays as it is written.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::piece::{BLANK, Kind, Piece, pieces};
use super::pipeline::{Pipeline, pipeline};
use super::{DEEPEST, Wrong};

#[derive(Debug)]
pub(super) enum Node<'a> {
    Text(&'a str),
    Action {
        source: &'a str,
        pipeline: Pipeline<'a>,
    },
    Block(Block<'a>),
    Break,
    Continue,
    /// What is not understood: an action, or a block up to its end.
    Left {
        source: &'a str,
        block: bool,
    },
}

#[derive(Debug)]
pub(super) struct Block<'a> {
    pub kind: BlockKind,
    pub source: &'a str,
    /// Its first action alone.
    pub head: &'a str,
    /// The head and each `else if`, or `else with`, with what follows.
    pub branches: Vec<(Pipeline<'a>, Vec<Node<'a>>)>,
    pub otherwise: Vec<Node<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BlockKind {
    If,
    With,
    Range,
    /// `define` and `block`, which are not understood but have an end.
    Named,
}

/// The tree of a text, and the first action in it that is not understood.
pub(super) fn parse(text: &str) -> Result<(Vec<Node<'_>>, Option<&str>), Wrong> {
    let pieces = pieces(text).into_iter().peekable();
    let mut parser = Parser { text, pieces, ranges: 0, unclear: None };
    let mut nodes = Vec::new();
    loop {
        let (mut read, stop) = parser.list(0)?;
        nodes.append(&mut read);
        let Some(stop) = stop else { return Ok((nodes, parser.unclear)) };
        // An end, or an else, of nothing.
        nodes.push(parser.left(stop.start, stop.end));
    }
}

/// An `end` or an `else`.
struct Stop<'a> {
    start: usize,
    end: usize,
    /// What follows `else`; nothing for `end`.
    or_else: Option<&'a str>,
}

struct Parser<'a> {
    text: &'a str,
    pieces: Peekable<IntoIter<Piece<'a>>>,
    /// How many ranges are around.
    ranges: usize,
    unclear: Option<&'a str>,
}

impl<'a> Parser<'a> {
    fn source(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn left(&mut self, start: usize, end: usize) -> Node<'a> {
        let source = self.source(start, end);
        self.unclear.get_or_insert(source);
        Node::Left { source, block: false }
    }

    /// The nodes up to an end or an else, or all that are there.
    fn list(&mut self, depth: usize) -> Result<(Vec<Node<'a>>, Option<Stop<'a>>), Wrong> {
        if depth > DEEPEST {
            return Err(Wrong::TooMuch);
        }
        let mut nodes = Vec::new();
        while let Some(Piece { kind, start, end }) = self.pieces.next() {
            let inside = match kind {
                Kind::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Kind::Unclosed => {
                    nodes.push(self.left(start, end));
                    continue;
                }
                Kind::Action(inside) => inside.trim_matches(BLANK),
            };
            let (word, rest) = first_word(inside);
            let head = (start, end);
            nodes.push(match word {
                "end" if rest.is_empty() => {
                    return Ok((nodes, Some(Stop { start, end, or_else: None })));
                }
                "else" => return Ok((nodes, Some(Stop { start, end, or_else: Some(rest) }))),
                "if" => self.block(BlockKind::If, head, rest, depth)?,
                "with" => self.block(BlockKind::With, head, rest, depth)?,
                "range" => self.block(BlockKind::Range, head, rest, depth)?,
                "define" | "block" => self.block(BlockKind::Named, head, rest, depth)?,
                "break" if rest.is_empty() && self.ranges > 0 => Node::Break,
                "continue" if rest.is_empty() && self.ranges > 0 => Node::Continue,
                _ => match pipeline(inside, false) {
                    Some(pipeline) => Node::Action { source: self.source(start, end), pipeline },
                    None => self.left(start, end),
                },
            });
        }
        Ok((nodes, None))
    }

    /// A block from behind its head to its end.
    fn block(
        &mut self,
        kind: BlockKind,
        head: (usize, usize),
        condition: &'a str,
        depth: usize,
    ) -> Result<Node<'a>, Wrong> {
        let (start, head) = (head.0, self.source(head.0, head.1));
        let mut condition = Some(self.condition(kind, condition, head));
        let mut known = true;
        let (mut branches, mut otherwise) = (Vec::new(), Vec::new());
        let end = loop {
            let in_range = usize::from(kind == BlockKind::Range && condition.is_some());
            self.ranges += in_range;
            let (body, stop) = self.list(depth + 1)?;
            self.ranges -= in_range;
            let last = condition.is_none();
            match condition.take() {
                Some(Some(condition)) => branches.push((condition, body)),
                Some(None) => known = false,
                None => otherwise = body,
            }
            let Some(stop) = stop else {
                known = false;
                break self.text.len();
            };
            let Some(rest) = stop.or_else else { break stop.end };
            known &= !last;
            let (word, behind) = first_word(rest);
            match (kind, word) {
                (_, "") if behind.is_empty() => {}
                (BlockKind::If, "if") | (BlockKind::With, "with") => {
                    condition = Some(self.condition(kind, behind, head));
                }
                _ => known = false,
            }
        };
        let source = self.source(start, end);
        if !known {
            self.unclear.get_or_insert(head);
            return Ok(Node::Left { source, block: true });
        }
        Ok(Node::Block(Block { kind, source, head, branches, otherwise }))
    }

    fn condition(
        &mut self,
        kind: BlockKind,
        condition: &'a str,
        head: &'a str,
    ) -> Option<Pipeline<'a>> {
        let read = pipeline(condition, kind == BlockKind::Range);
        let read = read.filter(|_| kind != BlockKind::Named);
        if read.is_none() {
            self.unclear.get_or_insert(head);
        }
        read
    }
}

/// Words like `if` end at a blank, and where `(` or `.` begins a value.
fn first_word(inside: &str) -> (&str, &str) {
    let end = inside.find(|c: char| BLANK.contains(&c) || matches!(c, '(' | '.'));
    let (word, rest) = inside.split_at_checked(end.unwrap_or(inside.len())).unwrap_or((inside, ""));
    (word, rest.trim_start_matches(BLANK))
}

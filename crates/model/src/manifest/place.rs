//! Where in a text a field stands: its YAML read once more, with nothing kept but keys and places.
//! It is only read where something is wrong.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A line and a column, both from 1.
pub(super) type Place = (usize, usize);

/// What stands at one place.
enum Node {
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Scalar,
}

/// The fields of a text.
pub(super) struct Fields(Option<Spanned<Node>>);

impl Fields {
    /// Those of a text; none, if it is not YAML.
    pub(super) fn of(text: &str, options: serde_saphyr::Options) -> Fields {
        Fields(serde_saphyr::from_str_with_options(text, options).ok())
    }

    /// Where a path leads, such as `spec.run.command[3]`; as far as it leads anywhere. A scalar is
    /// found where it begins, whatever has parts where its key does.
    pub(super) fn value(&self, path: &str) -> Place {
        self.follow(path, true)
    }

    /// The same, but of a scalar too it is the key that is found.
    pub(super) fn key(&self, path: &str) -> Place {
        self.follow(path, false)
    }

    fn follow(&self, path: &str, to_scalars: bool) -> Place {
        let Some(root) = &self.0 else { return (1, 1) };
        let (mut at, mut node, mut rest) = (root.referenced, &root.value, path);
        while let Some(step) = node.step(rest) {
            let ends = step.left.is_empty() && matches!(step.node, Node::Scalar);
            at = if ends && to_scalars { step.at } else { step.key };
            (node, rest) = (step.node, step.left);
        }
        place(at)
    }
}

/// One part of a path further.
struct Step<'n, 'p> {
    /// Where its key is; of an entry of a list, where that begins.
    key: Location,
    /// Where what it leads to begins.
    at: Location,
    node: &'n Node,
    /// What is left of the path.
    left: &'p str,
}

/// What is left of a path behind a key, if the path begins with that. A key may have dots itself:
/// of several that fit, the longest is meant.
pub(super) fn left<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let left = path.strip_prefix(key)?;
    (left.is_empty() || left.starts_with(['.', '['])).then_some(left)
}

impl Node {
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<Step<'n, 'p>> {
        let path = path.strip_prefix('.').unwrap_or(path);
        match self {
            Node::Map(entries) => {
                let fits =
                    entries.iter().filter_map(|entry| Some((entry, left(path, &entry.0.value)?)));
                let ((key, inner), left) = fits.min_by_key(|(_, left)| left.len())?;
                let (key, at) = (key.referenced, inner.referenced);
                Some(Step { key, at, node: &inner.value, left })
            }
            Node::List(entries) => {
                let (index, left) = path.strip_prefix('[')?.split_once(']')?;
                let entry = entries.get(index.parse::<usize>().ok()?)?;
                let at = entry.referenced;
                Some(Step { key: at, at, node: &entry.value, left })
            }
            Node::Scalar => None,
        }
    }
}

/// A place as people count; the beginning, where it is not known.
pub(super) fn place(location: Location) -> Place {
    (location.line().max(1) as usize, location.column().max(1) as usize)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Node, D::Error> {
        from.deserialize_any(Read)
    }
}

/// Reads a node of any form.
struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element()? {
            entries.push(entry);
        }
        Ok(Node::List(entries))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }
}

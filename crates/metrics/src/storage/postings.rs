//! Sorted lists of series, how matchers select among them, and the index of labels that the head
//! keeps in memory. Blocks have theirs on disk and select by the same rules.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::labels::{Matcher, Operator};
use crate::source::SourceError;

/// An index of labels.
pub trait Index {
    /// Every series, sorted.
    ///
    /// # Errors
    /// What could not be read.
    fn all(&self) -> Result<Vec<u32>, SourceError>;

    /// The series that have one value, sorted.
    ///
    /// # Errors
    /// What could not be read.
    fn equal(&self, name: &str, value: &str) -> Result<Vec<u32>, SourceError>;

    /// The series whose value is kept, sorted.
    ///
    /// # Errors
    /// What could not be read.
    fn kept(&self, name: &str, keep: &mut dyn FnMut(&str) -> bool)
    -> Result<Vec<u32>, SourceError>;
}

/// The series that match all matchers, sorted.
///
/// # Errors
/// What could not be read.
pub fn select(index: &impl Index, matchers: &[Matcher]) -> Result<Vec<u32>, SourceError> {
    let mut found: Option<Vec<u32>> = None;
    let exact = |m: &&Matcher| matches!(m.operator, Operator::Equal) && !m.matches_empty();
    for matcher in matchers.iter().filter(exact) {
        let these = index.equal(&matcher.name, &matcher.value)?;
        found = Some(match found {
            Some(found) => intersect(&found, &these),
            None => these,
        });
        if found.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
    }
    for matcher in matchers.iter().filter(|m| !exact(m) && !m.matches_empty()) {
        let these = index.kept(&matcher.name, &mut |value| matcher.matches(value))?;
        found = Some(match found {
            Some(found) => intersect(&found, &these),
            None => these,
        });
    }
    let mut found = match found {
        Some(found) => found,
        None => index.all()?,
    };
    for matcher in matchers.iter().filter(|m| m.matches_empty()) {
        if found.is_empty() {
            break;
        }
        let others = match matcher.operator {
            Operator::NotEqual => index.equal(&matcher.name, &matcher.value)?,
            _ => index.kept(&matcher.name, &mut |value| !matcher.matches(value))?,
        };
        found = subtract(&found, &others);
    }
    Ok(found)
}

/// What both have.
pub fn intersect(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    if long.len() > short.len() * 16 {
        return short.iter().filter(|i| long.binary_search(i).is_ok()).copied().collect();
    }
    let mut both = Vec::with_capacity(short.len());
    let mut rest = long.iter().peekable();
    for id in short {
        while rest.next_if(|other| *other < id).is_some() {}
        if rest.peek() == Some(&id) {
            both.push(*id);
        }
    }
    both
}

/// What `a` has and `b` has not.
pub fn subtract(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut rest = b.iter().peekable();
    let mut kept = Vec::with_capacity(a.len());
    for id in a {
        while rest.next_if(|other| *other < id).is_some() {}
        if rest.peek() != Some(&id) {
            kept.push(*id);
        }
    }
    kept
}

/// Lists of series that share none, as one sorted list.
pub fn union(mut lists: Vec<Vec<u32>>) -> Vec<u32> {
    if lists.len() == 1 {
        return lists.pop().unwrap_or_default();
    }
    let mut all = lists.concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// The labels of the series in memory.
#[derive(Default)]
pub struct HeadIndex {
    names: HashMap<Arc<str>, BTreeMap<Arc<str>, Vec<u32>>>,
    all: Vec<u32>,
}

impl HeadIndex {
    /// Adds a series; each label is given once.
    pub fn add<'a>(&mut self, id: u32, labels: impl Iterator<Item = (&'a str, &'a str)>) {
        for (name, value) in labels {
            let values = match self.names.get_mut(name) {
                Some(values) => values,
                None => self.names.entry(name.into()).or_default(),
            };
            match values.get_mut(value) {
                Some(ids) => insert(ids, id),
                None => {
                    values.insert(value.into(), vec![id]);
                }
            }
        }
        insert(&mut self.all, id);
    }

    /// Takes away series, which are sorted, and the labels only they had.
    pub fn remove<'a>(&mut self, gone: &[u32], labels: impl Iterator<Item = (&'a str, &'a str)>) {
        self.all = subtract(&self.all, gone);
        for (name, value) in labels {
            let Some(values) = self.names.get_mut(name) else { continue };
            if let Some(ids) = values.get_mut(value) {
                *ids = subtract(ids, gone);
                if ids.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Every name with its values and how many series have each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (&str, usize)>)> {
        self.names.iter().map(|(name, values)| {
            (name.as_ref(), values.iter().map(|(value, ids)| (value.as_ref(), ids.len())))
        })
    }

    /// The values of one name, sorted.
    pub fn values(&self, name: &str) -> impl Iterator<Item = (&str, &[u32])> {
        let values = self.names.get(name).into_iter().flatten();
        values.map(|(value, ids)| (value.as_ref(), ids.as_slice()))
    }
}

fn insert(ids: &mut Vec<u32>, id: u32) {
    match ids.last() {
        Some(last) if *last >= id => {
            if let Err(at) = ids.binary_search(&id) {
                ids.insert(at, id);
            }
        }
        _ => ids.push(id),
    }
}

impl Index for HeadIndex {
    fn all(&self) -> Result<Vec<u32>, SourceError> {
        Ok(self.all.clone())
    }

    fn equal(&self, name: &str, value: &str) -> Result<Vec<u32>, SourceError> {
        let ids = self.names.get(name).and_then(|values| values.get(value));
        Ok(ids.cloned().unwrap_or_default())
    }

    fn kept(
        &self,
        name: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Vec<u32>, SourceError> {
        let kept = self.values(name).filter(|(value, _)| keep(value));
        Ok(union(kept.map(|(_, ids)| ids.to_vec()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(index: &HeadIndex, matchers: &[Matcher]) -> Vec<u32> {
        select(index, matchers).unwrap()
    }

    #[test]
    fn matchers_select_as_prometheus_does() {
        let mut index = HeadIndex::default();
        let series = [
            (3, vec![("__name__", "up"), ("job", "a")]),
            (1, vec![("__name__", "up"), ("job", "b")]),
            (7, vec![("__name__", "up")]),
            (9, vec![("__name__", "down"), ("job", "a")]),
        ];
        for (id, labels) in &series {
            index.add(*id, labels.iter().copied());
        }
        let name = || Matcher::equal("__name__", "up");
        let regex = |value| Matcher::regex("job", value).unwrap();
        let not_regex = |value| Matcher::not_regex("job", value).unwrap();
        assert_eq!(found(&index, &[]), [1, 3, 7, 9]);
        assert_eq!(found(&index, &[name()]), [1, 3, 7]);
        assert_eq!(found(&index, &[name(), Matcher::equal("job", "")]), [7]);
        assert_eq!(found(&index, &[name(), Matcher::not_equal("job", "")]), [1, 3]);
        assert_eq!(found(&index, &[name(), Matcher::not_equal("job", "a")]), [1, 7]);
        assert_eq!(found(&index, &[regex("a|b")]), [1, 3, 9]);
        assert_eq!(found(&index, &[regex("a|")]), [3, 7, 9]);
        assert_eq!(found(&index, &[name(), not_regex("a")]), [1, 7]);
        assert_eq!(found(&index, &[not_regex("a|")]), [1]);
        assert_eq!(found(&index, &[regex(".*")]), [1, 3, 7, 9]);
        index.remove(&[1, 9], [("__name__", "up"), ("__name__", "down"), ("job", "b")].into_iter());
        assert_eq!(found(&index, &[]), [3, 7]);
        assert!(index.names["job"].len() == 1 && !index.names["__name__"].contains_key("down"));
    }
}

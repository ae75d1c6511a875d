//! Labels made of the key of a series, with texts that are shared. Not where they are kept.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::key;
use crate::labels::Labels;

/// Hashes keys and texts that nobody chose to harm us: they are in the store already.
#[derive(Default)]
pub struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = key::hash(self.0, bytes);
    }

    fn write_u8(&mut self, _end: u8) {}

    fn write_usize(&mut self, _length: usize) {}
}

/// See [`Quick`].
pub type Hashing = BuildHasherDefault<Quick>;

/// Texts that labels share.
#[derive(Default)]
pub struct Texts {
    all: HashSet<Arc<str>, Hashing>,
    /// The labels made last: keys often come sorted, so most of the next are the same.
    before: Labels,
}

impl Texts {
    /// The labels of a series.
    pub fn labels(&mut self, key: &[u8]) -> Labels {
        let all = &mut self.all;
        let mut shared = |text: &str| match all.get(text) {
            Some(shared) => Arc::clone(shared),
            None => {
                let shared: Arc<str> = text.into();
                all.insert(Arc::clone(&shared));
                shared
            }
        };
        let mut before = self.before.pairs().iter().map(Some).chain(std::iter::repeat(None));
        let labels = Labels::new(key::pairs(key).map(|(name, value)| {
            let (same, other) = match before.next().flatten() {
                Some((n, v)) => (Some(n), Some(v)),
                None => (None, None),
            };
            let mut text = |text: &str, before: Option<&Arc<str>>| match before {
                Some(before) if **before == *text => Arc::clone(before),
                _ => shared(text),
            };
            (text(name, same), text(value, other))
        }));
        self.before = labels.clone();
        labels
    }

    /// Forgets all; labels that were made stay as they are.
    pub fn clear(&mut self) {
        *self = Texts::default();
    }
}

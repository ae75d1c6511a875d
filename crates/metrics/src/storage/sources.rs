//! Who begins series, and how many each has: the limit of series per source rests on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::locked;

/// What one source uses.
#[derive(Debug)]
pub struct Usage {
    /// The source, as its owner names it.
    pub name: Box<str>,
    /// Tells it from others in the log of this process.
    pub id: u32,
    /// Series in memory that it began.
    pub series: AtomicUsize,
    /// Samples that were refused because of a limit.
    pub refused: AtomicU64,
}

/// All sources that have series in memory or were refused one.
#[derive(Default)]
pub struct Sources {
    named: Mutex<HashMap<Box<str>, Arc<Usage>>>,
    next: AtomicU32,
}

impl Sources {
    /// The source of a name.
    pub fn get(&self, name: &str) -> Arc<Usage> {
        let mut named = locked(&self.named);
        if let Some(usage) = named.get(name) {
            return Arc::clone(usage);
        }
        let usage = Arc::new(Usage {
            name: name.into(),
            id: self.next.fetch_add(1, Ordering::Relaxed),
            series: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        });
        named.insert(name.into(), Arc::clone(&usage));
        usage
    }

    /// Forgets those that have nothing and that nobody uses now.
    pub fn forget_idle(&self) {
        locked(&self.named).retain(|_, usage| {
            Arc::strong_count(usage) > 1
                || usage.series.load(Ordering::Relaxed) > 0
                || usage.refused.load(Ordering::Relaxed) > 0
        });
    }

    /// All of them, those with most series first.
    pub fn all(&self) -> Vec<Arc<Usage>> {
        let mut all: Vec<Arc<Usage>> = locked(&self.named).values().cloned().collect();
        all.sort_by(|a, b| {
            let series = |u: &Usage| u.series.load(Ordering::Relaxed);
            series(b).cmp(&series(a)).then_with(|| a.name.cmp(&b.name))
        });
        all
    }
}

//! All series in memory, in shards with a lock each, and the index of their labels. A series is
//! known by a number: its place in its shard and the shard.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::postings::HeadIndex;
use super::series::{Frozen, NONE, Series};
use super::sources::Usage;
use super::texts::Texts;
use super::{key, locked};
use crate::labels::Labels;

/// The labels of so many series are kept for the next who asks for them, until the next cut.
const LABELLED: usize = 50_000;

/// How many shards; a power of two.
pub const SHARDS: usize = 16;

/// Hashes a number that is a hash to itself.
#[derive(Default)]
pub struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Series that share a lock.
#[derive(Default)]
pub struct Shard {
    found: HashMap<u64, u32, BuildHasherDefault<Itself>>,
    slots: Vec<Option<Series>>,
    free: Vec<u32>,
    born: u32,
}

/// Where a series is: its slot, and which of those that had the slot it is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The slot in the shard.
    pub slot: u32,
    /// See [`Series::born`].
    pub born: u32,
}

impl Shard {
    /// Finds a series by its key.
    pub fn find(&mut self, hash: u64, key: &[u8]) -> Option<Place> {
        let mut slot = *self.found.get(&hash)?;
        while slot != NONE {
            let series = self.slots[slot as usize].as_mut()?;
            if *series.key == *key {
                return Some(Place { slot, born: series.born });
            }
            slot = series.next;
        }
        None
    }

    /// The series at a place, if it is still there.
    pub fn at(&mut self, place: Place) -> Option<&mut Series> {
        self.slots.get_mut(place.slot as usize)?.as_mut().filter(|s| s.born == place.born)
    }

    /// The series in a slot.
    pub fn slot(&self, slot: u32) -> Option<&Series> {
        self.slots.get(slot as usize)?.as_ref()
    }

    fn insert(&mut self, hash: u64, key: &[u8], source: Arc<Usage>) -> Place {
        self.born = self.born.wrapping_add(1);
        let mut series = Series::new(key, hash, self.born, source);
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        series.next = self.found.insert(hash, slot).unwrap_or(NONE);
        if slot as usize == self.slots.len() {
            self.slots.push(Some(series));
        } else {
            self.slots[slot as usize] = Some(series);
        }
        Place { slot, born: self.born }
    }

    fn remove(&mut self, slot: u32) -> Option<Series> {
        let series = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        let first = self.found.get_mut(&series.hash)?;
        if *first == slot {
            *first = series.next;
            if series.next == NONE {
                self.found.remove(&series.hash);
            }
            return Some(series);
        }
        let mut at = *first;
        while let Some(before) = self.slots.get_mut(at as usize).and_then(Option::as_mut) {
            if before.next == slot {
                before.next = series.next;
                break;
            }
            at = before.next;
        }
        Some(series)
    }
}

/// A series that a cut writes to blocks.
pub struct Leaving {
    /// See `key.rs`.
    pub key: Arc<[u8]>,
    /// Its samples.
    pub samples: Frozen,
}

/// What stays in memory of what a cut has written: what rules and dashboards ask for.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Samples from this time on, and of each series the newest one before.
    pub since: i64,
    /// Series that have had a sample from this time on.
    pub known: i64,
    /// Bytes of samples at most.
    pub bytes: usize,
}

/// Everything in memory.
pub struct Head {
    seed: u64,
    shards: [Mutex<Shard>; SHARDS],
    index: RwLock<HeadIndex>,
    bytes: AtomicUsize,
    samples: AtomicU64,
    series: AtomicUsize,
    newest: AtomicI64,
    oldest: AtomicI64,
    removals: AtomicU32,
    /// What the kept labels share.
    texts: Mutex<Texts>,
    labelled: AtomicUsize,
    warm_from: AtomicI64,
    known_from: AtomicI64,
    /// What is before this time has left the memory.
    cold_until: AtomicI64,
}

impl Head {
    /// With nothing in it.
    pub fn new() -> Head {
        Head {
            seed: RandomState::new().hash_one(0),
            shards: std::array::from_fn(|_| Mutex::default()),
            index: RwLock::default(),
            bytes: AtomicUsize::new(0),
            samples: AtomicU64::new(0),
            series: AtomicUsize::new(0),
            newest: AtomicI64::new(i64::MIN),
            oldest: AtomicI64::new(i64::MAX),
            removals: AtomicU32::new(0),
            texts: Mutex::default(),
            labelled: AtomicUsize::new(0),
            warm_from: AtomicI64::new(i64::MIN),
            known_from: AtomicI64::new(i64::MIN),
            cold_until: AtomicI64::new(i64::MIN),
        }
    }

    /// Says that blocks have samples before a time that are not in memory, and before another time
    /// series of which nothing is.
    pub fn cold_until(&self, time: i64, unknown: i64) {
        self.cold_until.fetch_max(time, Ordering::Relaxed);
        self.warm_from.fetch_max(time, Ordering::Release);
        self.known_from.fetch_max(unknown, Ordering::Release);
    }

    /// The hash of a key, and its shard.
    pub fn hash(&self, key: &[u8]) -> (u64, usize) {
        let hash = key::hash(self.seed, key);
        (hash, (hash >> 32) as usize % SHARDS)
    }

    /// The number of a series in all shards.
    pub fn id(shard: usize, slot: u32) -> u32 {
        slot * SHARDS as u32 + shard as u32
    }

    /// The slot of the series of a number, in the shard that is the rest.
    pub fn slot(id: u32) -> u32 {
        id / SHARDS as u32
    }

    /// Changes whenever series leave the head, whose numbers others may have then.
    pub fn removals(&self) -> u32 {
        self.removals.load(Ordering::Acquire)
    }

    /// Locks a shard.
    pub fn shard(&self, shard: usize) -> MutexGuard<'_, Shard> {
        locked(&self.shards[shard])
    }

    /// Adds a series that [`Shard::find`] did not find under the same lock.
    pub fn create(
        &self,
        (index, shard): (usize, &mut Shard),
        hash: u64,
        key: &[u8],
        source: Arc<Usage>,
    ) -> Place {
        source.series.fetch_add(1, Ordering::Relaxed);
        self.series.fetch_add(1, Ordering::Relaxed);
        let place = shard.insert(hash, key, source);
        let mut labels = self.index.write().unwrap_or_else(PoisonError::into_inner);
        labels.add(Head::id(index, place.slot), key::pairs(key));
        place
    }

    /// Gives a series to a source that sends more of it.
    pub fn adopt(&self, series: &mut Series, source: &Arc<Usage>) {
        series.source.series.fetch_sub(1, Ordering::Relaxed);
        source.series.fetch_add(1, Ordering::Relaxed);
        series.source = Arc::clone(source);
    }

    /// The index of labels.
    pub fn index(&self) -> RwLockReadGuard<'_, HeadIndex> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts samples that were appended.
    pub fn count(&self, samples: u64, bytes: usize, oldest: i64, newest: i64) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.oldest.fetch_min(oldest, Ordering::Relaxed);
        self.newest.fetch_max(newest, Ordering::Relaxed);
    }

    /// Notes the time of a sample that is in a block.
    pub fn see(&self, newest: i64) {
        self.newest.fetch_max(newest, Ordering::Relaxed);
    }

    /// The newest sample of the store; `i64::MIN` if it has none.
    pub fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// The oldest sample that came since the last cut; `i64::MAX` if none came.
    pub fn oldest(&self) -> i64 {
        self.oldest.load(Ordering::Relaxed)
    }

    /// Samples in memory.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// The labels of a series, made for the first who asks: rules ask for the same ones again and
    /// again. None, where too many are kept already.
    pub fn labels(&self, series: &Series) -> Option<Labels> {
        if series.labels.get().is_none() && self.labelled.load(Ordering::Relaxed) >= LABELLED {
            return None;
        }
        let labels = series.labels.get_or_init(|| {
            self.labelled.fetch_add(1, Ordering::Relaxed);
            locked(&self.texts).labels(&series.key)
        });
        Some(labels.clone())
    }

    /// **Invariant:** every sample that is not before this time is in memory, as far as a look at
    /// the head before this was asked has seen.
    pub fn warm_from(&self) -> i64 {
        self.warm_from.load(Ordering::Acquire)
    }

    /// **Invariant:** of each series the newest sample at any time from `warm_from` on is in
    /// memory, if it is not before this one. Of what had been looked at, as there.
    pub fn known_from(&self) -> i64 {
        self.known_from.load(Ordering::Acquire)
    }

    /// Bytes those take.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Series in memory.
    pub fn series(&self) -> usize {
        self.series.load(Ordering::Relaxed)
    }

    /// Sets all samples aside and gives them, sorted by key.
    pub fn freeze(&self) -> Vec<Leaving> {
        self.oldest.store(i64::MAX, Ordering::Relaxed);
        let mut leaving = Vec::with_capacity(self.series());
        for shard in &self.shards {
            for series in locked(shard).slots.iter_mut().flatten() {
                if let Some(samples) = series.freeze() {
                    leaving.push(Leaving { key: Arc::clone(&series.key), samples });
                }
            }
        }
        leaving.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        leaving
    }

    /// Lets go of what was set aside and of series, but for what is to stay; of samples none, where
    /// they are too many. Nobody commits meanwhile: `gate` is called before each shard.
    pub fn thaw<G>(&self, keep: Keep, gate: impl Fn() -> G) {
        let (mut bytes, mut kept) = (0, 0);
        let cold = self.cold_until.load(Ordering::Relaxed);
        let mut since = Some(keep.since.max(cold));
        // Before anything goes: see `warm_from`.
        self.warm_from.fetch_max(keep.since.max(cold), Ordering::Release);
        self.known_from.fetch_max(keep.known, Ordering::Release);
        for (number, shard) in self.shards.iter().enumerate() {
            let _gate = gate();
            let mut shard = locked(shard);
            let mut gone = Vec::new();
            for (slot, series) in shard.slots.iter_mut().enumerate() {
                let Some(series) = series else { continue };
                series.labels.take();
                let (samples, stays) = series.thaw(since, keep.known);
                kept += stays;
                if kept > keep.bytes && since.take().is_some() {
                    let next = self.newest().saturating_add(1);
                    self.cold_until(next, next);
                }
                self.samples.fetch_sub(samples as u64, Ordering::Relaxed);
                let idle = series.last.is_none_or(|last| last.at < keep.known);
                if idle && series.is_empty() && series.pins == 0 {
                    gone.push(slot as u32);
                } else {
                    bytes += series.memory();
                }
            }
            if !gone.is_empty() {
                self.remove(number, &mut shard, &gone);
            }
        }
        locked(&self.texts).clear();
        self.labelled.store(0, Ordering::Relaxed);
        // What was appended to shards that had their turn is missed; the next cut counts anew.
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn remove(&self, number: usize, shard: &mut Shard, slots: &[u32]) {
        self.removals.fetch_add(1, Ordering::Release);
        let removed: Vec<Series> = slots.iter().filter_map(|s| shard.remove(*s)).collect();
        for series in &removed {
            series.source.series.fetch_sub(1, Ordering::Relaxed);
        }
        self.series.fetch_sub(removed.len(), Ordering::Relaxed);
        let ids: Vec<u32> = slots.iter().map(|s| Head::id(number, *s)).collect();
        let mut labels: Vec<(&str, &str)> =
            removed.iter().flat_map(|series| key::pairs(&series.key)).collect();
        labels.sort_unstable();
        labels.dedup();
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.remove(&ids, labels.into_iter());
    }
}

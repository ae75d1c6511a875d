//! One series of the head: its key, the chunk that takes samples, chunks that are closed, samples
//! that came late, what a cut is writing to a block just now, and the newest of what is in one.

use std::cell::OnceCell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::compact::put_in_order;
use super::sources::Usage;
use super::stream::{Chunk, Open};
use crate::labels::Labels;
use crate::sample::Sample;

/// No series.
pub const NONE: u32 = u32::MAX;

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is stored and took so many bytes of memory.
    Accepted(usize),
    /// It was there.
    Duplicate,
    /// Another value has its time.
    Conflicting,
}

/// A series in memory.
pub struct Series {
    /// See `key.rs`.
    pub key: Arc<[u8]>,
    /// The hash of the key.
    pub hash: u64,
    /// The next series of the same hash.
    pub next: u32,
    /// Tells it from a series that had its place before.
    pub born: u32,
    /// The file of the log that has its key.
    pub segment: u32,
    /// The last record that was written with its key.
    pub record: u32,
    /// Samples on their way to it, with which it may not leave the head.
    pub pins: u32,
    /// Who began it.
    pub source: Arc<Usage>,
    /// The newest sample it has had, which may be in a block by now.
    pub last: Option<Sample>,
    /// Its labels, once somebody has asked for them; see `Head::labels`.
    pub labels: OnceCell<Labels>,
    open: Open,
    /// Whether some sample of the parts may be younger than the first of the open chunk.
    mixed: bool,
    parts: Option<Box<Parts>>,
}

/// What few series have at a time.
#[derive(Default)]
struct Parts {
    closed: Vec<Arc<Chunk>>,
    late: Vec<Sample>,
    frozen: Frozen,
    /// The newest of what blocks have: whoever asks for the last minutes need not read those.
    warm: Frozen,
}

impl Parts {
    /// Whether all chunks are before the first sample of the open one, and no sample came late.
    fn are_before(&self, open: &Open) -> bool {
        let open = open.first().unwrap_or(i64::MAX);
        let warm = self.warm.chunks.last().is_none_or(|chunk| chunk.last < open);
        warm && self.late.is_empty() && self.frozen.late.is_empty() && self.warm.late.is_empty()
    }
}

/// What a cut writes to blocks. Queries read it until the blocks are there.
#[derive(Clone, Default)]
pub struct Frozen {
    /// In the order of time.
    pub chunks: Vec<Arc<Chunk>>,
    /// Sorted, between the samples of the chunks.
    pub late: Vec<Sample>,
}

impl Frozen {
    /// Of samples in the order of time.
    fn of(samples: &[Sample]) -> Frozen {
        let (mut open, mut chunks) = (Open::default(), Vec::new());
        for sample in samples {
            open.push(*sample);
            if open.is_full() {
                chunks.extend(open.close().map(Arc::new));
            }
        }
        chunks.extend(open.take().map(Arc::new));
        chunks.shrink_to_fit();
        Frozen { chunks, late: Vec::new() }
    }

    /// Adds samples and drops those before a time, but for the newest of these. Of two of one time
    /// its own stays. What is left is packed anew: of the first chunk little may be.
    fn add_since(&mut self, since: i64, more: impl FnOnce(&mut Vec<Sample>)) {
        let mut all = Vec::new();
        self.read(&(i64::MIN..=i64::MAX), &mut all);
        more(&mut all);
        put_in_order(&mut all);
        let first = all.partition_point(|sample| sample.at < since).saturating_sub(1);
        *self = Frozen::of(&all[first..]);
    }

    fn memory(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.memory()).sum();
        chunks + self.late.capacity() * size_of::<Sample>()
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.late.is_empty()
    }

    /// How many samples.
    pub fn samples(&self) -> usize {
        self.late.len() + self.chunks.iter().map(|c| usize::from(c.count)).sum::<usize>()
    }

    /// Appends the samples in the range, in the order of time, no time twice.
    pub fn read(&self, range: &RangeInclusive<i64>, into: &mut Vec<Sample>) {
        let start = into.len();
        read_chunks(&self.chunks, range, into);
        let chunks = into.len();
        let low = self.late.partition_point(|s| s.at < *range.start());
        let high = self.late.partition_point(|s| s.at <= *range.end()).max(low);
        into.extend_from_slice(&self.late[low..high]);
        if into.len() > chunks {
            into[start..].sort_by_key(|s| s.at);
        }
    }
}

impl Series {
    /// A series without samples.
    pub fn new(key: &[u8], hash: u64, born: u32, source: Arc<Usage>) -> Series {
        Series {
            key: key.into(),
            hash,
            next: NONE,
            born,
            segment: 0,
            record: 0,
            pins: 0,
            source,
            last: None,
            labels: OnceCell::new(),
            open: Open::default(),
            mixed: false,
            parts: None,
        }
    }

    /// Adds a sample.
    pub fn append(&mut self, sample: Sample) -> Fate {
        match self.last {
            Some(last) if sample.at <= last.at => self.append_late(sample, last),
            _ => {
                let mut bytes = self.open.push(sample);
                self.last = Some(sample);
                if self.open.is_full()
                    && let Some(chunk) = self.open.close()
                {
                    bytes += chunk.memory();
                    self.parts.get_or_insert_default().closed.push(Arc::new(chunk));
                }
                Fate::Accepted(bytes)
            }
        }
    }

    fn append_late(&mut self, sample: Sample, last: Sample) -> Fate {
        let taken = if sample.at == last.at {
            Some(last.value)
        } else {
            self.open.value_at(sample.at).or_else(|| {
                let parts = self.parts.as_deref()?;
                value_at(&parts.closed, &parts.late, sample.at)
                    .or_else(|| value_at(&parts.frozen.chunks, &parts.frozen.late, sample.at))
                    .or_else(|| value_at(&parts.warm.chunks, &parts.warm.late, sample.at))
            })
        };
        if let Some(value) = taken {
            let same = value.to_bits() == sample.value.to_bits();
            return if same { Fate::Duplicate } else { Fate::Conflicting };
        }
        self.mixed = true;
        let late = &mut self.parts.get_or_insert_default().late;
        let at = late.partition_point(|s| s.at < sample.at);
        late.insert(at, sample);
        Fate::Accepted(size_of::<Sample>())
    }

    /// Whether it has samples that no block has.
    pub fn is_empty(&self) -> bool {
        let empty = |p: &Parts| p.closed.is_empty() && p.late.is_empty() && p.frozen.is_empty();
        self.open.count() == 0 && self.parts.as_deref().is_none_or(empty)
    }

    /// Bytes of memory its samples take.
    pub fn memory(&self) -> usize {
        let parts = self.parts.as_deref().map_or(0, |p| {
            let closed: usize = p.closed.iter().map(|c| c.memory()).sum();
            let late = p.late.capacity() * size_of::<Sample>();
            closed + late + p.frozen.memory() + p.warm.memory() + size_of::<Parts>()
        });
        self.open.memory() + parts
    }

    /// Sets all samples aside for a cut and gives them; with what an earlier cut could not write.
    pub fn freeze(&mut self) -> Option<Frozen> {
        if self.is_empty() {
            return None;
        }
        let parts = self.parts.get_or_insert_default();
        parts.frozen.chunks.append(&mut parts.closed);
        parts.frozen.chunks.extend(self.open.take().map(Arc::new));
        if parts.frozen.late.is_empty() {
            parts.frozen.late = std::mem::take(&mut parts.late);
        } else {
            parts.frozen.late.append(&mut parts.late);
            parts.frozen.late.sort_by_key(|s| s.at);
        }
        Some(parts.frozen.clone())
    }

    /// Takes of the samples of a block what a cut would keep, and gives the bytes of memory that
    /// took. Those of a block that was read before count.
    pub fn warm_up(&mut self, samples: Vec<Sample>, since: i64) -> usize {
        let newest = samples.iter().chain(&self.last).copied().max_by_key(|sample| sample.at);
        self.last = newest;
        let parts = self.parts.get_or_insert_default();
        let before = parts.warm.memory();
        parts.warm.add_since(since, |all| all.extend(samples));
        self.mixed = !parts.are_before(&self.open);
        parts.warm.memory().saturating_sub(before)
    }

    /// Lets go of what a cut has written, but for what is not before `since`, if that is given, and
    /// the newest sample between `known` and that; gives how many samples that were and the bytes
    /// of those kept.
    pub fn thaw(&mut self, since: Option<i64>, known: i64) -> (usize, usize) {
        let Some(parts) = &mut self.parts else { return (0, 0) };
        let frozen = std::mem::take(&mut parts.frozen);
        let samples = frozen.samples();
        match since {
            Some(since) => {
                let range = known..=i64::MAX;
                parts.warm.add_since(since, |all| frozen.read(&range, all));
            }
            None => parts.warm = Frozen::default(),
        }
        let warm = parts.warm.memory();
        self.mixed = !parts.are_before(&self.open);
        if parts.closed.is_empty() && parts.late.is_empty() && parts.warm.is_empty() {
            self.parts = None;
        }
        (samples, warm)
    }

    /// Appends what it has in the range, in the order of time.
    pub fn read(&self, range: &RangeInclusive<i64>, into: &mut Vec<Sample>) {
        let start = into.len();
        // Most often the open chunk has all of the last minutes, and the parts are not touched.
        let before = self.open.first().is_some_and(|first| first <= *range.start()) && !self.mixed;
        let parts = self.parts.as_deref().filter(|_| !before);
        if let Some(parts) = parts {
            parts.warm.read(range, into);
            parts.frozen.read(range, into);
            read_chunks(&parts.closed, range, into);
        }
        if self.open.overlaps(range) {
            self.open.read(range, into);
        }
        if let Some(parts) = parts {
            into.extend(parts.late.iter().filter(|sample| range.contains(&sample.at)));
        }
        if !into[start..].is_sorted_by(|a, b| a.at < b.at) {
            let mut own = into.split_off(start);
            put_in_order(&mut own);
            into.append(&mut own);
        }
    }

    /// The newest sample in the range, as far as memory has it.
    pub fn newest(&self, range: RangeInclusive<i64>) -> Option<Sample> {
        let last = self.last?;
        if last.at <= *range.end() {
            return Some(last).filter(|last| range.contains(&last.at));
        }
        let mut found = Vec::new();
        self.read(&range, &mut found);
        found.pop()
    }

    /// A copy of what it has in the range, or none.
    pub fn view(&self, range: &RangeInclusive<i64>) -> Option<View> {
        let last = self.last?;
        let chosen = |chunks: &[Arc<Chunk>]| -> Vec<Arc<Chunk>> {
            chunks.iter().filter(|c| c.overlaps(range)).cloned().collect()
        };
        let none = Frozen::default;
        let mut view = View { last, warm: none(), first: none(), then: none() };
        if let Some(parts) = self.parts.as_deref() {
            view.warm.chunks = chosen(&parts.warm.chunks);
            view.warm.late.clone_from(&parts.warm.late);
            view.first.chunks = chosen(&parts.frozen.chunks);
            view.first.late.clone_from(&parts.frozen.late);
            view.then.chunks = chosen(&parts.closed);
            view.then.late.clone_from(&parts.late);
        }
        if self.open.overlaps(range) {
            view.then.chunks.extend(self.open.copy().map(Arc::new));
        }
        let parts = [&view.warm, &view.first, &view.then];
        let nothing = parts.into_iter().all(Frozen::is_empty) && !range.contains(&last.at);
        (!nothing).then_some(view)
    }
}

/// What a series of the head had when a query came.
pub struct View {
    /// The newest sample, which may be in a block.
    pub last: Sample,
    /// What is in blocks too.
    pub warm: Frozen,
    /// What was being written to blocks.
    pub first: Frozen,
    /// What came after.
    pub then: Frozen,
}

/// Appends the samples in the range of chunks that are in the order of time. The newest come first
/// to hand: what is asked for is most often the last minutes, and others are not touched.
fn read_chunks(chunks: &[Arc<Chunk>], range: &RangeInclusive<i64>, into: &mut Vec<Sample>) {
    let ended = chunks.iter().rposition(|chunk| chunk.last < *range.start());
    let chunks = &chunks[ended.map_or(0, |at| at + 1)..];
    let begun = chunks.iter().take_while(|chunk| chunk.first <= *range.end());
    begun.for_each(|chunk| chunk.read(range, into));
}

fn value_at(chunks: &[Arc<Chunk>], late: &[Sample], at: i64) -> Option<f64> {
    let range = at..=at;
    let end = chunks.partition_point(|c| c.last < at);
    let mut found = Vec::new();
    chunks[end..]
        .iter()
        .take_while(|c| c.overlaps(&range))
        .for_each(|c| c.read(&range, &mut found));
    if let Some(sample) = found.first() {
        return Some(sample.value);
    }
    late.binary_search_by_key(&at, |s| s.at).ok().map(|i| late[i].value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;

    use proptest::prelude::*;

    use super::super::sources::Sources;
    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        /// A sample so far from the newest.
        Append(i64),
        Freeze,
        Thaw,
        WarmUp(i64),
        Read(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (1..20_i64).prop_map(Step::Append),
            2 => (-300..0_i64).prop_map(Step::Append),
            1 => Just(Step::Freeze),
            1 => Just(Step::Thaw),
            1 => (-200..50_i64).prop_map(Step::WarmUp),
            6 => (-400..10_i64).prop_map(Step::Read),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// All is kept, so that whatever happened what is read is what was appended.
        #[test]
        fn a_series_gives_what_it_was_given(steps in prop::collection::vec(step(), 1..400)) {
            let mut series = Series::new(b"k", 0, 0, Sources::default().get("test"));
            let (mut model, mut newest) = (BTreeMap::new(), 1_000_i64);
            for (number, step) in steps.into_iter().enumerate() {
                let value = number as f64;
                match step {
                    Step::Append(by) => {
                        let at = newest + by;
                        series.append(Sample { at, value });
                        model.entry(at).or_insert(value);
                        newest = newest.max(at);
                    }
                    Step::Freeze => drop(series.freeze()),
                    Step::Thaw => drop(series.thaw(Some(i64::MIN), i64::MIN)),
                    Step::WarmUp(by) => {
                        let at = newest + by;
                        if let Entry::Vacant(entry) = model.entry(at) {
                            series.warm_up(vec![Sample { at, value }], i64::MIN);
                            entry.insert(value);
                            newest = newest.max(at);
                        }
                    }
                    Step::Read(by) => {
                        let from = newest + by;
                        let mut found = Vec::new();
                        series.read(&(from..=i64::MAX), &mut found);
                        let wanted = model.range(from..);
                        let wanted: Vec<Sample> =
                            wanted.map(|(at, value)| Sample { at: *at, value: *value }).collect();
                        prop_assert_eq!(found, wanted);
                    }
                }
            }
        }
    }
}

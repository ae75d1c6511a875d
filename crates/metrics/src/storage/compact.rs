//! Cutting the head into blocks, and making of blocks larger, thinner or none. Whoever does it
//! holds the lock that is an argument here; appends and queries go on meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::vec;

use super::block::write::Writer;
use super::block::{Block, ChunkRef, Entry, Meta, Reading};
use super::downsample::{self, Aging};
use super::head::Leaving;
use super::{Doing, Maintained, Storage, StorageError};
use crate::sample::Sample;
use crate::source::SourceError;

/// Blocks of one window that are merged even while it still grows.
const CROWDED: usize = 8;
/// Merges of one call, so that it ends.
const MERGES: usize = 64;
const DAY: i64 = 24 * 60 * 60 * 1000;

/// What whoever cuts holds.
#[derive(Default)]
pub struct Cutting;

/// What whoever changes blocks holds. Cuts go on meanwhile, for they only add blocks.
#[derive(Default)]
pub struct Compacting;

type Cut<'a> = MutexGuard<'a, Cutting>;
type Compact<'a> = MutexGuard<'a, Compacting>;

impl From<SourceError> for StorageError {
    fn from(error: SourceError) -> StorageError {
        match error {
            SourceError::Broken(what) | SourceError::TooMuch(what) => StorageError::Damaged(what),
        }
    }
}

impl Storage {
    /// The longest that any sample is kept.
    pub(super) fn longest_retention(&self) -> i64 {
        let policies = self.options.policies.iter().map(|p| p.retention);
        policies.fold(self.options.retention, i64::max)
    }

    /// Writes all the head holds to blocks and deletes the log before; gives how many blocks.
    pub(super) fn cut(&self, held: &Cut<'_>) -> Result<usize, StorageError> {
        let number = {
            let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            self.log.rotate()?
        };
        self.cut_before(held, number)
    }

    /// The same, where all files of the log before `number` are in the head.
    pub(super) fn cut_before(&self, _held: &Cut<'_>, number: u32) -> Result<usize, StorageError> {
        let leaving = self.head.freeze();
        let written = self.write_windows(&leaving)?;
        drop(leaving);
        let gate = || self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.head.thaw(self.keep(self.head.newest()), gate);
        self.sources.forget_idle();
        self.log.delete_before(number)?;
        Ok(written)
    }

    fn write_windows(&self, leaving: &[Leaving]) -> Result<usize, StorageError> {
        let block = self.options.block.max(1);
        let mut writers: BTreeMap<i64, (u64, Writer)> = BTreeMap::new();
        let mut samples = Vec::new();
        for series in leaving {
            samples.clear();
            series.samples.read(&(i64::MIN..=i64::MAX), &mut samples);
            let window = |s: &Sample| s.at.div_euclid(block);
            for part in samples.chunk_by(|a, b| window(a) == window(b)) {
                let (_, writer) = match writers.entry(window(&part[0])) {
                    std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
                    std::collections::btree_map::Entry::Vacant(none) => {
                        none.insert(self.blocks.begin()?)
                    }
                };
                writer.put(&series.key, part).doing(|| "write a block".to_owned())?;
            }
        }
        let policies = downsample::fingerprint(&self.options.policies);
        let new = writers.into_values().map(|(number, writer)| {
            (writer, Meta { number, generation: number, policies, ..Meta::default() })
        });
        self.blocks.publish(new.collect(), &[])
    }

    /// Sets damaged blocks aside, deletes those that are too old, merges, and applies policies.
    pub(super) fn compact(
        &self,
        held: &Compact<'_>,
        now: i64,
        done: &mut Maintained,
    ) -> Result<(), StorageError> {
        done.damaged += self.blocks.set_damaged_aside()?;
        let oldest = now.saturating_sub(self.longest_retention());
        let all = self.blocks.all();
        let expired: Vec<_> = all.iter().filter(|b| b.meta.max < oldest).cloned().collect();
        self.blocks.publish(Vec::new(), &expired)?;
        done.expired += expired.len();
        let result = self.merge_and_age(held, now, done);
        if matches!(result, Err(StorageError::Damaged(_))) {
            let damaged = self.blocks.set_damaged_aside()?;
            done.damaged += damaged;
            if damaged > 0 {
                // Without the damaged block the next call goes on.
                return Ok(());
            }
        }
        result
    }

    fn merge_and_age(
        &self,
        held: &Compact<'_>,
        now: i64,
        done: &mut Maintained,
    ) -> Result<(), StorageError> {
        for _ in 0..MERGES {
            let Some(group) = self.due_for_merge() else { break };
            self.rewrite(held, &group, None)?;
            done.merged += group.len();
        }
        let policies = downsample::fingerprint(&self.options.policies);
        for block in self.blocks.all().iter() {
            let Some(aging) = Aging::of(&self.options, block.meta.max, now) else { continue };
            if aging.age() > block.meta.applied || policies != block.meta.policies {
                self.rewrite(held, std::slice::from_ref(block), Some(&aging))?;
                done.rewritten += 1;
            }
        }
        Ok(())
    }

    /// Blocks of one window that are better one block.
    fn due_for_merge(&self) -> Option<Vec<Arc<Block>>> {
        let base = self.options.block.max(1);
        let widest = (self.longest_retention() / 10).clamp(base, DAY.max(base));
        let late = self.options.out_of_order.clamp(0, base / 8);
        let newest = self.head.newest().saturating_sub(late);
        let all = self.blocks.all();
        for span in [base, base * 4, base * 12].into_iter().filter(|s| *s <= widest) {
            let mut windows: BTreeMap<i64, Vec<Arc<Block>>> = BTreeMap::new();
            for block in all.iter() {
                let window = block.meta.min.div_euclid(span);
                if window == block.meta.max.div_euclid(span) {
                    windows.entry(window).or_default().push(Arc::clone(block));
                }
            }
            for (window, blocks) in windows {
                let complete = newest.div_euclid(span) > window;
                let sizes = blocks.iter().map(|b| b.meta.samples);
                let largest = sizes.clone().max().unwrap_or(0);
                let rest = sizes.sum::<u64>() - largest;
                let worth = blocks.len() >= 4 || rest.saturating_mul(8) >= largest;
                let crowded = span == base && blocks.len() >= CROWDED;
                if blocks.len() > 1 && ((complete && worth) || crowded) {
                    return Some(blocks);
                }
            }
        }
        None
    }

    /// Writes blocks as one, in which a policy may leave less.
    fn rewrite(
        &self,
        _held: &Compact<'_>,
        blocks: &[Arc<Block>],
        aging: Option<&Aging<'_>>,
    ) -> Result<(), StorageError> {
        let (number, mut writer) = self.blocks.begin()?;
        let mut merge = Merge::new(blocks);
        let mut samples = Vec::new();
        while let Some(key) = merge.next(&mut samples)? {
            if let Some(aging) = aging {
                aging.apply(&key, &mut samples);
            }
            writer.put(&key, &samples).doing(|| "write a block".to_owned())?;
        }
        let metas = || blocks.iter().map(|b| &b.meta);
        let same = metas().all(|m| m.policies == blocks[0].meta.policies);
        let meta = Meta {
            number,
            generation: metas().map(|m| m.generation).min().unwrap_or(number),
            replaces: metas().map(|m| m.number).collect(),
            applied: match aging {
                Some(aging) => aging.age(),
                None if same => metas().map(|m| m.applied).min().unwrap_or(0),
                None => 0,
            },
            policies: match aging {
                Some(_) => downsample::fingerprint(&self.options.policies),
                None => blocks[0].meta.policies,
            },
            ..Meta::default()
        };
        self.blocks.publish(vec![(writer, meta)], blocks).map(|_| ())
    }
}

/// Goes through the series of several blocks in the order of their keys.
struct Merge<'a> {
    cursors: Vec<Cursor<'a>>,
    reading: Reading,
}

struct Cursor<'a> {
    block: &'a Arc<Block>,
    next: usize,
    page: vec::IntoIter<Entry>,
    head: Option<Entry>,
}

impl Cursor<'_> {
    fn fill(&mut self) -> Result<(), SourceError> {
        while self.head.is_none() {
            self.head = self.page.next();
            if self.head.is_none() {
                if self.next == self.block.pages() {
                    break;
                }
                self.page = self.block.page(self.next)?.into_iter();
                self.next += 1;
            }
        }
        Ok(())
    }
}

impl<'a> Merge<'a> {
    /// The blocks come in the order in which their samples count.
    fn new(blocks: &'a [Arc<Block>]) -> Merge<'a> {
        let cursor = |block| Cursor { block, next: 0, page: Vec::new().into_iter(), head: None };
        Merge { cursors: blocks.iter().map(cursor).collect(), reading: Reading::default() }
    }

    /// The next key, with its samples of all blocks in `samples`.
    fn next(&mut self, samples: &mut Vec<Sample>) -> Result<Option<Box<[u8]>>, SourceError> {
        samples.clear();
        for cursor in &mut self.cursors {
            cursor.fill()?;
        }
        let heads = self.cursors.iter().filter_map(|c| c.head.as_ref());
        let Some(key) = heads.map(|e| &e.key).min().cloned() else { return Ok(None) };
        for cursor in &mut self.cursors {
            let Some(entry) = cursor.head.take_if(|e| e.key == key) else { continue };
            let chunks: &[ChunkRef] = &entry.chunks;
            let all = i64::MIN..=i64::MAX;
            cursor.block.read(chunks, &all, &mut self.reading, samples)?;
        }
        put_in_order(samples);
        Ok(Some(key))
    }
}

/// Sorts by time; of samples of one time the first stays.
pub fn put_in_order(samples: &mut Vec<Sample>) {
    if !samples.is_sorted_by(|a, b| a.at < b.at) {
        samples.sort_by_key(|s| s.at);
        samples.dedup_by_key(|s| s.at);
    }
}

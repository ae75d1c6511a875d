//! What the memory holds of blocks when a store is opened: the newest samples, for which rules ask
//! at once. A cut keeps them too, see `head.rs`.

use std::sync::Arc;

use super::Storage;
use super::block::{Block, Entry, Reading};
use super::head::Keep;
use crate::source::SourceError;

/// The source of series that are known from blocks alone, until their own sends more.
pub const BLOCKS: &str = "blocks";
/// Bytes of memory a series takes at least, with a few samples.
const SERIES: u64 = 512;

impl Storage {
    /// What stays in memory beside blocks, where the newest sample has that time.
    pub(super) fn keep(&self, newest: i64) -> Keep {
        let since = newest.saturating_sub(self.options.warm);
        let known = since.saturating_sub(self.options.warm.saturating_mul(4));
        Keep { since, known, bytes: self.options.head_bytes / 4 }
    }

    /// Takes of blocks into an empty head what would have stayed of them.
    pub(super) fn warm_up(&self, now: i64) {
        let keep = self.keep(self.head.newest().max(now));
        let blocks = self.blocks_in(&(keep.known..=i64::MAX));
        let series: u64 = blocks.iter().map(|block| block.meta.series).sum();
        let fits = series.saturating_mul(SERIES) <= keep.bytes as u64;
        // What is damaged is set aside by `maintain`; until then all is asked of the blocks.
        let read = || blocks.iter().try_for_each(|block| self.take_newest(block, keep));
        if fits && read().is_ok() {
            self.head.cold_until(keep.since, keep.known);
        } else {
            let next = self.head.newest().saturating_add(1);
            self.head.cold_until(next, next);
        }
    }

    fn take_newest(&self, block: &Arc<Block>, keep: Keep) -> Result<(), SourceError> {
        let mut reading = Reading::default();
        let range = keep.known..=i64::MAX;
        for page in 0..block.pages() {
            for Entry { key, chunks } in block.page(page)? {
                let mut samples = Vec::new();
                block.read(&chunks, &range, &mut reading, &mut samples)?;
                if samples.is_empty() {
                    continue;
                }
                let (hash, index) = self.head.hash(&key);
                let mut shard = self.head.shard(index);
                let place = shard.find(hash, &key).unwrap_or_else(|| {
                    let source = self.sources.get(BLOCKS);
                    self.head.create((index, &mut shard), hash, &key, source)
                });
                if let Some(series) = shard.at(place) {
                    self.head.count(0, series.warm_up(samples, keep.since), i64::MAX, i64::MIN);
                }
            }
        }
        Ok(())
    }
}

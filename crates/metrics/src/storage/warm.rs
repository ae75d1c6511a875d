//! What the memory holds of blocks when a store is opened: the newest samples, for which rules ask
//! at once. A cut keeps them too, see `head.rs`.

use std::sync::Arc;

use super::Storage;
use super::block::{Block, Entry, Reading};
use super::head::WARM;
use crate::source::SourceError;

/// The source of series that are known from blocks alone, until their own sends more.
pub const BLOCKS: &str = "blocks";
/// Bytes of memory a series takes at least, with a few samples.
const SERIES: u64 = 512;

impl Storage {
    /// Takes the newest samples of the blocks into an empty head, if they take no more memory than
    /// a cut may keep.
    pub(super) fn warm_up(&self, now: i64) {
        let since = self.head.newest().max(now).saturating_sub(WARM);
        let cold = self.head.newest().saturating_add(1).max(since);
        let blocks = self.blocks_in(&(since..=i64::MAX));
        let series: u64 = blocks.iter().map(|block| block.meta.series).sum();
        let fits = series.saturating_mul(SERIES) <= self.most_warm() as u64;
        // What is damaged is set aside by `maintain`; until then all is asked of the blocks.
        let read = || blocks.iter().try_for_each(|block| self.take_newest(block, since));
        self.head.cold_until(if fits && read().is_ok() { since } else { cold });
    }

    /// Bytes that samples may take in memory which are in blocks too.
    pub(super) fn most_warm(&self) -> usize {
        self.options.head_bytes / 4
    }

    fn take_newest(&self, block: &Arc<Block>, since: i64) -> Result<(), SourceError> {
        let mut reading = Reading::default();
        for page in 0..block.pages() {
            for Entry { key, chunks } in block.page(page)? {
                let mut samples = Vec::new();
                block.read(&chunks, &(since..=i64::MAX), &mut reading, &mut samples)?;
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
                    self.head.count(0, series.warm_up(samples), i64::MAX, i64::MIN);
                }
            }
        }
        Ok(())
    }
}

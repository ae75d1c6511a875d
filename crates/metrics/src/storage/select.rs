//! Queries: which series match, and their samples from the head and all blocks as one series.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::block::{Block, ChunkRef, Reading};
use super::compact::put_in_order;
use super::head::{Head, SHARDS};
use super::postings;
use super::series::{Frozen, Series, View};
use super::texts::{Hashing, Texts};
use super::{Storage, downsample, key};
use crate::labels::{Labels, Matcher};
use crate::sample::{Sample, is_stale};
use crate::source::{Decoded, LabelQuery, Recalled, Selected, Source, SourceError};

/// The sample before a range is looked for so many milliseconds before it as the range is read.
const BEFORE: i64 = 60_000;

/// So many series are decoded as they are found.
const FEW: usize = 2_000;

thread_local! {
    /// Memory of this thread for reading blocks.
    static READING: RefCell<Reading> = RefCell::default();
}

/// A series of the answer.
struct Found {
    labels: Labels,
    blocks: Vec<(Arc<Block>, Vec<ChunkRef>)>,
    view: Option<View>,
}

/// The series found so far, by key.
#[derive(Default)]
struct Answer {
    places: HashMap<Arc<[u8]>, usize, Hashing>,
    found: Vec<Found>,
    texts: Texts,
}

impl Answer {
    fn series(&mut self, key: &[u8], labels: Option<Labels>) -> &mut Found {
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => {
                let labels = labels.unwrap_or_else(|| self.texts.labels(key));
                self.found.push(Found { labels, blocks: Vec::new(), view: None });
                self.places.insert(key.into(), self.found.len() - 1);
                self.found.len() - 1
            }
        };
        &mut self.found[place]
    }
}

impl Storage {
    /// Gives the series of the head that match. They may be asked once more from the start, when
    /// series left the head meanwhile.
    fn select_head<T>(
        &self,
        matchers: &[Matcher],
        see: impl FnMut(&Series) -> Option<T>,
    ) -> Result<Vec<T>, SourceError> {
        self.select_few(matchers, usize::MAX, see).map(Option::unwrap_or_default)
    }

    /// The same, or none where more match than are wanted.
    fn select_few<T>(
        &self,
        matchers: &[Matcher],
        most: usize,
        mut see: impl FnMut(&Series) -> Option<T>,
    ) -> Result<Option<Vec<T>>, SourceError> {
        loop {
            let removals = self.head.removals();
            let mut ids = postings::select(&*self.head.index(), matchers)?;
            self.check_selected(ids.len())?;
            if ids.len() > most {
                return Ok(None);
            }
            ids.sort_by_key(|id| *id as usize % SHARDS);
            let mut seen = Vec::with_capacity(ids.len());
            for ids in ids.chunk_by(|a, b| *a as usize % SHARDS == *b as usize % SHARDS) {
                let shard = self.head.shard(ids[0] as usize % SHARDS);
                let slots = ids.iter().map(|id| Head::slot(*id));
                seen.extend(slots.filter_map(|slot| shard.slot(slot)).filter_map(&mut see));
            }
            if removals == self.head.removals() {
                return Ok(Some(seen));
            }
        }
    }

    /// The series that have samples in the range, from the head alone if that has all that is
    /// asked for, which is asked once it has been looked at.
    fn look(
        &self,
        matchers: &[Matcher],
        range: &RangeInclusive<i64>,
        has_all: impl Fn() -> bool,
    ) -> Result<Vec<Arc<dyn Selected>>, SourceError> {
        // The head first: a cut puts samples into blocks before it takes them from the head.
        let head = self.select_head(matchers, |series| {
            let view = series.view(range)?;
            Some((Arc::clone(&series.key), self.head.labels(series), view))
        })?;
        if has_all() {
            let mut texts = Texts::default();
            let found = |(key, labels, view): (Arc<[u8]>, Option<Labels>, View)| {
                let labels = labels.unwrap_or_else(|| texts.labels(&key));
                let found = Found { labels, blocks: Vec::new(), view: Some(view) };
                Arc::new(found) as Arc<dyn Selected>
            };
            return Ok(head.into_iter().map(found).collect());
        }
        let mut answer = Answer::default();
        for block in self.blocks_in(range) {
            let numbers = postings::select(&block, matchers)?;
            self.check_selected(numbers.len().max(answer.found.len()))?;
            block.series(&numbers, |entry| {
                let overlaps = |c: &ChunkRef| c.first <= *range.end() && c.last >= *range.start();
                let Some(low) = entry.chunks.iter().position(overlaps) else { return };
                let high = entry.chunks.iter().rposition(overlaps).unwrap_or(low);
                let mut chunks = entry.chunks;
                chunks.truncate(high + 1);
                chunks.drain(..low);
                answer.series(&entry.key, None).blocks.push((Arc::clone(&block), chunks));
            })?;
        }
        for (key, labels, mut view) in head {
            // The blocks have it.
            view.warm = Frozen::default();
            answer.series(&key, labels).view = Some(view);
        }
        Ok(answer.found.into_iter().map(|f| Arc::new(f) as Arc<dyn Selected>).collect())
    }

    /// What [`Source::recall`] asks for, decoded as it is found: for the few series of a rule that
    /// is less work than copies to be decoded later. None, where there are many.
    fn recall_head(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        first: i64,
    ) -> Result<Option<Recalled>, SourceError> {
        let (mut texts, mut samples) = (Texts::default(), Vec::new());
        let series = self.select_few(matchers, FEW, |series| {
            let start = samples.len();
            // The sample before is most often among those that are decoded anyway.
            series.read(&(from.saturating_sub(BEFORE)..=to), &mut samples);
            let own = start + samples[start..].partition_point(|sample| sample.at <= from);
            let before = samples[start..own].last().copied();
            let before = before.or_else(|| series.newest(first..=from));
            if samples.len() == own && before.is_none() {
                return None;
            }
            let labels = self.head.labels(series).unwrap_or_else(|| texts.labels(&series.key));
            Some(Decoded { labels, own: own..samples.len(), before })
        })?;
        Ok(series.map(|series| Recalled::Decoded { series, samples }))
    }

    /// The series that match, which a source began or took over, that have had a sample from
    /// `since` on and have not ended; each with its newest sample.
    ///
    /// # Errors
    /// That more match than one query may select.
    pub fn unended(
        &self,
        source: &str,
        matchers: &[Matcher],
        since: i64,
    ) -> Result<Vec<(Labels, Sample)>, SourceError> {
        let mut texts = Texts::default();
        self.select_head(matchers, |series| {
            let last = series.last.filter(|last| last.at >= since && !is_stale(last.value))?;
            // The labels are not kept: they are not asked for again.
            (*series.source.name == *source).then(|| (texts.labels(&series.key), last))
        })
    }

    fn check_selected(&self, series: usize) -> Result<(), SourceError> {
        let most = self.options.most_selected;
        if series <= most {
            return Ok(());
        }
        Err(SourceError::TooMuch(format!(
            "the query selects {series} series or more, over the limit of {most}; name more labels"
        )))
    }

    pub(super) fn blocks_in(&self, range: &RangeInclusive<i64>) -> Vec<Arc<Block>> {
        self.blocks.all().iter().filter(|b| b.overlaps(range)).cloned().collect()
    }

    /// Gives each set of matchers, or one without any.
    fn sets(query: &LabelQuery) -> Vec<&[Matcher]> {
        if query.sets.is_empty() { vec![&[]] } else { query.sets.iter().map(|s| &s[..]).collect() }
    }

    /// The keys of the head that a query for labels is about.
    fn keys(&self, query: &LabelQuery, set: &[Matcher]) -> Result<Vec<Arc<[u8]>>, SourceError> {
        let from = query.from.unwrap_or(i64::MIN);
        self.select_head(set, |series| {
            let may = series.last.is_some_and(|last| last.at >= from);
            may.then(|| Arc::clone(&series.key))
        })
    }
}

fn range_of(query: &LabelQuery) -> RangeInclusive<i64> {
    query.from.unwrap_or(i64::MIN)..=query.to.unwrap_or(i64::MAX)
}

fn limited(all: BTreeSet<String>, query: &LabelQuery) -> Vec<String> {
    all.into_iter().take(query.limit.unwrap_or(usize::MAX)).collect()
}

impl Source for Storage {
    fn select(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
    ) -> Result<Vec<Arc<dyn Selected>>, SourceError> {
        self.look(matchers, &(from..=to), || from >= self.head.warm_from())
    }

    fn recall(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        memory: i64,
    ) -> Result<Recalled, SourceError> {
        let first = from.saturating_sub(memory);
        let known = || from >= self.head.warm_from() && first >= self.head.known_from();
        if known() {
            let recalled = self.recall_head(matchers, (from, to), first)?;
            if let Some(recalled) = recalled.filter(|_| known()) {
                return Ok(recalled);
            }
        }
        self.look(matchers, &(first..=to), known).map(Recalled::Found)
    }

    fn thinned(&self, labels: &Labels, from: i64) -> Vec<(i64, i64)> {
        downsample::since(&self.options, labels, self.head.newest(), from)
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut all = BTreeSet::new();
        let mut add = |name: &str| {
            if !all.contains(name) {
                all.insert(name.to_owned());
            }
        };
        for set in Storage::sets(query) {
            if set.is_empty() && query.from.is_none() {
                self.head.index().iter().for_each(|(name, _)| add(name));
            } else {
                for key in self.keys(query, set)? {
                    key::pairs(&key).for_each(|(name, _)| add(name));
                }
            }
            for block in self.blocks_in(&range_of(query)) {
                if set.is_empty() {
                    block.names().iter().for_each(|name| add(name));
                    continue;
                }
                block.series(&postings::select(&block, set)?, |entry| {
                    key::pairs(&entry.key).for_each(|(name, _)| add(name));
                })?;
            }
        }
        Ok(limited(all, query))
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut all = BTreeSet::new();
        let mut add = |value: &str| {
            if !value.is_empty() && !all.contains(value) {
                all.insert(value.to_owned());
            }
        };
        for set in Storage::sets(query) {
            if set.is_empty() && query.from.is_none() {
                self.head.index().values(name).for_each(|(value, _)| add(value));
            } else {
                self.keys(query, set)?.iter().for_each(|key| add(key::value(key, name)));
            }
            for block in self.blocks_in(&range_of(query)) {
                if set.is_empty() {
                    block.values(name, |value, _| add(value))?;
                    continue;
                }
                let matched = postings::select(&block, set)?;
                block.kept_with(name, &matched, &mut add)?;
            }
        }
        Ok(limited(all, query))
    }
}

impl Selected for Found {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, from: i64, to: i64, into: &mut Vec<Sample>) -> Result<(), SourceError> {
        let range = from..=to;
        let mut own = Vec::new();
        // What the caller has already is not ours to sort.
        let target = if into.is_empty() { &mut *into } else { &mut own };
        READING.with_borrow_mut(|reading| {
            let mut blocks = self.blocks.iter();
            blocks.try_for_each(|(block, chunks)| block.read(chunks, &range, reading, target))
        })?;
        if let Some(view) = &self.view {
            view.warm.read(&range, target);
            view.first.read(&range, target);
            view.then.read(&range, target);
        }
        put_in_order(target);
        into.append(&mut own);
        Ok(())
    }

    fn read_after(
        &self,
        from: i64,
        to: i64,
        into: &mut Vec<Sample>,
    ) -> Result<Option<Sample>, SourceError> {
        // The sample before is most often in the chunk that is decoded anyway.
        let start = into.len();
        self.read(from.saturating_sub(BEFORE), to, into)?;
        let first = start + into[start..].partition_point(|sample| sample.at <= from);
        let before = into[start..first].last().copied();
        into.drain(start..first);
        Ok(before.or_else(|| self.last(from)))
    }

    fn last(&self, to: i64) -> Option<Sample> {
        // After a restart the newest of the head may be one that came late.
        let newest = self.view.as_ref().map(|view| view.last).filter(|last| last.at <= to);
        let mut best = newest;
        let mut found = Vec::new();
        if newest.is_none() {
            for part in self.view.iter().flat_map(|v| [&v.warm, &v.first, &v.then]) {
                last_of(part, to, &mut found);
                let newer = |s: &Sample| best.is_none_or(|b| s.at > b.at);
                best = found.pop().filter(newer).or(best);
                found.clear();
            }
        }
        // Of samples of one time that of the first block counts, and any block before the head.
        let mut from = best.map_or(i64::MIN, |best| best.at);
        for (block, chunks) in &self.blocks {
            for chunk in chunks.iter().rev().filter(|c| c.first <= to) {
                if chunk.last < from {
                    break;
                }
                let read = READING.with_borrow_mut(|reading| {
                    block.read(std::slice::from_ref(chunk), &(from..=to), reading, &mut found)
                });
                if let (Ok(()), Some(last)) = (read, found.pop()) {
                    best = Some(last);
                    from = last.at.saturating_add(1);
                    break;
                }
            }
            found.clear();
        }
        best
    }
}

/// Leaves the newest sample not after a time at the end of `found`, if there is one.
fn last_of(part: &Frozen, to: i64, found: &mut Vec<Sample>) {
    for chunk in part.chunks.iter().rev().filter(|c| c.first <= to) {
        chunk.read(&(i64::MIN..=to), found);
        if !found.is_empty() {
            break;
        }
    }
    let late = part.late.partition_point(|s| s.at <= to);
    let late = late.checked_sub(1).map(|i| part.late[i]);
    found.extend(late.filter(|late| found.last().is_none_or(|s| s.at < late.at)));
}

//! A batch of samples on its way: checked, matched with its series, written to the log as one
//! record, and only then put into the head. The records are read back here too.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::bits::{put_varint, take_bytes, take_u64, take_varint, unzigzag, zigzag};
use super::head::{Head, Itself, Place, SHARDS};
use super::key::{self, Bounds};
use super::log::Segment;
use super::series::Fate;
use super::sources::Usage;
use super::{Appended, Storage, StorageError, locked, warm};
use crate::sample::Sample;

/// Bytes of memory the samples of a series may take before a cut, at least.
const ROOM: usize = 192;

/// A batch of samples of one source. Nothing is stored before [`Appender::commit`].
pub struct Appender<'a> {
    storage: &'a Storage,
    usage: Arc<Usage>,
    bounds: Bounds,
    /// Samples before it are too old.
    floor: i64,
    /// Samples after it are too new.
    ceiling: i64,
    entries: [Vec<Entry>; SHARDS],
    key: Vec<u8>,
    order: Vec<u32>,
    appended: Appended,
}

/// A sample and its series.
struct Entry {
    place: Place,
    sample: Sample,
}

/// A record that is being written.
#[derive(Default)]
struct Record {
    sources: Vec<Arc<Usage>>,
    series: Vec<u8>,
    count: u64,
    samples: Vec<u8>,
    id: u32,
    at: i64,
}

impl<'a> Appender<'a> {
    pub(super) fn new(storage: &'a Storage, source: &str, now: i64) -> Appender<'a> {
        let options = &storage.options;
        let oldest = now.saturating_sub(storage.longest_retention());
        let ceiling = now.saturating_add(options.ahead);
        // This clock may have been wrong once; what came then must not keep others out.
        let behind = storage.head.newest().min(ceiling).saturating_sub(options.out_of_order);
        Appender {
            storage,
            usage: storage.sources.get(source),
            bounds: Bounds {
                labels: options.most_labels,
                name: options.longest_name,
                value: options.longest_value,
            },
            floor: behind.max(oldest),
            ceiling,
            entries: [const { Vec::new() }; SHARDS],
            key: Vec::new(),
            order: Vec::new(),
            appended: Appended::default(),
        }
    }

    /// Adds samples of one series, whose labels may be in any order. What is refused is counted
    /// and does not keep the rest out.
    pub fn add(&mut self, labels: &[(&str, &str)], samples: &[Sample]) {
        if samples.is_empty() {
            return;
        }
        if let Err(reason) = key::write(labels, self.bounds, &mut self.order, &mut self.key) {
            return self.refuse_labels(samples.len(), &reason);
        }
        let fits = samples.iter().filter(|s| self.fits(s)).count();
        if fits < samples.len() {
            samples.iter().for_each(|s| {
                if !self.fits(s) {
                    self.refuse_time(s);
                }
            });
            if fits == 0 {
                return;
            }
        }
        let (hash, index) = self.storage.head.hash(&self.key);
        let mut shard = self.storage.head.shard(index);
        let place = match shard.find(hash, &self.key) {
            Some(place) => place,
            None => {
                if let Err(reason) = key::check(&self.key) {
                    drop(shard);
                    return self.refuse_labels(fits, &reason);
                }
                if let Some(full) = self.over_limit() {
                    drop(shard);
                    return self.refuse_series(fits, &full);
                }
                let source = Arc::clone(&self.usage);
                self.storage.head.create((index, &mut shard), hash, &self.key, source)
            }
        };
        if let Some(series) = shard.at(place) {
            series.pins += fits as u32;
            if *series.source.name == *warm::BLOCKS {
                self.storage.head.adopt(series, &self.usage);
            }
        }
        drop(shard);
        let (floor, ceiling) = (self.floor, self.ceiling);
        let fitting = samples.iter().filter(|s| s.at >= floor && s.at <= ceiling);
        self.entries[index].extend(fitting.map(|&sample| Entry { place, sample }));
    }

    fn fits(&self, sample: &Sample) -> bool {
        sample.at >= self.floor && sample.at <= self.ceiling
    }

    fn refuse_time(&mut self, sample: &Sample) {
        if sample.at < self.floor {
            self.appended.too_old += 1;
            let behind = self.floor.saturating_sub(sample.at) as f64 / 1000.0;
            self.refuse(|key| {
                format!("a sample of {:?} is {behind:.1} s too old", key::display(key))
            });
        } else {
            self.appended.too_new += 1;
            let ahead = sample.at.saturating_sub(self.ceiling) as f64 / 1000.0;
            self.refuse(|key| {
                let key = key::display(key);
                format!("a sample of {key:?} is {ahead:.1} s too far ahead of this clock")
            });
        }
    }

    fn refuse_labels(&mut self, samples: usize, reason: &str) {
        self.appended.invalid += samples as u64;
        self.refuse(|_| format!("{reason}; its samples were refused"));
    }

    fn refuse_series(&mut self, samples: usize, full: &str) {
        self.usage.refused.fetch_add(samples as u64, Ordering::Relaxed);
        self.appended.over_limit += samples as u64;
        self.refuse(|key| format!("{full}; {:?} was refused", key::display(key)));
    }

    /// Why a new series is refused, if it is.
    fn over_limit(&self) -> Option<String> {
        let options = &self.storage.options;
        let of_source = self.usage.series.load(Ordering::Relaxed);
        if of_source >= options.most_series_per_source {
            return Some(format!("source {} has {of_source} series, its limit", self.usage.name));
        }
        let all = self.storage.head.series();
        (all >= options.most_series).then(|| format!("the store has {all} series, its limit"))
    }

    fn refuse(&mut self, why: impl FnOnce(&[u8]) -> String) {
        if self.appended.refusal.is_none() {
            self.appended.refusal = Some(why(&self.key));
        }
    }

    /// Stores the batch. Once it returns, the samples survive the death of the process.
    ///
    /// # Errors
    /// The log could not be written; none of the batch is stored.
    pub fn commit(mut self) -> Result<Appended, StorageError> {
        if self.entries.iter().any(|e| !e.is_empty()) {
            self.storage.make_room()?;
            let gate = self.storage.gate.read().unwrap_or_else(PoisonError::into_inner);
            let segment = self.storage.log.number();
            self.storage.log.write(&self.record(segment))?;
            self.apply(segment);
            drop(gate);
        }
        Ok(std::mem::take(&mut self.appended))
    }

    fn record(&self, segment: u32) -> Vec<u8> {
        let mut record = Record::default();
        let number = self.storage.log.number_of_record();
        let count = self.entries.iter().map(Vec::len).sum::<usize>();
        record.samples.reserve(count * 12);
        for (index, entries) in self.entries.iter().enumerate().filter(|(_, e)| !e.is_empty()) {
            let mut shard = self.storage.head.shard(index);
            for entry in entries {
                let Some(series) = shard.at(entry.place) else { continue };
                let id = Head::id(index, entry.place.slot);
                if series.segment != segment && series.record != number {
                    series.record = number;
                    record.define(id, &series.key, &series.source);
                }
                record.put(id, entry.sample);
            }
        }
        record.finish()
    }

    fn apply(&mut self, segment: u32) {
        let entries = std::mem::replace(&mut self.entries, [const { Vec::new() }; SHARDS]);
        let (mut bytes, mut oldest, mut newest) = (0, i64::MAX, i64::MIN);
        let before = self.appended.accepted;
        for (index, entries) in entries.iter().enumerate().filter(|(_, e)| !e.is_empty()) {
            let mut shard = self.storage.head.shard(index);
            for entry in entries {
                let Some(series) = shard.at(entry.place) else { continue };
                series.pins -= 1;
                series.segment = segment;
                match series.append(entry.sample) {
                    Fate::Accepted(more) => {
                        self.appended.accepted += 1;
                        bytes += more;
                        oldest = oldest.min(entry.sample.at);
                        newest = newest.max(entry.sample.at);
                    }
                    Fate::Duplicate => self.appended.duplicates += 1,
                    Fate::Conflicting => self.appended.conflicting += 1,
                }
            }
        }
        let accepted = self.appended.accepted - before;
        if accepted > 0 {
            self.storage.head.count(accepted, bytes, oldest, newest);
        }
    }
}

impl Drop for Appender<'_> {
    /// Lets the series go of samples that were not committed.
    fn drop(&mut self) {
        for (index, entries) in self.entries.iter().enumerate().filter(|(_, e)| !e.is_empty()) {
            let mut shard = self.storage.head.shard(index);
            for entry in entries {
                if let Some(series) = shard.at(entry.place) {
                    series.pins -= 1;
                }
            }
        }
    }
}

impl Record {
    fn define(&mut self, id: u32, key: &[u8], source: &Arc<Usage>) {
        if self.sources.last().is_none_or(|s| s.id != source.id)
            && !self.sources.iter().any(|s| s.id == source.id)
        {
            self.sources.push(Arc::clone(source));
        }
        self.count += 1;
        put_varint(&mut self.series, u64::from(id));
        put_varint(&mut self.series, u64::from(source.id));
        put_varint(&mut self.series, key.len() as u64);
        self.series.extend_from_slice(key);
    }

    fn put(&mut self, id: u32, sample: Sample) {
        put_varint(&mut self.samples, zigzag(i64::from(id) - i64::from(self.id)));
        put_varint(&mut self.samples, zigzag(sample.at.wrapping_sub(self.at)));
        self.samples.extend_from_slice(&sample.value.to_bits().to_le_bytes());
        (self.id, self.at) = (id, sample.at);
    }

    fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.series.len() + self.samples.len() + 64);
        put_varint(&mut out, self.sources.len() as u64);
        for source in &self.sources {
            put_varint(&mut out, u64::from(source.id));
            put_varint(&mut out, source.name.len() as u64);
            out.extend_from_slice(source.name.as_bytes());
        }
        put_varint(&mut out, self.count);
        out.extend_from_slice(&self.series);
        out.extend_from_slice(&self.samples);
        out
    }
}

/// What the records of one file have named so far.
#[derive(Default)]
struct Named {
    sources: HashMap<u64, Arc<Usage>>,
    series: HashMap<u64, (usize, Place), BuildHasherDefault<Itself>>,
}

impl Storage {
    /// Begins a new file of the log, or cuts, where it is time; waits where memory is far over.
    fn make_room(&self) -> Result<(), StorageError> {
        // Each series needs some room, or blocks would have a few samples of each.
        let most = self.options.head_bytes.max(self.head.series() * ROOM);
        let bytes = self.head.bytes();
        if bytes > most.saturating_add(most / 2) {
            let held = locked(&self.cutting);
            if self.head.bytes() > most {
                self.cut(&held)?;
            }
        } else if bytes > most
            && let Ok(held) = self.cutting.try_lock()
        {
            self.cut(&held)?;
        }
        if self.log.is_full() {
            let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            if self.log.is_full() {
                self.log.rotate()?;
            }
        }
        Ok(())
    }

    /// Puts what earlier processes wrote to the log into the head, file by file, cutting where the
    /// head grows too large.
    pub(super) fn replay(&self, old: &[Segment]) -> Result<(), StorageError> {
        for segment in old {
            let mut named = Named::default();
            segment.replay(|record| self.replay_record(record, &mut named))?;
            if self.head.bytes() > self.options.head_bytes {
                let held = locked(&self.cutting);
                self.cut_before(&held, segment.number + 1)?;
            }
        }
        Ok(())
    }

    /// None where the record is not understood, which a checksum should have shown.
    fn replay_record(&self, record: &[u8], named: &mut Named) -> Option<()> {
        let mut rest = record;
        let from = &mut rest;
        for _ in 0..take_varint(from)? {
            let id = take_varint(from)?;
            let length = take_varint(from)? as usize;
            let name = std::str::from_utf8(take_bytes(from, length)?).ok()?;
            named.sources.insert(id, self.sources.get(name));
        }
        for _ in 0..take_varint(from)? {
            let (id, source) = (take_varint(from)?, take_varint(from)?);
            let length = take_varint(from)? as usize;
            let key = take_bytes(from, length)?;
            let source = named.sources.get(&source)?;
            if !key::is_valid(key) {
                return None;
            }
            let (hash, index) = self.head.hash(key);
            let mut shard = self.head.shard(index);
            let place = shard.find(hash, key).unwrap_or_else(|| {
                self.head.create((index, &mut shard), hash, key, Arc::clone(source))
            });
            named.series.insert(id, (index, place));
        }
        let (mut id, mut at) = (0_i64, 0_i64);
        while !from.is_empty() {
            id += unzigzag(take_varint(from)?);
            at = at.wrapping_add(unzigzag(take_varint(from)?));
            let value = f64::from_bits(take_u64(from)?);
            let (index, place) = named.series.get(&(id as u64))?;
            let mut shard = self.head.shard(*index);
            if let Fate::Accepted(bytes) = shard.at(*place)?.append(Sample { at, value }) {
                self.head.count(1, bytes, at, at);
            }
        }
        Some(())
    }
}

//! The chunk of a series that is being appended to: a few bytes a sample, written at once and never
//! touched again. Blocks hold the smaller form of `chunk.rs`.

use std::ops::RangeInclusive;

use super::bits::{put_varint, take_u64, take_varint, unzigzag, zigzag};
use super::decimal;
use crate::sample::Sample;

/// Samples after which a chunk is closed, so that a read need not decode all there is.
const FULL: u16 = 64;
/// Bytes a chunk grows by.
const STEP: usize = 96;

/// What follows the time of a sample: a difference with its lowest bit zero, or one of these.
const BITS: u64 = 1;
const DIGITS: u64 = 3;

/// A chunk that takes more samples.
#[derive(Clone, Debug, Default)]
pub struct Open {
    bytes: Vec<u8>,
    count: u16,
    exponent: u8,
    /// How many values in a row were no short decimal number.
    odd: u8,
    first: i64,
    last: i64,
    step: i64,
    mantissa: i64,
}

/// A chunk that takes no more.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The time of the first sample.
    pub first: i64,
    /// The time of the last sample.
    pub last: i64,
    /// How many.
    pub count: u16,
    bytes: Box<[u8]>,
}

impl Open {
    /// Appends a sample, which is younger than all before, and gives the bytes of memory it took.
    pub fn push(&mut self, sample: Sample) -> usize {
        let before = self.bytes.capacity();
        if before - self.bytes.len() < 24 {
            self.bytes.reserve_exact(STEP);
        }
        if self.count == 0 {
            self.first = sample.at;
            self.bytes.push(self.exponent);
            put_varint(&mut self.bytes, zigzag(sample.at));
            self.step = 0;
            self.mantissa = 0;
        } else {
            let step = sample.at.wrapping_sub(self.last);
            put_varint(&mut self.bytes, zigzag(step.wrapping_sub(self.step)));
            self.step = step;
        }
        self.last = sample.at;
        self.count += 1;
        self.push_value(sample.value);
        self.bytes.capacity() - before
    }

    fn push_value(&mut self, value: f64) {
        if let Some(integer) = decimal::mantissa(value, self.exponent) {
            put_varint(&mut self.bytes, zigzag(integer - self.mantissa) << 1);
            self.mantissa = integer;
            self.odd = 0;
            return;
        }
        let more = (self.odd < 4).then(|| decimal::digits(value, self.exponent + 1)).flatten();
        let wide = more.and_then(|more| {
            let prior = decimal::widen(self.mantissa, more - self.exponent)?;
            Some((more, prior, decimal::mantissa(value, more)?))
        });
        match wide {
            Some((more, prior, integer)) => {
                put_varint(&mut self.bytes, DIGITS);
                self.bytes.push(more);
                put_varint(&mut self.bytes, zigzag(integer - prior));
                (self.exponent, self.mantissa) = (more, integer);
            }
            None => {
                self.odd = self.odd.saturating_add(1);
                put_varint(&mut self.bytes, BITS);
                self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
    }

    /// Whether it is time to close it.
    pub fn is_full(&self) -> bool {
        self.count >= FULL
    }

    /// What it holds as a chunk that takes no more; none if it is empty.
    pub fn copy(&self) -> Option<Chunk> {
        (self.count > 0).then(|| Chunk {
            first: self.first,
            last: self.last,
            count: self.count,
            bytes: self.bytes.as_slice().into(),
        })
    }

    /// Takes what it holds, keeping its memory for the next samples.
    pub fn close(&mut self) -> Option<Chunk> {
        let chunk = self.copy();
        self.bytes.clear();
        self.count = 0;
        chunk
    }

    /// The same, with its memory: series may have no more samples for long.
    pub fn take(&mut self) -> Option<Chunk> {
        let bytes = std::mem::take(&mut self.bytes).into_boxed_slice();
        let (first, last, count) = (self.first, self.last, self.count);
        self.count = 0;
        (count > 0).then_some(Chunk { first, last, count, bytes })
    }

    /// How many samples it holds.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Bytes of memory it holds.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// The time of its first sample, if it has one.
    pub fn first(&self) -> Option<i64> {
        (self.count > 0).then_some(self.first)
    }

    /// Whether it may have samples in the range.
    pub fn overlaps(&self, range: &RangeInclusive<i64>) -> bool {
        self.count > 0 && self.first <= *range.end() && self.last >= *range.start()
    }

    /// Appends the samples in the range, in the order of time.
    pub fn read(&self, range: &RangeInclusive<i64>, into: &mut Vec<Sample>) {
        read(&self.bytes, self.count, range, into);
    }

    /// The value at a time, if there is a sample of that time.
    pub fn value_at(&self, at: i64) -> Option<f64> {
        if !self.overlaps(&(at..=at)) {
            return None;
        }
        let mut found = Vec::new();
        read(&self.bytes, self.count, &(at..=at), &mut found);
        found.first().map(|s| s.value)
    }
}

impl Chunk {
    /// Appends the samples in the range.
    pub fn read(&self, range: &RangeInclusive<i64>, into: &mut Vec<Sample>) {
        read(&self.bytes, self.count, range, into);
    }

    /// Whether it may have samples in the range.
    pub fn overlaps(&self, range: &RangeInclusive<i64>) -> bool {
        self.first <= *range.end() && self.last >= *range.start()
    }

    /// Bytes of memory it holds.
    pub fn memory(&self) -> usize {
        self.bytes.len() + size_of::<Chunk>() + 16
    }
}

/// Decodes what [`Open::push`] wrote in this process, so it is never damaged; it stops at the end.
fn read(mut bytes: &[u8], count: u16, range: &RangeInclusive<i64>, into: &mut Vec<Sample>) {
    let from = &mut bytes;
    let Some((exponent, rest)) = from.split_first() else { return };
    let (mut exponent, mut at, mut step, mut mantissa) = (*exponent, 0_i64, 0_i64, 0_i64);
    *from = rest;
    into.reserve(usize::from(count));
    for i in 0..count {
        let Some(time) = take_varint(from).map(unzigzag) else { return };
        if i == 0 {
            at = time;
        } else {
            step = step.wrapping_add(time);
            at = at.wrapping_add(step);
        }
        let Some(token) = take_varint(from) else { return };
        let value = if token & 1 == 0 {
            mantissa += unzigzag(token >> 1);
            decimal::number(mantissa, exponent)
        } else if token == DIGITS {
            let Some((more, rest)) = from.split_first() else { return };
            *from = rest;
            let Some(difference) = take_varint(from).map(unzigzag) else { return };
            mantissa = decimal::widen(mantissa, more - exponent).unwrap_or(0) + difference;
            exponent = *more;
            decimal::number(mantissa, exponent)
        } else {
            let Some(bits) = take_u64(from) else { return };
            f64::from_bits(bits)
        };
        if at > *range.end() {
            return;
        }
        if at >= *range.start() {
            into.push(Sample { at, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn samples_come_back(rows in prop::collection::vec(
            (1..100_000_i64, prop_oneof![
                8 => (-100_000_i64..100_000, 0..5_i32).prop_map(|(m, e)| m as f64 / 10_f64.powi(e)),
                1 => Just(crate::STALE),
                1 => any::<f64>(),
            ]), 1..200),
        ) {
            let (mut open, mut at, mut all) = (Open::default(), -5000, Vec::new());
            for (step, value) in rows {
                at += step;
                open.push(Sample { at, value });
                all.push(Sample { at, value });
            }
            let (low, high) = (all[all.len() / 3].at, all[all.len() / 2].at);
            prop_assert_eq!(open.value_at(low).map(f64::to_bits),
                Some(all[all.len() / 3].value.to_bits()));
            let chunk = open.close().unwrap();
            let mut got = Vec::new();
            chunk.read(&(i64::MIN..=i64::MAX), &mut got);
            prop_assert_eq!(&got, &all);
            got.clear();
            chunk.read(&(low..=high), &mut got);
            all.retain(|s| s.at >= low && s.at <= high);
            prop_assert_eq!(got, all);
        }
    }
}

//! Samples of one series in few bytes, for blocks: a column of times and a column of values. Every
//! value comes back bit for bit, the staleness marker and other NaNs included.

use std::ops::RangeInclusive;

use super::bits::{put_varint, take_bytes, take_u64, take_varint};
use super::{decimal, integers};
use crate::sample::Sample;

/// Values as integers and a power of ten, with a list of those that are none.
const DECIMAL: u8 = 0;
/// Values as bits.
const BITS: u8 = 1;

/// Columns that are used again from chunk to chunk.
#[derive(Default)]
pub struct Scratch {
    integers: Vec<i64>,
    residues: Vec<u64>,
    values: Vec<f64>,
    odd: Vec<(usize, f64)>,
}

/// Appends the samples, which are in the order of time.
pub fn encode(samples: &[Sample], scratch: &mut Scratch, out: &mut Vec<u8>) {
    scratch.integers.clear();
    scratch.integers.extend(samples.iter().map(|s| s.at));
    integers::encode(&scratch.integers, &mut scratch.residues, out);
    match as_integers(samples, scratch) {
        Some(exponent) => {
            out.push(DECIMAL);
            out.push(exponent);
            put_varint(out, scratch.odd.len() as u64);
            let mut before = 0;
            for (at, value) in &scratch.odd {
                put_varint(out, (at - before) as u64);
                out.extend_from_slice(&value.to_bits().to_le_bytes());
                before = *at;
            }
            integers::encode(&scratch.integers, &mut scratch.residues, out);
        }
        None => {
            out.push(BITS);
            scratch.values.clear();
            scratch.values.extend(samples.iter().map(|s| s.value));
            let config = pco::ChunkConfig::default().with_compression_level(6);
            let packed = pco::standalone::simple_compress(&scratch.values, &config);
            let packed = packed.unwrap_or_default();
            put_varint(out, packed.len() as u64);
            out.extend_from_slice(&packed);
            if packed.is_empty() {
                scratch.values.iter().for_each(|v| out.extend(v.to_bits().to_le_bytes()));
            }
        }
    }
}

/// Makes integers of the values, and gives the digits after the point they share; none where too
/// many are no such number.
fn as_integers(samples: &[Sample], scratch: &mut Scratch) -> Option<u8> {
    let most = samples.len() / 8 + 2;
    let (mut exponent, mut odd, mut last) = (0, 0, None);
    for sample in samples {
        let value = sample.value;
        if decimal::mantissa(value, exponent).is_some() || Some(value.to_bits()) == last {
            continue;
        }
        last = Some(value.to_bits());
        match decimal::digits(value, exponent + 1) {
            Some(more) => exponent = more,
            None => odd += 1,
        }
        if odd > most {
            return None;
        }
    }
    scratch.odd.clear();
    scratch.integers.clear();
    let known = samples.iter().find_map(|s| decimal::mantissa(s.value, exponent));
    let mut before = known.unwrap_or(0);
    for (i, sample) in samples.iter().enumerate() {
        match decimal::mantissa(sample.value, exponent) {
            Some(integer) => before = integer,
            None => scratch.odd.push((i, sample.value)),
        }
        scratch.integers.push(before);
    }
    (scratch.odd.len() <= most).then_some(exponent)
}

/// Appends those of the `count` samples that lie in `range` to `into`; none where the bytes are no
/// such chunk, and then nothing is appended.
pub fn decode(
    mut bytes: &[u8],
    count: usize,
    range: &RangeInclusive<i64>,
    scratch: &mut Scratch,
    into: &mut Vec<Sample>,
) -> Option<()> {
    let from = &mut bytes;
    scratch.integers.clear();
    integers::decode(from, count, &mut scratch.integers)?;
    let times = &scratch.integers[..count];
    let low = times.partition_point(|at| at < range.start());
    let high = times.partition_point(|at| at <= range.end()).max(low);
    let (mode, rest) = from.split_first()?;
    *from = rest;
    if *mode == BITS {
        decode_bits(from, count, &mut scratch.values)?;
        let pairs = times[low..high].iter().zip(&scratch.values[low..high]);
        into.extend(pairs.map(|(&at, &value)| Sample { at, value }));
        return Some(());
    }
    let (&exponent, rest) = from.split_first()?;
    *from = rest;
    if *mode != DECIMAL || exponent > decimal::MOST {
        return None;
    }
    scratch.odd.clear();
    let mut at = 0;
    for _ in 0..take_varint(from)?.min(count as u64) {
        at += take_varint(from)? as usize;
        scratch.odd.push((at, f64::from_bits(take_u64(from)?)));
    }
    integers::decode(from, count, &mut scratch.integers)?;
    let (times, values) = scratch.integers.split_at(count);
    let start = into.len();
    let pairs = times[low..high].iter().zip(&values[low..high]);
    if exponent == 0 {
        into.extend(pairs.map(|(&at, &v)| Sample { at, value: v as f64 }));
    } else {
        into.extend(pairs.map(|(&at, &v)| Sample { at, value: decimal::number(v, exponent) }));
    }
    for (at, value) in &scratch.odd {
        if (low..high).contains(at) {
            into[start + at - low].value = *value;
        }
    }
    Some(())
}

fn decode_bits(from: &mut &[u8], count: usize, values: &mut Vec<f64>) -> Option<()> {
    let length = take_varint(from)? as usize;
    values.clear();
    if length == 0 {
        for _ in 0..count {
            values.push(f64::from_bits(take_u64(from)?));
        }
        return Some(());
    }
    values.resize(count, 0.0);
    let progress =
        pco::standalone::simple_decompress_into(take_bytes(from, length)?, values).ok()?;
    (progress.n_processed == count).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back(samples: &[Sample]) -> usize {
        let (mut out, mut got) = (Vec::new(), Vec::new());
        let mut scratch = Scratch::default();
        encode(samples, &mut scratch, &mut out);
        decode(&out, samples.len(), &(i64::MIN..=i64::MAX), &mut scratch, &mut got).unwrap();
        assert_eq!(got, samples);
        if let (Some(a), Some(b)) = (samples.get(1), samples.get(samples.len() / 2)) {
            got.clear();
            decode(&out, samples.len(), &(a.at..=b.at), &mut scratch, &mut got).unwrap();
            let kept: Vec<_> =
                samples.iter().filter(|s| (a.at..=b.at).contains(&s.at)).copied().collect();
            assert_eq!(got, kept);
        }
        out.len()
    }

    pub fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-100_000_i64..100_000, 0..5_i32).prop_map(|(m, e)| m as f64 / 10_f64.powi(e)),
            1 => Just(crate::STALE),
            1 => any::<f64>(),
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -f64::INFINITY, -0.0, 1e300]),
        ]
    }

    proptest! {
        #[test]
        fn samples_come_back(
            rows in prop::collection::vec((1..100_000_i64, value()), 0..200),
        ) {
            let mut at = 0;
            let samples: Vec<Sample> = rows.into_iter().map(|(step, value)| {
                at += step;
                Sample { at, value }
            }).collect();
            back(&samples);
        }

        #[test]
        fn random_bits_come_back(bits in prop::collection::vec(any::<u64>(), 0..100)) {
            let all = bits.iter().enumerate();
            back(&all.map(|(i, b)| Sample { at: i as i64, value: f64::from_bits(*b) })
                .collect::<Vec<_>>());
        }

        #[test]
        fn other_bytes_are_no_chunk(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut scratch = Scratch::default();
            let _ = decode(&bytes, 50, &(0..=9), &mut scratch, &mut Vec::new());
        }
    }
}

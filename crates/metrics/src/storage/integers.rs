//! A column of integers in few bytes: what a line, the step before or the two steps before do not
//! foretell, divided by what all share, packed or Rice coded in groups. It knows no samples.

use super::bits::{BitReader, BitWriter, put_varint, take_varint, unzigzag, zigzag};

/// Numbers that share a width. One byte each group says how it is written.
const GROUP: usize = 64;
/// Headers from here on mean Rice coding with the parameter above it.
const RICE: u8 = 65;
/// So many ones say that the number follows whole.
const ESCAPE: u32 = 24;

/// What foretells a number.
const LINE: u8 = 0;
const STEP: u8 = 1;
// 2 is the two steps before.
/// Nothing is left over after the line.
const EXACT: u8 = 3;

/// Appends a column. The number of values is not written.
pub fn encode(values: &[i64], scratch: &mut Vec<u64>, out: &mut Vec<u8>) {
    let Some(&first) = values.first() else { return };
    let shared = divisor(values);
    let scaled = |i: usize| values[i].wrapping_sub(first).wrapping_div(shared);
    let steps = values.len() as i64 - 1;
    let slope = if steps == 0 {
        0
    } else {
        let last = i128::from(scaled(values.len() - 1));
        (last * 2 + i128::from(steps)).div_euclid(i128::from(steps) * 2) as i64
    };
    let mut cost = [0_u64; 3];
    for_each(values, first, shared, slope, |left| {
        for (sum, left) in cost.iter_mut().zip(left) {
            *sum += u64::from(64 - left.leading_zeros());
        }
    });
    let mut order = (0..3).min_by_key(|o| cost[*o]).unwrap_or(0);
    scratch.clear();
    for_each(values, first, shared, slope, |left| scratch.push(left[order]));
    if cost[0] == 0 {
        order = usize::from(EXACT);
    }
    out.push(order as u8);
    put_varint(out, zigzag(first));
    put_varint(out, shared as u64);
    put_varint(out, zigzag(slope));
    if order != usize::from(EXACT) {
        let mut writer = BitWriter::new(out);
        scratch[1..].chunks(GROUP).for_each(|group| put_group(group, &mut writer));
        writer.finish();
    }
}

/// What each way of foretelling leaves over, for each value.
fn for_each(values: &[i64], first: i64, shared: i64, slope: i64, mut see: impl FnMut([u64; 3])) {
    let (mut before, mut step, mut line) = (0_i64, slope, 0_i64);
    for (i, value) in values.iter().enumerate() {
        let mut scaled = value.wrapping_sub(first);
        if shared != 1 {
            scaled = scaled.wrapping_div(shared);
        }
        let this = if i == 0 { slope } else { scaled.wrapping_sub(before) };
        see([
            zigzag(scaled.wrapping_sub(line)),
            zigzag(this.wrapping_sub(slope)),
            zigzag(this.wrapping_sub(step)),
        ]);
        (before, step) = (scaled, this);
        line = line.wrapping_add(slope);
    }
}

/// The largest number that divides the distance of each from the first; at least 1.
fn divisor(values: &[i64]) -> i64 {
    let mut shared = 0_u64;
    for value in values {
        let Some(distance) = value.checked_sub(values[0]) else { return 1 };
        let (mut a, mut b) = (shared, distance.unsigned_abs());
        if b == 0 {
            continue;
        }
        while a != 0 {
            (a, b) = (b % a, a);
        }
        shared = b;
        if shared == 1 {
            return 1;
        }
    }
    i64::try_from(shared).unwrap_or(1).max(1)
}

fn put_group(group: &[u64], writer: &mut BitWriter) {
    let all = group.iter().fold(0, |all, v| all | v);
    let width = 64 - all.leading_zeros();
    let packed = group.len() as u64 * u64::from(width);
    let sum: u128 = group.iter().map(|v| u128::from(*v)).sum();
    let mean = (sum / group.len() as u128) as u64;
    let guess = 63 - (mean | 1).leading_zeros();
    let tried = guess.saturating_sub(1)..=(guess + 1).min(56);
    let rice = tried.map(|k| (rice_cost(group, k), k)).min();
    match rice {
        Some((cost, k)) if cost < packed => {
            writer.put(u64::from(RICE) + u64::from(k), 8);
            for &value in group {
                let ones = value >> k;
                if ones < u64::from(ESCAPE) {
                    writer.put((1 << ones) - 1, ones as u32 + 1);
                    writer.put(value & ((1 << k) - 1), k);
                } else {
                    writer.put((1 << ESCAPE) - 1, ESCAPE);
                    writer.put(value, 64);
                }
            }
        }
        _ => {
            writer.put(u64::from(width), 8);
            group.iter().for_each(|value| writer.put(*value, width));
        }
    }
}

fn rice_cost(group: &[u64], k: u32) -> u64 {
    let escaped = u64::from(ESCAPE) + 64;
    group
        .iter()
        .map(|v| match v >> k {
            ones if ones < u64::from(ESCAPE) => ones + 1 + u64::from(k),
            _ => escaped,
        })
        .sum()
}

/// Takes a column of `count` values off the front of `from` and appends them to `out`; none where
/// the bytes are not a column of that many.
pub fn decode(from: &mut &[u8], count: usize, out: &mut Vec<i64>) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let (&order, mut rest) = from.split_first()?;
    if order > EXACT {
        return None;
    }
    let first = unzigzag(take_varint(&mut rest)?);
    let shared = take_varint(&mut rest)? as i64;
    let slope = unzigzag(take_varint(&mut rest)?);
    let start = out.len();
    if order == EXACT {
        let mut value = first;
        let step = slope.wrapping_mul(shared);
        out.resize_with(start + count, || {
            let this = value;
            value = value.wrapping_add(step);
            this
        });
        *from = rest;
        return Some(());
    }
    out.reserve(count);
    out.push(first);
    let mut reader = BitReader::new(rest);
    let mut sum = Summing { order, shared, slope, first, line: 0, step: slope, value: 0 };
    let mut left = count - 1;
    let mut group = [0_u64; GROUP];
    while left > 0 {
        let size = left.min(GROUP);
        take_group(&mut reader, &mut group[..size])?;
        sum.extend(&group[..size], out);
        left -= size;
    }
    *from = reader.rest();
    (!reader.is_past_end()).then_some(())
}

fn take_group(reader: &mut BitReader, group: &mut [u64]) -> Option<()> {
    let header = reader.take(8) as u8;
    match header {
        0 => group.fill(0),
        1..=64 => group.iter_mut().for_each(|v| *v = reader.take(u32::from(header))),
        _ => {
            let k = u32::from(header - RICE);
            if k > 56 {
                return None;
            }
            for value in group {
                let ones = reader.take_ones(ESCAPE);
                *value = if ones == ESCAPE {
                    reader.take(64)
                } else {
                    u64::from(ones) << k | reader.take(k)
                };
            }
        }
    }
    Some(())
}

/// Turns what is left over back into values.
struct Summing {
    order: u8,
    shared: i64,
    slope: i64,
    first: i64,
    line: i64,
    step: i64,
    value: i64,
}

impl Summing {
    fn extend(&mut self, group: &[u64], out: &mut Vec<i64>) {
        let (first, shared, slope) = (self.first, self.shared, self.slope);
        match self.order {
            LINE => out.extend(group.iter().map(|left| {
                self.line = self.line.wrapping_add(slope);
                let value = self.line.wrapping_add(unzigzag(*left));
                first.wrapping_add(value.wrapping_mul(shared))
            })),
            STEP => out.extend(group.iter().map(|left| {
                let step = slope.wrapping_add(unzigzag(*left));
                self.value = self.value.wrapping_add(step);
                first.wrapping_add(self.value.wrapping_mul(shared))
            })),
            // What is left is STEPS.
            _ => out.extend(group.iter().map(|left| {
                self.step = self.step.wrapping_add(unzigzag(*left));
                self.value = self.value.wrapping_add(self.step);
                first.wrapping_add(self.value.wrapping_mul(shared))
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back(values: &[i64]) -> usize {
        let (mut out, mut got) = (Vec::new(), Vec::new());
        encode(values, &mut Vec::new(), &mut out);
        let length = out.len();
        out.push(77);
        let mut from = &out[..];
        decode(&mut from, values.len(), &mut got).unwrap();
        assert_eq!(got, values);
        assert_eq!(from, [77]);
        length
    }

    proptest! {
        #[test]
        fn columns_come_back(
            start in any::<i64>(),
            steps in prop::collection::vec(prop_oneof![
                8 => -1000_i64..1000, 2 => Just(0), 1 => any::<i64>()], 0..300),
            factor in prop_oneof![Just(1), Just(4096), any::<i64>()],
        ) {
            let mut value = start;
            let values: Vec<i64> = steps.iter().map(|step| {
                value = value.wrapping_add(step.wrapping_mul(factor));
                value
            }).collect();
            back(&values);
        }

        #[test]
        fn other_bytes_are_no_column(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&mut &bytes[..], 100, &mut Vec::new());
        }
    }

    #[test]
    fn what_is_regular_is_tiny() {
        assert!(back(&[5; 1000]) < 8);
        assert!(back(&(0..1000).map(|i| 1_700_000_000_000 + i * 15_000).collect::<Vec<_>>()) < 16);
        let shared: Vec<i64> = (0..1000).map(|i| (i * i * 7 % 16) * 4096).collect();
        assert!(back(&shared) < 700, "4 bits each");
        back(&[i64::MIN, i64::MAX, 0, i64::MIN]);
    }
}

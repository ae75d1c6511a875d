//! Varints, zigzag and a bit stream, least significant bit first. It knows nothing of samples.

/// Appends a number in groups of seven bits.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front, or none where the bytes end or it is too long.
#[inline]
pub fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let (first, rest) = from.split_first()?;
    if *first < 0x80 {
        *from = rest;
        return Some(u64::from(*first));
    }
    if let Some((second, rest)) = rest.split_first()
        && *second < 0x80
    {
        *from = rest;
        return Some(u64::from(*first & 0x7f) | u64::from(*second) << 7);
    }
    take_long_varint(from)
}

fn take_long_varint(from: &mut &[u8]) -> Option<u64> {
    let bytes = *from;
    let mut value = 0;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            *from = &bytes[i + 1..];
            return Some(value);
        }
    }
    None
}

/// Takes so many bytes off the front.
pub fn take_bytes<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

/// Takes eight bytes off the front as a number.
pub fn take_u64(from: &mut &[u8]) -> Option<u64> {
    let bytes = take_bytes(from, 8)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Small numbers of either sign to small numbers.
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends bits to bytes.
pub struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    /// Goes on after what `out` holds.
    pub fn new(out: &'a mut Vec<u8>) -> BitWriter<'a> {
        BitWriter { out, held: 0, count: 0 }
    }

    /// The low `bits` of `value`; those above must be zero.
    pub fn put(&mut self, value: u64, bits: u32) {
        if bits == 0 {
            return;
        }
        self.held |= value << self.count;
        let total = self.count + bits;
        if total < 64 {
            self.count = total;
            return;
        }
        self.out.extend_from_slice(&self.held.to_le_bytes());
        let used = 64 - self.count;
        self.held = if used == 64 { 0 } else { value >> used };
        self.count = total - 64;
    }

    /// Writes what is held, filled up to a whole byte.
    pub fn finish(self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.held.to_le_bytes()[..bytes]);
    }
}

/// Reads what [`BitWriter`] wrote; past the end it reads zeros.
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// From the first bit.
    pub fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    /// At least 57 bits from here on, the next one lowest.
    #[inline]
    fn window(&self) -> u64 {
        let byte = self.at >> 3;
        let word = match self.bytes.get(byte..byte + 8) {
            Some(eight) => u64::from_le_bytes(eight.try_into().unwrap_or_default()),
            None => self.tail(byte),
        };
        word >> (self.at & 7)
    }

    #[cold]
    fn tail(&self, byte: usize) -> u64 {
        let mut word = [0; 8];
        let rest = self.bytes.get(byte..).unwrap_or_default();
        let length = rest.len().min(8);
        word[..length].copy_from_slice(&rest[..length]);
        u64::from_le_bytes(word)
    }

    /// The next `bits`, at most 64.
    #[inline]
    pub fn take(&mut self, bits: u32) -> u64 {
        if bits > 56 {
            let low = self.take(32);
            return low | self.take(bits - 32) << 32;
        }
        let value = self.window() & ((1 << bits) - 1);
        self.at += bits as usize;
        value
    }

    /// How many ones come next, at most `most`, which is at most 56; takes them and the zero that
    /// ends them, which is not there after `most` ones.
    #[inline]
    pub fn take_ones(&mut self, most: u32) -> u32 {
        let ones = self.window().trailing_ones().min(most);
        self.at += (ones + u32::from(ones < most)) as usize;
        ones
    }

    /// Whether more was read than there is.
    pub fn is_past_end(&self) -> bool {
        self.at > self.bytes.len() * 8
    }

    /// The bytes after the last one begun.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at.div_ceil(8)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_come_back(values in prop::collection::vec((any::<u64>(), 0u32..=64), 0..100)) {
            let mut out = Vec::new();
            let mut writer = BitWriter::new(&mut out);
            let cut = |v: u64, bits: u32| if bits == 64 { v } else { v & ((1 << bits) - 1) };
            for &(value, bits) in &values {
                writer.put(cut(value, bits), bits);
            }
            writer.finish();
            let mut reader = BitReader::new(&out);
            for &(value, bits) in &values {
                prop_assert_eq!(reader.take(bits), cut(value, bits));
            }
            prop_assert!(!reader.is_past_end());
        }

        #[test]
        fn numbers_come_back(value in any::<u64>(), signed in any::<i64>()) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut from = &out[..];
            prop_assert_eq!(take_varint(&mut from), Some(value));
            prop_assert!(from.is_empty());
            prop_assert_eq!(take_varint(&mut &out[..out.len() - 1]), None);
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }
    }
}

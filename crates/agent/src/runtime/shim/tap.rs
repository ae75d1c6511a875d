//! What the output of work that is done once goes through before it becomes a log: secrets are
//! masked, and only its beginning and its end are kept. What is left out between them is counted,
//! so that nobody waits for it.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fs;

use super::log::file;
use super::mask::Mask;
use crate::runtime::orders::Orders;
use crate::runtime::place::Place;

/// What stands before the log of these orders; nothing, where the work is not done once.
pub fn before(orders: &Orders, secrets: &BTreeMap<String, String>, place: &Place) -> Option<Tap> {
    let once = orders.once.as_ref()?;
    let before = fs::metadata(file(&place.log(), 0)).map_or(0, |meta| meta.len());
    Some(Tap::new(secrets.values().map(String::as_str), once.log_bound, before))
}

/// The most of the end that is held back, in memory, until the end is known.
const LONGEST_TAIL: u64 = 1 << 20;

/// Stands between a pipe and a log.
pub struct Tap {
    mask: Mask,
    /// Bytes of the beginning that may still be written.
    left: u64,
    /// The end as far as it is known: what came last after the beginning.
    tail: VecDeque<u8>,
    /// So long it may be.
    room: usize,
    bound: u64,
    dropped: u64,
}

impl Tap {
    /// Lets so many bytes through in all, less those that were before: three quarters of them at
    /// once, as the beginning, and a quarter, but no more than a mebibyte, at the end.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>, bound: u64, before: u64) -> Tap {
        let tail = (bound / 4).min(LONGEST_TAIL);
        let room = usize::try_from(tail.min(bound.saturating_sub(before))).unwrap_or(0);
        let left = (bound - tail).saturating_sub(before);
        Tap { mask: Mask::new(values), left, tail: VecDeque::new(), room, bound, dropped: 0 }
    }

    /// What is to be written of the next piece.
    pub fn take<'a>(&mut self, data: &'a [u8]) -> Cow<'a, [u8]> {
        let masked = self.mask.take(data);
        self.bounded(masked)
    }

    /// Whether nothing is kept back.
    pub fn is_clear(&self) -> bool {
        self.mask.is_clear() && self.tail.is_empty()
    }

    /// What is to be written at the end.
    pub fn finish(&mut self) -> Vec<u8> {
        let masked = self.mask.finish();
        let mut last = self.bounded(masked).into_owned();
        if self.dropped > 0 {
            let (dropped, bound) = (self.dropped, self.bound);
            let note = format!("\n[… {dropped} bytes left out here: the limit is {bound} …]\n");
            last.extend_from_slice(note.as_bytes());
            self.dropped = 0;
        }
        last.extend(self.tail.drain(..));
        last
    }

    fn bounded(&mut self, mut data: Vec<u8>) -> Cow<'static, [u8]> {
        let fits = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
        self.left -= fits as u64;
        self.hold_back(&data[fits..]);
        data.truncate(fits);
        Cow::Owned(data)
    }

    fn hold_back(&mut self, data: &[u8]) {
        let kept = &data[data.len().saturating_sub(self.room)..];
        let gone = (self.tail.len() + kept.len()).saturating_sub(self.room);
        self.tail.drain(..gone);
        self.tail.extend(kept);
        self.dropped += (gone + data.len() - kept.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept_and_the_rest_is_counted() {
        let mut tap = Tap::new(["password"], 12, 2);
        assert_eq!(&*tap.take(b"a password"), b"a ***");
        assert!(tap.is_clear());
        assert_eq!(&*tap.take(b"12345"), b"12");
        assert!(!tap.is_clear(), "what is held back is in no file yet");
        assert_eq!(&*tap.take(b"67890"), b"");
        let last = String::from_utf8(tap.finish()).unwrap();
        assert_eq!(last, "\n[… 5 bytes left out here: the limit is 12 …]\n890");
        assert_eq!(tap.finish(), b"");
    }

    #[test]
    fn what_is_within_the_bound_is_whole_and_what_is_not_stays_within() {
        for (pieces, size) in [(16, 64), (17, 64), (1, 1024), (1, 1025), (1000, 1), (3, 5000)] {
            let mut tap = Tap::new([], 1024, 0);
            let all: Vec<u8> = (0..pieces * size).map(|at| b'a' + (at % 26) as u8).collect();
            let mut kept = Vec::new();
            for piece in all.chunks(size) {
                kept.extend_from_slice(&tap.take(piece));
                assert!(tap.tail.len() <= 256, "bounded in memory");
            }
            kept.extend(tap.finish());
            if all.len() <= 1024 {
                assert_eq!(kept, all);
                continue;
            }
            assert!(kept.starts_with(&all[..768]) && kept.ends_with(&all[all.len() - 256..]));
            let left_out = format!("[… {} bytes left out", all.len() - 1024);
            assert!(String::from_utf8(kept).unwrap().contains(&left_out));
        }
    }

    #[test]
    fn a_long_log_holds_back_no_more_than_a_mebibyte() {
        let tap = Tap::new([], 31 << 20, 0);
        assert_eq!((tap.left, tap.room), (30 << 20, 1 << 20));
        assert_eq!(Tap::new([], 100, 90).left, 0);
        assert_eq!(Tap::new([], 100, 90).room, 10, "what was before counts");
    }
}

//! What the output of work that is done once goes through before it becomes a log: secrets are
//! masked, and only so much is kept. What comes after is counted, so that nobody waits for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
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

/// Stands between a pipe and a log.
pub struct Tap {
    mask: Mask,
    /// Bytes that may still be kept.
    left: u64,
    bound: u64,
    dropped: u64,
}

impl Tap {
    /// Lets so many bytes through, less those that were before.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>, bound: u64, before: u64) -> Tap {
        Tap { mask: Mask::new(values), left: bound.saturating_sub(before), bound, dropped: 0 }
    }

    /// What is to be written of the next piece.
    pub fn take<'a>(&mut self, data: &'a [u8]) -> Cow<'a, [u8]> {
        if self.left == 0 {
            self.dropped += data.len() as u64;
            return Cow::Borrowed(&[]);
        }
        let masked = self.mask.take(data);
        self.bounded(masked)
    }

    /// Whether nothing is kept back.
    pub fn is_clear(&self) -> bool {
        self.mask.is_clear()
    }

    /// What is to be written at the end.
    pub fn finish(&mut self) -> Vec<u8> {
        let masked = self.mask.finish();
        let mut last = self.bounded(masked).into_owned();
        if self.dropped > 0 {
            let (dropped, bound) = (self.dropped, self.bound);
            let note = format!("\n[{dropped} more bytes were not kept: the limit is {bound}]\n");
            last.extend_from_slice(note.as_bytes());
            self.dropped = 0;
        }
        last
    }

    fn bounded(&mut self, mut data: Vec<u8>) -> Cow<'static, [u8]> {
        let fits = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
        self.dropped += (data.len() - fits) as u64;
        self.left -= fits as u64;
        data.truncate(fits);
        Cow::Owned(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_kept_and_the_rest_is_counted() {
        let mut tap = Tap::new(["password"], 10, 2);
        assert_eq!(&*tap.take(b"a password"), b"a ***");
        assert_eq!(&*tap.take(b"12345"), b"123");
        assert_eq!(&*tap.take(b"67890"), b"");
        let last = String::from_utf8(tap.finish()).unwrap();
        assert_eq!(last, "\n[7 more bytes were not kept: the limit is 10]\n");
        assert_eq!(tap.finish(), b"");
    }
}

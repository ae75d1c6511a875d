//! Messages that wait on disk for a server that is away: a file each, sent in order, the oldest
//! given up where they take too much room. It does not know what is in them.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// Files in a directory, in order.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    waiting: VecDeque<(u64, u64)>,
    next: u64,
    bytes: u64,
    most: u64,
    lost: u64,
}

impl Spool {
    /// Opens the directory; what waited there waits on.
    ///
    /// # Errors
    /// It cannot be made or read.
    pub fn open(dir: &Path, most: u64) -> io::Result<Spool> {
        std::fs::create_dir_all(dir)?;
        let mut waiting = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            if let Some(number) = number {
                waiting.push((number, entry.metadata()?.len()));
            }
        }
        waiting.sort_unstable();
        let bytes = waiting.iter().map(|(_, size)| size).sum();
        let next = waiting.last().map_or(0, |(number, _)| number + 1);
        let waiting = waiting.into();
        Ok(Spool { dir: dir.to_owned(), waiting, next, bytes, most, lost: 0 })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:020}"))
    }

    /// Adds a message at the end; makes room by giving up the oldest.
    ///
    /// # Errors
    /// It cannot be written; it is counted as lost.
    pub fn push(&mut self, message: &[u8]) -> io::Result<()> {
        let size = message.len() as u64;
        while self.bytes + size > self.most && !self.waiting.is_empty() {
            self.lost += 1;
            self.pop();
        }
        let number = self.next;
        self.next += 1;
        if let Err(error) = std::fs::write(self.path(number), message) {
            self.lost += 1;
            // Half a file would be sent as it is.
            let _ = std::fs::remove_file(self.path(number));
            return Err(error);
        }
        self.waiting.push_back((number, size));
        self.bytes += size;
        Ok(())
    }

    /// The oldest message and its number; one that cannot be read is given up.
    pub fn first(&mut self) -> Option<(u64, Vec<u8>)> {
        while let Some((number, _)) = self.waiting.front().copied() {
            match std::fs::read(self.path(number)) {
                Ok(message) => return Some((number, message)),
                Err(_) => {
                    self.lost += 1;
                    self.pop();
                }
            }
        }
        None
    }

    /// The message of this number is done with, if it still waits.
    pub fn done(&mut self, number: u64) {
        if self.waiting.front().is_some_and(|(first, _)| *first == number) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((number, size)) = self.waiting.pop_front() {
            self.bytes -= size;
            // One that stays is sent again after a restart, and taken as known there.
            let _ = std::fs::remove_file(self.path(number));
        }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Messages that were given up.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_wait_in_order_and_the_oldest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), 8).unwrap();
        for message in [b"aaaa", b"bbbb", b"cccc"] {
            spool.push(message).unwrap();
        }
        assert_eq!((spool.lost(), spool.bytes()), (1, 8));
        drop(spool);
        let mut spool = Spool::open(dir.path(), 8).unwrap();
        let (number, message) = spool.first().unwrap();
        assert_eq!(message, b"bbbb");
        spool.done(number);
        spool.done(number);
        assert_eq!(spool.first().unwrap().1, b"cccc");
        spool.push(b"dddd").unwrap();
        assert_eq!((spool.lost(), spool.bytes()), (0, 8));
    }
}

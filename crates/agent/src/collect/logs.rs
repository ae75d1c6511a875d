//! Counting what instances write: lines by level, and lines of errors by what they say. It reads
//! the files as they grow, at a bounded cost, and never holds up who writes them.

mod cluster;
pub mod level;
mod mask;

use std::collections::BTreeMap;
use std::path::Path;

use super::host::Put;
use super::roster::Roster;
use crate::sessions::logs::Reader;
use cluster::Clusters;
use level::Level;

/// Bytes of one look at one log whose lines are understood,
const UNDERSTOOD: usize = 256 << 10;
/// and those whose lines are counted; the rest is skipped.
const COUNTED: usize = 4 << 20;
const PIECE: usize = 64 << 10;
/// A line longer than this is judged by what comes before.
const LONGEST: usize = 8 << 10;

/// The logs of all instances.
#[derive(Default)]
pub struct Logs {
    known: BTreeMap<String, Counter>,
    piece: Vec<u8>,
    /// Whether instances that are found now have come while we look.
    begun: bool,
}

impl Logs {
    /// Reads on, in all of them. What was there before the agent was started is not counted.
    pub fn look(&mut self, roster: &Roster) {
        self.known.retain(|name, _| roster.instances.contains_key(name));
        self.piece.resize(PIECE, 0);
        for (name, seen) in &roster.instances {
            let begun = self.begun;
            let counter = self
                .known
                .entry(name.clone())
                .or_insert_with(|| Counter::open(&seen.place.log(), begun));
            counter.look(&mut self.piece);
        }
        self.begun = true;
    }

    /// Tells what has been counted of one instance.
    pub fn put(&self, name: &str, put: &mut Put<'_>) {
        if let Some(counter) = self.known.get(name) {
            counter.put(put);
        }
    }
}

/// What has been counted of one log.
struct Counter {
    reader: Reader,
    bytes: u64,
    lines: [u64; Level::ALL.len()],
    /// Lines that were counted and not understood, as there were too many.
    unread: u64,
    skipped: u64,
    behind: bool,
    errors: Clusters,
    /// The beginning of a line whose end has not been written.
    rest: Vec<u8>,
    /// Whether the line it belongs to has been counted.
    cut: bool,
}

impl Counter {
    fn open(dir: &Path, from_start: bool) -> Counter {
        Counter {
            reader: Reader::open(dir, (!from_start).then_some(0), None),
            bytes: 0,
            lines: [0; Level::ALL.len()],
            unread: 0,
            skipped: 0,
            behind: false,
            errors: Clusters::default(),
            rest: Vec::new(),
            cut: false,
        }
    }

    fn look(&mut self, piece: &mut [u8]) {
        let mut read = 0;
        loop {
            // A log that cannot be read has nothing to count; the next look tries again.
            let count = self.reader.read_into(piece).unwrap_or(0);
            self.bytes += count as u64;
            if count == 0 {
                break;
            }
            if read < UNDERSTOOD {
                self.understand(&piece[..count]);
            } else {
                self.count(&piece[..count]);
            }
            read += count;
            if read >= COUNTED {
                let skipped = self.reader.skip();
                self.bytes += skipped;
                self.skipped += skipped;
                break;
            }
        }
        self.behind = read > UNDERSTOOD;
    }

    fn understand(&mut self, mut data: &[u8]) {
        while let Some(end) = data.iter().position(|b| *b == b'\n') {
            let (line, rest) = (&data[..end], &data[end + 1..]);
            if std::mem::take(&mut self.cut) {
                // Its beginning has been counted.
            } else if self.rest.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.line(&whole);
                whole.clear();
                self.rest = whole;
            }
            data = rest;
        }
        if !self.cut {
            self.rest.extend_from_slice(data);
            if self.rest.len() > LONGEST {
                let whole = std::mem::take(&mut self.rest);
                self.line(&whole);
                self.cut = true;
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let line = &line[..line.len().min(LONGEST)];
        let level = level::detect(line);
        self.lines[level as usize] += 1;
        if level >= Level::Error {
            self.errors.count(&mask::mask(&level::message(line)));
        }
    }

    fn count(&mut self, data: &[u8]) {
        self.rest.clear();
        self.unread += data.iter().filter(|b| **b == b'\n').count() as u64;
        self.cut = !data.ends_with(b"\n");
    }

    fn put(&self, put: &mut Put<'_>) {
        for (level, count) in Level::ALL.into_iter().zip(self.lines) {
            put("atoll_instance_log_lines_total", &[("level", level.name())], count as f64);
        }
        put("atoll_instance_log_lines_total", &[("level", "unread")], self.unread as f64);
        put("atoll_instance_log_bytes_total", &[], self.bytes as f64);
        put("atoll_instance_log_skipped_bytes_total", &[], self.skipped as f64);
        put("atoll_instance_log_behind", &[], f64::from(u8::from(self.behind)));
        for (template, id, count) in self.errors.all() {
            let labels = [("template", template), ("template_id", id)];
            put("atoll_instance_log_errors_total", &labels, count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_model::Timestamp;

    use super::*;
    use crate::collect::host::tests::told;
    use crate::runtime::shim::log::Log;

    fn stage(size: u64) -> (tempfile::TempDir, Log, Counter) {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(dir.path(), size, 3);
        let counter = Counter::open(dir.path(), true);
        (dir, log, counter)
    }

    #[test]
    fn lines_are_counted_as_they_come_in_pieces() {
        let (_dir, mut log, mut counter) = stage(1 << 20);
        let mut piece = vec![0; 64];
        for text in ["ERROR no route to 10.0.0.1:80", " now\nIN", "FO fine\n\n", "plain\nERROR"] {
            log.write(text.as_bytes(), Timestamp(1));
            counter.look(&mut piece);
        }
        log.write(b" no route to 10.0.0.2:81 now\n", Timestamp(2));
        counter.look(&mut piece);
        let lines = told(|put| counter.put(put));
        for line in [
            "atoll_instance_log_lines_total{level=error} 2",
            "atoll_instance_log_lines_total{level=info} 1",
            "atoll_instance_log_lines_total{level=unknown} 1",
            "atoll_instance_log_lines_total{level=unread} 0",
            "atoll_instance_log_bytes_total{} 85",
            "atoll_instance_log_behind{} 0",
        ] {
            assert!(lines.iter().any(|l| l == line), "no {line} in {lines:#?}");
        }
        let errors: Vec<&String> = lines.iter().filter(|l| l.contains("errors_total")).collect();
        assert_eq!(errors.len(), 1, "one template: {errors:?}");
        assert!(errors[0].contains("ERROR no route to <ip> now") && errors[0].ends_with("} 2"));
    }

    #[test]
    fn a_flood_is_counted_then_skipped_and_said_so() {
        let (_dir, mut log, mut counter) = stage(64 << 20);
        let line = format!("ERROR {}\n", "x".repeat(93));
        let flood = line.repeat(80_000);
        log.write(flood.as_bytes(), Timestamp(1));
        let mut piece = vec![0; PIECE];
        counter.look(&mut piece);
        assert!(counter.behind && counter.unread > 30_000, "{}", counter.unread);
        assert!((2600..=2650).contains(&counter.lines[Level::Error as usize]));
        assert_eq!(counter.bytes, flood.len() as u64);
        assert_eq!(counter.skipped, flood.len() as u64 - COUNTED as u64);
        log.write(b"rest\nWARN calm again\n", Timestamp(2));
        counter.look(&mut piece);
        assert!(!counter.behind);
        assert_eq!(counter.lines[Level::Warn as usize], 1);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let (_dir, mut log, mut counter) = stage(64 << 20);
        let mut piece = vec![0; PIECE];
        for _ in 0..10 {
            log.write(&vec![b'x'; 100_000], Timestamp(1));
            counter.look(&mut piece);
            assert!(counter.rest.len() <= LONGEST + PIECE);
        }
        log.write(b"\nERROR after\n", Timestamp(1));
        counter.look(&mut piece);
        assert_eq!(counter.lines.iter().sum::<u64>(), 2);
    }
}

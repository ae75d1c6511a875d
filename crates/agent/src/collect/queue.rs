//! Messages kept on the disk while no server takes them: a queue of bounded size in files, that
//! survives the agent. It does not look into the messages, and never fails: what cannot be kept is
//! counted.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::outbox::Batch;

/// Bytes before each message: its length, its samples, and a check of all.
const HEADER: usize = 16;
/// No message is longer; a length beyond it is damage.
const LONGEST: u32 = 64 << 20;

/// The queue.
pub struct Queue {
    dir: PathBuf,
    /// Bytes of all files at most.
    limit: u64,
    /// Another file is begun from this size on.
    segment: u64,
    segments: VecDeque<Segment>,
    /// Where reading goes on in the first file.
    read_at: u64,
    /// The last file, while it is written to.
    writer: Option<File>,
    next: u64,
    dropped: u64,
}

/// One file.
#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    /// Samples that have not been read.
    samples: u64,
}

impl Queue {
    /// Opens what an earlier agent left in `dir`. Where that cannot be made, nothing is kept.
    pub fn open(dir: &Path, limit: u64) -> Queue {
        if let Err(error) = fs::create_dir_all(dir) {
            tracing::warn!(dir = %dir.display(), %error, "no metrics are kept through an outage");
        }
        let mut queue = Queue {
            dir: dir.to_owned(),
            limit,
            segment: (limit / 32).max(4096),
            segments: VecDeque::new(),
            read_at: 0,
            writer: None,
            next: 1,
            dropped: 0,
        };
        queue.find();
        queue
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum::<u64>().saturating_sub(self.read_at)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Samples lost since this was asked last: for want of room, or damaged on the disk.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Adds a message; the oldest go where there is no room.
    pub fn push(&mut self, batch: &Batch) {
        let frame = frame(batch);
        while !self.segments.is_empty()
            && self.bytes() + self.read_at + frame.len() as u64 > self.limit
        {
            self.drop_oldest();
        }
        if self.append(&frame, batch.samples).is_ok() {
            return;
        }
        // The disk may be full, and of all that is on it, this is ours to give.
        self.drop_oldest();
        if let Err(error) = self.append(&frame, batch.samples) {
            tracing::debug!(%error, "metrics could not be kept");
            self.dropped += u64::from(batch.samples);
        }
    }

    /// The oldest message; it stays until [`Queue::advance`].
    pub fn peek(&mut self) -> Option<Batch> {
        loop {
            let first = self.segments.front()?;
            if self.read_at >= first.bytes {
                if self.is_empty() {
                    self.remove_first();
                    return None;
                }
                self.remove_first();
                continue;
            }
            match self.read_first() {
                Ok(batch) => return Some(batch),
                Err(error) => {
                    let file = self.path(first.number);
                    let samples = first.samples;
                    tracing::warn!(file = %file.display(), %error, "kept metrics are damaged");
                    self.dropped += samples;
                    self.remove_first();
                }
            }
        }
    }

    /// The oldest message has been taken care of.
    pub fn advance(&mut self, batch: &Batch) {
        let Some(first) = self.segments.front_mut() else { return };
        first.samples = first.samples.saturating_sub(u64::from(batch.samples));
        self.read_at += (HEADER + batch.body.len()) as u64;
        if self.read_at >= first.bytes {
            self.remove_first();
        } else {
            self.note_position();
        }
    }

    fn append(&mut self, frame: &[u8], samples: u32) -> io::Result<()> {
        let full = self.segments.back().is_some_and(|last| last.bytes >= self.segment);
        if self.writer.is_none() || full {
            let number = self.next;
            let options =
                File::options().create(true).truncate(true).write(true).mode(0o600).clone();
            self.writer = None;
            self.writer = Some(options.open(self.path(number))?);
            self.next += 1;
            self.segments.push_back(Segment { number, bytes: 0, samples: 0 });
        }
        let (Some(writer), Some(last)) = (&self.writer, self.segments.back_mut()) else {
            return Ok(());
        };
        // At its place, so that half of one that failed is overwritten.
        let written = writer.write_all_at(frame, last.bytes);
        match written {
            Ok(()) => {
                last.bytes += frame.len() as u64;
                last.samples += u64::from(samples);
            }
            Err(_) => drop(writer.set_len(last.bytes)),
        }
        written
    }

    fn read_first(&self) -> io::Result<Batch> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a message is not as written");
        let first = self.segments.front().ok_or_else(damaged)?;
        let file = File::open(self.path(first.number))?;
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, self.read_at)?;
        let (length, samples) = lengths(&header);
        if u64::from(length) + self.read_at + HEADER as u64 > first.bytes {
            return Err(damaged());
        }
        let mut body = vec![0; length as usize];
        file.read_exact_at(&mut body, self.read_at + HEADER as u64)?;
        let batch = Batch { body: body.into(), samples };
        if frame(&batch)[..HEADER] != header {
            return Err(damaged());
        }
        Ok(batch)
    }

    fn drop_oldest(&mut self) {
        if let Some(first) = self.segments.front() {
            self.dropped += first.samples;
            self.remove_first();
        }
    }

    fn remove_first(&mut self) {
        let Some(first) = self.segments.pop_front() else { return };
        if self.segments.is_empty() {
            self.writer = None;
        }
        // What stays behind is seen as read by the note of the position.
        let _ = fs::remove_file(self.path(first.number));
        self.read_at = 0;
        self.note_position();
    }

    /// Notes how far it has been read. A note that is lost costs messages sent twice, no more.
    fn note_position(&self) {
        let number = self.segments.front().map_or(self.next, |first| first.number);
        let mut note = [number.to_le_bytes(), self.read_at.to_le_bytes()].concat();
        note.extend(check(&[&note]));
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).clone();
        let _ = file.open(self.dir.join("position")).and_then(|f| f.write_all_at(&note, 0));
    }

    fn position(&self) -> Option<(u64, u64)> {
        let note = fs::read(self.dir.join("position")).ok()?;
        let (note, sum) = note.split_at_checked(16)?;
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        (check(&[note]) == *sum).then(|| (number(&note[..8]), number(&note[8..])))
    }

    fn find(&mut self) {
        let (first, read_at) = self.position().unwrap_or_default();
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let number = |e: fs::DirEntry| {
            e.file_name().to_str().and_then(|name| name.strip_suffix(".seg"))?.parse().ok()
        };
        let mut numbers: Vec<u64> = entries.filter_map(number).collect();
        numbers.sort_unstable();
        self.next = numbers.last().map_or(first.max(1), |last| last + 1);
        for number in numbers {
            let from = if number == first { read_at } else { 0 };
            let (bytes, samples) = measure(&self.path(number), from).unwrap_or_default();
            if number < first || bytes <= from {
                let _ = fs::remove_file(self.path(number));
                continue;
            }
            if self.segments.is_empty() {
                self.read_at = from;
            }
            self.segments.push_back(Segment { number, bytes, samples });
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number}.seg"))
    }
}

/// Bytes of whole messages in a file, and samples of those from an offset on. What follows the
/// last whole message was being written when the machine went down.
fn measure(path: &Path, from: u64) -> io::Result<(u64, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut at, mut samples) = (0, 0);
    let mut header = [0; HEADER];
    while at + HEADER as u64 <= length {
        file.read_exact_at(&mut header, at)?;
        let (bytes, count) = lengths(&header);
        let end = at + HEADER as u64 + u64::from(bytes);
        if bytes == 0 || bytes > LONGEST || end > length {
            break;
        }
        if at >= from {
            samples += u64::from(count);
        }
        at = end;
    }
    Ok((at, samples))
}

fn lengths(header: &[u8; HEADER]) -> (u32, u32) {
    let number = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    (number(0), number(4))
}

fn frame(batch: &Batch) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + batch.body.len());
    // A message is far shorter than 4 GiB.
    frame.extend((batch.body.len() as u32).to_le_bytes());
    frame.extend(batch.samples.to_le_bytes());
    frame.extend(check(&[&frame, &batch.body]));
    frame.extend_from_slice(&batch.body);
    frame
}

fn check(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let hash = hasher.finalize();
    *hash.as_bytes().first_chunk().unwrap_or(&[0; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(i: u32, size: usize) -> Batch {
        let body: Vec<u8> = i.to_le_bytes().into_iter().cycle().take(size).collect();
        Batch { body: body.into(), samples: i }
    }

    fn drain(queue: &mut Queue) -> Vec<u32> {
        let mut seen = Vec::new();
        while let Some(batch) = queue.peek() {
            seen.push(batch.samples);
            queue.advance(&batch);
        }
        seen
    }

    #[test]
    fn messages_come_out_in_order_across_agents() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(dir.path(), 1 << 20);
        for i in 1..=200 {
            queue.push(&batch(i, 1000));
        }
        assert!(queue.segments.len() > 3);
        for i in 1..=50 {
            let first = queue.peek().unwrap();
            assert_eq!(first, batch(i, 1000));
            queue.advance(&first);
        }
        drop(queue);
        let mut queue = Queue::open(dir.path(), 1 << 20);
        queue.push(&batch(201, 1000));
        assert_eq!(drain(&mut queue), (51..=201).collect::<Vec<_>>());
        assert!(queue.is_empty() && queue.take_dropped() == 0);
        queue.push(&batch(7, 10));
        assert_eq!(drain(&mut queue), [7], "it goes on after it was empty");
        drop(queue);
        assert!(Queue::open(dir.path(), 1 << 20).is_empty());
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [dir.path().join("position")]);
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(dir.path(), 100_000);
        for i in 1..=300 {
            queue.push(&batch(i, 1000));
            assert!(queue.bytes() <= 100_000);
        }
        let kept = drain(&mut queue);
        assert_eq!(*kept.last().unwrap(), 300);
        assert!(kept.len() > 80 && kept.is_sorted(), "{kept:?}");
        let lost: u64 = (1..u64::from(kept[0])).sum();
        assert_eq!(queue.take_dropped(), lost, "what went is counted");
    }

    #[test]
    fn a_torn_end_costs_one_message_and_damage_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(dir.path(), 1 << 20);
        for i in 1..=3 {
            queue.push(&batch(i, 1000));
        }
        let path = queue.path(1);
        drop(queue);
        let length = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(length - 10).unwrap();
        let mut queue = Queue::open(dir.path(), 1 << 20);
        queue.push(&batch(4, 1000));
        assert_eq!(drain(&mut queue), [1, 2, 4]);

        queue.push(&batch(5, 1000));
        queue.push(&batch(6, 1000));
        let path = queue.path(queue.segments[0].number);
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(b"damage", 500).unwrap();
        assert_eq!(drain(&mut queue), Vec::<u32>::new());
        assert_eq!(queue.take_dropped(), 11);
        queue.push(&batch(7, 1000));
        assert_eq!(drain(&mut queue), [7]);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_survived() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(&dir.path().join("queue"), 1 << 20);
        fs::remove_dir(dir.path().join("queue")).unwrap();
        queue.push(&batch(1, 1000));
        assert_eq!((queue.take_dropped(), queue.peek()), (1, None));
        fs::create_dir(dir.path().join("queue")).unwrap();
        queue.push(&batch(2, 1000));
        assert_eq!(drain(&mut queue), [2]);
    }
}

//! Reading a log: the last lines, what is younger than a time, and on as it grows. The files are
//! read where they lie, turned ones too; the shim is not asked. Which lines are wanted is decided
//! in `search.rs`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_client::{Frame, Socket, SocketSender};
use atoll_model::agent::{LogFilter, SessionNote};
use atoll_model::{Span, Timestamp};
use bytes::Bytes;

use super::search::{Picker, Spent};
use crate::clock;
use crate::disk;
use crate::runtime::orders::{Orders, Phase, State};
use crate::runtime::place::Place;
use crate::runtime::shim::log::{TIME_ENTRY, file, times};

/// Bytes of one frame.
const PIECE: usize = 64 << 10;
/// A growing log is looked at this often.
const LOOK: Duration = Duration::from_millis(100);
/// Times are noted in steps; what was written within one counts as younger.
const STEP: i64 = 500;

/// What a person wants of a log.
pub struct Wish {
    /// Go on as it grows.
    pub follow: bool,
    /// Only the last so many lines.
    pub tail: Option<u32>,
    /// Only what is younger.
    pub since: Option<Span>,
    /// Only what it lets through.
    pub filter: LogFilter,
}

/// Sends the log and closes the socket at its end.
pub async fn answer(socket: Socket, place: &Place, wish: Wish) {
    let now = clock::now();
    let mut picker = match Picker::new(&wish.filter, wish.tail) {
        Ok(picker) => picker,
        Err(why) => return super::refuse(socket, why).await,
    };
    // Of lines that are looked at, the last are known only at the end.
    let tail = wish.tail.filter(|_| picker.is_none());
    let mut reader = Reader::open(&place.log(), tail, wish.since.map(|since| now - since));
    if let Some(until) = wish.filter.until {
        reader.end_at(now - until);
    }
    let follow = wish.follow && wish.filter.until.is_none();
    let (mut sender, mut receiver) = socket.split();
    let send = async {
        loop {
            let over = follow && is_over(place);
            let sent = match &mut picker {
                Some(picker) => send_picked(&mut reader, picker, follow, &mut sender).await,
                None => send_rest(&mut reader, &mut sender).await,
            };
            match sent {
                // What is done once writes no more when it is over; looked at before reading.
                Ok(true) if follow && over => break,
                Ok(true) if follow => tokio::time::sleep(LOOK).await,
                Ok(true) => break,
                Ok(false) => return,
                Err(error) => {
                    let message = format!("cannot read the log: {error}");
                    let _ = sender.send(Frame::Note(SessionNote::Failed { message })).await;
                    break;
                }
            }
        }
        sender.close().await;
    };
    tokio::select! {
        () = send => {}
        // It says nothing, but its going is noticed.
        () = async { while let Ok(Some(_)) = receiver.next().await {} } => return,
    }
    let rest = async { while let Ok(Some(_)) = receiver.next().await {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), rest).await;
}

/// Whether nothing more can come: the work was done once, and has ended.
fn is_over(place: &Place) -> bool {
    let once = || disk::read::<Orders>(&place.orders()).is_some_and(|o| o.once.is_some());
    disk::read::<State>(&place.state()).is_some_and(|s| s.phase == Phase::Stopped) && once()
}

/// Sends what there is; whether anybody is there to receive it.
async fn send_rest(reader: &mut Reader, sender: &mut SocketSender) -> io::Result<bool> {
    loop {
        let mut piece = vec![0; PIECE];
        let count = reader.read_into(&mut piece)?;
        if count == 0 {
            return Ok(true);
        }
        piece.truncate(count);
        if sender.send(Frame::Data(1, Bytes::from(piece))).await.is_err() {
            return Ok(false);
        }
    }
}

/// The same of lines that are picked.
async fn send_picked(
    reader: &mut Reader,
    picker: &mut Picker,
    follow: bool,
    sender: &mut SocketSender,
) -> io::Result<bool> {
    let mut spent = Spent::begin(clock::instant());
    let mut piece = vec![0; 4 * PIECE];
    loop {
        let count = reader.read_into(&mut piece)?;
        if count == 0 {
            break;
        }
        let picked = picker.take(&piece[..count]);
        if !picked.is_empty() && sender.send(Frame::Data(1, picked.into())).await.is_err() {
            return Ok(false);
        }
        if let Some(why) = spent.too_much(count, clock::instant()) {
            return Err(io::Error::other(why));
        }
        // A search is work of the processor; others get their turn.
        tokio::task::yield_now().await;
    }
    let last = picker.caught_up(!follow);
    Ok(last.is_empty() || sender.send(Frame::Data(1, last.into())).await.is_ok())
}

/// A log being read, from the older files to the current one.
pub struct Reader {
    dir: PathBuf,
    current: Option<File>,
    /// How far the current file has been read.
    at: u64,
    /// The file, by its inode, and the offset where reading ends.
    end: Option<(u64, u64)>,
    ended: bool,
}

impl Reader {
    /// The log in that directory: all of it, or the last lines, or what is younger than a time.
    pub fn open(dir: &Path, tail: Option<u32>, cutoff: Option<Timestamp>) -> Reader {
        let mut start = Start { age: oldest(dir), offset: 0 };
        if let Some(cutoff) = cutoff {
            start = start.later(since(dir, cutoff));
        }
        if let Some(lines) = tail {
            start = start.later(last_lines(dir, lines));
        }
        let mut reader =
            Reader { dir: dir.to_owned(), current: None, at: 0, end: None, ended: false };
        if let Ok(mut current) = File::open(file(dir, start.age)) {
            use std::io::Seek;
            // Beyond the end there is nothing yet, which is what reading there gives.
            let _ = current.seek(io::SeekFrom::Start(start.offset));
            reader.at = start.offset;
            reader.current = Some(current);
        }
        reader
    }

    /// Ends with what was written at that time; what is younger is left out.
    pub fn end_at(&mut self, until: Timestamp) {
        let Some(start) = first_after(&self.dir, until) else { return };
        let inode = fs::metadata(file(&self.dir, start.age)).map(|meta| meta.ino());
        self.end = inode.ok().map(|inode| (inode, start.offset));
    }

    /// The next piece; 0, if there is none for now.
    ///
    /// # Errors
    /// As the disk says.
    pub fn read_into(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        while !self.ended {
            let Some(current) = &mut self.current else {
                let Ok(first) = File::open(file(&self.dir, oldest(&self.dir))) else {
                    return Ok(0);
                };
                self.enter(Some(first));
                continue;
            };
            // Looked up before reading: what is appended until it is turned is not missed.
            let inode = current.metadata()?.ino();
            let age = age_of(&self.dir, inode);
            let mut most = piece.len();
            if let Some((_, end)) = self.end.filter(|end| end.0 == inode) {
                most = usize::try_from(end.saturating_sub(self.at)).unwrap_or(most).min(most);
                if most == 0 {
                    self.ended = true;
                    return Ok(0);
                }
            }
            let count = current.read(&mut piece[..most])?;
            if count > 0 {
                self.at += count as u64;
                return Ok(count);
            }
            match age {
                Some(0) => return Ok(0),
                Some(age) => self.enter(File::open(file(&self.dir, age - 1)).ok()),
                // It was thrown away while it was read.
                None => self.enter(File::open(file(&self.dir, oldest(&self.dir))).ok()),
            }
            if self.current.is_none() {
                return Ok(0);
            }
        }
        Ok(0)
    }

    /// Goes to the end, and tells how many bytes were left out.
    pub fn skip(&mut self) -> u64 {
        let dir = std::mem::take(&mut self.dir);
        let inode = self.current.as_ref().and_then(|c| c.metadata().ok()).map(|meta| meta.ino());
        let age = inode.and_then(|inode| age_of(&dir, inode)).unwrap_or_else(|| oldest(&dir));
        let end = end(&dir);
        let length = |age| fs::metadata(file(&dir, age)).map_or(0, |meta| meta.len());
        let between: u64 = (1..=age).map(length).sum();
        let left = (between + end.offset).saturating_sub(self.at);
        *self = Reader::open(&dir, Some(0), None);
        left
    }

    fn enter(&mut self, next: Option<File>) {
        self.current = next;
        self.at = 0;
    }
}

/// Where reading starts: in the file of that age, at that byte.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Start {
    age: u32,
    offset: u64,
}

impl Start {
    fn later(self, other: Start) -> Start {
        let key = |s: &Start| (std::cmp::Reverse(s.age), s.offset);
        if key(&other) > key(&self) { other } else { self }
    }
}

fn oldest(dir: &Path) -> u32 {
    (1..).take_while(|age| file(dir, *age).exists()).last().unwrap_or(0)
}

/// How old a file has become: it is known by its inode, as turning gives it other names.
fn age_of(dir: &Path, inode: u64) -> Option<u32> {
    let same = |age: &u32| fs::metadata(file(dir, *age)).is_ok_and(|m| m.ino() == inode);
    // The current one first: it mostly is.
    if same(&0) { Some(0) } else { (1..=oldest(dir)).find(same) }
}

/// Where what is younger than that begins.
fn since(dir: &Path, cutoff: Timestamp) -> Start {
    first_after(dir, cutoff - Span(STEP.unsigned_abs() + 1)).unwrap_or_else(|| end(dir))
}

/// Where what was written after a time begins, as far as times are noted.
fn first_after(dir: &Path, time: Timestamp) -> Option<Start> {
    for age in (0..=oldest(dir)).rev() {
        let entries = fs::read(times(dir, age)).unwrap_or_default();
        for entry in entries.chunks_exact(TIME_ENTRY as usize) {
            let (offset, at) = entry.split_at(8);
            let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
            if number(at).cast_signed() > time.0 {
                return Some(Start { age, offset: number(offset) });
            }
        }
    }
    None
}

fn end(dir: &Path) -> Start {
    let length = fs::metadata(file(dir, 0)).map_or(0, |m| m.len());
    Start { age: 0, offset: length }
}

/// Where the last so many lines begin.
fn last_lines(dir: &Path, lines: u32) -> Start {
    if lines == 0 {
        return end(dir);
    }
    let mut left = u64::from(lines);
    let mut last = true;
    let oldest = oldest(dir);
    for age in 0..=oldest {
        let Ok(open) = File::open(file(dir, age)) else { continue };
        let mut at = open.metadata().map_or(0, |m| m.len());
        while at > 0 {
            let from = at.saturating_sub(PIECE as u64);
            // At most a piece, so it fits.
            let mut piece = vec![0; (at - from) as usize];
            if open.read_exact_at(&mut piece, from).is_err() {
                break;
            }
            for (i, byte) in piece.iter().enumerate().rev() {
                // The break at the very end ends the last line and begins none.
                let ends_all = std::mem::take(&mut last);
                if *byte == b'\n' && !ends_all {
                    left -= 1;
                    if left == 0 {
                        return Start { age, offset: from + i as u64 + 1 };
                    }
                }
            }
            at = from;
        }
    }
    Start { age: oldest, offset: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::shim::log::Log;

    fn log(lines: i64, step: i64) -> (tempfile::TempDir, Log) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 4096, 4);
        for i in 0..lines {
            log.write(format!("line {i}\n").as_bytes(), Timestamp(i * step));
        }
        (dir, log)
    }

    fn read(reader: &mut Reader) -> Vec<String> {
        let mut text = Vec::new();
        loop {
            let mut piece = vec![0; PIECE];
            let count = reader.read_into(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            text.extend(&piece[..count]);
        }
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }

    fn open(dir: &tempfile::TempDir, tail: Option<u32>, since: Option<i64>) -> Vec<String> {
        read(&mut Reader::open(dir.path(), tail, since.map(Timestamp)))
    }

    #[test]
    fn the_last_lines_are_found_across_files() {
        let (dir, _) = log(1000, 10);
        assert!(oldest(dir.path()) >= 2);
        assert_eq!(open(&dir, Some(2), None), ["line 998", "line 999"]);
        let many = open(&dir, Some(700), None);
        assert_eq!((many.len(), many[0].as_str()), (700, "line 300"));
        assert_eq!(open(&dir, Some(0), None), Vec::<String>::new());
        let all = open(&dir, None, None);
        assert_eq!(open(&dir, Some(100_000), None), all);
        assert_eq!(all.last().unwrap(), "line 999");
    }

    #[test]
    fn what_is_younger_is_found() {
        let (dir, _) = log(20, 60_000);
        let young = open(&dir, None, Some(17 * 60_000));
        assert_eq!(young, ["line 17", "line 18", "line 19"]);
        assert_eq!(open(&dir, None, Some(i64::MAX / 2)), Vec::<String>::new());
        assert_eq!(open(&dir, Some(1), Some(17 * 60_000)), ["line 19"]);
        assert_eq!(open(&dir, Some(5), Some(18 * 60_000)), ["line 18", "line 19"]);
    }

    #[test]
    fn what_is_older_is_found() {
        let (dir, mut log) = log(20, 60_000);
        let mut reader = Reader::open(dir.path(), None, Some(Timestamp(3 * 60_000)));
        reader.end_at(Timestamp(5 * 60_000));
        assert_eq!(read(&mut reader), ["line 3", "line 4", "line 5"]);
        log.write(b"line 20\n", Timestamp(20 * 60_000));
        assert_eq!(read(&mut reader), Vec::<String>::new(), "it has ended");
        let mut reader = Reader::open(dir.path(), None, None);
        reader.end_at(Timestamp(i64::MAX / 2));
        assert_eq!(read(&mut reader).len(), 21);
    }

    #[test]
    fn skipping_tells_how_much() {
        let (dir, mut log) = log(1000, 10);
        let mut reader = Reader::open(dir.path(), None, None);
        let all: u64 = (0..=oldest(dir.path()))
            .map(|a| fs::metadata(file(dir.path(), a)).unwrap().len())
            .sum();
        let read_count = reader.read_into(&mut [0; 100]).unwrap() as u64;
        assert_eq!(reader.skip(), all - read_count);
        log.write(b"after\n", Timestamp(99_999));
        assert_eq!(read(&mut reader), ["after"]);
    }

    #[test]
    fn nothing_is_missed_while_files_are_turned() {
        let (dir, mut log) = log(10, 1);
        let mut reader = Reader::open(dir.path(), None, None);
        assert_eq!(read(&mut reader).len(), 10);
        let mut seen = 10;
        for i in 0..3000 {
            log.write(format!("line {}\n", 10 + i).as_bytes(), Timestamp(i));
            if i % 300 == 0 {
                seen += read(&mut reader).len();
            }
        }
        assert_eq!(seen + read(&mut reader).len(), 3010);
    }

    #[test]
    fn an_empty_log_can_be_read_and_followed() {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = Reader::open(dir.path(), Some(3), None);
        assert_eq!(read(&mut reader), Vec::<String>::new());
        Log::open(dir.path(), 4096, 2).write(b"first\n", Timestamp(1));
        assert_eq!(read(&mut reader), ["first"]);
    }
}

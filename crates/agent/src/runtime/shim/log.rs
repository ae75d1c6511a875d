//! The log of one application: its output as it is, in files of bounded size and number. Beside
//! each file stands one of times, so that "since" can be answered without touching the lines.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use atoll_model::Timestamp;

/// Bytes of one entry of a file of times: an offset and the milliseconds it was reached at.
pub const TIME_ENTRY: u64 = 16;
/// Times are noted at most this often, in milliseconds.
const TIME_STEP: i64 = 500;
/// The part of the last line that is kept for reasons, in bytes.
const LINE: usize = 400;

/// The file of a log by its age: 0 is the one being written.
pub fn file(dir: &Path, age: u32) -> PathBuf {
    if age == 0 { dir.join("current") } else { dir.join(age.to_string()) }
}

/// The file of times beside it.
pub fn times(dir: &Path, age: u32) -> PathBuf {
    file(dir, age).with_extension("times")
}

/// A log being written.
pub struct Log {
    dir: PathBuf,
    size: u64,
    files: u32,
    current: Option<(File, File)>,
    length: u64,
    times_length: u64,
    noted: i64,
    line: Vec<u8>,
    line_ended: bool,
    lost: u64,
}

impl Log {
    /// Goes on with the log in `dir`. Nothing is opened before something is written.
    pub fn open(dir: &Path, size: u64, files: u32) -> Log {
        Log {
            dir: dir.to_owned(),
            size: size.max(4096),
            files: files.max(1),
            current: None,
            length: 0,
            times_length: 0,
            noted: i64::MIN,
            line: Vec::new(),
            line_ended: true,
            lost: 0,
        }
    }

    /// Writes what the application wrote. It never fails: where the disk is full, output is
    /// dropped and counted, as an application must not stand still for its log.
    pub fn write(&mut self, data: &[u8], now: Timestamp) {
        self.remember_line(data);
        if self.lost > 0 {
            let note = format!("[{} bytes of log were lost: the disk was full]\n", self.lost);
            if self.try_write(note.as_bytes(), now).is_ok() {
                self.lost = 0;
            }
        }
        if self.try_write(data, now).is_err() {
            self.lost += data.len() as u64;
            self.current = None;
        }
    }

    /// The last line that is not empty, cut to what a reason can hold.
    pub fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Forgets the last line, when another process starts.
    pub fn forget_line(&mut self) {
        self.line.clear();
        self.line_ended = true;
    }

    fn try_write(&mut self, mut data: &[u8], now: Timestamp) -> io::Result<()> {
        while !data.is_empty() {
            self.ensure_open()?;
            let room = self.size.saturating_sub(self.length + self.times_length + TIME_ENTRY);
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let fits = if data.len() <= room {
                data.len()
            } else {
                // A line is left whole where it can be.
                let whole = data[..room].iter().rposition(|b| *b == b'\n').map(|at| at + 1);
                whole.unwrap_or(if self.length > 0 { 0 } else { room })
            };
            if fits == 0 {
                self.turn()?;
                continue;
            }
            self.note_time(now)?;
            let Some((current, _)) = &mut self.current else { continue };
            current.write_all(&data[..fits])?;
            self.length += fits as u64;
            data = &data[fits..];
            if !data.is_empty() {
                self.turn()?;
            }
        }
        Ok(())
    }

    fn note_time(&mut self, now: Timestamp) -> io::Result<()> {
        let due = now.0 >= self.noted.saturating_add(TIME_STEP) || now.0 < self.noted;
        if let (true, Some((_, times))) = (due || self.times_length == 0, &mut self.current) {
            let mut entry = self.length.to_le_bytes().to_vec();
            entry.extend(now.0.to_le_bytes());
            times.write_all(&entry)?;
            self.times_length += TIME_ENTRY;
            self.noted = now.0;
        }
        Ok(())
    }

    fn ensure_open(&mut self) -> io::Result<()> {
        if self.current.is_none() {
            let open = |path| File::options().append(true).create(true).open(path);
            let (current, times) = (open(file(&self.dir, 0))?, open(times(&self.dir, 0))?);
            self.length = current.metadata()?.len();
            self.times_length = times.metadata()?.len();
            self.current = Some((current, times));
        }
        Ok(())
    }

    /// Each file becomes one older; the oldest goes.
    fn turn(&mut self) -> io::Result<()> {
        self.current = None;
        for path in [file, times] {
            let _ = fs::remove_file(path(&self.dir, self.files - 1));
            for age in (0..self.files - 1).rev() {
                match fs::rename(path(&self.dir, age), path(&self.dir, age + 1)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
        }
        self.noted = i64::MIN;
        Ok(())
    }

    fn remember_line(&mut self, data: &[u8]) {
        let tail = &data[data.len().saturating_sub(2 * LINE)..];
        for &byte in tail {
            if byte == b'\n' {
                self.line_ended = true;
            } else if self.line_ended && !byte.is_ascii_whitespace() {
                self.line.clear();
                self.line.push(byte);
                self.line_ended = false;
            } else if !self.line_ended && self.line.len() < LINE {
                self.line.push(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(dir: &Path) -> (u64, usize) {
        let files: Vec<_> = fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
        (files.iter().map(|f| f.metadata().unwrap().len()).sum(), files.len())
    }

    #[test]
    fn files_stay_within_their_bounds_and_lines_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 4096, 3);
        for i in 0..2000 {
            log.write(format!("line {i}\n").as_bytes(), Timestamp(i));
            let (bytes, count) = all(dir.path());
            assert!(bytes <= 3 * 4096 && count <= 6, "{bytes} bytes in {count} files");
        }
        let mut text = String::new();
        for age in [2, 1, 0] {
            let part = fs::read_to_string(file(dir.path(), age)).unwrap();
            assert!(part.starts_with("line ") && part.ends_with('\n'), "{part:?}");
            text += &part;
        }
        let first: u64 = text.lines().next().unwrap()[5..].parse().unwrap();
        let lines: Vec<String> = (first..2000).map(|i| format!("line {i}")).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), lines, "nothing is lost in between");
        assert_eq!(log.last_line().unwrap(), "line 1999");
    }

    #[test]
    fn a_line_longer_than_a_file_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 4096, 2);
        log.write(&vec![b'x'; 100_000], Timestamp(1));
        let (bytes, count) = all(dir.path());
        assert!(bytes <= 2 * 4096 && count == 4, "{bytes} bytes in {count} files");
        assert_eq!(log.last_line().unwrap().len(), LINE);
    }

    #[test]
    fn one_file_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 4096, 1);
        for i in 0..1000 {
            log.write(b"0123456789\n", Timestamp(i));
        }
        assert!(all(dir.path()).0 <= 4096 && all(dir.path()).1 == 2);
    }

    #[test]
    fn a_log_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        Log::open(dir.path(), 4096, 2).write(b"one\n", Timestamp(1));
        let mut log = Log::open(dir.path(), 4096, 2);
        assert_eq!(log.last_line(), None);
        log.write(b"two\n\n  \n", Timestamp(2));
        assert_eq!(fs::read(file(dir.path(), 0)).unwrap(), b"one\ntwo\n\n  \n");
        assert_eq!(log.last_line().unwrap(), "two");
    }
}

//! The log of a container: what the engine keeps of it, copied into our own files as it grows and
//! caught up with after an absence, each line once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::pin::Pin;
use std::time::{Duration, Instant};

use atoll_model::Timestamp;
use bollard::container::LogOutput;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::disk;
use crate::engine::{Engine, EngineError};
use crate::runtime::orders::Orders;
use crate::runtime::place::Place;
use crate::runtime::shim::log::{Log, file};
use crate::runtime::shim::tap::{self, Tap};

/// How far it has been copied is noted at most this often.
const NOTE: Duration = Duration::from_secs(1);
/// The wait before it is asked for again.
const AGAIN: Duration = Duration::from_millis(250);

type Pieces = Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>;

/// How far it has been copied, as it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Copied {
    /// The time of the last line, in nanoseconds.
    at: i128,
    /// The length of our file then, in bytes. What is in it beyond that is copied again.
    len: u64,
}

impl Copied {
    fn read(place: &Place) -> Copied {
        let path = place.copied();
        // Agents of before wrote the time alone.
        let alone = || disk::read(&path).map(|at| Copied { at, len: u64::MAX });
        disk::read(&path).or_else(alone).unwrap_or_else(|| {
            // What is in the file already is not of this container.
            let none = Copied { at: 0, len: len(place) };
            if let Err(error) = disk::write(&path, &none, false) {
                tracing::warn!(%error, "how far a container's log is copied is not noted");
            }
            none
        })
    }

    /// Takes away what was copied after it was written down last, should the agent have been
    /// killed meanwhile, so that no line is there twice.
    fn cut(self, place: &Place) {
        let path = file(&place.log(), 0);
        if len(place) > self.len
            && let Err(error) =
                File::options().write(true).open(path).and_then(|f| f.set_len(self.len))
        {
            tracing::warn!(%error, "lines of a container's log may be there twice");
        }
    }
}

/// The length of our file.
fn len(place: &Place) -> u64 {
    fs::metadata(file(&place.log(), 0)).map_or(0, |meta| meta.len())
}

/// A log being copied.
pub struct Tail {
    log: Log,
    /// What stands before the log of work that is done once.
    tap: Option<Tap>,
    place: Place,
    /// The time of the last line copied, in nanoseconds.
    at: i128,
    noted: Copied,
    noted_at: Instant,
    pieces: Option<Pieces>,
}

impl Tail {
    /// Goes on where the one before ended.
    pub fn open(place: &Place, orders: &Orders, secrets: &BTreeMap<String, String>) -> Tail {
        let noted = Copied::read(place);
        noted.cut(place);
        Tail {
            tap: tap::before(orders, secrets, place),
            log: Log::open(&place.log(), orders.log_size, orders.log_files),
            place: place.clone(),
            at: noted.at,
            noted,
            noted_at: clock::instant(),
            pieces: None,
        }
    }

    /// The last line that is not empty.
    pub fn last_line(&self) -> Option<String> {
        self.log.last_line()
    }

    /// Forgets the last line, when it is started again.
    pub fn forget_line(&mut self) {
        self.log.forget_line();
        self.pieces = None;
    }

    /// Copies the next piece, waiting for it. May be dropped while it waits.
    pub async fn follow(&mut self, engine: &Engine, name: &str) {
        let Some(pieces) = &mut self.pieces else {
            let since = i32::try_from(self.at / 1_000_000_000).unwrap_or(0);
            match engine.logs(name, since).await {
                Ok(pieces) => self.pieces = Some(Box::pin(pieces)),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
            return;
        };
        match pieces.next().await {
            Some(Ok(piece)) => self.take(&piece.into_bytes()),
            // It ended, or the engine did. The watch tells which.
            _ => {
                self.pieces = None;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Copies what is left after the end.
    pub async fn drain(&mut self, engine: &Engine, name: &str) {
        if self.pieces.is_none() {
            self.follow(engine, name).await;
        }
        while let Some(pieces) = &mut self.pieces {
            match pieces.next().await {
                Some(Ok(piece)) => self.take(&piece.into_bytes()),
                _ => self.pieces = None,
            }
        }
        self.note();
    }

    /// Takes a piece: a time, a blank, and what was written.
    fn take(&mut self, piece: &[u8]) {
        let blank = piece.iter().position(|b| *b == b' ').unwrap_or(0);
        let time = std::str::from_utf8(&piece[..blank]).ok();
        let Some(time) = time.and_then(|time| time.parse::<jiff::Timestamp>().ok()) else {
            return self.write(piece, clock::now());
        };
        let nanos = time.as_nanosecond();
        if nanos <= self.at {
            return;
        }
        self.at = nanos;
        self.write(&piece[blank + 1..], Timestamp(time.as_millisecond()));
        if clock::instant().saturating_duration_since(self.noted_at) >= NOTE {
            self.note();
        }
    }

    fn write(&mut self, bytes: &[u8], at: Timestamp) {
        match &mut self.tap {
            Some(tap) => self.log.write(&tap.take(bytes), at),
            None => self.log.write(bytes, at),
        }
    }

    /// Writes what was kept back, and what was not kept.
    pub fn finish(&mut self) {
        if let Some(tap) = &mut self.tap {
            let last = tap.finish();
            self.log.write(&last, clock::now());
        }
    }

    fn note(&mut self) {
        // What may be the beginning of a secret is not in the file yet, though its time has come.
        let whole = self.tap.as_ref().is_none_or(Tap::is_clear);
        if self.noted.at == self.at || !whole {
            return;
        }
        let copied = Copied { at: self.at, len: len(&self.place) };
        if disk::write(&self.place.copied(), &copied, false).is_ok() {
            (self.noted, self.noted_at) = (copied, clock::instant());
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.note();
    }
}

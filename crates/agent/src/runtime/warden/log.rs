//! The log of a container: what the engine keeps of it, copied into our own files as it grows and
//! caught up with after an absence, each line once.

use std::pin::Pin;
use std::time::{Duration, Instant};

use atoll_model::Timestamp;
use bollard::container::LogOutput;
use futures::{Stream, StreamExt};

use crate::clock;
use crate::disk;
use crate::engine::{Engine, EngineError};
use crate::runtime::orders::Orders;
use crate::runtime::place::Place;
use crate::runtime::shim::log::Log;

/// How far it has been copied is noted at most this often.
const NOTE: Duration = Duration::from_secs(1);
/// The wait before it is asked for again.
const AGAIN: Duration = Duration::from_millis(250);

type Pieces = Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>;

/// A log being copied.
pub struct Tail {
    log: Log,
    place: Place,
    /// The time of the last line copied, in nanoseconds.
    at: i128,
    noted: (i128, Instant),
    pieces: Option<Pieces>,
}

impl Tail {
    /// Goes on where the one before ended.
    pub fn open(place: &Place, orders: &Orders) -> Tail {
        let at: i128 = disk::read(&place.copied()).unwrap_or(0);
        Tail {
            log: Log::open(&place.log(), orders.log_size, orders.log_files),
            place: place.clone(),
            at,
            noted: (at, clock::instant()),
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
            return self.log.write(piece, clock::now());
        };
        let nanos = time.as_nanosecond();
        if nanos <= self.at {
            return;
        }
        self.at = nanos;
        self.log.write(&piece[blank + 1..], Timestamp(time.as_millisecond()));
        if clock::instant().saturating_duration_since(self.noted.1) >= NOTE {
            self.note();
        }
    }

    fn note(&mut self) {
        if self.noted.0 != self.at && disk::write(&self.place.copied(), &self.at, false).is_ok() {
            self.noted = (self.at, clock::instant());
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.note();
    }
}

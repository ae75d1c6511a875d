//! The only place in the server that reads a clock. It runs steadily: however the machine's clock
//! jumps, time here goes forward at its usual pace, and never to before what is already stored.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use atoll_model::Timestamp;

/// A clock that starts at the machine's time and then counts by itself.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: i64,
    started: Instant,
}

impl Clock {
    /// Starts at the machine's time, or at `no_earlier` if that is later: the time of the newest
    /// stored write.
    #[allow(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start(no_earlier: Option<i64>) -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let base = i64::try_from(wall).unwrap_or(i64::MAX).max(no_earlier.unwrap_or(i64::MIN));
        Clock { base, started: Instant::now() }
    }

    /// When it was started.
    pub fn started(&self) -> Timestamp {
        Timestamp(self.base)
    }

    /// How long it runs: for how long things take.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let gone = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.base.saturating_add(gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back_to_before_what_is_stored() {
        let wall = Clock::start(None).now();
        let stored = wall.0 + 3_600_000;
        let clock = Clock::start(Some(stored));
        let first = clock.now();
        assert!(first.0 >= stored, "a machine whose clock was set back goes on from what it wrote");
        assert!(clock.now() >= first);
        assert!(Clock::start(Some(0)).now() >= wall, "an old store does not hold time back");
    }
}

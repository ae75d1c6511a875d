//! Growing, jittered waits between attempts. The only place of this crate that is random.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The waits between attempts: each about twice the one before, between two bounds, with a jitter
/// of a quarter either way so that clients of a server that was away do not return in step.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `first` up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, next: first }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (self.next * 2).min(self.longest);
        // Between 0.75 and 1.25.
        wait.mul_f64(0.75 + 0.5 * random_share())
    }

    /// Starts from the shortest wait again, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between 0 and 1. Every `RandomState` has keys of its own, which is random enough to spread
/// clients over time.
fn random_share() -> f64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u8(0);
    // Only the upper bits are kept, all of which an f64 can hold.
    (hasher.finish() >> 12) as f64 / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_start_again() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second / 5, 5 * second);
        let waits: Vec<Duration> = (0..10).map(|_| backoff.next_wait()).collect();
        assert!(waits[0] >= second * 3 / 20 && waits[0] <= second / 4, "{waits:?}");
        assert!(waits[9] >= second * 15 / 4 && waits[9] <= second * 25 / 4, "{waits:?}");
        backoff.reset();
        assert!(backoff.next_wait() <= second / 4);
    }
}

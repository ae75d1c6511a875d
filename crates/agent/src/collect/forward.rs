//! Forwarding messages to a server: at once while one takes them, from the disk in order after
//! an outage. It sends one at a time, and decides when; the sending itself is the client's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use atoll_client::ClientError;

use super::outbox::{Batch, Figures, Outbox};
use super::queue::Queue;

/// Messages in memory hold at most so many bytes before the disk is used.
const IN_MEMORY: usize = 2 << 20;
/// The waits after a failure.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Where no server has taken anything for so long, what is measured here is missing elsewhere.
const MISSED: Duration = Duration::from_secs(60);
/// What is on the disk is sent at most this fast, as all hosts return at once.
const PACE: Duration = Duration::from_millis(25);

/// What waits to be forwarded.
///
/// **Invariant:** what is in memory is older than what is in the queue.
pub struct Forwarder {
    queue: Queue,
    memory: VecDeque<Batch>,
    /// The message that is on its way, and whether it is of the queue.
    sending: Option<(Batch, bool)>,
    /// Failures in a row.
    failures: u32,
    /// Nothing is sent before.
    not_before: Option<Instant>,
    /// Since when no server has taken anything, and why it did not at first.
    untaken: Option<(Instant, String)>,
    /// Spreads the returns of many hosts over time.
    seed: u64,
    /// The last refusal told, so that each is told once.
    refusal: String,
}

/// What has become of a message.
#[derive(Debug, PartialEq)]
pub enum Fate {
    /// A server has it.
    Taken,
    /// No server will ever take it.
    Refused(String),
    /// It is to be sent again.
    Again(String),
}

impl Fate {
    /// What an answer means.
    pub fn of(result: Result<(), ClientError>) -> Fate {
        let Err(error) = result else { return Fate::Taken };
        match error.status() {
            // Where nobody knows us or the path, a token or an address is wrong. A person mends
            // that; the data can wait.
            Some(401 | 404 | 408 | 429) => Fate::Again(error.to_string()),
            Some(400..=499) => Fate::Refused(error.to_string()),
            _ => Fate::Again(error.to_string()),
        }
    }
}

impl Forwarder {
    /// With what an earlier agent left in the queue. Hosts have different seeds.
    pub fn new(queue: Queue, seed: u64) -> Forwarder {
        Forwarder {
            queue,
            memory: VecDeque::new(),
            sending: None,
            failures: 0,
            not_before: None,
            untaken: None,
            seed,
            refusal: String::new(),
        }
    }

    /// Bytes that wait on the disk.
    pub fn queue_bytes(&self) -> u64 {
        self.queue.bytes()
    }

    /// Takes over the messages that have been closed.
    pub fn take(&mut self, outbox: &mut Outbox) {
        while let Some(batch) = outbox.take() {
            let held: usize = self.memory.iter().map(|b| b.body.len()).sum();
            let room = held + batch.body.len() <= IN_MEMORY;
            if self.failures == 0 && self.queue.is_empty() && room {
                self.memory.push_back(batch);
            } else {
                self.queue.push(&batch);
            }
        }
        self.count_dropped(&mut outbox.figures);
    }

    /// Why no server has taken anything for a while, if so: nobody there knows what is measured
    /// here.
    pub fn untaken(&self, now: Instant) -> Option<&str> {
        let (since, why) = self.untaken.as_ref()?;
        (now.saturating_duration_since(*since) >= MISSED).then_some(why)
    }

    /// The message to be sent now, if it is time to; [`Forwarder::sent`] tells what came of it.
    pub fn next(&mut self, now: Instant) -> Option<Batch> {
        if self.sending.is_some() || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        let next = match self.memory.pop_front() {
            Some(batch) => (batch, false),
            None => (self.queue.peek()?, true),
        };
        self.sending = Some(next.clone());
        Some(next.0)
    }

    /// When [`Forwarder::next`] is worth asking again though nothing happens.
    pub fn wake(&self) -> Option<Instant> {
        let waits = !self.memory.is_empty() || !self.queue.is_empty();
        self.not_before.filter(|_| waits && self.sending.is_none())
    }

    /// Takes what has become of the message that was on its way.
    pub fn sent(&mut self, fate: Fate, now: Instant, figures: &mut Figures) {
        let Some((batch, queued)) = self.sending.take() else { return };
        let samples = u64::from(batch.samples);
        match &fate {
            Fate::Taken => self.untaken = None,
            Fate::Again(why) | Fate::Refused(why) => {
                self.untaken.get_or_insert_with(|| (now, why.clone()));
            }
        }
        match fate {
            Fate::Again(why) => {
                figures.retries += 1;
                self.put_back(batch, queued);
                if self.failures == 0 {
                    tracing::warn!(why, "metrics are kept until a server takes them");
                }
                self.failures = self.failures.saturating_add(1);
                self.not_before = Some(now + wait(self.failures, self.seed));
                self.count_dropped(figures);
                return;
            }
            Fate::Taken => figures.forwarded += samples,
            Fate::Refused(why) => {
                figures.drop_samples("refused", samples);
                if self.refusal != why {
                    tracing::warn!(samples, why, "metrics were refused and are thrown away");
                    self.refusal = why;
                }
            }
        }
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!(bytes = self.queue.bytes(), "metrics are forwarded again");
        }
        if queued {
            self.queue.advance(&batch);
        }
        self.not_before = queued.then(|| now + PACE);
    }

    /// Keeps everything on the disk, as the agent ends.
    pub fn keep(&mut self, outbox: &mut Outbox) {
        if let Some((batch, queued)) = self.sending.take() {
            self.put_back(batch, queued);
        }
        self.spill();
        outbox.close();
        while let Some(batch) = outbox.take() {
            self.queue.push(&batch);
        }
    }

    fn put_back(&mut self, batch: Batch, queued: bool) {
        if queued {
            return;
        }
        self.memory.push_front(batch);
        // Behind what is queued already it would be out of order.
        if self.queue.is_empty() {
            self.spill();
        }
    }

    fn spill(&mut self) {
        for batch in self.memory.drain(..) {
            self.queue.push(&batch);
        }
    }

    fn count_dropped(&mut self, figures: &mut Figures) {
        match self.queue.take_dropped() {
            0 => {}
            lost => figures.drop_samples("queue", lost),
        }
    }
}

/// The wait after so many failures in a row: doubled up to the longest, and between three and
/// five quarters of it, by the seed.
fn wait(failures: u32, seed: u64) -> Duration {
    let doubled = SHORTEST_WAIT * 2_u32.pow(failures.saturating_sub(1).min(6));
    let mixed = (seed ^ u64::from(failures)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Only the upper bits, all of which an f64 can hold.
    let share = (mixed >> 12) as f64 / (1_u64 << 52) as f64;
    doubled.min(LONGEST_WAIT).mul_f64(0.75 + 0.5 * share)
}

#[cfg(test)]
mod tests {
    use atoll_metrics::Sample;

    use super::*;

    struct World {
        _dir: tempfile::TempDir,
        forwarder: Forwarder,
        outbox: Outbox,
        now: Instant,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let forwarder = Forwarder::new(Queue::open(dir.path(), 1 << 20), 7);
        World { _dir: dir, forwarder, outbox: Outbox::default(), now: crate::clock::instant() }
    }

    impl World {
        /// Closes a message of so many samples.
        fn close(&mut self, samples: u32) {
            for i in 0..samples {
                let sample = Sample { at: i64::from(i), value: 0.0 };
                self.outbox.add([("__name__", "m")].into_iter(), sample);
            }
            self.outbox.close();
            self.forwarder.take(&mut self.outbox);
        }

        fn next(&mut self) -> Option<u32> {
            self.forwarder.next(self.now).map(|batch| batch.samples)
        }

        fn sent(&mut self, fate: Fate) {
            self.forwarder.sent(fate, self.now, &mut self.outbox.figures);
        }
    }

    fn again() -> Fate {
        Fate::Again("away".to_owned())
    }

    #[test]
    fn an_outage_changes_nothing_but_the_time() {
        let mut world = world();
        world.close(1);
        assert_eq!(world.next(), Some(1));
        world.close(2);
        assert_eq!(world.next(), None, "one at a time");
        world.sent(again());
        assert_eq!(world.next(), None, "not at once");
        world.close(3);
        assert!(world.forwarder.queue_bytes() > 0);
        let mut seen = Vec::new();
        for _ in 0..3 {
            world.now += LONGEST_WAIT * 2;
            seen.extend(world.next());
            world.sent(again());
        }
        assert_eq!(seen, [1, 1, 1]);
        world.now += LONGEST_WAIT * 2;
        seen.clear();
        while let Some(samples) = world.next() {
            seen.push(samples);
            world.sent(Fate::Taken);
            world.now += PACE;
        }
        assert_eq!(seen, [1, 2, 3]);
        assert_eq!(world.outbox.figures.forwarded, 6);
        assert_eq!(world.outbox.figures.retries, 4);
        world.close(4);
        assert_eq!((world.next(), world.forwarder.queue_bytes()), (Some(4), 0));
    }

    #[test]
    fn what_is_refused_is_counted_and_not_sent_again() {
        let mut world = world();
        world.close(5);
        world.close(6);
        assert_eq!(world.next(), Some(5));
        world.sent(Fate::Refused("too old".to_owned()));
        assert_eq!(world.next(), Some(6));
        world.sent(Fate::Taken);
        assert_eq!(world.next(), None);
        assert_eq!(world.outbox.figures.dropped["refused"], 5);
    }

    #[test]
    fn what_no_server_takes_for_a_minute_is_told_until_one_does() {
        let mut world = world();
        for (fate, told) in [
            (again(), None),
            (Fate::Refused("too old".to_owned()), Some("away")),
            (Fate::Taken, None),
            (Fate::Refused("too old".to_owned()), None),
        ] {
            world.close(1);
            world.next().unwrap();
            world.sent(fate);
            assert_eq!(world.forwarder.untaken(world.now), told);
            world.now += MISSED;
        }
        assert_eq!(world.forwarder.untaken(world.now), Some("too old"));
    }

    #[test]
    fn what_waits_is_kept_when_the_agent_ends() {
        let mut world = world();
        world.close(1);
        world.close(2);
        assert_eq!(world.next(), Some(1));
        world.outbox.add([("__name__", "m")].into_iter(), Sample { at: 1, value: 1.0 });
        world.forwarder.keep(&mut world.outbox);
        let mut queue = Queue::open(world._dir.path(), 1 << 20);
        let mut seen = Vec::new();
        while let Some(batch) = queue.peek() {
            seen.push(batch.samples);
            queue.advance(&batch);
        }
        assert_eq!(seen, [1, 2, 1]);
    }

    #[test]
    fn answers_are_told_apart() {
        let of = |status: u16| {
            let problem = atoll_model::api::ProblemJson {
                type_: String::new(),
                title: "no".to_owned(),
                status,
                code: String::new(),
                reasons: Vec::new(),
            };
            Fate::of(Err(ClientError::Problem(Box::new(problem))))
        };
        for status in [400, 403, 413, 422] {
            assert!(matches!(of(status), Fate::Refused(_)), "{status}");
        }
        for status in [401, 404, 408, 429, 500, 503] {
            assert!(matches!(of(status), Fate::Again(_)), "{status}");
        }
        let away = ClientError::Unreachable { servers: Vec::new(), why: String::new() };
        assert!(matches!(Fate::of(Err(away)), Fate::Again(_)));
    }

    #[test]
    fn waits_grow_and_differ_from_host_to_host() {
        assert!(wait(1, 3) <= SHORTEST_WAIT * 5 / 4 && wait(30, 3) >= LONGEST_WAIT * 3 / 4);
        assert!(wait(30, 3) <= LONGEST_WAIT * 5 / 4);
        assert_ne!(wait(5, 1), wait(5, 2));
    }
}

//! The made-up series all stores are given: counters, random walks, integers and constants of a
//! hundred instances, scraped every 15 s as a real set is. The same seed makes the same set. Not
//! how it is sent.

use atoll_metrics::Sample;
use atoll_metrics::remote::Version;
use atoll_metrics::remote::write::Encoder;

/// The name of every series, so that one query reaches them all.
pub const NAME: &str = "bench_value";
/// Between two samples of a series, in milliseconds.
pub const STEP: i64 = 15_000;
/// Series of one instance.
pub const HANDLERS: usize = 100;
/// Applications the instances are of.
const APPS: usize = 20;
/// The scrapes of an instance come so many milliseconds late at most.
const JITTER: u64 = 10;

/// A quick row of numbers from a seed.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    /// Around 0, mostly within twice the width.
    fn bell(&mut self, width: i64) -> i64 {
        let sum: i64 = (0..4).map(|_| self.below(width.unsigned_abs()) as i64).sum();
        sum - width * 2
    }
}

/// The series, and where each is now.
pub struct Set {
    labels: Vec<Vec<(&'static str, String)>>,
    state: Vec<i64>,
    /// When within a step each instance is scraped, as scrapes are spread over it.
    offsets: Vec<i64>,
    noise: Noise,
}

/// The value of the label `instance`.
pub fn instance(number: usize) -> String {
    format!("host-{number}.example.org:9100")
}

/// The value of the label `handler`.
pub fn handler(number: usize) -> String {
    format!("/api/v1/item-{number}")
}

impl Set {
    /// So many series, where they begin.
    pub fn new(series: usize) -> Set {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        let labels = |i: usize| {
            let host = i / HANDLERS;
            vec![
                ("__name__", NAME.to_owned()),
                ("app", format!("app-{}", host % APPS)),
                ("environment", "production".to_owned()),
                ("handler", handler(i % HANDLERS)),
                ("instance", instance(host)),
                ("job", "bench".to_owned()),
                ("team", format!("team-{}", host % 7)),
                ("zone", format!("zone-{}", host % 3)),
            ]
        };
        let mut hosts = Noise(7);
        Set {
            labels: (0..series).map(labels).collect(),
            state: (0..series).map(|_| noise.below(1_000_000) as i64).collect(),
            offsets: (0..series.div_ceil(HANDLERS))
                .map(|_| hosts.below(STEP.unsigned_abs() - JITTER) as i64)
                .collect(),
            noise,
        }
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.labels.len()
    }

    /// The next value of a series: a tenth and more of each kind there is in a real set.
    fn next(&mut self, i: usize) -> f64 {
        let noise = &mut self.noise;
        let state = &mut self.state[i];
        match i % HANDLERS % 8 {
            0 | 1 => *state += noise.below(1000) as i64,
            2 => *state += 1500 + noise.bell(200),
            3 => *state += noise.bell(40),
            4 => *state += noise.bell(300),
            5 => *state += noise.below(5) as i64 - 2,
            6 => {}
            _ => *state += noise.below(1500) as i64,
        }
        match i % HANDLERS % 8 {
            3 | 4 | 7 => *state as f64 / 100.0,
            _ => *state as f64,
        }
    }

    /// Adds the next sample of some series, the step having begun at `at`.
    fn add(&mut self, series: std::ops::Range<usize>, at: i64, encoder: &mut Encoder) {
        let mut late = 0;
        for i in series.clone() {
            if i % HANDLERS == 0 || i == series.start {
                late = self.noise.below(JITTER) as i64;
            }
            let sample = Sample { at: at + self.offsets[i / HANDLERS] + late, value: self.next(i) };
            let labels = self.labels[i].iter().map(|(name, value)| (*name, value.as_str()));
            encoder.add(labels, std::slice::from_ref(&sample));
        }
    }

    /// One message with the next sample of some series at this time.
    ///
    /// # Errors
    /// It is too large.
    pub fn message(&mut self, series: std::ops::Range<usize>, at: i64) -> anyhow::Result<Vec<u8>> {
        let mut encoder = Encoder::new(Version::V1);
        for i in series {
            let sample = Sample { at, value: self.next(i) };
            let labels = self.labels[i].iter().map(|(name, value)| (*name, value.as_str()));
            encoder.add(labels, std::slice::from_ref(&sample));
        }
        Ok(encoder.finish()?)
    }
}

/// Connections that send at once, each its own part of the series.
pub const LANES: usize = 2;
/// Rows of one message.
const ROWS: usize = 5_000;

/// Messages ready to be sent, in the order of time in each lane.
pub struct Bodies {
    /// Of each lane.
    pub lanes: [Vec<Vec<u8>>; LANES],
    /// Samples in all of them.
    pub samples: f64,
    /// The time of the first, in milliseconds.
    pub start: i64,
    /// After the last, in milliseconds.
    pub end: i64,
}

impl Bodies {
    /// The next so many steps of a set, the last of them before `end`.
    ///
    /// # Errors
    /// A message is too large.
    pub fn make(set: &mut Set, steps: usize, end: i64) -> anyhow::Result<Bodies> {
        let start = end - steps as i64 * STEP;
        let part = set.series() / LANES;
        let mut lanes: [Vec<Vec<u8>>; LANES] = Default::default();
        let mut encoders = [const { Version::V1 }; LANES].map(Encoder::new);
        for step in 0..steps {
            for (lane, encoder) in encoders.iter_mut().enumerate() {
                let at = start + step as i64 * STEP;
                set.add(lane * part..(lane + 1) * part, at, encoder);
                if encoder.rows() >= ROWS || step + 1 == steps {
                    lanes[lane].push(encoder.finish()?);
                }
            }
        }
        let samples = (part * LANES * steps) as f64;
        Ok(Bodies { lanes, samples, start, end })
    }

    /// Bytes of all messages.
    pub fn bytes(&self) -> usize {
        self.lanes.iter().flatten().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_messages_in_the_order_of_time() {
        let make = || Bodies::make(&mut Set::new(400), 3, 1_000_000_000).unwrap();
        let (one, other) = (make(), make());
        assert!(one.lanes == other.lanes);
        assert_eq!(one.samples, 1200.0);
        let mut newest = std::collections::HashMap::new();
        for body in one.lanes.iter().flatten() {
            let message = atoll_metrics::remote::decompress(body, 1 << 20).unwrap();
            atoll_metrics::remote::decode(Version::V1, &message, |labels, samples| {
                assert!((one.start..one.end).contains(&samples[0].at));
                let before = newest.insert(format!("{labels:?}"), samples[0].at);
                assert!(before.is_none_or(|at| at < samples[0].at));
            })
            .unwrap();
        }
        assert_eq!(newest.len(), 400, "each series has labels of its own");
    }
}

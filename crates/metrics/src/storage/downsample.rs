//! Which policy a series has, and what of it is left when it is old. Only real samples are kept, at
//! their own times, so what is the smallest, the largest and the last stays exact.

use super::{Options, Policy, key};
use crate::labels::{Labels, Matcher};
use crate::sample::{Sample, is_stale};

/// Keeps of each interval the last sample, and where they differ the smallest and the largest;
/// staleness markers stay. Doing it twice is the same as once.
pub fn thin(samples: &mut Vec<Sample>, resolution: i64) {
    let interval = |s: &Sample| s.at.div_euclid(resolution.max(1));
    let mut kept = Vec::with_capacity(samples.len());
    for group in samples.chunk_by(|a, b| interval(a) == interval(b)) {
        let real = || group.iter().enumerate().filter(|(_, s)| !is_stale(s.value));
        let last = real().next_back();
        let numbers = || real().filter(|(_, s)| !s.value.is_nan());
        // The first of equals, so that the choice does not hang on what was dropped before.
        let least = numbers().min_by(|a, b| a.1.value.total_cmp(&b.1.value));
        let most = numbers().rev().max_by(|a, b| a.1.value.total_cmp(&b.1.value));
        let end = last.map(|(_, s)| s.value);
        let differs = |(_, s): &(usize, &Sample)| Some(s.value) != end;
        let chosen = [
            last.map(|(i, _)| i),
            least.filter(differs).map(|(i, _)| i),
            most.filter(differs).map(|(i, _)| i),
        ];
        let stays = |i: usize, s: &Sample| is_stale(s.value) || chosen.contains(&Some(i));
        kept.extend(group.iter().enumerate().filter(|(i, s)| stays(*i, s)).map(|(_, s)| *s));
    }
    *samples = kept;
}

/// What is done to the series of a block all of whose samples are older than an age.
pub struct Aging<'a> {
    options: &'a Options,
    age: i64,
}

impl<'a> Aging<'a> {
    /// The greatest age that a policy speaks of and that all samples of a block have which ends at
    /// `max`; none if no policy is due.
    pub fn of(options: &'a Options, max: i64, now: i64) -> Option<Aging<'a>> {
        let ages = options.policies.iter().flat_map(|policy| {
            let steps = policy.downsample.iter().map(|(age, _)| *age);
            steps.chain([policy.retention, options.retention])
        });
        let age = ages.filter(|age| max < now.saturating_sub(*age)).max()?;
        Some(Aging { options, age })
    }

    /// The age.
    pub fn age(&self) -> i64 {
        self.age
    }

    /// Drops what is not kept of a series.
    pub fn apply(&self, key: &[u8], samples: &mut Vec<Sample>) {
        let policy = policy_of(self.options, key);
        if policy.map_or(self.options.retention, |p| p.retention) <= self.age {
            samples.clear();
            return;
        }
        let steps = policy.map_or(&[][..], |p| &p.downsample);
        let due = steps.iter().filter(|(age, _)| *age <= self.age);
        if let Some(resolution) = due.map(|(_, resolution)| *resolution).max() {
            thin(samples, resolution);
        }
    }
}

/// From which times after `from` back a series may be thinned out, and to what; see
/// [`crate::Source::thinned`].
pub fn since(options: &Options, labels: &Labels, newest: i64, from: i64) -> Vec<(i64, i64)> {
    let due = |policy: &Policy| -> Vec<(i64, i64)> {
        let steps = policy.downsample.iter();
        steps
            .map(|(age, resolution)| (newest.saturating_sub(*age), *resolution))
            .filter(|(before, _)| *before > from)
            .collect()
    };
    // Most questions reach back to nothing that is old enough.
    if options.policies.iter().all(|policy| due(policy).is_empty()) {
        return Vec::new();
    }
    let matches = |m: &Matcher| m.matches(labels.get(&m.name));
    let own = options.policies.iter().find(|policy| policy.matchers.iter().all(matches));
    own.map(due).unwrap_or_default()
}

fn policy_of<'a>(options: &'a Options, key: &[u8]) -> Option<&'a Policy> {
    let matches = |m: &Matcher| m.matches(key::value(key, &m.name));
    options.policies.iter().find(|policy| policy.matchers.iter().all(matches))
}

/// Tells policies from others, so that blocks are looked at again when they change.
pub fn fingerprint(policies: &[Policy]) -> u32 {
    let mut text = String::new();
    for policy in policies {
        for matcher in &policy.matchers {
            text.push_str(&matcher.to_string());
        }
        text.push_str(&format!(" {} {:?}\n", policy.retention, policy.downsample));
    }
    crc32fast::hash(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::STALE;

    fn thinned(values: &[f64]) -> Vec<(i64, f64)> {
        let mut samples: Vec<Sample> =
            values.iter().enumerate().map(|(i, v)| Sample { at: i as i64, value: *v }).collect();
        thin(&mut samples, 10);
        samples.iter().map(|s| (s.at, s.value)).collect()
    }

    #[test]
    fn ends_and_extremes_stay() {
        assert_eq!(thinned(&[3.0, 9.0, 1.0, 5.0]), [(1, 9.0), (2, 1.0), (3, 5.0)]);
        assert_eq!(thinned(&[1.0, 2.0, 3.0]), [(0, 1.0), (2, 3.0)]);
        assert_eq!(thinned(&[4.0, 4.0, 4.0]), [(2, 4.0)]);
        let with_mark = thinned(&[1.0, 2.0, STALE]);
        assert_eq!(with_mark.iter().map(|s| s.0).collect::<Vec<_>>(), [0, 1, 2]);
        let with_nan = thinned(&[1.0, 2.0, f64::NAN]);
        assert_eq!(with_nan.iter().map(|s| s.0).collect::<Vec<_>>(), [0, 1, 2]);
    }

    proptest! {
        #[test]
        fn twice_is_once(values in prop::collection::vec(
            prop_oneof![4 => (0..5_i32).prop_map(f64::from), 1 => Just(f64::NAN),
                1 => Just(STALE), 1 => Just(-0.0)], 0..60),
        ) {
            let all = values.iter().enumerate();
            let mut samples: Vec<Sample> =
                all.map(|(i, value)| Sample { at: i as i64, value: *value }).collect();
            let before = samples.clone();
            thin(&mut samples, 7);
            let once = samples.clone();
            thin(&mut samples, 7);
            prop_assert_eq!(&once, &samples);
            let extremes = |all: &[Sample], i: i64| {
                let of = all.iter().filter(|s| s.at / 7 == i && !s.value.is_nan());
                of.fold((f64::INFINITY, -f64::INFINITY), |(a, b), s| {
                    (a.min(s.value), b.max(s.value))
                })
            };
            for i in 0..9 {
                prop_assert_eq!(extremes(&before, i), extremes(&once, i));
            }
        }
    }
}

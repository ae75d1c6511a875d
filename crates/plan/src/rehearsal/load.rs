//! The load of every deployment at any time of a rehearsal, as it is supposed: its own, and what
//! comes with the load of others that call it. A function of time and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use atoll_model::rehearsal::{Load, Peak};
use atoll_model::{Snapshot, Span, Timestamp};

use crate::capacity::calls::callers;
use crate::checksum;

const DAY: i64 = 86_400_000;
/// The load a chain of calls brings is followed so far.
const DEEPEST: usize = 8;

/// Where a load comes from.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    /// A level and the shape of a day, in values evenly spread over it.
    Shape(f64, Vec<f64>),
    /// Values at regular times; beyond its end it goes on as it was whole days before. It is not
    /// known before its beginning.
    Values(Timestamp, Span, Vec<f64>),
}

/// What declared peaks make of a load in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch {
    pub from: Timestamp,
    pub to: Timestamp,
    /// It is so many times what it is usually,
    pub times: f64,
    /// and so much at least.
    pub least: f64,
}

/// The load of one deployment that is its own.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub base: Base,
    /// What others brought to the base, where that was measured and is the whole: their loads as
    /// they were measured, and how much of each. It comes with theirs here too, and not twice.
    pub brought: Vec<(Base, f64)>,
    pub times: f64,
    pub noise: f64,
    pub peaks: Vec<Peak>,
    /// What declared peaks make of it, one after the other.
    pub declared: Vec<Stretch>,
    /// Times it is multiplied in: from, to and by how much.
    pub factors: Vec<(Timestamp, Timestamp, f64)>,
}

/// The load of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loads {
    from: Timestamp,
    seed: u64,
    own: BTreeMap<String, Own>,
    /// Whose own loads the load of each is made of, and how much of it.
    parts: BTreeMap<String, Vec<(String, f64)>>,
}

impl Base {
    pub fn of(load: &Load) -> Base {
        let day = if load.day.is_empty() { vec![1.0] } else { load.day.clone() };
        Base::Shape(load.level.unwrap_or_default(), day)
    }

    pub(super) fn at(&self, at: Timestamp) -> f64 {
        match self {
            Base::Shape(level, day) => {
                let place = at.0.rem_euclid(DAY) as f64 / DAY as f64 * day.len() as f64;
                let (i, part) = (place as usize % day.len(), place.fract());
                let (a, b) = (day[i], day[(i + 1) % day.len()]);
                level * (a + (b - a) * part)
            }
            Base::Values(start, step, values) => {
                let length = step.0 as i64 * values.len() as i64;
                let mut since = at.0 - start.0;
                if since >= length {
                    since -= (since - length).div_euclid(DAY) * DAY + DAY;
                }
                if since < 0 {
                    return f64::NAN;
                }
                let i = since / step.0.max(1) as i64;
                values.get(i as usize).or(values.last()).copied().unwrap_or_default()
            }
        }
    }
}

impl Own {
    pub fn new(base: Base, load: &Load) -> Own {
        Own {
            base,
            brought: Vec::new(),
            times: load.times.unwrap_or(1.0),
            noise: load.noise.unwrap_or_default(),
            peaks: load.peaks.clone(),
            declared: Vec::new(),
            factors: Vec::new(),
        }
    }

    fn at(&self, name: &str, at: Timestamp, from: Timestamp, seed: u64) -> f64 {
        let brought = self.brought.iter().map(|(base, each)| (base.at(at) * each).max(0.0));
        let (whole, brought) = (self.base.at(at), brought.sum::<f64>());
        // What is not known of its past stays unknown.
        let own = if whole.is_nan() { whole } else { (whole - brought).max(0.0) };
        let mut load = own * self.times;
        for peak in &self.peaks {
            load *= factor(peak, at, from);
        }
        let mut declared = self.declared.iter();
        // What is not known of its past stays unknown.
        if let Some(one) = declared.find(|one| one.from <= at && at < one.to && !load.is_nan()) {
            load = (load * one.times).max(one.least);
        }
        for (since, until, times) in &self.factors {
            if *since <= at && at < *until {
                load *= times;
            }
        }
        if self.noise > 0.0 {
            let slot = (at.0.div_euclid(5_000)).to_le_bytes();
            let sum = checksum([&seed.to_le_bytes()[..], name.as_bytes(), &slot[..]]);
            // FNV spreads its last bits well and its first ones badly.
            let chance = ((sum ^ (sum >> 32)) & 0xffff) as f64 / 65_535.0;
            load *= 1.0 + self.noise * (chance * 2.0 - 1.0);
        }
        if load.is_nan() { load } else { load.max(0.0) }
    }
}

fn factor(peak: &Peak, at: Timestamp, from: Timestamp) -> f64 {
    let (full, rise) = (from + peak.at, peak.rise.0 as f64);
    let over = full + peak.lasts;
    let away = match at {
        at if at < full => full.since(at).0 as f64,
        at if at > over => at.since(over).0 as f64,
        _ => 0.0,
    };
    if away == 0.0 {
        return peak.times;
    }
    let share = if rise > 0.0 { (1.0 - away / rise).max(0.0) } else { 0.0 };
    1.0 + (peak.times - 1.0) * share
}

impl Loads {
    pub fn new(world: &Snapshot, own: BTreeMap<String, Own>, from: Timestamp, seed: u64) -> Loads {
        let mut loads = Loads { from, seed, own, parts: BTreeMap::new() };
        let called = callers(world);
        let names: BTreeSet<String> =
            called.keys().chain(loads.own.keys()).map(String::clone).collect();
        for name in names {
            let mut parts: BTreeMap<String, f64> = BTreeMap::new();
            gather(&name, 1.0, DEEPEST, &called, &mut parts);
            parts.retain(|name, _| loads.own.contains_key(name));
            if !parts.is_empty() {
                loads.parts.insert(name, parts.into_iter().collect());
            }
        }
        loads
    }

    /// The deployments that have any load.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.parts.keys()
    }

    /// The load of a deployment at a time; none where it has none.
    pub fn at(&self, deployment: &str, at: Timestamp) -> Option<f64> {
        let parts = self.parts.get(deployment)?.iter();
        let of = |(name, share): &(String, f64)| {
            let own = self.own.get(name).map_or(0.0, |own| own.at(name, at, self.from, self.seed));
            own * share
        };
        Some(parts.map(of).sum())
    }

    /// Multiplies the own load of some.
    pub fn multiply(
        &mut self,
        of: Option<&str>,
        (from, to): (Timestamp, Timestamp),
        times: f64,
    ) -> bool {
        let mut any = false;
        for (name, own) in &mut self.own {
            if of.is_none_or(|of| is_of(name, of)) {
                own.factors.push((from, to, times));
                any = true;
            }
        }
        any
    }
}

/// Whether a deployment is meant by its name or by that of its application.
pub(crate) fn is_of(deployment: &str, name: &str) -> bool {
    deployment == name || deployment.rsplit_once('.').is_some_and(|(of, _)| of == name)
}

fn gather(
    name: &str,
    share: f64,
    left: usize,
    called: &BTreeMap<String, Vec<(String, f64)>>,
    parts: &mut BTreeMap<String, f64>,
) {
    *parts.entry(name.to_owned()).or_default() += share;
    if left == 0 {
        return;
    }
    for (caller, each) in called.get(name).into_iter().flatten() {
        gather(caller, share * each, left - 1, called, parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Timestamp = Timestamp(DAY * 10);

    fn at(own: &Own, minutes: u64) -> f64 {
        own.at("shop.prod", FROM + Span::seconds(minutes * 60), FROM, 1)
    }

    #[test]
    fn what_others_brought_to_a_measured_load_comes_with_theirs() {
        let known = |values: &[f64]| Base::Values(FROM, Span::seconds(60), values.to_vec());
        let mut own = Own::new(known(&[60.0, 60.0, f64::NAN]), &Load::default());
        own.brought = vec![(known(&[100.0, 200.0, 100.0]), 0.5)];
        assert_eq!((at(&own, 0), at(&own, 1)), (10.0, 0.0));
        assert!(at(&own, 2).is_nan(), "nobody knows");
    }

    #[test]
    fn a_day_has_its_shape_and_peaks_stand_on_it() {
        let peak = Peak {
            at: Span::seconds(3_600),
            times: 3.0,
            rise: Span::seconds(1_200),
            lasts: Span::seconds(600),
        };
        let load =
            Load { level: Some(100.0), day: vec![1.0, 2.0], peaks: vec![peak], ..Load::default() };
        let own = Own::new(Base::of(&load), &load);
        assert_eq!((at(&own, 0), at(&own, 720)), (100.0, 200.0));
        let (usual, half, full, after) = (at(&own, 30), at(&own, 50), at(&own, 65), at(&own, 120));
        assert!((usual - 104.17).abs() < 0.1, "{usual}");
        assert!((half - 106.94 * 2.0).abs() < 0.1, "{half}");
        assert!((full - 109.03 * 3.0).abs() < 0.1, "{full}");
        assert!((after - 116.67).abs() < 0.1, "{after}");
    }

    #[test]
    fn what_was_measured_goes_on_as_it_was_days_before() {
        let values: Vec<f64> = (0..24).map(f64::from).collect();
        let hour = Span::seconds(3_600);
        let base = Base::Values(FROM - Span::seconds(86_400), hour, values);
        assert_eq!(base.at(FROM - hour), 23.0);
        assert_eq!(base.at(FROM), 0.0);
        assert_eq!(base.at(FROM + Span::seconds(86_400 + 7_200)), 2.0);
    }

    #[test]
    fn noise_is_bounded_and_the_same_again() {
        let load = Load { level: Some(100.0), noise: Some(0.1), ..Load::default() };
        let own = Own::new(Base::of(&load), &load);
        let all: Vec<f64> = (0..1_000).map(|i| at(&own, i)).collect();
        assert!(all.iter().all(|load| (90.0..=110.0).contains(load)));
        let mean = all.iter().sum::<f64>() / 1_000.0;
        assert!((mean - 100.0).abs() < 1.0, "{mean}");
        assert_eq!(at(&own, 7), all[7]);
    }
}

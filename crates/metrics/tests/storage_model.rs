//! The store against a map that does the same without a disk: random appends, late ones, marks,
//! conflicts, restarts, flushes and maintenance, after which both must give the same samples.

use std::collections::BTreeMap;
use std::path::Path;

use atoll_metrics::storage::{Appended, Options, Storage};
use atoll_metrics::{LabelQuery, Labels, Matcher, STALE, Sample, Source, SourceError};
use proptest::prelude::*;

const BLOCK: i64 = 10_000;
const WINDOW: i64 = 3_000;
const AHEAD: i64 = 2_000;
const WARM: i64 = 4_000;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Samples: the series, how far behind the time it is now, and the value.
    Append(Vec<(u8, i64, f64)>),
    Advance(i64),
    Maintain,
    Flush,
    Reopen,
    Check(u8, i64, i64),
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0..500_i64).prop_map(|m| m as f64 / 10.0),
        2 => (0..3_i64).prop_map(|m| m as f64),
        1 => Just(STALE),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -f64::INFINITY, -0.0, 1e-300]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let sample = (0..6_u8, prop_oneof![4 => 0..200_i64, 2 => -2_500..5_000_i64], value());
    let from = prop_oneof![0..101_i64, 90..101_i64];
    let to = prop_oneof![0..101_i64, Just(100)];
    prop_oneof![
        12 => prop::collection::vec(sample, 1..20).prop_map(Step::Append),
        8 => (1..4_000_i64).prop_map(Step::Advance),
        2 => Just(Step::Maintain),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        3 => (0..6_u8, from, to).prop_map(|(s, a, b)| Step::Check(s, a, b)),
    ]
}

fn options(head_bytes: usize) -> Options {
    Options {
        block: BLOCK,
        out_of_order: WINDOW,
        ahead: AHEAD,
        warm: WARM,
        head_bytes,
        segment_bytes: 2 << 10,
        ..Options::default()
    }
}

/// What the store should hold.
#[derive(Default)]
struct Model {
    series: BTreeMap<u8, BTreeMap<i64, f64>>,
    newest: Option<i64>,
}

impl Model {
    fn append(&mut self, now: i64, rows: &[(u8, i64, f64)]) -> (u64, u64, u64) {
        let floor = self.newest.map_or(i64::MIN, |n| n - WINDOW);
        let (mut fits, mut old, mut new) = (0, 0, 0);
        for &(series, behind, value) in rows {
            let at = now - behind;
            if at < floor {
                old += 1;
            } else if at > now + AHEAD {
                new += 1;
            } else {
                fits += 1;
                let samples = self.series.entry(series).or_default();
                samples.entry(at).or_insert(value);
                self.newest = self.newest.max(Some(at));
            }
        }
        (fits, old, new)
    }

    fn samples(&self, series: u8, from: i64, to: i64) -> Vec<Sample> {
        let some = self.series.get(&series).filter(|_| from <= to);
        let range = some.into_iter().flat_map(|s| s.range(from..=to));
        range.map(|(at, value)| Sample { at: *at, value: *value }).collect()
    }
}

fn name(series: u8) -> String {
    format!("s{series}")
}

fn labels(series: u8) -> [(&'static str, String); 3] {
    [("z", name(series)), ("__name__", "m".to_owned()), ("even", (series % 2).to_string())]
}

fn append(storage: &Storage, now: i64, rows: &[(u8, i64, f64)]) -> Appended {
    let mut appender = storage.appender("test", now);
    for (series, behind, value) in rows {
        let labels = labels(*series);
        let labels: Vec<_> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
        appender.add(&labels, &[Sample { at: now - behind, value: *value }]);
    }
    appender.commit().unwrap()
}

fn check(storage: &Storage, model: &Model, series: u8, from: i64, to: i64) {
    let matchers = [Matcher::equal("__name__", "m"), Matcher::equal("z", &name(series))];
    let found = storage.select(&matchers, from, to).unwrap();
    let wanted = model.samples(series, from, to);
    assert!(found.len() <= 1, "a series is given once");
    let mut got = vec![Sample { at: i64::MAX, value: 7.0 }];
    if let Some(found) = found.first() {
        found.read(from, to, &mut got).unwrap();
        assert_eq!(found.labels().get("z"), name(series));
        if let Some(last) = wanted.last() {
            assert_eq!(found.last(to), Some(*last));
        }
    }
    assert_eq!(got[1..], wanted, "series {series} from {from} to {to}");
    for memory in [0, WARM / 2, 4 * WARM] {
        check_recall(storage, model, series, (from, to), memory);
    }
}

fn check_recall(storage: &Storage, model: &Model, series: u8, range: (i64, i64), memory: i64) {
    let (from, to) = range;
    let matchers = [Matcher::equal("z", &name(series))];
    let first = from.saturating_sub(memory);
    let before = model.samples(series, first, from).last().copied();
    let mut found = Vec::new();
    let recalled = storage.recall(&matchers, range, memory).unwrap();
    let kept = |labels: &Labels, samples: &[Sample], last: Option<Sample>| {
        found.push((labels.get("z").to_owned(), samples.to_vec(), last));
        Ok::<(), SourceError>(())
    };
    recalled.read_each(range, kept).unwrap();
    let Some((label, samples, last)) = found.pop() else {
        assert_eq!(model.samples(series, first, to), [], "series {series} from {first} to {to}");
        return;
    };
    assert_eq!((label, found.len()), (name(series), 0));
    let last = last.filter(|sample| sample.at >= first);
    assert_eq!(last, before, "series {series} at {from}, back to {first}");
    assert_eq!(samples, model.samples(series, from.saturating_add(1), to));
}

fn check_all(storage: &Storage, model: &Model) {
    for series in 0..6 {
        check(storage, model, series, i64::MIN, i64::MAX);
    }
    let all: Vec<String> = model.series.keys().map(|s| name(*s)).collect();
    assert_eq!(storage.label_values("z", &LabelQuery::default()).unwrap(), all);
    let even = LabelQuery {
        sets: vec![vec![Matcher::regex("even", "0|7").unwrap()]],
        ..LabelQuery::default()
    };
    let evens: Vec<String> =
        model.series.keys().filter(|s| *s % 2 == 0).map(|s| name(*s)).collect();
    assert_eq!(storage.label_values("z", &even).unwrap(), evens);
    let found = storage.select(&even.sets[0], i64::MIN, i64::MAX).unwrap();
    assert_eq!(found.len(), evens.len());
    let names = storage.label_names(&even).unwrap();
    assert_eq!(names.is_empty(), evens.is_empty());
    assert!(names.is_empty() || names == ["__name__", "even", "z"]);
}

fn open(dir: &Path, head_bytes: usize, now: i64) -> Storage {
    Storage::open(dir, options(head_bytes), now).unwrap()
}

fn run(steps: Vec<Step>, head_bytes: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut now = 1_700_000_000_000;
    let start = now;
    let mut storage = open(dir.path(), head_bytes, now);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append(rows) => {
                let (fits, old, new) = model.append(now, &rows);
                let got = append(&storage, now, &rows);
                assert_eq!(got.accepted + got.duplicates + got.conflicting, fits);
                assert_eq!((got.too_old, got.too_new), (old, new));
                assert_eq!(got.refusal.is_some(), old + new > 0);
            }
            Step::Advance(by) => now += by,
            Step::Maintain => drop(storage.maintain(now).unwrap()),
            Step::Flush => storage.flush().unwrap(),
            Step::Reopen => {
                drop(storage);
                storage = open(dir.path(), head_bytes, now);
            }
            Step::Check(series, a, b) => {
                let at = |part: i64| start + (now - start) * part / 100;
                check(&storage, &model, series, at(a.min(b)), at(a.max(b)));
            }
        }
    }
    check_all(&storage, &model);
    storage.maintain(now).unwrap();
    check_all(&storage, &model);
    drop(storage);
    check_all(&open(dir.path(), head_bytes, now), &model);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_store_holds_what_the_map_holds(
        steps in prop::collection::vec(step(), 1..80),
        head_bytes in prop::sample::select(vec![3 << 10, 32 << 10]),
    ) {
        run(steps, head_bytes);
    }
}

//! The store as its owner uses it: limits, labels, policies, threads. Crashes and damage have their
//! own file.

use std::sync::atomic::{AtomicBool, Ordering};

use atoll_metrics::storage::{Options, Policy, Storage};
use atoll_metrics::{LabelQuery, Matcher, STALE, Sample, Source, promql};

const START: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Labels, time and value.
type Row<'a> = (&'a [(&'a str, &'a str)], i64, f64);

fn add(storage: &Storage, source: &str, now: i64, rows: &[Row<'_>]) {
    let mut appender = storage.appender(source, now);
    for (labels, at, value) in rows {
        appender.add(labels, &[Sample { at: *at, value: *value }]);
    }
    let appended = appender.commit().unwrap();
    assert_eq!(appended.accepted, rows.len() as u64, "{appended:?}");
}

fn read(storage: &Storage, matchers: &[Matcher]) -> Vec<(String, Vec<(i64, f64)>)> {
    let mut all: Vec<_> = storage
        .select(matchers, i64::MIN, i64::MAX)
        .unwrap()
        .iter()
        .map(|series| {
            let mut samples = Vec::new();
            series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
            let samples = samples.iter().map(|s| (s.at - START, s.value)).collect();
            (series.labels().to_string(), samples)
        })
        .collect();
    all.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
    all
}

#[test]
fn a_source_over_its_limit_is_refused_by_name_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        most_series: 5,
        most_series_per_source: 3,
        most_selected: 4,
        ..Options::default()
    };
    let storage = Storage::open(dir.path(), options, START).unwrap();
    let commit = |source: &str, count: u64, name: &str| {
        let mut appender = storage.appender(source, START);
        for i in 0..count {
            let labels = [("i", i.to_string()), ("__name__", name.to_owned())];
            let labels: Vec<_> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
            appender.add(&labels, &[Sample { at: START, value: 1.0 }]);
        }
        appender.commit().unwrap()
    };
    let got = commit("host/h1", 5, "a");
    assert_eq!((got.accepted, got.over_limit), (3, 2));
    let refusal = got.refusal.unwrap();
    assert_eq!(refusal, "source host/h1 has 3 series, its limit; \"a{i=\\\"3\\\"}\" was refused");
    let got = commit("host/h1", 3, "a");
    assert_eq!((got.duplicates, got.over_limit), (3, 0), "known series are not refused");
    let got = commit("host/h2", 3, "b");
    assert_eq!((got.accepted, got.over_limit), (2, 1));
    assert!(got.refusal.unwrap().starts_with("the store has 5 series, its limit"));
    let wide = storage.select(&[], 0, i64::MAX).err().unwrap().to_string();
    assert!(wide.starts_with("the query selects 5 series"), "{wide}");
    assert_eq!(storage.select(&[Matcher::equal("i", "0")], 0, i64::MAX).unwrap().len(), 2);
    let status = storage.status();
    let sources: Vec<_> =
        status.sources.iter().map(|s| (s.name.as_str(), s.series, s.refused)).collect();
    assert_eq!(sources, [("host/h1", 3, 2), ("host/h2", 2, 1)]);
    assert_eq!((status.series, status.most_series, status.samples), (5, 5, 5));
    assert_eq!((status.min_time, status.max_time), (Some(START), Some(START)));
    assert_eq!(status.series_by_metric[0].name, "a");
    assert_eq!(status.series_by_metric[0].value, 3);
    assert_eq!(status.series_by_pair[0].name, "__name__=a");
    assert_eq!(status.values_by_label[0].value, 3);
}

#[test]
fn bad_rows_are_counted_and_the_rest_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), Options::default(), START).unwrap();
    let mut appender = storage.appender("x", START);
    let sample = |at| [Sample { at, value: 1.0 }];
    let megabyte = "x".repeat(1 << 20);
    let many: Vec<String> = (0..65).map(|i| format!("l{i}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|n| (n.as_str(), "v")).collect();
    appender.add(&[("__name__", "up"), ("big", &megabyte)], &sample(START));
    appender.add(&many, &sample(START));
    appender.add(&[], &sample(START));
    appender.add(&[("a\0b", "x")], &sample(START));
    appender.add(&[("a", "1"), ("a", "2")], &sample(START));
    appender.add(&[("__name__", "up")], &sample(START + DAY));
    appender.add(&[("__name__", "up")], &sample(START - 30 * DAY));
    appender.add(&[("__name__", "up")], &sample(START));
    let got = appender.commit().unwrap();
    assert_eq!((got.accepted, got.invalid, got.too_new, got.too_old), (1, 5, 1, 1));
    assert!(got.refusal.unwrap().contains("the label \"big\" has 1048576 bytes"));
    assert_eq!(read(&storage, &[]), [("up".to_owned(), vec![(0, 1.0)])]);

    let mut appender = storage.appender("x", START);
    appender.add(&[("__name__", "up")], &[Sample { at: START, value: 1.0 }]);
    appender.add(&[("__name__", "up")], &[Sample { at: START, value: 2.0 }]);
    appender.add(&[("__name__", "up")], &[Sample { at: START - 2 * DAY - MINUTE, value: 2.0 }]);
    let got = appender.commit().unwrap();
    assert_eq!((got.duplicates, got.conflicting, got.too_old), (1, 1, 1), "{got:?}");
    // What is not committed is not there.
    let mut appender = storage.appender("x", START);
    appender.add(&[("__name__", "down")], &sample(START));
    drop(appender);
    assert_eq!(read(&storage, &[]), [("up".to_owned(), vec![(0, 1.0)])]);
}

#[test]
fn a_clock_a_day_ahead_does_not_keep_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), Options::default(), START).unwrap();
    let mut appender = storage.appender("wrong", START);
    appender.add(&[("a", "1")], &[Sample { at: START + DAY, value: 1.0 }]);
    let got = appender.commit().unwrap();
    assert_eq!(got.too_new, 1);
    assert!(got.refusal.unwrap().contains("ahead of this clock"));
    add(&storage, "right", START, &[(&[("a", "1")], START, 1.0)]);
    assert_eq!(storage.status().series, 1);
}

/// Two hours of `thin`, `short` and `other`, in a block of their own: when they begin, and the
/// samples of each.
fn one_block_of_three_series(storage: &Storage) -> (i64, Vec<Sample>) {
    // A full block is older than a day at the time of the first maintenance of the test.
    let begin = START.div_euclid(2 * HOUR) * 2 * HOUR;
    let mut raw = Vec::new();
    for i in 0..480_i64 {
        let at = begin + i * 15_000;
        let value = if i == 100 { STALE } else { (i * 7919 % 1013) as f64 };
        raw.push(Sample { at, value });
        let rows: [Row<'_>; 3] = [
            (&[("__name__", "thin")], at, value),
            (&[("__name__", "short")], at, value),
            (&[("__name__", "other")], at, value),
        ];
        add(storage, "x", at, &rows);
    }
    storage.flush().unwrap();
    (begin, raw)
}

#[test]
fn what_was_thinned_out_on_purpose_is_not_missing() {
    let dir = tempfile::tempdir().unwrap();
    let matchers = vec![Matcher::equal("__name__", "x")];
    let downsample = vec![(30 * MINUTE, MINUTE), (3 * HOUR, 10 * MINUTE)];
    let policies = vec![Policy { matchers, retention: 10 * DAY, downsample }];
    let options = Options { policies, ..Options::default() };
    let storage = Storage::open(dir.path(), options, START).unwrap();
    let times = || (0..45 * 240).map(|i| START + 15_000 * i);
    let gap = START + 20 * HOUR..START + 22 * HOUR;
    for at in times() {
        // One that changes leaves three samples of an interval, one that does not a single one.
        let value = (at / 15_000 % 3) as f64;
        let all: [Row; 2] =
            [(&[("__name__", "x")], at, value), (&[("__name__", "x"), ("of", "gap")], at, 1.0)];
        let kept = if gap.contains(&at) { &all[..1] } else { &all[..] };
        add(&storage, "a", at, kept);
    }
    let now = START + 45 * HOUR - 15_000;
    storage.flush().unwrap();
    assert!(storage.maintain(now).unwrap().rewritten > 0);
    let coverage = |query: &str| {
        let answer = promql::instant(&storage, query, now, &promql::QueryOptions::default());
        answer.unwrap().coverage
    };
    let all = coverage("count_over_time(x{of=\"\"}[45h])");
    assert_eq!((all.expected, all.interval), (all.seen, Some(15_000)), "{all:?}");
    assert!((500..1000).contains(&all.expected), "{all:?}");
    let some = coverage("count_over_time(x{of=\"gap\"}[45h])");
    assert_eq!(some.expected - some.seen, 2 * 6 - 1, "what was lost is: {some:?}");
    let late = coverage("count_over_time(x[30m] offset 6h)");
    assert_eq!((late.series, late.expected), (2, late.seen), "{late:?}");
}

#[test]
fn old_samples_are_thinned_and_dropped_by_the_first_policy_that_matches() {
    let dir = tempfile::tempdir().unwrap();
    let policy = |name: &str, retention, downsample| Policy {
        matchers: vec![Matcher::equal("__name__", name)],
        retention,
        downsample,
    };
    let options = Options {
        policies: vec![
            policy("thin", 40 * DAY, vec![(DAY, 5 * MINUTE), (4 * DAY, HOUR)]),
            policy("short", DAY, vec![]),
        ],
        retention: 20 * DAY,
        ..Options::default()
    };
    let storage = Storage::open(dir.path(), options.clone(), START).unwrap();
    let (begin, raw) = one_block_of_three_series(&storage);
    let names = |storage: &Storage| storage.label_values("__name__", &LabelQuery::default());
    let thin = |storage: &Storage| {
        let found = storage.select(&[Matcher::equal("__name__", "thin")], 0, i64::MAX).unwrap();
        let mut samples = Vec::new();
        found.iter().for_each(|s| s.read(0, i64::MAX, &mut samples).unwrap());
        samples
    };
    storage.maintain(begin + 2 * HOUR + DAY - MINUTE).unwrap();
    assert_eq!(thin(&storage), raw, "not all of the block is a day old");

    for resolution in [5 * MINUTE, HOUR] {
        let age = if resolution == HOUR { 4 * DAY } else { DAY };
        let now = begin + 2 * HOUR + age;
        assert_eq!(storage.maintain(now).unwrap().rewritten, 1);
        assert_eq!(storage.maintain(now).unwrap().rewritten, 0, "once is enough");
        let got = thin(&storage);
        assert!(got.iter().all(|s| raw.contains(s)), "only real samples");
        let of = |all: &[Sample], i: i64| -> Vec<Sample> {
            let all = all.iter().filter(|s| (s.at - begin) / resolution == i);
            all.filter(|s| !s.value.is_nan()).copied().collect()
        };
        for i in 0..2 * HOUR / resolution {
            let (before, after) = (of(&raw, i), of(&got, i));
            let extremes = |all: &[Sample]| {
                let values = all.iter().map(|s| s.value);
                (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max))
            };
            assert_eq!(extremes(&before), extremes(&after));
            assert_eq!(before.last(), after.last());
            assert!(after.len() <= 3);
        }
        assert_eq!(got.iter().filter(|s| s.value.is_nan()).count(), 1, "the mark stays");
    }
    drop(storage);
    let storage = Storage::open(dir.path(), options, begin + 5 * DAY).unwrap();
    assert_eq!(names(&storage).unwrap(), ["other", "thin"], "short is gone after a day");
    storage.maintain(begin + 2 * HOUR + 20 * DAY).unwrap();
    assert_eq!(names(&storage).unwrap(), ["thin"]);
    let done = storage.maintain(begin + 2 * HOUR + 40 * DAY).unwrap();
    assert_eq!(done.expired, 1);
    assert_eq!(names(&storage).unwrap(), [""; 0]);
}

#[test]
fn blocks_grow_with_time_and_idle_series_leave_memory() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), Options::default(), START).unwrap();
    let begin = START.div_euclid(8 * HOUR) * 8 * HOUR;
    let mut wanted = Vec::new();
    for i in 0..9 * 60 {
        let at = begin + i * MINUTE;
        // One series a quarter of an hour, as instances come and go.
        let instance = (i / 15).to_string();
        add(&storage, "x", at, &[(&[("a", &instance)], at, i as f64), (&[("b", "1")], at, 1.0)]);
        wanted.push((at - START, 1.0));
        storage.maintain(at).unwrap();
    }
    let status = storage.status();
    assert!(status.series < 20, "{} series are still in memory", status.series);
    assert!(status.blocks.count < 4, "{:?}", status.blocks);
    assert!(status.log_bytes < 10_000);
    assert_eq!(status.samples, 2 * 9 * 60);
    assert_eq!(read(&storage, &[Matcher::equal("b", "1")])[0].1, wanted);
    let past = LabelQuery { to: Some(begin + 29 * MINUTE), ..LabelQuery::default() };
    let values = storage.label_values("a", &past).unwrap();
    assert!(values.contains(&"1".to_owned()));
    let now = LabelQuery { from: Some(begin + 530 * MINUTE), ..LabelQuery::default() };
    assert_eq!(storage.label_values("a", &now).unwrap(), ["35"]);
    let two = LabelQuery { limit: Some(1), ..LabelQuery::default() };
    assert_eq!(storage.label_names(&two).unwrap(), ["a"]);
}

#[test]
fn threads_lose_nothing_while_blocks_are_cut() {
    const ROUNDS: i64 = 300;
    let dir = tempfile::tempdir().unwrap();
    let options =
        Options { head_bytes: 20_000, segment_bytes: 5_000, block: 100_000, ..Options::default() };
    let storage = Storage::open(dir.path(), options.clone(), START).unwrap();
    let done = AtomicBool::new(false);
    let writer = |thread: &str| {
        for i in 0..ROUNDS {
            let at = START + i * 1000;
            add(
                &storage,
                thread,
                at,
                &[
                    (&[("t", thread), ("x", "1")], at, i as f64),
                    (&[("t", thread), ("x", "2")], at, -i as f64),
                ],
            );
        }
    };
    let reader = || {
        while !done.load(Ordering::Relaxed) {
            for (_, samples) in read(&storage, &[Matcher::equal("x", "1")]) {
                // A series is read from its start without a gap, wherever its samples are.
                let all = samples.iter().enumerate();
                assert!(all.into_iter().all(|(i, s)| *s == (i as i64 * 1000, i as f64)));
            }
        }
    };
    std::thread::scope(|scope| {
        let read = scope.spawn(reader);
        let writers = ["a", "b", "c"].map(|t| scope.spawn(move || writer(t)));
        for _ in 0..20 {
            storage.flush().unwrap();
            storage.maintain(START).unwrap();
        }
        let results = writers.map(|w| w.join());
        done.store(true, Ordering::Relaxed);
        read.join().unwrap();
        assert!(results.iter().all(Result::is_ok));
    });
    drop(storage);
    let storage = Storage::open(dir.path(), options, START).unwrap();
    let all = read(&storage, &[]);
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|(_, samples)| samples.len() == ROUNDS as usize));
}

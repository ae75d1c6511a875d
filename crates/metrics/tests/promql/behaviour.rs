//! What Prometheus' tests do not say: budgets, cancellation, coverage, rewriting, hostile input.

use std::sync::atomic::Ordering;

use atoll_metrics::promql::{self, Coverage, QueryError, QueryOptions, Value};
use atoll_metrics::{Labels, STALE, Sample};
use proptest::prelude::*;

use crate::memory::Memory;

const MINUTE: i64 = 60_000;

/// Samples of a series every 15 s over `(from, to]`, counting up.
fn filled(memory: &mut Memory, labels: &[(&str, &str)], from: i64, to: i64) {
    let times = (from + 15_000..=to).step_by(15_000);
    let samples = times.map(|at| Sample { at, value: (at / 1000) as f64 }).collect();
    memory.add(&Labels::new(labels.iter().copied()), samples);
}

fn marker(memory: &mut Memory, labels: &[(&str, &str)], at: i64) {
    memory.add(&Labels::new(labels.iter().copied()), vec![Sample { at, value: STALE }]);
}

fn coverage(memory: &Memory, query: &str, at: i64) -> Coverage {
    promql::instant(memory, query, at, &QueryOptions::default()).unwrap().coverage
}

fn counts(coverage: &Coverage) -> (u64, u64, u64) {
    (coverage.series, coverage.expected, coverage.seen)
}

#[test]
fn a_full_window_is_seen_in_full() {
    let mut memory = Memory::default();
    filled(&mut memory, &[("__name__", "x"), ("i", "1")], 0, 60 * MINUTE);
    let full = coverage(&memory, "rate(x[5m])", 60 * MINUTE);
    let expected = Coverage {
        series: 1,
        expected: 20,
        seen: 20,
        newest: Some(60 * MINUTE),
        stalest: Some(60 * MINUTE),
        lag: Some(0),
        interval: Some(15_000),
    };
    assert_eq!(full, expected);
    assert_eq!(counts(&coverage(&memory, "x", 60 * MINUTE)), (1, 1, 1));
    let options = QueryOptions::default();
    let ranged =
        promql::range(&memory, "rate(x[5m])", 50 * MINUTE, 60 * MINUTE, MINUTE, &options).unwrap();
    // The union of the windows is fifteen minutes.
    assert_eq!(counts(&ranged.coverage), (1, 60, 60));
    let points = promql::range(&memory, "x", 50 * MINUTE, 60 * MINUTE, MINUTE, &options).unwrap();
    assert_eq!(counts(&points.coverage), (1, 11, 11));
}

/// How far behind each series of an answer is at the end of ten minutes, by its `d`.
fn lags(memory: &Memory, query: &str, end: i64) -> Vec<(String, Option<i64>)> {
    let options = QueryOptions::default();
    let found = promql::range(memory, query, end - 10 * MINUTE, end, 15_000, &options).unwrap();
    let Value::Matrix(all) = found.value else { panic!("no matrix") };
    all.iter().map(|one| (one.labels.get("d").to_owned(), one.lag)).collect()
}

#[test]
fn what_fell_silent_is_told_of_what_is_made_of_it() {
    let mut memory = Memory::default();
    let of = |d: &'static str, i: &'static str| [("__name__", "x"), ("d", d), ("i", i)];
    filled(&mut memory, &of("solo", "0"), 0, 60 * MINUTE);
    filled(&mut memory, &of("web", "0"), 0, 60 * MINUTE);
    filled(&mut memory, &of("web", "1"), 0, 58 * MINUTE);
    // Silent for longer than is looked back, and ended as told: no value is made of these now.
    filled(&mut memory, &of("solo", "1"), 0, 54 * MINUTE);
    filled(&mut memory, &of("solo", "2"), 0, 58 * MINUTE);
    marker(&mut memory, &of("solo", "2"), 58 * MINUTE + 15_000);
    let told = |query: &str, expected: &[(&str, i64)]| {
        let pair = |(d, minutes): &(&str, i64)| ((*d).to_owned(), Some(minutes * MINUTE));
        let expected: Vec<_> = expected.iter().map(pair).collect();
        assert_eq!(lags(&memory, query, 60 * MINUTE), expected, "{query}");
    };
    let each = [("solo", 0), ("web", 2)];
    for query in [
        "avg by (d) (x)",
        "sum by (d) (rate(x[5m]))",
        "quantile by (d) (0.5, x)",
        "max by (d) (max_over_time(x[30s:15s]))",
        "max_over_time(sum by (d) (x)[5m:15s])",
        "sum by (d) (x) / on (d) count by (d) (x{i='0'})",
        "count by (d) (x{i='0'}) + on (d) sum by (d) (-x)",
        "label_replace(sum by (d) (x), 'e', '1', '', '')",
        "sum by (d) (x) or sum by (d) (x{i='0'})",
        "sum by (d) (x) and on () x{d='web', i='0'}",
        "sum by (d) (timestamp(x))",
    ] {
        told(query, &each);
    }
    told("sum(x)", &[("", 2)]);
    // What is asked of the past is as old as it was then.
    told("avg by (d) (x offset 3m)", &[("solo", 3), ("web", 0)]);
    // A number, and one side that is of all, is in the value of each.
    told("sum by (d) (x{i='0'}) / scalar(sum(x))", &[("solo", 2), ("web", 2)]);
    told("sum by (d) (x{i='0'}) / on () group_left sum(x)", &[("solo", 2), ("web", 2)]);
    // Nothing of it has a value any more: it is as old as what it was made of.
    told("sum by (d) (x{d='solo', i='1'})", &[("solo", 6)]);
    assert_eq!(lags(&memory, "vector(1)", 60 * MINUTE), [(String::new(), None)]);
}

#[test]
fn silence_is_missed_and_an_end_is_not() {
    let mut memory = Memory::default();
    filled(&mut memory, &[("__name__", "x"), ("i", "silent")], 0, 30 * MINUTE);
    filled(&mut memory, &[("__name__", "x"), ("i", "ended")], 0, 30 * MINUTE);
    marker(&mut memory, &[("__name__", "x"), ("i", "ended")], 30 * MINUTE + 15_000);
    filled(&mut memory, &[("__name__", "x"), ("i", "well")], 0, 60 * MINUTE);
    let after = coverage(&memory, "rate(x[5m])", 60 * MINUTE);
    assert_eq!(counts(&after), (2, 40, 20), "the silent and the well, of which one is seen");
    assert_eq!((after.newest, after.stalest), (Some(60 * MINUTE), Some(30 * MINUTE)));
    assert_eq!(counts(&coverage(&memory, "x", 60 * MINUTE)), (2, 2, 1));
    // Look-back still gives its value, and it is not fresh.
    let aged = coverage(&memory, "x{i='silent'}", 32 * MINUTE);
    assert_eq!(counts(&aged), (1, 1, 0));
    // What is asked of the past is as old as it was then; the selector furthest behind counts.
    let lag = |query: &str| coverage(&memory, query, 32 * MINUTE).lag;
    assert_eq!(lag("sum(x)"), Some(0), "one of them goes on");
    assert_eq!(lag("x{i='silent'}"), Some(2 * MINUTE));
    assert_eq!(lag("sum(x{i='silent'}) / sum(x{i='well'})"), Some(2 * MINUTE));
    assert_eq!(lag("x{i='silent'} offset 10m"), Some(0));
    assert_eq!(lag("x{i='ended'} or x{i='well'}"), Some(0));
    assert_eq!(lag("rate(x{i='ended'}[5m])"), Some(2 * MINUTE), "it still has a value");
    assert_eq!(lag("x{i='never'} or vector(0)"), None);
    // Silent for longer than an hour: forgotten.
    assert_eq!(counts(&coverage(&memory, "rate(x{i='silent'}[5m])", 96 * MINUTE)), (0, 0, 0));
    assert_eq!(coverage(&memory, "nothing", 60 * MINUTE), Coverage::default());
}

#[test]
fn a_young_series_is_expected_from_its_first_sample() {
    let mut memory = Memory::default();
    filled(&mut memory, &[("__name__", "x")], 58 * MINUTE, 60 * MINUTE);
    assert_eq!(counts(&coverage(&memory, "rate(x[5m])", 60 * MINUTE)), (1, 8, 8));
}

#[test]
fn holes_are_missed() {
    let mut memory = Memory::default();
    filled(&mut memory, &[("__name__", "x")], 0, 57 * MINUTE);
    filled(&mut memory, &[("__name__", "x")], 58 * MINUTE, 60 * MINUTE);
    assert_eq!(counts(&coverage(&memory, "rate(x[5m])", 60 * MINUTE)), (1, 20, 16));
}

fn refused(memory: &Memory, query: &str, change: impl Fn(&mut QueryOptions)) -> String {
    let mut options = QueryOptions::default();
    change(&mut options);
    let error = promql::range(memory, query, 0, 60 * MINUTE, MINUTE, &options).unwrap_err();
    assert!(matches!(error, QueryError::Limit(_)), "{error:?}");
    error.to_string()
}

#[test]
fn budgets_are_kept() {
    let mut memory = Memory::default();
    for index in 0..10 {
        filled(&mut memory, &[("__name__", "x"), ("i", &index.to_string())], 0, 60 * MINUTE);
    }
    assert_eq!(
        refused(&memory, "sum(rate(x[5m]))", |o| o.budget.samples = 1000),
        "the query would read more than 1000 samples; narrow its selectors or its time range"
    );
    assert!(refused(&memory, "x", |o| o.budget.series = 9).contains("more than 9 series"));
    assert!(refused(&memory, "x", |o| o.budget.points = 60).contains("more than 60 points"));
    assert!(refused(&memory, "x", |o| o.budget.memory = 2000).contains("2000 bytes"));
    // What ended within the hour is looked for, and no part of what is asked.
    let mut churned = Memory::default();
    for index in 0..10 {
        let end = if index < 5 { 10 * MINUTE } else { 60 * MINUTE };
        filled(&mut churned, &[("__name__", "x"), ("i", &index.to_string())], 0, end);
    }
    let mut five = QueryOptions::default();
    five.budget.series = 5;
    let now = promql::instant(&churned, "count(x)", 60 * MINUTE, &five);
    assert!(now.is_ok(), "{now:?}");
    // An aggregation holds its groups, not the series.
    let mut options = QueryOptions::default();
    options.budget.memory = 6000;
    let sum = promql::range(&memory, "sum(rate(x[5m]))", 0, 60 * MINUTE, MINUTE, &options);
    assert!(sum.is_ok(), "{sum:?}");
    assert!(refused(&memory, "max_over_time(x[1y:1ms])", |_| {}).contains("bytes"));
}

#[test]
fn a_cancelled_query_ends() {
    let mut memory = Memory::default();
    filled(&mut memory, &[("__name__", "x")], 0, MINUTE);
    let options = QueryOptions::default();
    options.budget.cancelled.store(true, Ordering::Relaxed);
    let ended = promql::instant(&memory, "sum(x)", MINUTE, &options);
    assert_eq!(ended.unwrap_err(), QueryError::Cancelled);
}

#[test]
fn a_matcher_is_added_where_its_label_is_not_mentioned() {
    let cases = [
        ("up", "up{d=\"a\"}"),
        ("up{d!=\"b\"} / up", "up{d!=\"b\"} / up{d=\"a\"}"),
        (
            "sum by (i) (rate(x{c=~`\\d+`}[5m] offset 1m)) or on (i) y[1h:1m] @ 60",
            "sum by (i) (rate(x{c=~\"\\\\d+\",d=\"a\"}[5m] offset 1m)) or on (i) y[1h:1m] @ 60",
        ),
        ("{__name__=\"x\"} @ end()", "{__name__=\"x\",d=\"a\"} @ end()"),
        ("rate(x{z=\"1\",b!=\"2\"}[5m])", "rate(x{b!=\"2\",d=\"a\",z=\"1\"}[5m])"),
        (
            "label_replace(x, \"d\", \"$1\", \"e\", \"(.*)\")",
            "label_replace(x{d=\"a\"}, \"d\", \"$1\", \"e\", \"(.*)\")",
        ),
    ];
    for (query, expected) in cases {
        let narrowed = match promql::with_matcher(query, "d", "a") {
            Ok(narrowed) => narrowed,
            Err(why) => {
                assert!(promql::check(query).is_err(), "{query}: {why}");
                continue;
            }
        };
        assert_eq!(narrowed.replace(" ", ""), expected.replace(" ", ""));
    }
    assert_eq!(promql::format("x{z=\"1\",b=\"2\"}").unwrap(), "x{b=\"2\",z=\"1\"}");
    let odd = promql::with_matcher("up", "d", "a\"\\\n").unwrap();
    assert_eq!(promql::selectors(&odd).unwrap()[0][1].value, "a\"\\\n");
}

#[test]
fn selectors_are_found_and_expressions_are_not_selectors() {
    let found = promql::selectors("topk(scalar(k), x{a=\"b\"}) + sum(rate(y[5m]))").unwrap();
    let shown: Vec<String> =
        found.iter().map(|all| all.iter().map(ToString::to_string).collect()).collect();
    assert_eq!(shown, ["__name__=\"k\"", "__name__=\"x\"a=\"b\"", "__name__=\"y\""]);
    assert_eq!(promql::matchers("up{job=\"x\"}").unwrap().len(), 2);
    for odd in ["sum(up)", "up[5m]", "up offset 1m", "1", ""] {
        assert!(promql::matchers(odd).is_err(), "{odd}");
    }
}

#[test]
fn formatting_breaks_long_expressions() {
    assert_eq!(promql::format("sum  by(a) (x )").unwrap(), "sum by (a) (x)");
    let long = format!("sum(rate({}[5m]))", "x".repeat(120));
    assert!(promql::format(&long).unwrap().contains('\n'));
}

#[test]
fn hostile_text_is_refused_and_nothing_else() {
    let nested = [
        format!("{}x{}", "(".repeat(50_000), ")".repeat(50_000)),
        "(".repeat(100_000),
        "-".repeat(100_000),
        format!("{}1", "1+".repeat(50_000)),
        format!("x{}", "[5m:]".repeat(20_000)),
        format!("{}x{}", "abs(".repeat(25_000), ")".repeat(25_000)),
        format!("1{}", " or x".repeat(20_000)),
        format!("sum({}", "sum by (a) (".repeat(8_000)),
    ];
    for text in nested {
        assert!(matches!(promql::check(&text), Err(QueryError::Limit(_))), "{}", &text[..40]);
    }
    let odd = [
        "x[1e300]",
        "x[0x7fffffffffffffff]",
        "x offset nan",
        "x offset -inf",
        "x offset 1e40",
        "x[5m:1e99]",
        "x{a=\"\\é\"}",
        "x{a=\"\\x\"}",
        "\"\\xff\"",
        "x[0]",
        "x @ 1e300",
        "x @ nan",
        "é",
        "x{é=\"1\"}",
        "'",
        "{}",
        "x{",
        "x{}{}",
        "[5m]",
        "x[",
        "x offset",
        "sum()",
        "rate(x)",
    ];
    for text in odd {
        assert!(promql::check(text).is_err(), "{text}");
    }
}

#[test]
fn bytes_in_texts_are_read_as_utf_8() {
    let memory = Memory::default();
    let answer = promql::instant(&memory, "\"\\xc3\\xa9\"", 0, &QueryOptions::default()).unwrap();
    assert_eq!(answer.value, Value::String { at: 0, text: "é".to_owned() });
}

proptest! {
    /// Whatever the text, there is an answer or an error.
    #[test]
    fn no_text_panics(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "x", "y", "{", "}", "(", ")", "[", "]", "5m", ":", "1", ",", "offset ", "@ ", "-", "+",
            " by ", "sum", "rate", "topk", "\"a\"", "'\\", "`", "=~", "!=", "==", " or ", " and ",
            "on", "group_left", "bool", "inf", "1e9", "start()", "vector", "label_replace", "é", "#",
            "0x", ".", "\n", " ",
        ]),
        0..16,
    )) {
        let text = pieces.concat();
        let mut memory = Memory::default();
        filled(&mut memory, &[("__name__", "x")], 0, MINUTE);
        let options = QueryOptions::default();
        let _ = promql::instant(&memory, &text, MINUTE, &options);
        let _ = promql::range(&memory, &text, 0, MINUTE, 15_000, &options);
        let _ = promql::with_matcher(&text, "d", "a");
        let _ = promql::format(&text);
    }
}

/// As deep as is allowed, in every way to nest, on the small stack a test's thread has.
#[test]
fn what_is_allowed_does_not_overflow_the_stack() {
    let mut memory = Memory::default();
    filled(&mut memory, &[("__name__", "x")], 0, 10 * MINUTE);
    let around = |before: &str, after: &str, times: usize| {
        format!("{}x{}", before.repeat(times), after.repeat(times))
    };
    let deep = [
        around("abs(", ")", 190),
        around("-", "", 190),
        around("(", ")", 190),
        around("", " + x", 190),
        around("", " or x", 190),
        around("2 * (", ")", 95),
        around("x + (", ")", 95),
        around("sum(", ")", 190),
        around("topk(1, ", ")", 190),
        around("label_replace(", ", \"a\", \"b\", \"c\", \".*\")", 190),
        around("max_over_time(", "[5m:1m])", 95),
        around("vector(scalar(", "))", 95),
        around("sort(", ")", 190),
        around("clamp(", ", 0, 1)", 190),
    ];
    for query in deep {
        let options = QueryOptions::default();
        for step in [15_000, MINUTE] {
            let answer = promql::range(&memory, &query, 0, 10 * MINUTE, step, &options);
            assert!(answer.is_ok(), "{} {answer:?}", &query[..30]);
        }
        promql::with_matcher(&query, "d", "a").unwrap();
        promql::format(&query).unwrap();
    }
}

#[test]
fn one_sample_in_the_look_back_has_the_gap_before_as_its_interval() {
    let mut memory = Memory::default();
    let labels = Labels::new([("__name__", "x")]);
    let times = (0..10).map(|index| Sample { at: index * 4 * MINUTE, value: 1.0 });
    memory.add(&labels, times.collect());
    let rare = coverage(&memory, "x", 39 * MINUTE);
    assert_eq!((counts(&rare), rare.interval), ((1, 1, 1), Some(4 * MINUTE)));
}

#[test]
fn a_union_of_two_metrics_is_one_series_to_a_subquery() {
    let mut memory = Memory::default();
    filled(&mut memory, &[("__name__", "a_total"), ("i", "1")], 0, 10 * MINUTE);
    filled(&mut memory, &[("__name__", "b_total"), ("i", "1")], 10 * MINUTE, 20 * MINUTE);
    let query = "count_over_time((rate(a_total[1m]) or rate(b_total[1m]))[20m:15s])";
    let answer = promql::instant(&memory, query, 20 * MINUTE, &QueryOptions::default()).unwrap();
    let Value::Vector(found) = answer.value else { panic!("no vector") };
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, Labels::new([("i", "1")]));
}

//! A range query gives at each of its steps what an instant query gives at that time, whatever the
//! expression: what slides, what is merged and what is evaluated once must not show.

use std::collections::BTreeMap;

use atoll_metrics::promql::{self, QueryOptions, Value};
use atoll_metrics::{Labels, STALE, Sample};
use proptest::prelude::*;

use crate::memory::Memory;

const SECOND: i64 = 1000;

/// Some series with gaps, markers, resets and a NaN.
fn memory() -> Memory {
    let mut memory = Memory::default();
    for (name, i) in
        [("x", 0), ("x", 1), ("x", 2), ("y", 0), ("y", 1), ("z_total", 0), ("z_total", 1)]
    {
        let mut samples = Vec::new();
        for index in 0..120i64 {
            let seed = index * 7 + i * 31 + name.len() as i64 * 13;
            let value = match seed % 29 {
                3..=5 => continue,
                11 => STALE,
                17 if i == 2 => f64::NAN,
                _ if name == "z_total" => ((index * (i + 3)) % 41) as f64,
                rest => rest as f64 - 7.0,
            };
            samples.push(Sample { at: index * 15 * SECOND + i * 700, value });
        }
        let i = i.to_string();
        memory.add(&Labels::new([("__name__", name), ("i", &i)]), samples);
    }
    memory
}

/// Vectors that hold no others.
const LEAVES: &[&str] = &[
    "x",
    "y",
    "z_total",
    "x{i=\"1\"}",
    "x offset 1m",
    "x @ 300",
    "y @ 600 offset -30s",
    "vector(time())",
    "rate(z_total[2m])",
    "increase(z_total[50s] offset 20s)",
    "sum_over_time(x[3m])",
    "avg_over_time(x[1m])",
    "max_over_time(x[2m])",
    "deriv(y[2m])",
    "delta(x[90s])",
    "irate(z_total[1m])",
    "rate(z_total[5m] @ 900)",
    "predict_linear(y[3m], 60)",
    "quantile_over_time(0.3, x[4m])",
    "changes(x[5m])",
    "resets(z_total[5m])",
    "last_over_time(x[40s])",
    "absent_over_time(x{i=\"1\"}[40s])",
    "hour()",
    "{i=\"0\"}",
    "stddev_over_time(y[2m])",
    "count_over_time(x[45s])",
    "nothing",
    "timestamp(x)",
];

/// What is made of one vector, `E`.
const UNARY: &[&str] = &[
    "-(E)",
    "abs(E)",
    "sum(E)",
    "sum by (i) (E)",
    "avg without (i) (E)",
    "max(E)",
    "min(E)",
    "count by (i) (E)",
    "stddev(E)",
    "group(E)",
    "topk(2, E)",
    "bottomk by (i) (1, E)",
    "quantile(0.4, E)",
    "count_values(\"v\", E)",
    "limitk(1, E)",
    "limit_ratio(0.5, E)",
    "(E) > 2",
    "2 < (E)",
    "(E) != bool 1",
    "(E) * 2",
    "1 - (E)",
    "(E) % 3",
    "absent(E)",
    "label_replace(E, \"j\", \"$1\", \"i\", \"(.*)\")",
    "label_join(E, \"i\", \"-\", \"i\", \"i\")",
    "vector(scalar(E))",
    "clamp(E, -1, 3)",
    "round(E, 2)",
    "timestamp(E)",
    "sgn(E)",
    "max_over_time((E)[2m:20s])",
    "sum_over_time((E)[1m:])",
    "last_over_time((E)[3m:30s] @ 500)",
    "rate((E)[2m:15s] offset 10s)",
    "count_over_time((E)[90s:7s])",
    "month(E)",
];

/// What is made of two, `E` and `F`.
const BINARY: &[&str] = &[
    "(E) + (F)",
    "(E) / on (i) (F)",
    "(E) * on (i) group_left () (F)",
    "(E) > (F)",
    "(E) - ignoring (i) group_right () (F)",
    "(E) == bool (F)",
    "(E) and (F)",
    "(E) or (F)",
    "(E) unless (F)",
    "(E) and on (i) (F)",
    "(E) or on () (F)",
    "(E) unless on (i) (F)",
    "(E) + fill (0) (F)",
    "(E) <= fill_left (1) (F)",
];

fn vector() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(LEAVES).prop_map(str::to_owned);
    leaf.prop_recursive(4, 16, 2, |inner| {
        let (one, two) = (prop::sample::select(UNARY), prop::sample::select(BINARY));
        prop_oneof![
            (one, inner.clone()).prop_map(|(form, e)| form.replace('E', &e)),
            (two, inner.clone(), inner).prop_map(|(form, e, f)| {
                // Apart, as what stands for the one may hold the letter of the other.
                let (before, after) = form.split_once('F').unwrap();
                format!("{}{f}{after}", before.replace('E', &e))
            }),
        ]
    })
}

fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * (a.abs() + b.abs())
}

proptest! {
    #[test]
    fn steps_of_a_range_are_instants(query in vector(), step in 1i64..100, from in 0i64..900) {
        let memory = memory();
        let options = QueryOptions::default();
        let (start, step) = (from * SECOND, step * SECOND);
        let end = start + 9 * step;
        // Duplicates at any step refuse the whole range.
        let Ok(answer) = promql::range(&memory, &query, start, end, step, &options) else {
            return Ok(());
        };
        let Value::Matrix(series) = answer.value else { panic!("no matrix") };
        for at in (start..=end).step_by(step as usize) {
            let instant = promql::instant(&memory, &query, at, &options);
            let Ok(Value::Vector(expected)) = instant.map(|answer| answer.value) else {
                panic!("{query} at {at} fails alone");
            };
            let mut expected: BTreeMap<Labels, f64> =
                expected.into_iter().map(|(labels, sample)| (labels, sample.value)).collect();
            for one in &series {
                let Some(sample) = one.samples.iter().find(|sample| sample.at == at) else {
                    continue;
                };
                let alone = expected.remove(&one.labels);
                prop_assert!(
                    alone.is_some_and(|alone| same(alone, sample.value)),
                    "{query} at {at}: {} is {} in a range, {alone:?} alone",
                    one.labels, sample.value
                );
            }
            prop_assert!(expected.is_empty(), "{query} at {at}: only alone: {expected:?}");
        }
    }
}

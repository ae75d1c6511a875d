//! Quantiles and fractions of classic histograms: series of cumulative counts by upper bound, in
//! the label `le`. Native histograms are not known.

use std::collections::HashMap;

use super::QueryError;
use super::evaluate::{Evaluation, Sink};
use super::functions::{argument, number, warn_of_quantile};
use super::plan::{Invocation, Node};
use super::rows::{ABSENT, Grid, Lag, Row, Rows, is_absent};
use super::scan::Position;
use crate::labels::Labels;

const BOUND: &str = "le";

/// Counts that differ by less than this, relatively, differ by rounding only.
const TOLERANCE: f64 = 1e-12;

/// One bucket at one step.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// The buckets of one histogram: upper bounds and the rows of their counts.
struct Histogram {
    labels: Labels,
    buckets: Vec<(f64, usize)>,
}

impl Histogram {
    /// See [`super::Series::lag`].
    fn lag(&self, rows: &Rows) -> Option<i64> {
        Lag::of(self.buckets.iter().map(|(_, row)| &rows.rows[*row]))
    }
}

/// Hands on the rows of `histogram_quantile`, `histogram_quantiles` or `histogram_fraction`.
pub(super) fn stream(
    evaluation: &Evaluation,
    call: &Invocation,
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    match call.name {
        "histogram_quantile" => {
            let wanted = [(None, evaluation.scalar(argument(call, 0)?, grid)?)];
            warn_of_quantile(evaluation, &wanted[0].1, call.site.argument(0));
            quantiles(evaluation, call, (1, &wanted), grid, sink)
        }
        "histogram_quantiles" => {
            let label = evaluation.text(argument(call, 1)?)?;
            let mut wanted = Vec::new();
            for (index, node) in call.arguments.iter().enumerate().skip(2) {
                let values = evaluation.scalar(node, grid)?;
                warn_of_quantile(evaluation, &values, call.site.argument(index));
                let shown = number(values[0]);
                let whole = values[0].is_finite() && !shown.contains('.');
                let shown = if whole { format!("{shown}.0") } else { shown };
                wanted.push((Some((label, shown)), values));
            }
            quantiles(evaluation, call, (0, &wanted), grid, sink)
        }
        _ => {
            let lower = evaluation.scalar(argument(call, 0)?, grid)?;
            let upper = evaluation.scalar(argument(call, 1)?, grid)?;
            let rows = evaluation.rows(argument(call, 2)?, grid)?;
            for histogram in histograms(evaluation, &rows, call.site.argument(2)) {
                let values = per_step(&histogram, &rows, grid, |buckets, index| {
                    fraction(lower[index], upper[index], buckets)
                });
                let lag = histogram.lag(&rows);
                sink(Row { labels: histogram.labels, drops_name: true, values, lag })?;
            }
            Ok(())
        }
    }
}

/// A label to set to a text, or none, and the quantile at each step.
type Wanted<'t> = (Option<(&'t str, String)>, Vec<f64>);

fn quantiles(
    evaluation: &Evaluation,
    call: &Invocation,
    (vector, wanted): (usize, &[Wanted]),
    grid: &Grid,
    sink: Sink,
) -> Result<(), QueryError> {
    let node: &Node = argument(call, vector)?;
    let at = call.site.argument(vector);
    let rows = evaluation.rows(node, grid)?;
    for histogram in histograms(evaluation, &rows, at) {
        for (label, values) in wanted {
            let mut forced = false;
            let results = per_step(&histogram, &rows, grid, |buckets, index| {
                quantile(values[index], buckets, &mut forced)
            });
            if forced {
                let text = format!(
                    "input to histogram_quantile needed to be fixed for monotonicity (see its \
                     documentation) for metric name {:?}",
                    histogram.labels.metric()
                );
                evaluation.notes.info(&text, at);
            }
            let labels = match label {
                Some((name, value)) => histogram.labels.with(name, value),
                None => histogram.labels.clone(),
            };
            let lag = histogram.lag(&rows);
            sink(Row { labels, drops_name: true, values: results, lag })?;
        }
    }
    Ok(())
}

fn histograms(evaluation: &Evaluation, rows: &Rows, at: Position) -> Vec<Histogram> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut all: Vec<Histogram> = Vec::new();
    for (index, row) in rows.rows.iter().enumerate() {
        let bound = row.labels.get(BOUND);
        let Some(upper) = parse_bound(bound) else {
            let text = format!(
                "bucket label \"le\" is missing or has a malformed value of {bound:?} for metric \
                 name {:?}",
                row.labels.metric()
            );
            evaluation.notes.warn(&text, at);
            continue;
        };
        let labels = row.labels.filter(|name| name != BOUND);
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            let labels = labels.clone();
            all.push(Histogram { labels, buckets: Vec::new() });
            all.len() - 1
        });
        all[place].buckets.push((upper, index));
    }
    for histogram in &mut all {
        histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    all
}

fn parse_bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        // Rust reads more words as numbers than are meant here.
        other if other.contains(|c: char| c.is_ascii_digit()) => other.parse().ok(),
        _ => None,
    }
}

fn per_step(
    histogram: &Histogram,
    rows: &Rows,
    grid: &Grid,
    mut compute: impl FnMut(&mut Vec<Bucket>, usize) -> f64,
) -> Vec<f64> {
    let mut buckets: Vec<Bucket> = Vec::with_capacity(histogram.buckets.len());
    let mut values = Vec::with_capacity(grid.count);
    for index in 0..grid.count {
        buckets.clear();
        for (upper, row) in &histogram.buckets {
            let count = rows.rows[*row].values[index];
            if is_absent(count) {
                continue;
            }
            // Bounds written differently may be the same.
            match buckets.last_mut() {
                Some(last) if last.upper == *upper => last.count += count,
                _ => buckets.push(Bucket { upper: *upper, count }),
            }
        }
        let value = if buckets.is_empty() { ABSENT } else { compute(&mut buckets, index) };
        values.push(value);
    }
    values
}

fn quantile(q: f64, buckets: &mut [Bucket], forced: &mut bool) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = buckets.len() - 1;
    if buckets[last].upper != f64::INFINITY {
        return f64::NAN;
    }
    *forced |= make_monotonic(buckets);
    let all = buckets[last].count;
    if last < 1 || all == 0.0 || all.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * all;
    let found = buckets[..last].partition_point(|bucket| bucket.count < rank);
    if found == last {
        return buckets[last - 1].upper;
    }
    if found == 0 && buckets[0].upper <= 0.0 {
        return buckets[0].upper;
    }
    let end = buckets[found].upper;
    let mut count = buckets[found].count;
    let mut start = 0.0;
    if found > 0 {
        start = buckets[found - 1].upper;
        count -= buckets[found - 1].count;
        rank -= buckets[found - 1].count;
    }
    start + (end - start) * (rank / count)
}

/// Raises counts that are lower than the one before; tells whether that was more than rounding.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            forced = true;
        } else {
            before = bucket.count;
        }
    }
    forced
}

fn almost_equal(a: f64, b: f64) -> bool {
    let sum = a.abs() + b.abs();
    let apart = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return apart < TOLERANCE * f64::MIN_POSITIVE;
    }
    a == b || apart / sum.min(f64::MAX) < TOLERANCE
}

fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let Some(last) = buckets.last().filter(|last| last.upper == f64::INFINITY) else {
        return f64::NAN;
    };
    if last.count == 0.0 || last.count.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value| rank_of(value, buckets).min(last.count);
    (below(upper) - below(lower)) / last.count
}

/// How many observations are at most `value`, evenly spread inside a bucket.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let mut rank = 0.0;
    let mut start = f64::NEG_INFINITY;
    for bucket in buckets {
        if start >= value {
            return rank;
        }
        if bucket.upper > value {
            if start == f64::NEG_INFINITY {
                // The first bucket starts at zero, if its bound is above it; otherwise it has no
                // width to spread over, and counts as below.
                if bucket.upper <= 0.0 {
                    return bucket.count;
                }
                if value <= 0.0 {
                    return 0.0;
                }
                start = 0.0;
            }
            return rank + (bucket.count - rank) * (value - start) / (bucket.upper - start);
        }
        rank = bucket.count;
        start = bucket.upper;
    }
    rank
}

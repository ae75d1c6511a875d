//! Functions of the samples in a window, and their evaluation over all windows of a series. It
//! reads no series itself.

use super::QueryError;
use super::budget::Meter;
use super::rows::ABSENT;
use super::statistics::{Mean, Sum, add, quantile, variance};
use super::window::{Frame, Windowed};
use crate::sample::Sample;

/// What a function of a window needs beside its samples.
struct Context<'c> {
    frame: &'c Frame,
    index: usize,
    /// The scalar arguments of each step.
    parameters: &'c [Vec<f64>],
}

impl Context<'_> {
    fn parameter(&self, which: usize) -> f64 {
        self.parameters.get(which).map_or(f64::NAN, |values| values[self.index])
    }
}

/// A function of one window; none where it gives no value.
type Over = fn(&[Sample], &Context) -> Option<f64>;

/// Whether a function takes a range vector and is evaluated here.
pub(super) fn is_known(name: &str) -> bool {
    matches!(name, "rate" | "increase" | "delta") || function(name).is_some()
}

/// So many samples are looked at between two looks at whether the query is cancelled.
const STRIDE: usize = 1 << 20;

/// One value per step, or [`ABSENT`]; none where there is no value at all.
pub(super) fn evaluate(
    name: &str,
    one: &Windowed,
    parameters: &[Vec<f64>],
    meter: &Meter,
) -> Result<Option<Vec<f64>>, QueryError> {
    let frame = &one.frame;
    if one.samples.is_empty() {
        return Ok(None);
    }
    let mut values = vec![ABSENT; frame.grid.count];
    let mut any = false;
    match name {
        "rate" | "increase" | "delta" => {
            let slope = Extrapolation::of(one.samples, name);
            frame.slide(one.samples, |index, low, high| {
                if let Some(value) = slope.value(frame, index, low, high) {
                    any = true;
                    values[index] = value;
                }
            });
        }
        _ => {
            let Some(over) = function(name) else {
                return Err(QueryError::Execution(format!("{name} is not supported")));
            };
            let mut work = 0;
            let mut cancelled = Ok(());
            frame.slide(one.samples, |index, low, high| {
                work += high - low;
                if work > STRIDE {
                    work = 0;
                    cancelled = meter.check();
                }
                if cancelled.is_err() {
                    return;
                }
                let context = Context { frame, index, parameters };
                let window = &one.samples[low..high];
                let value = if window.is_empty() { None } else { over(window, &context) };
                if let Some(value) = value {
                    any = true;
                    values[index] = value;
                }
            });
            cancelled?;
        }
    }
    Ok(any.then_some(values))
}

fn function(name: &str) -> Option<Over> {
    Some(match name {
        "sum_over_time" => |w, _| Some(sum(w)),
        "avg_over_time" => |w, _| Some(mean(w)),
        "count_over_time" => |w, _| Some(w.len() as f64),
        "min_over_time" => |w, _| Some(extreme(w, |a, b| a < b).value),
        "max_over_time" => |w, _| Some(extreme(w, |a, b| a > b).value),
        // Of equal extremes the last.
        "ts_of_min_over_time" => |w, _| Some(seconds(extreme(w, |a, b| a <= b))),
        "ts_of_max_over_time" => |w, _| Some(seconds(extreme(w, |a, b| a >= b))),
        "first_over_time" => |w, _| w.first().map(|sample| sample.value),
        "last_over_time" => |w, _| w.last().map(|sample| sample.value),
        "ts_of_first_over_time" => |w, _| w.first().map(|sample| seconds(*sample)),
        "ts_of_last_over_time" => |w, _| w.last().map(|sample| seconds(*sample)),
        "present_over_time" => |_, _| Some(1.0),
        "stdvar_over_time" => |w, _| Some(variance(w.iter().map(|s| s.value))),
        "stddev_over_time" => |w, _| Some(variance(w.iter().map(|s| s.value)).sqrt()),
        "quantile_over_time" => |w, c| Some(quantile(c.parameter(0), &mut values_of(w))),
        "mad_over_time" => |w, _| Some(median_deviation(w)),
        "changes" => |w, _| Some(pairs(w, |a, b| a != b && !(a.is_nan() && b.is_nan()))),
        "resets" => |w, _| Some(pairs(w, |a, b| b < a)),
        "idelta" => |w, _| last_difference(w, false),
        "irate" => |w, _| last_difference(w, true),
        "deriv" => |w, _| (w.len() > 1).then(|| regression(w, w[0].at).0),
        "predict_linear" => |w, c| {
            let at = c.frame.grid.time(c.index);
            let (slope, start) = (w.len() > 1).then(|| regression(w, at))?;
            Some(slope * c.parameter(0) + start)
        },
        "double_exponential_smoothing" => |w, c| smoothed(w, c.parameter(0), c.parameter(1)),
        "integral" => |w, _| (w.len() > 1).then(|| area(w)),
        _ => return None,
    })
}

fn seconds(sample: Sample) -> f64 {
    sample.at as f64 / 1e3
}

fn values_of(window: &[Sample]) -> Vec<f64> {
    window.iter().map(|sample| sample.value).collect()
}

fn sum(window: &[Sample]) -> f64 {
    let mut sum = Sum::default();
    for sample in window {
        sum.push(sample.value);
    }
    sum.value()
}

fn mean(window: &[Sample]) -> f64 {
    let mut mean = Mean::default();
    for sample in window {
        mean.push(sample.value);
    }
    mean.value()
}

fn extreme(window: &[Sample], beats: fn(f64, f64) -> bool) -> Sample {
    let mut best = window[0];
    for sample in window {
        if beats(sample.value, best.value) || best.value.is_nan() {
            best = *sample;
        }
    }
    best
}

fn median_deviation(window: &[Sample]) -> f64 {
    let mut values = values_of(window);
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, &mut values);
    for value in &mut values {
        *value = (*value - median).abs();
    }
    quantile(0.5, &mut values)
}

fn pairs(window: &[Sample], counts: fn(f64, f64) -> bool) -> f64 {
    window.windows(2).filter(|pair| counts(pair[0].value, pair[1].value)).count() as f64
}

fn last_difference(window: &[Sample], is_rate: bool) -> Option<f64> {
    let [.., before, last] = window else { return None };
    if !is_rate {
        return Some(last.value - before.value);
    }
    // After a reset the counter has grown from zero.
    let grown = if last.value < before.value { last.value } else { last.value - before.value };
    Some(grown / ((last.at - before.at) as f64 / 1e3))
}

fn area(window: &[Sample]) -> f64 {
    let mut sum = Sum::default();
    for pair in window.windows(2) {
        let width = (pair[1].at - pair[0].at) as f64 / 1e3;
        sum.push((pair[0].value + pair[1].value) / 2.0 * width);
    }
    sum.value()
}

/// Least squares: slope per second, and the value at `origin`.
fn regression(window: &[Sample], origin: i64) -> (f64, f64) {
    let first = window[0].value;
    if window.iter().all(|sample| sample.value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    // Sums of x, y, xy and xx, each with its compensation.
    let mut sums = [(0.0, 0.0); 4];
    for sample in window {
        let x = (sample.at - origin) as f64 / 1e3;
        let terms = [x, sample.value, x * sample.value, x * x];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum = add(term, sum.0, sum.1);
        }
    }
    let n = window.len() as f64;
    let [x, y, xy, xx] = sums.map(|(sum, lost)| sum + lost);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

fn smoothed(window: &[Sample], smoothing: f64, trending: f64) -> Option<f64> {
    if window.len() < 2 {
        return None;
    }
    let mut before = 0.0;
    let mut level = window[0].value;
    let mut trend = window[1].value - window[0].value;
    for (index, sample) in window.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trending * (level - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * sample.value + (1.0 - smoothing) * (level + trend);
        (before, level) = (level, next);
    }
    Some(level)
}

/// `rate`, `increase` and `delta`: the difference of the ends of a window, stretched to its bounds.
struct Extrapolation<'s> {
    samples: &'s [Sample],
    is_counter: bool,
    is_rate: bool,
    /// Index and loss of each reset. Summed window by window, so that a value does not hang on what
    /// came before its window: resets are rare.
    resets: Vec<(usize, f64)>,
}

impl<'s> Extrapolation<'s> {
    fn of(samples: &'s [Sample], name: &str) -> Extrapolation<'s> {
        let is_counter = name != "delta";
        let resets = if is_counter { resets_of(samples) } else { Vec::new() };
        Extrapolation { samples, is_counter, is_rate: name == "rate", resets }
    }

    fn value(&self, frame: &Frame, index: usize, low: usize, high: usize) -> Option<f64> {
        if high - low < 2 {
            return None;
        }
        let first = self.samples[low];
        let last = self.samples[high - 1];
        let mut difference = last.value - first.value;
        let passed = self.resets.partition_point(|(at, _)| *at <= low);
        for (_, lost) in self.resets[passed..].iter().take_while(|(at, _)| *at < high) {
            difference += lost;
        }
        let end = frame.end(index);
        let mut to_start = (first.at - end.saturating_sub(frame.range)) as f64 / 1e3;
        let mut to_end = (end - last.at) as f64 / 1e3;
        let sampled = (last.at - first.at) as f64 / 1e3;
        let average = sampled / (high - low - 1) as f64;
        // A series that starts or ends inside the window goes on for half a gap on average.
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if self.is_counter && difference > 0.0 && first.value >= 0.0 {
            // A counter cannot have been below zero.
            to_start = to_start.min(sampled * (first.value / difference));
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = (sampled + to_start + to_end) / sampled;
        if self.is_rate {
            factor /= frame.range as f64 / 1e3;
        }
        Some(difference * factor)
    }
}

fn resets_of(samples: &[Sample]) -> Vec<(usize, f64)> {
    let falls = samples.windows(2).enumerate().filter(|(_, pair)| pair[1].value < pair[0].value);
    falls.map(|(at, pair)| (at + 1, pair[0].value)).collect()
}

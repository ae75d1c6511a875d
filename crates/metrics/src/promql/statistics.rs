//! Sums, means and quantiles as Prometheus computes them, so that results agree to the last digits.

/// Adds one number to a compensated sum: (sum, compensation).
#[inline]
pub(super) fn add(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    let lost = if total.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        compensation + ((sum - total) + value)
    } else {
        compensation + ((value - total) + sum)
    };
    (total, lost)
}

/// A compensated sum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    #[inline]
    pub fn push(&mut self, value: f64) {
        (self.sum, self.lost) = add(value, self.sum, self.lost);
    }

    pub fn value(&self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }
}

/// A mean that stays finite where the sum would not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    /// The sum, or the mean itself once the sum would overflow.
    value: f64,
    lost: f64,
    count: f64,
    is_mean: bool,
}

impl Mean {
    /// Whether no value has come yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    pub fn push(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.value = value;
            return;
        }
        if !self.is_mean {
            let (sum, lost) = add(value, self.value, self.lost);
            if !sum.is_infinite() {
                (self.value, self.lost) = (sum, lost);
                return;
            }
            self.is_mean = true;
            self.value /= self.count - 1.0;
            self.lost /= self.count - 1.0;
        }
        let weight = (self.count - 1.0) / self.count;
        (self.value, self.lost) = add(value / self.count, weight * self.value, weight * self.lost);
    }

    pub fn value(&self) -> f64 {
        if self.is_mean {
            self.value + self.lost
        } else {
            self.value / self.count + self.lost / self.count
        }
    }
}

/// The population variance of values.
pub(super) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let mut count = 0.0;
    let mut mean = Sum::default();
    let mut squares = Sum::default();
    for value in values {
        count += 1.0;
        let delta = value - (mean.sum + mean.lost);
        mean.push(delta / count);
        squares.push(delta * (value - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / count
}

/// The quantile of values, which it sorts; NaN counts as the smallest.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| nan_first(*a, *b));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Smaller first, NaN before all.
pub(super) fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Smaller first, NaN after all.
pub(super) fn nan_last(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

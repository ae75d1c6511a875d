//! Sums and middles of values some of which are missing (NaN). Nothing here knows about load.

/// The value at a place, NaN where there is none.
pub(super) fn get(values: &[f64], at: usize) -> f64 {
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// Running sums, to have the sum of any stretch at once.
pub(super) struct Sums {
    /// Before each value, the sum of those before it and how many there were.
    before: Vec<(f64, u32)>,
}

impl Sums {
    /// Sums up values; missing ones do not count.
    pub fn new(values: &[f64]) -> Self {
        Self::of(values.iter().copied())
    }

    /// As `new`, for values on their way.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut before = Vec::with_capacity(values.size_hint().0 + 1);
        let (mut sum, mut count) = (0.0, 0);
        before.push((sum, count));
        for value in values {
            if !value.is_nan() {
                (sum, count) = (sum + value, count + 1);
            }
            before.push((sum, count));
        }
        Self { before }
    }

    /// The sum of the values from `from` up to but without `to`, and how many there are.
    pub fn sum(&self, from: usize, to: usize) -> (f64, f64) {
        let last = self.before.len().saturating_sub(1);
        let pick = |at: usize| self.before.get(at.min(last)).copied().unwrap_or((0.0, 0));
        let (start, end) = (pick(from), pick(to.max(from)));
        (end.0 - start.0, f64::from(end.1 - start.1))
    }

    /// The mean of the values from `from` up to but without `to`; NaN if there are none.
    pub fn mean(&self, from: usize, to: usize) -> f64 {
        let (sum, count) = self.sum(from, to);
        if count > 0.0 { sum / count } else { f64::NAN }
    }
}

/// The mean of each value and those up to `side` before and after it; NaN stays NaN only where
/// there is no value at all near.
pub(super) fn smoothed(values: &[f64], side: usize) -> Vec<f64> {
    let sums = Sums::new(values);
    (0..values.len()).map(|at| sums.mean(at.saturating_sub(side), at + side + 1)).collect()
}

/// The value below which a share of the values lies; the values must be in order.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let low = get(sorted, place.floor() as usize);
    let high = get(sorted, place.ceil() as usize);
    low + (high - low) * place.fract()
}

/// Up to so many values are few.
const FEW: usize = 6;

/// A few values kept in order while some come and others go.
#[derive(Clone, Default)]
pub(super) struct Ordered(Vec<f64>);

impl Ordered {
    /// Takes in a value; a missing one is not taken in.
    pub fn insert(&mut self, value: f64) {
        if !value.is_nan() {
            let place = self.0.partition_point(|other| *other < value);
            self.0.insert(place, value);
        }
    }

    /// Takes out a value that was taken in.
    pub fn remove(&mut self, value: f64) {
        let place = self.0.partition_point(|other| *other < value);
        if self.0.get(place) == Some(&value) {
            self.0.remove(place);
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes out all values.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The value in the middle; NaN if there is none.
    pub fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    /// The mean of the middle half, which a few outliers cannot move: of one value itself, of two
    /// that differ a lot the one nearer to `near`.
    ///
    /// A few values are too few to leave out half of them; of these the outlying are cut down.
    ///
    /// Source: trimmed and winsorized means, Tukey (1962).
    pub fn middle(&self, near: f64) -> f64 {
        let count = self.0.len();
        if (3..=FEW).contains(&count) {
            let median = self.median();
            let cut = |value: &f64| value.max(median / 1.25).min(median * 1.25);
            return self.0.iter().map(cut).sum::<f64>() / count as f64;
        }
        let cut = count / 4;
        if let [low, high] = *self.0.as_slice()
            && high > 1.5 * low
            && !near.is_nan()
        {
            return if high - near < near - low { high } else { low };
        }
        let kept = self.0.get(cut..count - cut).unwrap_or(&[]);
        if kept.is_empty() { f64::NAN } else { kept.iter().sum::<f64>() / kept.len() as f64 }
    }
}

//! The shape of a difference over time: whether it lasts, and whether it is going away by itself
//! as a warm-up does. It knows no signals.

use super::statistics::{mean, median_of, trend};

/// Every part of it is beyond `bound`, the last one too: it was not one wild stretch.
pub(super) fn lasts(values: &[f64], parts: usize, bound: f64, means: bool) -> bool {
    // A part of fewer than three values is as wild as its wildest.
    let parts = parts.min(values.len() / 3).max(2).min(values.len());
    (0..parts).all(|part| {
        let from = part * values.len() / parts;
        let to = (part + 1) * values.len() / parts;
        let middle = if means {
            mean(&values[from..to])
        } else {
            median_of(&values[from..to]).unwrap_or(0.0)
        };
        middle >= bound
    })
}

/// It is getting smaller, so that it will soon be gone: of what there has been since the change,
/// the later half falls by a fifth and more.
pub(super) fn recedes(since: &[f64], sure: f64) -> bool {
    // Of few values all are needed to see anything.
    let late = if since.len() < 10 { since } else { &since[since.len() / 2..] };
    if late.len() < 4 {
        return false;
    }
    // Two hundred values are enough to see a slope.
    let stride = late.len().div_ceil(200);
    let thinned: Vec<f64> = late.chunks(stride).map(mean).collect();
    let Some(middle) = median_of(&thinned) else { return false };
    let line = trend(&thinned);
    let whole = line.slope * (thinned.len() - 1) as f64;
    middle > 0.0 && whole <= -0.2 * middle && line.z <= -sure
}

/// How many of the last values are beyond `bound`, without one between that is not.
pub(super) fn in_a_row(values: impl DoubleEndedIterator<Item = f64>, bound: f64) -> u32 {
    let count = values.rev().take_while(|value| *value > bound).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

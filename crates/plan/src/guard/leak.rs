//! Whether something grows and does not stop: memory, a queue, latency. Filling up after a start
//! is not a leak: it slows down. Levels that are worse already are in `level.rs`.

use atoll_model::guard::{SignalKind, Verdict};

use super::contrast::Contrast;
use super::grid::Frame;
use super::level::{Finding, Measure};
use super::statistics::{mean, median_of, persistence, spread, trend};

/// Judges the slope after the change against that of before.
pub(super) fn leak(contrast: &Contrast, frame: &Frame, measure: &Measure) -> Finding {
    let grows =
        matches!(measure.kind, SignalKind::Saturation | SignalKind::Value | SignalKind::Latency);
    let after: Vec<f64> = contrast.after.iter().map(|v| measure.sign * v.1).collect();
    if !grows || after.len() < 12 || frame.over < 0.5 {
        return Finding::pass();
    }
    // Neighbours are alike: a few values are taken as one, so that chance does not look like more.
    let before: Vec<f64> = contrast.before.iter().map(|v| measure.sign * v).collect();
    let rho = persistence(&before);
    let bunch = ((1.0 + rho) / (1.0 - rho)).round().max(1.0) as usize;
    let bunch = bunch.max(after.len().div_ceil(100));
    let thin = |values: &[f64]| -> Vec<f64> { values.chunks(bunch).map(mean).collect() };
    let points = thin(&after);
    if points.len() < 8 {
        return Finding::pass();
    }
    let whole = trend(&points);
    let rise = whole.slope * points.len() as f64;
    let half = points.len() / 2;
    let (first, second) = (trend(&points[..half]), trend(&points[half..]));
    let earlier = thin(&before);
    let drift = trend(&earlier);
    let usual = drift.slope.abs() * points.len() as f64;
    let level = median_of(&points[half..]).unwrap_or(0.0) - median_of(&earlier).unwrap_or(0.0);
    let steady = second.slope >= 0.5 * first.slope && second.slope > 0.4 * whole.slope;
    let tolerance = measure.tolerance;
    let clear = whole.z >= 4.5 && second.z >= 1.64 && rise >= 0.5 * tolerance + 2.0 * usual;
    let noise = spread(&earlier);
    // Without a past of its own an instance may just be larger.
    let least = if contrast.crossed { 1.0 } else { 0.3 };
    let above = level >= least * tolerance && rise >= least * tolerance && rise >= 2.0 * noise;
    if !(clear && steady && above) {
        return Finding::pass();
    }
    let alone = contrast.instances == 1 && frame.over < 0.9;
    Finding {
        verdict: if alone { Verdict::Warn } else { Verdict::Stop },
        note: "growing steadily".to_owned(),
        shift: rise,
        chance: super::statistics::above(whole.z),
        points: u32::try_from(after.len()).unwrap_or(u32::MAX),
        instance: None,
    }
}

//! Weighs many simple forecasts by how well each has done so far, moment by moment. It never sees
//! a value before it has weighed the forecasts for it.
//!
//! Source: Gaillard, Stoltz and van Erven, "A second-order bound with excess losses" (2014), the
//! ML-Poly rule with gradients of the absolute error, here forgetting slowly.

/// The weights of a number of forecasts.
pub(super) struct Blend<const COUNT: usize> {
    /// How much less than the blend each forecast would have erred.
    gained: [f64; COUNT],
    /// The sum of the squares of that.
    spread: [f64; COUNT],
    /// The weights, which sum to 1.
    pub weights: [f64; COUNT],
    /// How much is remembered from one value to the next.
    keep: f64,
}

impl<const COUNT: usize> Blend<COUNT> {
    /// All forecasts weigh the same; half of what is learned is forgotten after so many values.
    pub fn new(half_life: f64) -> Self {
        let weights = [1.0 / COUNT.max(1) as f64; COUNT];
        let keep = 0.5_f64.powf(1.0 / half_life.max(1.0));
        Self { gained: [0.0; COUNT], spread: [0.0; COUNT], weights, keep }
    }

    /// The forecasts weighed together.
    pub fn mix(&self, forecasts: &[f64; COUNT]) -> f64 {
        self.weights.iter().zip(forecasts).map(|(weight, forecast)| weight * forecast).sum()
    }

    /// The same, but only the chosen forecasts weigh anything until something is learned.
    pub fn only(half_life: f64, chosen: [bool; COUNT]) -> Self {
        let mut blend = Self::new(half_life);
        let share = 1.0 / chosen.iter().filter(|chosen| **chosen).count().max(1) as f64;
        // As if the chosen had been a little better already.
        blend.gained = chosen.map(|chosen| if chosen { 0.5 } else { -0.5 });
        blend.spread = [0.25; COUNT];
        blend.weights = chosen.map(|chosen| if chosen { share } else { 0.0 });
        blend
    }

    /// Learns from what came true. `blended` is what the blend had said, `size` about how large
    /// the load is.
    pub fn learn(&mut self, forecasts: &[f64; COUNT], blended: f64, truth: f64, size: f64) {
        if !(size > 0.0 && truth.is_finite() && blended.is_finite()) {
            return;
        }
        let sign = if blended > truth { 1.0 } else { -1.0 } / size;
        let mut total = 0.0;
        let each = self.gained.iter_mut().zip(&mut self.spread).zip(&mut self.weights);
        for (((gained, spread), weight), forecast) in each.zip(forecasts) {
            let gain = (sign * (blended - forecast)).clamp(-3.0, 3.0);
            *gained = self.keep * *gained + gain;
            *spread = self.keep * *spread + gain * gain;
            *weight = gained.max(0.0) / (1e-6 + *spread);
            total += *weight;
        }
        let (share, rest) =
            if total > 0.0 { (1.0 / total, 0.0) } else { (0.0, 1.0 / COUNT.max(1) as f64) };
        for weight in &mut self.weights {
            *weight = *weight * share + rest;
        }
    }
}

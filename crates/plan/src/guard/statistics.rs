//! Rank statistics and exact tests of counts. They know nothing of changes or signals; what is not
//! a number must be left out before they are called.

/// The middle value; none of nothing. Puts the values out of order.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The value below which a share of the others lies. Puts the values out of order.
pub(super) fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let (_, low, rest) = values.select_nth_unstable_by(at as usize, f64::total_cmp);
    let low = *low;
    let high = rest.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(low + (high - low) * at.fract())
}

pub(super) fn median_of(values: &[f64]) -> Option<f64> {
    median(&mut values.to_vec())
}

pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

pub(super) fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let middle = mean(values);
    let sum: f64 = values.iter().map(|v| (v - middle).powi(2)).sum();
    (sum / (values.len() - 1) as f64).sqrt()
}

/// The spread that a few wild values do not change: the median absolute deviation, scaled to the
/// standard deviation of a normal distribution. Where more than half of the values are alike, the
/// standard deviation.
pub(super) fn spread(values: &[f64]) -> f64 {
    let Some(middle) = median_of(values) else { return 0.0 };
    let mut off: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    let robust = 1.4826 * median(&mut off).unwrap_or(0.0);
    if robust > 0.0 { robust } else { deviation(values) }
}

/// How much of a value is left in the next one, 0 to 0.97, from evenly spaced values. Small
/// samples are corrected, since they show too little of it.
pub(super) fn persistence(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 6 {
        return 0.3;
    }
    let Some(middle) = median_of(values) else { return 0.0 };
    let most = 4.0 * spread(values);
    let off: Vec<f64> = values.iter().map(|v| (v - middle).clamp(-most, most)).collect();
    let all: f64 = off.iter().map(|v| v * v).sum();
    if all <= 0.0 {
        return 0.0;
    }
    let next: f64 = off.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let rho = next / all;
    (rho + (1.0 + 3.0 * rho.max(0.0)) / n as f64).clamp(0.0, 0.97)
}

/// So many independent values are worth as much as these.
pub(super) fn effective(count: usize, rho: f64) -> f64 {
    (count as f64 * (1.0 - rho) / (1.0 + rho)).max(1.0)
}

/// The chance that a normal variable lies above `z`.
pub(super) fn above(z: f64) -> f64 {
    // Abramowitz and Stegun 7.1.26 is exact to 1e-7, too little for the far tail; this expansion
    // of the complementary error function is good to 1e-7 relative everywhere.
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let series = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let sum = series.iter().fold(0.0, |sum, factor| sum * t + factor);
    let tail = 0.5 * t * (-x * x + sum).exp();
    if z >= 0.0 { tail } else { 1.0 - tail }
}

/// Mann and Whitney's test of whether `after` tends to be higher than `before`.
pub(super) struct Ranks {
    /// The chance of such an order where nothing changed, one-sided.
    pub chance: f64,
    /// Cliff's delta: how much oftener `after` is above than below, -1 to 1.
    pub delta: f64,
}

/// Ties count half. Below 9 values on each side without ties the chance is exact; otherwise it is
/// the normal approximation, for as many independent values as `worth` (0 to 1) leaves.
pub(super) fn mann_whitney(before: &[f64], after: &[f64], worth: f64) -> Ranks {
    let (m, n) = (before.len(), after.len());
    if m == 0 || n == 0 {
        return Ranks { chance: 1.0, delta: 0.0 };
    }
    let mut all: Vec<(f64, bool)> = before.iter().map(|v| (*v, false)).collect();
    all.extend(after.iter().map(|v| (*v, true)));
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties, mut start) = (0.0, 0.0, 0);
    while start < all.len() {
        let same = all[start..].iter().take_while(|v| v.0 == all[start].0).count();
        let rank = start as f64 + (same as f64 + 1.0) / 2.0;
        ranks += rank * all[start..start + same].iter().filter(|v| v.1).count() as f64;
        ties += (same as f64).powi(3) - same as f64;
        start += same;
    }
    let (mf, nf) = (m as f64, n as f64);
    let u = ranks - nf * (nf + 1.0) / 2.0;
    let delta = 2.0 * u / (mf * nf) - 1.0;
    if ties == 0.0 && m <= 8 && n <= 8 && worth >= 1.0 {
        return Ranks { chance: exactly(m, n, u.round() as usize), delta };
    }
    let total = mf + nf;
    let variance = mf * nf / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return Ranks { chance: 1.0, delta };
    }
    let z = (u - mf * nf / 2.0 - 0.5) / variance.sqrt();
    Ranks { chance: above(z * worth.clamp(0.0, 1.0).sqrt()), delta }
}

/// The share of all orders in which the statistic is at least `u`.
fn exactly(m: usize, n: usize, u: usize) -> f64 {
    // ways[k][s]: of k of the first values, chosen so that their statistic is s.
    let most = m * n;
    let mut ways = vec![vec![0.0_f64; most + 1]; n + 1];
    ways[0][0] = 1.0;
    for place in 1..=m + n {
        for k in (1..=n.min(place)).rev() {
            // A value of `after` at this place has `place - k` values of `before` below it.
            let below = place - k;
            if below > m {
                continue;
            }
            for s in (below..=most).rev() {
                ways[k][s] += ways[k - 1][s - below];
            }
        }
    }
    let all: f64 = ways[n].iter().sum();
    let tail: f64 = ways[n][u.min(most)..].iter().sum();
    if all > 0.0 { (tail / all).min(1.0) } else { 1.0 }
}

/// The chance of at least `events` of `events + others` where each falls on this side with the
/// probability `share`: two rates compared exactly. Counts need not be whole.
pub(super) fn at_least(events: f64, others: f64, share: f64) -> f64 {
    if events <= 0.0 || share >= 1.0 {
        return 1.0;
    }
    if share <= 0.0 {
        return 0.0;
    }
    incomplete_beta(events, others.max(0.0) + 1.0, share)
}

/// The regularised incomplete beta function, by its continued fraction.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    let front =
        (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * fraction(a, b, x) / a).clamp(0.0, 1.0)
    } else {
        (1.0 - front * fraction(b, a, 1.0 - x) / b).clamp(0.0, 1.0)
    }
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let safe = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / safe(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for step in 1..300 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / safe(1.0 + even * d);
        c = safe(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / safe(1.0 + odd * d);
        c = safe(1.0 + odd / c);
        let change = d * c;
        h *= change;
        if (change - 1.0).abs() < 1e-10 {
            break;
        }
    }
    h
}

/// Lanczos' approximation.
fn ln_gamma(x: f64) -> f64 {
    const FACTORS: [f64; 6] = [
        76.180_091_729_471_46,
        -86.505_320_329_416_77,
        24.014_098_240_830_91,
        -1.231_739_572_450_155,
        0.120_865_097_386_617_9e-2,
        -0.539_523_938_495_3e-5,
    ];
    let shifted = x + 5.5 - (x + 0.5) * (x + 5.5).ln();
    let sum = FACTORS
        .iter()
        .enumerate()
        .fold(1.000_000_000_190_015, |sum, (i, factor)| sum + factor / (x + 1.0 + i as f64));
    -shifted + (2.506_628_274_631_000_5 * sum / x).ln()
}

/// A line through values at even distances.
pub(super) struct Trend {
    /// Theil and Sen's slope, a value a step.
    pub slope: f64,
    /// Mann and Kendall's statistic, as a normal variable: below 0 it falls.
    pub z: f64,
}

/// At most a few hundred values: every pair is looked at.
pub(super) fn trend(values: &[f64]) -> Trend {
    let n = values.len();
    if n < 3 {
        return Trend { slope: 0.0, z: 0.0 };
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut sum = 0.0;
    for (i, first) in values.iter().enumerate() {
        for (gap, second) in values[i + 1..].iter().enumerate() {
            let rise = second - first;
            slopes.push(rise / (gap + 1) as f64);
            sum += if rise > 0.0 {
                1.0
            } else if rise < 0.0 {
                -1.0
            } else {
                0.0
            };
        }
    }
    let nf = n as f64;
    let variance = nf * (nf - 1.0) * (2.0 * nf + 5.0) / 18.0;
    Trend { slope: median(&mut slopes).unwrap_or(0.0), z: sum / variance.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-6 * b.abs().max(1e-12)
    }

    #[test]
    fn tails_are_those_of_the_tables() {
        assert!(near(above(0.0), 0.5));
        assert!((above(1.959_964) - 0.025).abs() < 1e-6);
        assert!((above(6.0) / 9.865_876e-10 - 1.0).abs() < 1e-4);
        assert!((above(-1.0) - 0.841_344_7).abs() < 1e-6);
    }

    #[test]
    fn few_values_are_ranked_exactly() {
        // Of the 20 orders of 3 and 3, one has all of the second above the first.
        let ranks = mann_whitney(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 1.0);
        assert!(near(ranks.chance, 1.0 / 20.0));
        assert!(near(ranks.delta, 1.0));
        // And two have a statistic of at least 8.
        let ranks = mann_whitney(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0], 1.0);
        assert!(near(ranks.chance, 2.0 / 20.0));
    }

    #[test]
    fn ties_say_nothing() {
        let ranks = mann_whitney(&[1.0; 20], &[1.0; 20], 1.0);
        assert!(ranks.chance > 0.4 && near(ranks.delta, 0.0));
    }

    #[test]
    fn counts_are_compared_exactly() {
        // 5 heads of 5.
        assert!(near(at_least(5.0, 0.0, 0.5), 1.0 / 32.0));
        // At least 2 of 3.
        assert!(near(at_least(2.0, 1.0, 0.5), 0.5));
        assert!(near(at_least(0.0, 3.0, 0.5), 1.0));
        // At least 60 of 100: 0.028444.
        assert!((at_least(60.0, 40.0, 0.5) - 0.028_444).abs() < 1e-6);
    }

    #[test]
    fn a_line_is_found_among_wild_values() {
        let mut values: Vec<f64> = (0..30).map(|i| 2.0 * f64::from(i)).collect();
        values[7] = 1e6;
        let found = trend(&values);
        assert!((found.slope - 2.0).abs() < 1e-9 && found.z > 6.0);
    }

    #[test]
    fn quantiles_lie_between() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 10.0]), Some(2.5));
        assert_eq!(quantile(&mut [1.0, 2.0, 3.0], 1.0), Some(3.0));
        assert_eq!(median(&mut []), None);
    }
}

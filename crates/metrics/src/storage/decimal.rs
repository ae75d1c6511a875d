//! Numbers as people write them: an integer and a power of ten, only where that gives back the very
//! same bits. It stores nothing.

/// The largest power of ten that is tried; beyond it a number is kept as its bits.
pub const MOST: u8 = 15;

const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// Integers below it are exact.
const LIMIT: f64 = 9_007_199_254_740_992.0;

/// The integer that `exponent` digits after the point make of a number, if it gives back its bits.
#[inline]
pub fn mantissa(value: f64, exponent: u8) -> Option<i64> {
    let scaled = value * POWERS[exponent as usize];
    if scaled.is_nan() || scaled.abs() >= LIMIT {
        return None;
    }
    // Adding half and cutting is much quicker than rounding, and the check below is exact.
    let integer = (scaled + 0.5_f64.copysign(scaled)) as i64;
    (number(integer, exponent).to_bits() == value.to_bits()).then_some(integer)
}

/// The number an integer and a power of ten stand for.
#[inline]
pub fn number(mantissa: i64, exponent: u8) -> f64 {
    mantissa as f64 / POWERS[exponent as usize]
}

/// The same integer with more digits after the point, where it stays exact.
pub fn widen(mantissa: i64, digits: u8) -> Option<i64> {
    let wide = mantissa.checked_mul(10_i64.checked_pow(u32::from(digits))?)?;
    (wide.unsigned_abs() < LIMIT as u64).then_some(wide)
}

/// The fewest digits after the point, from `least` on, that keep a number.
pub fn digits(value: f64, least: u8) -> Option<u8> {
    if !value.is_finite() {
        return None;
    }
    (least..=MOST).find(|exponent| mantissa(value, *exponent).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_back_bit_for_bit() {
        assert_eq!(mantissa(12.345, 3), Some(12345));
        assert_eq!(mantissa(-0.07, 2), Some(-7));
        assert_eq!(mantissa(12.345, 2), None);
        assert_eq!(mantissa(-0.0, 0), None, "the sign would be lost");
        assert_eq!(mantissa(f64::INFINITY, 0), None);
        assert_eq!(mantissa(crate::STALE, 0), None);
        assert_eq!(digits(0.1, 0), Some(1));
        assert_eq!(digits(std::f64::consts::PI, 0), Some(15));
        assert_eq!(digits(1.0 / 3.0, 0), None);
        assert_eq!(digits(1e300, 0), None);
    }
}

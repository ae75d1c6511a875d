//! Numbers and times as the texts and the API write them. Not a general formatter.

use std::fmt::Write;

use super::{Format, cut};

/// A value: decimal, or `NaN`, `Inf`, `+Inf`, `-Inf` in any case.
pub(super) fn value(word: &str) -> Result<f64, String> {
    // Whole numbers of few digits are most of what there is.
    let bytes = word.as_bytes();
    if bytes.len() <= 15 && !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        let whole = bytes.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Ok(whole as f64);
    }
    let value: f64 = word.parse().map_err(|_| format!("{:?} is not a number", cut(word, 64)))?;
    if value.is_nan() {
        return Ok(f64::NAN);
    }
    if value.is_infinite() && bytes.iter().any(u8::is_ascii_digit) {
        return Err(format!("{:?} is too large for a number", cut(word, 64)));
    }
    Ok(value)
}

/// A time in milliseconds.
pub(super) fn time(word: &str, format: Format) -> Result<i64, String> {
    let wrong = || format!("{:?} is not a time", cut(word, 64));
    match format {
        Format::Prometheus => word.parse().map_err(|_| wrong()),
        Format::OpenMetrics => {
            let seconds: f64 = word.parse().map_err(|_| wrong())?;
            let milliseconds = (seconds * 1000.0).round();
            // Past 2^63 a cast would hold the nearest, which is a wrong time.
            if milliseconds.abs() < 9.0e18 { Ok(milliseconds as i64) } else { Err(wrong()) }
        }
    }
}

/// The shortest text that reads back as the same number, without an exponent: Go's `'f', -1`.
pub(super) fn plain(value: f64, out: &mut String) {
    if let Some(name) = special(value) {
        out.push_str(name);
    } else if value == value.trunc() && value.abs() < 9.0e15 && !is_negative_zero(value) {
        integer(value as i64, out);
    } else {
        // Writing to a string does not fail.
        let _ = write!(out, "{value}");
    }
}

/// The same with an exponent where the number is below 1e-6 or from 1e21 up: what the API of
/// Prometheus prints for samples.
pub(super) fn short(value: f64, out: &mut String) {
    let size = value.abs();
    if size == 0.0 || !value.is_finite() || (1e-6..1e21).contains(&size) {
        return plain(value, out);
    }
    let from = out.len();
    let _ = write!(out, "{value:e}");
    // Go writes a sign and at least two digits: 1e+21, 5e-07.
    if let Some(e) = out[from..].find('e').map(|e| from + e + 1) {
        let negative = out[e..].starts_with('-');
        let digits = out.split_off(e + usize::from(negative));
        if !negative {
            out.push('+');
        }
        if digits.len() < 2 {
            out.push('0');
        }
        out.push_str(&digits);
    }
}

/// A time as seconds, with three decimals where they are not all zero.
pub(super) fn seconds(at: i64, out: &mut String) {
    if at < 0 {
        out.push('-');
    }
    let size = at.unsigned_abs();
    unsigned(size / 1000, out);
    let rest = size % 1000;
    if rest != 0 {
        out.push('.');
        for power in [100, 10, 1] {
            out.push(char::from(b'0' + (rest / power % 10) as u8));
        }
    }
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

fn is_negative_zero(value: f64) -> bool {
    value == 0.0 && value.is_sign_negative()
}

/// A whole number.
pub(super) fn integer(value: i64, out: &mut String) {
    if value < 0 {
        out.push('-');
    }
    unsigned(value.unsigned_abs(), out);
}

fn unsigned(mut value: u64, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

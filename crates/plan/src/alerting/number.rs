//! Numbers as PromQL and Go's templates print them. Not what they mean.

/// As the Prometheus API prints a value.
pub(crate) fn as_prometheus(value: f64) -> String {
    special(value).unwrap_or_else(|| format!("{value}"))
}

/// As Go prints a number where no form is asked for.
pub(crate) fn as_go(value: f64) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let size = value.abs();
    if value != 0.0 && !(1e-4..1e21).contains(&size) {
        return exponent(&format!("{value:e}"));
    }
    format!("{value}")
}

/// With so many digits behind the point.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    special(value).unwrap_or_else(|| format!("{value:.digits$}"))
}

/// With so many digits that count, without zeros at the end: Go's `%.4g`.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    if power < -4 || power >= digits as i32 {
        return exponent(&format!("{}e{power}", trimmed(mantissa)));
    }
    let behind = (digits as i32 - 1 - power).max(0) as usize;
    trimmed(&format!("{value:.behind$}")).to_owned()
}

/// With a prefix for its size: `12.35k`, `3m`, and `Ki` for 1024.
pub(crate) fn humanized(value: f64, base: f64) -> String {
    let binary = base > 1000.0;
    if value == 0.0 || !value.is_finite() || (binary && value.abs() <= 1.0) {
        return significant(value, 4);
    }
    let (mut value, mut prefix) = (value, "");
    if value.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if value.abs() < base {
                break;
            }
            value /= base;
            prefix = next;
        }
        let ending = if binary && !prefix.is_empty() { "i" } else { "" };
        return format!("{}{prefix}{ending}", significant(value, 4));
    }
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        value *= base;
        prefix = next;
    }
    format!("{}{prefix}", significant(value, 4))
}

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// Seconds as `1d 2h 3m 4s`, or with a prefix where it is less than one.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return significant(seconds, 4);
    }
    if seconds.abs() < 1.0 {
        let said = if seconds == 0.0 { "0".to_owned() } else { humanized(seconds, 1000.0) };
        return format!("{said}s");
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    let rest = whole % 60;
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", significant(seconds.abs(), 4)),
        (0, 0, _) => format!("{sign}{minutes}m {rest}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {rest}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
    }
}

fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        return Some("NaN".to_owned());
    }
    value.is_infinite().then(|| if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned())
}

/// Go writes exponents with a sign and two digits at least.
fn exponent(text: &str) -> String {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_go_prints_them() {
        assert_eq!([as_go(1.0), as_go(1e21), as_go(1e-7)], ["1", "1e+21", "1e-07"]);
        assert_eq!(as_go(f64::NEG_INFINITY), "-Inf");
        assert_eq!(as_prometheus(1e21), "1000000000000000000000");
        assert_eq!([significant(999.96, 4), significant(123_456.0, 4)], ["1000", "1.235e+05"]);
        assert_eq!([humanized(0.000_123, 1000.0), humanized(0.5, 1024.0)], ["123u", "0.5"]);
        assert_eq!([duration(0.0), duration(-61.0), duration(1.5)], ["0s", "-1m 1s", "1.5s"]);
    }
}

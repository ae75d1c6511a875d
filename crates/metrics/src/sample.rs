//! One measured value, and the mark that says a series has ended.

/// A value at a time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Milliseconds since 1970 in UTC.
    pub at: i64,
    /// The value; see [`is_stale`].
    pub value: f64,
}

/// The staleness marker: a NaN whose bits Prometheus reserves for "the series has ended here".
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value is the staleness marker, and not any other NaN.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

impl PartialEq for Sample {
    /// Equal in time and in the bits of the value, so that a NaN equals itself.
    fn eq(&self, other: &Sample) -> bool {
        self.at == other.at && self.value.to_bits() == other.value.to_bits()
    }
}

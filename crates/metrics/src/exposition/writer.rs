//! Writes metrics in the text applications expose. It checks nothing against what it wrote
//! before: each family once, each series once, is the caller's part.

use super::{Format, Kind, number};
use crate::labels::METRIC_NAME;

/// A text being written.
#[derive(Clone, Debug)]
pub struct Writer {
    text: String,
    format: Format,
}

/// One family of a text being written.
#[derive(Debug)]
pub struct Rows<'w> {
    writer: &'w mut Writer,
    name: &'w str,
    kind: Kind,
}

/// What a histogram has counted.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    /// Upper bounds, growing, without infinity.
    pub bounds: &'a [f64],
    /// How many fell into each, not summed up; one more than bounds, for what is above the last.
    pub counts: &'a [u64],
    /// Sum of all values.
    pub sum: f64,
}

impl Writer {
    /// An empty text.
    pub fn new(format: Format) -> Writer {
        Writer { text: String::new(), format }
    }

    /// Begins a family: `HELP` and `TYPE`. A counter is named with its `_total`, a fact with its
    /// `_info`, in both formats.
    pub fn family<'w>(&'w mut self, name: &'w str, kind: Kind, help: &str) -> Rows<'w> {
        let described = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
            (Format::OpenMetrics, Kind::Info) => name.strip_suffix("_info").unwrap_or(name),
            _ => name,
        };
        self.text.push_str("# HELP ");
        self.described(described);
        self.text.push(' ');
        escape(help, self.format == Format::OpenMetrics, &mut self.text);
        self.text.push_str("\n# TYPE ");
        self.described(described);
        self.text.push(' ');
        self.text.push_str(match (self.format, kind) {
            (Format::OpenMetrics, kind) => kind.as_str(),
            // The older text has five types; what it lacks is written as the nearest.
            (Format::Prometheus, Kind::Counter) => "counter",
            (Format::Prometheus, Kind::Gauge | Kind::Info | Kind::StateSet) => "gauge",
            (Format::Prometheus, Kind::Histogram) => "histogram",
            (Format::Prometheus, Kind::Summary) => "summary",
            (Format::Prometheus, Kind::Unknown | Kind::GaugeHistogram) => "untyped",
        });
        self.text.push('\n');
        Rows { writer: self, name, kind }
    }

    /// One row outside a family; the name of the metric is the label `__name__`, the time is in
    /// milliseconds.
    pub fn row(&mut self, labels: &[(&str, &str)], value: f64, at: Option<i64>) {
        let name = labels.iter().find(|(name, _)| *name == METRIC_NAME).map_or("", |(_, n)| n);
        let others = labels.iter().copied().filter(|(name, _)| *name != METRIC_NAME);
        self.write(name, "", others, value, at);
    }

    /// The whole text, ended as its format wants it.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn described(&mut self, name: &str) {
        if is_plain(name, true) { self.text.push_str(name) } else { self.quoted(name) }
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        escape(text, true, &mut self.text);
        self.text.push('"');
    }

    fn write<'a>(
        &mut self,
        name: &str,
        suffix: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        value: f64,
        at: Option<i64>,
    ) {
        let mut open = false;
        if is_plain(name, true) {
            self.text.push_str(name);
            self.text.push_str(suffix);
        } else {
            self.text.push_str("{\"");
            escape(name, true, &mut self.text);
            self.text.push_str(suffix);
            self.text.push('"');
            open = true;
        }
        for (label, value) in labels {
            self.text.push(if open { ',' } else { '{' });
            open = true;
            if is_plain(label, false) {
                self.text.push_str(label);
            } else {
                self.quoted(label);
            }
            self.text.push('=');
            self.quoted(value);
        }
        if open {
            self.text.push('}');
        }
        self.text.push(' ');
        number::short(value, &mut self.text);
        if let Some(at) = at {
            self.text.push(' ');
            match self.format {
                Format::Prometheus => number::integer(at, &mut self.text),
                Format::OpenMetrics => number::seconds(at, &mut self.text),
            }
        }
        self.text.push('\n');
    }
}

impl Rows<'_> {
    /// One series of a counter, gauge, info or state set.
    pub fn value(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let suffix = match (self.writer.format, self.kind) {
            (Format::OpenMetrics, Kind::Counter) if !self.name.ends_with("_total") => "_total",
            (Format::OpenMetrics, Kind::Info) if !self.name.ends_with("_info") => "_info",
            _ => "",
        };
        self.writer.write(self.name, suffix, labels.iter().copied(), value, None);
        self
    }

    /// One set of series of a histogram: buckets, sum and count.
    pub fn histogram(&mut self, labels: &[(&str, &str)], seen: Histogram<'_>) -> &mut Self {
        let mut below = 0;
        let bounds = seen.bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(seen.counts) {
            below += count;
            let mut le = String::new();
            number::short(bound, &mut le);
            let all = labels.iter().copied().chain([("le", le.as_str())]);
            self.writer.write(self.name, "_bucket", all, below as f64, None);
        }
        self.writer.write(self.name, "_sum", labels.iter().copied(), seen.sum, None);
        self.writer.write(self.name, "_count", labels.iter().copied(), below as f64, None);
        self
    }
}

/// Whether a name needs no quotes.
fn is_plain(name: &str, colon: bool) -> bool {
    name.bytes().enumerate().all(|(at, byte)| match byte {
        b'0'..=b'9' => at > 0,
        b':' => colon,
        _ => byte.is_ascii_alphabetic() || byte == b'_',
    }) && !name.is_empty()
}

fn escape(text: &str, quotes: bool, out: &mut String) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'"' if quotes => "\\\"",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(escaped);
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

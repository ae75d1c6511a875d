//! The text in which applications expose their metrics: Prometheus 0.0.4 and OpenMetrics 1.0.
//! It reads and checks whole texts and knows nothing of scraping, targets or storage. Exemplars
//! are checked and left out; native histograms have no text form.

pub mod json;
mod line;
mod number;
pub mod writer;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::labels::METRIC_NAME;
use line::{Cursor, Labeled};

/// What one text may hold at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Series, duplicates not counted.
    pub series: usize,
    /// Labels of one series, the name of the metric counted.
    pub labels: usize,
    /// Bytes of the name of a label.
    pub label_name: usize,
    /// Bytes of the value of a label, and of the name of a metric.
    pub label_value: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 16 << 20,
            series: 50_000,
            labels: 64,
            label_name: 1 << 10,
            label_value: 4 << 10,
        }
    }
}

/// Which of the two texts it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4: times are milliseconds.
    Prometheus,
    /// OpenMetrics 1.0: times are seconds, and the text ends with `# EOF`.
    OpenMetrics,
}

impl Format {
    /// By the `Content-Type` of an answer; what is not OpenMetrics is taken for Prometheus, since
    /// many applications send no type or a wrong one.
    pub fn from_content_type(value: &str) -> Format {
        let kind = value.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/openmetrics-text") {
            Format::OpenMetrics
        } else {
            Format::Prometheus
        }
    }

    /// The `Content-Type` of a text written in it.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One value of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Sorted by name, no name twice, no empty value; the name of the metric is `__name__`.
    pub labels: &'a [(&'a str, &'a str)],
    /// The value; every NaN is the same NaN, so that a text cannot hold a staleness marker.
    pub value: f64,
    /// Milliseconds since 1970, where the text says so.
    pub at: Option<i64>,
}

/// What a metric measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Not said; also `untyped`.
    #[default]
    Unknown,
    /// Only grows, or starts again at zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets that only grow.
    Histogram,
    /// Buckets that go up and down.
    GaugeHistogram,
    /// Quantiles computed by the application.
    Summary,
    /// Facts as labels, of the value 1.
    Info,
    /// One series for each state, 1 or 0.
    StateSet,
}

impl Kind {
    /// As the API and both texts name it; Prometheus text says `untyped` for `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Unknown => "unknown",
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::GaugeHistogram => "gaugehistogram",
            Kind::Summary => "summary",
            Kind::Info => "info",
            Kind::StateSet => "stateset",
        }
    }

    /// The kind of that name in either text, if it is one.
    pub fn from_name(name: &str) -> Option<Kind> {
        Some(match name {
            "unknown" | "untyped" => Kind::Unknown,
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            "gaugehistogram" => Kind::GaugeHistogram,
            "summary" => Kind::Summary,
            "info" => Kind::Info,
            "stateset" => Kind::StateSet,
            _ => return None,
        })
    }
}

/// What a text says about the metrics of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// The name, as the text has it.
    pub name: String,
    /// What it measures.
    pub kind: Kind,
    /// For people; empty where nothing is said. Cut at the limit of a label's value.
    pub help: String,
    /// The unit; empty where nothing is said.
    pub unit: String,
}

/// What a text held, besides its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Rows that were given on.
    pub rows: usize,
    /// Rows that were dropped, because an earlier row has the same labels and the same time.
    pub duplicates: usize,
    /// In the order of the text, each name once.
    pub families: Vec<Family>,
}

/// The first line that is wrong; the whole text counts as failed, as for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// Reads a text and gives each row to `each`. Rows before a wrong line have been given when the
/// error comes: collect them, and use them only when all went well.
///
/// # Errors
/// The first line that breaks the format or a limit.
pub fn parse(
    text: &str,
    format: Format,
    limits: &Limits,
    mut each: impl FnMut(Row<'_>),
) -> Result<Parsed, ParseError> {
    if text.len() > limits.bytes {
        let message = format!("a text of {} bytes; the limit is {}", text.len(), limits.bytes);
        return Err(ParseError { line: 1, message });
    }
    let mut parser = Parser {
        format,
        limits,
        parsed: Parsed::default(),
        named: HashMap::new(),
        seen: HashSet::new(),
        labels: Vec::new(),
    };
    let mut ended = false;
    let mut last = 0;
    for (number, line) in text.split_terminator('\n').enumerate() {
        last = number + 1;
        let read = if ended {
            Err("text after # EOF".to_owned())
        } else if format == Format::OpenMetrics && line == "# EOF" {
            ended = true;
            Ok(())
        } else {
            parser.line(line, &mut each)
        };
        read.map_err(|message| ParseError { line: last, message })?;
    }
    if format == Format::OpenMetrics && !ended {
        let message = "the text ends without # EOF: it may have been cut".to_owned();
        return Err(ParseError { line: last + 1, message });
    }
    Ok(parser.parsed)
}

struct Parser<'t, 'l> {
    format: Format,
    limits: &'l Limits,
    parsed: Parsed,
    /// Where the family of a name stands in `parsed`.
    named: HashMap<Cow<'t, str>, usize>,
    /// Hashes of labels and time, not the labels themselves, for speed and memory. Two series of
    /// one hash would lose one of them: at 50,000 series, about one text in ten billion.
    seen: HashSet<u64>,
    /// Of the present row; kept for its memory.
    labels: Vec<(&'t str, &'t str)>,
}

impl<'t> Parser<'t, '_> {
    fn line(&mut self, line: &'t str, each: &mut impl FnMut(Row<'_>)) -> Result<(), String> {
        let mut cursor = Cursor::new(line);
        cursor.spaces();
        match cursor.peek() {
            None => Ok(()),
            Some(b'#') => self.comment(cursor),
            Some(_) => self.row(cursor, each),
        }
    }

    fn comment(&mut self, mut cursor: Cursor<'t>) -> Result<(), String> {
        cursor.take(b'#');
        cursor.spaces();
        let word = cursor.word();
        if !matches!(word, "HELP" | "TYPE" | "UNIT") || cursor.peek().is_none() {
            return Ok(());
        }
        cursor.spaces();
        let (name, escaped) = match cursor.peek() {
            Some(b'"') => cursor.quoted()?,
            _ => (cursor.word(), false),
        };
        if name.is_empty() {
            return Err(format!("# {word} without the name of a metric"));
        }
        self.within("the name of a metric", name.len(), self.limits.label_value)?;
        let name = if escaped { line::unescape(name, true) } else { Cow::Borrowed(name) };
        cursor.spaces();
        let rest = cursor.rest();
        let longest = self.limits.label_value;
        let in_quotes = self.format == Format::OpenMetrics;
        let family = self.family(name)?;
        match word {
            "HELP" => {
                family.help = line::unescape(cut(rest, longest), in_quotes).into_owned();
            }
            "TYPE" => {
                let kind = rest.trim_end_matches([' ', '\t']);
                family.kind = Kind::from_name(kind)
                    .ok_or_else(|| format!("{:?} is not a type of metric", cut(kind, 64)))?;
            }
            _ => family.unit = cut(rest.trim_end_matches([' ', '\t']), longest).to_owned(),
        }
        Ok(())
    }

    fn family(&mut self, name: Cow<'t, str>) -> Result<&mut Family, String> {
        let families = &mut self.parsed.families;
        let at = match self.named.get(&name) {
            Some(at) => *at,
            None => {
                if families.len() >= self.limits.series {
                    return Err(format!("more than {} metrics described", self.limits.series));
                }
                families.push(Family { name: name.clone().into_owned(), ..Family::default() });
                self.named.insert(name, families.len() - 1);
                families.len() - 1
            }
        };
        Ok(&mut families[at])
    }

    fn row(
        &mut self,
        mut cursor: Cursor<'t>,
        each: &mut impl FnMut(Row<'_>),
    ) -> Result<(), String> {
        self.labels.clear();
        let escaped = cursor.series(&mut self.labels, self.limits.labels)?;
        cursor.spaces();
        let value = cursor.value()?;
        let at = self.time(&mut cursor)?;
        if !cursor.rest().is_empty() {
            self.exemplar(cursor)?;
        }
        if escaped == Labeled::Escaped {
            return self.escaped_row(value, at, each);
        }
        // Taken out for the call, and put back for the memory it has.
        let mut labels = std::mem::take(&mut self.labels);
        let done = self.give(&mut labels, value, at, each);
        self.labels = labels;
        done
    }

    /// The same for a row with escapes, which alone needs memory of its own.
    fn escaped_row(
        &mut self,
        value: f64,
        at: Option<i64>,
        each: &mut impl FnMut(Row<'_>),
    ) -> Result<(), String> {
        let owned: Vec<(Cow<'_, str>, Cow<'_, str>)> = self
            .labels
            .iter()
            .map(|(name, value)| (line::unescape(name, true), line::unescape(value, true)))
            .collect();
        let mut labels: Vec<(&str, &str)> = owned.iter().map(|(n, v)| (&**n, &**v)).collect();
        self.give(&mut labels, value, at, each)
    }

    fn give(
        &mut self,
        labels: &mut Vec<(&str, &str)>,
        value: f64,
        at: Option<i64>,
        each: &mut impl FnMut(Row<'_>),
    ) -> Result<(), String> {
        for (name, value) in labels.iter() {
            self.within("the name of a label", name.len(), self.limits.label_name)?;
            self.within("a label value", value.len(), self.limits.label_value)?;
        }
        if !labels.is_sorted_by(|a, b| is_before(a.0, b.0)) {
            labels.sort_by_key(|(name, _)| *name);
            if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(format!("the label {:?} stands twice", twice[0].0));
            }
        }
        labels.retain(|(_, value)| !value.is_empty());
        if !labels.iter().any(|(name, _)| *name == METRIC_NAME) {
            return Err("a row without the name of a metric".to_owned());
        }
        if !self.seen.insert(hash(labels, at)) {
            self.parsed.duplicates += 1;
            return Ok(());
        }
        if self.parsed.rows >= self.limits.series {
            return Err(format!("more than {} series", self.limits.series));
        }
        self.parsed.rows += 1;
        each(Row { labels, value, at });
        Ok(())
    }

    fn time(&self, cursor: &mut Cursor<'t>) -> Result<Option<i64>, String> {
        cursor.spaces();
        match cursor.peek() {
            None | Some(b'#') => Ok(None),
            Some(_) => {
                let word = cursor.word();
                cursor.spaces();
                number::time(word, self.format).map(Some)
            }
        }
    }

    /// Checks an exemplar as far as a wrong line would show, and leaves it out.
    fn exemplar(&mut self, mut cursor: Cursor<'t>) -> Result<(), String> {
        if self.format == Format::Prometheus || !cursor.take(b'#') {
            return Err(format!("{:?} after the value", cut(cursor.rest(), 64)));
        }
        cursor.spaces();
        let mut labels = Vec::new();
        cursor.braces(&mut labels, self.limits.labels)?;
        cursor.spaces();
        cursor.value()?;
        self.time(&mut cursor)?;
        match cursor.rest() {
            "" => Ok(()),
            rest => Err(format!("{:?} after the exemplar", cut(rest, 64))),
        }
    }

    fn within(&self, what: &str, bytes: usize, limit: usize) -> Result<(), String> {
        if bytes > limit {
            return Err(format!("{what} of {bytes} bytes; the limit is {limit}"));
        }
        Ok(())
    }
}

/// The first bytes of a text, at most so many, never half a character.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Of labels and time, with the lengths, so that no two lists run together.
fn hash(labels: &[(&str, &str)], at: Option<i64>) -> u64 {
    let mut state = match at {
        Some(at) => fold(0x9e37_79b9_7f4a_7c15 ^ at as u64, 1),
        None => 0x243f_6a88_85a3_08d3,
    };
    for (name, value) in labels {
        for text in [name, value] {
            state = fold(state, text.len() as u64);
            let bytes = text.as_bytes();
            for word in bytes.as_chunks::<8>().0 {
                state = fold(state, u64::from_le_bytes(*word));
            }
            state = fold(state, last_word(bytes));
        }
    }
    state
}

/// The last bytes, up to eight; all of them where there are fewer.
fn last_word(bytes: &[u8]) -> u64 {
    if let Some(word) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// `a < b`, mostly by the first byte alone.
#[inline]
pub(crate) fn is_before(a: &str, b: &str) -> bool {
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(first), Some(second)) if first != second => first < second,
        _ => a < b,
    }
}

#[inline]
fn fold(state: u64, word: u64) -> u64 {
    let wide = u128::from(state ^ word ^ 0xa076_1d64_78bd_642f)
        * u128::from(word.rotate_left(32) ^ state.rotate_left(17) ^ 0xe703_7ed1_a0b4_28db);
    (wide as u64) ^ (wide >> 64) as u64
}

#[cfg(test)]
mod tests;

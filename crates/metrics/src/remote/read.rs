//! Reads the two messages of remote write. Bytes in, borrowed rows out; no compression, no
//! storage. This is on the way of every sample that comes in.

use std::collections::HashMap;

use super::wire::{Reader, Value};
use super::{Decoded, RemoteError};
use crate::exposition::{Family, Kind, is_before};
use crate::labels::METRIC_NAME;
use crate::sample::Sample;

/// Buffers of one message, used again for each series.
#[derive(Default)]
struct Rows<'m> {
    labels: Vec<(&'m str, &'m str)>,
    samples: Vec<Sample>,
    decoded: Decoded,
}

impl<'m> Rows<'m> {
    fn clear(&mut self) {
        self.labels.clear();
        self.samples.clear();
    }

    /// Puts the labels in order, and gives the row on if they can be.
    fn give(&mut self, each: &mut impl FnMut(&[(&str, &str)], &[Sample])) {
        let mut clean = true;
        let mut before = "";
        for (name, value) in &self.labels {
            clean &= is_before(before, name) && !value.is_empty();
            before = name;
        }
        if !clean && let Err(reason) = self.tidy() {
            return self.refuse(reason);
        }
        if !self.labels.iter().any(|(name, _)| *name == METRIC_NAME) {
            return self.refuse("a series has no name".to_owned());
        }
        // A series may come with its exemplars, histograms or metadata alone.
        if !self.samples.is_empty() {
            self.decoded.rows += 1;
            self.decoded.samples += self.samples.len();
            each(&self.labels, &self.samples);
        }
    }

    fn tidy(&mut self) -> Result<(), String> {
        self.labels.sort_unstable();
        if let Some(twice) = self.labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("a series has the label {:?} twice", twice[0].0));
        }
        if self.labels.first().is_some_and(|(name, _)| name.is_empty()) {
            return Err("a series has a label without a name".to_owned());
        }
        self.labels.retain(|(_, value)| !value.is_empty());
        Ok(())
    }

    #[cold]
    fn refuse(&mut self, reason: String) {
        let refused = &mut self.decoded.refused;
        refused.rows += 1;
        if refused.rows == 1 {
            refused.reason = reason;
        }
    }

    fn metric(&self) -> &'m str {
        self.labels.iter().find(|(name, _)| *name == METRIC_NAME).map_or("", |(_, value)| value)
    }
}

pub(super) fn v1(
    message: &[u8],
    mut each: impl FnMut(&[(&str, &str)], &[Sample]),
) -> Result<Decoded, RemoteError> {
    let mut rows = Rows::default();
    let mut families = Families::default();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match (field, value) {
            (1, Value::Bytes(series)) => {
                rows.clear();
                v1_series(series, &mut rows)?;
                rows.give(&mut each);
            }
            (3, Value::Bytes(metadata)) => families.add(v1_metadata(metadata)?),
            _ => {}
        }
    }
    rows.decoded.families = families.all;
    Ok(rows.decoded)
}

fn v1_series<'m>(mut series: Reader<'m>, rows: &mut Rows<'m>) -> Result<(), RemoteError> {
    series.advance(short_labels(series.bytes(), &mut rows.labels));
    while let Some((field, value)) = series.next()? {
        match (field, value) {
            (1, Value::Bytes(label)) => rows.labels.push(v1_label(label)?),
            (2, Value::Bytes(sample)) => rows.samples.push(self::sample(sample)?),
            (3, Value::Bytes(_)) => rows.decoded.exemplars += 1,
            (4, Value::Bytes(_)) => rows.decoded.histograms += 1,
            _ => {}
        }
    }
    Ok(())
}

/// Reads labels at the begin of a series as long as they are of the usual form: name, then value,
/// each of less than 128 bytes. Gives the bytes read; what follows is left to the reader of any
/// form. The keys and lengths of such labels are ASCII, so that one check for UTF-8 serves the
/// texts of them all, which is most of the time a series takes.
fn short_labels<'m>(bytes: &'m [u8], labels: &mut Vec<(&'m str, &'m str)>) -> usize {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default(),
    };
    let mut at = 0;
    while let Some([0x0a, length @ ..0x80, 0x0a, name @ ..0x80]) = bytes.get(at..at + 4) {
        let name_end = at + 4 + usize::from(*name);
        let Some([0x12, value @ ..0x80]) = bytes.get(name_end..name_end + 2) else { break };
        let end = name_end + 2 + usize::from(*value);
        if end != at + 2 + usize::from(*length) {
            break;
        }
        // None where a text ends within a character.
        let found = (text.get(at + 4..name_end), text.get(name_end + 2..end));
        let (Some(name), Some(value)) = found else { break };
        labels.push((name, value));
        at = end;
    }
    at
}

#[inline]
fn v1_label<'m>(mut label: Reader<'m>) -> Result<(&'m str, &'m str), RemoteError> {
    let (mut name, mut text) = ("", "");
    while let Some((field, value)) = label.next()? {
        match (field, value) {
            (1, Value::Bytes(found)) => name = found.text()?,
            (2, Value::Bytes(found)) => text = found.text()?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// The same in both versions; version 2's start of counting is not kept.
#[inline]
fn sample(mut sample: Reader<'_>) -> Result<Sample, RemoteError> {
    let mut found = Sample { at: 0, value: 0.0 };
    while let Some((field, value)) = sample.next()? {
        match (field, value) {
            (1, Value::Fixed64(bits)) => found.value = f64::from_bits(bits),
            (2, Value::Varint(at)) => found.at = at as i64,
            _ => {}
        }
    }
    Ok(found)
}

fn v1_metadata(mut metadata: Reader<'_>) -> Result<Family, RemoteError> {
    let mut family = Family::default();
    while let Some((field, value)) = metadata.next()? {
        match (field, value) {
            (1, Value::Varint(number)) => family.kind = kind(number),
            (2, Value::Bytes(text)) => text.text()?.clone_into(&mut family.name),
            (4, Value::Bytes(text)) => text.text()?.clone_into(&mut family.help),
            (5, Value::Bytes(text)) => text.text()?.clone_into(&mut family.unit),
            _ => {}
        }
    }
    Ok(family)
}

pub(super) fn v2(
    message: &[u8],
    mut each: impl FnMut(&[(&str, &str)], &[Sample]),
) -> Result<Decoded, RemoteError> {
    // The symbols may stand after the series that name them.
    let mut symbols = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        if let (4, Value::Bytes(symbol)) = (field, value) {
            symbols.push(symbol.text()?);
        }
    }
    let mut rows = Rows::default();
    let mut families = Families::default();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        if let (5, Value::Bytes(series)) = (field, value) {
            rows.clear();
            if let Some(metadata) = v2_series(series, &symbols, &mut rows)? {
                families.of_series(rows.metric(), metadata);
            }
            rows.give(&mut each);
        }
    }
    rows.decoded.families = families.all;
    Ok(rows.decoded)
}

/// What a series of version 2 says about its metric.
struct Metadata<'m> {
    kind: Kind,
    help: &'m str,
    unit: &'m str,
}

fn v2_series<'m>(
    mut series: Reader<'m>,
    symbols: &[&'m str],
    rows: &mut Rows<'m>,
) -> Result<Option<Metadata<'m>>, RemoteError> {
    let mut metadata = None;
    // The name of a label whose value is still to come: references may be packed, or one a field.
    let mut name = None;
    while let Some((field, value)) = series.next()? {
        match (field, value) {
            (1, Value::Bytes(mut packed)) => {
                while !packed.bytes().is_empty() {
                    let text = symbol(packed.varint()?, symbols, &packed)?;
                    refer(text, &mut name, &mut rows.labels);
                }
            }
            (1, Value::Varint(reference)) => {
                refer(symbol(reference, symbols, &series)?, &mut name, &mut rows.labels);
            }
            (2, Value::Bytes(sample)) => rows.samples.push(self::sample(sample)?),
            (3, Value::Bytes(_)) => rows.decoded.histograms += 1,
            (4, Value::Bytes(_)) => rows.decoded.exemplars += 1,
            (5, Value::Bytes(found)) => metadata = Some(v2_metadata(found, symbols)?),
            _ => {}
        }
    }
    if name.is_some() {
        return Err(series.error("a label has a name and no value"));
    }
    Ok(metadata)
}

#[inline]
fn refer<'m>(text: &'m str, name: &mut Option<&'m str>, labels: &mut Vec<(&'m str, &'m str)>) {
    match name.take() {
        None => *name = Some(text),
        Some(name) => labels.push((name, text)),
    }
}

#[inline]
fn symbol<'m>(
    reference: u64,
    symbols: &[&'m str],
    place: &Reader<'_>,
) -> Result<&'m str, RemoteError> {
    let found = usize::try_from(reference).ok().and_then(|at| symbols.get(at));
    found.copied().ok_or_else(|| place.error("a reference to a symbol that is not there"))
}

fn v2_metadata<'m>(
    mut metadata: Reader<'m>,
    symbols: &[&'m str],
) -> Result<Metadata<'m>, RemoteError> {
    let mut found = Metadata { kind: Kind::Unknown, help: "", unit: "" };
    while let Some((field, value)) = metadata.next()? {
        match (field, value) {
            (1, Value::Varint(number)) => found.kind = kind(number),
            (3, Value::Varint(at)) => found.help = symbol(at, symbols, &metadata)?,
            (4, Value::Varint(at)) => found.unit = symbol(at, symbols, &metadata)?,
            _ => {}
        }
    }
    Ok(found)
}

/// The number of a kind is the same in both versions.
fn kind(number: u64) -> Kind {
    match number {
        1 => Kind::Counter,
        2 => Kind::Gauge,
        3 => Kind::Histogram,
        4 => Kind::GaugeHistogram,
        5 => Kind::Summary,
        6 => Kind::Info,
        7 => Kind::StateSet,
        _ => Kind::Unknown,
    }
}

/// Families of a message, each name once; the last word counts.
#[derive(Default)]
struct Families {
    all: Vec<Family>,
    named: HashMap<String, usize>,
}

impl Families {
    fn add(&mut self, family: Family) {
        match self.named.get(&family.name) {
            Some(at) => self.all[*at] = family,
            None => {
                self.named.insert(family.name.clone(), self.all.len());
                self.all.push(family);
            }
        }
    }

    /// Takes what one series says, under the name of its family.
    fn of_series(&mut self, metric: &str, metadata: Metadata<'_>) {
        let Metadata { kind, help, unit } = metadata;
        if kind == Kind::Unknown && help.is_empty() && unit.is_empty() {
            return;
        }
        let suffixes: &[&str] = match kind {
            Kind::Histogram | Kind::GaugeHistogram => &["_bucket", "_count", "_sum"],
            Kind::Summary => &["_count", "_sum"],
            _ => &[],
        };
        let name = suffixes.iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric);
        if !name.is_empty() && !self.named.contains_key(name) {
            self.add(Family {
                name: name.to_owned(),
                kind,
                help: help.to_owned(),
                unit: unit.to_owned(),
            });
        }
    }
}

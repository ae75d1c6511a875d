//! Builds the messages of remote write. It does not send them, and does not decide what goes
//! into which message.

use std::collections::HashMap;

use super::wire::{bytes_length, put_bytes, put_varint, varint_length};
use super::{RemoteError, Version};
use crate::exposition::{Family, Kind};
use crate::sample::Sample;

/// A message being built; its memory is kept from one message to the next.
#[derive(Debug)]
pub struct Encoder {
    version: Version,
    /// The fields, encoded; of version 2 without the symbols.
    body: Vec<u8>,
    rows: usize,
    samples: usize,
    symbols: Symbols,
    /// Of the series being added.
    references: Vec<u8>,
}

impl Encoder {
    /// An empty message.
    pub fn new(version: Version) -> Encoder {
        Encoder {
            version,
            body: Vec::new(),
            rows: 0,
            samples: 0,
            symbols: Symbols::default(),
            references: Vec::new(),
        }
    }

    /// Adds a series. The labels must be sorted by name, as the specification wants them, and
    /// the samples by time.
    pub fn add<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        samples: &[Sample],
    ) {
        self.rows += 1;
        self.samples += samples.len();
        self.references.clear();
        let field = match self.version {
            Version::V1 => {
                for (name, value) in labels {
                    let length = bytes_length(name.len()) + bytes_length(value.len());
                    self.references.push(1 << 3 | 2);
                    put_varint(length as u64, &mut self.references);
                    put_bytes(1, name.as_bytes(), &mut self.references);
                    put_bytes(2, value.as_bytes(), &mut self.references);
                }
                1
            }
            Version::V2 => {
                for text in labels.flat_map(<[&str; 2]>::from) {
                    let reference = self.symbols.place(text);
                    put_varint(reference, &mut self.references);
                }
                5
            }
        };
        let labels_length = match self.version {
            Version::V1 => self.references.len(),
            Version::V2 => bytes_length(self.references.len()),
        };
        let samples_length: usize = samples.iter().map(|s| bytes_length(sample_length(s))).sum();
        self.body.push(field << 3 | 2);
        put_varint((labels_length + samples_length) as u64, &mut self.body);
        match self.version {
            Version::V1 => self.body.extend_from_slice(&self.references),
            Version::V2 => put_bytes(1, &self.references, &mut self.body),
        }
        for sample in samples {
            put_sample(sample, &mut self.body);
        }
    }

    /// Adds what is known about a metric. Version 2 says this with the series themselves and has
    /// no place for it alone, so there it is a series without samples.
    pub fn family(&mut self, family: &Family) {
        let mut inner = Vec::new();
        match self.version {
            Version::V1 => {
                inner.push(1 << 3);
                put_varint(number(family.kind), &mut inner);
                put_bytes(2, family.name.as_bytes(), &mut inner);
                put_bytes(4, family.help.as_bytes(), &mut inner);
                put_bytes(5, family.unit.as_bytes(), &mut inner);
                put_bytes(3, &inner, &mut self.body);
            }
            Version::V2 => {
                let mut references = Vec::new();
                for text in [crate::labels::METRIC_NAME, &family.name] {
                    put_varint(self.symbols.place(text), &mut references);
                }
                let fields = [
                    (1, number(family.kind)),
                    (3, self.symbols.place(&family.help)),
                    (4, self.symbols.place(&family.unit)),
                ];
                let mut metadata = Vec::new();
                for (field, value) in fields {
                    metadata.push(field << 3);
                    put_varint(value, &mut metadata);
                }
                put_bytes(1, &references, &mut inner);
                put_bytes(5, &metadata, &mut inner);
                put_bytes(5, &inner, &mut self.body);
            }
        }
    }

    /// Series added since the last message.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Samples added since the last message.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Bytes of the message as it is now, before compression.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.symbols.encoded.len()
    }

    /// The message, compressed; the encoder is then empty.
    ///
    /// # Errors
    /// That the message is past the 4 GiB snappy can hold.
    pub fn finish(&mut self) -> Result<Vec<u8>, RemoteError> {
        let message = match self.version {
            Version::V1 => &self.body,
            Version::V2 => {
                // The empty text comes first, always, as the specification wants it.
                self.symbols.place("");
                self.symbols.encoded.extend_from_slice(&self.body);
                &self.symbols.encoded
            }
        };
        let compressed = snap::raw::Encoder::new().compress_vec(message);
        self.body.clear();
        self.symbols.clear();
        self.rows = 0;
        self.samples = 0;
        compressed.map_err(|e| RemoteError::Compression(e.to_string()))
    }
}

/// The table of texts of version 2.
#[derive(Debug, Default)]
struct Symbols {
    places: HashMap<Box<str>, u64>,
    encoded: Vec<u8>,
}

impl Symbols {
    fn place(&mut self, text: &str) -> u64 {
        if self.places.is_empty() {
            self.insert("");
        }
        match self.places.get(text) {
            Some(place) => *place,
            None => self.insert(text),
        }
    }

    fn insert(&mut self, text: &str) -> u64 {
        let place = self.places.len() as u64;
        self.places.insert(text.into(), place);
        put_bytes(4, text.as_bytes(), &mut self.encoded);
        place
    }

    fn clear(&mut self) {
        self.places.clear();
        self.encoded.clear();
    }
}

fn sample_length(sample: &Sample) -> usize {
    9 + 1 + varint_length(sample.at as u64)
}

fn put_sample(sample: &Sample, out: &mut Vec<u8>) {
    out.push(2 << 3 | 2);
    put_varint(sample_length(sample) as u64, out);
    out.push(1 << 3 | 1);
    out.extend_from_slice(&sample.value.to_bits().to_le_bytes());
    out.push(2 << 3);
    put_varint(sample.at as u64, out);
}

/// The number of a kind, the same in both versions.
fn number(kind: Kind) -> u64 {
    match kind {
        Kind::Unknown => 0,
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => 3,
        Kind::GaugeHistogram => 4,
        Kind::Summary => 5,
        Kind::Info => 6,
        Kind::StateSet => 7,
    }
}

//! Prometheus remote write, versions 1.0 and 2.0: the messages, in and out, read and written by
//! hand without generated code. It knows bytes, not HTTP: who sends and who answers is elsewhere.
//! Remote read is not here.

mod read;
mod wire;
pub mod write;

use crate::exposition::Family;
use crate::sample::Sample;

/// Which message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`: labels as text in each series.
    V1,
    /// `io.prometheus.write.v2.Request`: labels as places in one table of symbols.
    V2,
}

impl Version {
    /// By the `Content-Type` of a request; without a `proto` it is version 1, as the
    /// specification says.
    ///
    /// # Errors
    /// That the type is another; the answer to it is 415.
    pub fn from_content_type(value: &str) -> Result<Version, RemoteError> {
        let other = || RemoteError::ContentType(value.to_owned());
        let mut parts = value.split(';').map(str::trim);
        if !parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-protobuf")) {
            return Err(other());
        }
        match parts.find_map(|part| part.strip_prefix("proto=")) {
            None | Some("prometheus.WriteRequest") => Ok(Version::V1),
            Some("io.prometheus.write.v2.Request") => Ok(Version::V2),
            Some(_) => Err(other()),
        }
    }
}

/// The headers of a request that carries a message of the version.
pub fn headers(version: Version) -> [(&'static str, &'static str); 3] {
    let (kind, number) = match version {
        Version::V1 => ("application/x-protobuf", "0.1.0"),
        Version::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
    };
    [
        ("Content-Type", kind),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", number),
    ]
}

/// A message that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Not a message of remote write.
    #[error(
        "{0:?} is not remote write: send application/x-protobuf with \
         proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request"
    )]
    ContentType(String),
    /// More than is taken at once.
    #[error("a message of {declared} bytes; the limit is {limit}: send fewer samples at once")]
    TooLarge {
        /// Bytes, as the sender declared them.
        declared: u64,
        /// Bytes that are taken.
        limit: usize,
    },
    /// Not snappy in its block form.
    #[error("could not decompress the message: {0}")]
    Compression(String),
    /// Not the protobuf message that it should be.
    #[error("could not read the message near byte {at}: {what}")]
    Malformed {
        /// Bytes into the decompressed message.
        at: usize,
        /// What was wrong there.
        what: &'static str,
    },
}

/// What a message held, besides its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Series given on, histograms not counted.
    pub rows: usize,
    /// Samples given on.
    pub samples: usize,
    /// Native histograms, which are left out.
    pub histograms: usize,
    /// Exemplars, which are left out.
    pub exemplars: usize,
    /// Series whose labels cannot be: left out, while the rest is taken. The answer is 400.
    pub refused: Refused,
    /// What is said about metrics, each name once.
    pub families: Vec<Family>,
}

impl Decoded {
    /// The headers of the answer that tell a sender of version 2 what was taken of its message:
    /// so many samples were stored.
    pub fn written(stored: u64) -> [(&'static str, String); 3] {
        [
            ("X-Prometheus-Remote-Write-Samples-Written", stored.to_string()),
            ("X-Prometheus-Remote-Write-Histograms-Written", "0".to_owned()),
            ("X-Prometheus-Remote-Write-Exemplars-Written", "0".to_owned()),
        ]
    }
}

/// Series that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub rows: usize,
    /// Why the first was; empty where none was.
    pub reason: String,
}

/// Decompresses a body in the block form of snappy. The declared length is judged before memory
/// is taken for it.
///
/// # Errors
/// That it is over `limit` bytes, or not snappy.
pub fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, RemoteError> {
    let mut message = Vec::new();
    decompress_into(body, limit, &mut message)?;
    Ok(message)
}

/// The same into memory that is used again; what was in it is replaced.
///
/// # Errors
/// That it is over `limit` bytes, or not snappy; `into` then holds nothing of use.
pub fn decompress_into(body: &[u8], limit: usize, into: &mut Vec<u8>) -> Result<(), RemoteError> {
    let broken = |e: snap::Error| RemoteError::Compression(e.to_string());
    let length = snap::raw::decompress_len(body).map_err(broken)?;
    if length > limit {
        return Err(RemoteError::TooLarge { declared: length as u64, limit });
    }
    // The best an element can do is 64 bytes for three: a larger claim is a lie, and would cost
    // the memory before it is found out.
    if length / 22 > body.len() {
        let what = format!("{} bytes cannot hold the {length} they declare", body.len());
        return Err(RemoteError::Compression(what));
    }
    into.resize(length, 0);
    let written = snap::raw::Decoder::new().decompress(body, into).map_err(broken)?;
    into.truncate(written);
    Ok(())
}

/// Reads a decompressed message and gives each series with its samples to `each`: labels sorted
/// by name, no name twice, no empty value, all borrowed from the message; samples as they were
/// sent, staleness markers included. Nothing is allocated for a series.
///
/// # Errors
/// That the bytes are not such a message. What came before the wrong place has then been given.
pub fn decode(
    version: Version,
    message: &[u8],
    each: impl FnMut(&[(&str, &str)], &[Sample]),
) -> Result<Decoded, RemoteError> {
    match version {
        Version::V1 => read::v1(message, each),
        Version::V2 => read::v2(message, each),
    }
}

/// A compressed message of version 1 as two, each with half of what it says; none where it says one
/// thing, or is none. Who refuses a message for one of its samples may take the other half.
pub fn halves(body: &[u8]) -> Option<[Vec<u8>; 2]> {
    let message = decompress(body, usize::MAX).ok()?;
    let (mut reader, mut ends) = (wire::Reader::new(&message), Vec::new());
    while reader.next().ok()?.is_some() {
        ends.push(message.len() - reader.bytes().len());
    }
    let middle = ends.get((ends.len() / 2).checked_sub(1)?)?;
    let (first, second) = message.split_at(*middle);
    let compress = |plain: &[u8]| snap::raw::Encoder::new().compress_vec(plain).ok();
    Some([compress(first)?, compress(second)?])
}

#[cfg(test)]
mod tests;

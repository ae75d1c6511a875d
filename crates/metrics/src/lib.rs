//! Series of numbers over time: labels, the text they are exposed in, remote write, storage, and
//! PromQL. It knows no noun of operations, no runtime and no clock: the time is an argument.

pub mod exposition;
pub mod labels;
pub mod promql;
pub mod remote;
pub mod sample;
pub mod source;
pub mod storage;

pub use labels::{Labels, Matcher, Operator};
pub use sample::{STALE, Sample, is_stale};
pub use source::{Decoded, LabelQuery, Recalled, Selected, Source, SourceError};

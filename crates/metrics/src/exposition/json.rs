//! The JSON in which the API of Prometheus answers a query: ours rendered, and that of others
//! read. It knows the value of an answer; not its warnings, its statistics, nor HTTP.

use std::fmt::{self, Write};

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{cut, number};
use crate::labels::Labels;
use crate::promql::{Series, Value};
use crate::sample::Sample;

/// Appends `{"resultType":…,"result":…}` as Prometheus writes it: values as text, times as
/// seconds.
pub fn render_value(value: &Value, out: &mut String) {
    match value {
        Value::Scalar(sample) => {
            out.push_str(r#"{"resultType":"scalar","result":["#);
            number::plain(sample.at as f64 / 1000.0, out);
            out.push_str(",\"");
            number::plain(sample.value, out);
            out.push_str("\"]}");
        }
        Value::String { at, text } => {
            out.push_str(r#"{"resultType":"string","result":["#);
            number::plain(*at as f64 / 1000.0, out);
            out.push(',');
            render_text(text, out);
            out.push_str("]}");
        }
        Value::Vector(all) => {
            out.push_str(r#"{"resultType":"vector","result":["#);
            for (at, (labels, sample)) in all.iter().enumerate() {
                out.push_str(if at == 0 { "{\"metric\":" } else { ",{\"metric\":" });
                render_labels(labels, out);
                out.push_str(",\"value\":");
                render_sample(*sample, out);
                out.push('}');
            }
            out.push_str("]}");
        }
        Value::Matrix(all) => {
            out.push_str(r#"{"resultType":"matrix","result":["#);
            for (at, series) in all.iter().enumerate() {
                out.push_str(if at == 0 { "{\"metric\":" } else { ",{\"metric\":" });
                render_series(series, out);
            }
            out.push_str("]}");
        }
    }
}

fn render_series(series: &Series, out: &mut String) {
    render_labels(&series.labels, out);
    out.push_str(",\"values\":[");
    for (at, sample) in series.samples.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        render_sample(*sample, out);
    }
    out.push_str("]}");
}

/// Appends `[seconds,"value"]`.
pub fn render_sample(sample: Sample, out: &mut String) {
    out.push('[');
    number::seconds(sample.at, out);
    out.push_str(",\"");
    number::short(sample.value, out);
    out.push_str("\"]");
}

/// Appends labels as an object.
pub fn render_labels(labels: &Labels, out: &mut String) {
    out.push('{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        render_text(name, out);
        out.push(':');
        render_text(value, out);
    }
    out.push('}');
}

/// Appends a text in quotes, with the escapes JSON needs and no others.
pub fn render_text(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Reads an answer of `/api/v1/query` or `/api/v1/query_range`, or what [`render_value`] writes.
/// Native histograms in it are left out.
///
/// # Errors
/// What the server says went wrong, or why the answer cannot be read.
pub fn read_value(json: &str) -> Result<Value, String> {
    let answer: Answer =
        serde_json::from_str(json).map_err(|e| format!("could not read the answer: {e}"))?;
    match answer {
        Answer { status: Some(status), error_type, error, .. } if status != "success" => {
            Err(format!("{error_type}: {error}"))
        }
        Answer { data: Some(data), .. } => value(&data.result_type, data.result),
        Answer { result_type: Some(kind), result, .. } => value(&kind, result),
        _ => Err("could not read the answer: it has no result".to_owned()),
    }
}

/// The whole answer, or its `data` alone.
#[derive(Deserialize)]
struct Answer {
    status: Option<String>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
    #[serde(rename = "resultType")]
    result_type: Option<String>,
    #[serde(default)]
    result: Vec<Item>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    #[serde(default)]
    result: Vec<Item>,
}

fn value(kind: &str, items: Vec<Item>) -> Result<Value, String> {
    let wrong = || format!("could not read the answer: its result is not a {:?}", cut(kind, 64));
    match kind {
        "scalar" | "string" => {
            let Ok([Item::Number(at), Item::Text(text)]) = <[Item; 2]>::try_from(items) else {
                return Err(wrong());
            };
            let at = milliseconds(at).ok_or_else(wrong)?;
            if kind == "string" {
                return Ok(Value::String { at, text });
            }
            let value = text.parse().map_err(|_| wrong())?;
            Ok(Value::Scalar(Sample { at, value }))
        }
        "vector" => {
            let mut all = Vec::with_capacity(items.len());
            for item in items {
                let Item::Series(series) = item else { return Err(wrong()) };
                all.extend(series.samples.first().map(|sample| (series.labels, *sample)));
            }
            Ok(Value::Vector(all))
        }
        "matrix" => {
            let mut all = Vec::with_capacity(items.len());
            for item in items {
                let Item::Series(series) = item else { return Err(wrong()) };
                if !series.samples.is_empty() {
                    all.push(series);
                }
            }
            Ok(Value::Matrix(all))
        }
        _ => Err(wrong()),
    }
}

fn milliseconds(seconds: f64) -> Option<i64> {
    let all = (seconds * 1000.0).round();
    (all.abs() < 9.0e18).then_some(all as i64)
}

/// One thing in the list of a result, of which the type of the result says what it must be.
enum Item {
    Number(f64),
    Text(String),
    Series(Series),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Item, D::Error> {
        from.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text or a series")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Item, E> {
        Ok(Item::Number(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Item, E> {
        Ok(Item::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Item, E> {
        Ok(Item::Number(value as f64))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Item, E> {
        Ok(Item::Text(value.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut labels = Labels::default();
        let mut samples = Vec::new();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Metric => labels = map.next_value::<Metric>()?.0,
                Key::Value => samples = vec![map.next_value::<Point>()?.0],
                Key::Values => samples = map.next_value::<Points>()?.0,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Item::Series(Series { labels, samples, lag: None }))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Metric,
    Value,
    Values,
    #[serde(other)]
    Other,
}

struct Metric(Labels);

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Metric, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Metric;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metric, A::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Metric(Labels::new(pairs)))
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// `[seconds, "value"]`, read without memory for the text.
struct Point(Sample);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Point, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Point;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time and a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Point, A::Error> {
                let seconds = seq.next_element::<f64>()?;
                let text = seq.next_element::<Written>()?;
                let over = seq.next_element::<IgnoredAny>()?;
                match (seconds.and_then(milliseconds), text, over) {
                    (Some(at), Some(Written(value)), None) => Ok(Point(Sample { at, value })),
                    _ => Err(A::Error::custom("a sample is not a time and a value")),
                }
            }
        }
        from.deserialize_seq(Pair)
    }
}

/// A number written as a text.
struct Written(f64);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Written, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
                let wrong = |_| E::custom(format!("{:?} is not a number", cut(text, 64)));
                text.parse().map(Written).map_err(wrong)
            }
        }
        from.deserialize_str(Text)
    }
}

struct Points(Vec<Sample>);

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Points, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of samples")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Points, A::Error> {
                let mut all = Vec::new();
                while let Some(Point(sample)) = seq.next_element()? {
                    all.push(sample);
                }
                Ok(Points(all))
            }
        }
        from.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests;

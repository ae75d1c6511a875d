//! What must hold of any input from outside: no text and no message brings the parsers down, and
//! what is written is read back as it was.

use atoll_metrics::exposition::json::read_value;
use atoll_metrics::exposition::writer::Writer;
use atoll_metrics::exposition::{Format, Limits, parse};
use atoll_metrics::remote::write::Encoder;
use atoll_metrics::remote::{Version, decode, decompress};
use atoll_metrics::{Labels, Sample};
use proptest::prelude::*;
use proptest::sample::select;

const VALID: &str = "# HELP a_total Of \\\"all\\\" \\\\ kinds.\n# TYPE a_total counter\n\
    # UNIT a_seconds seconds\na_total{b=\"c\",d=\"e\\n\\\"\"} 1.5e3 1395066363\n\
    {\"my.name\",\"l.m\"=\"é\"} NaN # {t=\"x\"} 0.5 1.5\na_bucket{le=\"+Inf\"} 17 # {} 1\n# EOF\n";

/// Parses as both formats and holds what is given on to the promises about rows.
fn parse_any(text: &str) {
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let mut rows = 0;
        let parsed = parse(text, format, &Limits::default(), |row| {
            rows += 1;
            assert!(row.labels.is_sorted_by(|a, b| a.0 < b.0), "{:?}", row.labels);
            assert!(row.labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
            assert!(row.labels.iter().any(|(name, _)| *name == "__name__"));
            assert!(!atoll_metrics::is_stale(row.value));
        });
        match parsed {
            Ok(parsed) => assert_eq!(parsed.rows, rows),
            Err(e) => assert!(e.line >= 1 && e.line <= text.lines().count() + 2, "{e}"),
        }
    }
}

fn decode_any(message: &[u8]) {
    for version in [Version::V1, Version::V2] {
        // Whether it is taken is no matter here; what is given on must be right.
        let _ = decode(version, message, |labels, samples| {
            assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "{labels:?}");
            assert!(!samples.is_empty());
        });
    }
}

/// Labels as a sender may have them: a name of a metric, and any characters elsewhere.
fn labels() -> impl Strategy<Value = Labels> {
    let name = prop_oneof!["[a-z_:][a-z0-9_:]{0,8}", "\\PC{1,6}", "[\"\\\\\n{}=, #]{1,5}"];
    let value = prop_oneof!["[a-z0-9/]{0,9}", "(?s).{0,6}", "[\"\\\\\n]{1,5}"];
    (name.clone(), prop::collection::vec((name, value), 0..8)).prop_map(|(metric, mut pairs)| {
        pairs.retain(|(name, _)| name != "__name__");
        pairs.push(("__name__".to_owned(), metric));
        Labels::new(pairs)
    })
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        any::<i32>().prop_map(f64::from),
        select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX, 5e-324]),
    ]
}

/// Families of series with their samples, each series once.
fn series() -> impl Strategy<Value = Vec<(Labels, Vec<Sample>)>> {
    let sample = (any::<i64>(), any::<u64>())
        .prop_map(|(at, bits)| Sample { at, value: f64::from_bits(bits) });
    prop::collection::btree_map(labels(), prop::collection::vec(sample, 1..4), 0..20)
        .prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_any(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_damaged_text_is_read_or_refused(
        at in 0..VALID.len(),
        length in 0..6_usize,
        instead in prop_oneof!["[\"\\\\\n{}=, #a0é\u{0}]{0,4}", "(?s).{0,4}"],
    ) {
        let from = VALID.floor_char_boundary(at);
        let to = VALID.ceil_char_boundary((at + length).min(VALID.len()));
        parse_any(&format!("{}{instead}{}", &VALID[..from], &VALID[to..]));
        parse_any(&VALID[..from]);
    }

    #[test]
    fn a_written_text_reads_back(
        rows in prop::collection::btree_map(labels(), (value(), -1_i64 << 50..1 << 50), 0..20),
        format in select(vec![Format::Prometheus, Format::OpenMetrics]),
    ) {
        let mut writer = Writer::new(format);
        for (labels, (value, at)) in &rows {
            let pairs: Vec<(&str, &str)> = labels.iter().collect();
            writer.row(&pairs, *value, Some(*at));
        }
        let text = writer.finish();
        let mut back = Vec::new();
        let parsed = parse(&text, format, &Limits::default(), |row| {
            back.push((Labels::new(row.labels.iter().copied()), row.value, row.at));
        });
        prop_assert!(parsed.is_ok(), "{:?} in\n{}", parsed, text);
        prop_assert_eq!(back.len(), rows.len());
        for ((labels, (value, at)), found) in rows.iter().zip(&back) {
            prop_assert_eq!(labels, &found.0);
            let same = value.to_bits() == found.1.to_bits() || value.is_nan() && found.1.is_nan();
            prop_assert!(same, "{} became {}", value, found.1);
            prop_assert_eq!(Some(*at), found.2);
        }
    }

    #[test]
    fn any_body_is_decompressed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = decompress(&bytes, 1 << 16) {
            prop_assert!(message.len() <= 1 << 16);
        }
        decode_any(&bytes);
    }

    #[test]
    fn any_answer_is_read_or_refused(
        kind in select(vec!["scalar", "string", "vector", "matrix", "x"]),
        result in "[\\[\\]{}\",:0-9a-z.e-]{0,30}",
    ) {
        let json = format!("{{\"resultType\":\"{kind}\",\"result\":[{result}]}}");
        if let Err(message) = read_value(&json) {
            prop_assert!(message.starts_with("could not read the answer"), "{}", message);
        }
    }
}

proptest! {
    // Each case reads the message once for each of its bytes.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_message_reads_back_and_no_part_of_it_brings_the_reader_down(
        all in series(),
        version in select(vec![Version::V1, Version::V2]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut encoder = Encoder::new(version);
        for (labels, samples) in &all {
            encoder.add(labels.iter(), samples);
        }
        prop_assert_eq!(encoder.rows(), all.len());
        let mut message = decompress(&encoder.finish().unwrap(), 1 << 20).unwrap();
        let mut back = Vec::new();
        let decoded = decode(version, &message, |labels, samples| {
            back.push((Labels::new(labels.iter().copied()), samples.to_vec()));
        }).unwrap();
        prop_assert_eq!(decoded.rows, all.len());
        prop_assert_eq!(decoded.refused.rows, 0);
        prop_assert_eq!(&back, &all);
        for end in 0..message.len() {
            decode_any(&message[..end]);
        }
        if !message.is_empty() {
            for (at, byte) in flips {
                let at = at.index(message.len());
                message[at] = byte;
            }
            decode_any(&message);
        }
    }
}

#[test]
fn a_million_series_are_refused_at_the_limit() {
    let text: String = (0..1_000_000).map(|i| format!("a{i} 1\n")).collect();
    let mut rows = 0;
    let refused = parse(&text, Format::Prometheus, &Limits::default(), |_| rows += 1);
    assert_eq!(refused.unwrap_err().to_string(), "line 50001: more than 50000 series");
    assert_eq!(rows, 50_000);
}

#[test]
fn a_label_of_a_megabyte_is_refused() {
    let text = format!("a 1\nb{{c=\"{}\"}} 1\n", "x".repeat(1 << 20));
    let refused = parse(&text, Format::Prometheus, &Limits::default(), |_| {});
    let message = "line 2: a label value of 1048576 bytes; the limit is 4096";
    assert_eq!(refused.unwrap_err().to_string(), message);
}

//! Cases of remote write: messages made by hand, and what is refused.

use super::write::Encoder;
use super::*;
use crate::STALE;
use crate::exposition::Kind;

type Row = (Vec<(String, String)>, Vec<Sample>);

fn read(version: Version, message: &[u8]) -> Result<(Vec<Row>, Decoded), RemoteError> {
    let mut rows = Vec::new();
    let decoded = decode(version, message, |labels, samples| {
        let owned = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        rows.push((owned, samples.to_vec()));
    })?;
    Ok((rows, decoded))
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_bytes(number, bytes, &mut out);
    out
}

fn label(name: &str, value: &str) -> Vec<u8> {
    field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
}

fn series(labels: &[(&str, &str)]) -> Vec<u8> {
    let mut inner: Vec<u8> = labels.iter().flat_map(|(n, v)| label(n, v)).collect();
    // {value: 1.0, timestamp: 5}
    inner.extend(field(2, b"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x05"));
    field(1, &inner)
}

#[test]
fn a_message_as_the_specification_has_it_is_read() {
    let message = b"\x0a\x21\
        \x0a\x0e\x0a\x08__name__\x12\x02up\
        \x12\x0f\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x80\x80\x80\x80\x10";
    let (rows, decoded) = read(Version::V1, message).unwrap();
    let labels = vec![("__name__".to_owned(), "up".to_owned())];
    assert_eq!(rows, [(labels, vec![Sample { at: 1 << 32, value: 1.0 }])]);
    assert_eq!((decoded.rows, decoded.samples), (1, 1));
}

#[test]
fn what_is_not_kept_is_counted() {
    let message = field(
        1,
        &[
            label("__name__", "up"),
            field(3, b"exemplar"),
            field(4, b"histogram"),
            field(4, b""),
            // Fields of later versions, of every form.
            vec![15 << 3, 200, 1],
            [vec![14 << 3 | 1], vec![0; 8], vec![13 << 3 | 5], vec![0; 4]].concat(),
        ]
        .concat(),
    );
    let (rows, decoded) = read(Version::V1, &message).unwrap();
    assert!(rows.is_empty());
    let expected = Decoded { histograms: 2, exemplars: 1, ..Decoded::default() };
    assert_eq!(decoded, expected);
}

#[test]
fn labels_are_put_in_order_and_those_that_cannot_be_are_refused() {
    let message = [
        series(&[("b", "1"), ("__name__", "up"), ("a", "2"), ("c", "")]),
        series(&[("__name__", "up"), ("a", "1"), ("a", "2")]),
        series(&[("a", "1")]),
        series(&[("", "1"), ("__name__", "up")]),
        series(&[("__name__", "down")]),
    ]
    .concat();
    let (rows, decoded) = read(Version::V1, &message).unwrap();
    let names: Vec<Vec<&str>> =
        rows.iter().map(|row| row.0.iter().map(|(n, _)| n.as_str()).collect()).collect();
    assert_eq!(names, [vec!["__name__", "a", "b"], vec!["__name__"]]);
    assert_eq!(decoded.rows, 2);
    let reason = "a series has the label \"a\" twice".to_owned();
    assert_eq!(decoded.refused, Refused { rows: 3, reason });
}

#[test]
fn references_need_not_be_packed_nor_symbols_come_first() {
    let inner = [vec![8, 1, 8, 2], field(1, &[3, 4]), field(2, &[16, 7])].concat();
    let symbols = ["", "__name__", "up", "job", "é"].map(|s| field(4, s.as_bytes())).concat();
    let (rows, _) = read(Version::V2, &[field(5, &inner), symbols].concat()).unwrap();
    let labels = [("__name__", "up"), ("job", "é")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(rows, [(labels.to_vec(), vec![Sample { at: 7, value: 0.0 }])]);
}

#[test]
fn a_message_that_is_wrong_says_where() {
    let text = |version, message: &[u8]| read(version, message).unwrap_err().to_string();
    let near = "could not read the message near byte";
    assert_eq!(
        text(Version::V1, b"\x0a\x05\x0a\x02\x0a\x09x"),
        format!("{near} 6: a field is longer than what holds it")
    );
    assert_eq!(text(Version::V1, b"\x0b"), format!("{near} 1: a field of an unknown form"));
    assert_eq!(text(Version::V1, &[0xff; 11]), format!("{near} 0: a number is cut, or too long"));
    let bad = field(1, &field(1, &field(1, b"\xff")));
    assert_eq!(text(Version::V1, &bad), format!("{near} 6: a text is not UTF-8"));
    assert_eq!(
        text(Version::V2, &field(5, &field(1, &[9, 9]))),
        format!("{near} 5: a reference to a symbol that is not there")
    );
    let odd = [field(4, b""), field(5, &field(1, &[0]))].concat();
    assert_eq!(text(Version::V2, &odd), format!("{near} 7: a label has a name and no value"));
}

#[test]
fn metadata_goes_there_and_back() {
    let family = |name: &str, kind, help: &str, unit: &str| Family {
        name: name.to_owned(),
        kind,
        help: help.to_owned(),
        unit: unit.to_owned(),
    };
    let all = [
        family("a_total", Kind::Counter, "All.", ""),
        family("b_seconds", Kind::Histogram, "", "seconds"),
        family("c", Kind::StateSet, "", ""),
    ];
    for version in [Version::V1, Version::V2] {
        let mut encoder = Encoder::new(version);
        for family in &all {
            encoder.family(family);
        }
        encoder.family(&all[0]);
        let message = decompress(&encoder.finish().unwrap(), 1000).unwrap();
        let (rows, decoded) = read(version, &message).unwrap();
        assert_eq!(decoded.families, all, "{version:?}");
        assert!(rows.is_empty() && decoded.refused.rows == 0);
    }
}

#[test]
fn the_family_of_a_bucket_is_its_histogram() {
    let symbols = ["", "__name__", "x_bucket", "Help."].map(|s| field(4, s.as_bytes())).concat();
    let inner = [field(1, &[1, 2]), field(5, &[8, 3, 24, 3])].concat();
    let (_, decoded) = read(Version::V2, &[symbols, field(5, &inner)].concat()).unwrap();
    assert_eq!(decoded.families[0].name, "x");
    assert_eq!(decoded.families[0].help, "Help.");
}

#[test]
fn an_encoder_begins_anew_after_each_message() {
    for version in [Version::V1, Version::V2] {
        let mut encoder = Encoder::new(version);
        let sample = Sample { at: -5, value: STALE };
        let add = |encoder: &mut Encoder| {
            encoder.add([("__name__", "up"), ("job", "x")].into_iter(), &[sample, sample]);
            (encoder.rows(), encoder.samples())
        };
        assert_eq!(add(&mut encoder), (1, 2));
        assert!(encoder.bytes() > 0);
        let first = encoder.finish().unwrap();
        assert_eq!(encoder.bytes(), 0);
        assert_eq!(add(&mut encoder), (1, 2));
        assert_eq!(encoder.finish().unwrap(), first, "{version:?}");
        let (rows, _) = read(version, &decompress(&first, 1000).unwrap()).unwrap();
        assert_eq!(rows[0].1, [sample, sample]);
    }
}

#[test]
fn bombs_are_refused_before_memory_is_taken() {
    // 4 GiB declared by ten bytes, once over the limit and once below it.
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0];
    assert_eq!(
        decompress(&bomb, 1 << 20),
        Err(RemoteError::TooLarge { declared: u64::from(u32::MAX), limit: 1 << 20 })
    );
    let lie = decompress(&bomb, usize::MAX).unwrap_err().to_string();
    assert_eq!(
        lie,
        "could not decompress the message: 10 bytes cannot hold the 4294967295 they declare"
    );
    assert!(decompress(b"\xff\xff\xff\xff\xff\xff", 10).is_err());
    assert!(decompress(b"", 10).is_err());
    // What is really that small is taken.
    let zeros = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20]).unwrap();
    assert_eq!(decompress(&zeros, 1 << 20).unwrap().len(), 1 << 20);
    assert!(decompress(&zeros, (1 << 20) - 1).is_err());
}

#[test]
fn a_message_is_cut_between_its_series() {
    let message = |names: &[&str]| {
        let mut encoder = Encoder::new(Version::V1);
        for name in names {
            encoder.add([("__name__", *name)].into_iter(), &[Sample { at: 1, value: 2.0 }]);
        }
        encoder.finish().unwrap()
    };
    let plain = |message: &[u8]| decompress(message, usize::MAX).unwrap();
    let [first, second] = halves(&message(&["a", "b", "c"])).unwrap();
    assert_eq!(plain(&first), plain(&message(&["a"])));
    assert_eq!(plain(&second), plain(&message(&["b", "c"])));
    assert!(halves(&first).is_none() && halves(&message(&[])).is_none());
    assert!(halves(b"no message").is_none());
}

#[test]
fn versions_are_told_apart_by_type() {
    let v2 = "application/x-protobuf; proto=io.prometheus.write.v2.Request";
    assert_eq!(Version::from_content_type(v2), Ok(Version::V2));
    assert_eq!(Version::from_content_type("application/x-protobuf"), Ok(Version::V1));
    for version in [Version::V1, Version::V2] {
        assert_eq!(Version::from_content_type(headers(version)[0].1), Ok(version));
    }
    for other in ["", "text/plain", "application/x-protobuf;proto=other"] {
        assert!(Version::from_content_type(other).is_err(), "{other}");
    }
}

//! Cases of the two texts: what is read, what is refused and why, and what is written.

use super::writer::{Histogram, Writer};
use super::*;

type Owned = (String, f64, Option<i64>);

fn read(text: &str, format: Format) -> Result<(Vec<Owned>, Parsed), String> {
    read_within(text, format, &Limits::default())
}

fn read_within(
    text: &str,
    format: Format,
    limits: &Limits,
) -> Result<(Vec<Owned>, Parsed), String> {
    let mut rows = Vec::new();
    let parsed = parse(text, format, limits, |row| {
        rows.push((crate::Labels::new(row.labels.iter().copied()).to_string(), row.value, row.at));
    });
    parsed.map(|parsed| (rows, parsed)).map_err(|e| e.to_string())
}

fn one(line: &str) -> Owned {
    let (mut rows, _) = read(line, Format::Prometheus).unwrap();
    assert_eq!(rows.len(), 1, "{line}");
    rows.remove(0)
}

fn refused(text: &str, format: Format) -> String {
    read(text, format).unwrap_err()
}

#[test]
fn reads_prometheus_text() {
    let text = "# HELP http_total Of \\\\ all\\nkinds, \\\"quoted\\\".\n\
        # TYPE http_total counter\n\
        # a remark\n#\n\
        http_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
        \t http_total { method = \"post\" , code = \"400\" , }  3  \t-5  \n\
        \n\
        path{dir=\"C:\\\\DIR\\\\\",error=\"no\\n\\\"FILE\\\"\\d\"} 1.458255915e9\n\
        bare 12.47\nnot -Inf\ninf +Inf\n# TYPE x summary\nno_end NaN";
    let (rows, parsed) = read(text, Format::Prometheus).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(
        names,
        [
            r#"http_total{code="200", method="post"}"#,
            r#"http_total{code="400", method="post"}"#,
            r#"path{dir="C:\\DIR\\", error="no\n\"FILE\"\\d"}"#,
            "bare",
            "not",
            "inf",
            "no_end",
        ]
    );
    assert_eq!((rows[0].1, rows[0].2), (1027.0, Some(1_395_066_363_000)));
    assert_eq!((rows[1].1, rows[1].2), (3.0, Some(-5)));
    assert_eq!(rows[4].1, f64::NEG_INFINITY);
    assert!(rows[6].1.is_nan());
    assert_eq!(parsed.rows, 7);
    assert_eq!(parsed.families[0].help, "Of \\ all\nkinds, \\\"quoted\\\".");
    assert_eq!(parsed.families[0].kind, Kind::Counter);
    assert_eq!(parsed.families[1].name, "x");
}

#[test]
fn reads_openmetrics() {
    let text = "# TYPE foo_seconds histogram\n# UNIT foo_seconds seconds\n\
        # HELP foo_seconds A \\\"text\\\".\n\
        foo_seconds_bucket{le=\"0.1\"} 8 # {trace_id=\"a}# b\"} 0.054 1520879607.789\n\
        foo_seconds_count 17 1520879607.789 # {} 0.67\n# EOF\n";
    let (rows, parsed) = read(text, Format::OpenMetrics).unwrap();
    assert_eq!(rows[0], (r#"foo_seconds_bucket{le="0.1"}"#.to_owned(), 8.0, None));
    assert_eq!(rows[1], ("foo_seconds_count".to_owned(), 17.0, Some(1_520_879_607_789)));
    let family = Family {
        name: "foo_seconds".to_owned(),
        kind: Kind::Histogram,
        help: "A \"text\".".to_owned(),
        unit: "seconds".to_owned(),
    };
    assert_eq!(parsed.families, [family]);
    assert!(read("# EOF", Format::OpenMetrics).is_ok());
    assert!(read("", Format::Prometheus).is_ok());
}

#[test]
fn reads_names_of_any_characters_in_quotes() {
    assert_eq!(one(r#"{"my.name",label="v"} 1"#).0, r#"my.name{label="v"}"#);
    assert_eq!(one(r#"{"größe","a.b \"c\""="é"} 1"#).0, r#"größe{a.b "c"="é"}"#);
    assert_eq!(one(r#"{__name__="up"} 1"#).0, "up");
    let (_, parsed) = read("# TYPE \"a \\\"b\" gauge\n", Format::Prometheus).unwrap();
    assert_eq!((parsed.families[0].name.as_str(), parsed.families[0].kind), ("a \"b", Kind::Gauge));
}

#[test]
fn an_empty_value_is_the_same_as_no_label() {
    assert_eq!(one(r#"up{job=""} 1"#).0, "up");
    assert!(refused(r#"{__name__=""} 1"#, Format::Prometheus).contains("without the name"));
}

#[test]
fn rows_without_escapes_are_borrowed() {
    let text = String::from("up{job=\"a\"} 1");
    let within = text.as_bytes().as_ptr_range();
    parse(&text, Format::Prometheus, &Limits::default(), |row| {
        assert!(within.contains(&row.labels[1].1.as_ptr()));
    })
    .unwrap();
}

#[test]
fn a_wrong_line_is_named() {
    for (line, message) in [
        ("up", "a row without a value"),
        ("up{a=\"b\" 1", "\"1\" where , or } was expected"),
        ("up{a=\"b\"", "the labels have no closing }"),
        ("up{a=\"b} 1", "a quote is not closed"),
        ("up{a=\"b\\", "a quote is not closed"),
        ("up{a} 1", "the label \"a\" has no value"),
        ("up{a=b} 1", "\"b} 1\" where a quote was expected"),
        ("up{1a=\"b\"} 1", "\"1a=\\\"b\\\"} 1\" is not the name of a label"),
        ("up{a=\"b\",a=\"c\"} 1", "the label \"a\" stands twice"),
        ("up{__name__=\"b\"} 1", "the label \"__name__\" stands twice"),
        ("{\"up\",\"down\"} 1", "the label \"__name__\" stands twice"),
        ("up{,} 1", "\",} 1\" is not the name of a label"),
        ("{a=\"b\"} 1", "a row without the name of a metric"),
        ("9up 1", "\"9up 1\" is not the name of a metric"),
        ("\u{0}\u{1}\u{fffd}", "\"\\0\\u{1}\u{fffd}\" is not the name of a metric"),
        ("up one", "\"one\" is not a number"),
        ("up 1e999", "\"1e999\" is too large for a number"),
        ("up 1 99999999999999999999", "\"99999999999999999999\" is not a time"),
        ("up 1 1.5", "\"1.5\" is not a time"),
        ("up 1 1 1", "\"1\" after the value"),
        ("up 1 # {} 1", "\"# {} 1\" after the value"),
        ("# TYPE up thing", "\"thing\" is not a type of metric"),
        ("# TYPE  ", "# TYPE without the name of a metric"),
    ] {
        let expected = format!("line 2: {message}");
        assert_eq!(refused(&format!("a 1\n{line}\nb 1"), Format::Prometheus), expected, "{line}");
    }
}

#[test]
fn openmetrics_is_refused_where_it_is_cut_or_goes_on() {
    for (text, message) in [
        ("a 1\n", "line 2: the text ends without # EOF: it may have been cut"),
        ("# EOF\na 1\n", "line 2: text after # EOF"),
        ("a 1 # {b=\"c\"}\n# EOF", "line 1: a row without a value"),
        ("a 1 1e300\n# EOF", "line 1: \"1e300\" is not a time"),
        ("a 1 nan\n# EOF", "line 1: \"nan\" is not a time"),
        ("a 1 # {} 1 1 x\n# EOF", "line 1: \"x\" after the exemplar"),
    ] {
        assert_eq!(refused(text, Format::OpenMetrics), message);
    }
}

#[test]
fn duplicates_are_dropped_and_counted() {
    let text = "a{b=\"1\",c=\"2\"} 1\na{c=\"2\",b=\"1\"} 2\na{b=\"1\",c=\"2\"} 3 7\n\
        a{b=\"1\",c=\"2\"} 4 7\na{b=\"1\",c=\"\\x\"} 5\na{b=\"1\",c=\"\\\\x\"} 6";
    let (rows, parsed) = read(text, Format::Prometheus).unwrap();
    assert_eq!(rows.iter().map(|row| row.1).collect::<Vec<_>>(), [1.0, 3.0, 5.0]);
    assert_eq!((parsed.rows, parsed.duplicates), (3, 3));
}

#[test]
fn limits_are_held_and_named() {
    let limits = Limits { bytes: 200, series: 2, labels: 3, label_name: 8, label_value: 5 };
    for (text, message) in [
        ("a{abcd=\"12345\"} 1\na 1\na 2", ""),
        ("a 1\nb{c=\"123456\"} 1", "line 2: a label value of 6 bytes; the limit is 5"),
        ("b{abcdefghi=\"1\"} 1", "line 1: the name of a label of 9 bytes; the limit is 8"),
        ("b{a=\"\",b=\"\",c=\"\"} 1", "line 1: more than 3 labels"),
        ("a 1\nb 1\nc 1", "line 3: more than 2 series"),
        ("# TYPE a gauge\n# TYPE b gauge\n# TYPE c gauge", "line 3: more than 2 metrics described"),
        (&" ".repeat(201), "line 1: a text of 201 bytes; the limit is 200"),
    ] {
        let found = read_within(text, Format::Prometheus, &limits).err().unwrap_or_default();
        assert_eq!(found, message, "{text}");
    }
    let (_, parsed) = read_within("# HELP a 1234é", Format::Prometheus, &limits).unwrap();
    assert_eq!(parsed.families[0].help, "1234");
}

#[test]
fn formats_are_told_apart() {
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(Format::from_content_type(open), Format::OpenMetrics);
    assert_eq!(Format::from_content_type("text/plain; version=0.0.4"), Format::Prometheus);
    for format in [Format::OpenMetrics, Format::Prometheus] {
        assert_eq!(Format::from_content_type(format.content_type()), format);
    }
}

fn written(format: Format) -> String {
    let mut writer = Writer::new(format);
    let mut rows = writer.family("req_total", Kind::Counter, "All \\ of \"them\"\n.");
    rows.value(&[("path", "a\"b\\c\nd"), ("x.y", "é")], 1e300).value(&[], 0.1);
    writer.family("build_info", Kind::Info, "").value(&[("v", "1")], 1.0);
    let seen = Histogram { bounds: &[0.5, 1.0], counts: &[1, 2, 3], sum: f64::NAN };
    writer.family("took", Kind::Histogram, "Time.").histogram(&[("a", "b")], seen);
    writer.row(&[("__name__", "up.time"), ("job", "x")], f64::INFINITY, Some(-1_500));
    writer.finish()
}

#[test]
fn writes_prometheus_text() {
    assert_eq!(
        written(Format::Prometheus),
        r#"# HELP req_total All \\ of "them"\n.
# TYPE req_total counter
req_total{path="a\"b\\c\nd","x.y"="é"} 1e+300
req_total 0.1
# HELP build_info 
# TYPE build_info gauge
build_info{v="1"} 1
# HELP took Time.
# TYPE took histogram
took_bucket{a="b",le="0.5"} 1
took_bucket{a="b",le="1"} 3
took_bucket{a="b",le="+Inf"} 6
took_sum{a="b"} NaN
took_count{a="b"} 6
{"up.time",job="x"} +Inf -1500
"#
    );
}

#[test]
fn writes_openmetrics() {
    let text = written(Format::OpenMetrics);
    for line in [
        "# HELP req All \\\\ of \\\"them\\\"\\n.",
        "# TYPE req counter",
        "req_total 0.1",
        "# TYPE build info",
        "build_info{v=\"1\"} 1",
        "{\"up.time\",job=\"x\"} +Inf -1.500",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    let (rows, parsed) = read(&text, Format::OpenMetrics).unwrap();
    assert_eq!((rows.len(), parsed.families.len()), (9, 3));
    assert_eq!(parsed.families[0].help, "All \\ of \"them\"\n.");
}

#[test]
fn numbers_are_written_as_go_does() {
    for (value, plain, short) in [
        (0.0, "0", "0"),
        (-0.0, "-0", "-0"),
        (-12.0, "-12", "-12"),
        (0.1, "0.1", "0.1"),
        (1.0 / 3.0, "0.3333333333333333", "0.3333333333333333"),
        (123_456_789.125, "123456789.125", "123456789.125"),
        (1e20, "100000000000000000000", "100000000000000000000"),
        (1e21, "1000000000000000000000", "1e+21"),
        (1.5e100, &format!("15{}", "0".repeat(99)), "1.5e+100"),
        (1e-6, "0.000001", "0.000001"),
        (-2.5e-7, "-0.00000025", "-2.5e-07"),
        (9_007_199_254_740_993.0, "9007199254740992", "9007199254740992"),
        (f64::NAN, "NaN", "NaN"),
        (f64::INFINITY, "+Inf", "+Inf"),
        (f64::NEG_INFINITY, "-Inf", "-Inf"),
    ] {
        let mut out = String::new();
        number::plain(value, &mut out);
        assert_eq!(out, plain);
        out.clear();
        number::short(value, &mut out);
        assert_eq!(out, short);
    }
    for (at, text) in [
        (0, "0"),
        (1, "0.001"),
        (-1_050, "-1.050"),
        (1_700_000_000_500, "1700000000.500"),
        (i64::MIN, "-9223372036854775.808"),
    ] {
        let mut out = String::new();
        number::seconds(at, &mut out);
        assert_eq!(out, text);
    }
}
